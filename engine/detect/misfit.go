package detect

import (
	"math"
	"slices"

	"github.com/logscope/logscope/engine/sketch"
)

const (
	// misfitNear is how many of the records remembered, those whose other numbers
	// are most alike, say what is usual beside them.
	misfitNear = 64
	// misfitEnds is the surprise of a number at an end of what eight in ten of these
	// have, misfitTail what it grows by with each such width beyond: the width is 2.56
	// deviations of a normal distribution, and the mean excess there 0.41.
	misfitEnds, misfitTail = 1.6, 6.2
	// misfitFar is what it costs that these are a deviation away, in widths.
	misfitFar = 0.3
	// misfitLeast is the least width, in deviations of what the others do not say.
	misfitLeast = 0.25
)

// Misfit is the number of a record that does not go with the others.
type Misfit struct {
	// Slot is where it stands, With where the others do; Others is how many.
	Slot   int
	With   [jointSlots - 1]int
	Others int
	// Low and High hold eight in ten of the numbers that come with others like these.
	Low, High float64
	// First is the first of the numbers that can be said not to go with the others, Less that
	// it is too low: too little in so long and too long for so little are one finding.
	First int
	Less  bool
	// beyond is how far outside the number lies, in widths.
	beyond float64
}

func (m *Misfit) nats() float64 { return misfitEnds + misfitTail*m.beyond }

// Misfit returns the number that does not go with the others in the record tested last.
func (f *Joint) Misfit() *Misfit { return &f.misfit }

// apart finds the number that lies farthest from those that records with like
// others have. What others say of it is taken out first, so that a few near ones are enough.
func (f *Joint) apart(x *[jointCandidates]float32) Misfit {
	var own shadow
	var near [jointSlots]neighbours
	var left [jointSlots][jointPoints]int16
	d := int(f.dims)
	f.shade(x, &own)
	for i := range jointPoints {
		p := &f.shadows[i]
		for k := range d {
			away := int32(0)
			for j := range d {
				if j != k {
					away = max(away, int32(p[j])-int32(own[j]), int32(own[j])-int32(p[j]))
				}
			}
			near[k].add(i, away)
			left[k][i] = p[jointSlots+k]
		}
	}
	m := Misfit{beyond: math.Inf(-1)}
	odd := 0
	for k := range d {
		l, h, far := near[k].usual(&left[k])
		v := f.left(k, x)
		beyond := float64(max(l-v, v-h)/max(h-l, misfitLeast) - misfitFar*far)
		low, high := f.back(k, x[k], l-v), f.back(k, x[k], h-v)
		if beyond > m.beyond && resolved(float64(x[k]), low, high) {
			odd, m.Low, m.High, m.beyond = k, number(low), number(high), beyond
		}
	}
	f.name(&m, &own, odd)
	return m
}

// left returns what the others do not say of a number, however much it is.
func (f *Joint) left(k int, x *[jointCandidates]float32) float32 {
	v := -f.across[k][jointSlots]
	for j := range int(f.dims) {
		v += f.across[k][j] * f.ranks[j].rank(x[j])
	}
	return v
}

// back returns the logarithm of the number that lies so many deviations of what the
// others do not say from another.
func (f *Joint) back(k int, ln, away float32) float64 {
	r := &f.ranks[k]
	return r.ln(r.rank(ln) + away/f.across[k][k])
}

// resolved tells whether a number is more than a bin away from a range: ranks within a bin are guesses.
func resolved(ln, low, high float64) bool {
	return max(low-ln, ln-high) > sketch.BinLow(1)-sketch.BinLow(0)
}

// number is what has a logarithm.
func number(ln float64) float64 {
	if ln <= lnNone {
		return 0
	}
	return math.Exp(ln)
}

// name fills in the slots, and what the finding goes by.
func (f *Joint) name(m *Misfit, own *shadow, odd int) {
	most := int16(0)
	for k := range int(f.dims) {
		if k != odd {
			m.With[m.Others] = int(f.slots[k])
			m.Others++
		} else {
			m.Slot = int(f.slots[k])
		}
		most = max(most, own[jointSlots+k], -own[jointSlots+k])
	}
	for k := range int(f.dims) {
		if v := own[jointSlots+k]; max(v, -v) >= most/2 {
			m.First, m.Less = int(f.slots[k]), v < 0
			return
		}
	}
}

// neighbours are the distances of the records remembered.
type neighbours struct {
	away  [jointPoints]uint8 // in steps, the last one and beyond
	count [256]uint16
}

// misfitStep is how far a step of the distance goes: a 32nd of a deviation.
const misfitStep = 64

// add takes a record's distance.
func (b *neighbours) add(i int, away int32) {
	s := uint8(min(away/misfitStep, 255))
	b.away[i] = s
	b.count[s]++
}

// usual returns what holds eight in ten of the values of the nearest records, and
// how far the last of these is away.
func (b *neighbours) usual(values *[jointPoints]int16) (low, high, far float32) {
	last, n := 0, int(b.count[0])
	for n < misfitNear {
		last++
		n += int(b.count[last])
	}
	var near [jointPoints]int16
	n = 0
	for i, s := range b.away {
		if int(s) <= last {
			near[n] = values[i]
			n++
		}
	}
	slices.Sort(near[:n])
	return float32(near[n/10]) / shadowScale, float32(near[n-1-n/10]) / shadowScale, float32(last*misfitStep) / shadowScale
}
