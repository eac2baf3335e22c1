package detect

import (
	"bytes"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/logscope/logscope/engine/drain"
)

const (
	// sessionsMax bounds the sessions remembered by a model, 352 bytes each.
	sessionsMax = 8192
	// sessionSteps bounds the distinct templates of one session; later ones are
	// not looked at.
	sessionSteps = 32
	// flowsMax bounds the kinds of sessions of a model.
	flowsMax = 24
	// hitsMax bounds the identifiers looked at in one record.
	hitsMax = 12
	// sessionIdleLeast and sessionIdleMost bound the idle time after which a
	// session has settled. Ten minutes: what comes later is looked at too, but
	// nobody should wait longer for the word that something is missing.
	sessionIdleLeast, sessionIdleMost = 2 * Second, 600 * Second
	// shortest is the least length of an identifier with a single digit and no separator.
	shortest  = 8
	slabBytes = 512
	// sessionIDMax is the longest identifier.
	sessionIDMax = 128
)

// step is a template within a session.
type step struct {
	template int32
	n        uint32
}

// session is the records that share an identifier.
type session struct {
	hash   uint64
	id     string
	flow   int16
	nsteps uint8
	// earlier counts the steps that came before the moment of the last record.
	earlier uint8
	told    bool
	// settled says that the session fell idle and was learned.
	settled bool
	// template and slot are where the identifier was met first.
	template    int32
	slot        uint8
	prev, next  int32
	first, last int64
	seq         uint64
	events      uint32
	// primary counts the records in which no larger kind of session had a part.
	primary uint32
	// sum is that of the surprises beyond flowFree so far, disorder the largest of
	// its kind and slip that of loose pairs.
	sum, disorder, slip float32
	steps               [sessionSteps]step
}

func (s *session) have() []step { return s.steps[:s.nsteps] }

// before is how many of the steps came before now.
func (s *session) before(now int64) int {
	if now == s.last {
		return int(s.earlier)
	}
	return int(s.nsteps)
}

func (s *session) has(template int) bool {
	for i := range s.steps[:s.nsteps] {
		if int(s.steps[i].template) == template {
			return true
		}
	}
	return false
}

// hit is an identifier found in a record.
type hit struct {
	hash    uint64
	value   []byte
	session int32 // -1: not met before
	flow    int16 // -1: none yet
	slot    uint8
	key     uint64
}

// Sessions finds the identifiers of a stream, groups its records by them and
// tells which groups are odd.
type Sessions struct {
	pool  []session
	free  []int32
	index map[uint64]int32
	flows []Flow
	// done lists the settled sessions.
	done chain
	slab *strings.Builder // of identifiers
	hits []hit            // scratch of the record being looked at
	// primary is the hit that names the record's session, -1 for none.
	primary int
}

// Odd is a finding about a session.
type Odd struct {
	ID string
	// Nats is calibrated so that Cut of the flow is the threshold given to Test.
	Finding
	// Step is the template concerned, Because the one that makes it odd; -1 for none.
	Step, Because int
	// Share is how often such sessions are like this one in that respect.
	Share float64
	// Events, First and Last describe the session.
	Events      uint32
	First, Last int64
	Seq         uint64
	// Missing says that Step is absent.
	Missing bool
	Known   float64
}

// identifier returns the part of a parameter that may name a session.
func identifier(p *drain.Param) []byte {
	v := p.Value
	switch p.Kind {
	case drain.Path:
		i := len(v) - 1
		for i >= 0 && v[i] != '/' {
			i--
		}
		if v = v[i+1:]; len(v) < 8 {
			return nil
		}
	case drain.Quoted:
		for len(v) > 0 && (v[0] == '"' || v[0] == '\'') {
			v = v[1:]
		}
		for len(v) > 0 && (v[len(v)-1] == '"' || v[len(v)-1] == '\'') {
			v = v[:len(v)-1]
		}
		if bytes.Contains(v, []byte("://")) {
			return nil // an address is a place that many come from
		}
	case drain.Number:
		if len(v) < 5 {
			return nil
		}
	case drain.ID, drain.UUID, drain.Hex:
	default:
		return nil
	}
	if len(v) < 4 || len(v) > sessionIDMax {
		return nil
	}
	digits := 0
	for i, c := range v {
		if c >= '0' && c <= '9' {
			if digits++; digits > 1 && p.Kind != drain.Number {
				if bytes.IndexByte(v[i:], ' ') >= 0 {
					return nil
				}
				break
			}
		} else if c == ' ' || p.Kind == drain.Number && (c != '-' || i > 0) {
			return nil // "250ms" and "1.5" measure, they name nothing
		}
	}
	if digits == 0 || digits == 1 && len(v) < shortest && !bytes.ContainsAny(v, "-_:#") {
		return nil // "ssh2" names a protocol, "job-1" a job
	}
	return v
}

