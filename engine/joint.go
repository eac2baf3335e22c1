package engine

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/logscope/logscope/engine/detect"
	"github.com/logscope/logscope/engine/drain"
)

// testJoint returns the finding that counts: f, or that numbers of the record,
// each of them usual, do not go together.
func (m *model) testJoint(t *detect.Template, f detect.Finding) detect.Finding {
	s := m.params.TestJoint(t, m.tested)
	if s < detect.JointLook {
		return f
	}
	return m.better(f, detect.Finding{Code: detect.Mismatch, Nats: s - jointPenalty, Slot: t.Joint.Misfit().Slot})
}

// learnJoint teaches how the record's numbers go together.
func (m *model) learnJoint(t *detect.Template) {
	if t.Joint != nil {
		m.params.LearnJoint(t, m.line.Params)
	} else if t.JointDue() {
		t.Join(m.joints() < detect.JointMax, m.line.Cluster.ID)
	}
}

// joints is the number of templates whose numbers are looked at together.
func (m *model) joints() (n int) {
	for i := range m.templates {
		if m.templates[i].Joint != nil {
			n++
		}
	}
	return n
}

// jointSubject fills in which numbers do not go together, and by how many times
// the odd one is too low or too high.
func (m *model) jointSubject(s *subject, t *detect.Template) {
	odd := t.Joint.Misfit()
	how := jointHigh
	if odd.Less {
		how = jointLow
	}
	s.slot = odd.First + 1
	s.value = how + m.otherNames(odd)
	num := m.tested[odd.Slot].Num
	if s.level = min(max(odd.Low/num, num/odd.High, 1), jointTimesMost); math.IsNaN(s.level) {
		s.level = jointTimesMost // zero, and zero is usual
	}
}

// otherNames names the numbers that the first one does not go with.
func (m *model) otherNames(odd *detect.Misfit) string {
	var names []string
	for i := range m.tested {
		if i != odd.First && (i == odd.Slot || slices.Contains(odd.With[:odd.Others], i)) {
			names = append(names, m.slotName(i))
		}
	}
	return strings.Join(names, " and ")
}

const (
	// jointLow and jointHigh begin the value of such a finding, and of a word on it.
	jointLow, jointHigh = "too low beside ", "too high beside "
	// jointTimesMost stands for infinitely many times.
	jointTimesMost = 1e6
)

// jointly tells whether a value is that of such a finding.
func jointly(value string) bool {
	return strings.HasPrefix(value, jointLow) || strings.HasPrefix(value, jointHigh)
}

// slotNames names the numbers that one does not go with, with their values if asked for.
func (m *model) slotNames(odd *detect.Misfit, values bool) string {
	var b strings.Builder
	for j, i := range odd.With[:odd.Others] {
		if j > 0 {
			b.WriteString(" and ")
		}
		b.WriteString(m.slotName(i))
		if values {
			b.WriteString(" " + quote(string(m.tested[i].Value)))
		}
	}
	return b.String()
}

func (m *model) explainJoint(v *Verdict, t *detect.Template) {
	odd := t.Joint.Misfit()
	p := &m.tested[odd.Slot]
	usual := usually(odd, p)
	others := m.slotNames(odd, true)
	v.Explanation = fmt.Sprintf("%s is %s with %s: each is usual by itself, but in lines of this kind with %s near that, %s is usually %s (in eight of ten). Look at what this one did differently.",
		m.slotName(odd.Slot), quote(string(p.Value)), others, m.slotNames(odd, false), m.slotName(odd.Slot), usual)
	v.Expected = usual + " with " + others
	v.Observed = quote(string(p.Value))
}

// usually writes what a number is usually, in the unit that the line is written in.
func usually(odd *detect.Misfit, p *drain.Param) string {
	scale, unit := unitOf(p)
	switch {
	case odd.Low < odd.High:
		return number(odd.Low*scale) + unit + " to " + number(odd.High*scale) + unit
	case p.Num < odd.Low: // beyond what was seen
		return number(odd.Low*scale) + unit + " or more"
	}
	return number(odd.High*scale) + unit + " or less"
}
