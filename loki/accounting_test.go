package loki

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// moodyLoki answers at random as a Loki in trouble does; once calm, it only
// refuses what is bad: large pushes, one stream's labels, entries with metadata.
type moodyLoki struct {
	r    *rand.Rand
	calm bool
}

func (m *moodyLoki) answer(_ int, es []entry) reply {
	if !m.calm {
		switch m.r.IntN(12) {
		case 0:
			return reply{status: 500}
		case 1:
			return reply{status: 503, header: map[string]string{"Retry-After": "1"}}
		case 2:
			return reply{status: 429, body: "maximum active stream limit exceeded when trying to create stream {}"}
		case 3:
			return reply{abort: true}
		case 4:
			return reply{abort: true, store: true}
		case 5:
			return reply{status: 401}
		case 6:
			return reply{status: 500, body: "half", halfway: true}
		}
	}
	if len(es) > 20 {
		return reply{status: 413}
	}
	bad := 0
	for _, e := range es {
		if e.Labels == streamB {
			return reply{status: 400, body: "couldn't parse labels: 1:2"}
		}
		if e.Metadata != nil {
			bad++
		}
	}
	if bad > 0 {
		return reply{status: 400, store: true, body: fmt.Sprintf("%d errors like: max entry size '1' bytes exceeded for stream '{job=\"x\"}'", bad)}
	}
	return reply{}
}

// However Loki answers, every entry is accepted once, refused once, or left, and
// what is left gets through later: nothing lost, nothing counted twice.
func TestEveryEntryIsAccountedFor(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 0))
		m := &moodyLoki{r: r}
		s := newSink(t, m.answer)
		c, _ := newTestClient(t, s.URL, func(cfg *Config) { cfg.Backoff.MaxRetries = 1 + r.IntN(3) })
		batch := newTestBatcher(func(c *Config) { c.BatchSize = 4000 }).NewBatch()
		total, good := 300, map[string]bool{}
		for i := range total {
			stream := []string{streamA, streamA, streamC, streamB}[r.IntN(4)]
			line := fmt.Sprintf("%s %d", stream, i)
			var meta []Label
			if r.IntN(20) == 0 {
				meta = []Label{{"too", "long"}}
			}
			if stream != streamB && meta == nil {
				good[line] = true
			}
			at := testNow.Add(-time.Duration(r.IntN(100)) * time.Minute)
			batch.Stream("", stream).Append(at.UnixNano(), []byte(line), meta)
		}
		accepted, refused := 0, 0
		left := batch.Pushes(nil)
		for call := 0; len(left) > 0; call++ {
			if call == 50 {
				t.Fatalf("seed %d: %d pushes are still left", seed, len(left))
			}
			s.mu.Lock()
			m.calm = call >= 5
			s.mu.Unlock()
			var rep Report
			left, rep = c.Deliver(t.Context(), left)
			accepted += rep.Accepted
			for _, n := range rep.Refused {
				refused += n
			}
			waiting := 0
			for _, p := range left {
				waiting += p.Entries
			}
			if accepted+refused+waiting != total {
				t.Fatalf("seed %d, call %d: accepted %d + refused %d + left %d; want %d", seed, call, accepted, refused, waiting, total)
			}
			if (len(left) > 0) != (rep.Err != nil) {
				t.Fatalf("seed %d: %d left and error %v", seed, len(left), rep.Err)
			}
		}
		if accepted != len(good) {
			t.Errorf("seed %d: accepted %d; want %d", seed, accepted, len(good))
		}
		lines := s.lines()
		for line := range good {
			if lines[line] == 0 {
				t.Errorf("seed %d: %q is lost", seed, line)
			}
		}
		s.Close()
	}
}

// A burst smaller than any that Loki comes with takes longer, and holds nothing for ever.
func TestDeliverHalvesBelowATinyBurst(t *testing.T) {
	const burst = 12 << 10
	s := newSink(t, func(_ int, es []entry) reply {
		total := 0
		for _, e := range es {
			total += len(e.Line)
		}
		if total > burst {
			return reply{status: 429, body: "ingestion rate limit exceeded for user fake (limit: 1048576 bytes/sec) while attempting to ingest '30' lines totaling '30000' bytes"}
		}
		return reply{}
	})
	c, _ := newTestClient(t, s.URL, func(cfg *Config) { cfg.Backoff.MaxRetries = 5 })
	b := newTestBatcher(nil).NewBatch()
	for i := range 40 {
		b.Stream("", streamA).Append(testNow.UnixNano()+int64(i), []byte(strings.Repeat("x", 1<<10)), nil)
	}
	left := b.Pushes(nil)
	accepted, calls := 0, 0
	for ; len(left) > 0 && calls < 100; calls++ {
		var rep Report
		left, rep = c.Deliver(t.Context(), left)
		accepted += rep.Accepted
	}
	if accepted != 40 || len(left) > 0 {
		t.Errorf("got %d entries accepted, %d pushes left after %d calls; want 40 and none", accepted, len(left), calls)
	}
	// 6 answers to 40 KiB, 12 to each half, and then what fits.
	if got := len(s.requests); got > 60 {
		t.Errorf("got %d requests; want some 34", got)
	}
}
