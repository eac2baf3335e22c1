package detect

import (
	"math"
	"unsafe"

	"github.com/logscope/logscope/engine/sketch"
)

// chain is a list of sessions, the one longest without a record first; its
// links are in the sessions. -1 is the end.
type chain struct{ oldest, newest int32 }

func (l *chain) sync(c *sketch.Codec) {
	c.I32(&l.oldest)
	c.I32(&l.newest)
}

// NewSessions returns a Sessions that knows none.
func NewSessions() Sessions {
	return Sessions{index: make(map[uint64]int32), done: chain{-1, -1}, primary: -1}
}

func (s *Sessions) chainOf(ses *session) *chain {
	if ses.settled {
		return &s.done
	}
	return &s.flows[ses.flow].open
}

// link puts a session at the new end of its list.
func (s *Sessions) link(n int32) {
	ses := &s.pool[n]
	l := s.chainOf(ses)
	ses.prev, ses.next = l.newest, -1
	if l.newest >= 0 {
		s.pool[l.newest].next = n
	} else {
		l.oldest = n
	}
	l.newest = n
}

func (s *Sessions) unlink(n int32) {
	ses := &s.pool[n]
	l := s.chainOf(ses)
	if ses.prev >= 0 {
		s.pool[ses.prev].next = ses.next
	} else {
		l.oldest = ses.next
	}
	if ses.next >= 0 {
		s.pool[ses.next].prev = ses.prev
	} else {
		l.newest = ses.prev
	}
}

// share turns a surprise into a probability.
func share(surprise float64) float64 { return math.Exp(-surprise) }

// Due tells whether a session has been idle for long enough to be settled.
func (s *Sessions) Due(now int64) bool {
	for i := range s.flows {
		f := &s.flows[i]
		if o := f.open.oldest; o >= 0 && now-s.pool[o].last > f.idle {
			return true
		}
	}
	return false
}

// Settle takes one session that is due, learns it and tells whether it is odd
// (Odd.Nats at least threshold) and whether there are more. At the end of
// input, a third of the idle time is enough.
func (s *Sessions) Settle(now int64, templates []Template, threshold float64, end bool) (odd Odd, more bool) {
	for i := range s.flows {
		f := &s.flows[i]
		idle := f.idle
		if end {
			idle /= 3
		}
		if o := f.open.oldest; o >= 0 && now-s.pool[o].last > idle {
			return s.settle(o, templates, threshold), true
		}
	}
	return odd, false
}

func (s *Sessions) settle(n int32, templates []Template, threshold float64) (odd Odd) {
	ses := &s.pool[n]
	f := &s.flows[ses.flow]
	s.unlink(n)
	verdict := identNo
	if int(ses.template) < len(templates) {
		if t := &templates[ses.template]; int(ses.slot) < len(t.Slots) {
			verdict = t.Slots[ses.slot].Ident.verdict(t.Slots[ses.slot].closed())
		}
	}
	if verdict != identYes {
		delete(s.index, ses.hash)
		*ses = session{prev: -1, next: -1}
		s.free = append(s.free, n)
		return odd
	}
	ses.settled = true
	s.link(n)
	if ses.primary*2 < ses.events {
		return odd
	}
	sum, step, because, surprise := s.absent(f, ses)
	if total := float64(ses.sum) + sum; !ses.told && total >= f.cut && f.known() >= flowLeast {
		odd = ses.odd(Unexpected, total/f.cut*threshold, -1, -1, surprise)
		if odd.Known = f.known(); step >= 0 {
			odd.Missing, odd.Step, odd.Because = true, int(f.steps[step]), int(f.steps[because])
		}
		ses.told = true
	}
	f.calibrate(float64(ses.sum)+sum, float64(ses.disorder))
	f.learn(ses.have(), ses.told)
	return odd
}

// absent sums the surprises of the steps that the session lacks and returns
// the largest one with its step and the step that speaks for it.
func (s *Sessions) absent(f *Flow, ses *session) (sum float64, step, because int, surprise float64) {
	step, because = -1, -1
	if f.known() < flowLeast {
		return
	}
	for j, t := range f.steps {
		if t < 0 || ses.has(int(t)) {
			continue
		}
		m, b := f.missing(j, ses.have())
		sum += excess(m)
		if m > surprise {
			surprise, step, because = m, j, b
		}
	}
	return
}

