package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"github.com/logscope/logscope/engine/detect"
	"github.com/logscope/logscope/engine/sketch"
)

// A snapshot is the learned state of an Engine as bytes:
//
//	offset  size  what
//	0       8     "LOGSCOPE", the magic
//	8       4     version, 15
//	12      8     length n of the payload
//	20      n     payload
//	20+n    8     xxhash64 of all bytes before
//
// Integers are little endian; numbers with a fraction are their IEEE 754 bits
// as integers; a string or list is its length in 4 bytes, then its bytes or
// items. The payload:
//
//	8        records scored, which number the events
//	4 + ...  feedback; each word:
//	  4 + n    name of the stream, empty for all
//	  8        id of the template
//	  4 + n    text of the template
//	  1 + 1    reason, number of the variable
//	  4 + n    value
//	  8 + 1    level, opinion
//	  8        when it was given
//	4 + ...  minutes in which models were strange; each:
//	  8        the minute, since 1970
//	  4 + ...  models: name of the stream 4 + n, reason 1
//	8        findings that the master has taken
//	4 + 16 * n  episodes in which many were strange: first and last minute
//	4        number of models; then each, the least recently used first:
//	  4 + n    name of the stream
//	  4 + n    state of the miner (drain.Miner.AppendState)
//	  27       clock: model time 8, record time of it 8, votes 1 + 1, timed 1, last record time 8
//	  8 + 4    moment of the first record, template of the last one
//	  8 + 8    records seen, and how many when the log last changed
//	  4 + ...  templates by index, each with count, rate, gaps, slots, how the numbers go
//	           together and successors (detect.Template.Sync), and the identity and text of its cluster.
//	           How numbers go together:
//	    8 + 1    count from which it is looked at again, whether there is a forest; if so
//	    4 + 6    state, numbers d, step, proven; their slots
//	    2 + 2    records remembered, place of the next
//	    4 + 8    records since it was grown, chance
//	    4 + 4    share of odd ones, closer looks left
//	    328      tail: 80 counts 4, their sum 8
//	    4 + ...  512 records, d logarithms 4 each
//	    1        whether there are trees; if so
//	    404 * 3  of each number: 193 ranks 2 and that of none 2, what others say of it 4 * 4
//	    512      cells that hold several records, a bit each
//	    4 + 4    depth of usual records, of odd ones
//	    2        odd ones among those put together
//	    16 * ... trees: nodes 1, each: low 2, high 2, at 2, along 1, next 1
//	  74 * 2   novelty of templates, then of routes: N, N1, news, span, calm, burst,
//	           and the group of new templates (detect.Novelty.Sync)
//	  40       severity of templates (detect.Severity.Sync)
//	  ...      pooled counts of parameters, the values last new (detect.Params.Sync)
//	  193      order of templates (detect.Order.Sync)
//	  ...      the stream's own gaps (detect.Gaps.Sync)
//	  ...      requests: routes, statuses, what a site asks for (detect.Access.Sync)
//	  ...      sessions: flows, pool, free places (detect.Sessions.Sync)
//	  36       whether the log falls into templates: not, told, probing 1 + 1 + 1,
//	           founded, looked 4 + 4, windows 1, moment from which templates are forgotten 8,
//	           beginning of this window and of the one before 8 + 8
//	  4 + ...  findings told lately: template 8, reason 1, variable 1, value 4 + n,
//	           level 8, score 8, count 8, first and last 8 + 8, repeats not told 4,
//	           first and last of these 8 + 8, whether value and level are one 1
//	  48       alert budget: moment of the last finding, rate, weight, sum and squares of heights, integral
//	  4 + ...  moments of its alarms, 8 each
//	  8 + 8    minutes in which the model was strange, moment of the last one
//
// Everything is bounded by the limits of the packages; a reader refuses more
// before it allocates.
const (
	snapshotMagic   = "LOGSCOPE"
	snapshotVersion = 15
	snapshotHeader  = 20
	snapshotSum     = 8
	// streamMax bounds the name of a stream in a snapshot.
	streamMax = 4096
	// textMax bounds a template's text in a snapshot.
	textMax = 1 << 16
)

// ErrSnapshot is wrapped by every error of Restore.
var ErrSnapshot = errors.New("not a usable snapshot")

// Snapshot appends the learned state to dst. Events not taken yet are not in it.
func (e *Engine) Snapshot(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, snapshotMagic...)
	dst = binary.LittleEndian.AppendUint32(dst, snapshotVersion)
	dst = binary.LittleEndian.AppendUint64(dst, 0)
	c := sketch.NewWriter(dst)
	c.U64(&e.seq)
	e.book.sync(c)
	e.master.sync(c)
	n := uint32(len(e.models))
	c.U32(&n)
	for el := e.recent.Back(); el != nil; el = el.Prev() {
		el.Value.(*model).sync(c)
	}
	dst = c.Bytes()
	binary.LittleEndian.PutUint64(dst[start+12:], uint64(len(dst)-start-snapshotHeader))
	return binary.LittleEndian.AppendUint64(dst, xxhash.Sum64(dst[start:]))
}

