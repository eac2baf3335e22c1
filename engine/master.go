package engine

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/logscope/logscope/engine/detect"
	"github.com/logscope/logscope/engine/sketch"
)

const (
	minute = 60 * detect.Second
	// fleetSpan is within how many minutes models must turn strange to count as one.
	fleetSpan = 5
	// fleetLeast is the fewest models that are a finding.
	fleetLeast = 3
	// fleetGap is how many minutes without a finding end an episode.
	fleetGap = 15
	// fleetTests is how often a day looks: Bonferroni's m.
	fleetTests = 24 * 60 / fleetSpan
	// fleetMost bounds the pairs of minute and model remembered, some 60 bytes
	// each: the oldest quarter goes first.
	fleetMost = 20_000
	// fleetEpisodes bounds the episodes remembered, 16 bytes each.
	fleetEpisodes = 64
	// fleetExact is up to how many models the probability is computed exactly,
	// in time that grows with their square; beyond, Poisson's, which is larger
	// (Hoeffding, Ann. Math. Stat. 1956).
	fleetExact = 512
	// fleetAll is up to how many models every pair is looked at; beyond, one of fleetEach.
	fleetAll, fleetEach = 4096, 64
	// fleetMemory is how long a model's own rate is remembered, in minutes.
	fleetMemory = 24 * 60.0
	// fleetTold is what a minute within an episode counts for in it, or one
	// incident would excuse the next; but noise that stays becomes usual.
	fleetTold = 0.25
	// fleetNames is how many models a finding names.
	fleetNames = 8
)

// stranger is a model that raised a finding in some minute.
type stranger struct {
	stream string
	reason Reason
}

// episode is a time in which many models were strange, in minutes.
type episode struct{ from, to int64 }

// master watches the models: many turning strange within the same minutes, by
// the records' own time, is a finding of its own. Each is held against its own
// base rate, so that one which always raises something adds nothing. Nothing is
// done for a record that raises nothing.
//
// Streams may come one after the other, as files do: what counts is the time
// in them.
type master struct {
	at       map[int64][]stranger // by minute
	pairs    int
	news     uint64
	episodes []episode
	// scratch
	names map[string]int
}

// note takes a finding of a model at a record's time, 0 for none, and raises a finding of the fleet's.
func (w *master) note(e *Engine, m *model, reason Reason, t int64) {
	if t == 0 || !w.enter(m, reason, t/minute) || len(e.models) < fleetLeast {
		return
	}
	if w.news++; len(e.models) > fleetAll && w.news%fleetEach != 0 {
		return
	}
	from, n := w.window(t / minute)
	if n < fleetLeast {
		return
	}
	ep := w.during(from, from+fleetSpan-1)
	if ep != nil && ep.from <= from && ep.to >= from+fleetSpan-1 {
		return // told, and it need not be extended either
	}
	nats, most := w.surprise(e, from, ep == nil)
	score := scoreOf(nats)
	if score < e.cfg.Threshold || !w.begins(from) {
		return
	}
	ev := Event{Kind: EventFleet, Seq: e.seq, Verdict: Verdict{Time: t, Score: score, Anomaly: true, Reason: ReasonFleet}}
	w.explain(&ev.Verdict, from, most, len(e.models), nats)
	if e.book.quiet(&subject{reason: ReasonFleet}) {
		return
	}
	e.raise(ev)
}

// enter notes that a model was strange in a minute and tells whether that is news.
func (w *master) enter(m *model, reason Reason, at int64) bool {
	for i := range w.at[at] {
		if w.at[at][i].stream == m.stream {
			return false
		}
	}
	if w.at == nil {
		w.at, w.names = map[int64][]stranger{}, map[string]int{}
	}
	if w.pairs >= fleetMost {
		w.forget()
	}
	w.at[at] = append(w.at[at], stranger{m.stream, reason})
	w.pairs++
	weight := 1.0
	if w.during(at, at) != nil {
		weight = fleetTold
	}
	m.strange.add(weight, m.clock.now)
	return true
}