// Forget takes a template out of all flows: its cluster was evicted.
func (s *Sessions) Forget(template int) {
	for i := range s.flows {
		s.flows[i].forget(template)
	}
}

// Bytes is roughly what the sessions cost.
func (s *Sessions) Bytes() int {
	// An identifier's text and its place in the index are some 64 bytes.
	n := cap(s.pool)*int(unsafe.Sizeof(session{})) + 64*len(s.index) + 4*cap(s.free)
	for i := range s.flows {
		f := &s.flows[i]
		n += 12*f.before.k*f.before.k + 4*cap(f.steps) + 2*cap(f.local) + 4*(cap(f.present)+cap(f.presentRecent)+cap(f.settled.steps)+cap(f.recent.steps))
	}
	return n + cap(s.flows)*int(unsafe.Sizeof(Flow{}))
}

// Count returns how many sessions are remembered.
func (s *Sessions) Count() int { return len(s.index) }

func (e *session) sync(c *sketch.Codec) {
	c.U64(&e.hash)
	c.Str(&e.id, sessionIDMax)
	u := uint16(e.flow)
	c.U16(&u)
	e.flow = int16(u)
	c.U8(&e.nsteps)
	c.U8(&e.earlier)
	c.Bool(&e.told)
	c.Bool(&e.settled)
	c.I32(&e.template)
	c.U8(&e.slot)
	c.I32(&e.prev)
	c.I32(&e.next)
	c.I64(&e.first)
	c.I64(&e.last)
	c.U64(&e.seq)
	c.U32(&e.events)
	c.U32(&e.primary)
	c.F32(&e.sum)
	c.F32(&e.disorder)
	c.F32(&e.slip)
	if e.nsteps > sessionSteps || e.earlier > e.nsteps {
		c.Fail("got a session of %d steps, %d of them earlier; want at most %d", e.nsteps, e.earlier, sessionSteps)
		e.nsteps = 0
	}
	for i := range e.steps[:e.nsteps] {
		c.I32(&e.steps[i].template)
		c.U32(&e.steps[i].n)
	}
}

// Sync passes the state through c; the model has so many templates, and steps below limit.
func (s *Sessions) Sync(c *sketch.Codec, templates, limit int) {
	sketch.List(c, &s.flows, flowsMax, func(c *sketch.Codec, f *Flow) {
		if c.Reading() {
			*f = newFlow(0)
		}
		f.sync(c, limit)
	})
	sketch.List(c, &s.pool, sessionsMax, func(c *sketch.Codec, e *session) { e.sync(c) })
	sketch.List(c, &s.free, sessionsMax, func(c *sketch.Codec, v *int32) { c.I32(v) })
	s.done.sync(c)
	if c.Reading() && c.Err() == nil {
		s.rebuild(c, templates, limit)
	}
}

// rebuild makes the index anew and checks every link: each place of the pool
// must be in exactly one list or free.
func (s *Sessions) rebuild(c *sketch.Codec, templates, limit int) {
	s.index = make(map[uint64]int32, len(s.pool))
	seen := make([]bool, len(s.pool))
	visit := func(n int32) bool {
		if n < 0 || int(n) >= len(seen) || seen[n] {
			c.Fail("got a broken list of sessions at %d", n)
			return false
		}
		seen[n] = true
		return true
	}
	for _, n := range s.free {
		if !visit(n) {
			return
		}
	}
	walk := func(l chain, flow int) {
		prev := int32(-1)
		for n := l.oldest; n != -1; prev, n = n, s.pool[n].next {
			if !visit(n) {
				return
			}
			e := &s.pool[n]
			ok := e.prev == prev && int(e.flow) < len(s.flows) && e.flow >= 0 && e.settled == (flow < 0) && int(e.template) < templates && e.template >= 0
			if ok && flow >= 0 {
				ok = int(e.flow) == flow
			}
			for _, st := range e.have() {
				ok = ok && st.template >= 0 && int(st.template) < limit
			}
			if !ok {
				c.Fail("got a session that does not fit its list")
				return
			}
			s.index[e.hash] = n
		}
		if prev != l.newest {
			c.Fail("got a list of sessions that ends at %d; want %d", prev, l.newest)
		}
	}
	walk(s.done, -1)
	for i := range s.flows {
		walk(s.flows[i].open, i)
	}
	for n := range seen {
		if !seen[n] {
			c.Fail("got session %d in no list", n)
			return
		}
	}
}
