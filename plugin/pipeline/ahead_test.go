package pipeline

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/logscope/logscope/loki"
	"github.com/logscope/logscope/test/sink"
)

// TestEncodingAheadChangesNoByte: calm chunks, such with anomalies and events, damaged ones, with
// scoring that panics, each encoded while it is scored and after.
func TestEncodingAheadChangesNoByte(t *testing.T) {
	s := sink.New(t)
	at := time.Now().Add(-20 * time.Hour)
	next := func(n int, calm bool) []byte {
		data := odd(n, at, time.Second, calm)
		at = at.Add(time.Duration(n) * time.Second)
		return data
	}
	damaged := next(2000, true)
	damaged[len(damaged)/2] = 0xc1
	chunks := [][]byte{
		next(9000, true), next(2000, true), next(6000, false), next(3000, true), next(500, true), next(17_000, false), damaged,
		next(100, true), lines(t, normal(1000)...), lines(t, strings.Repeat("\xff\x00long ", 100_000)), next(600, false), next(600, true),
	}
	ahead, _ := start(t, s, nil)
	after, _ := start(t, s, nil)
	flagged := 0
	for i, data := range chunks {
		for _, p := range []*Pipeline{ahead, after} {
			if p.beforeScore = nil; i == 3 {
				p.beforeScore = func() { panic("test") }
			}
		}
		w := after.takeWork()
		w.flagged = true // then it encodes after
		after.returnWork(w)
		want := after.prepare("app", data, false, nil)
		got := ahead.prepare("app", data, false, nil)
		if diff := cmp.Diff(want.pushes, got.pushes, cmpopts.IgnoreUnexported(loki.Push{})); diff != "" {
			t.Errorf("chunk %d: pushes differ (-want +got)", i)
		}
		for j := range got.told.blocks {
			flagged += len(got.told.blocks[j].flagged)
		}
		if diff := cmp.Diff(want.told.size, got.told.size); diff != "" {
			t.Errorf("chunk %d: what was told differs in size (-want +got):\n%s", i, diff)
		}
	}
	a, b := ahead.Stats(), after.Stats()
	a.ScoreSeconds, b.ScoreSeconds = Histogram{}, Histogram{}
	if diff := cmp.Diff(b, a); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if flagged == 0 || sum(a.Events) == 0 || a.Unscored == 0 || a.Mended.InvalidUTF8 == 0 {
		t.Errorf("got %d anomalies, %+v; want some of all, or this shows nothing", flagged, a.Counts)
	}
}

// TestPanicInEncodingAheadIsContained: it must not be taken for one in scoring.
func TestPanicInEncodingAheadIsContained(t *testing.T) {
	p, _ := start(t, sink.New(t), nil)
	w := p.takeWork()
	w.begin(lines(t, normal(1000)...))
	p.decode(w, "app", &pending{})
	e := &encoding{p: p, w: w, last: true} // no batch
	p.score(w, false, e)
	for e.step() {
	}
	if !e.failed {
		t.Error("got it done; want it to say that it was not")
	}
	if len(w.verdicts) != 1000 || p.Stats().Panics != 0 {
		t.Errorf("got %d verdicts, %d panics; want 1000: scoring goes on", len(w.verdicts), p.Stats().Panics)
	}
}
