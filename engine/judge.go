package engine

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/logscope/logscope/engine/detect"
	"github.com/logscope/logscope/engine/drain"
)

// hushMost bounds how many findings about one record may be quiet before the
// rest of them is, too.
const hushMost = 8

// judge sets score and decision of a verdict in the light of what people have
// said, and returns the finding that counts and the state that it is about.
// Where the most surprising one must be quiet, the next one is looked for: a
// word on one fault hides no other. learning says that quiet findings count.
func (m *model) judge(v *Verdict, t *detect.Template, f detect.Finding, now int64, learning bool) (*detect.Template, detect.Finding) {
	m.word = nil
	if m.book.marks > 0 {
		f = m.marked(t, f)
	}
	m.fill(v, f)
	if !v.Anomaly || len(m.book.by) == 0 && len(m.book.mutes) == 0 {
		return t, f
	}
	kept := 0.0
	for range hushMost {
		s := m.subject(t, f)
		quiet, keep := m.book.silent(&s)
		if !quiet {
			break
		}
		if learning {
			m.book.muted[s.reason]++
		}
		if v.Muted == ReasonNone {
			v.Muted = s.reason
		}
		if keep {
			kept = max(kept, v.Score)
		}
		m.veto = append(m.veto, f)
		m.word = nil
		t, f = m.test(&m.templates[m.line.Cluster.Index], now)
		if m.fill(v, f); !v.Anomaly {
			break
		}
	}
	m.veto = m.veto[:0]
	if !v.Anomaly {
		v.Score = max(v.Score, kept)
	}
	return t, f
}

// vetoed tells whether a finding must not be raised about this record.
func (m *model) vetoed(code detect.Code, slot int) bool {
	for i := range m.veto {
		if m.veto[i].Code == code && m.veto[i].Slot == slot {
			return true
		}
	}
	return false
}

// better returns the more surprising of two findings, b only where it may be raised.
func (m *model) better(a, b detect.Finding) detect.Finding {
	if b.Nats > a.Nats && (len(m.veto) == 0 || !m.vetoed(b.Code, b.Slot)) && !m.left(b.Code) {
		return b
	}
	return a
}

// subject says what a finding about the record is about.
func (m *model) subject(t *detect.Template, f detect.Finding) subject {
	s := subject{stream: m.stream, template: m.line.Cluster.ID, reason: reasonOf(f.Code)}
	if m.word != nil && f.Code == detect.Marked {
		s.reason, s.slot, s.value = wordReason(m.word), m.word.Slot, m.word.Value
		return s
	}
	route := ""
	if m.request && t != &m.templates[m.line.Cluster.Index] {
		route = m.routeText()
	}
	switch f.Code {
	case detect.NewRoute:
		s.value = m.routeText()
	case detect.Burst:
		now, _, _ := t.Rate.Count()
		s.value, s.level = route, float64(now)
	case detect.Failing:
		code, now, _, _ := m.access.Status()
		s.value, s.level = strconv.Itoa(int(code)), float64(now)
	case detect.Disorder:
		s.value = "before " + m.stepName(m.odd.Because)
	case detect.Transition:
		s.value = "after " + m.stepName(2*int(m.prev))
	case detect.Request:
		odd, _ := m.access.Odd()
		s.value = m.oddPlace(&odd) + " " + string(odd.What)
	case detect.Mismatch:
		m.jointSubject(&s, t)
	case detect.Outlier, detect.NewValue, detect.NewNetwork:
		m.slotSubject(&s, t, f, route)
	}
	s.value = valueText(s.value)
	return s
}

// valueText is a value as people can write it down: UTF-8, of at most valueMax bytes.
func valueText(s string) string { return cut(strings.ToValidUTF8(s, "\uFFFD"), valueMax) }

// slotSubject fills in which value of which variable a finding is about. That
// of a request belongs to its route.
func (m *model) slotSubject(s *subject, t *detect.Template, f detect.Finding, route string) {
	p := &m.tested[f.Slot]
	s.slot, s.value = f.Slot+1, string(p.Value)
	switch f.Code {
	case detect.Outlier:
		s.level, s.numeric = p.Num, route == ""
		if route != "" {
			s.value = ""
		}
	case detect.NewNetwork:
		prefix, _, bits := t.Slots[f.Slot].Network(p.Value)
		s.value = network(string(prefix), bits)
	}
	if route != "" {
		s.value = string(bytes.TrimSpace([]byte(route + " " + s.value)))
	}
}

// routeText names the request's method and path.
func (m *model) routeText() string {
	url := m.access.URL()
	if i := bytes.IndexByte(url, '?'); i >= 0 {
		url = url[:i]
	}
	return string(m.access.Method()) + " " + string(url)
}

