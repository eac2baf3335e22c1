package engine

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// workload is one message with numbers, as it is usually, and with numbers each
// of which is usual and that do not go together.
type workload struct {
	name  string
	usual func(rng *rand.Rand, at float64) []float64 // at goes from 0 to 1
	odd   func(rng *rand.Rand, at float64) []float64 // nil: nothing is planted
	text  string
	// least of the planted must be found, at most so many others told in 100,000 lines.
	least, most float64
}

// gauss is the normal quantile of a rank.
func gauss(rank float64) float64 { return math.Sqrt2 * math.Erfinv(2*rank-1) }

// between draws a rank's normal quantile.
func between(rng *rand.Rand, low, high float64) float64 {
	return gauss(low + (high-low)*rng.Float64())
}

const transfer = "INFO store: transfer of bytes=%.0f done in %.2fms by worker-%d"

// related is size and duration of a transfer, with logarithms of a correlation; the
// duration grows by a factor over the run. Planted: one among the lowest tenth and the other among the
// highest, both within nine tenths of all.
func related(correlation, growth float64, least, most float64) workload {
	line := func(a, b, at float64) []float64 {
		return []float64{math.Exp(9 + 1.2*a), math.Exp(3+0.6*b) * math.Pow(growth, at)}
	}
	name := fmt.Sprintf("size and duration, correlation %.2f", correlation)
	if growth != 1 {
		name += fmt.Sprintf(", durations grow to %.0f times", growth)
	}
	return workload{name: name, text: transfer, least: least, most: most,
		usual: func(rng *rand.Rand, at float64) []float64 {
			a := rng.NormFloat64()
			return line(a, correlation*a+math.Sqrt(1-correlation*correlation)*rng.NormFloat64(), at)
		},
		odd: func(rng *rand.Rand, at float64) []float64 {
			a, b := between(rng, 0.05, 0.1), between(rng, 0.9, 0.95)
			if rng.IntN(2) == 0 {
				a, b = b, a
			}
			return line(a, b, at)
		}}
}

func workloads() []workload {
	three := func(rng *rand.Rand, factor float64) []float64 {
		size, rate := 9+1.2*rng.NormFloat64(), 4+0.6*rng.NormFloat64()
		return []float64{math.Exp(size), factor * math.Exp(size-rate+0.1*rng.NormFloat64()), math.Exp(rate)}
	}
	modes := func(rng *rand.Rand, cached bool) []float64 {
		a := rng.NormFloat64()
		if cached {
			return []float64{math.Exp(9 + 1.2*a), math.Exp(0.3 * rng.NormFloat64())}
		}
		return []float64{math.Exp(9 + 1.2*a), math.Exp(3 + a + 0.25*rng.NormFloat64())}
	}
	jump := related(0.9, 1, 0, 20)
	usual := jump.usual
	jump.name += ", durations three times as long from the middle on"
	jump.odd = nil
	jump.usual = func(rng *rand.Rand, at float64) []float64 {
		v := usual(rng, at)
		if at > 0.5 {
			v[1] *= 3
		}
		return v
	}
	return []workload{
		related(0.8, 1, 0.4, 15), related(0.9, 1, 0.8, 15), related(0.95, 1, 0.85, 15), related(0.9, 4, 0.7, 15),
		{name: "size, duration and rate of a transfer", least: 0.7, most: 15, text: "INFO store: sent bytes=%.0f in %.1fms at %.2f MB/s by worker-%d",
			usual: func(rng *rand.Rand, _ float64) []float64 { return three(rng, 1) },
			odd: func(rng *rand.Rand, _ float64) []float64 {
				return three(rng, [...]float64{0.25, 4}[rng.IntN(2)])
			}},
		{name: "two relations, from a cache and from disk", least: 0.15, most: 10, text: transfer,
			usual: func(rng *rand.Rand, _ float64) []float64 { return modes(rng, rng.IntN(2) == 0) },
			odd: func(rng *rand.Rand, _ float64) []float64 {
				return []float64{math.Exp(9 + 1.2*between(rng, 0.05, 0.15)), math.Exp(3 + between(rng, 0.8, 0.9))}
			}},
		jump,
		{name: "size and duration, unrelated", most: 5, text: transfer,
			usual: func(rng *rand.Rand, _ float64) []float64 {
				return []float64{math.Exp(9 + 1.2*rng.NormFloat64()), math.Exp(3 + 0.6*rng.NormFloat64())}
			}},
		{name: "offset and lag of four partitions: counters", most: 10, text: "INFO consumer: offset=%.0f of %.0f after %.0fms by worker-%d",
			usual: func(rng *rand.Rand, at float64) []float64 {
				offset := math.Floor(float64(1+rng.IntN(4))*1e6 + at*4e5)
				return []float64{offset, offset + math.Floor(20*rng.ExpFloat64()), math.Exp(3 + 0.6*rng.NormFloat64())}
			}},
		{name: "the same random identifier twice, and a port", most: 10, text: "INFO gateway: request %.0f forwarded as %.0f from port %.0f by worker-%d",
			usual: func(rng *rand.Rand, _ float64) []float64 {
				id := math.Floor(1e9 * rng.Float64())
				return []float64{id, id, math.Floor(30000 + 30000*rng.Float64())}
			}},
	}
}

