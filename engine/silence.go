package engine

import (
	"fmt"

	"github.com/logscope/logscope/engine/detect"
)

// pauseTimes is how many times its longest usual gap a whole stream must pause
// before that pause explains the silence of its templates.
const pauseTimes = 10

const (
	// pauseLeast is the shortest pause of a whole stream worth a word.
	pauseLeast = 30 * detect.Second
	// missedTimes is how many times the silence a template must have lived to be
	// missed, and missedShare the share of its stream's life, up to missedMost:
	// a job that counts its progress for some minutes has not failed when it ends.
	missedTimes, missedShare = 10, 0.25
	missedMost               = 3600 * detect.Second
)

// pause looks at the time since the stream's record before. When the stream
// itself stood still, that is one silence, not one for each template; it is
// told when the stream comes back, as only records move the clock.
func (m *model) pause(e *Engine, before, now int64) {
	if !m.clock.timed || before == 0 {
		return
	}
	longest, known := m.pace.Longest()
	gap := now - before
	if known < 100 || gap < pauseTimes*longest || gap < pauseLeast {
		m.pace.Learn(now)
		return
	}
	m.pace.Learn(now)
	for i := range m.templates {
		m.templates[i].Gaps.Shift(gap)
		if m.deadlines[i] != 0 {
			m.deadlines[i] += gap
		}
	}
	if m.due != 0 {
		m.due += gap
	}
	if !m.says(Silences) {
		return
	}
	v := Verdict{Time: m.last, Score: scoreOf(2 * scoreNats), Anomaly: true, Reason: ReasonSilence}
	v.Explanation = fmt.Sprintf("the whole stream was silent for %s; in %s before, it never paused for more than %s. Look at the process that writes it and at what ships it.",
		span(gap), count(float64(m.seen), "record"), span(longest))
	v.Expected = "a pause of at most " + span(longest)
	v.Observed = "a pause of " + span(gap)
	m.raise(e, Event{Kind: EventSilence, Seq: e.seq, Verdict: v})
}

// silences tells of regular templates whose next record is overdue, in the
// order of their index, and sets the next look.
func (m *model) silences(e *Engine, now int64) {
	m.due = 0
	for i, d := range m.deadlines {
		if d == 0 {
			continue
		}
		if now >= d {
			m.silence(e, i, now)
			continue
		}
		if m.due == 0 || d < m.due {
			m.due = d
		}
	}
}

func (m *model) silence(e *Engine, i int, now int64) {
	t := &m.templates[i]
	due := m.deadlines[i]
	m.deadlines[i] = 0
	if !m.missed(t, due) {
		return
	}
	usual, longest, known, last := t.Gaps.Usual()
	t.Gaps.Silence()
	if !m.says(Silences) {
		return
	}
	v := Verdict{Time: m.last, Score: scoreOf(1.5 * scoreNats), Anomaly: true, Reason: ReasonSilence,
		TemplateID: m.names[i].id, Template: m.names[i].text}
	v.Explanation = fmt.Sprintf("%s has not come for %s; it came every %s, at most %s apart, %s times. What writes it may have stopped.",
		quote(m.names[i].text), span(now-last), span(usual), span(longest), grouped(float64(known)))
	v.Expected = "every " + span(usual)
	v.Observed = "nothing for " + span(now-last)
	m.raise(e, Event{Kind: EventSilence, Seq: e.seq, Verdict: v})
}

// missed tells whether a template that is overdue at the given moment is one
// whose records anybody waits for. Errors that stop are good news.
func (m *model) missed(t *detect.Template, due int64) bool {
	_, _, _, last := t.Gaps.Usual()
	life := last - t.First
	age := min(int64(missedShare*float64(last-m.born)), missedMost)
	return !t.Grave && life >= missedTimes*(due-last) && life >= age
}