// stepName names a step of a session, or a line: by the template's id, or the route.
func (m *model) stepName(step int) string {
	if at := step / 2; step >= 0 && step%2 == 0 && at < len(m.names) {
		return fmt.Sprintf("%016x", m.names[at].id)
	}
	return m.stepText(step)
}

// marked raises a finding that a person called anomalous, or makes one of a
// line, value or number that was called so.
func (m *model) marked(t *detect.Template, f detect.Finding) detect.Finding {
	list := m.book.by[m.line.Cluster.ID]
	if len(list) == 0 {
		return f
	}
	if f.Code != detect.None {
		s := m.subject(t, f)
		if w := m.book.about(&s); w != nil && w.Opinion == Anomalous {
			f.Nats, m.word = f.Nats+markNats, w
			return f
		}
	}
	if f.Nats >= scoreNats+markNats {
		return f
	}
	for i := range list {
		if w := &list[i]; w.Opinion == Anomalous && (w.Stream == "" || w.Stream == m.stream) && m.shows(w) {
			m.word = w
			return detect.Finding{Code: detect.Marked, Nats: scoreNats + markNats, Slot: max(0, w.Slot-1)}
		}
	}
	return f
}

// fillMarked sets decision and reason where a person's word counts: it is
// enough for the threshold, and a line called anomalous needs no warm-up.
func (m *model) fillMarked(v *Verdict, f detect.Finding) {
	v.Score = max(v.Score, m.cfg.Threshold)
	if f.Code == detect.Marked {
		v.Anomaly, v.Reason = true, wordReason(m.word)
		return
	}
	v.Anomaly = m.seen > uint64(m.cfg.Warmup) || m.shows(m.word)
}

// shows tells whether the record itself is, or has, what a word is about.
func (m *model) shows(w *Feedback) bool {
	switch {
	case w.Reason <= ReasonNovelty && w.Slot == 0 && w.Value == "":
		return true
	case w.Reason > ReasonNovelty && w.Reason != ReasonParameter || m.request || w.Slot == 0 || w.Slot > len(m.tested):
		return false
	}
	p := &m.tested[w.Slot-1]
	switch {
	case jointly(w.Value):
		return false // how far off a number is beside others, the forest says
	case w.Level > 0:
		return p.Num >= w.Level
	case p.Kind == drain.IPv4 && bytes.HasSuffix([]byte(w.Value), []byte("/8")):
		return network(string(detect.Prefix(p.Value, 8)), 8) == w.Value
	case p.Kind == drain.IPv4 && bytes.HasSuffix([]byte(w.Value), []byte("/16")):
		return network(string(detect.Prefix(p.Value, 16)), 16) == w.Value
	}
	return len(w.Value) > 0 && valueText(string(p.Value)) == w.Value
}

// wordReason is the reason of a record that is anomalous by a word alone.
func wordReason(w *Feedback) Reason {
	if w.Reason == ReasonNone {
		return ReasonNovelty
	}
	return w.Reason
}

// explainMarked sets the texts of a record that is anomalous by a word alone.
func (m *model) explainMarked(v *Verdict) {
	w := m.word
	v.Expected, v.Observed = "nothing of the kind", quote(string(m.line.Message))
	what := "this line"
	if w.Slot > 0 && w.Slot <= len(m.tested) {
		what = m.slotName(w.Slot-1) + " " + quote(string(m.tested[w.Slot-1].Value))
		v.Observed = quote(string(m.tested[w.Slot-1].Value))
	}
	v.Explanation = fmt.Sprintf("%s was called anomalous on %s, and has come again.", what, clockText(w.At))
}

// raise raises an event of the model, unless people said that it must be
// quiet. A template that falls silent every minute is one finding with a count.
func (m *model) raise(e *Engine, ev Event) {
	s := subject{stream: m.stream, template: ev.TemplateID, reason: ev.Reason}
	w := m.book.about(&s)
	sure := w != nil && w.Opinion == Anomalous
	if sure {
		ev.Score = max(ev.Score, m.cfg.Threshold)
		ev.Explanation += " It was called anomalous before."
	}
	if m.book.quiet(&s) {
		return
	}
	known := m.told.find(&s)
	again := ev.Kind == EventSilence && known != nil && ev.Time-known.Last < quietSpan
	if again || !m.affords(ev.Score, sure, m.clock.now) {
		m.told.repeat(&s, ev.Score, ev.Time)
		return
	}
	ev.Stream = m.stream
	ev.Confidence = m.confidence()
	ev.About = m.told.tell(&s, ev.Score, ev.Time)
	ev.Explanation += ev.About.repeats()
	e.raise(ev)
	e.master.note(e, m, ev.Reason, ev.Time)
}
