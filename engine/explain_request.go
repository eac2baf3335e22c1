package engine

import (
	"fmt"
	"strings"

	"github.com/logscope/logscope/engine/detect"
)

// explainRequest says which parts of a web request are unusual.
func (m *model) explainRequest(v *Verdict) {
	first, second := m.access.Odd()
	v.Explanation = m.oddText(&first)
	if second.Nats > first.Nats/4 {
		v.Explanation += ", and " + m.oddText(&second)
	}
	if first.Part >= detect.PartReferrer || first.Part != detect.PartMethod && first.Part != detect.PartStatus {
		v.Explanation += ". Decode it, and look for an injection or a probe."
	} else {
		v.Explanation += ". Look at who asks, and what for."
	}
	v.Expected = "a " + m.oddPlace(&first) + " like those before"
	v.Observed = quote(string(first.What))
}

// oddPlace names the part of a request that something unusual is in.
func (m *model) oddPlace(o *detect.Oddity) string {
	switch o.Part {
	case detect.PartMethod:
		return "method"
	case detect.PartStatus:
		return "status"
	case detect.PartReferrer:
		return "referrer"
	case detect.PartAgent:
		return "agent"
	case detect.PartQuery, detect.PartKey:
		return "query"
	case detect.PartValue, detect.PartShape, detect.PartText, detect.PartChars:
		return "query " + quote(string(o.Name))
	case detect.PartHints:
		if len(o.Name) > 0 {
			return "query " + quote(string(o.Name))
		}
	}
	return "path"
}

// oddText says what is unusual about a part of the request.
func (m *model) oddText(o *detect.Oddity) string {
	what := quote(string(o.What))
	path := quote(m.pathText())
	switch o.Part {
	case detect.PartMethod:
		return fmt.Sprintf("method %s is seldom used for %s", o.What, path)
	case detect.PartStatus:
		return fmt.Sprintf("status %s is seldom the answer for %s", o.What, path)
	case detect.PartReferrer, detect.PartAgent:
		return fmt.Sprintf("the %s %s is spelled unlike those before", m.oddPlace(o), what)
	case detect.PartQuery:
		if len(o.What) == 0 {
			return path + " seldom comes without a query"
		}
		return path + " seldom has a query"
	case detect.PartKey:
		if len(o.What) == 0 {
			return "the query of " + path + " has a value without a name"
		}
		return fmt.Sprintf("parameter %s is seldom seen in a query of %s", what, path)
	case detect.PartValue:
		return fmt.Sprintf("%s of %s is %s, which it seldom or never was", m.oddPlace(o), path, what)
	case detect.PartShape, detect.PartText:
		return fmt.Sprintf("%s of %s is %s, written unlike its values before", m.oddPlace(o), path, what)
	case detect.PartChars:
		return fmt.Sprintf("%s of %s holds characters seldom or never seen there: %s", m.oddPlace(o), path, signs(o))
	case detect.PartSigns:
		return fmt.Sprintf("path %s holds characters seldom or never seen in one: %s", path, signs(o))
	case detect.PartHints:
		return m.oddPlace(o) + " holds what attacks are made of: " + what
	case detect.PartEnding:
		return "path " + path + " is new, and seldom does one end so"
	case detect.PartSpelling:
		return "path " + path + " is spelled unlike those before"
	}
	return "path " + path + " is new where seldom anything is"
}

// signs lists the rare signs of a text.
func signs(o *detect.Oddity) string {
	var names []string
	for _, c := range o.Signs {
		switch c {
		case 0:
		case 1:
			names = append(names, "control characters")
		case 2:
			names = append(names, "bytes beyond ASCII")
		case ' ':
			names = append(names, "space")
		default:
			names = append(names, string(rune(c)))
		}
	}
	return strings.Join(names, " ")
}

// pathText is the request's path for people.
func (m *model) pathText() string {
	path, _, _ := strings.Cut(string(m.access.URL()), "?")
	return path
}
