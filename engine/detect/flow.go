package detect

import (
	"math"

	"github.com/logscope/logscope/engine/sketch"
)

const (
	// flowSteps bounds the templates of one kind of session. The three tables
	// cost 12 bytes for each pair: 110 KB at 96.
	flowSteps = 96
	// flowLong and flowShort are how many sessions the two memories hold. The
	// short one excuses what has just become usual: workloads shift.
	flowLong, flowShort = 2000, 50
	// flowLeast is how many sessions must be known before one can be odd.
	flowLeast = 30
	// flowFree is the surprise that any step may have for nothing: sums of small
	// surprises tell the length of a session and nothing else.
	flowFree = 2.5
	// flowFreeShare is the share of sessions at which the surprise is flowFree.
	flowFreeShare = 0.0820849986238988
	// flowCutLeast and flowCutMost bound the sum of surprises beyond flowFree at
	// which a session is odd. Between them it is the quantile that flowShare of
	// the sessions exceed: where normal sessions often hold a rare step or two,
	// it takes more to be odd.
	flowCutLeast, flowCutMost = 1.625, 8.0
	flowShare                 = 0.035
	// flowCutUnit is the resolution of sums and cut; flowCutMemory the number of
	// sessions after which the older half is forgotten.
	flowCutUnit, flowCutMemory = 0.125, 2000
	// flowRescale is the weight of a session at which all sums are scaled down.
	flowRescale = 1e6
)

// table is a square table that grows.
type table struct {
	k int
	v []float32
}

func (t *table) at(i, j int) float32 { return t.v[i*t.k+j] }

func (t *table) add(i, j int, v float32) { t.v[i*t.k+j] += v }

func (t *table) grow(k int) {
	v := make([]float32, k*k)
	for i := range t.k {
		copy(v[i*k:], t.v[i*t.k:(i+1)*t.k])
	}
	t.k, t.v = k, v
}

// memory is a discounted count of sessions, of the steps present in them and
// of pairs of steps. A session weighs more than the one before by 1/keep, so
// that ageing costs nothing.
type memory struct {
	weight, total float32
	steps         []float32
	pairs         table
}

// Flow is what is known of one kind of session: which steps (templates) such
// sessions have, which go together and which comes first. Order is kept for
// first occurrences only; that of concurrent steps is noise, and the pairs show it.
type Flow struct {
	key   uint64
	steps []int32 // step -> template
	local []int16 // template -> step + 1
	// settled counts sessions as they were when they first fell idle, which is
	// when it is asked what is missing; recent likewise, with the short memory.
	settled, recent memory
	// present counts steps whenever they come, presentRecent with the short memory.
	present, presentRecent []float32
	before                 table
	// orders calibrates disorder of firm pairs; sums are the settled sessions' by flowCutUnit,
	// total of them; cut is the sum from which a session is odd.
	orders Tail
	// slipped counts the sessions in which a loose pair was reversed, ties the
	// steps that came at one moment with another.
	slipped, ties rareness
	sums          [80]float32
	total         float32
	cut           float64
	gaps          sketch.LogHist
	idle          int64
	freshGaps     uint16
	// open lists the sessions that have not settled.
	open chain
}

func newFlow(key uint64) Flow {
	return Flow{key: key, open: chain{-1, -1}, cut: flowCutLeast, idle: sessionIdleMost,
		settled: memory{weight: 1}, recent: memory{weight: 1}}
}

// step returns the step of a template, -1 where there is none.
func (f *Flow) step(template int) int {
	if template >= len(f.local) {
		return -1
	}
	return int(f.local[template]) - 1
}

// learnStep returns the step of a template, a new one where there is room.
func (f *Flow) learnStep(template int) int {
	if s := f.step(template); s >= 0 || len(f.steps) >= flowSteps {
		return s
	}
	for template >= len(f.local) {
		f.local = append(f.local, 0)
	}
	f.steps = append(f.steps, int32(template))
	f.local[template] = int16(len(f.steps))
	f.settled.steps = append(f.settled.steps, 0)
	f.recent.steps = append(f.recent.steps, 0)
	f.present = append(f.present, 0)
	f.presentRecent = append(f.presentRecent, 0)
	if k := len(f.steps); k > f.before.k {
		k = min(max(8, 2*f.before.k), flowSteps)
		f.before.grow(k)
		f.settled.pairs.grow(k)
		f.recent.pairs.grow(k)
	}
	return len(f.steps) - 1
}

