package pipeline

import (
	"testing"
	"time"

	"github.com/logscope/logscope/loki"
)

// TestHoldback: a shutdown behind a hundred chunks waits for one flush and the budget.
func TestHoldback(t *testing.T) {
	const full = 4 * time.Second
	var h holdback
	begin := time.Unix(1_700_000_000, 0)
	queue := func(now time.Time) time.Time { // a Loki that hangs: each flush takes all it may
		for range 100 {
			took := h.patience(full, now)
			if now = now.Add(took); took > 0 {
				h.note(true, took == full, took, now)
			}
		}
		return now
	}
	end := queue(begin)
	if got, want := end.Sub(begin), full+briefBudget; got != want {
		t.Errorf("100 chunks took %v; want %v", got, want)
	}
	if got := h.patience(full, end.Add(full)); got != full {
		t.Errorf("after the hold: got %v; want %v", got, full)
	}
	again := end.Add(full)
	h.note(true, true, full, again)
	if got := h.patience(full, again.Add(2*full-1)); got != briefFlush {
		t.Errorf("the second hold: got %v near its end; want %v: twice as long", got, briefFlush)
	}
	h.note(false, false, briefFlush, again)
	if got := h.patience(full, again); got != full {
		t.Errorf("after a success: got %v; want %v", got, full)
	}
}

// TestHoldbackWorkers: flushes of other workers that end with the first one do not use up the budget.
func TestHoldbackWorkers(t *testing.T) {
	const full = 4 * time.Second
	var h holdback
	now := time.Unix(1_700_000_000, 0)
	for range 4 {
		h.note(true, true, full, now)
	}
	if got := h.patience(full, now.Add(time.Second)); got != briefFlush {
		t.Errorf("got %v; want %v", got, briefFlush)
	}
}

func TestIsDown(t *testing.T) {
	for _, test := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{&loki.Error{Status: 503}, true},
		{&loki.Error{Status: 429}, false}, // others may pass
		{&loki.Error{Status: 401, Config: true}, false},
		{&loki.Error{Message: "connection refused"}, true},
	} {
		if got := isDown(test.err); got != test.want {
			t.Errorf("%v: got %v; want %v", test.err, got, test.want)
		}
	}
}
