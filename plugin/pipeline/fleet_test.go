package pipeline

import (
	"fmt"
	"strings"
	"testing"

	"github.com/logscope/logscope/test/sink"
)

// TestFleetReachesLoki: streams that turn strange in the same minute become one entry of logscope's own.
func TestFleetReachesLoki(t *testing.T) {
	s := sink.New(t)
	p, _ := start(t, s, nil)
	for i := range 6 {
		if got := p.Flush(fmt.Sprint("app", i), lines(t, normal(6000)...)); got != OK {
			t.Fatalf("got %v; want OK", got)
		}
	}
	for i := range 5 {
		p.Flush(fmt.Sprint("app", i), lines(t, fault))
	}
	var found []string
	for _, e := range s.Entries() {
		if strings.Contains(e.Labels, `event="fleet"`) {
			found = append(found, e.Line)
			if !strings.Contains(e.Labels, `source="logscope"`) || !strings.Contains(e.Labels, `reason="fleet"`) || !strings.Contains(e.Labels, `anomaly="true"`) {
				t.Errorf("got labels %s; want those of a finding about the fleet", e.Labels)
			}
		}
	}
	if len(found) != 1 || !strings.Contains(found[0], `"app0" (novelty)`) {
		t.Errorf("got %q; want one entry that names the streams", found)
	}
}
