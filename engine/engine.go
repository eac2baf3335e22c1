package engine

import (
	"container/list"
	"fmt"

	"github.com/logscope/logscope/engine/drain"
)

const (
	// memoryLeast is the smallest memory that one model can learn anything in.
	memoryLeast = 1 << 20
	// templatesLimit bounds TemplatesMax: detectors keep a slice as long.
	templatesLimit = 1 << 20
	// eventsMax bounds the events that wait for a caller of Events, 300 bytes each
	// and more; the newest are dropped, and counted.
	eventsMax = 10_000
	// spareMax is how many rooms for the lines of a block are kept: as long as the most lines that a model had in one, 24 bytes each.
	spareMax = 16
	// memoryEvery is how many records pass between two looks at the memory.
	memoryEvery = 20_000
)

// Engine scores records; see the package's comment.
type Engine struct {
	cfg    Config
	models map[string]*list.Element // of *model
	recent *list.List               // the most recently used model first
	last   *model
	seq    uint64
	stats  Stats
	events []Event
	book   *book
	master master
	// scratch of Score: the model of each record, and the models of the block.
	block   []*model
	settle  []*model
	checked uint64
	spare   [][][]byte // room for the lines of a block
	// expecting is the model of the records that Expect told of, expected how many there are; nil: it was
	// not called. mixed says that those that follow are of others, too.
	expecting *model
	expected  int
	mixed     bool
}

// New returns an Engine that has learned nothing.
func New(cfg Config) (*Engine, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("cannot make an engine: %w", err)
	}
	return &Engine{cfg: cfg, models: map[string]*list.Element{}, recent: list.New(), book: newBook()}, nil
}

// Score scores the records, learns from them and appends one verdict for each
// to dst, in order. The block is looked at as a whole first, so that templates
// are settled before its first verdict: whole chunks give better templates
// than single lines.
func (e *Engine) Score(dst []Verdict, recs []Record) []Verdict {
	e.block, e.settle = e.block[:0], e.settle[:0]
	if e.expecting != nil {
		e.settle = append(e.settle, e.expecting)
	}
	for i := range recs {
		m := e.model(recs[i].Stream)
		e.block = append(e.block, m)
		if i < e.expected && m == e.expecting {
			continue // it holds the line
		}
		if len(m.lines) == 0 {
			e.settle = append(e.settle, m)
		}
		e.hold(m, &recs[i])
	}
	defer e.release()
	e.begin()
	for i := range recs {
		dst = append(dst, Verdict{})
		v := &dst[len(dst)-1]
		e.block[i].score(e, v, &recs[i])
		e.seq++
		e.stats.Records++
		if v.Anomaly {
			e.stats.Anomalies++
			e.master.note(e, e.block[i], v.Reason, v.Time)
		}
	}
	e.limitMemory()
	return dst
}

// Expect tells with which records, all of one stream, the next Score will
// begin, so that their lines are read already. It may be told of more, as they
// become known, those that follow. Unexpect takes it back. Without Config.Ahead it does nothing.
func (e *Engine) Expect(recs []Record) {
	if e.cfg.Ahead == nil || len(recs) == 0 {
		return
	}
	if e.expecting == nil {
		e.expecting = e.model(recs[0].Stream)
	}
	m := e.expecting
	for i := range recs {
		if e.mixed = e.mixed || recs[i].Stream != m.stream || len(m.lines) > 0 && recs[i].Raw != m.raw; e.mixed {
			break
		}
		e.hold(m, &recs[i])
		e.expected++
	}
	m.expect(e.cfg.Ahead)
}

// Unexpect takes back what Expect told.
func (e *Engine) Unexpect() {
	if e.expecting != nil {
		e.keep(e.expecting.release())
	}
	e.expecting, e.expected, e.mixed = nil, 0, false
}

// begin begins the block of each model. The longest one is read ahead, unless
// that was begun already.
func (e *Engine) begin() {
	longest := 0
	for i, m := range e.settle {
		if e.expecting == nil && len(m.lines) > len(e.settle[longest].lines) {
			longest = i
		}
	}
	for i, m := range e.settle {
		var ahead *drain.Ahead
		if i == longest {
			ahead = e.cfg.Ahead
		}
		m.begin(ahead)
	}
}

