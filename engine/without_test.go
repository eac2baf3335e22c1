package engine

import (
	"testing"
)

// TestWithoutLeavesOneOut: without a detector its findings do not come, and with
// it they do.
func TestWithoutLeavesOneOut(t *testing.T) {
	recs := mixed(12_000)
	reasons := func(without Detector) map[Reason]int {
		cfg := DefaultConfig()
		cfg.Without = without
		e, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		out, n := run(t, e, recs, 500, nil), map[Reason]int{}
		for _, v := range out.Verdicts {
			if v.Anomaly {
				n[v.Reason]++
			}
		}
		for _, ev := range out.Events {
			n[ev.Reason]++
		}
		return n
	}
	all, found := reasons(NoDetector), 0
	for d, reason := range map[Detector]Reason{Novelty: ReasonNovelty, Bursts: ReasonFrequency, Silences: ReasonSilence, Sessions: ReasonIncomplete} {
		if all[reason] == 0 {
			continue
		}
		found++
		if n := reasons(d)[reason]; n > 0 {
			t.Errorf("without %v: got %d findings %v; want none", d, n, reason)
		}
	}
	if found < 2 {
		t.Errorf("got findings %v; want some of two detectors to leave out", all)
	}
}

// TestDetectorsHaveNames: an option goes by them.
func TestDetectorsHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range Detectors() {
		if name := d.String(); name == "" || seen[name] {
			t.Errorf("detector %d: got name %q; want one of its own", d, name)
		} else {
			seen[name] = true
		}
	}
	cfg := DefaultConfig()
	cfg.Without = detectors
	if cfg.Validate() == nil {
		t.Errorf("got no error for detector %d; want one", detectors)
	}
}
