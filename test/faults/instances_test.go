package faults

import (
	"testing"

	"github.com/logscope/logscope/test/sink"
)

// TestInstances: one of two output sections cannot start. The log says which
// and why, and the exit calls for the others do not crash.
func TestInstances(t *testing.T) {
	r := newRig(t)
	s := sink.New(t)
	good, bad := options(s.URL, "x"), []string{"url=" + s.URL, "threshold=high"}
	for name, instances := range map[string][][]string{
		"the first":  {bad, good},
		"the second": {good, bad},
		"the middle": {good, bad, good},
	} {
		t.Run(name, func(t *testing.T) {
			h := r.startHost(t, []string{"--guard"}, instances...)
			h.wait(t, 1) // a crash would be -1
			h.checkTold(t, 1, "threshold", "high", "error")
		})
	}
}
