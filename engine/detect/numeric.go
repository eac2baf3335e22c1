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
	// numericSettled is how many values beyond the edge must have come after a
	// change of the log until the tail is as certain as before. Until then those
	// count, and no others: all of them may have grown.
	numericSettled = 64
	// numericFloor is the thinnest tail believed in, in ln units.
	numericFloor = 0.08
)

// Numeric knows the distribution of one numeric slot on a logarithmic scale: a
// sketch for the body, and beyond its 90% quantile an exponential tail (the
// peaks-over-threshold model with shape 0), whose scale is the mean excess.
type Numeric struct {
	hist sketch.LogHist
	// edge is where the tail begins (ln), excess the mean excess beyond it, and
	// weight how many values it comes from, those of the prior included.
	edge, excess, weight float32
	// highest is the largest value learned, ln.
	highest float32
	// negative and zero count such values: neither has a logarithm.
	negative, zero uint32
	fresh          uint16
	// since counts the values beyond the edge since the log last changed, up to numericSettled.
	since uint16
}

// NewNumeric returns a Numeric that knows no value.
func NewNumeric() *Numeric { return &Numeric{since: numericSettled} }

// Surprise is that of a value: how far out in the upper tail it is, under the
// predictive distribution of the tail. For an exponential whose rate has a gamma
// distribution, as few values leave it, that is Lomax's: a scale fitted to five
// values and taken for certain claims one in 1,000 thirteen times too often.
func (m *Numeric) Surprise(v float64) float64 {
	if m.hist.Count() < numericLeast || v <= 0 {
		return 0
	}
	ln := sketch.Ln(v)
	if ln <= float64(m.edge) || ln <= float64(m.highest) {
		return 0
	}
	beyond := (ln - float64(m.edge)) / float64(m.excess)
	w := float64(m.weight)
	return min(NatsMax, w*sketch.Ln(1+beyond/w)+2.302585092994046)
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
	if m.hist.Count() >= numericLeast {
		if ln > float64(m.edge) && m.changed() {
			m.since++
		}
		ln = min(ln, float64(m.edge)+12*float64(m.excess))
	}
	m.hist.Add(ln)
	if n := m.hist.Count(); n == 1 || float32(ln) > m.highest {
		m.highest = float32(ln)
	}
	m.fresh++
	if n := m.hist.Count(); m.fresh >= numericRefresh || m.changed() && m.fresh > m.since || n <= numericRefresh && n >= numericLeast/2 {
		m.fit()
	}
}

// fit sets the tail anew from the sketch.
func (m *Numeric) fit() {
	m.fresh = 0
	edge := m.hist.Quantile(numericQuantile)
	excess, weight := m.hist.Excess(edge)
	excess = (excess*weight + numericPrior*numericPriorWeight) / (weight + numericPriorWeight)
	// Where the edge's own bin holds most of the upper tenth, a quarter of that
	// counts: it has shown that it is not far beyond.
	weight = max(weight, (1-numericQuantile)/4*float64(m.hist.Count()))
	if m.changed() {
		weight = min(weight, float64(m.since))
	}
	m.edge, m.excess, m.weight = float32(edge), float32(max(excess, numericFloor)), float32(weight+numericPriorWeight)
}

// changed tells whether too little was seen since the log last changed.
func (m *Numeric) changed() bool { return m.since < numericSettled }

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
	c.U16(&m.since)
	c.F32(&m.weight)
	if c.Reading() && m.hist.Count() >= numericLeast && !(m.excess > 0 && m.weight >= numericPriorWeight) {
		c.Fail("got a tail of scale %v from %v values; want more than 0 and at least %v", m.excess, m.weight, numericPriorWeight)
	}
}

// Within tells whether v lies among the values seen.
func (m *Numeric) Within(v float64) bool {
	if v == 0 {
		return m.zero > 0
	}
	return v > 0 && m.hist.Count() > 0 && sketch.Ln(v) <= float64(m.highest)
}