// minutes returns those in which a model was strange, in order.
func (w *master) minutes() []int64 {
	list := make([]int64, 0, len(w.at))
	for at := range w.at {
		list = append(list, at)
	}
	slices.Sort(list)
	return list
}

// forget drops the oldest minutes.
func (w *master) forget() {
	for _, at := range w.minutes() {
		w.pairs -= len(w.at[at])
		delete(w.at, at)
		if w.pairs <= fleetMost*3/4 {
			return
		}
	}
}

// window returns the first minute of the span around a minute in which most models were strange, and how many.
func (w *master) window(at int64) (from int64, most int) {
	for first := at - fleetSpan + 1; first <= at; first++ {
		if n := w.gather(first); n > most {
			from, most = first, n
		}
	}
	return from, most
}

// gather counts the models strange in a span: w.names has how many of its minutes each.
func (w *master) gather(from int64) int {
	clear(w.names)
	for at := from; at < from+fleetSpan; at++ {
		for i := range w.at[at] {
			w.names[w.at[at][i].stream]++
		}
	}
	return len(w.names)
}

// rates returns, for each model, the probability that it is strange in a span
// as often as it ever is, and how many of its minutes are in the one gathered.
func (w *master) rates(e *Engine) []odds {
	all := make([]odds, 0, len(e.models))
	for el := e.recent.Front(); el != nil; el = el.Next() {
		m := el.Value.(*model)
		times := w.names[m.stream]
		rate := m.strange.rate(m.born, m.clock.now, float64(times))
		all = append(all, odds{m.stream, 1 - math.Pow(1-rate, fleetSpan), times > 0})
	}
	return all
}

// odds are those of one model in a span.
type odds struct {
	stream  string
	p       float64
	strange bool
}

// fleetCuts returns the probabilities up to which models are looked at: noisy
// ones would drown the others.
func fleetCuts() [3]float64 { return [...]float64{0.01, 0.1, 1} }

// surprise is that of so many models being strange in the span from a minute
// on, with the cut that makes it largest; those that count are 1 in w.names. Not
// exact, it may come out smaller: an incident brings many findings, and each asks.
func (w *master) surprise(e *Engine, from int64, exact bool) (nats float64, most int) {
	w.gather(from)
	cut := 0.0
	all := w.rates(e)
	each := make([]float64, 0, len(all))
	cuts := fleetCuts()
	for _, c := range cuts {
		each = each[:0]
		k, sum := 0, 0.0
		for i := range all {
			if o := &all[i]; o.p <= c {
				each = append(each, o.p)
				sum += o.p
				if o.strange {
					k++
				}
			}
		}
		if k < fleetLeast {
			continue
		}
		tail := poissonTail(sum, k)
		if exact && len(all) <= fleetExact {
			tail = jointTail(each, k)
		}
		if n := -math.Log(max(tail, 1e-300)) - math.Log(fleetTests*float64(len(cuts))); n > nats {
			nats, cut, most = n, c, k
		}
	}
	for name := range w.names {
		w.names[name] = 0
	}
	for i := range all {
		if all[i].strange && all[i].p <= cut {
			w.names[all[i].stream] = 1
		}
	}
	return nats, most
}

// jointTail is the probability that at least k of independent events come, of the given probabilities.
func jointTail(each []float64, k int) float64 {
	count := make([]float64, k+1) // of 0, 1, ... k and more
	count[0] = 1
	for _, p := range each {
		count[k] += count[k-1] * p
		for i := k - 1; i > 0; i-- {
			count[i] = count[i]*(1-p) + count[i-1]*p
		}
		count[0] *= 1 - p
	}
	return count[k]
}

// poissonTail is the probability of k and more where mean are expected.
func poissonTail(mean float64, k int) float64 {
	if float64(k) <= mean {
		return 1
	}
	lg, _ := math.Lgamma(float64(k) + 1)
	term := math.Exp(float64(k)*math.Log(mean) - mean - lg)
	sum := 0.0
	for i := k; term > 1e-18*sum; i++ {
		sum += term
		term *= mean / float64(i+1)
	}
	return sum
}

