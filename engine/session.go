package engine

import (
	"fmt"

	"github.com/logscope/logscope/engine/detect"
)

// settleSessions settles the sessions that are due and tells of odd ones.
func (m *model) settleSessions(e *Engine, now int64, end bool) {
	for {
		odd, more := m.sessions.Settle(now, m.templates, scoreNats, end)
		if !more {
			return
		}
		if odd.Nats > 0 && m.seen >= uint64(m.cfg.Warmup) {
			m.sessionEnd(e, &odd)
		}
	}
}

// sessionEnd raises the finding about a session that has settled.
func (m *model) sessionEnd(e *Engine, odd *detect.Odd) {
	v := Verdict{Time: odd.Last, Score: scoreOf(odd.Nats), Session: odd.ID}
	if v.Score < m.cfg.Threshold {
		return
	}
	v.Anomaly, v.Reason = true, ReasonSequence
	if odd.Missing {
		v.Reason = ReasonIncomplete
		v.Template = m.stepText(odd.Step)
		if at := odd.Step / 2; odd.Step%2 == 0 && at < len(m.names) {
			v.TemplateID = m.names[at].id
		}
	}
	m.explainOdd(&v, odd)
	e.raise(Event{Kind: EventSessionEnd, Stream: m.stream, Seq: odd.Seq, Verdict: v})
}

// explainOdd sets the texts of a finding about a session.
func (m *model) explainOdd(v *Verdict, odd *detect.Odd) {
	who := fmt.Sprintf("session %s (%d records in %s)", quote(odd.ID), odd.Events, span(odd.Last-odd.First))
	share := number(100 * odd.Share)
	switch {
	case odd.Missing:
		v.Explanation = fmt.Sprintf("%s has %s, but ended without %s; all but %s%% of such sessions go on to it.",
			who, quote(m.stepText(odd.Because)), quote(m.stepText(odd.Step)), share)
		v.Expected = quote(m.stepText(odd.Step))
		v.Observed = "nothing of the kind"
	case odd.Code == detect.Disorder:
		v.Explanation = fmt.Sprintf("%s has %s after %s; in all but %s%% of such sessions it comes before.",
			who, quote(m.stepText(odd.Step)), quote(m.stepText(odd.Because)), share)
		v.Expected = "the other order"
		v.Observed = "the wrong order"
	case odd.Step >= 0:
		v.Explanation = fmt.Sprintf("%s has %s; only %s%% of %.0f sessions of its kind do.",
			who, quote(m.stepText(odd.Step)), share, odd.Known)
		v.Expected = "a session without it"
		v.Observed = quote(m.stepText(odd.Step))
	default:
		v.Explanation = fmt.Sprintf("%s has several steps that sessions of its kind seldom have; %.0f of them are known.", who, odd.Known)
		v.Expected, v.Observed = "the usual steps", "rare ones"
	}
}

// finish raises what is due at the end of input.
func (m *model) finish(e *Engine) { m.settleSessions(e, m.clock.now, true) }
