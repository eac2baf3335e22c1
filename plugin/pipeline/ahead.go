package pipeline

import (
	"github.com/logscope/logscope/loki"
)

// Most blocks have no anomaly, and their records are encoded as they would be without scoring. So a
// chunk's first block is encoded on another goroutine while it is scored, which takes four times as
// long. Where an anomaly turns up after all the batch begins anew: the bytes are the same, whichever way.

// aheadRecords is the smallest block that is worth a goroutine.
const aheadRecords = 256

// scoreAndEncode scores the block at hand and appends its entries to the batch. first: nothing is in it,
// last: nothing will follow but events.
func (p *Pipeline) scoreAndEncode(w *work, batch *loki.Batch, seen, first, last bool) {
	if !first || seen || w.flagged || !p.cfg.Score || p.cfg.Forward != ForwardAll || len(w.items) < aheadRecords {
		p.score(w, seen)
		w.flagged = w.anyFlagged()
		p.encode(w, batch)
		return
	}
	encoded := p.scoreEncoding(w, batch, last)
	if w.flagged = w.anyFlagged(); encoded && !w.flagged && !(last && len(w.events) > 0) {
		p.encodeEvents(w, batch)
		return
	}
	batch.Restart()
	w.cache.last.target, w.cache.last.set = nil, nil
	p.encode(w, batch)
}

// scoreEncoding scores the block at hand and meanwhile appends its records to the batch, as if none
// were an anomaly. It says whether that came to its end.
func (p *Pipeline) scoreEncoding(w *work, batch *loki.Batch, last bool) (encoded bool) {
	done := make(chan bool, 1)
	go func() { done <- p.encodeAhead(w, batch, last) }()
	defer func() { encoded = <-done }() // w is the other's, too, until then
	p.score(w, false)
	return
}

// encodeAhead appends the block's records to the batch. It reads nothing that scoring writes. What
// panics here will again when it is encoded anew, where it is caught and told.
func (p *Pipeline) encodeAhead(w *work, batch *loki.Batch, last bool) (encoded bool) {
	defer func() {
		if r := recover(); r != nil {
			encoded = false
		}
	}()
	for i := range w.items {
		p.encodeRecord(w, batch, &w.items[i], nil, 1)
	}
	if last {
		batch.Cut()
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