// shape is the hash of what identifiers of one kind have in common: the
// letters before the first separator, or how they are written.
func shape(v []byte) uint64 {
	for i, c := range v {
		switch {
		case c == '-' && i == 8, c >= '0' && c <= '9':
			return 1 // digits, hexadecimal, UUIDs
		case c == '-' || c == '_' || c == ':':
			return xxhash.Sum64(v[:i+1])
		}
	}
	return 1
}

// Look finds the identifiers of a record; Test and Learn go by what it found.
func (s *Sessions) Look(params []drain.Param, t *Template) {
	s.hits, s.primary = s.hits[:0], -1
	best := -1
	for i := range min(len(params), len(t.Slots)) {
		slot := &t.Slots[i]
		verdict := slot.Ident.verdict(slot.closed())
		if verdict == identNo {
			continue
		}
		v := identifier(&params[i])
		if v == nil || len(s.hits) == hitsMax {
			continue
		}
		h := hit{hash: xxhash.Sum64(v), value: v, session: -1, flow: -1, slot: uint8(i), key: shape(v)}
		if h.key == 1 && len(params[i].Key) > 0 {
			h.key = xxhash.Sum64(params[i].Key) // digits look alike: go by their name
		}
		if n, ok := s.index[h.hash]; ok {
			h.session, h.flow = n, s.pool[n].flow
		} else {
			h.flow = s.flow(h.key)
		}
		// A template too rare to judge by itself may still name a known session.
		named := verdict == identYes || h.session >= 0 && s.pool[h.session].primary > 0
		if named && h.flow >= 0 && len(s.flows[h.flow].steps) > best {
			best, s.primary = len(s.flows[h.flow].steps), len(s.hits)
		}
		s.hits = append(s.hits, h)
	}
}

// Named tells whether the record names a session.
func (s *Sessions) Named() bool { return s.primary >= 0 }

// ID returns the identifier of the session that the record belongs to.
func (s *Sessions) ID() string {
	if s.primary >= 0 {
		if h := &s.hits[s.primary]; h.session >= 0 {
			return s.pool[h.session].id
		}
	}
	return ""
}

func (s *Sessions) flow(key uint64) int16 {
	for i := range s.flows {
		if s.flows[i].key == key {
			return int16(i)
		}
	}
	return -1
}

// Test tells what the record, as the given step, makes of its session. severity is added to the
// surprise of a template that is not usual in such sessions; orderCut is the
// calibrated surprise from which disorder is odd, threshold what both come out
// as. Disorder of a loose pair must besides be as rare as threshold says.
func (s *Sessions) Test(step int, severity, orderCut, threshold float64, now int64) (odd Odd) {
	if s.primary < 0 {
		return odd
	}
	flow := s.hits[s.primary].flow
	f := &s.flows[flow]
	at := f.step(step)
	for i := range s.hits {
		h := &s.hits[i]
		if h.flow != flow || h.session < 0 {
			continue
		}
		ses := &s.pool[h.session]
		if ses.told || ses.has(step) {
			continue
		}
		surprise := f.unexpected(at)
		if surprise > flowFree {
			surprise += severity
		}
		if sum := float64(ses.sum) + excess(surprise); surprise > flowFree {
			if n := sum / f.cut * threshold; n > odd.Nats {
				odd = ses.odd(Unexpected, n, step, -1, surprise)
			}
		}
		d := f.disorder(at, ses.have(), ses.before(now))
		if d.firm > float64(ses.disorder) {
			if n := f.orders.Surprise(d.firm) / orderCut * threshold; n > odd.Nats {
				odd = ses.odd(Disorder, n, step, int(f.steps[d.firmBecause]), d.firm)
			}
		}
		if d.loose > float64(ses.slip) {
			if n := min(d.loose/orderCut*threshold, f.slipped.surprise()); n > odd.Nats {
				odd = ses.odd(Disorder, n, step, int(f.steps[d.looseBecause]), d.loose)
			}
		}
	}
	odd.Known = f.known()
	return odd
}

// Tell notes that the odd session was reported.
func (s *Sessions) Tell(id string) {
	if n, ok := s.index[xxhash.Sum64String(id)]; ok {
		s.pool[n].told = true
	}
}

