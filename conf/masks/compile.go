package masks

import (
	"errors"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/dlclark/regexp2/v2"

	"github.com/logscope/logscope/engine/drain"
)

const (
	// matchesMax bounds the matches of one mask in one line.
	matchesMax = 256
	// searchTimeout bounds one search by regexp2, whose clock ticks every 100 ms. It is
	// a thousand times what an honest pattern takes: only nested repetition reaches it.
	searchTimeout = 100 * time.Millisecond
	// restLines is how many lines a pattern is left out for after it ran out of
	// time: no line may cost more than 20 us on average, whoever wrote it.
	restLines = 10_000
)

// Compile makes a mask of a rule.
func Compile(rule Rule) (drain.Mask, error) {
	if rule.Pattern == "" {
		return nil, errors.New("the pattern is empty")
	}
	pattern := fromPython(rule.Pattern)
	if re, err := regexp.Compile(pattern); err == nil {
		return &linear{name: rule.Name, re: re}, nil
	}
	re, err := regexp2.Compile(namedReferences(pattern), regexp2.RE2)
	if err != nil {
		return nil, err
	}
	re.MatchTimeout = searchTimeout
	return &backtracking{name: rule.Name, re: re}, nil
}

// fromPython spells out what Python's re writes in a way that others read differently.
func fromPython(p string) string {
	var b strings.Builder
	class := false
	for i := 0; i < len(p); i++ {
		c := p[i]
		switch {
		case c == '\\' && i+1 < len(p):
			i++
			if p[i] == 'Z' && !class {
				b.WriteString(`\z`) // the end, not before a last newline
				continue
			}
			b.WriteByte(c)
			c = p[i]
		case c == '[' && !class:
			class = true
			b.WriteByte(c)
			if i+1 < len(p) && p[i+1] == '^' {
				i++
				b.WriteByte('^')
			}
			if i+1 >= len(p) || p[i+1] != ']' {
				continue
			}
			i++
			c = ']' // the first one is a member
		case c == ']':
			class = false
		case c == '{' && !class && strings.HasPrefix(p[i:], "{,"):
			b.WriteString("{0")
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

// namedReferences spells Python's (?P=name) as regexp2 does: \k<name>.
func namedReferences(p string) string {
	for {
		before, rest, found := strings.Cut(p, "(?P=")
		name, after, closed := strings.Cut(rest, ")")
		if !found || !closed {
			return p
		}
		p = before + `\k<` + name + ">" + after
	}
}

// linear is a mask that the standard library compiles.
type linear struct {
	name string
	re   *regexp.Regexp
}

func (m *linear) Name() string    { return m.name }
func (m *linear) Pattern() string { return m.re.String() }
func (m *linear) GaveUp() uint64  { return 0 }

func (m *linear) AppendSpans(dst []drain.Span, message []byte) []drain.Span {
	for _, at := range m.re.FindAllIndex(message, matchesMax) {
		dst = append(dst, drain.Span{Start: at[0], End: at[1]})
	}
	return dst
}

// backtracking is a mask that needs regexp2.
type backtracking struct {
	name string
	re   *regexp2.Regexp
	// rest is for how many lines the pattern is still left out.
	rest    atomic.Int64
	gaveUp  atomic.Uint64
	scratch sync.Pool // of *runes
}

// runes is a message as regexp2 reads it, and where each rune starts.
type runes struct {
	text    []rune
	offsets []int
}

func (m *backtracking) Name() string    { return m.name }
func (m *backtracking) Pattern() string { return m.re.String() }
func (m *backtracking) GaveUp() uint64  { return m.gaveUp.Load() }

func (m *backtracking) AppendSpans(dst []drain.Span, message []byte) []drain.Span {
	if m.rest.Load() > 0 && m.rest.Add(-1) >= 0 {
		m.gaveUp.Add(1)
		return dst
	}
	r, ok := m.scratch.Get().(*runes)
	if !ok {
		r = &runes{}
	}
	defer m.scratch.Put(r)
	r.read(message)
	before := len(dst)
	// A second try, since the machine may have stood still.
	for range 2 {
		dst = dst[:before]
		err := m.re.FindRunesMatches(r.text, 0, func(match regexp2.MatchView) bool {
			if at, n, ok := match.GroupRange(0); ok {
				dst = append(dst, drain.Span{Start: r.offsets[at], End: r.offsets[at+n]})
			}
			return len(dst)-before < matchesMax
		})
		if err == nil {
			return dst
		}
	}
	m.rest.Store(restLines)
	m.gaveUp.Add(1)
	return dst[:before]
}

func (r *runes) read(message []byte) {
	r.text, r.offsets = r.text[:0], r.offsets[:0]
	for i := 0; i < len(message); {
		c, n := utf8.DecodeRune(message[i:])
		r.text, r.offsets = append(r.text, c), append(r.offsets, i)
		i += n
	}
	r.offsets = append(r.offsets, len(message))
}