const (
	jointLines = 50_000
	// jointFrom is the line from which on numbers that do not go together are
	// planted, one in jointOdd.
	jointFrom, jointOdd = 8000, 2000
	jointSeeds          = 8
)

// playJoint returns how many were planted and found, and of how many other lines it
// was told that their numbers do not go together.
func playJoint(t *testing.T, w *workload, seed uint64) (planted, found, others int) {
	rng := rand.New(rand.NewPCG(seed, 11))
	e := newEngine(t)
	now := epoch
	var recs []Record
	odd := map[int]bool{}
	for i := range jointLines {
		now += int64(1e10 * rng.ExpFloat64())
		at := float64(i) / jointLines
		v := []float64(nil)
		if w.odd != nil && i >= jointFrom && rng.IntN(jointOdd) == 0 {
			v, odd[i] = w.odd(rng, at), true
		} else {
			v = w.usual(rng, at)
		}
		args := make([]any, 0, len(v)+1)
		for _, x := range v {
			args = append(args, x)
		}
		recs = append(recs, Record{Stream: "s", Time: now, Line: fmt.Appendf(nil, w.text, append(args, 1+rng.IntN(8))...)})
	}
	out := run(t, e, recs, 500, nil)
	for i, v := range out.Verdicts {
		if odd[i] {
			planted++
		}
		if !v.Anomaly {
			continue
		}
		switch {
		case !strings.Contains(v.Explanation, "usual by itself"): // another detector's
		case odd[i]:
			found++
		case i >= jointFrom:
			others++
		}
	}
	return planted, found, others
}

// TestNumbersTogether plants numbers that are usual by themselves and do not go
// together, and measures how many are found and what else is told. The table of
// docs/accuracy.md:
//
//	go test ./engine -run NumbersTogether -v
func TestNumbersTogether(t *testing.T) {
	for _, w := range workloads() {
		var planted, found, others int
		seeds := jointSeeds
		if testing.Short() {
			seeds = 2
		}
		for seed := range uint64(seeds) {
			p, f, o := playJoint(t, &w, seed)
			planted, found, others = planted+p, found+f, others+o
		}
		recall := float64(found) / float64(max(1, planted))
		per := float64(others) * 1e5 / float64(seeds*(jointLines-jointFrom))
		t.Logf("| %s | %d | %.2f | %.0f |", w.name, planted, recall, per)
		if recall < w.least || per > w.most {
			t.Errorf("%s: got %.2f of %d found and %.1f others in 100,000 lines; want %.2f or more and at most %.0f", w.name, recall, planted, per, w.least, w.most)
		}
	}
}

// transfers makes lines of three messages whose sizes and durations go together,
// and one of so many whose do not.
func transfers(n, every int) (recs []Record) {
	rng := rand.New(rand.NewPCG(21, 22))
	now := epoch
	texts := [...]string{"INFO stored bytes=%.0f in %.2fms", "INFO fetched bytes=%.0f within %.2fms from peer", "DEBUG copied bytes=%.0f took %.2fms"}
	for i := range n {
		now += int64(5e9 * rng.ExpFloat64())
		a := rng.NormFloat64()
		b := 0.97*a + 0.24*rng.NormFloat64()
		if i > 6000 && rng.IntN(every) == 0 {
			a, b = between(rng, 0.05, 0.1), between(rng, 0.9, 0.95)
		}
		recs = append(recs, Record{Stream: "s", Time: now, Line: fmt.Appendf(nil, texts[rng.IntN(3)], math.Exp(9+1.2*a), math.Exp(3+0.6*b))})
	}
	return recs
}

