package pipeline

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"time"
	"unsafe"

	"github.com/logscope/logscope/engine"
	"github.com/logscope/logscope/loki"
	"github.com/logscope/logscope/plugin/chunk"
)

// blockRecords is how many records are decoded, scored and encoded at a time.
// A chunk of 2 MB has some 14,000 and goes in one block, so that the engine
// settles its templates as a whole; one of 500,000 does not take 200 MB.
const blockRecords = 16384

// shipRecords is a block's size where nothing is scored: its 70 KB of items stay in the processor's cache.
const shipRecords = 512

// item is one record on its way.
type item struct {
	rec     chunk.Record
	message []byte      // what is scored
	line    []byte      // what is shipped, where it was already built; else nil
	stream  string      // key of the model
	kept    int         // keys that Shape.Remove leaves; beyond 1 it may have stopped counting
	single  chunk.Value // the value of the last of them
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
	sampled     []sampled // let pass by forward=sampled, in the order of items
	arena       []byte    // bytes of this block that do not stand in the chunk
	line        []byte
	meta        []loki.Label
	cache       cache

	flagged bool // the last block had an anomaly, so the next one may
	early   bool // scoring is held while the block is decoded, so that reading its lines may begin
	told    int  // how many of recs the engine expects

	// Of the chunk at hand.
	notForwarded, skipped int
	// before is what was told of it when it came first; nil: it comes first, or that is gone.
	before *told
	// passed is how many of sampled were met again, in the block at hand.
	passed int
	// untagged says that it was scored before, but the verdicts are gone: another verdict must not put
	// its records into other streams.
	untagged bool
}

// begin starts a chunk.
func (w *work) begin(data []byte) {
	w.reader.Reset(data)
	w.cache.begin()
	w.cache.forgotten, w.notForwarded, w.skipped = 0, 0, 0
}

// block returns what was told of the n-th block; nil: nothing is known.
func (w *work) block(n int) *toldBlock {
	if w.before == nil || n >= len(w.before.blocks) {
		return nil
	}
	return &w.before.blocks[n]
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
	w.before = nil
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
	w.items, w.recs, w.verdicts, w.told = w.items[:0], w.recs[:0], w.verdicts[:0], 0
	w.events, w.eventLabels, w.sampled = w.events[:0], w.eventLabels[:0], w.sampled[:0]
	if cap(w.arena) > arenaKeepBytes {
		w.arena = nil
	}
	if cap(w.line) > arenaKeepBytes {
		w.line = nil
	}
	w.arena = w.arena[:0]
	clear(w.cache.last.now)
}

// prepare decodes, scores and encodes a chunk. seen: it was scored before, learn nothing; before is
// what was told of it then, nil: that is gone.
func (p *Pipeline) prepare(tag string, data []byte, seen bool, before *told) *pending {
	w := p.takeWork()
	defer p.returnWork(w)
	batch := p.newBatch(before)
	defer batch.Close()
	w.begin(data)
	w.before, w.untagged = before, p.cfg.Score && seen && (before == nil || before.untagged)
	pd := &pending{told: &told{untagged: w.untagged}}
	records := 0
	for more, n := true, 0; more; n++ {
		more = p.prepareBlock(w, batch, tag, pd, seen, n)
		if p.cfg.Score {
			pd.told.add(w)
		}
		records += len(w.items)
		w.release()
	}
	pd.told.origin = batch.Origin()
	pd.told.size += int64(unsafe.Sizeof(told{})) + int64(pd.told.origin.Bytes())
	pd.pushes = batch.Pushes(nil)
	p.count(func(c *Counts) {
		c.LabelSetsForgotten += uint64(w.cache.forgotten)
		if w.untagged && before == nil {
			c.Untagged++
		}
		if seen {
			return
		}
		c.Chunks++
		c.Records += uint64(records)
		c.BytesIn += uint64(len(data))
		c.BytesSkipped += uint64(w.skipped)
		c.NotForwarded += uint64(w.notForwarded)
	})
	if w.cache.forgotten > 0 && p.warns.allow("label sets", time.Now()) {
		p.log.Warn(fmt.Sprintf(msgLabelSets, p.cfg.LabelSetsMax))
	}
	p.warnMasks()
	return pd
}

// prepareBlock decodes, scores and encodes the n-th block of a chunk, and says whether there is another one.
func (p *Pipeline) prepareBlock(w *work, batch *loki.Batch, tag string, pd *pending, seen bool, n int) (more bool) {
	said := w.block(n)
	w.early = said == nil && !seen && p.cfg.Score && p.cfg.Engine.Ahead != nil && p.scoring.TryLock()
	defer p.endEarly(w)
	more = p.decode(w, tag, pd)
	if said != nil {
		said.recite(w)
		p.encode(w, batch)
		return more
	}
	p.scoreAndEncode(w, batch, seen, n == 0, !more)
	return more
}

