package engine

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// shop makes a script of one stream with numbers and a closed vocabulary;
// special are lines put in behind its 1,500 usual ones, a minute apart.
func shop(stream string, special ...string) (recs []Record) {
	now := epoch
	add := func(format string, args ...any) {
		recs = append(recs, Record{Stream: stream, Time: now, Line: fmt.Appendf(nil, format, args...)})
	}
	usual := func(n int) {
		for i := range n {
			now += 2e9
			add("INFO paid order in %d ms region=%s", 20+i*7%13, []string{"eu-west-1", "us-east-1", "ap-south-1"}[i%3])
			add("INFO cache %d warm", i%7)
		}
	}
	usual(750)
	for _, line := range special {
		usual(330) // beyond quietSpan
		now += 1e9
		add("%s", line)
	}
	return recs
}

// found lists the anomalies of a run: line and reason.
func found(out outcome, recs []Record) (list []string) {
	for i, v := range out.Verdicts {
		if v.Anomaly {
			list = append(list, fmt.Sprintf("%s: %s", v.Reason, recs[i].Line))
		}
	}
	return list
}

// teach calls a finding of a verdict normal or anomalous, as a person would who sees it.
func teach(t *testing.T, e *Engine, v *Verdict, o Opinion, at int64) []Feedback {
	t.Helper()
	words, err := e.Teach(Feedback{TemplateID: v.TemplateID, Reason: v.Reason, Slot: v.About.Slot, Value: v.About.Value, Opinion: o, At: at})
	if err != nil {
		t.Fatal(err)
	}
	return words
}

// last returns the last anomaly.
func last(t *testing.T, out outcome) *Verdict {
	t.Helper()
	for i := len(out.Verdicts) - 1; i >= 0; i-- {
		if out.Verdicts[i].Anomaly {
			return &out.Verdicts[i]
		}
	}
	t.Fatal("nothing was found")
	return nil
}

func TestNormalIsQuietUntilItChanges(t *testing.T) {
	for _, tc := range []struct {
		name, marked string
		special      []string
		quiet        int // that is quiet then: its place in special; -1: none
	}{
		{"value", "INFO paid order in 25 ms region=mars-9", []string{
			"INFO paid order in 25 ms region=mars-9", "INFO paid order in 90000 ms region=eu-west-1", "ERROR disk sdb1 is broken",
		}, 0},
		{"another value", "INFO paid order in 25 ms region=mars-9", []string{"INFO paid order in 25 ms region=mars-8"}, -1},
		{"number", "INFO paid order in 5000 ms region=eu-west-1", []string{
			"INFO paid order in 6000 ms region=eu-west-1", "INFO paid order in 90000 ms region=eu-west-1", "INFO paid order in 25 ms region=mars-9",
		}, 0},
		{"new line", "ERROR disk sdb1 is broken", []string{
			"ERROR disk sdb1 is broken", "ERROR cannot reach the database", "INFO paid order in 90000 ms region=eu-west-1",
		}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := newEngine(t)
			before := run(t, e, shop("first", tc.marked), 500, nil)
			plain := newEngine(t)
			run(t, plain, shop("first", tc.marked), 500, nil)

			teach(t, e, last(t, before), Normal, 1)
			recs := shop("second", tc.special...)
			got, want := run(t, e, recs, 500, nil), run(t, plain, recs, 500, nil)
			if len(found(want, recs)) != len(tc.special) {
				t.Fatalf("got %q without feedback; want all of %q", found(want, recs), tc.special)
			}
			differ := 0
			for i := range recs {
				g, w := got.Verdicts[i], want.Verdicts[i]
				if tc.quiet >= 0 && string(recs[i].Line) == tc.special[tc.quiet] && g.Muted != ReasonNone {
					differ++
					if g.Anomaly || g.Reason != ReasonNone || g.Muted != w.Reason || g.Score >= DefaultConfig().Threshold {
						t.Errorf("%s: got %+v; want it quiet, of reason %v", recs[i].Line, g, w.Reason)
					}
					continue
				}
				if diff := cmp.Diff(w, g, cmpopts.IgnoreFields(About{}, "Count", "First")); diff != "" {
					t.Errorf("%s: another finding changes (-without +with):\n%s", recs[i].Line, diff)
				}
			}
			wantQuiet := 1
			if tc.quiet < 0 {
				wantQuiet = 0
			}
			if n := e.Stats().Muted[last(t, before).Reason]; differ != wantQuiet || n != uint64(wantQuiet) {
				t.Errorf("got %d quiet records, %d counted; want %d", differ, n, wantQuiet)
			}
		})
	}
}

