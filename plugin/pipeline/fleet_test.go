package pipeline

import (
	"fmt"
	"math/rand/v2"
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

// TestUnstructuredIsToldOnce in the log, and is no entry in Loki.
func TestUnstructuredIsToldOnce(t *testing.T) {
	s := sink.New(t)
	p, log := start(t, s, nil)
	rng := rand.New(rand.NewPCG(1, 1))
	sent := 0
	for range 4 {
		var texts []string
		for range 3000 {
			var b strings.Builder
			for range 12 {
				fmt.Fprintf(&b, "%c%c%c%c ", 'a'+rng.IntN(26), 'a'+rng.IntN(26), 'a'+rng.IntN(26), 'a'+rng.IntN(26))
			}
			texts = append(texts, b.String())
		}
		sent += len(texts)
		if got := p.Flush("dump", lines(t, texts...)); got != OK {
			t.Fatalf("got %v; want OK", got)
		}
	}
	if n := strings.Count(log.String(), "does not fall into templates"); n != 1 || !strings.Contains(log.String(), `stream \"dump\"`) {
		t.Errorf("got %d messages, log %s; want one that names the stream", n, log)
	}
	if got := len(s.Entries()); got != sent || p.Stats().Engine.Unstructured != 1 {
		t.Errorf("got %d entries, %d unstructured; want the %d lines as they are", got, p.Stats().Engine.Unstructured, sent)
	}
}