// Learn adds the record to its sessions: as the given step, its identifiers
// in the slots of the given template.
func (s *Sessions) Learn(template, step int, templates []Template, severity float64, now int64, seq uint64) {
	for i := range templates[template].Slots {
		if slot := &templates[template].Slots[i]; slot.Ident.verdict(slot.closed()) == identNo {
			slot.Ident.skip()
		}
	}
	for i := range s.hits {
		h := &s.hits[i]
		slot := &templates[template].Slots[h.slot]
		if h.session < 0 { // the same identifier may have come twice in the record
			if n, ok := s.index[h.hash]; ok {
				h.session = n
			}
		}
		if h.session < 0 {
			slot.Ident.see(false, false)
			s.begin(h, template, now)
		} else {
			ses := &s.pool[h.session]
			linked := ses.nsteps > 1 || int(ses.template) != template
			if heavy := ses.events > identHeavy; linked || heavy {
				// A value that only came back in its own template so far says
				// nothing yet: the first step of a session may come in threes.
				slot.Ident.see(linked, heavy)
			}
			if linked && ses.nsteps == 1 && int(ses.template) < len(templates) {
				if home := &templates[ses.template]; int(ses.slot) < len(home.Slots) {
					home.Slots[ses.slot].Ident.credit()
				}
			}
		}
		if h.session >= 0 {
			s.event(h, i == s.primary || s.primary >= 0 && h.flow == s.hits[s.primary].flow, step, severity, now, seq)
		}
	}
}

// begin opens a session for an identifier not met before.
func (s *Sessions) begin(h *hit, template int, now int64) {
	if h.flow < 0 {
		// An earlier identifier of the record may have made it.
		if h.flow = s.flow(h.key); h.flow < 0 {
			h.flow = s.newFlow(h.key)
		}
		if h.flow < 0 {
			return
		}
	}
	n := s.room()
	s.pool[n] = session{hash: h.hash, id: s.keep(h.value), flow: h.flow, template: int32(template), slot: h.slot,
		first: now, last: now, prev: -1, next: -1}
	if s.index == nil {
		s.index = make(map[uint64]int32)
	}
	s.index[h.hash] = n
	h.session = n
	s.link(n)
}

// keep copies an identifier into the running slab: one allocation for some 20
// sessions. A slab lives as long as one of them.
func (s *Sessions) keep(id []byte) string {
	if s.slab == nil || s.slab.Cap()-s.slab.Len() < len(id) {
		s.slab = new(strings.Builder)
		s.slab.Grow(max(slabBytes, len(id)))
	}
	from := s.slab.Len()
	s.slab.Write(id)
	return s.slab.String()[from:]
}

// newFlow returns a place for a new kind of session: one that turned out to be
// none is reused; -1 where there is no room.
func (s *Sessions) newFlow(key uint64) int16 {
	for i := range s.flows {
		if f := &s.flows[i]; f.settled.total == 0 && f.open.oldest < 0 {
			*f = newFlow(key)
			return int16(i)
		}
	}
	if len(s.flows) == flowsMax {
		return -1
	}
	s.flows = append(s.flows, newFlow(key))
	return int16(len(s.flows) - 1)
}

// Len is the number of sessions followed, those that ended lately included.
func (s *Sessions) Len() int { return len(s.pool) - len(s.free) }

// room returns a free place in the pool: a new one, or that of the session
// that was longest without a record, which by then has settled long ago or
// belongs to a kind that never does.
func (s *Sessions) room() int32 {
	if n := len(s.free); n > 0 {
		place := s.free[n-1]
		s.free = s.free[:n-1]
		return place
	}
	if len(s.pool) < sessionsMax {
		s.pool = append(s.pool, session{})
		return int32(len(s.pool) - 1)
	}
	victim := s.done.oldest
	for i := range s.flows {
		if s.done.oldest >= 0 {
			break
		}
		if o := s.flows[i].open.oldest; o >= 0 && (victim < 0 || s.pool[o].last < s.pool[victim].last) {
			victim = o
		}
	}
	s.unlink(victim)
	delete(s.index, s.pool[victim].hash)
	return victim
}

// event adds a record to a session.
func (s *Sessions) event(h *hit, primary bool, template int, severity float64, now int64, seq uint64) {
	ses := &s.pool[h.session]
	f := &s.flows[ses.flow]
	if ses.events > 0 && now > ses.last {
		f.learnGap(now - ses.last)
	}
	ses.earlier = uint8(ses.before(now))
	ses.last, ses.seq = now, seq
	ses.events++
	if primary {
		ses.primary++
	}
	s.unlink(h.session)
	s.link(h.session)
	for i := range ses.have() {
		if st := &ses.steps[i]; int(st.template) == template {
			st.n++
			return
		}
	}
	at := f.step(template)
	if surprise := f.unexpected(at); surprise > flowFree {
		ses.sum += float32(excess(surprise + severity))
	}
	d := f.disorder(at, ses.have(), int(ses.earlier))
	f.learnDisorder(ses, &d)
	if ses.settled && ses.primary*2 >= ses.events {
		f.late(template, ses.have())
	}
	if ses.nsteps < sessionSteps {
		ses.steps[ses.nsteps] = step{int32(template), 1}
		ses.nsteps++
	}
}

func (s *session) odd(code Code, n float64, template, because int, surprise float64) Odd {
	return Odd{ID: s.id, Finding: Finding{Code: code, Nats: n}, Step: template, Because: because,
		Share: share(surprise), Events: s.events, First: s.first, Last: s.last, Seq: s.seq}
}
