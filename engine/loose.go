package engine

import (
	"fmt"
	"slices"

	"github.com/logscope/logscope/engine/detect"
	"github.com/logscope/logscope/engine/drain"
	"github.com/logscope/logscope/engine/sketch"
)

const (
	// looseWindow is how many records are looked at together.
	looseWindow = 1024
	// looseShare is the share of records founding a template of their own from
	// which a window does not fall into templates: a rich log that is new has a
	// fifth, and only at its beginning.
	looseShare = 0.35
	// looseAfter is how many such windows in a row make the log one that does not.
	looseAfter = 3
	// looseProbe is how many records of every looseEvery are learned from in
	// such a log, to see whether it falls into templates by now.
	looseProbe, looseEvery = 256, 16 * looseWindow
)

// looseness is whether a log falls into templates. Free text, encoded data and
// dumps found a template a line: those would drive out the templates that
// there are, fill the memory, and say nothing. In such a log only lines of
// templates known before are judged; the others are counted and no more.
type looseness struct {
	on bool
	// told says that it was told of the stream, which is once.
	told bool
	// probing says that the records at hand are learned from though on.
	probing bool
	founded uint32 // templates, in this window
	looked  uint32 // records, in this window
	run     uint8  // windows in a row that do not fall into templates
	since   int64  // model time from which templates are those of the dump: a window before the first of them
	start   int64  // model time at which this one began
	before  int64  // and the one before
}

// parse finds the record's template, and looks at whether there are any.
func (m *model) parse(e *Engine, r *Record) {
	l := &m.loose
	if l.looked >= looseProbe && l.looked%looseProbe == 0 {
		m.lookLoose(e)
	}
	l.looked++
	if l.on && !l.probing {
		m.miner.Match(&m.line, r.Line, r.Raw)
		return
	}
	if m.miner.Parse(&m.line, r.Line, r.Raw); m.line.New {
		l.founded++
	}
}

// lookLoose takes the looks that are due.
func (m *model) lookLoose(e *Engine) {
	l := &m.loose
	share := float64(l.founded) / float64(l.looked)
	switch {
	case l.probing:
		l.begin(m.clock.now)
		l.probing = false
		if share < looseShare {
			l.on = false
			return
		}
		m.prune()
	case l.on:
		if l.looked >= looseEvery {
			l.begin(m.clock.now)
			l.probing, l.since = true, l.start
		}
	case l.looked >= looseWindow:
		before := l.before
		l.begin(m.clock.now)
		if share < looseShare {
			l.run = 0
			return
		}
		if l.run++; l.run == 1 {
			l.since = before
		}
		if l.run >= looseAfter {
			l.run = 0
			m.loosen(e, share)
		}
	}
}

// begin begins a window.
func (l *looseness) begin(now int64) {
	l.looked, l.founded = 0, 0
	l.before, l.start = l.start, now
}

// loosen stops learning templates.
func (m *model) loosen(e *Engine, share float64) {
	m.loose.on = true
	m.prune()
	if m.loose.told {
		return
	}
	m.loose.told = true
	v := Verdict{Time: m.last}
	v.Explanation = fmt.Sprintf("this log does not fall into templates: of the last %s, %s are unlike every line before. It may be free text, encoded data or a dump. Its lines are passed on and not judged, but for those like lines known before; nothing is learned of the others.",
		count(looseWindow, "line"), percent(share))
	e.raise(Event{Kind: EventUnstructured, Stream: m.stream, Seq: e.seq, Verdict: v})
}

// prune forgets the templates that came once since the log has ceased to fall
// into them. What is left of the block is matched only.
func (m *model) prune() {
	m.miner.End()
	highest := -1
	m.miner.Prune(func(c *drain.Cluster) bool {
		known := c.Index < len(m.templates) && m.templates[c.Index].Gen == c.Gen && m.templates[c.Index].Count > 0
		if known && (m.templates[c.Index].Count > 1 || m.templates[c.Index].First < m.loose.since) {
			highest = max(highest, c.Index)
			return false
		}
		return true
	})
	for i := range m.templates {
		if t := &m.templates[i]; t.Count == 1 && t.First >= m.loose.since {
			*t = detect.Template{Gen: t.Gen, Rev: t.Rev}
			m.names[i], m.deadlines[i] = name{}, 0
			m.sessions.Forget(2 * i)
		}
	}
	if m.prev > int32(highest) || m.prev >= 0 && m.templates[m.prev].Count == 0 {
		m.prev = -1
	}
	m.templates = slices.Clone(m.templates[:highest+1])
	m.names, m.deadlines = slices.Clone(m.names[:highest+1]), slices.Clone(m.deadlines[:highest+1])
}

func (l *looseness) sync(c *sketch.Codec) {
	c.Bool(&l.on)
	c.Bool(&l.told)
	c.Bool(&l.probing)
	c.U32(&l.founded)
	c.U32(&l.looked)
	c.U8(&l.run)
	c.I64(&l.since)
	c.I64(&l.start)
	c.I64(&l.before)
}

// confidenceHalf is how many records make a model half as sure as it can be.
const confidenceHalf = 1000

// confidence is how much a model has seen, 0 to 1: as far as its records go,
// and as far as the next one is of a kind that it knows.
func (m *model) confidence() float64 {
	_, mass := m.novelty.Seen()
	n := float64(m.seen)
	return n / (n + confidenceHalf) * (1 - min(mass, 1))
}
