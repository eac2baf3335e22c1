package engine

import (
	"math"
	"slices"

	"github.com/logscope/logscope/engine/sketch"
)

const (
	// budgetMost bounds the budget: its alarms' times are kept, 8 bytes each and model.
	budgetMost = 10_000
	hour       = 3600 * int64(1e9)
	// budgetReserve is the share of the budget that only findings far beyond the
	// usual ones may use: a flood of middling ones must not lock them out.
	budgetReserve = 0.25
	// budgetRate is how many hours the rate of findings is remembered, budgetTail how many their heights.
	budgetRate, budgetTail = 1.0, 24.0
	// budgetPrior is for how many findings the tail stands that calibrated
	// surprises have: exponential, of one nat.
	budgetPrior = 10.0
	// budgetShape bounds the tail's shape, which few values cannot tell.
	budgetShape = 0.4
	// budgetWinsor is how far beyond the mean, in means, a height still counts: an incident must not become the scale.
	budgetWinsor = 6.0
	// budgetGain is what one alarm more or less than the budget moves the
	// integral by, in shares of the budget; budgetLow and budgetHigh bound it.
	budgetGain            = 1.0
	budgetLow, budgetHigh = -6.0, 1.5
)

// budget holds the anomalies of a model to a number per hour. Two things do
// it:
//
//   - a level that findings must reach, set where the tail of the latest ones
//     (a generalised Pareto fitted by moments, after Siffer and others, KDD 2017)
//     crosses the budget, corrected by an integral over budget less alarms
//     (the control form of adaptive conformal inference, Gibbs and Candès,
//     NeurIPS 2021): it keeps the highest ones rather than the first ones;
//   - the times of the last alarms: whatever comes, no hour has more than the
//     budget, which holds for any stream of findings.
//
// Repeats are collapsed before. Hours are those of the records.
type budget struct {
	at int64 // model time of the last finding
	// rate is the decayed number of findings, weight, sum and squares those of
	// their heights above the threshold.
	rate, weight, sum, squares float64
	integral                   float64
	alarms                     []int64 // times of the latest, at most as many as the budget
}

// admit tells whether a finding of so many nats above the threshold may be an
// alarm at now, where perHour may; sure that it is beyond doubt.
func (b *budget) admit(over float64, sure bool, perHour int, now int64) bool {
	b.pass(float64(perHour), now)
	level, strong := b.levels(float64(perHour))
	b.learn(over)
	far := sure || over >= strong
	most := perHour
	if !far {
		most = max(1, perHour-int(math.Ceil(budgetReserve*float64(perHour))))
	}
	if over < level && !sure || b.spent(most, now) {
		return false
	}
	b.integral = max(budgetLow, b.integral-budgetGain/float64(perHour))
	b.alarm(perHour, now)
	return true
}

// pass lets time pass.
func (b *budget) pass(perHour float64, now int64) {
	hours := float64(max(0, now-b.at)) / float64(hour)
	b.at = max(b.at, now)
	b.rate *= math.Exp(-hours / budgetRate)
	keep := math.Exp(-hours / budgetTail)
	b.weight, b.sum, b.squares = b.weight*keep, b.sum*keep, b.squares*keep
	b.integral = min(budgetHigh, b.integral+budgetGain*hours)
}

// learn counts the height of a finding.
func (b *budget) learn(over float64) {
	mean := (b.sum + budgetPrior) / (b.weight + budgetPrior)
	over = min(max(over, 0), budgetWinsor*mean)
	b.rate++
	b.weight++
	b.sum += over
	b.squares += over * over
}

// levels returns the height that findings must reach now, and that from which
// they are far beyond the usual ones: where a tenth as many are expected.
func (b *budget) levels(perHour float64) (level, strong float64) {
	n := b.weight + budgetPrior
	mean := (b.sum + budgetPrior) / n
	vari := max((b.squares+2*budgetPrior)/n-mean*mean, 1e-6) // an exponential of mean 1 has squares of mean 2
	shape := min(max((1-mean*mean/vari)/2, 0), budgetShape)
	scale := mean * (1 - shape)
	share := perHour * math.Exp(b.integral) / ((b.rate + 1) / budgetRate)
	return beyond(share, scale, shape), beyond(share/10, scale, shape)
}

// beyond is the height that the given share of a generalised Pareto lies above.
func beyond(share, scale, shape float64) float64 {
	switch {
	case share >= 1:
		return 0
	case shape < 1e-3:
		return -scale * math.Log(share)
	}
	return scale / shape * (math.Pow(share, -shape) - 1)
}

// spent tells whether the hour up to now has so many alarms.
func (b *budget) spent(most int, now int64) bool {
	n := len(b.alarms)
	return n >= most && b.alarms[n-most] > now-hour
}

// alarm notes one.
func (b *budget) alarm(perHour int, now int64) {
	b.alarms = append(b.alarms, now)
	if n := len(b.alarms); n > perHour {
		b.alarms = b.alarms[:copy(b.alarms, b.alarms[n-perHour:])]
	}
}

// sync passes the state through c.
func (b *budget) sync(c *sketch.Codec) {
	c.I64(&b.at)
	for _, v := range [...]*float64{&b.rate, &b.weight, &b.sum, &b.squares, &b.integral} {
		c.F64(v)
	}
	sketch.List(c, &b.alarms, budgetMost, func(c *sketch.Codec, v *int64) { c.I64(v) })
	sorted := slices.IsSorted(b.alarms)
	if c.Reading() && (!sorted || b.rate < 0 || b.weight < 0 || b.sum < 0 || b.squares < 0 || math.Abs(b.integral) > -budgetLow) {
		c.Fail("got a budget of %v; want no negative counts, and alarms in order", *b)
	}
}

// affords tells whether a finding may be an anomaly as far as the budget goes;
// sure that a person called it one.
func (m *model) affords(score float64, sure bool, now int64) bool {
	if m.cfg.AlertBudget == 0 {
		return true
	}
	over := natsOf(score) - natsOf(m.cfg.Threshold)
	if m.budget.admit(over, sure, m.cfg.AlertBudget, now) {
		return true
	}
	m.book.held++
	return false
}
