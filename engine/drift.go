package engine

import (
	"fmt"
)

// rollout tells of many new templates at once where new ones are rare: most
// often a deployment. From here on novelty is charged at the raised rate.
func (m *model) rollout(e *Engine) {
	if m.seen < uint64(m.cfg.Warmup) {
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
	if m.seen < uint64(m.cfg.Warmup) {
		return
	}
	v := Verdict{Time: m.last, Score: scoreOf(1.5 * scoreNats), Anomaly: true, Reason: ReasonDrift}
	v.Explanation = fmt.Sprintf("the records have become %s times as surprising as before, on average and to stay. The workload or the system has changed; what is new becomes usual as it is learned.",
		number(after/max(before, 0.01)))
	v.Expected, v.Observed = number(before)+" nats of surprise a record", number(after)+" nats"
	m.raise(e, Event{Kind: EventDrift, Seq: e.seq, Verdict: v})
}
