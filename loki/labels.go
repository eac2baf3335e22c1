package loki

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// LabelLimits bound the labels of one stream.
type LabelLimits struct {
	Count      int   // labels; those given first are kept
	NameBytes  int   // longer names are cut
	ValueBytes int   // longer values are cut
	Fallback   Label // the only label of a stream that has no other: Loki refuses {}
}

// DefaultLabelLimits are Loki's own (max_label_names_per_series,
// max_label_name_length, max_label_value_length).
func DefaultLabelLimits() LabelLimits {
	return LabelLimits{Count: 15, NameBytes: 1024, ValueBytes: 2048, Fallback: Label{Name: "job", Value: "logscope"}}
}

// AppendLabels appends labels in canonical form to dst: {a="b", c="d"}, as
// Loki itself writes them, within DefaultLabelLimits. See LabelLimits.Append.
func AppendLabels(dst []byte, labels []Label) []byte {
	return DefaultLabelLimits().Append(dst, labels)
}

// Append appends labels in canonical form to dst: sorted by name, names made
// valid (MendLabelName), values made valid (see cutValue), cut at a rune and quoted as
// Go does, empty values left out, each name once. Of two labels of one name, one
// whose name needed no mending wins, then the one given first. Of more than
// l.Count labels those given first stay. It allocates only to mend.
func (l LabelLimits) Append(dst []byte, labels []Label) []byte {
	var space [16]mended
	set := space[:0]
	for i := range labels {
		set = l.insert(set, labels[i])
	}
	if len(set) == 0 {
		set = append(set, mended{Label: l.Fallback})
	}
	dst = append(dst, '{')
	for i := range set {
		if i > 0 {
			dst = append(dst, ',', ' ')
		}
		dst = append(dst, set[i].Name...)
		dst = append(dst, '=')
		dst = appendQuoted(dst, set[i].Value)
	}
	return append(dst, '}')
}

// mended is a label ready to be written; was says that its name was another.
type mended struct {
	Label
	was bool
}

// insert puts label into set, which is sorted by name.
func (l LabelLimits) insert(set []mended, label Label) []mended {
	if label.Value == "" {
		return set
	}
	m := mended{Label: Label{Name: MendLabelName(label.Name)}}
	if len(m.Name) > l.NameBytes {
		m.Name = m.Name[:l.NameBytes]
	}
	m.was = m.Name != label.Name
	at := len(set)
	for i := range set {
		if set[i].Name == m.Name {
			if set[i].was && !m.was {
				m.Value = cutValue(label.Value, l.ValueBytes)
				set[i] = m
			}
			return set
		}
		if set[i].Name > m.Name {
			at = i
			break
		}
	}
	if len(set) >= l.Count {
		return set
	}
	m.Value = cutValue(label.Value, l.ValueBytes)
	set = append(set, mended{})
	copy(set[at+1:], set[at:])
	set[at] = m
	return set
}

// ValidLabelName says that Loki takes name as it is: [a-zA-Z_][a-zA-Z0-9_]*,
// and not beginning with the two underscores that Loki keeps for itself.
func ValidLabelName(name string) bool {
	if name == "" || isDigit(name[0]) || strings.HasPrefix(name, "__") {
		return false
	}
	for i := 0; i < len(name); i++ {
		if !isAlnum(name[i]) && name[i] != '_' {
			return false
		}
	}
	return true
}

// MendLabelName returns the valid name that stands for name: other characters
// become underscores, a leading digit gets one before it, several leading
// underscores become one (__name__ and the like are Loki's own).
func MendLabelName(name string) string {
	if ValidLabelName(name) {
		return name
	}
	var b strings.Builder
	b.Grow(len(name) + 1)
	if name == "" || isDigit(name[0]) {
		b.WriteByte('_')
	}
	for _, r := range name {
		if r >= utf8.RuneSelf || !isAlnum(byte(r)) {
			r = '_'
		}
		b.WriteRune(r)
	}
	s := b.String()
	if t := strings.TrimLeft(s, "_"); len(s)-len(t) > 1 {
		return "_" + t
	}
	return s
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// cutValue returns s as a label value of at most max bytes, cut at a rune. What
// is not UTF-8 becomes a question mark and not U+FFFD as in lines: Prometheus'
// lexer takes a U+FFFD for invalid UTF-8, wherever it comes from, and Loki then
// refuses the push as a whole (it parses its own rewriting again, so an escape
// would not help).
func cutValue(s string, max int) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "?")
	}
	if strings.Contains(s, "\uFFFD") {
		s = strings.ReplaceAll(s, "\uFFFD", "?")
	}
	return cut(s, max)
}

// cut returns the first max bytes of s, fewer where that would cut a rune.
func cut(s string, max int) string {
	if len(s) <= max {
		return s
	}
	for max > 0 && !utf8.RuneStart(s[max]) {
		max--
	}
	return s[:max]
}

// appendQuoted appends s as Prometheus and Loki quote a label value.
func appendQuoted(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			return strconv.AppendQuote(dst, s)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}
