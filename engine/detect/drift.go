package detect

import "github.com/logscope/logscope/engine/sketch"

const (
	// driftBatch is how many records make one value: neighbours in a log are
	// alike, and ADWIN's bound holds for independent values.
	driftBatch = 100
	// driftCap bounds one record's surprise, so that a single line is no drift.
	driftCap = 12.0
	// driftDelta is the probability of a false change, per model.
	driftDelta = 1e-4
	// driftTimes and driftLeast are how much the mean surprise must have grown
	// to be worth a word; falling surprise is only learned.
	driftTimes, driftLeast = 2.0, 0.3
)

// Drift watches the mean surprise of a model's records.
type Drift struct {
	window sketch.ADWIN
	sum    float64
	n      uint32
}

// Learn takes a record's surprise and tells whether the mean has risen for
// good, with the means before and after.
func (d *Drift) Learn(nats float64) (risen bool, before, after float64) {
	d.sum += min(max(nats, 0), driftCap)
	if d.n++; d.n < driftBatch {
		return false, 0, 0
	}
	changed, before, after := d.window.Add(d.sum/driftBatch, driftDelta)
	d.sum, d.n = 0, 0
	return changed && after > driftTimes*before && after-before > driftLeast, before, after
}

// Sync passes the state through c.
func (d *Drift) Sync(c *sketch.Codec) {
	d.window.Sync(c)
	c.F64(&d.sum)
	c.U32(&d.n)
}