// TestNormalShowsWhatItCovered: one line with two faults, of which one is called normal.
func TestNormalShowsWhatItCovered(t *testing.T) {
	both := "INFO paid order in 90000 ms region=mars-9"
	e := newEngine(t)
	first := last(t, run(t, e, shop("first", both), 500, nil))
	teach(t, e, first, Normal, 1)
	recs := shop("second", both)
	second := last(t, run(t, e, recs, 500, nil))
	if second.Muted != ReasonParameter || second.About.Slot == first.About.Slot || second.Reason != ReasonParameter {
		t.Errorf("got %+v about %+v; want the other fault of the line, as variable %d is quiet", second, second.About, first.About.Slot)
	}
	teach(t, e, second, Normal, 2)
	if got := found(run(t, e, shop("third", both), 500, nil), shop("third", both)); len(got) > 0 {
		t.Errorf("got %q; want nothing once both are called normal", got)
	}
}

// TestNormalBurst is quiet up to twice its size.
func TestNormalBurst(t *testing.T) {
	script := func(stream string, sizes ...int) (recs []Record) {
		recs = shop(stream, "WARN slow upstream node")
		now := recs[len(recs)-1].Time
		for _, size := range sizes {
			for range 700 {
				now += 5e9
				recs = append(recs, Record{Stream: stream, Time: now, Line: []byte("INFO cache 3 warm")})
			}
			now = now / 60e9 * 60e9
			for i := range size {
				recs = append(recs, Record{Stream: stream, Time: now + int64(i)*1e8, Line: []byte("WARN slow upstream node")})
			}
		}
		return recs
	}
	bursts := func(out outcome) (n int) {
		for _, v := range out.Verdicts {
			if v.Anomaly && v.Reason == ReasonFrequency {
				n++
			}
		}
		return n
	}
	e := newEngine(t)
	first := run(t, e, script("first", 40), 500, nil)
	if bursts(first) != 1 {
		t.Fatalf("got %d bursts; want 1", bursts(first))
	}
	teach(t, e, last(t, first), Normal, 1)
	if got := bursts(run(t, e, script("second", 60), 500, nil)); got != 0 {
		t.Errorf("got %d bursts of 1.5 times the size called normal; want none", got)
	}
	if got := bursts(run(t, e, script("third", 120), 500, nil)); got != 1 {
		t.Errorf("got %d bursts of 3 times the size called normal; want 1", got)
	}
}

