package detect

import (
	"math"

	"github.com/cespare/xxhash/v2"
	"github.com/logscope/logscope/engine/drain"
	"github.com/logscope/logscope/engine/sketch"
)

const (
	// slotsMax bounds the slots of a template that are looked at: 24 of some 400 bytes.
	slotsMax = 24
	// risingMemory is how many successive values tell a counter.
	risingMemory = 16
	// risingShare is the share of rises that makes a slot a counter or a clock.
	risingShare = 0.85
	// levelNets are the prefixes tested, coarse to fine: /8 and /16. A /24 is
	// reported where it is all that is new, but tells nothing where clients roam.
	levelNets = 2
)

// Slot is what is known of one variable position of one template.
type Slot struct {
	n      uint32
	rising float32
	last   float64
	values Category
	number *Numeric
	nets   *[levelNets]Category
	// key and netKey are the places of the slot's key in the pooled counts, plus one.
	key, netKey int16
	// Ident is how much the slot looks like a session identifier.
	Ident Ident
}

// counter tells whether the slot's numbers only ever grow.
func (t *Slot) counter() bool { return t.rising > risingShare }

// closed tells whether the slot's values come from a vocabulary so far.
func (t *Slot) closed() bool { return t.values.n > 0 && !t.values.open }

// Params are the tests of slots, with what they share over a model.
type Params struct {
	values, nets Closed
	numbers      Tail
	news         echoes
	points       []shadow // scratch of a tree that is grown
	// Settling says that the log has just changed: values that are new now came
	// with the change.
	Settling bool
}

// enumerable tells whether a parameter of this kind may come from a closed vocabulary.
func enumerable(p *drain.Param) bool {
	switch p.Kind {
	case drain.Time, drain.UUID, drain.IPv4, drain.IPv6:
		return false
	case drain.Number:
		return p.Num == math.Trunc(p.Num)
	}
	return len(p.Value) > 0
}

// Test tells what is surprising about a value of the slot.
func (s *Params) Test(t *Slot, p *drain.Param) (Code, float64) {
	if t.n == 0 {
		return None, 0
	}
	if p.Kind == drain.IPv4 {
		return s.testNet(t, p.Value)
	}
	if p.Kind == drain.Number && t.number != nil && !t.counter() {
		if claim := t.number.Surprise(p.Num); claim > 0 {
			return Outlier, s.numbers.Surprise(claim)
		}
	}
	if t.key == 0 || t.values.class() == 0 || !enumerable(p) || t.counter() {
		return None, 0
	}
	hash := xxhash.Sum64(p.Value)
	if t.values.Known(hash) || s.news.has(p, hash) {
		return None, 0
	}
	if p.Kind == drain.Number && (t.number != nil && t.number.Within(p.Num) || t.values.Neighbour(p.Num)) {
		return None, 0 // between or beside known numbers: a measure with few values so far
	}
	return NewValue, s.values.Surprise(&t.values, t.key-1) + t.values.alike(p)
}

// Learn counts a value of the slot; a surprise of told and more is a finding.
func (s *Params) Learn(t *Slot, p *drain.Param, told float64) {
	t.n++
	switch p.Kind {
	case drain.IPv4:
		s.learnNet(t, p, told)
		return
	case drain.Number:
		s.learnNumber(t, p.Num)
	}
	if t.values.open || !enumerable(p) {
		return
	}
	hash := xxhash.Sum64(p.Value)
	if t.key == 0 {
		t.key = s.values.Key(keyOf(p)) + 1
	}
	isNew := !t.values.Known(hash)
	if isNew && s.Settling && t.values.class() > 0 {
		s.news.add(p, hash)
	}
	s.values.Learn(&t.values, t.key-1, isNew, told)
	t.values.Learn(hash, p.Value)
}

func (s *Params) learnNumber(t *Slot, v float64) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return
	}
	if t.n > 1 && v != t.last {
		rise := float32(0)
		if v > t.last {
			rise = 1
		}
		t.rising += (rise - t.rising) / risingMemory
	}
	t.last = v
	if t.number == nil {
		t.number = NewNumeric()
	}
	if !t.counter() {
		s.numbers.Learn(t.number.Surprise(v))
	}
	t.number.Learn(v)
}

