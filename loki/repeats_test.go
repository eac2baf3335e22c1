package loki

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// repeat is an entry to append: second of its time, line, value of its metadata.
type repeat struct {
	at         int
	line, meta string
}

func (r repeat) append(b *Batch, stream string) {
	var meta []Label
	if r.meta != "" {
		meta = []Label{{"id", r.meta}, {"more", "x"}}
	}
	b.Stream("", stream).Append(testNow.Add(time.Duration(r.at)*time.Second).UnixNano(), []byte(r.line), meta)
}

func TestRepeatsAreMovedByNanoseconds(t *testing.T) {
	for _, tc := range []struct {
		name string
		in   []repeat
		want []int64 // nanoseconds by which each is moved
		off  bool
	}{
		{"another time", []repeat{{0, "a", ""}, {1, "a", ""}, {2, "a", ""}}, []int64{0, 0, 0}, false},
		{"another line", []repeat{{0, "a", ""}, {0, "b", ""}, {0, "", ""}}, []int64{0, 0, 0}, false},
		{"repeat", []repeat{{0, "a", ""}, {0, "a", ""}, {0, "a", ""}}, []int64{0, 1, 2}, false},
		{"not next to each other", []repeat{{0, "a", ""}, {0, "b", ""}, {0, "a", ""}, {0, "b", ""}, {0, "a", ""}}, []int64{0, 0, 1, 1, 2}, false},
		{"another metadata, which older Lokis do not look at", []repeat{{0, "a", "x"}, {0, "a", "y"}, {0, "a", ""}, {0, "a", "x"}}, []int64{0, 1, 2, 3}, false},
		{"empty lines", []repeat{{0, "", ""}, {0, "", ""}}, []int64{0, 1}, false},
		{"a new run", []repeat{{0, "a", ""}, {0, "a", ""}, {1, "a", ""}, {1, "a", ""}, {1, "b", ""}}, []int64{0, 1, 0, 1, 0}, false},
		{"too old for Loki", []repeat{{-9e6, "a", "x"}, {-9e6, "a", "x"}, {-9e6, "b", "x"}}, []int64{0, 1, 0}, false},
		{"off", []repeat{{0, "a", ""}, {0, "a", ""}}, []int64{0, 0}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			batcher := newTestBatcher(func(c *Config) { c.KeepRepeats = !tc.off })
			b := batcher.NewBatch()
			defer b.Close()
			moved := uint64(0)
			for i, r := range tc.in {
				r.append(b, streamA)
				if tc.want[i] > 0 {
					moved++
				}
			}
			got := decodeAll(t, b.Pushes(nil))
			for i, r := range tc.in {
				at := testNow.Add(time.Duration(r.at) * time.Second).UnixNano()
				if got[i].TimeNs-at != tc.want[i] || got[i].Line != r.line {
					t.Errorf("entry %d: got %q moved by %d; want %q by %d", i, got[i].Line, got[i].TimeNs-at, r.line, tc.want[i])
				}
			}
			if n := batcher.Mended().Repeats; n != moved {
				t.Errorf("got %d counted; want %d", n, moved)
			}
		})
	}
}

// TestRepeatsOfRandomBatches: nothing that Loki would drop is left, a time moves only for a repeat, the
// same entries give the same bytes whatever batches came before, and a push that is cut changes nothing.
func TestRepeatsOfRandomBatches(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		in := make([]repeat, 200)
		for i := range in {
			in[i] = repeat{i / 40, fmt.Sprintf("line %d", rng.IntN(6)), []string{"", "x", "y"}[rng.IntN(3)]}
		}
		batcher := newTestBatcher(func(c *Config) { c.BatchSize = 1024 + rng.IntN(2000) })
		make1 := func() []Push {
			b := batcher.NewBatch()
			defer b.Close()
			for i, r := range in {
				r.append(b, []string{streamA, streamB}[i%2])
			}
			return b.Pushes(nil)
		}
		pushes, again := make1(), make1()
		if len(pushes) < 3 {
			t.Fatalf("seed %d: got %d pushes; want several", seed, len(pushes))
		}
		for i := range pushes {
			if !bytes.Equal(pushes[i].Body, again[i].Body) {
				t.Fatalf("seed %d: push %d differs the second time", seed, i)
			}
		}
		kept, times := map[string]bool{}, map[string]int{}
		for _, e := range decodeAll(t, pushes) {
			key := fmt.Sprint(e.Labels, e.TimeNs, e.Line)
			if kept[key] {
				t.Fatalf("seed %d: Loki would drop %s", seed, key)
			}
			kept[key] = true
			times[fmt.Sprint(e.Labels, e.Line, e.Metadata, e.TimeNs/1e9)]++
		}
		for i, r := range in {
			var meta []Label
			if r.meta != "" {
				meta = []Label{{"id", r.meta}, {"more", "x"}}
			}
			times[fmt.Sprint([]string{streamA, streamB}[i%2], r.line, meta, testNow.Unix()+int64(r.at))]--
		}
		for key, n := range times {
			if n != 0 {
				t.Fatalf("seed %d: got %+d entries of %s", seed, n, key)
			}
		}
	}
}

// BenchmarkRepeats is what looking for repeats costs beside BenchmarkAppend's usual case.
func BenchmarkRepeats(b *testing.B) {
	lines := make([][]byte, 1000)
	for i := range lines {
		lines[i] = fmt.Appendf(nil, `10.0.0.%d - - [01/Mar/2026:12:00:00 +0000] "GET /api/v1/orders/%d HTTP/1.1" 200 %d "-" "curl/8.5.0" 0.0%02d upstream=10.2.0.1:8080`, i%256, i*7919%100000, i*31%9000, i%100)
	}
	for _, tc := range []struct {
		name string
		keep bool
		step int64
	}{{"other times", true, 1}, {"equal times", true, 0}, {"equal times/off", false, 0}} {
		b.Run(tc.name, func(b *testing.B) {
			batcher := newTestBatcher(func(c *Config) { c.KeepRepeats = tc.keep })
			b.ReportAllocs()
			for b.Loop() {
				batch := batcher.NewBatch()
				s := batch.Stream("", streamA)
				for i, line := range lines {
					s.Append(testNow.UnixNano()+int64(i)*tc.step, line, nil)
				}
				batch.Pushes(nil)
				batch.Close()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(lines)), "ns/entry")
		})
	}
}
