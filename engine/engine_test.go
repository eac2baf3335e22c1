package engine

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logscope/logscope/engine/drain"
)

// stream makes n ordinary records of one service, one per second.
func ordinary(n int, from int64) []Record {
	var recs []Record
	for i := range n {
		line := fmt.Sprintf("INFO worker %d finished job %d in %d ms", i%7, 1000+i*37%9973, 20+i*13%30)
		recs = append(recs, Record{Stream: "app", Time: from + int64(i)*1e9, Line: []byte(line)})
	}
	return recs
}

const epoch = int64(1_700_000_000) * 1e9

func TestOneVerdictPerRecord(t *testing.T) {
	e, err := New(DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	recs := ordinary(3000, epoch)
	verdicts := e.Score(nil, recs)
	if len(verdicts) != len(recs) {
		t.Fatalf("got %d verdicts; want %d", len(verdicts), len(recs))
	}
	for i, v := range verdicts {
		if v.Anomaly {
			t.Errorf("record %d: got an anomaly (%s); want none in ordinary traffic", i, v.Explanation)
		}
		if v.Time != recs[i].Time {
			t.Errorf("record %d: got time %d; want %d", i, v.Time, recs[i].Time)
		}
	}
	v := e.Score(nil, []Record{{Stream: "app", Time: epoch + 3000e9, Line: []byte("ERROR cannot open journal, giving up")}})[0]
	if !v.Anomaly || v.Reason != ReasonNovelty || v.Explanation == "" {
		t.Errorf("got %+v; want an explained novelty", v)
	}
}

// TestReadingAheadChangesNothing scores with lines read on another goroutine, and without.
func TestReadingAheadChangesNothing(t *testing.T) {
	recs := mixed(24_000)
	want := run(t, newEngine(t), recs, 6000, nil)
	cfg := DefaultConfig()
	started, others := 0, 0
	cfg.Ahead = drain.NewAhead(func(work func()) { started++; go work() }, func() bool { others++; return others%3 > 0 })
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, run(t, e, recs, 6000, nil)); diff != "" {
		t.Errorf("verdicts differ (-read when scored +read ahead):\n%.4000s", diff)
	}
	if started < 4 {
		t.Errorf("got %d blocks read ahead; want 4 or more, or this shows nothing", started)
	}
}

// TestExpectChangesNothing tells the engine of records before it scores them,
// in parts, of none but one stream and of more, and takes it back at times.
func TestExpectChangesNothing(t *testing.T) {
	all := mixed(40_000)
	one := slices.DeleteFunc(slices.Clone(all), func(r Record) bool { return r.Stream != "app" })
	for what, recs := range map[string][]Record{"one stream": one, "two streams": all, "one, then two": slices.Concat(one[:9000], all)} {
		want := run(t, newEngine(t), recs, 5000, nil)
		started := 0
		cfg := DefaultConfig()
		cfg.Ahead = drain.NewAhead(func(work func()) { started++; go work() }, nil)
		e, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		got := run(t, e, recs, 5000, func(at int) {
			block := recs[at:min(at+5000, len(recs))]
			e.Expect(block[:min(1500, len(block))])
			e.Expect(block[min(1500, len(block)):min(3100, len(block))])
			if at == 10_000 {
				e.Unexpect()
			}
		})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: verdicts differ (-not told +told):\n%.4000s", what, diff)
		}
		if started < 3 {
			t.Errorf("%s: got %d blocks read ahead; want 3 or more, or this shows nothing", what, started)
		}
	}
}