// hold has the model hold the record's line until the block is scored.
func (e *Engine) hold(m *model, r *Record) {
	if n := len(e.spare); m.lines == nil && n > 0 {
		m.lines, e.spare = e.spare[n-1], e.spare[:n-1]
	}
	m.hold(r.Line, r.Raw)
}

// keep keeps room for lines. A few do: models that have a block of many lines seldom have it together.
func (e *Engine) keep(lines [][]byte) {
	if len(e.spare) < spareMax && lines != nil {
		e.spare = append(e.spare, lines)
	}
}

// release lets go of the block's lines, which are the caller's again.
func (e *Engine) release() {
	for _, m := range e.settle {
		e.keep(m.release())
	}
	clear(e.block)
	clear(e.settle)
	e.expecting, e.expected, e.mixed = nil, 0, false
}

// Rescore scores the records as Score would, but learns nothing from them,
// raises no events and leaves the models' order of use alone. A stream without
// a model gets empty verdicts.
func (e *Engine) Rescore(dst []Verdict, recs []Record) []Verdict {
	for i := range recs {
		dst = append(dst, Verdict{Time: recs[i].Time})
		if el := e.models[recs[i].Stream]; el != nil {
			el.Value.(*model).rescore(e, &dst[len(dst)-1], &recs[i])
		}
	}
	return dst
}

// Events appends the events raised since the last call to dst. They come in
// the order in which they were raised.
func (e *Engine) Events(dst []Event) []Event {
	dst = append(dst, e.events...)
	clear(e.events)
	e.events = e.events[:0]
	return dst
}

// Finish tells that no more records will come: what is still due is raised.
// Models stay as they are otherwise, and scoring may go on.
func (e *Engine) Finish() {
	for el := e.recent.Back(); el != nil; el = el.Prev() {
		el.Value.(*model).finish(e)
	}
}

// Stats returns counts since New or Restore and the present sizes.
func (e *Engine) Stats() Stats {
	s := e.stats
	s.Models = len(e.models)
	s.Held = e.book.held
	s.Muted, s.Feedback = e.book.muted, e.book.counting()
	for el := e.recent.Front(); el != nil; el = el.Next() {
		m := el.Value.(*model)
		s.Templates += m.miner.Len()
		s.TemplatesEvicted += m.miner.Evicted()
		s.Sessions += m.sessions.Len()
		s.MemoryBytes += m.bytes()
		s.Confidence += m.confidence() / float64(len(e.models))
		if m.seen <= uint64(e.cfg.Warmup) {
			s.Cold++
		}
		if m.loose.on {
			s.Unstructured++
		}
	}
	return s
}

// model returns the model of a stream, a new one where there is none, and
// makes it the most recently used one.
func (e *Engine) model(stream string) *model {
	if e.last != nil && e.last.stream == stream {
		return e.last
	}
	el := e.models[stream]
	if el == nil {
		for len(e.models) >= e.cfg.ModelsMax {
			e.evict(e.recent.Back())
		}
		el = e.recent.PushFront(newModel(stream, &e.cfg, e.book))
		e.models[el.Value.(*model).stream] = el
	} else {
		e.recent.MoveToFront(el)
	}
	e.last = el.Value.(*model)
	return e.last
}

func (e *Engine) evict(el *list.Element) {
	m := e.recent.Remove(el).(*model)
	delete(e.models, m.stream)
	e.stats.ModelsEvicted++
	e.stats.TemplatesEvicted += m.miner.Evicted()
	if e.last == m {
		e.last = nil
	}
}

// limitMemory evicts the least recently used models while the learned state
// is too large; the last model is bounded by its own limits.
func (e *Engine) limitMemory() {
	if e.stats.Records-e.checked < memoryEvery {
		return
	}
	e.checked = e.stats.Records
	total := int64(0)
	for el := e.recent.Front(); el != nil; el = el.Next() {
		total += el.Value.(*model).bytes()
	}
	for total > e.cfg.MemoryMax && e.recent.Len() > 1 {
		el := e.recent.Back()
		total -= el.Value.(*model).bytes()
		e.evict(el)
	}
}

// raise notes an event of a model about the record being scored.
func (e *Engine) raise(ev Event) {
	if len(e.events) >= eventsMax {
		e.stats.EventsDropped++
		return
	}
	e.stats.Events++
	ev.At = e.seq
	e.events = append(e.events, ev)
}
