package engine

import (
	"fmt"

	"github.com/logscope/logscope/engine/sketch"
)

const (
	// toldMax bounds the findings that a model remembers, 150 bytes each and
	// their values; the one longest without news goes first.
	toldMax = 64
)

// About says which finding a verdict is, as Feedback names it, and how often
// it has come. First and Last are the times of its records, Unix nanoseconds.
type About struct {
	// Slot is the number of the variable concerned, from 1; 0: none.
	Slot int
	// Value is the variable's value, or what else tells the finding from others
	// of its reason about the same template; Level a count or a number that it
	// has reached.
	Value string
	Level float64
	// Count is how often the finding was made since First, this time included:
	// repeats collapse, and those not told since the last time are Repeats,
	// from RepeatsFirst to RepeatsLast.
	Count                     uint64
	First, Last               int64
	Repeats                   uint32
	RepeatsFirst, RepeatsLast int64
}

// Told is a finding that a model remembers to have told.
type Told struct {
	Stream     string
	TemplateID uint64
	Text       string // the template; empty where it is not known any more
	Reason     Reason
	Score      float64 // the highest
	About

	numeric bool // Value is Level, as text
}

// ledger holds the findings that were told lately.
type ledger struct{ rows []Told }

// find returns the row of a subject, nil where there is none.
func (l *ledger) find(s *subject) *Told {
	for i := range l.rows {
		t := &l.rows[i]
		if t.TemplateID == s.template && t.Reason == s.reason && t.Slot == s.slot &&
			t.numeric == s.numeric && (s.numeric || t.Value == s.value) {
			return t
		}
	}
	return nil
}

// row returns the row of a subject, a new one where there is none.
func (l *ledger) row(s *subject, at int64) *Told {
	if t := l.find(s); t != nil {
		return t
	}
	fresh := Told{TemplateID: s.template, Reason: s.reason, numeric: s.numeric}
	fresh.Slot, fresh.First = s.slot, at
	if len(l.rows) < toldMax {
		l.rows = append(l.rows, fresh)
		return &l.rows[len(l.rows)-1]
	}
	oldest := 0
	for i := range l.rows {
		if l.rows[i].Last < l.rows[oldest].Last {
			oldest = i
		}
	}
	l.rows[oldest] = fresh
	return &l.rows[oldest]
}

// note counts a finding at a record's time.
func (l *ledger) note(s *subject, score float64, at int64) *Told {
	t := l.row(s, at)
	t.Count++
	t.Last = max(t.Last, at)
	t.Value, t.Score = s.value, max(t.Score, score)
	t.Level = max(t.Level, s.level)
	return t
}

// repeat counts a finding that is not told again.
func (l *ledger) repeat(s *subject, score float64, at int64) {
	t := l.note(s, score, at)
	if t.Repeats++; t.Repeats == 1 {
		t.RepeatsFirst = at
	}
	t.RepeatsLast = max(t.RepeatsLast, at)
}

// tell counts a finding that is told and returns what is known of it.
func (l *ledger) tell(s *subject, score float64, at int64) *About {
	t := l.note(s, score, at)
	about := t.About
	about.Level = s.level
	t.Repeats, t.RepeatsFirst, t.RepeatsLast = 0, 0, 0
	return &about
}

// repeats writes how often the finding came without being told; empty where it did not.
func (a *About) repeats() string {
	if a.Repeats == 0 {
		return ""
	}
	return fmt.Sprintf(" Since it was last told it came %s, from %s to %s.",
		count(float64(a.Repeats), "more time"), clockText(a.RepeatsFirst), clockText(a.RepeatsLast))
}

func (l *ledger) sync(c *sketch.Codec) {
	sketch.List(c, &l.rows, toldMax, func(c *sketch.Codec, t *Told) {
		c.U64(&t.TemplateID)
		reason, slot := uint8(t.Reason), uint8(t.Slot)
		c.U8(&reason)
		c.U8(&slot)
		t.Reason, t.Slot = Reason(reason), int(slot)
		c.Str(&t.Value, valueMax)
		c.F64(&t.Level)
		c.F64(&t.Score)
		c.U64(&t.Count)
		c.I64(&t.First)
		c.I64(&t.Last)
		c.U32(&t.Repeats)
		c.I64(&t.RepeatsFirst)
		c.I64(&t.RepeatsLast)
		c.Bool(&t.numeric)
		if c.Reading() && t.Reason > ReasonFleet {
			c.Fail("got a finding of reason %d; want at most %d", t.Reason, ReasonFleet)
		}
	})
}

// Told returns the findings that the models remember to have told, the least
// recently used model first.
func (e *Engine) Told() (all []Told) {
	for el := e.recent.Back(); el != nil; el = el.Prev() {
		m := el.Value.(*model)
		for _, t := range m.told.rows {
			t.Stream = m.stream
			if c, ok := m.miner.Resolve(t.TemplateID); ok {
				t.Text = c.Text
			}
			all = append(all, t)
		}
	}
	return all
}