func TestAnomalousIsToldAgain(t *testing.T) {
	const line, value = "ERROR disk sdb1 is broken", "INFO paid order in 25 ms region=mars-9"
	e := newEngine(t)
	out := run(t, e, shop("first", value, line), 500, nil)
	told := e.Told()
	if len(told) != 2 {
		t.Fatalf("got %+v; want two findings remembered", told)
	}
	for i := range told {
		if _, err := e.Teach(Feedback{TemplateID: told[i].TemplateID, Reason: told[i].Reason, Opinion: Anomalous, At: 5e18}); err != nil {
			t.Fatal(err)
		}
	}
	snapshot := e.Snapshot(nil)
	if e = newEngine(t); e.Restore(snapshot) != nil {
		t.Fatal("cannot restore")
	}
	now := out.Verdicts[len(out.Verdicts)-1].Time
	var again []Record
	for i := range 4 {
		if i == 3 {
			now += quietSpan
		}
		now += 1e9
		again = append(again, Record{Stream: "first", Time: now, Line: []byte(line)}, Record{Stream: "first", Time: now, Line: []byte(value)})
	}
	got := run(t, e, again, 100, nil)
	want := []string{"novelty: " + line, "parameter: " + value, "novelty: " + line, "parameter: " + value}
	if diff := cmp.Diff(want, found(got, again)); diff != "" {
		t.Errorf("what was called anomalous, three times in a row and once later (-want +got):\n%s", diff)
	}
	a := last(t, got)
	if a.About.Repeats != 2 || a.About.Count != 5 || !strings.Contains(a.Explanation, "called anomalous on") || !strings.Contains(a.Explanation, "2 more times") {
		t.Errorf("got %q, %+v; want it to say who called it so and to count 5, 2 of them not told", a.Explanation, a.About)
	}
	// In a model that knows next to nothing, a person's word is still known.
	cold := run(t, e, []Record{{Stream: "cold", Time: now, Line: []byte(line)}}, 1, nil)
	if !cold.Verdicts[0].Anomaly || cold.Verdicts[0].Reason != ReasonNovelty {
		t.Errorf("got %+v in a new model; want the line told", cold.Verdicts[0])
	}
}

// TestAnomalousIsEvidence: a finding under the threshold is lifted over it.
func TestAnomalousIsEvidence(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Threshold = 0.65
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	const line = "INFO paid order in 160 ms region=eu-west-1"
	recs := shop("s", line)
	plain := run(t, e, recs, 500, nil)
	v := plain.Verdicts[len(recs)-1]
	if v.Anomaly || v.Score < 0.2 {
		t.Fatalf("got score %v; want one beneath the threshold to begin with", v.Score)
	}
	if _, err := e.Teach(Feedback{TemplateID: v.TemplateID, Reason: ReasonParameter, Slot: 1, Level: 0.16, Opinion: Anomalous, At: 1}); err != nil {
		t.Fatal(err)
	}
	recs = shop("t", line)
	if got := run(t, e, recs, 500, nil).Verdicts[len(recs)-1]; !got.Anomaly || got.Score < cfg.Threshold || got.Score <= v.Score {
		t.Errorf("got %+v; want an anomaly above score %v", got, v.Score)
	}
}

func TestForgettingBringsBack(t *testing.T) {
	const line = "ERROR disk sdb1 is broken"
	e := newEngine(t)
	first := last(t, run(t, e, shop("first", line), 500, nil))
	said := teach(t, e, first, Normal, 1)
	taken, err := e.Teach(Feedback{TemplateID: first.TemplateID, Opinion: Forgotten, At: 2})
	if err != nil || len(taken) != 1 {
		t.Fatalf("got %v, %v; want one word taken back", taken, err)
	}
	if news := e.Merge(said); news != 0 {
		t.Errorf("got %d news from an older copy; want what was taken back to stay so", news)
	}
	recs := shop("second", line)
	if got := found(run(t, e, recs, 500, nil), recs); len(got) != 1 {
		t.Errorf("got %q; want the line told again", got)
	}
}

func TestTeachRefusesWhatIsUnclear(t *testing.T) {
	e := newEngine(t)
	out := run(t, e, shop("s", "ERROR disk sdb1 is broken"), 500, nil)
	usual, broken := out.Verdicts[0].TemplateID, last(t, out).TemplateID
	for _, tc := range []struct {
		f    Feedback
		want error
		text string
	}{
		{Feedback{TemplateID: 1, Opinion: Normal}, ErrUnknownTemplate, "0000000000000001"},
		{Feedback{TemplateID: usual, Opinion: Normal}, ErrUnclear, "give the reason"},
		{Feedback{TemplateID: usual, Reason: ReasonParameter, Opinion: Normal}, ErrUnclear, "one value"},
		{Feedback{TemplateID: usual, Reason: ReasonAccess, Opinion: Normal}, ErrUnclear, "the value"},
		{Feedback{TemplateID: usual, Reason: ReasonDrift, Opinion: Normal}, ErrUnclear, "whole log"},
		{Feedback{TemplateID: broken, Stream: "other", Opinion: Normal}, ErrUnknownTemplate, ""},
		{Feedback{TemplateID: broken}, nil, "opinion 0"},
		{Feedback{TemplateID: broken, Slot: -1, Opinion: Normal}, nil, "variable -1"},
	} {
		words, err := e.Teach(tc.f)
		if err == nil || tc.want != nil && !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%+v: got %v, %v; want an error with %q", tc.f, words, err, tc.text)
		}
	}
	if len(e.Feedback()) != 0 {
		t.Errorf("got %+v; want what was refused not entered", e.Feedback())
	}
}

