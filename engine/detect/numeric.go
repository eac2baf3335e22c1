package detect

import (
	"math"

	"github.com/logscope/logscope/engine/sketch"
)

const (
	// numericLeast is how many values must be known before one can be an outlier.
	numericLeast = 30
	// numericRefresh is how many values pass between two fits of the tail.
	numericRefresh = 64
	// numericQuantile is where the tail begins.
	numericQuantile = 0.90
	// numericPrior and numericPriorWeight shrink the mean excess of few values
	// towards ln(1.3), so that a small sample does not claim a thin tail.
	numericPrior, numericPriorWeight = 0.26, 3.0
	// numericFloor is the thinnest tail believed in, in ln units.
	numericFloor = 0.08
)

// Numeric knows the distribution of one numeric slot on a logarithmic scale: a
// sketch for the body, and beyond its 90% quantile an exponential tail (the
// peaks-over-threshold model with shape 0), whose scale is the mean excess.
type Numeric struct {
	hist sketch.LogHist
	// edge is where the tail begins (ln), excess the mean excess beyond it.
	edge, excess float32
	// highest is the largest value learned, ln.
	highest float32
	// negative and zero count such values: neither has a logarithm.
	negative, zero uint32
	fresh          uint16
	// doubt counts the values that have a thicker tail after a change of the log.
	doubt uint8
}

// Surprise is that of a value: how far out in the upper tail it is.
func (m *Numeric) Surprise(v float64) float64 {
	if m.hist.Count() < numericLeast || v <= 0 {
		return 0
	}
	ln := sketch.Ln(v)
	if ln <= float64(m.edge) || ln <= float64(m.highest) {
		return 0
	}
	beyond := (ln - float64(m.edge)) / float64(m.excess)
	if m.doubt > 0 {
		beyond /= 2
	}
	return min(NatsMax, beyond+2.302585092994046)
}

// Learn counts a value; one far beyond the tail is learned at the point of one
// in a million, so that an outlier widens the tail but does not become it.
func (m *Numeric) Learn(v float64) {
	switch {
	case v == 0:
		m.zero++
		return
	case v < 0:
		m.negative++
		return
	}
	ln := sketch.Ln(v)
	if m.doubt > 0 {
		m.doubt--
	}
	if m.hist.Count() >= numericLeast {
		ln = min(ln, float64(m.edge)+12*float64(m.excess))
	}
	m.hist.Add(ln)
	if n := m.hist.Count(); n == 1 || float32(ln) > m.highest {
		m.highest = float32(ln)
	}
	m.fresh++
	if n := m.hist.Count(); m.fresh >= numericRefresh || n <= numericRefresh && n >= numericLeast/2 {
		m.fit()
	}
}

// fit sets the tail anew from the sketch.
func (m *Numeric) fit() {
	m.fresh = 0
	edge := m.hist.Quantile(numericQuantile)
	excess, weight := m.hist.Excess(edge)
	excess = (excess*weight + numericPrior*numericPriorWeight) / (weight + numericPriorWeight)
	m.edge, m.excess = float32(edge), float32(max(excess, numericFloor))
}

// Usual returns the median, the edge of the upper tenth and the highest value seen.
func (m *Numeric) Usual() (median, edge, highest float64, known int) {
	return math.Exp(m.hist.Quantile(0.5)), math.Exp(float64(min(m.edge, m.highest))), math.Exp(float64(m.highest)), m.hist.Count()
}

// Sync passes the state through c.
func (m *Numeric) Sync(c *sketch.Codec) {
	m.hist.Sync(c)
	c.F32(&m.edge)
	c.F32(&m.excess)
	c.F32(&m.highest)
	c.U32(&m.negative)
	c.U32(&m.zero)
	c.U16(&m.fresh)
	c.U8(&m.doubt)
	if c.Reading() && m.hist.Count() >= numericLeast && m.excess <= 0 {
		c.Fail("got a tail of scale %v; want more than 0", m.excess)
	}
}

// Within tells whether v lies among the values seen.
func (m *Numeric) Within(v float64) bool {
	if v == 0 {
		return m.zero > 0
	}
	return v > 0 && m.hist.Count() > 0 && sketch.Ln(v) <= float64(m.highest)
}
