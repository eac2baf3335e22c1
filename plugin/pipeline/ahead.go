package pipeline

import (
	"sync"

	"github.com/logscope/logscope/loki"
)

// Most blocks have no anomaly, and their records are encoded as they would be without scoring. So a
// chunk's first block is encoded in the moments in which its scoring waits: for the engine, which another
// worker has, and for lines, which are read on another goroutine; and by that one when all lines are read.
// Where an anomaly turns up after all the batch begins anew: the bytes are the same, whichever way.

const (
	// aheadRecords is the smallest block that this is done with.
	aheadRecords = 256
	// aheadStep is how many records are encoded before it is looked whether scoring can go on: some 20 us.
	aheadStep = 32
)

// encoding is the block at hand being appended to the batch, as if none of its records were an anomaly.
type encoding struct {
	p     *Pipeline
	w     *work
	batch *loki.Batch
	last  bool // nothing will follow but events

	mu     sync.Mutex // guards all of it, w's cache and scratch, and the batch
	next   int
	ended  bool
	failed bool
}

// scoreAndEncode scores the block at hand and appends its entries to the batch. first: nothing is in it,
// last: nothing will follow but events.
func (p *Pipeline) scoreAndEncode(w *work, batch *loki.Batch, seen, first, last bool) {
	if !first || seen || w.flagged || !p.cfg.Score || p.cfg.Forward != ForwardAll || len(w.items) < aheadRecords {
		p.score(w, seen, nil)
		w.flagged = w.anyFlagged()
		p.encode(w, batch)
		return
	}
	e := &encoding{p: p, w: w, batch: batch, last: last}
	defer e.end() // the chunk's memory is another's soon
	p.score(w, false, e)
	if w.flagged = w.anyFlagged(); !w.flagged && !(last && len(w.events) > 0) {
		for e.step() {
		}
		if !e.failed {
			p.encodeEvents(w, batch)
			return
		}
	}
	e.end()
	batch.Restart()
	w.cache.last.target, w.cache.last.set = nil, nil
	p.encode(w, batch)
}

// end makes sure that no step is at work, and none will be.
func (e *encoding) end() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ended = true
}

// step encodes a few records more; false: there are none. What panics here will again when the block is
// encoded anew, where it is caught and told.
func (e *encoding) step() bool {
	if e == nil {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.more()
}

// tryStep is step, unless that is under way.
func (e *encoding) tryStep() bool {
	if e == nil || !e.mu.TryLock() {
		return false
	}
	defer e.mu.Unlock()
	return e.more()
}

// more is step for who holds mu.
func (e *encoding) more() bool {
	if e.ended {
		return false
	}
	defer func() {
		if r := recover(); r != nil {
			e.ended, e.failed = true, true
		}
	}()
	to := min(e.next+aheadStep, len(e.w.items))
	for ; e.next < to; e.next++ {
		e.p.encodeRecord(e.w, e.batch, &e.w.items[e.next], nil, 1)
	}
	if e.next == len(e.w.items) {
		if e.last {
			e.batch.Cut()
		}
		e.ended = true
	}
	return true
}

// anyFlagged says whether a record of the block at hand is an anomaly.
func (w *work) anyFlagged() bool {
	for i := range w.verdicts {
		if w.verdicts[i].Anomaly {
			return true
		}
	}
	return false
}
