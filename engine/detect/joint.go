package detect

import (
	"math"
	"slices"

	"github.com/logscope/logscope/engine/drain"
	"github.com/logscope/logscope/engine/sketch"
)

const (
	// JointMax bounds the forests of a model, of at most jointBytes each: 0.8 MB.
	JointMax = 32
	// jointSlots bounds the numbers of a forest, jointCandidates those among which
	// they are looked for.
	jointSlots, jointCandidates = 3, 6
	// jointLeast is how many records a template has before its numbers are looked
	// at together; where nothing holds them together, it is when there are twice as many.
	jointLeast = 256
	// jointPoints is how many records are remembered, one in jointEvery once there
	// are so many: about the last 4,096.
	jointPoints, jointEvery = 512, 8
	// jointGrow is how many records pass until the trees are grown anew.
	jointGrow = 6144
	// jointConstant is the share of one value from which on a slot is no measure.
	jointConstant = 0.5
	// jointTrue is how many records say how deep they are, jointEdge percent of which are
	// odd; jointProbe how many put together of the numbers of different ones say what the trees are worth.
	jointTrue, jointEdge, jointProbe = 128, 2, 256
	// jointPower is the share of those put together that must be odd for the
	// numbers to go together at all, jointKeep where they did so before.
	jointPower, jointKeep = 0.07, 0.035
	// jointDoubt is which of the forests of numbers that went together is looked at again.
	jointDoubt = 4
	// jointNats is claimed for each cut that a record is less deep than jointDeep, where
	// usual ones are; the tail says what it is worth.
	jointDeep, jointNats = 9.0, 4.0
	// JointLook is the surprise from which on it is looked at which number is odd;
	// below, there is no Misfit.
	JointLook = 7.5
	// jointLooks is how many of the records tested may be looked at in that way,
	// jointLooksMost how many of them at once: some microseconds each.
	jointLooks, jointLooksMost = 1.0 / 256, 16
	// jointLooked is what a record that was looked at counts for in the tail: told
	// ones must not excuse others, and those that are odd for the trees only must not hide them.
	jointLooked = 0.25
	// cellBits makes room for 16 parts of each of three coordinates, cellWide is how
	// wide they are, and cellCrowd how many records make a cell crowded.
	cellBits, cellWide, cellCrowd = 12, 1100, 3
	// jointStale is the share of odd records from which on the numbers go together
	// in another way than they did, jointMemory how many records it is of.
	jointStale, jointMemory = 0.15, 256
	// rankScale makes ranks whole numbers, rankMost bounds them: one in 1,000.
	rankScale, rankMost = 8192, 3.1
	// rankUsual is the quantile of one in 100, either side: what is beyond is not usual by itself.
	rankUsual = 5272
	// lnNone stands for the logarithm of what has none: zero, and less.
	lnNone = -30
	// jointFloor is the least deviation of a number given the others that is believed in.
	jointFloor = 0.05
)

// What a Joint is doing.
const (
	jointFilling = iota // collects records
	jointGrowing        // grows a tree with each record
	jointReady
	jointStates
)

// Joint knows how the numbers of one template go together: an online isolation
// forest. A number is its rank among those of its slot, as a normal quantile, so
// that every rising relation is near a straight line. From each is taken what
// the others say of it, and the trees cut along what is left: across the
// relation, as oblique cuts do (Hariri and others, Extended Isolation Forest, IEEE
// TKDE 2021), where cuts along the axes hardly see it. The trees are grown from a
// sample of the last records again and again (Ding and Fei, IFAC ICONS 2013).
type Joint struct {
	state  uint8
	dims   uint8
	stage  uint8 // steps of growing done
	proven bool  // the numbers went together when it was last looked at
	slots  [jointCandidates]uint8
	filled uint16
	at     uint16
	lines  uint32 // since the trees were grown
	chance chance
	ring   []float32 // logarithms, dims for each record
	// shadows are the records as trees see them, once there are some.
	shadows []shadow
	// looks is how many records may be looked at more closely.
	looks float32
	ranks [jointSlots]rankTable
	// across turns quantiles into what the others do not say, less its last column.
	across [jointSlots][jointSlots + 1]float32
	trees  []tree
	usual  float32 // depth of the middle one of true records
	edge   float32 // and the one that jointEdge percent do not reach
	// crowded has a bit for each cell that holds several records: nobody is odd there.
	crowded [1 << cellBits / 8]uint8
	odd     uint16 // of those put together, so far
	stale   float32
	tail    Tail

	// of the record tested last, until it is learned
	tested      bool
	looked      bool
	claim, nats float64
	misfit      Misfit
}