// Restore replaces the learned state by that of a snapshot. Damaged,
// truncated and newer data are refused with an error that says which, and
// leave the Engine as it was. Data that are none of that but were made to
// mislead are refused as well, or give an Engine that works.
func (e *Engine) Restore(data []byte) error {
	payload, err := openSnapshot(data)
	if err != nil {
		return fmt.Errorf("cannot restore: %w: %w", ErrSnapshot, err)
	}
	fresh, err := New(e.cfg)
	if err != nil {
		return err
	}
	c := sketch.NewReader(payload)
	c.U64(&fresh.seq)
	fresh.book.sync(c)
	fresh.master.sync(c)
	var n uint32
	c.U32(&n)
	for i := uint32(0); i < n && c.Err() == nil; i++ {
		m := newModel("", &e.cfg, fresh.book)
		m.sync(c)
		if _, twice := fresh.models[m.stream]; twice {
			c.Fail("got two models of stream %q", m.stream)
		}
		if c.Err() == nil {
			fresh.models[m.stream] = fresh.recent.PushFront(m)
		}
	}
	if err := c.Err(); err != nil {
		return fmt.Errorf("cannot restore: %w: %w", ErrSnapshot, err)
	}
	if rest := len(c.Bytes()); rest > 0 {
		return fmt.Errorf("cannot restore: %w: got %d bytes behind the last model; want none", ErrSnapshot, rest)
	}
	for len(fresh.models) > e.cfg.ModelsMax {
		fresh.evict(fresh.recent.Back())
	}
	e.adopt(fresh)
	return nil
}

// Open restores a snapshot to look at it: into an Engine whose limits are wide
// enough for that of any other.
func Open(data []byte) (*Engine, error) {
	cfg := DefaultConfig()
	cfg.ModelsMax, cfg.MemoryMax, cfg.TemplatesMax = 1<<20, 1<<40, templatesLimit
	e, err := New(cfg)
	if err != nil {
		return nil, err
	}
	return e, e.Restore(data)
}

// adopt takes over the models of a restored Engine; counts since New go on.
func (e *Engine) adopt(fresh *Engine) {
	e.models, e.recent, e.seq, e.last = fresh.models, fresh.recent, fresh.seq, nil
	fresh.book.mutes, fresh.book.muted, fresh.book.held = e.book.mutes, e.book.muted, e.book.held
	e.book, e.master = fresh.book, fresh.master
	for el := e.recent.Front(); el != nil; el = el.Next() {
		el.Value.(*model).cfg = &e.cfg
	}
}

// openSnapshot checks the frame and returns the payload.
func openSnapshot(data []byte) ([]byte, error) {
	if len(data) < snapshotHeader+snapshotSum {
		return nil, fmt.Errorf("got %d bytes; want at least %d", len(data), snapshotHeader+snapshotSum)
	}
	if !bytes.HasPrefix(data, []byte(snapshotMagic)) {
		return nil, fmt.Errorf("got %q at the start; want %q", data[:8], snapshotMagic)
	}
	if v := binary.LittleEndian.Uint32(data[8:]); v != snapshotVersion {
		return nil, fmt.Errorf("got version %d; want %d", v, snapshotVersion)
	}
	n := binary.LittleEndian.Uint64(data[12:])
	if want := uint64(len(data) - snapshotHeader - snapshotSum); n != want {
		return nil, fmt.Errorf("got a payload of %d bytes; want %d", want, n)
	}
	end := len(data) - snapshotSum
	got, want := xxhash.Sum64(data[:end]), binary.LittleEndian.Uint64(data[end:])
	if got != want {
		return nil, fmt.Errorf("got checksum %016x; want %016x", got, want)
	}
	return data[snapshotHeader:end], nil
}

// sync passes a model through c.
func (m *model) sync(c *sketch.Codec) {
	c.Str(&m.stream, streamMax)
	var state []byte
	if !c.Reading() {
		state = m.miner.AppendState(nil)
	}
	if c.Blob(&state, int(m.cfg.MemoryMax)); c.Reading() && c.Err() == nil {
		if rest, err := m.miner.ReadState(state); err != nil {
			c.Fail("stream %q: %w", m.stream, err)
		} else if len(rest) > 0 {
			c.Fail("stream %q: got %d bytes behind the miner's state; want none", m.stream, len(rest))
		}
	}
	m.clock.Sync(c)
	c.I64(&m.last)
	c.I64(&m.born)
	c.I32(&m.prev)
	c.U64(&m.seen)
	c.U64(&m.faded)
	sketch.List(c, &m.templates, templatesLimit, func(c *sketch.Codec, t *detect.Template) { t.Sync(c) })
	sketch.List(c, &m.names, templatesLimit, func(c *sketch.Codec, n *name) {
		c.U64(&n.id)
		c.Str(&n.text, textMax)
	})
	m.novelty.Sync(c)
	m.routes.Sync(c)
	m.severity.Sync(c)
	m.drift.Sync(c)
	m.params.Sync(c)
	m.order.Sync(c)
	m.pace.Sync(c)
	m.access.Sync(c)
	m.sessions.Sync(c, len(m.templates), 2*max(len(m.templates), m.access.Len()))
	m.loose.sync(c)
	m.told.sync(c)
	m.budget.sync(c)
	c.F64(&m.strange.minutes)
	c.I64(&m.strange.at)
	if c.Reading() && c.Err() == nil {
		m.check(c)
	}
}

// check finishes reading: what follows from the rest is computed, and places
// in other parts must exist.
func (m *model) check(c *sketch.Codec) {
	if len(m.names) != len(m.templates) {
		c.Fail("got %d names for %d templates", len(m.names), len(m.templates))
		return
	}
	if m.prev < -1 || int(m.prev) >= len(m.templates) {
		c.Fail("got a last template %d of %d", m.prev, len(m.templates))
		return
	}
	fits := func(s *detect.Slot) {
		if !m.params.Fits(s) {
			c.Fail("got a slot whose key is not counted")
		}
	}
	m.access.Slots(fits)
	m.deadlines = make([]int64, len(m.templates))
	for i := range m.templates {
		t := &m.templates[i]
		for j := range t.Slots {
			fits(&t.Slots[j])
		}
		if m.deadlines[i] = t.Gaps.Deadline(); m.deadlines[i] != 0 && (m.due == 0 || m.deadlines[i] < m.due) {
			m.due = m.deadlines[i]
		}
	}
}
