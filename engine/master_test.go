package engine

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// quietFleet is an engine with so many models of ten days' life that raised nothing.
func quietFleet(t *testing.T, models int) (*Engine, []*model) {
	t.Helper()
	e := newEngine(t)
	all := make([]*model, models)
	for i := range all {
		all[i] = e.model(fmt.Sprint("shop/", i))
		all[i].clock.advance(epoch)
		all[i].born = epoch - 9*24*hour
		all[i].clock.now = epoch + 24*hour
	}
	return e, all
}

// day is the moment some minutes into the second day.
func day(minutes float64) int64 { return epoch + 24*hour + int64(minutes*60e9) }

func TestFleetIsOneFindingThatNamesThem(t *testing.T) {
	e, all := quietFleet(t, 10)
	for i, at := range []float64{1, 2.5, 3} {
		e.master.note(e, all[i], ReasonFrequency, day(at))
	}
	for i := range 60 { // and so it goes on for an hour, with more of them
		e.master.note(e, all[i%7], ReasonNovelty, day(3+float64(i)))
	}
	events := e.Events(nil)
	if len(events) != 1 {
		t.Fatalf("got %d findings; want one for the episode: %+v", len(events), events)
	}
	ev := events[0]
	if ev.Kind != EventFleet || ev.Reason != ReasonFleet || !ev.Anomaly || ev.Time != day(3) || ev.Stream != "" {
		t.Errorf("got %+v; want a fleet finding at the record that completed it", ev)
	}
	for _, part := range []string{"3 of 10 models", `"shop/0" (frequency)`, `"shop/1"`, `"shop/2"`, "Look at what they share"} {
		if !strings.Contains(ev.Explanation, part) {
			t.Errorf("got %q; want %q in it", ev.Explanation, part)
		}
	}
	for i := range 4 { // the next day
		e.master.note(e, all[i], ReasonSilence, day(1440+float64(i)))
	}
	if n := len(e.Events(nil)); n != 1 {
		t.Errorf("got %d findings the next day; want 1", n)
	}
}

// TestFleetDoesNotDependOnTheOrderOfStreams: the same findings model by model, as files are scanned.
func TestFleetDoesNotDependOnTheOrderOfStreams(t *testing.T) {
	for _, order := range []string{"by time", "by model"} {
		e, all := quietFleet(t, 12)
		type find struct {
			model int
			at    float64
		}
		var finds []find
		rng := rand.New(rand.NewPCG(3, 3))
		for i := range all {
			finds = append(finds, find{i, rng.Float64() * 700})
			if i < 6 {
				finds = append(finds, find{i, 800 + rng.Float64()*3})
			}
			finds = append(finds, find{i, 900 + rng.Float64()*500})
		}
		if order == "by time" {
			slices.SortFunc(finds, func(a, b find) int { return int(1e6 * (a.at - b.at)) })
		}
		for _, f := range finds {
			e.master.note(e, all[f.model], ReasonNovelty, day(f.at))
		}
		events := e.Events(nil)
		if len(events) != 1 || math.Abs(float64(events[0].Time-day(801.5))) > 3*60e9 {
			t.Errorf("%s: got %+v; want one finding about the 800th minute", order, events)
		}
	}
}

