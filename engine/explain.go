package engine

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/logscope/logscope/engine/detect"
	"github.com/logscope/logscope/engine/drain"
)

const (
	// valuesMax bounds the known values listed.
	valuesMax = 6
)

func cloneString(s string) string { return strings.Clone(s) }

// explain sets the texts of a flagged verdict. t is nil for a template that is
// not known at all.
func (m *model) explain(v *Verdict, t *detect.Template, f detect.Finding) {
	switch f.Code {
	case detect.NewTemplate:
		m.explainNew(v)
	case detect.Burst:
		m.explainBurst(v, t)
	case detect.Transition:
		m.explainTransition(v)
	case detect.Failing:
		m.explainFailing(v)
	case detect.Outlier:
		m.explainOutlier(v, t, f.Slot)
	case detect.NewValue:
		m.explainValue(v, t, f.Slot)
	case detect.NewNetwork:
		m.explainNetwork(v, t, f.Slot)
	case detect.Mismatch:
		m.explainJoint(v, t)
	case detect.NewRoute:
		m.explainRoute(v)
	case detect.Request:
		m.explainRequest(v)
	case detect.Unexpected, detect.Disorder:
		m.explainOdd(v, &m.odd)
	case detect.Marked:
		m.explainMarked(v)
	}
	if m.word != nil && f.Code != detect.Marked {
		v.Explanation += " It was called anomalous on " + clockText(m.word.At) + "."
	}
}

func (m *model) explainNew(v *Verdict) {
	_, mass := m.novelty.Seen()
	quiet, news := m.novelty.Group(m.clock.now)
	v.Explanation = fmt.Sprintf("first line like this in %s; about %s is of a new kind", count(float64(m.seen), "record"), often(mass))
	switch {
	case news >= 1:
		v.Explanation += fmt.Sprintf(", but within seconds %s came before it", count(news, "other"))
	case quiet > 2/mass:
		v.Explanation += fmt.Sprintf(", and none was for the last %s", grouped(quiet))
	}
	v.Explanation += ". Read the line: nobody has seen its like here."
	v.Expected = "one of " + count(float64(m.miner.Len()-1), "known template")
	v.Observed = quote(string(m.line.Message))
}

func (m *model) explainBurst(v *Verdict, t *detect.Template) {
	now, usual, peak := t.Rate.Count()
	v.Explanation = fmt.Sprintf("%d such lines within this minute; ", now)
	if peak < 0.5 {
		v.Explanation += fmt.Sprintf("there was none until %s ago. Look at what causes it.", span(m.clock.now-t.First))
	} else {
		v.Explanation += fmt.Sprintf("usual is %s, and of late at most %s in a minute (%s since %s). Look at what triggers it now.",
			perMinute(usual), grouped(math.Ceil(peak)), count(float64(t.Count), "line"), m.when(t.First))
	}
	v.Expected = atMost(peak)
	v.Observed = fmt.Sprintf("%d within the minute", now)
}

func (m *model) explainTransition(v *Verdict) {
	next := &m.templates[m.prev].Next
	to, seen, n := next.Usual()
	usual := quote(m.stepText(2 * to))
	how := "always"
	if seen < n {
		how = "in " + percent(float64(seen)/float64(n)) + " of the cases"
	}
	never := "never did"
	if next.Again(m.line.Cluster.Index) {
		never = "hardly ever did"
	}
	v.Explanation = fmt.Sprintf("this line came right after %s, which it %s in %s; %s %s came there. Look at what the program did between the two.",
		quote(m.stepText(2*int(m.prev))), never, count(float64(n), "case"), how, usual)
	v.Expected = usual
	v.Observed = quote(v.Template)
}

func (m *model) explainFailing(v *Verdict) {
	code, now, usual, peak := m.access.Status()
	v.Explanation = fmt.Sprintf("%d requests were answered with status %d within this minute; ", now, code)
	if peak < 0.5 {
		v.Explanation += "none was in any minute before."
	} else {
		v.Explanation += fmt.Sprintf("usual is %s, and of late at most %s in a minute.", perMinute(usual), grouped(math.Ceil(peak)))
	}
	if code >= 500 {
		v.Explanation += " Look at the server that gives this answer and at those behind it."
	} else {
		v.Explanation += " Look at who sends them."
	}
	v.Expected = atMost(peak)
	v.Observed = fmt.Sprintf("%d within the minute", now)
}

