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
		if odd.Nats > 0 && m.says(Sessions) {
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
	}
	if odd.Step >= 0 {
		v.Template = m.stepText(odd.Step)
		if at := odd.Step / 2; odd.Step%2 == 0 && at < len(m.names) {
			v.TemplateID = m.names[at].id
		}
	}
	m.explainOdd(&v, odd)
	m.raise(e, Event{Kind: EventSessionEnd, Seq: odd.Seq, Verdict: v})
}

// explainOdd sets the texts of a finding about a session.
func (m *model) explainOdd(v *Verdict, odd *detect.Odd) {
	who := fmt.Sprintf("session %s (%s)", quote(odd.ID), count(float64(odd.Events), "record"))
	switch {
	case odd.Events > 1 && odd.Last == odd.First:
		who = fmt.Sprintf("session %s (%d records at once)", quote(odd.ID), odd.Events)
	case odd.Events > 1:
		who = fmt.Sprintf("session %s (%d records in %s)", quote(odd.ID), odd.Events, span(odd.Last-odd.First))
	}
	switch {
	case odd.Missing:
		v.Explanation = fmt.Sprintf("%s has %s, but ended without %s; %s of such sessions go on to it. Look at what became of it.",
			who, quote(m.stepText(odd.Because)), quote(m.stepText(odd.Step)), percent(1-odd.Share))
		v.Expected = quote(m.stepText(odd.Step))
		v.Observed = "nothing of the kind"
	case odd.Code == detect.Disorder:
		v.Explanation = fmt.Sprintf("%s has %s after %s; in %s of such sessions it comes before.",
			who, quote(m.stepText(odd.Step)), quote(m.stepText(odd.Because)), percent(1-odd.Share))
		v.Expected = "the other order"
		v.Observed = "the wrong order"
	case odd.Step >= 0:
		v.Explanation = fmt.Sprintf("%s has %s; %s did.",
			who, quote(m.stepText(odd.Step)), fewOf(odd.Share, odd.Known))
		v.Expected = "a session without it"
		v.Observed = quote(m.stepText(odd.Step))
	default:
		v.Explanation = fmt.Sprintf("%s has several steps that sessions of its kind seldom have; %s of them are known.", who, grouped(odd.Known))
		v.Expected, v.Observed = "the usual steps", "rare ones"
	}
}

// finish raises what is due at the end of input.
func (m *model) finish(e *Engine) { m.settleSessions(e, m.clock.now, true) }

// fewOf writes how many of the known sessions are such, given their estimated share.
func fewOf(share, known float64) string {
	if n := share*(known+1) - 0.5; n >= 0.75 {
		return fmt.Sprintf("only %s of %s of its kind", grouped(n), count(known, "session"))
	}
	return fmt.Sprintf("none of %s of its kind", count(known, "session"))
}
