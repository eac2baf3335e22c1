package drain

import "math"

// Short ways for what is frequent. Each takes only what the general rules would
// take for the same, and leaves the rest to them.

// access reads what an access log starts with, 10.1.2.3 - - [02/Jan/2006:15:04:05 -0700] ",
// which fields reads, too, but most lines of such a log are of this form.
func (h *header) access() bool {
	b := h.b
	if len(b) < 32 || !isDigit(b[0]) {
		return false
	}
	i := addressEnd(b, 0)
	if i == 0 || len(b) < i+20 || string(b[i:i+6]) != " - - [" || !isDigit(b[i+6]) {
		return false
	}
	t := &h.scratch
	end := readStamp(b, i+6, true, t)
	if end == 0 || end+2 >= len(b) || b[end] != ']' || b[end+1] != ' ' || b[end+2] != '"' || t.year == 0 {
		return false
	}
	h.times, h.forced = 0, 3
	h.take(t)
	h.time0, h.time1 = i+6, end
	return true
}

// endsBefore says that the words from i on, behind a level, are surely those of
// a message: fields would look at the same words and take none. false: it must look.
func (h *header) endsBefore(i int) bool {
	if h.part != afterLevel || !h.timed || h.talk {
		return false
	}
	b, plain := h.b, h.plain
	for range 8 - h.pending {
		i = skipSpaces(b, i)
		if i >= len(b) || !isAlnum(b[i]) && b[i] != '/' && b[i] != '"' {
			return false
		}
		from := i
		end, seen := wordEnd(b, i)
		if end+3 >= len(b) || b[end] != ' ' || !isAlnum(b[end+1]) && b[end+1] != '/' && b[end+1] != '"' {
			return false // what follows may make it a component
		}
		word := b[from:end]
		switch last := word[len(word)-1]; {
		case last == ']':
			return false
		case last == ':':
			if name := word[:len(word)-1]; isNumber(name) || looksComponent(name) {
				return false
			}
		}
		if seen != digitSign && !isShout(word) {
			if plain++; plain > 1 {
				return true
			}
		}
		i = end
	}
	return false
}

// integer masks a word of digits only, by far the most frequent value, in one
// pass; zero where it may be something else: a time, a longer word.
func (s *scanner) integer(b []byte, i int) int {
	var v uint64
	end := i
	for end < len(b) && isDigit(b[end]) {
		v = v*10 + uint64(b[end]-'0')
		end++
	}
	n := end - i
	if n > 18 {
		return 0
	}
	if end == len(b) {
		s.mask(i, end, Number, float64(v))
		return end
	}
	c := b[end]
	if classes[c] != 0 || c == ':' || b[min(i+4, len(b)-1)] == '.' || b[min(i+2, len(b)-1)] == ':' {
		return 0
	}
	stop, num := end, float64(v)
	if c == ' ' && end+1 < len(b) {
		next := b[end+1]
		if n <= 2 && monthAt(b, end+1) > 0 || (n == 6 || n == 8) && (isDigit(next) || next == ' ') {
			return 0
		}
		stop, num = unitBehind(b, end, num)
	}
	s.mask(i, stop, Number, num)
	if c == '=' {
		s.key, s.keyEnd = b[i:end], end+1
	}
	return stop
}

// address masks an IPv4 address, with a / before it (Java) and a port or without,
// that is a word of its own: no rule takes it for anything else. Zero if there is none.
func (s *scanner) address(b []byte, i int) int {
	end := i
	if b[i] == '/' {
		end++
	}
	if end = addressEnd(b, end); end == 0 {
		return 0
	}
	if end < len(b) && b[end] == ':' {
		port := end + 1
		if _, end = readNumber(b, port, 5); end == port {
			return 0
		}
	}
	if end < len(b) && (classes[b[end]] != 0 || b[end] == ':' || b[end] == '=') {
		return 0
	}
	s.mask(i, end, IPv4, math.NaN())
	return end
}

// addressEnd is the end of the four numbers at b[i]; zero if there are none.
func addressEnd(b []byte, i int) int {
	for part := 0; ; part++ {
		v, end := readNumber(b, i, 3)
		switch {
		case end == i || v > 255:
			return 0
		case part == 3:
			return end
		case end >= len(b) || b[end] != '.':
			return 0
		}
		i = end + 1
	}
}