// keyOf is what slots whose values obey the same rules have in common: the
// name written before the value, else its letters up to the first digit.
func keyOf(p *drain.Param) uint64 {
	if len(p.Key) > 0 {
		return xxhash.Sum64(p.Key)
	}
	n := 0
	if p.Kind != drain.Word && p.Kind != drain.IPv4 {
		for n < len(p.Value) && (p.Value[n] < '0' || p.Value[n] > '9') {
			n++
		}
	}
	return xxhash.Sum64(p.Value[:n]) + uint64(p.Kind)
}

// prefix returns the first level+1 numbers of an IPv4 address.
func prefix(addr []byte, level int) []byte {
	for i, c := range addr {
		if c == '.' {
			if level == 0 {
				return addr[:i]
			}
			level--
		}
	}
	return addr
}

// Prefix returns the first 8 or 16 bits of an IPv4 address, as Network does.
func Prefix(addr []byte, bits int) []byte { return prefix(addr, bits/8-1) }

func (s *Params) testNet(t *Slot, addr []byte) (Code, float64) {
	if t.nets == nil || t.netKey == 0 {
		return None, 0
	}
	for level := range t.nets {
		k := &t.nets[level]
		if k.class() > 0 && !k.Known(xxhash.Sum64(prefix(addr, level))) {
			return NewNetwork, s.nets.Surprise(k, t.netKey-1)
		}
	}
	return None, 0
}

func (s *Params) learnNet(t *Slot, p *drain.Param, told float64) {
	if t.nets == nil {
		t.nets = new([levelNets]Category)
		t.netKey = s.nets.Key(keyOf(p)) + 1
	}
	for level := range t.nets {
		k := &t.nets[level]
		if k.open {
			continue
		}
		net := prefix(p.Value, level)
		hash := xxhash.Sum64(net)
		s.nets.Learn(k, t.netKey-1, !k.Known(hash), told)
		k.Learn(hash, net)
	}
}

// Values returns the vocabulary of the slot, for explanations.
func (t *Slot) Values() *Category { return &t.values }

// Number returns the distribution of the slot's numbers, nil where it has none.
func (t *Slot) Number() *Numeric { return t.number }

// Network returns the coarsest prefix of addr never seen in the slot and the
// vocabulary of prefixes of that length; its bits are 8 or 16.
func (t *Slot) Network(addr []byte) (pre []byte, known *Category, bits int) {
	for level := range t.nets {
		p := prefix(addr, level)
		if !t.nets[level].Known(xxhash.Sum64(p)) {
			return p, &t.nets[level], 8 * (level + 1)
		}
	}
	return addr, &t.nets[levelNets-1], 8 * levelNets
}

// Seen returns how many values were learned.
func (t *Slot) Seen() uint32 { return t.n }

// Bytes is roughly what the slot costs.
func (t *Slot) Bytes() int {
	n := 160 + 80*len(t.values.vals)
	if t.number != nil {
		n += 430
	}
	if t.nets != nil {
		n += 120 + 60*(len(t.nets[0].vals)+len(t.nets[1].vals))
	}
	return n
}

// Sync passes the state through c.
func (t *Slot) Sync(c *sketch.Codec) {
	c.U32(&t.n)
	c.F32(&t.rising)
	c.F64(&t.last)
	t.values.Sync(c)
	key, net := uint16(t.key), uint16(t.netKey)
	c.U16(&key)
	c.U16(&net)
	t.key, t.netKey = int16(key), int16(net)
	if c.Reading() && (key > closedKeysMax || net > closedKeysMax) {
		c.Fail("got key places %d and %d; want at most %d", key, net, closedKeysMax)
	}
	t.Ident.Sync(c)
	has := t.number != nil
	if c.Bool(&has); has {
		if t.number == nil {
			t.number = NewNumeric()
		}
		t.number.Sync(c)
	}
	has = t.nets != nil
	if c.Bool(&has); has {
		if t.nets == nil {
			t.nets = new([levelNets]Category)
		}
		for i := range t.nets {
			t.nets[i].Sync(c)
		}
	}
}

// Fits tells whether the slot's places are those of s, after both were read.
func (s *Params) Fits(t *Slot) bool {
	return t.key >= 0 && int(t.key) <= len(s.values.keys) && t.netKey >= 0 && int(t.netKey) <= len(s.nets.keys)
}

// Sync passes the state through c.
func (s *Params) Sync(c *sketch.Codec) {
	s.values.Sync(c)
	s.nets.Sync(c)
	s.numbers.Sync(c)
	s.news.sync(c)
}