// newJoint returns one for numbers of the given slots.
func newJoint(slots []uint8, seed uint64) *Joint {
	f := &Joint{dims: uint8(len(slots)), chance: chance(seed)}
	copy(f.slots[:], slots)
	f.ring = make([]float32, jointPoints*len(slots))
	return f
}

// JointDue tells whether it is time to look at how the template's numbers go together.
func (t *Template) JointDue() bool { return t.Joint == nil && t.Count >= max(t.jointAt, jointLeast) }

// Join starts to look, if there is room and there are two numbers that measure something.
func (t *Template) Join(room bool, seed uint64) {
	t.jointAt = 2 * t.Count
	var slots []uint8
	for i := range t.Slots {
		if t.Slots[i].measure() && len(slots) < jointCandidates {
			slots = append(slots, uint8(i))
		}
	}
	if len(slots) >= 2 && room {
		t.Joint = newJoint(slots, seed)
	}
}

// measure tells whether the slot's numbers may be sizes or times: no counters,
// no identifiers, no words of a few.
func (t *Slot) measure() bool {
	return t.number != nil && t.number.hist.Count() >= numericLeast && !t.counter() &&
		t.Ident.verdict(t.closed()) != identYes && (t.values.open || 2*t.values.n < t.n)
}

// TestJoint returns the surprise of the template's numbers together: how rarely
// one is so odd for the trees, but no more than how far one of the numbers lies from those that
// records with like other numbers have.
func (s *Params) TestJoint(t *Template, params []drain.Param) float64 {
	f := t.Joint
	var x [jointCandidates]float32
	if f.tested = false; f.state != jointReady || !f.read(t, params, &x) {
		return 0
	}
	for k := range f.dims {
		if x[k] > t.Slots[f.slots[k]].number.highest {
			return 0 // by itself: that is for Numeric to say
		}
	}
	var p shadow
	f.shade(&x, &p)
	for k := range f.dims {
		if max(p[k], -p[k]) > rankUsual {
			return 0
		}
	}
	f.tested, f.looked, f.claim, f.nats = true, false, 0, 0
	if f.crowded[place(&p)>>3]>>(place(&p)&7)&1 == 1 {
		return 0
	}
	f.claim = claimed(f.depth(&p, true))
	if f.nats = f.tail.Surprise(f.claim); f.nats < JointLook {
		return f.nats
	}
	if f.looks < 1 {
		f.nats = 0
		return 0
	}
	f.looked = true
	f.misfit = f.apart(&x)
	f.nats = min(f.nats, f.misfit.nats())
	return f.nats
}

// LearnJoint learns the record tested. Where nothing holds the numbers together, the forest goes.
func (s *Params) LearnJoint(t *Template, params []drain.Param) {
	f := t.Joint
	if f.tested {
		f.count()
	}
	keep := true
	switch f.state {
	case jointFilling:
		f.add(t, params)
		if f.filled == jointPoints {
			if keep = f.choose(t); keep {
				f.begin(t)
			}
		}
	case jointGrowing:
		keep = f.grow(&s.points)
	default:
		if f.chance.next()%jointEvery == 0 {
			f.add(t, params)
		}
		if f.lines++; f.lines >= jointGrow {
			f.begin(t)
		}
	}
	if !keep {
		t.Joint, t.jointAt = nil, 2*t.Count
	}
}

// count learns what was claimed of the record tested last.
func (f *Joint) count() {
	part := float32(1)
	f.looks = min(f.looks+jointLooks, jointLooksMost)
	if f.looked {
		part = jointLooked
		f.looks--
	}
	f.tested = false
	f.tail.add(f.claim, part)
	odd := float32(0)
	if f.claim > claimed(f.edge) {
		odd = 1
	}
	if f.stale += (odd - f.stale) / jointMemory; f.stale > jointStale {
		f.restart()
	}
}

// claimed turns a depth into nats. It is not that of usual records that counts:
// what is odd for trees grown anew must be as odd as it was for the ones before.
func claimed(depth float32) float64 { return max(0, float64(jointDeep-depth)*jointNats) }

// restart forgets the records; not how often it was wrong.
func (f *Joint) restart() {
	f.state, f.stage, f.filled, f.at, f.stale, f.tested = jointFilling, 0, 0, 0, 0, false
}

