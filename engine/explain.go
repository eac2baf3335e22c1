package engine

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/logscope/logscope/engine/detect"
	"github.com/logscope/logscope/engine/drain"
)

const (
	// quoteMax bounds a template or value quoted in an explanation.
	quoteMax = 120
	// valuesMax bounds the known values listed.
	valuesMax = 6
)

func cloneString(s string) string { return strings.Clone(s) }

// span writes a duration as people say it.
func span(d int64) string {
	v := time.Duration(d)
	switch {
	case v >= 48*time.Hour:
		return strconv.FormatInt(int64(v/(24*time.Hour)), 10) + " days"
	case v >= 10*time.Minute:
		return strings.TrimSuffix(v.Round(time.Minute).String(), "0s")
	case v >= 10*time.Second:
		return v.Round(time.Second).String()
	}
	return v.Round(time.Second / 10).String()
}

// quote quotes text from a log: valid UTF-8, shortened.
func quote(s string) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) > quoteMax {
		i := quoteMax
		for i > 0 && !utf8.RuneStart(s[i]) {
			i--
		}
		s = s[:i] + "..."
	}
	return strconv.Quote(s)
}

// number writes a measured value shortly.
func number(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }

// explain sets the texts of a flagged verdict. t is nil for a template that is
// not known at all.
func (m *model) explain(v *Verdict, t *detect.Template, f detect.Finding) {
	switch f.Code {
	case detect.NewTemplate:
		m.explainNew(v)
	case detect.Burst:
		m.explainBurst(v, t)
	case detect.Failing:
		m.explainFailing(v)
	case detect.Outlier:
		m.explainOutlier(v, t, f.Slot)
	case detect.NewValue:
		m.explainValue(v, t, f.Slot)
	case detect.NewNetwork:
		m.explainNetwork(v, t, f.Slot)
	case detect.NewRoute:
		m.explainRoute(v)
	case detect.Request:
		m.explainRequest(v)
	case detect.Unexpected, detect.Disorder:
		m.explainOdd(v, &m.odd)
	}
}

func (m *model) explainNew(v *Verdict) {
	_, mass := m.novelty.Seen()
	v.Explanation = fmt.Sprintf("first line like this in %d records; a new kind of line is expected about %s times in 100,000. Read the line: nobody has seen its like here.",
		m.seen, number(mass*1e5))
	v.Expected = fmt.Sprintf("one of %d known templates", m.miner.Len()-1)
	v.Observed = quote(string(m.line.Message))
}

func (m *model) explainBurst(v *Verdict, t *detect.Template) {
	now, usual, peak := t.Rate.Count()
	v.Explanation = fmt.Sprintf("%d such lines within this minute; usual are %s a minute, and never more than %s in %d lines since %s. Look at what triggers it now.",
		now, number(usual), number(peak), t.Count, m.when(t.First))
	v.Expected = fmt.Sprintf("at most %s a minute", number(peak))
	v.Observed = fmt.Sprintf("%d within the minute", now)
}

func (m *model) explainFailing(v *Verdict) {
	code, now, usual, peak := m.access.Status()
	v.Explanation = fmt.Sprintf("%d requests answered with %d within this minute; usual are %s a minute, and never more than %s.",
		now, code, number(usual), number(peak))
	v.Expected = fmt.Sprintf("at most %s a minute", number(peak))
	v.Observed = fmt.Sprintf("%d within the minute", now)
}

func (m *model) explainRoute(v *Verdict) {
	n, mass := m.routes.Seen()
	v.Explanation = fmt.Sprintf("first request for %s %s in some %.0f; a new one is expected about %s times in 100,000.",
		m.access.Method(), quote(string(m.access.URL())), n, number(mass*1e5))
	v.Expected = "a known method and path"
	v.Observed = quote(string(m.access.Method()) + " " + string(m.access.URL()))
}

func (m *model) explainRequest(v *Verdict) {
	field, text, sum, limit := m.access.Weird()
	v.Explanation = fmt.Sprintf("the %s %s of this request is unlike those before: its oddest characters sum up to %s nats, where 99%% stay below %s. Decode it and look for an injection or a probe.",
		field, quote(string(text)), number(sum), number(limit))
	v.Expected = "at most " + number(limit)
	v.Observed = number(sum)
}

// slotName names a slot for people: by its key where it has one.
func (m *model) slotName(i int) string {
	if key := m.tested[i].Key; len(key) > 0 {
		return quote(string(key))
	}
	return fmt.Sprintf("variable %d", i+1)
}

func (m *model) explainOutlier(v *Verdict, t *detect.Template, i int) {
	p := &m.tested[i]
	median, edge, highest, known := t.Slots[i].Number().Usual()
	scale, unit := unitOf(p)
	v.Explanation = fmt.Sprintf("%s is %s, %s times the median; of %d values before, nine in ten were up to %s%s and the highest was %s%s.",
		m.slotName(i), quote(string(p.Value)), number(p.Num/median), known, number(edge*scale), unit, number(highest*scale), unit)
	v.Expected = "up to " + number(highest*scale) + unit
	v.Observed = number(p.Num*scale) + unit
}

// unitOf returns what turns a parameter's number into the unit that the line
// is written in, and that unit.
func unitOf(p *drain.Param) (scale float64, unit string) {
	n := 0
	for n < len(p.Value) && (p.Value[n] >= '0' && p.Value[n] <= '9' || p.Value[n] == '.' || p.Value[n] == '-') {
		n++
	}
	written, err := strconv.ParseFloat(string(p.Value[:n]), 64)
	if err != nil || written == 0 || p.Num == 0 {
		return 1, ""
	}
	return written / p.Num, strings.ToValidUTF8(string(p.Value[n:]), "")
}

func (m *model) explainValue(v *Verdict, t *detect.Template, i int) {
	p := &m.tested[i]
	known := vocabulary(t.Slots[i].Values())
	v.Explanation = fmt.Sprintf("%s is %s, never seen there in %d lines; known values are %s.",
		m.slotName(i), quote(string(p.Value)), t.Slots[i].Values().Seen(), known)
	v.Expected, v.Observed = known, quote(string(p.Value))
}

func (m *model) explainNetwork(v *Verdict, t *detect.Template, i int) {
	p := &m.tested[i]
	prefix, known, bits := t.Slots[i].Network(p.Value)
	names := vocabulary(known)
	v.Explanation = fmt.Sprintf("%s is %s: network %s/%d was never seen there in %d lines; known are %s. Check who that is.",
		m.slotName(i), quote(string(p.Value)), prefix, bits, known.Seen(), names)
	v.Expected, v.Observed = names, string(p.Value)
}

// vocabulary writes the most frequent values of a vocabulary.
func vocabulary(k *detect.Category) string {
	var b strings.Builder
	n := 0
	k.Values(func(text string, count uint32) {
		if n++; n > valuesMax {
			return
		}
		if n > 1 {
			b.WriteString(", ")
		}
		b.WriteString(quote(text))
	})
	if n > valuesMax {
		fmt.Fprintf(&b, " and %d more", n-valuesMax)
	}
	return b.String()
}

// when writes a moment of model time.
func (m *model) when(t int64) string {
	return time.Unix(0, t).UTC().Format("2006-01-02 15:04:05")
}