// forget takes a template's step out of use: its cluster was evicted.
func (f *Flow) forget(template int) {
	if s := f.step(template); s >= 0 {
		f.local[template], f.steps[s] = 0, -1
	}
}

// known is how many sessions the long memory holds.
func (f *Flow) known() float64 { return float64(f.settled.total / f.settled.weight) }

// unexpected is the surprise of a step's presence in a session.
func (f *Flow) unexpected(step int) float64 {
	n := f.known()
	if n < flowLeast {
		return 0
	}
	if step < 0 {
		if len(f.steps) == flowSteps {
			return 0 // there may be no room for it
		}
		return nats(0.5 / (n + 1))
	}
	w, wr := float64(f.settled.weight), float64(f.recent.weight)
	p := (float64(f.present[step])/w + 0.5) / (n + 1)
	if recent := float64(f.presentRecent[step]) / wr; recent >= 1.5 {
		p = max(p, (recent+0.5)/(float64(f.recent.total)/wr+1))
	}
	return nats(p)
}

// missing is the surprise of a step's absence from a session that has the
// given steps, and the step whose presence speaks loudest for it.
func (f *Flow) missing(step int, have []step) (surprise float64, because int) {
	w := f.settled.weight
	because = -1
	least := flowFreeShare // the logarithm is taken of the least share only
	for _, h := range have {
		i := f.step(int(h.template))
		if i < 0 {
			continue
		}
		n := float64(f.settled.steps[i] / w)
		if n < flowPair {
			continue
		}
		without := max(0, n-float64(f.settled.pairs.at(i, step)/w))
		if p := (without + 0.5) / (n + 1); p < least {
			least, because = p, i
		}
	}
	if because < 0 {
		return 0, -1
	}
	surprise = nats(least)
	wr := f.recent.weight
	n := float64(f.recent.steps[because] / wr)
	if without := n - float64(f.recent.pairs.at(because, step)/wr); without >= 1.5 {
		surprise = min(surprise, nats((without+0.5)/(n+1)))
	}
	return surprise, because
}

// excess is what a surprise adds to the sum of its session.
func excess(surprise float64) float64 { return max(0, surprise-flowFree) }

// learn counts a session that has settled. That a step was out of order in one
// that was told counts a quarter at first: one fault must not excuse the next.
func (f *Flow) learn(have []step, told bool) {
	var buf [sessionSteps]int
	at := buf[:0]
	for _, h := range have {
		if i := f.learnStep(int(h.template)); i >= 0 {
			at = append(at, i)
		}
	}
	f.settled.session(at, 1-1.0/flowLong)
	f.recent.session(at, 1-1.0/flowShort)
	for i, a := range at {
		f.present[a] += f.settled.weight
		f.presentRecent[a] += f.recent.weight
		for _, b := range at[:i] {
			w := f.settled.weight
			if told && f.broke(b, a) {
				w *= flowTold
			}
			f.before.add(b, a, w)
		}
	}
	if f.settled.weight > flowRescale {
		f.rescale(1 / f.settled.weight)
	}
	if f.recent.weight > flowRescale {
		r := 1 / f.recent.weight
		f.recent.scale(r)
		for i := range f.presentRecent {
			f.presentRecent[i] *= r
		}
	}
}

// late counts that a template came to a settled session after the given ones.
func (f *Flow) late(template int, have []step) {
	at := f.learnStep(template)
	if at < 0 {
		return
	}
	f.present[at] += f.settled.weight
	f.presentRecent[at] += f.recent.weight
	for _, h := range have {
		if i := f.step(int(h.template)); i >= 0 {
			f.before.add(i, at, f.settled.weight)
		}
	}
}

func (f *Flow) rescale(r float32) {
	f.settled.scale(r)
	for i := range f.present {
		f.present[i] *= r
	}
	for i := range f.before.v {
		f.before.v[i] *= r
	}
}

func (m *memory) session(have []int, keep float32) {
	m.weight /= keep
	m.total += m.weight
	for i, a := range have {
		m.steps[a] += m.weight
		for _, b := range have[:i] {
			m.pairs.add(a, b, m.weight)
			m.pairs.add(b, a, m.weight)
		}
	}
}

