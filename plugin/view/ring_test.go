package view

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/logscope/logscope/engine"
)

// TestRecentAgainstAList holds the ring against a list of all that was ever pushed.
func TestRecentAgainstAList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r recent
		all := map[uint64]*Anomaly{}
		for range rapid.IntRange(0, 2000).Draw(t, "pushes") {
			switch rapid.IntRange(0, 99).Draw(t, "what") {
			case 0:
				r.skip()
				all = map[uint64]*Anomaly{}
			case 1:
				a := &Anomaly{Line: strings.Repeat("x", rapid.IntRange(0, recentBytesMax/4).Draw(t, "size"))}
				r.push(a)
				all[a.ID] = a
			default:
				a := &Anomaly{}
				r.push(a)
				all[a.ID] = a
			}
		}
		bytes := 0
		for id := r.first(); id <= r.last; id++ {
			a := r.at(id)
			if a == nil || a != all[id] || a.ID != id {
				t.Fatalf("got %v at %d; want %v", a, id, all[id])
			}
			bytes += a.bytes()
		}
		if bytes != r.bytes || bytes > recentBytesMax {
			t.Fatalf("got %d bytes, counted %d; want them equal and at most %d", bytes, r.bytes, recentBytesMax)
		}
		if r.count > recentMax || r.at(r.first()-1) != nil || r.at(r.last+1) != nil {
			t.Fatalf("got %d held; want at most %d and none beside them", r.count, recentMax)
		}
	})
}

func TestGridsAreBounded(t *testing.T) {
	s := newGrids()
	at := s.turn(noon)
	for i := range 3 * gridsMax {
		s.of(fmt.Sprintf("s%d", i), at).column(at)
	}
	if len(s.byName) != gridsMax || s.of("s0", at) == s.others || s.of("one more", at) != s.others {
		t.Fatalf("got %d grids; want %d and the others together", len(s.byName), gridsMax)
	}
	kept := s.of("s1", at)
	at = s.turn(noon.Add(columnsMax * columnTime))
	kept.column(at)
	if g := s.of("one more", at); g == s.others || len(s.byName) != gridsMax || s.of("s1", at) != kept {
		t.Errorf("got %+v; want a grid in place of one that was silent for an hour", g.id)
	}
}

func TestGridShowsAnHour(t *testing.T) {
	s := newGrids()
	first := s.turn(noon)
	for i := range int64(2 * columnsMax) {
		s.all.column(first + i).records[3]++
	}
	last := first + 2*columnsMax - 1
	columns := s.all.appendSince(nil, 0, last)
	if len(columns) != columnsMax || columns[0].at != last-columnsMax+1 || columns[columnsMax-1].at != last {
		t.Fatalf("got %d columns; want the last %d", len(columns), columnsMax)
	}
	for _, c := range columns {
		if c.records != [rowsMax]uint32{3: 1} {
			t.Fatalf("got %v; want what was counted since the slot was used before", c)
		}
	}
}

func TestTheClockIsSetBack(t *testing.T) {
	s := newGrids()
	at := s.turn(noon)
	s.of("api", at).column(at).records[0]++
	if got := s.turn(noon.Add(-clockSlack)); got != at {
		t.Errorf("got column %d; want %d while the clock catches up", got, at)
	}
	if len(s.byName) != 1 {
		t.Error("a small step back lost the heatmap")
	}
	if got := s.turn(noon.Add(-2 * time.Hour)); got != at-720 || len(s.byName) != 0 {
		t.Errorf("got column %d and %d streams; want to begin anew", got, len(s.byName))
	}
}

func TestRows(t *testing.T) {
	for score, want := range map[float64]int{-1: 0, 0: 0, 0.099: 0, 0.1: 1, 0.3: 3, 0.7: 7, 0.8999: 8, 0.9: 9, 1: 9, 2: 9} {
		if got := rowOf(score); got != want {
			t.Errorf("%v: got row %d; want %d", score, got, want)
		}
	}
}

// TestAnomaliesOwnTheirTexts: the slices of a block are used again after the call.
func TestAnomaliesOwnTheirTexts(t *testing.T) {
	line := []byte(strings.Repeat("ä", lineMax))
	rec := engine.Record{Stream: "s", Line: line}
	a := newAnomaly(1, &rec, &engine.Verdict{Explanation: strings.Repeat("e", 2*textMax)}, noon)
	clear(line)
	if a.Line != strings.Repeat("ä", lineMax/2) || a.Cut != len(line)-lineMax || len(a.Explanation) != textMax {
		t.Errorf("got a line of %d bytes, %d cut, an explanation of %d; want %d, %d, %d", len(a.Line), a.Cut, len(a.Explanation), lineMax, lineMax, textMax)
	}
	odd := newAnomaly(1, &engine.Record{Line: []byte("x" + strings.Repeat("ä", lineMax))}, &engine.Verdict{}, noon)
	if len(odd.Line) != lineMax-1 || odd.Cut != 1+2*lineMax-len(odd.Line) {
		t.Errorf("got %d bytes, %d cut; want the cut between two runes", len(odd.Line), odd.Cut)
	}
}

// TestFramesAreBounded: also where JSON needs six bytes for each that a log wrote.
func TestFramesAreBounded(t *testing.T) {
	h, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	ugly := strings.Repeat("\x01", lineMax)
	for range 100 {
		h.Observe(Seen{
			Records:  []engine.Record{{Stream: "s", Line: []byte(ugly)}},
			Verdicts: []engine.Verdict{{Anomaly: true, Score: 0.9, Template: ugly, Explanation: ugly, Expected: ugly, Observed: ugly, Session: ugly}},
		})
	}
	c := &client{next: h.recent.first()}
	var d draft
	shown := uint64(0)
	for more := true; more; more = c.behind {
		h.draw(c, &d)
		shown += uint64(len(d.anomalies))
		data, err := d.encode()
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > 1<<20 {
			t.Fatalf("got a frame of %d bytes; want at most 1 MiB", len(data))
		}
	}
	if want := uint64(h.recent.count); shown != want || c.lost != 0 {
		t.Errorf("got %d shown, %d lost; want %d", shown, c.lost, want)
	}
}