// TestFleetKnowsEachModelsOwnRate: models that raise something every ten
// minutes meet by chance, and ones that never do, do not.
func TestFleetKnowsEachModelsOwnRate(t *testing.T) {
	false30 := 0
	for seed := range uint64(10) {
		rng := rand.New(rand.NewPCG(seed, 4))
		e, all := quietFleet(t, 60)
		for _, m := range all[:20] {
			m.strange = strangeness{minutes: 144, at: m.clock.now}
		}
		for minutes := range 3 * 1440 {
			for i, m := range all {
				m.clock.now = day(float64(minutes))
				rate := 1.0 / 1440 // once a day
				if i < 20 {
					rate = 0.1
				}
				if rng.Float64() < rate {
					e.master.note(e, m, ReasonNovelty, day(float64(minutes)))
				}
			}
		}
		false30 += len(e.Events(nil))
		// The noisy ones all at once are news neither; five of the quiet ones are.
		for i := range 6 {
			e.master.note(e, all[i], ReasonNovelty, day(3*1440+20))
		}
		if n := len(e.Events(nil)); n != 0 {
			t.Errorf("seed %d: got %d findings of models that always raise something; want none", seed, n)
		}
		for i := range 6 {
			e.master.note(e, all[30+i], ReasonNovelty, day(3*1440+21))
		}
		if n := len(e.Events(nil)); n != 1 {
			t.Errorf("seed %d: got %d findings of quiet models at once; want 1", seed, n)
		}
	}
	if false30 > 1 {
		t.Errorf("got %d findings in 30 days of independent models; want at most 1", false30)
	}
}

func TestFleetIsRestored(t *testing.T) {
	one, all := quietFleet(t, 10)
	for i := range 2 {
		one.master.note(one, all[i], ReasonNovelty, day(1))
	}
	two := newEngine(t)
	snapshot := one.Snapshot(nil)
	if err := two.Restore(snapshot); err != nil {
		t.Fatal(err)
	}
	if string(two.Snapshot(nil)) != string(snapshot) {
		t.Error("the restored state differs from its snapshot")
	}
	one.master.note(one, one.model("shop/2"), ReasonNovelty, day(2))
	two.master.note(two, two.model("shop/2"), ReasonNovelty, day(2))
	want, got := one.Events(nil), two.Events(nil)
	if diff := cmp.Diff(want, got); diff != "" || len(want) != 1 {
		t.Errorf("got other findings after a restore (-without +with):\n%s", diff)
	}
}

// TestFleetIsBounded: as many minutes as there are.
func TestFleetIsBounded(t *testing.T) {
	e, all := quietFleet(t, 3)
	for i := range 3 * fleetMost {
		e.master.note(e, all[i%3], ReasonNovelty, day(float64(7*i)))
	}
	if w := &e.master; w.pairs > fleetMost || len(w.at) > fleetMost {
		t.Errorf("got %d pairs in %d minutes; want at most %d", w.pairs, len(w.at), fleetMost)
	}
	if w := &e.master; w.at[day(float64(7*(3*fleetMost-1)))/minute] == nil {
		t.Error("the newest minute was forgotten")
	}
}

// TestFleetIsMuted by its reason.
func TestFleetIsMuted(t *testing.T) {
	e, all := quietFleet(t, 10)
	e.SetMutes([]Mute{{Reason: ReasonFleet}})
	for i := range 5 {
		e.master.note(e, all[i], ReasonNovelty, day(1))
	}
	if n := len(e.Events(nil)); n != 0 || e.Stats().Muted[ReasonFleet] != 1 {
		t.Errorf("got %d findings, %d muted; want it muted", n, e.Stats().Muted[ReasonFleet])
	}
}

// TestFleetOfWholeLogs scores the records of eight streams of which five get a new error in the same minute.
func TestFleetOfWholeLogs(t *testing.T) {
	var recs []Record
	for s := range 8 {
		for i := range 4000 {
			at := epoch + int64(i)*4e9
			line := fmt.Sprintf("INFO request %d served in %d ms", i*37%9973, 20+i*7%13)
			if i == 3000 && s < 5 {
				line = "ERROR cannot reach the database"
			}
			recs = append(recs, Record{Stream: fmt.Sprint("shop/", s), Time: at, Line: []byte(line)})
		}
	}
	for _, order := range []string{"files", "merged"} {
		if order == "merged" {
			slices.SortStableFunc(recs, func(a, b Record) int { return int(a.Time - b.Time) })
		}
		var fleet []Event
		for _, ev := range run(t, newEngine(t), recs, 1000, nil).Events {
			if ev.Kind == EventFleet {
				fleet = append(fleet, ev)
			}
		}
		if len(fleet) != 1 || fleet[0].Time != epoch+3000*4e9 || !strings.Contains(fleet[0].Explanation, `"shop/2" (novelty)`) {
			t.Errorf("%s: got %+v; want one finding that names the streams", order, fleet)
		}
	}
}