// earlyRecords is how many records are decoded before the engine is told of them.
const earlyRecords = 1024

// expect tells the engine of what was decoded, if it is for this block.
func (p *Pipeline) expect(w *work) {
	if w.early && len(w.items) >= w.told+earlyRecords {
		w.list()
		p.engine.Expect(w.recs[w.told:])
		w.told = len(w.recs)
	}
}

// endEarly lets go of the engine where scoring did not.
func (p *Pipeline) endEarly(w *work) {
	if w.early {
		w.early = false
		defer p.scoring.Unlock()
		p.engine.Unexpect()
	}
}

// warnMasks tells of masks that take too long.
func (p *Pipeline) warnMasks() {
	for _, mask := range p.cfg.Engine.Masks {
		if n := mask.GaveUp(); n > 0 && p.warns.allow("mask "+mask.Pattern(), time.Now()) {
			p.log.Warn(fmt.Sprintf(msgMaskGaveUp, mask.Pattern(), mask.Name(), n))
		}
	}
}

// newBatch returns a batch that begins as the one before did, if there was one.
func (p *Pipeline) newBatch(before *told) *loki.Batch {
	if before == nil {
		return p.batcher.NewBatch()
	}
	return p.batcher.NewBatchFrom(before.origin)
}

// decode reads the next block of records and says whether there is more.
func (p *Pipeline) decode(w *work, tag string, pd *pending) bool {
	size := blockRecords
	if !p.cfg.Score {
		size = shipRecords
	}
	for len(w.items) < size {
		w.items = append(w.items, item{})
		it := &w.items[len(w.items)-1]
		err := w.reader.Next(&it.rec)
		if err == nil {
			p.shaper.fill(w, it, tag)
			p.expect(w)
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
	w.skipped += skipped
	if p.warns.allow("damaged", time.Now()) {
		p.log.Error(fmt.Sprintf(msgDamaged, tag, cause, skipped))
	}
	return ok
}

// score fills w.verdicts and w.events. If scoring panics, both stay empty and
// the records go out untagged. Of a chunk seen before, verdicts only serve to choose what to forward.
// meanwhile, which may be nil, is what to do while scoring waits.
func (p *Pipeline) score(w *work, seen bool, meanwhile *encoding) {
	if !p.cfg.Score || len(w.items) == 0 || seen && p.cfg.Forward == ForwardAll {
		return
	}
	w.list()
	took, err := p.scoreBlock(w, seen, meanwhile)
	if err != nil {
		p.count(func(c *Counts) { c.Panics++; c.Unscored += uint64(len(w.items)) })
		return
	}
	if !seen {
		p.count(func(c *Counts) {
			c.ScoreSeconds.Observe(took.Seconds())
			c.scored(w.verdicts, w.events)
		})
		p.observe(w)
	}
}

// list makes the engine's records of the items.
func (w *work) list() {
	for i := len(w.recs); i < len(w.items); i++ {
		it := &w.items[i]
		w.recs = append(w.recs, engine.Record{Stream: it.stream, Time: it.rec.Time, Line: it.message})
	}
}

// scoreBlock scores w.recs, one block of the pipeline at a time. took is without the wait for others.
func (p *Pipeline) scoreBlock(w *work, seen bool, meanwhile *encoding) (took time.Duration, err error) {
	for !w.early && !p.scoring.TryLock() {
		if !meanwhile.step() {
			p.scoring.Lock()
			break
		}
	}
	w.early = false
	defer p.scoring.Unlock()
	p.meanwhile.Store(meanwhile)
	defer p.meanwhile.Store(nil)
	started := time.Now()
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		w.verdicts, w.events = w.verdicts[:0], w.events[:0]
		p.engine.Unexpect()
		p.replaceEngine(err)
	}()
	if p.beforeScore != nil {
		p.beforeScore()
	}
	if seen {
		w.verdicts = p.engine.Rescore(w.verdicts[:0], w.recs)
	} else {
		w.verdicts = p.engine.Score(w.verdicts[:0], w.recs)
		w.events = p.notices(p.engine.Events(w.events[:0]))
	}
	p.noteLabels(w)
	p.panics = 0
	return time.Since(started), nil
}

// notices tells of the events that are for the operator, and returns the others.
func (p *Pipeline) notices(events []engine.Event) []engine.Event {
	return slices.DeleteFunc(events, func(e engine.Event) bool {
		if e.Kind == engine.EventUnstructured {
			p.log.Warn(fmt.Sprintf(msgUnstructured, e.Stream, e.Explanation))
		}
		return e.Kind == engine.EventUnstructured
	})
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
		w.eventLabels = append(w.eventLabels, p.labelsOf[w.events[i].Stream])
	}
}
