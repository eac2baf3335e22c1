package engine

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// words makes lines of random words: each is unlike every other.
func words(rng *rand.Rand, n int) [][]byte {
	lines := make([][]byte, n)
	for i := range lines {
		var b []byte
		for range 4 + rng.IntN(10) {
			for range 2 + rng.IntN(8) {
				b = append(b, byte('a'+rng.IntN(26)))
			}
			b = append(b, ' ')
		}
		lines[i] = b
	}
	return lines
}

// feed scores lines of a stream in blocks and returns the anomalies and the events but drift.
func feed(e *Engine, lines [][]byte, at *int64) (flagged int, events []Event) {
	var recs []Record
	var out []Verdict
	for i, line := range lines {
		*at += 1e8
		recs = append(recs, Record{Stream: "s", Time: *at, Line: line})
		if len(recs) == 5000 || i == len(lines)-1 {
			out = e.Score(out[:0], recs)
			recs = recs[:0]
			for j := range out {
				if out[j].Anomaly {
					flagged++
				}
			}
			events = e.Events(events)
		}
	}
	return flagged, events
}

// TestRandomTextCostsNothing scores random text: it is told once, nothing is
// flagged, and the memory stays where it is. LOGSCOPE_LINES=1000000 makes it a
// million lines and reports the throughput.
func TestRandomTextCostsNothing(t *testing.T) {
	n := 60_000
	if s := os.Getenv("LOGSCOPE_LINES"); s != "" {
		if _, err := fmt.Sscan(s, &n); err != nil {
			t.Fatal(err)
		}
	}
	e := newEngine(t)
	rng := rand.New(rand.NewPCG(1, 10))
	at, flagged, told := epoch, 0, 0
	var most int64
	var took time.Duration
	for range n / 10_000 {
		lines := words(rng, 10_000)
		began := time.Now()
		k, events := feed(e, lines, &at)
		took += time.Since(began)
		flagged += k
		for _, ev := range events {
			if ev.Kind != EventUnstructured || ev.Anomaly {
				t.Errorf("got %+v; want only that the log is unstructured", ev)
			}
			told++
		}
		most = max(most, e.Stats().MemoryBytes)
	}
	if s := e.Stats(); flagged > 0 || told != 1 || s.Unstructured != 1 || s.Confidence > 0.2 {
		t.Errorf("got %d anomalies, told %d times, %d unstructured, confidence %.2f; want none, once, 1 and little", flagged, told, s.Unstructured, s.Confidence)
	}
	if most > 1<<20 {
		t.Errorf("got %d bytes at most between blocks; want less than 1 MiB", most)
	}
	t.Logf("%d lines, %.0f a second, %d bytes learned at most", n, float64(n)/took.Seconds(), most)
}

// TestDumpDoesNotCostTheTemplates: an app dumps random text into a log that it
// has taught. Its own lines are known and judged during the dump and after it,
// and new ones are learned again when it is over.
func TestDumpDoesNotCostTheTemplates(t *testing.T) {
	e := newEngine(t)
	at := epoch
	rng := rand.New(rand.NewPCG(2, 10))
	usual := func(n int) (lines [][]byte) {
		for i := range n {
			lines = append(lines, fmt.Appendf(nil, "INFO paid order in %d ms", 20+i*7%13))
		}
		return lines
	}
	feed(e, usual(5000), &at)
	before := e.Snapshot(nil)
	dump := words(rng, 8000)
	for i := range dump {
		if i%4 == 0 {
			dump[i] = []byte("INFO paid order in 30 ms")
		}
	}
	dump[7000] = []byte("INFO paid order in 90000 ms")
	flagged, events := feed(e, dump, &at)
	told := 0
	for _, ev := range events {
		if ev.Kind == EventUnstructured {
			told++
		}
	}
	if told != 1 || e.Stats().Unstructured != 1 || e.Stats().Templates > 10 {
		t.Errorf("got told %d times, %d templates; want the dump recognised and its templates forgotten", told, e.Stats().Templates)
	}
	if flagged < 1 || flagged > 12 {
		t.Errorf("got %d anomalies; want the outlier, and few of the dump's first lines", flagged)
	}
	feed(e, usual(2*looseEvery), &at)
	if e.Stats().Unstructured != 0 {
		t.Error("the log is still taken to be unstructured when the dump is over")
	}
	if n, _ := feed(e, [][]byte{[]byte("ERROR disk sdb1 is broken"), []byte("INFO paid order in 90000000 ms")}, &at); n == 0 {
		t.Error("got no anomaly when the dump is over; want it judged again")
	}
	if again := e.Snapshot(nil); len(again) > len(before)+32<<10 {
		t.Errorf("got a state of %d bytes after the dump, %d before; want what it taught forgotten", len(again), len(before))
	}
}

