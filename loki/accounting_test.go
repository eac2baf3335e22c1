package loki

import (
	"fmt"
	"math/rand/v2"
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