// read returns the logarithms of the record's numbers.
func (f *Joint) read(t *Template, params []drain.Param, x *[jointCandidates]float32) bool {
	for k := range f.dims {
		i := int(f.slots[k])
		if i >= len(params) || i >= len(t.Slots) || params[i].Kind != drain.Number || t.Slots[i].number == nil || t.Slots[i].counter() {
			return false
		}
		switch v := params[i].Num; {
		case v > 0 && v <= math.MaxFloat64:
			x[k] = float32(sketch.Ln(v))
		case v <= 0 && v >= -math.MaxFloat64:
			x[k] = lnNone
		default:
			return false
		}
	}
	return true
}

// add remembers the record in the place of the oldest one.
func (f *Joint) add(t *Template, params []drain.Param) {
	var x [jointCandidates]float32
	if !f.read(t, params, &x) {
		return
	}
	copy(f.ring[int(f.at)*int(f.dims):], x[:f.dims])
	if f.state == jointReady {
		f.shade(&x, &f.shadows[f.at])
	}
	f.at = (f.at + 1) % jointPoints
	f.filled = min(f.filled+1, jointPoints)
}

// point returns a record of the ring.
func (f *Joint) point(i int, x *[jointCandidates]float32) {
	copy(x[:], f.ring[i*int(f.dims):(i+1)*int(f.dims)])
}

// shade projects a record.
func (f *Joint) shade(x *[jointCandidates]float32, p *shadow) {
	var z [jointSlots]float32
	d := int(f.dims)
	for k := range d {
		z[k] = f.ranks[k].rank(x[k])
		p[k] = whole(z[k])
	}
	for k := range d {
		v := -f.across[k][jointSlots]
		for j := range d {
			v += f.across[k][j] * z[j]
		}
		p[jointSlots+k] = whole(v)
	}
}

// place is the cell that a record lies in: along one number, and what is left of the others.
func place(p *shadow) int {
	return side(p[0])<<8 | side(p[jointSlots+1])<<4 | side(p[jointSlots+2])
}

// side is one of sixteen parts of a coordinate, each of half a deviation; those at
// the ends hold all that is beyond.
func side(v int16) int { return min(max((int(v)+8*cellWide)/cellWide, 0), 15) }

// whole is a coordinate as trees have it.
func whole(v float32) int16 { return int16(shadowScale * min(max(v, -15.9), 15.9)) }

// depth returns the mean depth of a record; in a hurry, usual ones are let go after some trees.
func (f *Joint) depth(p *shadow, hurry bool) float32 {
	sum := float32(0)
	for i := range f.trees {
		if i%forestFirst == 0 && i > 0 && hurry && sum > float32(i)*(f.usual+f.edge)/2 {
			return jointDeep
		}
		sum += f.trees[i].depth(p)
	}
	return sum / forestTrees
}

// rankTable holds the normal quantiles of the ranks of a slot's numbers, at the
// lower edges of their bins.
type rankTable struct {
	at   [sketch.Bins + 1]int16
	none int16 // of what has no logarithm
}

// rank returns the normal quantile of a number's rank.
func (r *rankTable) rank(ln float32) float32 {
	if ln == lnNone {
		return float32(r.none) / rankScale
	}
	b, part := sketch.Place(float64(ln))
	low, high := float32(r.at[b]), float32(r.at[b+1])
	return (low + float32(part)*(high-low)) / rankScale
}

// ln returns the logarithm of the number that has a rank, lnNone where it has none.
func (r *rankTable) ln(rank float32) float64 {
	z := min(int16(rankScale*min(max(rank, -rankMost), rankMost)), r.at[sketch.Bins])
	if r.none > quantile(0) && z < r.at[0] {
		return lnNone
	}
	i, _ := slices.BinarySearch(r.at[:], z)
	if i == 0 { // below all: the lower end of the first bin that holds something
		for i < sketch.Bins && r.at[i+1] == r.at[0] {
			i++
		}
		return sketch.BinLow(i)
	}
	low, high := float64(r.at[i-1]), float64(r.at[i])
	return sketch.BinLow(i-1) + (float64(z)-low)/(high-low)*(sketch.BinLow(i)-sketch.BinLow(i-1))
}

// set takes the ranks from a slot's numbers, of which a share has no logarithm.
func (r *rankTable) set(n *Numeric, none float64) {
	r.none = quantile(none / 2)
	total, sum := float64(n.hist.Count())+1, 0.5
	for b := range r.at {
		r.at[b] = quantile(none + (1-none)*sum/total)
		if b < sketch.Bins {
			sum += float64(n.hist.In(b))
		}
	}
}

// quantile is the normal quantile of a rank.
func quantile(rank float64) int16 {
	z := math.Sqrt2 * math.Erfinv(2*rank-1)
	return int16(rankScale * min(max(z, -rankMost), rankMost))
}