// begins notes that the span from the given minute on is strange and tells whether an episode begins with it.
func (w *master) begins(from int64) bool {
	to := from + fleetSpan - 1
	if ep := w.during(from, to); ep != nil {
		ep.from, ep.to = min(ep.from, from), max(ep.to, to)
		return false
	}
	if len(w.episodes) >= fleetEpisodes {
		w.episodes = w.episodes[:copy(w.episodes, w.episodes[1:])]
	}
	w.episodes = append(w.episodes, episode{from, to})
	return true
}

// during returns the episode that a span of minutes belongs to, nil for none.
func (w *master) during(from, to int64) *episode {
	for i := range w.episodes {
		if ep := &w.episodes[i]; from <= ep.to+fleetGap && to >= ep.from-fleetGap {
			return ep
		}
	}
	return nil
}

// strangeness is how often a model raises findings: the decayed number of minutes with one.
type strangeness struct {
	minutes float64
	at      int64 // model time of the last one
}

func decay(d int64) float64 { return math.Exp(-float64(max(0, d)) / (fleetMemory * float64(minute))) }

func (s *strangeness) add(weight float64, now int64) {
	s.minutes = s.minutes*decay(now-s.at) + weight
	s.at = max(s.at, now)
}

// rate is the share of the minutes of a model born at a moment that have one, without those of the span looked at.
func (s *strangeness) rate(born, now int64, without float64) float64 {
	life := fleetMemory * (1 - decay(now-born))
	return min(1, (max(0, s.minutes*decay(now-s.at)-without)+0.5)/(life+1))
}

// explain sets the texts of a finding about the fleet.
func (w *master) explain(v *Verdict, from int64, most, all int, nats float64) {
	var names []string
	for at := from; at < from+fleetSpan; at++ {
		for _, s := range w.at[at] {
			name := quote(s.stream) + " (" + s.reason.String() + ")"
			if w.names[s.stream] > 0 {
				names = append(names, name)
				w.names[s.stream] = 0 // once
			}
		}
	}
	rest := ""
	if n := len(names) - fleetNames; n > 0 {
		names, rest = names[:fleetNames], fmt.Sprintf(" and %d more", n)
	}
	v.Explanation = fmt.Sprintf("%d of %d models turned strange between %s and %s: %s%s. By their own rates that many come together %s. Look at what they share: a host, a network, a database, a deployment.",
		most, all, clockText(from * minute)[:16], clockText((from + fleetSpan) * minute)[11:16], strings.Join(names, ", "), rest, rarely(nats))
	v.Expected = "each for itself"
	v.Observed = fmt.Sprintf("%d models within %d minutes", most, fleetSpan)
}

// rarely says how often chance would bring what surprises by so much in a day.
func rarely(nats float64) string {
	if days := math.Exp(min(nats, 20)); days < 3650 {
		return "once in " + count(days, "day")
	}
	return "less than once in ten years"
}

// sync passes the state through c.
func (w *master) sync(c *sketch.Codec) {
	minutes := w.minutes()
	if c.Reading() {
		*w = master{at: map[int64][]stranger{}, names: map[string]int{}}
	}
	sketch.List(c, &minutes, fleetMost, func(c *sketch.Codec, at *int64) {
		c.I64(at)
		list := w.at[*at]
		sketch.List(c, &list, fleetMost, func(c *sketch.Codec, s *stranger) {
			c.Str(&s.stream, streamMax)
			reason := uint8(s.reason)
			c.U8(&reason)
			s.reason = Reason(reason)
		})
		if c.Reading() && c.Err() == nil {
			w.pairs += len(list) - len(w.at[*at])
			w.at[*at] = list
		}
	})
	c.U64(&w.news)
	sketch.List(c, &w.episodes, fleetEpisodes, func(c *sketch.Codec, ep *episode) {
		c.I64(&ep.from)
		c.I64(&ep.to)
	})
	if c.Reading() && w.pairs > fleetMost {
		c.Fail("got %d strangers; want at most %d", w.pairs, fleetMost)
	}
}
