package pipeline

import (
	"maps"
	"sync"
	"time"

	"github.com/logscope/logscope/engine"
)

// warnEvery is how often the same message may be logged: a Loki that is down
// for an hour is 60 lines, not one for each chunk.
const warnEvery = time.Minute

// Counts are totals since the instance started.
type Counts struct {
	Chunks, ChunksDamaged, Redelivered, Retries uint64
	Records, BytesSkipped                       uint64
	Anomalies, Events                           uint64
	NotForwarded                                uint64 // left out by the option forward
	Unscored                                    uint64 // shipped untagged after a panic in scoring
	Panics                                      uint64
	Accepted, Attempts, BytesSent               uint64
	PushesEvicted                               uint64
	Spooled                                     uint64 // chunks kept across a hot reload
	FlushSeconds                                float64
	// Refused counts the entries that Loki refused for good, by cause.
	Refused map[string]uint64
}

func (c *Counts) refuse(cause string, n int) {
	if c.Refused == nil {
		c.Refused = map[string]uint64{}
	}
	c.Refused[cause] += uint64(n)
}

// Stats returns the counts of the pipeline and of its engine.
func (p *Pipeline) Stats() (Counts, engine.Stats) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.counts
	c.Refused = maps.Clone(c.Refused)
	if p.engine == nil {
		return c, engine.Stats{}
	}
	return c, p.engine.Stats()
}

// limiter lets a message through once per period.
type limiter struct {
	every time.Duration
	mu    sync.Mutex
	last  map[string]time.Time
}

// allow says whether the message named key may be logged now. Keys are few and fixed.
func (l *limiter) allow(key string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t, ok := l.last[key]; ok && now.Sub(t) < l.every {
		return false
	}
	if l.last == nil {
		l.last = map[string]time.Time{}
	}
	l.last[key] = now
	return true
}
