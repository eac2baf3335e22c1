package engine

import (
	"math"

	"github.com/logscope/logscope/engine/detect"
	"github.com/logscope/logscope/engine/drain"
)

const (
	// scoreNats is the surprise at which the score is 1/2: about one record in
	// 1,100. At such levels every valid combination of dependent p-values comes
	// down to Bonferroni's, the smallest one times the number of tests (Gui,
	// Jiang, Wang, Biometrika 2025).
	scoreNats = 7.0
	// testPenalty is Bonferroni's ln(m) for the tests that every record
	// undergoes. Novelty pays less: it can only speak once per template.
	testPenalty = 0.3
	// chainPenalty makes the order of a whole stream surprise at one odd step in
	// 5,000: a server with little to do writes as if it had one thread, until two
	// requests meet.
	chainPenalty = 1.5
	// jointPenalty makes numbers that do not go together surprise at one record in
	// 4,900: each of the numbers is tested against the others.
	jointPenalty = 1.5
	// orderCut is the calibrated surprise from which a session's order is odd:
	// at most one session in 200.
	orderCut = 5.3
	// toldScore is the score of a repeat, as a share of the threshold.
	toldScore = 0.99
	// quietSpan is how long repeats of a finding are swallowed.
	quietSpan = 600 * detect.Second
)

// scoreOf maps a surprise to 0..1: evenly up to 1/2 at scoreNats, then ever
// slower, with the same slope where both meet, so that the tenths above the
// threshold fill:
//
//	score   one record in
//	0.5     1,100
//	0.6     5,500
//	0.7     50,000
//	0.8     1.5 million
//	0.9     1.2 billion
//
// A power instead of an exponential keeps sums of hundreds of nats apart.
func scoreOf(nats float64) float64 {
	switch {
	case !(nats > 0):
		return 0
	case nats <= scoreNats:
		return nats / (2 * scoreNats)
	}
	rest := 4 * scoreNats / (nats + 3*scoreNats)
	rest *= rest
	return 1 - rest*rest/2
}

// natsOf is the surprise that a score stands for.
func natsOf(score float64) float64 {
	if score <= 0.5 {
		return 2 * scoreNats * score
	}
	return 4*scoreNats/math.Sqrt(math.Sqrt(max(2*(1-score), 1e-12))) - 3*scoreNats
}

// levelNats is what a severity adds to the surprise of a step that is unusual in
// its session: weak evidence, never a rule.
func (m *model) levelNats(l drain.Level) float64 {
	if m.cfg.Without == Severity {
		return 0
	}
	switch l {
	case drain.Warn:
		return 0.5
	case drain.Error:
		return 1
	case drain.Critical:
		return 1.5
	}
	return 0
}

// noveltyNats is the surprise of the line as one of a new template.
func (m *model) noveltyNats(now int64) float64 {
	n := m.novelty.GroupSurprise(now)
	if m.cfg.Without == Severity {
		return n
	}
	return n + m.severity.Nats(m.line.Level, m.line.Message)
}

// fill sets score and decision of a verdict.
func (m *model) fill(v *Verdict, f detect.Finding) {
	v.Score = scoreOf(f.Nats)
	v.Anomaly = f.Code != detect.None && v.Score >= m.cfg.Threshold && m.seen > uint64(m.cfg.Warmup)
	v.Reason = ReasonNone
	if m.word != nil {
		m.fillMarked(v, f)
	}
	if v.Anomaly && v.Reason == ReasonNone {
		v.Reason = reasonOf(f.Code)
	}
}

// decide fills the verdict of a record and collapses repeats: the first finding
// of a code on a template is an anomaly, those within quietSpan of the last
// are counted and named with the next.
func (m *model) decide(v *Verdict, t *detect.Template, f detect.Finding, now int64) {
	c := m.line.Cluster
	v.TemplateID, v.Template = c.ID, c.Text
	if t, f = m.judge(v, t, f, now, true); !v.Anomaly {
		return
	}
	about := m.subject(t, f)
	if m.repeated(t, f.Code, now) {
		m.told.repeat(&about, v.Score, v.Time)
		// What was told ranks below what is news.
		v.Anomaly, v.Reason, v.Score = false, ReasonNone, min(v.Score, toldScore*m.cfg.Threshold)
		t.Quiet[f.Code] = now + quietSpan
		return
	}
	if !m.affords(v.Score, m.word != nil, now) {
		m.told.repeat(&about, v.Score, v.Time)
		v.Anomaly, v.Reason = false, ReasonNone
		return
	}
	m.explain(v, t, f)
	v.Confidence = m.confidence()
	v.About = m.told.tell(&about, v.Score, v.Time)
	v.Explanation += v.About.repeats()
	switch f.Code {
	case detect.NewTemplate:
		m.novelty.Tell(now)
	case detect.Transition:
		m.order.Tell()
	case detect.Burst:
		t.Rate.Tell()
	case detect.Unexpected, detect.Disorder:
		m.sessions.Tell(m.odd.ID)
		v.Session = m.odd.ID
	}
	t.Quiet[f.Code] = now + quietSpan
}

// repeated tells whether the finding repeats one that was told.
func (m *model) repeated(t *detect.Template, code detect.Code, now int64) bool {
	if code == detect.Failing {
		return !m.access.TellStatus(now, now+quietSpan)
	}
	return code == detect.Burst && t.Rate.Told() > 0 || repeats(code) && now < t.Quiet[code]
}

// repeats tells whether a code collapses by time: a new value becomes a known
// one by itself.
func repeats(c detect.Code) bool {
	return c == detect.Burst || c == detect.Outlier || c == detect.Mismatch || c == detect.Marked
}

func reasonOf(c detect.Code) Reason {
	switch c {
	case detect.NewTemplate, detect.NewRoute:
		return ReasonNovelty
	case detect.Burst, detect.Failing:
		return ReasonFrequency
	case detect.Outlier, detect.NewValue, detect.NewNetwork, detect.Mismatch:
		return ReasonParameter
	case detect.Unexpected, detect.Disorder, detect.Transition:
		return ReasonSequence
	case detect.Request:
		return ReasonAccess
	}
	return ReasonNone
}
