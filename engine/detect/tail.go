package detect

import (
	"math"

	"github.com/logscope/logscope/engine/sketch"
)

const (
	// tailBins of half a nat reach 40 nats, p = 4e-18.
	tailBins = 80
	// tailFull is the count at which everything is halved.
	tailFull = 400_000
)

// Tail calibrates a detector: it counts how often a surprise as large as this
// one came out of it, on this log, and so turns what a model claims into what
// it keeps. A detector whose assumptions fail on a log silences itself there.
// 660 bytes.
type Tail struct {
	bins [tailBins]float32
	n    float64
}

func tailBin(s float64) int {
	if !(s > 0) {
		return 0
	}
	return min(int(s*2), tailBins-1)
}

// Surprise returns the smaller of the claimed surprise and the one earned:
// -ln of the share of tests that came out as large, plus a twentieth of the
// claim beyond it, which keeps the order of the claims.
func (t *Tail) Surprise(claimed float64) float64 {
	if claimed <= 0 {
		return 0
	}
	p := (t.above(claimed) + 0.5) / (t.n + 1)
	if p <= tailShares[tailBin(claimed)] {
		return claimed // whatever the logarithm is
	}
	earned := nats(p)
	if claimed <= earned {
		return claimed
	}
	return earned + (claimed-earned)/20
}

// Learn counts a test and what it claimed.
func (t *Tail) Learn(claimed float64) { t.add(claimed, 1) }

// add counts a part of a test.
func (t *Tail) add(claimed float64, part float32) {
	t.bins[tailBin(claimed)] += part
	t.n += float64(part)
	if t.n >= tailFull {
		t.n = 0
		for i := range t.bins {
			t.bins[i] /= 2
			t.n += float64(t.bins[i])
		}
	}
}

// Tests is the number of tests remembered.
func (t *Tail) Tests() float64 { return t.n }

// Share is the share of remembered tests that claimed at least as much.
func (t *Tail) Share(claimed float64) float64 {
	return t.above(claimed) / max(1, t.n)
}

// above is the number of remembered tests that claimed at least as much; it adds up the shorter side.
func (t *Tail) above(claimed float64) float64 {
	from, sum := tailBin(claimed), 0.0
	if from < tailBins/2 {
		for _, n := range t.bins[:from] {
			sum += float64(n)
		}
		return max(0, t.n-sum)
	}
	for _, n := range t.bins[from:] {
		sum += float64(n)
	}
	return sum
}

// tailShares are the shares at the upper ends of the bins.
var tailShares = func() (t [tailBins]float64) {
	for i := range t {
		t[i] = math.Exp(-float64(i+1) / 2)
	}
	t[tailBins-1] = 0 // it has no upper end
	return t
}()

// Sync passes the state through c.
func (t *Tail) Sync(c *sketch.Codec) {
	for i := range t.bins {
		c.F32(&t.bins[i])
	}
	c.F64(&t.n)
}
