package engine

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// moment is a step of a job and when it is taken, in seconds since its begin.
type moment struct {
	at   float64
	step string
}

// jobs makes the log of n jobs, ten of them at a time, each of which takes the
// steps that plan gives for its number. Lines are written in the order of their
// times; with a resolution of whole seconds, those of one second in any order
// where several writers are merged, else in the order in which they came.
func jobs(n int, seed uint64, seconds, merged bool, plan func(rng *rand.Rand, job int) []moment) (recs []Record) {
	rng := rand.New(rand.NewPCG(seed, 13))
	type line struct {
		at, tie int64
		text    string
	}
	var lines []line
	for job := range n {
		begin := float64(job)*5 + 5*rng.Float64()
		for _, m := range plan(rng, job) {
			l := line{at: int64((begin + m.at) * 1e9), text: fmt.Sprintf("INFO %s job-%06d", m.step, 100_000+job*7919%899_981)}
			l.tie = l.at
			if seconds {
				l.at -= l.at % 1e9
			}
			if merged {
				l.tie = rng.Int64()
			}
			lines = append(lines, l)
		}
	}
	slices.SortStableFunc(lines, func(a, b line) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.tie, b.tie)) })
	for _, l := range lines {
		recs = append(recs, Record{Stream: "s", Time: epoch + l.at, Line: []byte(l.text)})
	}
	return recs
}

// misplaced returns the jobs that are told to be out of order.
func misplaced(out *outcome) (ids []string) {
	for i := range out.Verdicts {
		if v := &out.Verdicts[i]; v.Anomaly && strings.Contains(v.Explanation, "of such sessions it comes before") {
			ids = append(ids, v.Session)
		}
	}
	return ids
}

func jobID(job int) string { return fmt.Sprintf("job-%06d", 100_000+job*7919%899_981) }

// slipping are jobs of two writers. One opens the file in one of ten places
// before the first block is written, the other takes the job in between, and is
// late once in lateEvery jobs.
func slipping(lateEvery int, swapped ...int) func(rng *rand.Rand, job int) []moment {
	return func(rng *rand.Rand, job int) []moment {
		taken := 2 * rng.Float64()
		if lateEvery > 0 && rng.IntN(lateEvery) == 0 {
			taken = 11 + 8*rng.Float64()
		}
		write, close := 10.0, 20.0
		if slices.Contains(swapped, job) {
			write, close = close, write
		}
		return []moment{{rng.Float64(), "opened the file of"}, {taken, "the scheduler has taken"}, {write, "wrote the first block of"},
			{close, "closed the file of"}, {30, "archived everything of"}}
	}
}

// TestStepsThatSlipAreNoDisorder: one writer has no order against the other but
// that of time, and is late now and then. What one writer does in the wrong
// order is told all the same.
func TestStepsThatSlipAreNoDisorder(t *testing.T) {
	swapped := []int{1500, 2100, 2700, 3300}
	recs := jobs(4000, 1, false, false, slipping(700, swapped...))
	out := run(t, newEngine(t), recs, 500, nil)
	told := misplaced(&out)
	for _, job := range swapped {
		if !slices.Contains(told, jobID(job)) {
			t.Errorf("job %d wrote after it closed: got nothing; want that told", job)
		}
	}
	if wrong := len(told) - len(swapped); wrong > 1 {
		t.Errorf("got %d jobs told whose scheduler was late; want hardly any", wrong)
	}
	// A restore in the middle changes none of that.
	e := newEngine(t)
	got := run(t, e, recs, 500, func(at int) {
		if at == 5000 || at == 12_000 {
			fresh := newEngine(t)
			if err := fresh.Restore(e.Snapshot(nil)); err != nil {
				t.Fatal(err)
			}
			*e = *fresh
		}
	})
	if diff := gocmp.Diff(out, got); diff != "" {
		t.Errorf("other verdicts with restores (-without +with):\n%.3000s", diff)
	}
}

// TestJoinsHaveAnOrder: two steps that run at the same time are both over when
// the next begins. Where that has held for 2,000 jobs, it is told when it does not.
func TestJoinsHaveAnOrder(t *testing.T) {
	late := 2500
	recs := jobs(3000, 2, false, false, func(rng *rand.Rand, job int) []moment {
		plan := slipping(0)(rng, job)
		if job == late {
			plan[1].at = 12
		}
		return plan
	})
	out := run(t, newEngine(t), recs, 500, nil)
	if diff := gocmp.Diff([]string{jobID(late)}, misplaced(&out)); diff != "" {
		t.Errorf("jobs out of order (-want +got):\n%s", diff)
	}
}

// chained are jobs whose steps follow each other, some within a second.
func chained(swapped ...int) func(rng *rand.Rand, job int) []moment {
	return func(rng *rand.Rand, job int) (plan []moment) {
		at := 0.0
		for _, step := range []string{"accepted the order of", "reserved the stock of", "charged the card of", "printed the label of", "sent the parcel of"} {
			plan = append(plan, moment{at, step})
			if at += 2 + 20*rng.Float64(); rng.IntN(150) == 0 {
				at -= 1.9 + 20*rng.Float64()
			}
			at = max(at, plan[len(plan)-1].at+0.01)
		}
		if slices.Contains(swapped, job) {
			plan[1].step, plan[2].step = plan[2].step, plan[1].step
		}
		return plan
	}
}

// TestMergedWritersHaveNoOrderWithinASecond: times are whole seconds, and lines
// of one second come as the writers were merged.
func TestMergedWritersHaveNoOrderWithinASecond(t *testing.T) {
	swapped := []int{2000, 3000}
	out := run(t, newEngine(t), jobs(4000, 3, true, true, chained(swapped...)), 500, nil)
	told := misplaced(&out)
	for _, job := range swapped {
		if !slices.Contains(told, jobID(job)) {
			t.Errorf("job %d: got nothing; want the wrong order told", job)
		}
	}
	if wrong := len(told) - len(swapped); wrong > 1 {
		t.Errorf("got %d jobs told for the order within a second; want hardly any", wrong)
	}
}

// TestOneWriterHasAnOrderWithinASecond: the same, but lines come as they were written.
func TestOneWriterHasAnOrderWithinASecond(t *testing.T) {
	swapped := []int{1000, 2000, 3000}
	recs := jobs(4000, 4, true, false, func(rng *rand.Rand, job int) []moment {
		plan := chained(swapped...)(rng, job)
		for i := range plan {
			plan[i].at /= 40 // all of it within a second or two
		}
		return plan
	})
	out := run(t, newEngine(t), recs, 500, nil)
	if diff := gocmp.Diff([]string{jobID(1000), jobID(2000), jobID(3000)}, misplaced(&out)); diff != "" {
		t.Errorf("jobs out of order (-want +got):\n%s", diff)
	}
}

// TestOneFaultDoesNotExcuseTheNext: of six kinds of jobs one has had its wrong
// order told when another of its jobs has it as well.
func TestOneFaultDoesNotExcuseTheNext(t *testing.T) {
	swapped := []int{1200, 1500}
	recs := jobs(2000, 5, false, false, func(rng *rand.Rand, job int) []moment {
		plan := chained(swapped...)(rng, job)
		for i := range plan {
			plan[i].step = fmt.Sprintf("%s %s", []string{"books", "tools", "wine", "seeds", "maps", "toys"}[job%6], plan[i].step)
		}
		return plan
	})
	out := run(t, newEngine(t), recs, 500, nil)
	if diff := gocmp.Diff([]string{jobID(1200), jobID(1500)}, misplaced(&out)); diff != "" {
		t.Errorf("jobs out of order (-want +got):\n%s", diff)
	}
}
