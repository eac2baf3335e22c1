package pipeline

import (
	"errors"
	"sync"
	"time"

	"github.com/logscope/logscope/loki"
)

// A Loki that is down costs each flush seconds, one that hangs the whole
// timeout. Fluent Bit gives each worker its chunks in a queue, and a shutdown
// waits without end for all that stand in it: with 100 chunks a process would
// take minutes to stop. So after a flush that got nothing through, those that
// come within some time are brief, and when brief ones have used up their
// budget, the rest is left with Fluent Bit at once. Whatever stands in the queue,
// a shutdown then waits for one flush and the budget.
const (
	// briefFlush is the deadline of a brief flush: enough for a Loki that is well again.
	briefFlush = 500 * time.Millisecond
	// briefBudget is what all brief flushes of a worker's queue may take together.
	briefBudget = 2 * time.Second
	// holdMin and holdMax bound how long it lasts: twice as long with each flush in a row that failed.
	holdMin = time.Second
	holdMax = 30 * time.Second
)

// holdback knows whether flushes get through.
type holdback struct {
	mu    sync.Mutex
	until time.Time     // flushes are brief until then
	hold  time.Duration // how long that was set for
	left  time.Duration // of the budget
}

// patience is how long a flush that begins now may take; 0: it need not begin.
func (h *holdback) patience(full time.Duration, now time.Time) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case !now.Before(h.until):
		return full
	case h.left <= 0:
		return 0
	}
	return min(full, briefFlush)
}

// note takes what a flush came to. full says that it had all the time there is.
func (h *holdback) note(failed, full bool, took time.Duration, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case !failed:
		h.until, h.hold = time.Time{}, 0
	case !full:
		h.left -= took
	case !now.Before(h.until): // else another worker has told already
		h.hold = min(max(2*h.hold, took, holdMin), holdMax)
		h.until, h.left = now.Add(h.hold), briefBudget
	}
}

// isDown says that an error is of a Loki that is away or in trouble: others would meet it, too.
func isDown(err error) bool {
	var e *loki.Error
	if !errors.As(err, &e) {
		return err != nil
	}
	return !e.Config && (e.Status == 0 || e.Status/100 == 5)
}