// TestRichNewLogIsNoDump: many templates at the start are a log like others.
func TestRichNewLogIsNoDump(t *testing.T) {
	e := newEngine(t)
	at := epoch
	rng := rand.New(rand.NewPCG(4, 10))
	kinds := words(rng, 1500)
	var lines [][]byte
	for i := range 12_000 {
		lines = append(lines, fmt.Appendf(nil, "%s%d", kinds[rng.IntN(len(kinds))], i))
	}
	feed(e, lines, &at)
	if s := e.Stats(); s.Unstructured != 0 || s.Templates < 1400 {
		t.Errorf("got %d unstructured, %d templates; want a log of 1,500 templates learned", s.Unstructured, s.Templates)
	}
}

// TestLooseIsRestored: snapshots at every stage change nothing.
func TestLooseIsRestored(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 10))
	lines := words(rng, 30_000)
	for i := 20_000; i < len(lines); i++ {
		lines[i] = fmt.Appendf(nil, "INFO job %d done", i)
	}
	var recs []Record
	for i, line := range lines {
		recs = append(recs, Record{Stream: "s", Time: epoch + int64(i)*1e8, Line: line})
	}
	want := run(t, newEngine(t), recs, 700, nil)
	e := newEngine(t)
	var got outcome
	for at := 0; at < len(recs); at += 700 {
		snapshot := e.Snapshot(nil)
		e = newEngine(t)
		if err := e.Restore(snapshot); err != nil {
			t.Fatal(err)
		}
		got.Verdicts = e.Score(got.Verdicts, recs[at:min(at+700, len(recs))])
		got.Events = e.Events(got.Events)
	}
	e.Finish()
	got.Events = e.Events(got.Events)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("restores change something:\n%.2000s", diff)
	}
}

// TestColdModelKeepsStill: what a model cannot know yet raises nothing, and a
// thousand lines later it does.
func TestColdModelKeepsStill(t *testing.T) {
	odd := []string{
		"ERROR disk sdb1 is broken", "INFO paid order in 90000 ms region=eu-west-1", "INFO paid order in 25 ms region=mars-9",
		"FATAL out of memory", "INFO login from 203.0.113.9", "INFO finished job job-77 early",
	}
	last := 0.0
	for _, n := range []int{0, 10, 100, 499, 1000, 10_000} {
		e := newEngine(t)
		var lines [][]byte
		for i := range n / 2 {
			lines = append(lines, fmt.Appendf(nil, "INFO paid order in %d ms region=%s", 20+i*7%13, []string{"eu-west-1", "us-east-1", "ap-south-1"}[i%3]),
				fmt.Appendf(nil, "INFO login from 10.1.%d.%d", i%5, i%200))
		}
		at := epoch
		flagged, events := feed(e, lines, &at)
		if flagged+len(events) > 0 {
			t.Errorf("%d lines: got %d anomalies and %+v of the usual lines", n, flagged, events)
		}
		confidence := e.Stats().Confidence
		if confidence < last || confidence > 1 || n == 0 && confidence != 0 || n == 10_000 && confidence < 0.8 {
			t.Errorf("%d lines: got confidence %.3f after %.3f with fewer; want it to rise from 0 towards 1", n, confidence, last)
		}
		last = confidence
		var bad [][]byte
		for range 20 { // a burst, too
			for _, line := range odd {
				bad = append(bad, []byte(line))
			}
		}
		flagged, events = feed(e, bad, &at)
		at += int64(time.Hour)
		more, silences := feed(e, bad[:1], &at)
		if n+len(bad) < DefaultConfig().Warmup && flagged+more+len(events)+len(silences) > 0 {
			t.Errorf("%d lines: got %d anomalies, %+v; want a model that knows so little to keep still", n, flagged+more, append(events, silences...))
		}
		if n >= 1000 && flagged < 3 {
			t.Errorf("%d lines: got %d anomalies; want the odd lines found", n, flagged)
		}
		if cold := e.Stats().Cold; (cold == 1) != (n+len(bad)+1 <= DefaultConfig().Warmup) {
			t.Errorf("%d lines: got %d cold models", n, cold)
		}
	}
}