// TestMergeDoesNotDependOnOrder merges the same words in other orders, some twice.
func TestMergeDoesNotDependOnOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var words []Feedback
	for i := range 200 {
		words = append(words, Feedback{TemplateID: rng.Uint64N(5), Reason: Reason(rng.IntN(5)), Slot: rng.IntN(3),
			Value: string(rune('a' + rng.IntN(2))), Opinion: Opinion(1 + rng.IntN(3)), At: int64(i)})
	}
	e := newEngine(t)
	e.Merge(words)
	want := e.Feedback()
	for range 20 {
		rng.Shuffle(len(words), func(i, j int) { words[i], words[j] = words[j], words[i] })
		e := newEngine(t)
		e.Merge(words[:150])
		e.Merge(words[100:])
		if diff := cmp.Diff(want, e.Feedback()); diff != "" {
			t.Fatalf("another order gives other words:\n%s", diff)
		}
		if news := e.Merge(words); news != 0 {
			t.Fatalf("got %d news; want none the second time", news)
		}
	}
}

// TestFeedbackFollowsItsTemplate: the text of a template becomes more general.
func TestFeedbackFollowsItsTemplate(t *testing.T) {
	b := newBook()
	b.enter(Feedback{TemplateID: 1, Reason: ReasonFrequency, Opinion: Normal, At: 1})
	b.index()
	b.follow(1, 2)
	for _, id := range []uint64{1, 2} {
		if w := b.about(&subject{template: id, reason: ReasonFrequency}); w == nil || w.Opinion != Normal {
			t.Errorf("template %d: got %v; want the word on it", id, w)
		}
	}
}

func TestMutesAreCountedAndKeepTheirScore(t *testing.T) {
	const line, other = "ERROR disk sdb1 is broken", "INFO paid order in 90000 ms region=eu-west-1"
	recs := append(shop("shop/cart", line, other), shop("db/main", line, other)...)
	want := run(t, newEngine(t), recs, 500, nil)
	id := want.Verdicts[0].TemplateID
	for _, v := range want.Verdicts {
		if v.Reason == ReasonNovelty {
			id = v.TemplateID
		}
	}
	for _, tc := range []struct {
		name string
		mute Mute
		left int
	}{
		{"none", Mute{TemplateID: 1}, 4},
		{"template", Mute{TemplateID: id}, 2},
		{"template of a namespace", Mute{TemplateID: id, Stream: "shop/*"}, 3},
		{"stream", Mute{Stream: "db/main"}, 2},
		{"reason", Mute{Reason: ReasonParameter}, 2},
	} {
		e := newEngine(t)
		e.SetMutes([]Mute{tc.mute})
		got := run(t, e, recs, 500, nil)
		muted := 0
		for i := range recs {
			g, w := got.Verdicts[i], want.Verdicts[i]
			if g.Muted != ReasonNone {
				muted++
				if g.Anomaly || g.Score != w.Score || g.Muted != w.Reason {
					t.Errorf("%s: got %+v; want it quiet with the score of %+v", tc.name, g, w)
				}
				continue
			}
			if diff := cmp.Diff(w, g); diff != "" {
				t.Errorf("%s: another verdict changes:\n%s", tc.name, diff)
			}
		}
		counted := uint64(0)
		for _, n := range e.Stats().Muted {
			counted += n
		}
		if len(found(got, recs)) != tc.left || muted != 4-tc.left || counted != uint64(muted) {
			t.Errorf("%s: got %q, %d muted, %d counted; want %d left and the rest muted", tc.name, found(got, recs), muted, counted, tc.left)
		}
	}
}

