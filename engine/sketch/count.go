package sketch

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