func (m *memory) scale(r float32) {
	m.weight *= r
	m.total *= r
	for i := range m.steps {
		m.steps[i] *= r
	}
	for i := range m.pairs.v {
		m.pairs.v[i] *= r
	}
}

// calibrate counts a settled session's sum and disorder and sets the cut anew.
func (f *Flow) calibrate(sum, disorder float64) {
	if disorder < flowOrderNow {
		f.orders.Learn(disorder)
	}
	f.slipped.count()
	f.sums[min(int(sum/flowCutUnit), len(f.sums)-1)]++
	if f.total++; f.total >= flowCutMemory {
		f.total = 0
		for i := range f.sums {
			f.sums[i] /= 2
			f.total += f.sums[i]
		}
	}
	above, i := float32(0), len(f.sums)-1
	for ; i > int(flowCutLeast/flowCutUnit); i-- {
		if above += f.sums[i]; above > flowShare*f.total {
			break
		}
	}
	f.cut = min(flowCutMost, float64(i)*flowCutUnit)
	if f.cut > flowCutLeast {
		f.cut += flowCutUnit
	}
}

// learnGap counts a gap within a session. The idle time after which a session
// has settled is twice the 99.5% quantile of the gaps.
func (f *Flow) learnGap(gap int64) {
	f.gaps.Add(sketch.Ln(max(float64(gap), 1e6) / float64(Second)))
	if f.freshGaps++; f.freshGaps < 64 {
		return
	}
	f.freshGaps = 0
	idle := 2 * math.Exp(f.gaps.Quantile(0.995)) * float64(Second)
	f.idle = min(max(int64(idle), sessionIdleLeast), sessionIdleMost)
}

func (m *memory) sync(c *sketch.Codec, steps, k int) {
	c.F32(&m.weight)
	c.F32(&m.total)
	floats(c, &m.steps, steps)
	m.pairs.sync(c, k)
}

// floats passes exactly n numbers.
func floats(c *sketch.Codec, v *[]float32, n int) {
	if c.Reading() {
		if c.Err() != nil || len(c.Bytes()) < 4*n {
			c.Fail("got %d bytes; want %d numbers", len(c.Bytes()), n)
			return
		}
		*v = make([]float32, n)
	}
	for i := range *v {
		c.F32(&(*v)[i])
	}
}

func (t *table) sync(c *sketch.Codec, k int) {
	if floats(c, &t.v, k*k); c.Reading() {
		t.k = k
	}
}

// sync passes the state through c; no step is of a template from limit on.
func (f *Flow) sync(c *sketch.Codec, limit int) {
	c.U64(&f.key)
	sketch.List(c, &f.steps, flowSteps, func(c *sketch.Codec, v *int32) { c.I32(v) })
	k := uint16(f.before.k)
	c.U16(&k)
	n := len(f.steps)
	if c.Reading() && (int(k) < n || k > flowSteps) {
		c.Fail("got tables of %d for %d steps; want at most %d", k, n, flowSteps)
		return
	}
	f.settled.sync(c, n, int(k))
	f.recent.sync(c, n, int(k))
	floats(c, &f.present, n)
	floats(c, &f.presentRecent, n)
	f.before.sync(c, int(k))
	f.orders.Sync(c)
	f.slipped.sync(c)
	f.ties.sync(c)
	for i := range f.sums {
		c.F32(&f.sums[i])
	}
	c.F32(&f.total)
	c.F64(&f.cut)
	f.gaps.Sync(c)
	c.I64(&f.idle)
	c.U16(&f.freshGaps)
	f.open.sync(c)
	if !c.Reading() || c.Err() != nil {
		return
	}
	if !(f.settled.weight > 0) || !(f.recent.weight > 0) || !(f.cut > 0) {
		c.Fail("got a flow of weights %v, %v and cut %v; want more than 0", f.settled.weight, f.recent.weight, f.cut)
	}
	for i, t := range f.steps {
		if t < -1 || int(t) >= limit {
			c.Fail("got a step of template %d; want less than %d", t, limit)
			return
		}
		for t >= 0 && int(t) >= len(f.local) {
			f.local = append(f.local, 0)
		}
		if t >= 0 {
			f.local[t] = int16(i + 1)
		}
	}
}
