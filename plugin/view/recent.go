package view

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/logscope/logscope/engine"
)

const (
	// recentMax and recentBytesMax bound the anomalies held for browsers that come later.
	recentMax      = 500
	recentBytesMax = 4 << 20
	// lineMax bounds one line held: feedback needs it whole, or nearly so. textMax bounds the other texts.
	lineMax = 16 << 10
	textMax = 1 << 10
	// anomalyBytes is what one costs beside its texts.
	anomalyBytes = 256
)

// Anomaly is a record or finding that was flagged. It is immutable.
type Anomaly struct {
	// ID counts from 1.
	ID     uint64
	Stream string
	// Event is the kind of a finding that has no line; empty for records.
	Event string
	// Line is the message that was scored. Cut is how many bytes of it are not held.
	Line string
	Cut  int
	// Arrived is when it was scored, in Unix nanoseconds; Verdict.Time is the record's own time.
	Arrived int64
	engine.Verdict

	grid uint32
}

func newAnomaly(grid uint32, rec *engine.Record, v *engine.Verdict, now time.Time) *Anomaly {
	a := &Anomaly{grid: grid, Arrived: now.UnixNano(), Stream: cut(rec.Stream, textMax), Verdict: own(v)}
	a.Line = cut(string(rec.Line[:min(len(rec.Line), lineMax+utf8.UTFMax)]), lineMax)
	a.Cut = len(rec.Line) - len(a.Line)
	return a
}

func newEvent(grid uint32, e *engine.Event, now time.Time) *Anomaly {
	return &Anomaly{grid: grid, Arrived: now.UnixNano(), Stream: cut(e.Stream, textMax), Event: e.Kind.String(), Verdict: own(&e.Verdict)}
}

// own copies a verdict with its texts: the engine's may be parts of something larger. What it is about
// was made for it alone.
func own(v *engine.Verdict) engine.Verdict {
	o := *v
	for _, s := range [...]*string{&o.Template, &o.Explanation, &o.Expected, &o.Observed, &o.Session} {
		*s = cut(*s, textMax)
	}
	return o
}

// cut copies the first bytes of s, up to a rune's boundary.
func cut(s string, max int) string {
	if len(s) > max {
		for max > 0 && !utf8.RuneStart(s[max]) {
			max--
		}
		s = s[:max]
	}
	return strings.Clone(s)
}

// bytes is what it costs in memory, about.
func (a *Anomaly) bytes() int {
	about := 0
	if a.About != nil {
		about = anomalyBytes + len(a.About.Value)
	}
	return anomalyBytes + about + len(a.Stream) + len(a.Line) + len(a.Template) + len(a.Explanation) + len(a.Expected) + len(a.Observed) + len(a.Session)
}

// recent is a ring of the last anomalies. They are numbered from 1; those from first to last are held,
// except such as were skipped.
type recent struct {
	ring  [recentMax]*Anomaly
	count int // numbers held
	last  uint64
	bytes int
}

// first is the number of the oldest one held; one beyond last when there is none.
func (r *recent) first() uint64 { return r.last - uint64(r.count) + 1 }

// at returns the one with this number; nil: it is not held.
func (r *recent) at(id uint64) *Anomaly {
	if id < r.first() || id > r.last {
		return nil
	}
	return r.ring[id%recentMax]
}

// push holds a as the last one.
func (r *recent) push(a *Anomaly) {
	size := a.bytes()
	for r.count == recentMax || r.count > 0 && r.bytes+size > recentBytesMax {
		r.drop()
	}
	r.last++
	r.count++
	a.ID = r.last
	r.ring[a.ID%recentMax] = a
	r.bytes += size
}

// skip counts one that is not worth holding: as many will follow at once as the ring holds.
func (r *recent) skip() {
	for r.count > 0 {
		r.drop()
	}
	r.last++
}

// drop forgets the oldest one.
func (r *recent) drop() {
	slot := &r.ring[r.first()%recentMax]
	r.bytes -= (*slot).bytes()
	*slot = nil
	r.count--
}
