package engine

import (
	"fmt"
)

// fadeEvery is the least number of records between two changes from which on
// what was known before weighs less: one roll-out must not do it twice.
const fadeEvery = 2000

// settling tells whether the log has changed within the last records.
func (m *model) settling() bool { return m.faded != 0 && m.seen-m.faded < fadeEvery }

// adapt lets what comes from here on weigh more than what was learned: the log
// has changed. Sessions and routes stay as they are: that new templates come
// says nothing about them.
func (m *model) adapt() {
	if m.settling() || m.cfg.Without == Drift {
		return
	}
	m.faded = m.seen
	for i := range m.templates {
		m.templates[i].Fade()
	}
}

// rollout tells of many new templates at once where new ones are rare: most
// often a deployment. From here on novelty is charged at the raised rate, and
// what comes weighs more than what was known.
func (m *model) rollout(e *Engine) {
	m.adapt()
	if !m.says(Drift) {
		return
	}
	v := Verdict{Time: m.last, Score: scoreOf(1.5 * scoreNats), Anomaly: true, Reason: ReasonDrift}
	v.Explanation = fmt.Sprintf("%.0f new templates within the last %s records: the log itself has changed, as after a deployment. The newest is %s; until it settles, new templates count for less.",
		m.novelty.RecentNews(), grouped(2000), quote(m.line.Cluster.Text))
	v.Observed = fmt.Sprintf("%.0f new templates", m.novelty.RecentNews())
	v.Expected = "hardly any"
	m.raise(e, Event{Kind: EventDrift, Seq: e.seq, Verdict: v})
}

// drifted tells that the records have become less expected for good.
func (m *model) drifted(e *Engine, before, after float64) {
	m.adapt()
	if !m.says(Drift) {
		return
	}
	v := Verdict{Time: m.last, Score: scoreOf(1.5 * scoreNats), Anomaly: true, Reason: ReasonDrift}
	v.Explanation = fmt.Sprintf("the records have become %s times as surprising as before, on average and to stay. The workload or the system has changed; what is new becomes usual as it is learned.",
		number(after/max(before, 0.01)))
	v.Expected, v.Observed = number(before)+" nats of surprise a record", number(after)+" nats"
	m.raise(e, Event{Kind: EventDrift, Seq: e.seq, Verdict: v})
}
