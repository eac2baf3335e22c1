package engine

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// loops makes n records of so many threads, each of which goes through its own
// six steps, interleaved as they come: in runs of one or more records. Threads
// pause, and now and then do something else.
func loops(n, threads, run int, seed uint64) []Record {
	rng := rand.New(rand.NewPCG(seed, 7))
	steps := [...]string{"polled its queue", "opened the next file", "checked the rows of it", "merged them into the table", "flushed everything to disk", "went to sleep again"}
	recs := make([]Record, 0, n)
	at := make([]int, threads)
	for k := 0; len(recs) < n; k = rng.IntN(threads) {
		for range 1 + rng.IntN(run) {
			text := fmt.Sprintf("INFO %s: %s", workerNames[k], steps[at[k]])
			if at[k]++; at[k] == len(steps) {
				at[k] = 0
			}
			if rng.IntN(400) == 0 {
				text = "INFO collected garbage in the meantime"
			}
			recs = append(recs, Record{Stream: "s", Time: epoch + int64(len(recs))*3e8, Line: []byte(text)})
		}
	}
	return recs[:n]
}

var workerNames = [...]string{"importer", "exporter", "indexer", "auditor", "mailer"}

// TestOrderIsQuietWhereThereIsNone has several threads in one stream.
func TestOrderIsQuietWhereThereIsNone(t *testing.T) {
	for threads := 1; threads <= len(workerNames); threads++ {
		for _, run := range []int{1, 3, 40} {
			told := 0
			for _, v := range run1(t, loops(20_000, threads, run, uint64(threads))) {
				if v.Anomaly && v.Reason == ReasonSequence {
					told++
				}
			}
			if told > 2 {
				t.Errorf("%d threads in runs of up to %d: got %d findings about order in 20,000 records; want hardly any", threads, run, told)
			}
		}
	}
}

// TestOrderIsFoundInOneThread swaps two steps of one thread at known places.
func TestOrderIsFoundInOneThread(t *testing.T) {
	recs := loops(60_000, 1, 1, 3)
	var swapped []int
	for i := 10_003; i+1 < len(recs); i += 6001 {
		recs[i].Line, recs[i+1].Line = recs[i+1].Line, recs[i].Line
		swapped = append(swapped, i)
	}
	verdicts := run1(t, recs)
	found := 0
	for _, i := range swapped {
		if v := verdicts[i]; v.Anomaly && v.Reason == ReasonSequence {
			found++
		}
	}
	if found < len(swapped)-1 {
		t.Errorf("got %d of %d swapped steps; want all but one", found, len(swapped))
	}
}

func run1(t *testing.T, recs []Record) []Verdict {
	t.Helper()
	return run(t, newEngine(t), recs, 500, nil).Verdicts
}
