package pipeline

import (
	"maps"
	"sync"
	"time"

	"github.com/logscope/logscope/engine"
	"github.com/logscope/logscope/loki"
)

// warnEvery is how often the same message may be logged: a Loki that is down
// for an hour is 60 lines, not one for each chunk.
const warnEvery = time.Minute

// codesMax is room for the engine's reasons and kinds of events, 256 bytes each.
const codesMax = 32

// Counts are totals since the instance started. A chunk that Fluent Bit brings
// again counts in Redelivered and Retries only.
type Counts struct {
	Chunks, ChunksDamaged, Redelivered, Retries uint64
	Records, BytesIn, BytesSkipped              uint64
	Anomalies                                   [codesMax]uint64 // by engine.Reason
	Events                                      [codesMax]uint64 // by engine.EventKind
	NotForwarded                                uint64           // left out by the option forward
	Unscored                                    uint64           // shipped untagged after a panic in scoring
	Untagged                                    uint64           // chunks shipped untagged, as what was told of them was evicted
	Panics                                      uint64           // all that were caught
	Accepted, Attempts, BytesSent               uint64
	Dropped                                     uint64 // entries that were neither taken, refused nor kept: a fault of ours
	Stripped                                    uint64 // entries sent without structured metadata, which this Loki does not take
	PushesEvicted                               uint64
	Spooled                                     uint64 // chunks kept across a hot reload
	SpoolSetAside                               uint64 // files of the spool that could not be read
	LabelSetsForgotten                          uint64
	StateFailures                               uint64 // writes of the state file
	// Scores are those of all records; FlushSeconds how long flushes took, with all attempts;
	// ScoreSeconds how long scoring a block of records took.
	Scores, FlushSeconds, ScoreSeconds Histogram
	// Refused counts the entries that Loki refused for good, by cause.
	Refused map[string]uint64
	// Pushes counts the answers by HTTP status; 0: none came.
	Pushes map[int]uint64
}

// Stats is what can be seen of a pipeline from outside.
type Stats struct {
	Counts
	Engine engine.Stats
	Mended loki.Mended
	// RetryBytes and RetryChunks are the pushes kept for chunks that will come again.
	RetryBytes  int64
	RetryChunks int
	// SpoolBytes and SpoolChunks are what waits in the spool, and in those of other instances that this one sends.
	SpoolBytes  int64
	SpoolChunks int
	// StateWritten is when the state file was last written or read; zero: never.
	StateWritten time.Time
	StateBytes   int64
	// Mutes is the number of entries of the mute file in force.
	Mutes int
	// MasksGaveUp counts how often a mask of the user's was left out for its time.
	MasksGaveUp uint64
	// Scoring and Keeping say that the instance scores and that it has a state file.
	Scoring, Keeping bool
}

// bucketsMax is room for the bounds of the histograms below.
const bucketsMax = 12

// Histogram counts values by upper bounds that are fixed. It is copied by value.
type Histogram struct {
	Bounds []float64 // ascending, shared
	Counts [bucketsMax]uint64
	Sum    float64
	Count  uint64 // of all, those above the last bound too
}

// Observe counts one value.
func (h *Histogram) Observe(v float64) {
	h.Sum += v
	h.Count++
	for i, bound := range h.Bounds {
		if v <= bound {
			h.Counts[i]++
			return
		}
	}
}

// newCounts returns empty counts with the bounds of their histograms.
func newCounts() Counts {
	seconds := []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5}
	return Counts{
		Refused:      map[string]uint64{},
		Pushes:       map[int]uint64{},
		Scores:       Histogram{Bounds: []float64{0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1}},
		FlushSeconds: Histogram{Bounds: seconds},
		ScoreSeconds: Histogram{Bounds: seconds},
	}
}

// scored counts the verdicts on a block of records.
func (c *Counts) scored(verdicts []engine.Verdict, events []engine.Event) {
	for i := range verdicts {
		v := &verdicts[i]
		c.Scores.Observe(v.Score)
		if v.Anomaly {
			c.Anomalies[min(int(v.Reason), codesMax-1)]++
		}
	}
	for i := range events {
		c.Events[min(int(events[i].Kind), codesMax-1)]++
	}
}

// delivered counts what one Deliver call came to.
func (c *Counts) delivered(rep *loki.Report) {
	c.Accepted += uint64(rep.Accepted)
	c.Attempts += uint64(rep.Attempts)
	c.BytesSent += uint64(rep.Bytes)
	c.Stripped += uint64(rep.Stripped)
	for cause, n := range rep.Refused {
		c.Refused[string(cause)] += uint64(n)
	}
	for status, n := range rep.Status {
		c.Pushes[status] += uint64(n)
	}
}

// Stats returns what is known now. It waits for a block that is being scored.
func (p *Pipeline) Stats() Stats {
	s := Stats{Mended: p.batcher.Mended(), Keeping: p.state != nil, Scoring: p.cfg.Score}
	if p.cfg.Score {
		p.scoring.Lock()
		s.Engine = p.engine.Stats()
		p.scoring.Unlock()
		s.Mutes = p.mutes()
	}
	for _, mask := range p.cfg.Engine.Masks {
		s.MasksGaveUp += mask.GaveUp()
	}
	if p.state != nil {
		s.StateWritten, s.StateBytes = p.state.last()
	}
	if p.spool != nil {
		s.SpoolChunks, s.SpoolBytes = p.spool.size()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.adopted {
		chunks, bytes := a.size()
		s.SpoolChunks, s.SpoolBytes = s.SpoolChunks+chunks, s.SpoolBytes+bytes
	}
	s.Counts = p.counts
	s.Refused, s.Pushes = maps.Clone(s.Refused), maps.Clone(s.Pushes)
	s.RetryBytes, s.RetryChunks = p.memory.bytes, p.memory.waiting
	return s
}

// Health is what the last delivery came to.
type Health struct {
	Tried bool      // false: nothing was to be delivered yet
	Err   error     // why the last one was not finished; nil: it was
	Since time.Time // of the first failure in a row where Err is set, else of the last delivery
}

// Health returns it. It waits for nothing.
func (p *Pipeline) Health() Health {
	p.healthMu.Lock()
	defer p.healthMu.Unlock()
	return p.health
}

// noteDelivery remembers what a delivery came to, and returns how long those before it failed, if they did.
func (p *Pipeline) noteDelivery(err error, now time.Time) (failed time.Duration) {
	p.healthMu.Lock()
	defer p.healthMu.Unlock()
	before := p.health
	p.health = Health{Tried: true, Err: err, Since: now}
	if before.Err == nil {
		return 0
	}
	if err != nil {
		p.health.Since = before.Since
		return 0
	}
	return now.Sub(before.Since)
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
