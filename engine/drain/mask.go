package drain

import (
	"bytes"
	"slices"
)

// Mask finds values by a pattern of the user's own. It is asked once a line,
// before this package's own masks, and only where one is configured. With an
// Ahead it is used by two goroutines at once.
type Mask interface {
	// Name is what such a value is called where nothing in the line names it; may be empty.
	Name() string
	// Pattern is what the user wrote.
	Pattern() string
	// AppendSpans appends where the values lie in a message, in order and without overlap.
	AppendSpans(dst []Span, message []byte) []Span
	// GaveUp counts the messages that AppendSpans did not search whole, for their time.
	GaveUp() uint64
}

// Span is a part of a message: message[Start:End].
type Span struct{ Start, End int }

const (
	// MasksMax bounds the masks: each is a search of its own through every line.
	MasksMax = 256
	// DelimitersMax bounds the additional delimiters, for the same reason.
	DelimitersMax = 16
	// userSpansMax bounds what is found in one line, 40 bytes each. What is
	// beyond is left to the scanner's own masks.
	userSpansMax = paramsMax
)

// userSpan is a span that one of the masks found, or a delimiter.
type userSpan struct {
	Span
	name  []byte
	split bool
}

// userMasks are the masks and delimiters of a Config and what they found in the line at hand.
type userMasks struct {
	masks      []Mask
	names      [][]byte
	delimiters [][]byte
	// spans are in order, without overlap; those before at are behind the scanner.
	spans []userSpan
	at    int
	found []Span // scratch of one mask
}

func newUserMasks(cfg *Config) *userMasks {
	if len(cfg.Masks) == 0 && len(cfg.Delimiters) == 0 {
		return nil
	}
	u := &userMasks{masks: cfg.Masks}
	for _, mask := range cfg.Masks {
		u.names = append(u.names, []byte(mask.Name()))
	}
	for _, d := range cfg.Delimiters {
		u.delimiters = append(u.delimiters, []byte(d))
	}
	return u
}

// find looks the masks' values and the delimiters up in the line. Where two
// masks want the same bytes, the first one has them.
func (u *userMasks) find(line []byte) {
	line = line[:min(len(line), scanMax)]
	u.spans, u.at = u.spans[:0], 0
	for i, mask := range u.masks {
		u.found = mask.AppendSpans(u.found[:0], line)
		for _, span := range u.found {
			if span.Start >= 0 && span.Start < span.End && span.End <= len(line) {
				u.add(userSpan{Span: trimSpan(line, span), name: u.names[i]})
			}
		}
	}
	for _, d := range u.delimiters {
		for i := 0; len(d) > 0; {
			n := bytes.Index(line[i:], d)
			if n < 0 {
				break
			}
			u.add(userSpan{Span: Span{i + n, i + n + len(d)}, split: true})
			i += n + len(d)
		}
	}
}

// add puts a span in its place, unless it is empty or its bytes are taken.
func (u *userMasks) add(span userSpan) {
	if span.Start >= span.End || len(u.spans) >= userSpansMax {
		return
	}
	i := len(u.spans) // usually the last
	for i > 0 && u.spans[i-1].Start >= span.Start {
		i--
	}
	if i > 0 && u.spans[i-1].End > span.Start || i < len(u.spans) && u.spans[i].Start < span.End {
		return
	}
	u.spans = slices.Insert(u.spans, i, span)
}

// trimSpan takes spaces off both ends: they separate words whatever a pattern says.
func trimSpan(line []byte, span Span) Span {
	for span.Start < span.End && isSpace(line[span.Start]) {
		span.Start++
	}
	for span.End > span.Start && isSpace(line[span.End-1]) {
		span.End--
	}
	return span
}

// next is the first span at or behind i that ends by end, nil if there is none.
func (u *userMasks) next(i, end int) *userSpan {
	for u.at < len(u.spans) && u.spans[u.at].Start < i {
		u.at++
	}
	if u.at == len(u.spans) || u.spans[u.at].End > end {
		return nil
	}
	return &u.spans[u.at]
}

// maskedText is text where the user's masks may have found something: the
// scanner's own masks see only what lies between.
func (s *scanner) maskedText(i, end int) int {
	b := s.line[:end]
	for i < end {
		span := s.user.next(i, end)
		switch {
		case isSpace(b[i]):
			i++
			continue
		case span != nil && span.Start == i && span.split:
			i = span.End
			continue
		case s.words >= tokensMax || len(s.params) >= paramsMax || len(s.skel) >= skelMax:
			return i
		}
		s.begin(i)
		i = s.maskedToken(b, i)
		s.end(i)
	}
	return i
}

// maskedToken is token between and over the spans. It ends at a space outside of them or at a delimiter.
func (s *scanner) maskedToken(b []byte, i int) int {
	for i < len(b) && i < s.start+tokenMax {
		span := s.user.next(i, len(b))
		if span == nil {
			return s.token(b, i)
		}
		if i < span.Start {
			if isSpace(b[i]) {
				return i
			}
			stop := span.Start
			if end := s.quoteOver(b, i, stop); end > 0 {
				stop = end
			}
			if j := s.token(b[:stop], i); j < stop {
				return j
			}
			i = stop
			continue
		}
		if span.split {
			return i
		}
		s.maskUser(span)
		i = span.End
	}
	return i
}

// quoteOver is the end of a double-quoted string that begins in b[i:stop] and
// ends behind it: what is quoted is one value already, and half a quote would
// pair with that of the next.
func (s *scanner) quoteOver(b []byte, i, stop int) int {
	for ; i < stop && !s.unclosed && !isSpace(b[i]); i++ {
		switch {
		case b[i] == '\\' && s.escaped:
			i++
		case b[i] == '"':
			end := closing(b, i)
			if end == 0 || end > stop {
				return end
			}
			i = end - 1
		}
	}
	return 0
}

// maskUser makes a parameter of a span, or a longer one of the parameter that ends where it starts.
func (s *scanner) maskUser(span *userSpan) {
	i, end := span.Start, span.End
	t := &s.toks[len(s.toks)-1]
	if n := len(s.params); s.copied == i && n > int(t.par0) && len(s.skel) > s.skel0 && s.skel[len(s.skel)-1] == mark {
		last := &s.params[n-1]
		if start := i - len(last.Value); start >= s.start && len(last.Value) > 0 && &s.line[start] == &last.Value[0] {
			last.Value = s.line[start:end:end]
			last.Kind, last.Num = kindOf(last.Value)
			s.copied = end
			return
		}
	}
	kind, num := kindOf(s.line[i:end])
	s.mask(i, end, kind, num)
	if p := &s.params[len(s.params)-1]; len(p.Key) == 0 && len(span.name) > 0 {
		p.Key = span.name
	}
}