// TestTailsAgree: the exact probability lies beneath Poisson's, and is right where it is known.
func TestTailsAgree(t *testing.T) {
	if got, want := jointTail([]float64{0.5, 0.5}, 1), 0.75; math.Abs(got-want) > 1e-12 {
		t.Errorf("got %v; want %v", got, want)
	}
	rng := rand.New(rand.NewPCG(9, 9))
	for range 200 {
		each := make([]float64, 2+rng.IntN(60))
		sum := 0.0
		for i := range each {
			each[i] = rng.Float64() * 0.2
			sum += each[i]
		}
		k := int(sum) + 2 + rng.IntN(4)
		if k > len(each) {
			continue
		}
		if exact, bound := jointTail(each, k), poissonTail(sum, k); !(exact > 0) || exact > bound*(1+1e-9) {
			t.Errorf("got %v exactly and %v by Poisson for %d of %v; want no more", exact, bound, k, sum)
		}
	}
}

// TestFleetSize is the table of docs/operations.md: how many models at once are
// a finding, of models of ten days' life that raised nothing in the last.
func TestFleetSize(t *testing.T) {
	for _, tc := range []struct{ models, want int }{{3, 3}, {10, 3}, {20, 4}, {100, 5}, {256, 7}} {
		e, all := quietFleet(t, tc.models)
		got := 0
		for got < len(all) && len(e.events) == 0 {
			e.master.note(e, all[got], ReasonNovelty, day(1))
			got++
		}
		if got != tc.want {
			t.Errorf("of %d models, %d at once are a finding; want %d", tc.models, got, tc.want)
		}
	}
}

// TestFleetWithinAnEpisodeIsCheap: what an episode covers already is not computed again, and the rest not exactly.
func TestFleetWithinAnEpisodeIsCheap(t *testing.T) {
	e, all := quietFleet(t, 200)
	for i := range 20 {
		e.master.note(e, all[i], ReasonNovelty, day(1))
	}
	if n := len(e.Events(nil)); n != 1 {
		t.Fatalf("got %d findings; want the one of the episode", n)
	}
	before := e.master.episodes[0]
	// Only the computing sets an entry to 1 where a model is strange in two minutes.
	e.master.note(e, all[0], ReasonNovelty, day(0))
	e.master.note(e, all[1], ReasonNovelty, day(0))
	if n := e.master.names[all[1].stream]; n != 2 || e.master.episodes[0] != before {
		t.Errorf("got %d, %+v; want the covered minutes %+v gathered only", n, e.master.episodes[0], before)
	}
	for i := range 60 {
		e.master.note(e, all[20+i], ReasonNovelty, day(2+float64(i)/2))
	}
	if ep := e.master.episodes[0]; len(e.master.episodes) != 1 || ep.to < before.to+20 || len(e.Events(nil)) != 0 {
		t.Errorf("got %+v; want the episode to go on", e.master.episodes)
	}
}

// TestFleetOfManyModels: beyond fleetExact every finding is still looked at.
func TestFleetOfManyModels(t *testing.T) {
	e, all := quietFleet(t, 100)
	e.cfg.ModelsMax = 2 * fleetExact
	for i := len(all); i <= fleetExact; i++ {
		m := e.model(fmt.Sprint("shop/", i))
		m.clock.now, m.born = all[0].clock.now, all[0].born
	}
	got := 0
	for got < len(all) && len(e.events) == 0 {
		e.master.note(e, all[got], ReasonNovelty, day(1))
		got++
	}
	if len(e.models) <= fleetExact || got < fleetLeast || got > 12 {
		t.Errorf("of %d models, %d at once are a finding; want some ten", len(e.models), got)
	}
}
