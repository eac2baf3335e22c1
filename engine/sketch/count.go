package sketch

import "math"

// Decayed is a sum that halves every Half units of whatever At counts
// (nanoseconds, records). Exact up to rounding: the age is applied when the
// sum is touched.
type Decayed struct {
	Sum float64
	At  float64
}

// Add ages the sum to at and adds v. A moment before the last one counts as
// the last one.
func (d *Decayed) Add(at, half, v float64) {
	d.Sum = d.Value(at, half) + v
	if at > d.At {
		d.At = at
	}
}

// Value returns the sum as of at.
func (d *Decayed) Value(at, half float64) float64 {
	if at <= d.At {
		return d.Sum
	}
	return d.Sum * math.Exp2((d.At-at)/half)
}

// Sync passes the state through c.
func (d *Decayed) Sync(c *Codec) {
	c.F64(&d.Sum)
	c.F64(&d.At)
}

// GoodTuring estimates how likely the next observation is of a kind never
// seen before (Good, Biometrika 1953): the share of kinds seen exactly once.
// The caller holds each kind's count and says what it was before.
type GoodTuring struct {
	// N is the number of observations, N1 of kinds seen once.
	N, N1 float64
}

// Observe counts an observation of a kind that was seen before times already.
func (g *GoodTuring) Observe(before uint32) {
	g.N++
	switch before {
	case 0:
		g.N1++
	case 1:
		g.N1 = max(0, g.N1-1)
	}
}

// Mass returns the probability that the next observation is of a new kind,
// (N1 + 1/2) / (N + 1).
func (g *GoodTuring) Mass() float64 { return (g.N1 + 0.5) / (g.N + 1) }

// Sync passes the state through c.
func (g *GoodTuring) Sync(c *Codec) {
	c.F64(&g.N)
	c.F64(&g.N1)
}
