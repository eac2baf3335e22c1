package sketch

import (
	"bytes"
	"math"
	"testing"

	"pgregory.net/rapid"
)

// spread makes keys whose halves are both mixed, as those of the table must be.
func spread(n uint64) uint64 {
	n = (n + 1) * 0x9E3779B97F4A7C15
	n ^= n >> 32
	return n * 0xD6E8FEB86659FD93
}

// TestCountsAgainstMap compares with exact counts: where the table is not full
// they are the same, and a key that was never added counts 0.
func TestCountsAgainstMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := NewCounts(9)
		exact := map[uint64]float64{}
		for range rapid.IntRange(0, 2000).Draw(t, "additions") {
			key := spread(rapid.Uint64Range(0, 99).Draw(t, "key"))
			weight := float64(rapid.IntRange(1, 32).Draw(t, "weight")) / 32
			if before := table.Add(key, weight); before != exact[key] {
				t.Fatalf("got %v before; want %v", before, exact[key])
			}
			exact[key] += weight
		}
		for n := range uint64(200) {
			if got := table.Get(spread(n)); got != exact[spread(n)] {
				t.Fatalf("key %d: got %v; want %v", n, got, exact[spread(n)])
			}
		}
		table.Halve()
		for key, v := range exact {
			want := v / 2
			if want < countsLeast {
				want = 0
			}
			if got := table.Get(key); math.Abs(got-want) > 1e-6 {
				t.Fatalf("got %v after halving; want %v", got, want)
			}
		}
	})
}

// TestCountsFlood keeps what is frequent through a flood of keys that come once.
func TestCountsFlood(t *testing.T) {
	table := NewCounts(7)
	for n := range uint64(200) {
		table.Add(spread(n), 50)
	}
	for n := range uint64(1_000_000) {
		table.Add(spread(1000+n), 1)
	}
	kept := 0
	for n := range uint64(200) {
		if table.Get(spread(n)) == 50 {
			kept++
		}
	}
	if kept < 190 {
		t.Errorf("got %d of 200 frequent keys behind the flood; want 190 or more", kept)
	}
}

// TestCountsRoundTrip writes a table and reads it back; every prefix and a
// place beyond the table must be refused.
func TestCountsRoundTrip(t *testing.T) {
	table := NewCounts(3)
	for n := range uint64(40) {
		table.Add(spread(n), float64(n+1))
	}
	w := NewWriter(nil)
	table.Sync(w)
	data := w.Bytes()
	for cut := range len(data) + 1 {
		again := NewCounts(3)
		r := NewReader(data[:cut])
		if again.Sync(r); (r.Err() != nil) != (cut < len(data)) {
			t.Fatalf("got error %v for %d of %d bytes", r.Err(), cut, len(data))
		}
		if cut == len(data) {
			w := NewWriter(nil)
			if again.Sync(w); !bytes.Equal(w.Bytes(), data) {
				t.Error("got other counts back")
			}
		}
	}
	data[4] = 200 // the first place
	small := NewCounts(3)
	r := NewReader(data)
	if small.Sync(r); r.Err() == nil {
		t.Error("got no error for a place beyond the table")
	}
}
