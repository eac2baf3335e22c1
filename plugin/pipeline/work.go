package pipeline

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"github.com/logscope/logscope/engine"
	"github.com/logscope/logscope/loki"
	"github.com/logscope/logscope/plugin/chunk"
)

// blockRecords is how many records are decoded, scored and encoded at a time.
// A chunk of 2 MB has some 14,000 and goes in one block, so that the engine
// settles its templates as a whole; one of 500,000 does not take 200 MB.
const blockRecords = 16384

// item is one record on its way.
type item struct {
	rec     chunk.Record
	message []byte // what is scored
	line    []byte // what is shipped, where it was already built; else nil
	stream  string // key of the model
	labels  *labelSet
}

// work is what one flush needs; kept for the next one.
type work struct {
	reader   chunk.Reader
	items    []item
	recs     []engine.Record
	verdicts []engine.Verdict // one per item, or none: not scored
	events   []engine.Event
	// eventLabels are the label sets of the events' streams; nil: not known any more.
	eventLabels []*labelSet
	arena       []byte // bytes of this block that do not stand in the chunk
	line        []byte
	meta        []loki.Label
	cache       cache
}

func (p *Pipeline) takeWork() *work {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		w := p.free[n-1]
		p.free = p.free[:n-1]
		return w
	}
	return &work{cache: newCache()}
}

func (p *Pipeline) returnWork(w *work) {
	w.reader.Reset(nil)
	w.release()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, w)
}

// arenaKeepBytes is the largest arena kept between flushes: one huge chunk must not stay in memory.
const arenaKeepBytes = 4 << 20

// release drops every reference into the chunk: its memory is Fluent Bit's again.
func (w *work) release() {
	clear(w.items)
	clear(w.recs)
	clear(w.verdicts)
	clear(w.events)
	clear(w.eventLabels)
	clear(w.meta[:cap(w.meta)])
	w.items, w.recs, w.verdicts = w.items[:0], w.recs[:0], w.verdicts[:0]
	w.events, w.eventLabels = w.events[:0], w.eventLabels[:0]
	if cap(w.arena) > arenaKeepBytes {
		w.arena = nil
	}
	if cap(w.line) > arenaKeepBytes {
		w.line = nil
	}
	w.arena = w.arena[:0]
}

// prepare decodes, scores and encodes a chunk. seen: it was scored before, learn nothing.
func (p *Pipeline) prepare(tag string, data []byte, seen bool) *pending {
	w := p.takeWork()
	defer p.returnWork(w)
	batch := p.batcher.NewBatch()
	defer batch.Close()
	pd := &pending{}
	w.reader.Reset(data)
	records := 0
	for more := true; more; {
		more = p.decode(w, tag, pd)
		p.score(w, seen)
		p.encode(w, batch)
		records += len(w.items)
		w.release()
	}
	p.count(func(c *Counts) { c.Chunks++; c.Records += uint64(records) })
	pd.pushes = batch.Pushes(nil)
	return pd
}

// decode reads the next block of records and says whether there is more.
func (p *Pipeline) decode(w *work, tag string, pd *pending) bool {
	for len(w.items) < blockRecords {
		w.items = append(w.items, item{})
		it := &w.items[len(w.items)-1]
		err := w.reader.Next(&it.rec)
		if err == nil {
			p.shaper.fill(w, it, tag)
			continue
		}
		w.items = w.items[:len(w.items)-1]
		if errors.Is(err, io.EOF) {
			return false
		}
		if !p.resync(w, err, tag, pd) {
			return false
		}
	}
	return true
}

// resync goes on behind damaged bytes, so that the chunk's other records are not lost.
func (p *Pipeline) resync(w *work, cause error, tag string, pd *pending) bool {
	pd.damaged = true
	skipped, ok := w.reader.Resync()
	p.count(func(c *Counts) { c.BytesSkipped += uint64(skipped) })
	if p.warns.allow("damaged", time.Now()) {
		p.log.Error(fmt.Sprintf("damaged chunk with tag %q: %v; skipped %d bytes, the records around them are delivered; "+
			"with storage.keep.rejected on, Fluent Bit keeps the chunk for inspection", tag, cause, skipped))
	}
	return ok
}

// score fills w.verdicts and w.events. If scoring panics, both stay empty and
// the records go out untagged.
func (p *Pipeline) score(w *work, seen bool) {
	if p.engine == nil || len(w.items) == 0 {
		return
	}
	for i := range w.items {
		it := &w.items[i]
		w.recs = append(w.recs, engine.Record{Stream: it.stream, Time: it.rec.Time, Line: it.message})
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.scoreLocked(w, seen); err != nil {
		w.verdicts, w.events = w.verdicts[:0], w.events[:0]
		p.counts.Panics++
		p.counts.Unscored += uint64(len(w.items))
		if p.warns.allow("panic", time.Now()) {
			p.log.Error(fmt.Sprintf("scoring failed, the records are shipped untagged and learning starts afresh: %v", err))
		}
		p.engine, _ = engine.New(p.cfg.Engine) // the configuration was valid before
		return
	}
	for i := range w.verdicts {
		if w.verdicts[i].Anomaly {
			p.counts.Anomalies++
		}
	}
	p.counts.Events += uint64(len(w.events))
	p.noteLabels(w)
}

func (p *Pipeline) scoreLocked(w *work, seen bool) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	if p.beforeScore != nil {
		p.beforeScore()
	}
	if seen {
		w.verdicts = p.engine.Rescore(w.verdicts[:0], w.recs)
		return nil
	}
	w.verdicts = p.engine.Score(w.verdicts[:0], w.recs)
	w.events = p.engine.Events(w.events[:0])
	return nil
}

// noteLabels remembers which labels a model's records carry.
func (p *Pipeline) noteLabels(w *work) {
	if len(p.labelsOf) > 4*p.cfg.Engine.ModelsMax {
		clear(p.labelsOf)
	}
	last := ""
	for i := range w.items {
		it := &w.items[i]
		if i > 0 && it.stream == last {
			continue
		}
		last = it.stream
		p.labelsOf[it.stream] = it.labels
	}
	for i := range w.events {
		if set, ok := p.labelsOf[w.events[i].Stream]; ok {
			w.eventLabels = append(w.eventLabels, set)
		} else {
			w.eventLabels = append(w.eventLabels, nil)
		}
	}
}
