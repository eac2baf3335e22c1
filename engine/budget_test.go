package engine

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestBudgetHoldsForAnyStream: whatever comes, no hour has more alarms than the budget.
func TestBudgetHoldsForAnyStream(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 6))
		perHour := 1 + rng.IntN(40)
		var b budget
		var alarms []int64
		now, scale := int64(0), math.Exp(rng.Float64()*8-4)
		for range 5000 {
			switch rng.IntN(100) {
			case 0:
				now += int64(rng.Float64() * 5 * float64(hour))
			case 1:
				scale = math.Exp(rng.Float64()*8 - 4)
			default:
				now += int64(rng.ExpFloat64() * float64(hour) / 1000 * rng.Float64())
			}
			over := rng.ExpFloat64() * scale
			if rng.IntN(50) == 0 {
				over = []float64{0, -1, 1e6, math.MaxFloat64, 40}[rng.IntN(5)]
			}
			if b.admit(over, rng.IntN(20) == 0, perHour, now) {
				alarms = append(alarms, now)
			}
		}
		if len(alarms) == 0 {
			t.Fatalf("seed %d: no alarm at all", seed)
		}
		for i := perHour; i < len(alarms); i++ {
			if alarms[i]-alarms[i-perHour] < hour {
				t.Fatalf("seed %d: more than %d alarms within an hour", seed, perHour)
			}
		}
	}
}

// TestBudgetKeepsTheHighest plays a day of findings with a budget of ten an
// hour: a hundred an hour of usual height, noisier from the eighth hour on, a
// roll-out, an incident of 10 minutes, and 91 that are far beyond.
func TestBudgetKeepsTheHighest(t *testing.T) {
	for seed := range uint64(5) {
		rng := rand.New(rand.NewPCG(seed, 7))
		const perHour = 10
		var b budget
		counts := make([]int, 24)
		planted, found := 0, 0
		second := int64(1e9)
		for s := int64(0); s < 24*3600; s++ {
			h := s / 3600
			rate, scale := 100.0, 1.0
			if h >= 8 {
				rate, scale = 200, 1.3
			}
			switch {
			case h == 10 && s%3600 < 600:
				rate = 5000 // roll-out
			case h == 18 && s%3600 < 600:
				rate, scale = 100_000, 2 // incident
			}
			n := 0
			for p := rate / 3600; p > 0; p-- {
				if p >= 1 || rng.Float64() < p {
					n++
				}
			}
			for range n {
				over := rng.ExpFloat64() * scale
				if rng.IntN(33) == 0 {
					over *= 1.8
				}
				if b.admit(over, false, perHour, s*second) {
					counts[h]++
				}
			}
			if s%950 == 475 {
				planted++
				if b.admit(25+10*rng.Float64(), false, perHour, s*second) {
					found++
					counts[h]++
				}
			}
		}
		calm := 0
		for h := 1; h < 8; h++ {
			calm += counts[h]
		}
		if mean := float64(calm) / 7; mean < perHour/2 || mean > perHour {
			t.Errorf("seed %d: got %.1f alarms an hour in calm hours; want the budget of %d used, %v", seed, mean, perHour, counts)
		}
		t.Logf("seed %d: %.1f an hour in hours 1 to 7, %.1f in 8 to 15, roll-out %d, incident %d; %d of %d planted found",
			seed, float64(calm)/7, float64(counts[8]+counts[9]+counts[11]+counts[12]+counts[13]+counts[14]+counts[15])/7, counts[10], counts[18], found, planted)
		if found < planted*19/20 {
			t.Errorf("seed %d: got %d of %d planted; want 95%%, alarms by hour %v", seed, found, planted, counts)
		}
	}
}

// TestBudgetOffersAllWhereThereAreFew: fewer findings than the budget are all told.
func TestBudgetOffersAllWhereThereAreFew(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 8))
	var b budget
	now := int64(0)
	for i := range 500 {
		now += int64((0.5 + rng.Float64()) * float64(hour) / 5)
		if over := rng.ExpFloat64(); !b.admit(over, false, 10, now) {
			t.Fatalf("finding %d, %v above the threshold, is held back at 5 an hour with a budget of 10", i, over)
		}
	}
}

// TestBudgetInTheEngine: the same records with a budget have at most so many anomalies an hour, and say what was held back.
func TestBudgetInTheEngine(t *testing.T) {
	recs := mixed(30_000)
	cfg := DefaultConfig()
	cfg.AlertBudget = 3
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	free := run(t, newEngine(t), recs, 500, nil)
	held := run(t, e, recs, 500, nil)
	perHour := func(out outcome) (most int, all int) {
		times := map[string][]int64{}
		note := func(stream string, at int64) {
			all++
			list := append(times[stream], at)
			times[stream] = list
			n := 0
			for _, t := range list {
				if t > at-hour {
					n++
				}
			}
			most = max(most, n)
		}
		next := 0
		for i, v := range out.Verdicts {
			if v.Anomaly {
				note(recs[i].Stream, recs[i].Time)
			}
			for next < len(out.Events) && out.Events[next].At <= uint64(i) {
				note(out.Events[next].Stream, recs[i].Time)
				next++
			}
		}
		return most, all
	}
	freeMost, freeAll := perHour(free)
	most, all := perHour(held)
	if most > cfg.AlertBudget || most == 0 || freeMost <= cfg.AlertBudget {
		t.Errorf("got at most %d an hour with a budget of %d, %d without; want the budget kept", most, cfg.AlertBudget, freeMost)
	}
	if got := e.Stats().Held; got == 0 || int(got) < freeAll-all {
		t.Errorf("got %d counted as held back; want at least the %d that are missing", got, freeAll-all)
	}
	for i := range recs {
		if free.Verdicts[i].Score != held.Verdicts[i].Score && !math.IsNaN(free.Verdicts[i].Score) && free.Verdicts[i].Reason == ReasonParameter {
			t.Fatalf("record %d: the budget changes a score from %v to %v", i, free.Verdicts[i].Score, held.Verdicts[i].Score)
		}
	}
}

// TestBudgetIsRestored: a snapshot in the middle changes nothing.
func TestBudgetIsRestored(t *testing.T) {
	recs := mixed(20_000)
	cfg := DefaultConfig()
	cfg.AlertBudget = 4
	one, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	want := run(t, one, recs, 500, nil)
	two, _ := New(cfg)
	got := outcome{}
	for at := 0; at < len(recs); at += 500 {
		if at%5000 == 0 {
			snapshot := two.Snapshot(nil)
			two, _ = New(cfg)
			if err := two.Restore(snapshot); err != nil {
				t.Fatal(err)
			}
		}
		got.Verdicts = two.Score(got.Verdicts, recs[at:at+500])
		got.Events = two.Events(got.Events)
	}
	two.Finish()
	got.Events = two.Events(got.Events)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a restore in the middle changes what the budget lets through:\n%.2000s", diff)
	}
}

func TestNatsOfInvertsScoreOf(t *testing.T) {
	for nats := 0.0; nats < 300; nats += 0.37 {
		if got := natsOf(scoreOf(nats)); math.Abs(got-nats) > 1e-4*max(1, nats) {
			t.Errorf("got %v of the score of %v", got, nats)
		}
	}
	if got := natsOf(1); math.IsInf(got, 0) || math.IsNaN(got) {
		t.Error(fmt.Sprint("got ", got))
	}
}