// TestRescoreKnowsFeedback: a chunk scored again gets the same decisions, and counts nothing.
func TestRescoreKnowsFeedback(t *testing.T) {
	e := newEngine(t)
	recs := shop("s", "ERROR disk sdb1 is broken")
	run(t, e, recs[:len(recs)-1], 500, nil)
	e.SetMutes([]Mute{{Reason: ReasonParameter}})
	outlier := []Record{{Stream: "s", Time: recs[len(recs)-1].Time, Line: []byte("INFO paid order in 90000 ms region=eu-west-1")}}
	before := e.Snapshot(nil)
	if v := e.Rescore(nil, outlier)[0]; v.Anomaly || v.Muted != ReasonParameter {
		t.Errorf("got %+v; want it muted", v)
	}
	if !bytes.Equal(before, e.Snapshot(nil)) || e.Stats().Muted != [reasonsMax]uint64{} {
		t.Error("rescoring changed the state")
	}
}

// BenchmarkFeedback shows what words cost a record that they are not about: none at all, and a thousand.
func BenchmarkFeedback(b *testing.B) {
	for _, words := range []int{0, 1000} {
		b.Run(fmt.Sprint(words), func(b *testing.B) {
			e := newEngine(b)
			recs := shop("s")
			var out []Verdict
			for i := range words {
				e.book.enter(Feedback{TemplateID: uint64(i + 1), Opinion: Anomalous, At: 1})
			}
			e.book.index()
			b.ResetTimer()
			for n := 0; n < b.N; n += len(recs) {
				out = e.Score(out[:0], recs)
				for i := range recs { // time goes on
					recs[i].Time += 1500e9
				}
			}
		})
	}
}

// TestFullBookStillChanges: where there is no room for more, what was said can
// be changed and taken back, and a new word gets the room of the one forgotten longest ago.
func TestFullBookStillChanges(t *testing.T) {
	e := newEngine(t)
	said := func(id uint64, o Opinion, at int64) Feedback {
		return Feedback{TemplateID: id, Reason: ReasonNovelty, Opinion: o, At: at}
	}
	words := make([]Feedback, feedbackMax)
	for i := range words {
		words[i] = said(uint64(i+1), Normal, int64(i+1))
	}
	e.Merge(words)
	out := run(t, e, shop("s", "ERROR disk sdb1 is broken"), 500, nil)
	broken := last(t, out).TemplateID
	const now = 1 << 40
	if _, err := e.Teach(said(broken, Normal, now)); !errors.Is(err, ErrFeedbackFull) {
		t.Errorf("got %v; want no room", err)
	}
	if got, err := e.Teach(said(7, Anomalous, now)); err != nil || len(got) != 1 || e.book.words[got[0].key()].Opinion != Anomalous {
		t.Errorf("a change: got %+v, %v; want it entered", got, err)
	}
	for i, id := range []uint64{9, 8} {
		if got, err := e.Teach(said(id, Forgotten, now+int64(i))); err != nil || len(got) != 1 {
			t.Errorf("forgetting: got %+v, %v; want it entered", got, err)
		}
	}
	if got, err := e.Teach(said(broken, Normal, now+2)); err != nil || len(got) != 1 {
		t.Errorf("got %+v, %v; want the room of what was forgotten", got, err)
	}
	for id, want := range map[uint64]bool{7: true, 8: true, 9: false, broken: true} {
		f := said(id, Normal, 0)
		if _, ok := e.book.words[f.key()]; ok != want {
			t.Errorf("template %d: got %v in the book; want %v", id, ok, want)
		}
	}
	if e.Merge([]Feedback{said(9, Forgotten, now)}) != 0 || len(e.Feedback()) != feedbackMax {
		t.Errorf("got %d words; want what went first to stay away", len(e.Feedback()))
	}
	if e.Merge([]Feedback{said(1<<30, Normal, now)}) != 1 || e.Merge([]Feedback{said(1<<31, Normal, now)}) != 0 {
		t.Error("want room for one word more, and for no other")
	}
}
