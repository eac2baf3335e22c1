package drain

import (
	"bytes"
	"math"
)

// empty masks what is missing in a () or [] that stands alone: a program
// printed an empty value there. Behind a name it is a call or a type.
func (s *scanner) empty(b []byte, i int) int {
	if i == s.start && i+1 < len(b) && b[i+1] == b[i]+1+(b[i]>>6&1) && (i+2 == len(b) || !isAlnum(b[i+2])) {
		s.mask(i+1, i+1, Word, math.NaN())
	}
	return i + 1
}

// quoted masks a quoted string, all but a request line's method and protocol.
func (s *scanner) quoted(b []byte, i int) int {
	if s.unclosed {
		return i + 1
	}
	end := closing(b, i)
	if end == 0 {
		// Looking for the end of every further quote would be quadratic.
		s.unclosed = true
		return i + 1
	}
	if end == i+2 {
		return end
	}
	if s.name(b, i, end) {
		return end
	}
	s.keyEnd = moveKey(s.keyEnd, i)
	if !s.request(b, i+1, end-1) {
		s.mask(i+1, end-1, Quoted, math.NaN())
	}
	return end
}

func moveKey(keyEnd, i int) int {
	if keyEnd == i {
		return i + 1
	}
	return keyEnd
}

// name takes "key": of a JSON object or a Python dict inside a message: it is
// no value, but names the next.
func (s *scanner) name(b []byte, i, end int) bool {
	if end >= len(b) || b[end] != ':' || end-i > wordMax || !isKey(b[i+1:end-1]) {
		return false
	}
	s.key, s.keyEnd = b[i+1:end-1], end+1
	if end+1 < len(b) && b[end+1] == ' ' {
		s.keyEnd++
	}
	return true
}

// request masks target and version of an HTTP request line, which are words of
// their own; the method stays.
func (s *scanner) request(b []byte, i, end int) bool {
	p := i
	for p < end && b[p]-'A' < 26 {
		p++
	}
	if p < i+3 || p > i+10 || p+2 >= end || b[p] != ' ' || s.words+2 > tokensMax {
		return false
	}
	target := p + 1
	stop := end
	for q := end - 1; q > target && q > end-12; q-- {
		if b[q] == ' ' && q+5 < end && string(b[q+1:q+6]) == "HTTP/" {
			stop = q
			break
		}
	}
	if stop == end && b[target] != '/' {
		return false
	}
	if s.keyEnd == i {
		s.keyEnd = target
	}
	s.end(p)
	s.begin(target)
	s.mask(target, stop, Path, math.NaN())
	if stop < end {
		s.end(stop)
		s.begin(stop + 1)
	}
	if stop+6 < end {
		s.maskValue(stop+6, end)
	}
	return true
}

// closing is the index behind the quote that closes the one at i, zero if there is none.
func closing(b []byte, i int) int {
	q := b[i]
	for j := i + 1; j < len(b); j++ {
		switch b[j] {
		case '\\':
			j++
		case q:
			return j + 1
		}
	}
	return 0
}

// ticked masks 'x' and `x`, unless the sign is an apostrophe.
func (s *scanner) ticked(b []byte, i int) int {
	if i > s.start && isAlnum(b[i-1]) {
		return i + 1
	}
	limit := min(len(b), i+2*wordMax)
	close := b[i]
	for j := i + 1; j < limit; j++ {
		if b[j] == close || close == '`' && b[j] == '\'' {
			if j == i+1 || j+1 < len(b) && isAlnum(b[j+1]) {
				return i + 1
			}
			if s.name(b, i, j+1) {
				return j + 1
			}
			s.keyEnd = moveKey(s.keyEnd, i)
			s.mask(i+1, j, Quoted, math.NaN())
			return j + 1
		}
	}
	return i + 1
}

// quotedMessage is the end of a message that is written in quotes in front of
// its keys and values, as klog's structured logging does; zero if the line at i is none.
func quotedMessage(b []byte, i int) int {
	if i+2 >= len(b) || b[i] != '"' {
		return 0
	}
	end := closing(b, i)
	if end <= i+2 {
		return 0
	}
	next := skipSpaces(b, end)
	if next < len(b) && (next == end || keyAt(b, next) == 0) {
		return 0
	}
	return end
}

// quotedText reads line[i:end], what a quoted string holds, as free text.
func (s *scanner) quotedText(i, end int) {
	s.escaped = true
	if stop := s.text(i, min(end, max(i, scanMax))); stop < end && skipSpaces(s.line[:end], stop) < end {
		s.begin(stop)
		s.mask(stop, end, Word, math.NaN())
		s.end(end)
	}
	s.escaped = false
}

// escape takes \n and the like, and masks what stands between \" and \".
func (s *scanner) escape(b []byte, i int) int {
	from := i + 2
	if b[i+1] != '"' || s.unclosed {
		return from
	}
	n := bytes.Index(b[from:], []byte(`\"`))
	if n < 0 {
		s.unclosed = true
		return from
	}
	if end := from + n; n == 0 || end+2 < len(b) && b[end+2] == ':' && isKey(b[from:end]) {
		return end + 2 // the name of what follows
	}
	// Without the backslashes, so that the message has the template of one that is not quoted.
	s.flush(i)
	s.copied = i + 1
	s.mask(from, from+n, Quoted, math.NaN())
	s.copied = from + n + 1
	return from + n + 2
}
