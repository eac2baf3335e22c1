package loki

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// labelsTextMax bounds a label set that is taken apart: 64 times what Loki allows by default.
const labelsTextMax = 64 << 10

// ParseLabels reads a label set as senders write it: {a="b", c=`d`}. It
// says whether that is one; Loki has the last word on what is not.
func ParseLabels(text string) (labels []Label, ok bool) {
	if len(text) > labelsTextMax {
		return nil, false
	}
	rest, ok := strings.CutPrefix(strings.TrimSpace(text), "{")
	if !ok {
		return nil, false
	}
	if rest = skipSpace(rest); strings.TrimSpace(rest) == "}" {
		return nil, true
	}
	for {
		name, value, after, ok := cutPair(rest)
		if !ok {
			return nil, false
		}
		labels = append(labels, Label{Name: name, Value: value})
		rest = skipSpace(after)
		if strings.HasPrefix(rest, ",") {
			rest = skipSpace(rest[1:])
			if strings.TrimSpace(rest) != "}" { // a comma may stand before the end, too
				continue
			}
		}
		return labels, strings.TrimSpace(rest) == "}"
	}
}

// cutPair cuts name="value" off s.
func cutPair(s string) (name, value, rest string, ok bool) {
	eq := strings.IndexByte(s, '=')
	if eq < 0 {
		return "", "", "", false
	}
	name = strings.TrimSpace(s[:eq])
	if name == "" || !validChars(name) {
		return "", "", "", false
	}
	s = skipSpace(s[eq+1:])
	quoted, err := strconv.QuotedPrefix(s)
	if err != nil || quoted[0] == '\'' {
		return "", "", "", false
	}
	if value, err = strconv.Unquote(quoted); err != nil {
		return "", "", "", false
	}
	return name, value, s[len(quoted):], true
}

// validChars says that s has the characters of a label name, Loki's own names included.
func validChars(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isAlnum(s[i]) && s[i] != '_' || i == 0 && isDigit(s[i]) {
			return false
		}
	}
	return true
}

func skipSpace(s string) string { return strings.TrimLeft(s, " \t\r\n") }

// AppendLabelSet appends labels as Loki writes them, sorted by name, and without
// a change to any: what is wrong with them Loki shall say. It sorts labels in place.
func AppendLabelSet(dst []byte, labels []Label) []byte {
	slices.SortStableFunc(labels, func(a, b Label) int { return cmp.Compare(a.Name, b.Name) })
	dst = append(dst, '{')
	for i := range labels {
		if i > 0 {
			dst = append(dst, ',', ' ')
		}
		dst = append(dst, labels[i].Name...)
		dst = append(dst, '=')
		dst = appendQuoted(dst, labels[i].Value)
	}
	return append(dst, '}')
}