func (m *model) explainRoute(v *Verdict) {
	n, mass := m.routes.Seen()
	v.Explanation = fmt.Sprintf("first request for %s %s in some %s; about %s is new. Look at the answer's status and at who asks.",
		m.access.Method(), quote(string(m.access.URL())), grouped(n), often(mass))
	v.Expected = "a known method and path"
	v.Observed = quote(string(m.access.Method()) + " " + string(m.access.URL()))
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
	v.Explanation = fmt.Sprintf("%s is %s, %s times the median; of %s before, nine in ten were up to %s%s and the highest was %s%s.",
		m.slotName(i), quote(string(p.Value)), number(p.Num/median), count(float64(known), "value"), number(edge*scale), unit, number(highest*scale), unit)
	v.Expected = "up to " + number(highest*scale) + unit
	v.Observed = quote(string(p.Value))
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
	if strings.ContainsAny(string(p.Value[n:]), "0123456789") {
		return 1, "" // "1h30m" has no unit of its own
	}
	return written / p.Num, strings.ToValidUTF8(string(p.Value[n:]), "")
}

func (m *model) explainValue(v *Verdict, t *detect.Template, i int) {
	p := &m.tested[i]
	values := t.Slots[i].Values()
	known := vocabulary(values)
	v.Explanation = fmt.Sprintf("%s is %s, never seen there in %s; known values are %s.",
		m.slotName(i), quote(string(p.Value)), count(float64(values.Seen()), "line"), known)
	if like, seen, edits := values.Alike(p.Value); like != "" {
		v.Explanation += " " + alike(strconv.QuoteToASCII(string(p.Value)), quote(like), seen, edits)
	}
	v.Expected, v.Observed = known, quote(string(p.Value))
}

// alike says how a new value differs from the known one that it looks like. The
// new one is written in ASCII: that its letters look the same is the point.
func alike(value, known string, seen uint32, edits int) string {
	how := "differs by one letter from"
	switch edits {
	case 0:
		how = "only exchanges letters for others that look the same in"
	case 2:
		how = "differs by two letters from"
	}
	return fmt.Sprintf("%s %s %s, seen %s: a typo or a look-alike.", value, how, known, count(float64(seen), "time"))
}

func (m *model) explainNetwork(v *Verdict, t *detect.Template, i int) {
	p := &m.tested[i]
	prefix, known, bits := t.Slots[i].Network(p.Value)
	names := listed(known, func(text string) string { return network(text, bits) })
	v.Explanation = fmt.Sprintf("%s is %s: network %s was never seen there in %s; known are %s. Check who that is.",
		m.slotName(i), quote(string(p.Value)), network(string(prefix), bits), count(float64(known.Seen()), "line"), names)
	v.Expected, v.Observed = names, string(p.Value)
}

// network writes the first bytes of an address as a network.
func network(prefix string, bits int) string {
	return prefix + strings.Repeat(".0", max(0, 3-strings.Count(prefix, "."))) + "/" + strconv.Itoa(bits)
}

// vocabulary writes the most frequent values of a vocabulary.
func vocabulary(k *detect.Category) string { return listed(k, quote) }

// listed writes the most frequent values, each as text makes it.
func listed(k *detect.Category, text func(string) string) string {
	var b strings.Builder
	n := 0
	k.Values(func(value string, count uint32) {
		if n++; n > valuesMax {
			return
		}
		if n > 1 {
			b.WriteString(", ")
		}
		b.WriteString(text(value))
	})
	if n > valuesMax {
		fmt.Fprintf(&b, " and %d more", n-valuesMax)
	}
	return b.String()
}

// when writes a moment of model time.
func (m *model) when(t int64) string { return clockText(t) }

// clockText writes a moment, in UTC.
func clockText(t int64) string { return time.Unix(0, t).UTC().Format("2006-01-02 15:04:05") }