// TestRestoreWithForests restores while forests collect, grow and test.
func TestRestoreWithForests(t *testing.T) {
	recs := transfers(16_000, 600)
	want := run(t, newEngine(t), recs, 500, nil)
	found := 0
	for _, v := range want.Verdicts {
		if v.Anomaly && strings.Contains(v.Explanation, "usual by itself") {
			found++
		}
	}
	if found < 3 {
		t.Fatalf("got %d findings of numbers that do not go together; want 3 or more", found)
	}
	var got outcome
	e := newEngine(t)
	for at := 0; at < len(recs); at += 500 {
		switch at {
		case 1500, 2500, 7000, 12_000:
			snapshot := e.Snapshot(nil)
			e = newEngine(t)
			if err := e.Restore(snapshot); err != nil {
				t.Fatal(err)
			}
		}
		got.Verdicts = e.Score(got.Verdicts, recs[at:at+500])
		got.Events = e.Events(got.Events)
		e.Rescore(nil, recs[at:at+500]) // changes nothing
	}
	e.Finish()
	got.Events = e.Events(got.Events)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("verdicts with restores in the middle differ (-without +with):\n%.4000s", diff)
	}
}

// TestFeedbackOnNumbersTogether: a word that calls such a finding normal keeps
// those like it quiet, and no other; a word that calls it anomalous raises it.
func TestFeedbackOnNumbersTogether(t *testing.T) {
	const gap = 500 // records: longer than repeats are swallowed
	recs := transfers(20_000+4*gap, math.MaxInt)
	for _, opinion := range []Opinion{Normal, Anomalous} {
		e := newEngine(t)
		run(t, e, recs[:20_000], 500, nil)
		at := 20_000
		score := func(text string) Verdict {
			for _, v := range e.Score(nil, recs[at:at+gap]) {
				if v.Anomaly && strings.Contains(v.Explanation, "called anomalous") {
					t.Errorf("%v: got %q of usual numbers", opinion, v.Explanation)
				}
			}
			at += gap
			return e.Score(nil, []Record{{Stream: "s", Time: recs[at-1].Time, Line: []byte(text)}})[0]
		}
		const low, high = "INFO stored bytes=1500 in 46.20ms", "INFO stored bytes=43000 in 8.90ms"
		first := score(low)
		if !first.Anomaly || first.About == nil || first.About.Slot != 1 || first.About.Value != "too low beside variable 2" {
			t.Fatalf("got %+v; want numbers that do not go together", first)
		}
		words, err := e.Teach(Feedback{TemplateID: first.TemplateID, Reason: ReasonParameter, Slot: first.About.Slot, Value: first.About.Value, Opinion: opinion, At: first.Time})
		if err != nil || len(words) != 1 {
			t.Fatalf("got words %v, error %v; want one", words, err)
		}
		if v := score(low); v.Anomaly != (opinion == Anomalous) || opinion == Normal && v.Muted != ReasonParameter {
			t.Errorf("%v: got anomaly %v, muted %v of the same numbers", opinion, v.Anomaly, v.Muted)
		}
		if v := score(high); !v.Anomaly || v.About.Value != "too high beside variable 2" {
			t.Errorf("%v: got %+v of numbers odd in the other way; want a finding", opinion, v)
		}
	}
}

// TestWordsOnNumbersTogetherCoverNoOthers: how far a number is off beside others and
// how large it is are two things.
func TestWordsOnNumbersTogetherCoverNoOthers(t *testing.T) {
	together := subject{template: 1, reason: ReasonParameter, slot: 1, value: "too low beside variable 2", level: 8}
	alone := subject{template: 1, reason: ReasonParameter, slot: 1, value: "12", level: 12, numeric: true}
	other := together
	other.value = "too high beside variable 2"
	on := func(s subject, value string) Feedback {
		return Feedback{TemplateID: 1, Reason: ReasonParameter, Slot: 1, Value: value, Level: s.level, Opinion: Normal}
	}
	for _, test := range []struct {
		word Feedback
		what subject
		want bool
	}{
		{on(together, together.value), together, true},
		{on(together, together.value), alone, false},
		{on(together, together.value), other, false},
		{on(alone, ""), alone, true},
		{on(alone, ""), together, false},
	} {
		if got := test.word.covers(&test.what); got != test.want {
			t.Errorf("word %+v on %+v: got %v; want %v", test.word, test.what, got, test.want)
		}
	}
}
