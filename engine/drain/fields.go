package drain

import (
	"bytes"
	"math"
)

const (
	// depthMax is how deep JSON objects are entered; below it a value is one parameter.
	depthMax = 6
	// keyMax bounds a field's name in a template.
	keyMax = 96
	// keyDigits is how many digits in a row make a name a value: s3, p99, http2 and md5 are none, user_12345 is one.
	keyDigits = 4
)

// role is what a field of a structured line is for.
type role uint8

const (
	valueField role = iota
	timeField
	levelField
	textField
)

// roleOf knows the names that loggers give to time, level and message.
func roleOf(key []byte) role {
	if len(key) > 13 || len(key) == 0 {
		return valueField
	}
	var buf [13]byte
	for i, c := range key {
		if c-'A' < 26 {
			c |= 0x20
		}
		buf[i] = c
	}
	switch string(buf[:len(key)]) {
	case "ts", "time", "timestamp", "@timestamp", "t", "datetime", "date", "asctime", "eventtime", "@t", "log.time":
		return timeField
	case "level", "lvl", "severity", "levelname", "loglevel", "log.level", "log_level", "level_name", "priority", "@l", "severity_text":
		return levelField
	case "msg", "message", "event", "log", "@m", "@mt", "body", "short_message", "_msg":
		return textField
	}
	return valueField
}

// scanJSON masks the object that starts at i: keys stay, values are
// parameters, the message is free text. It reports false for what is no
// object up to the end of the line.
func (s *scanner) scanJSON(i int) bool {
	s.escaped = true
	end, ok := s.object(i, 0, 0)
	if !ok {
		return false
	}
	if end = skipSpaces(s.line, end); end < len(s.line) && s.words < tokensMax && len(s.params) < paramsMax {
		return false
	}
	return len(s.toks) > 0 || s.timed || s.level != NoLevel
}

// object reads a JSON object at i whose keys are written behind the first n bytes of s.path.
func (s *scanner) object(i, n, depth int) (end int, ok bool) {
	b := s.line
	i = skipSpaces(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1, true
	}
	for i < len(b) {
		if s.words >= tokensMax || len(s.params) >= paramsMax || i > scanMax {
			s.tail(i)
			return len(b), true
		}
		if b[i] != '"' {
			return 0, false
		}
		stop := closing(b, i)
		if stop == 0 {
			return 0, false
		}
		key := b[i+1 : stop-1]
		if i = skipSpaces(b, stop); i >= len(b) || b[i] != ':' {
			return 0, false
		}
		if i, ok = s.member(key, skipSpaces(b, i+1), n, depth); !ok {
			return 0, false
		}
		if i = skipSpaces(b, i); i >= len(b) {
			return 0, false
		}
		if b[i] == '}' {
			return i + 1, true
		}
		if b[i] != ',' {
			return 0, false
		}
		i = skipSpaces(b, i+1)
	}
	return 0, false
}

// member reads the value at i of a JSON object.
func (s *scanner) member(key []byte, i, n, depth int) (end int, ok bool) {
	b := s.line
	if i >= len(b) {
		return 0, false
	}
	if b[i] == '{' && depth < depthMax && len(key)+n < keyMax {
		s.path = append(appendKey(s.path[:n], key), '.')
		return s.object(i, len(s.path), depth+1)
	}
	start, stop := i, 0
	switch b[i] {
	case '"':
		if end = closing(b, i); end == 0 {
			return 0, false
		}
		start, stop = i+1, end-1
	case '{', '[':
		if end = balanced(b, i); end == 0 {
			return 0, false
		}
		stop = end
	default:
		for end = i; end < len(b) && b[end] > ' ' && b[end] != ',' && b[end] != '}' && b[end] != ']'; end++ {
		}
		if stop = end; stop == start {
			return 0, false
		}
	}
	s.path = s.path[:n]
	s.field(key, start, stop)
	return end, true
}

// balanced is the index behind the bracket that closes the one at i, zero if there is none.
func balanced(b []byte, i int) int {
	depth := 0
	for j := i; j < len(b); j++ {
		switch b[j] {
		case '"':
			end := closing(b, j)
			if end == 0 {
				return 0
			}
			j = end - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return j + 1
			}
		}
	}
	return 0
}

// field takes the value line[i:end] of a structured line's key.
func (s *scanner) field(key []byte, i, end int) {
	value := s.line[i:end]
	switch roleOf(key) {
	case timeField:
		if len(value) > 0 {
			var t stamp
			if stop := readStamp(value, 0, true, &t); stop == len(value) && (t.epoch || t.month > 0) {
				if !s.timed {
					s.time, s.timed = t, true
				}
				return
			}
		}
	case levelField:
		level := levelOf(value)
		if level == NoLevel && len(value) > 0 && digitsAt(value, 0) == len(value) && len(value) < 3 {
			n, _ := readNumber(value, 0, 2)
			level = levelOfNumber(n)
		}
		if level != NoLevel {
			if s.level == NoLevel {
				s.level = level
			}
			return
		}
	case textField:
		if !s.texted {
			for end-i >= 2 && s.escaped && s.line[end-2] == '\\' && (s.line[end-1] == 'n' || s.line[end-1] == 'r') {
				end -= 2
			}
			if s.escaped && s.innerObject(i, end, false) {
				s.innerObject(i, end, true)
				return
			}
			s.texted, s.text0, s.text1 = true, i, end
			if stop := s.text(i, min(end, max(i, scanMax))); stop < end && skipSpaces(s.line[:end], stop) < end {
				s.begin(stop)
				s.mask(stop, end, Word, math.NaN())
				s.end(end)
			}
			return
		}
	}
	s.begin(i)
	s.skel = appendKey(append(s.skel, s.path...), key)
	starred := bytes.IndexByte(s.skel[s.skel0:], '*') >= 0
	s.skel = append(s.skel, '=')
	s.key, s.keyEnd = key, i
	s.maskValue(i, end)
	s.end(end)
	if starred {
		s.mergeStarred()
	}
}

// appendKey appends a field's name; * stands for one that is itself a value: a
// user's number, an address. Each would be a template of its own.
func appendKey(dst, key []byte) []byte {
	start, run, longest, letters := len(dst), 0, 0, 0
	for _, c := range key[:min(len(key), keyMax)] {
		switch {
		case isDigit(c):
			run++
			longest = max(longest, run)
		default:
			run = 0
			if isAlpha(c) {
				letters++
			} else if c <= ' ' {
				c = '_'
			}
		}
		dst = append(dst, c)
	}
	if longest >= keyDigits || longest > 0 && letters == 0 || longest > 0 && len(key) >= 32 {
		return append(dst[:start], '*')
	}
	return dst
}

// mergeStarred takes back a field that has the name of the one before it, so
// that the number of such fields does not decide the template.
func (s *scanner) mergeStarred() {
	n := len(s.toks) - 1
	if n < 1 {
		return
	}
	last, tok := &s.toks[n-1], &s.toks[n]
	if tok.par1-tok.par0 != 1 || !bytes.Equal(s.skel[last.skel0:last.skel1], s.skel[tok.skel0:tok.skel1]) {
		return
	}
	s.params, s.skel, s.toks = s.params[:tok.par0], s.skel[:last.skel1], s.toks[:n]
	s.words--
}

// isLogfmt says that the line starts with two key=value pairs.
func isLogfmt(b []byte, i int) bool {
	for pair := 0; pair < 2; pair++ {
		p := keyAt(b, i)
		if p == 0 {
			return false
		}
		if i = skipSpaces(b, logfmtValue(b, p)); i >= len(b) {
			return pair == 1
		}
	}
	return true
}

// keyAt is the index behind the = of key= at i, zero if none stands there.
func keyAt(b []byte, i int) int {
	if i >= len(b) || !isAlpha(b[i]) && b[i] != '_' && b[i] != '@' {
		return 0
	}
	for n, c := range b[i:min(len(b), i+keyMax+1)] {
		switch {
		case keySigns[c]:
		case c == '=':
			return i + n + 1
		default:
			return 0
		}
	}
	return 0
}

// keySigns are what a key is written with.
var keySigns = func() (t [256]bool) {
	for c := range t {
		b := byte(c)
		t[c] = isAlnum(b) || b == '_' || b == '.' || b == '-' || b == '@' || b == '/'
	}
	return t
}()

// logfmtValue is the end of the value at i.
func logfmtValue(b []byte, i int) int {
	if i < len(b) && b[i] == '"' {
		if end := closing(b, i); end > 0 {
			return end
		}
	}
	for i < len(b) && b[i] > ' ' {
		i++
	}
	return i
}

// scanLogfmt masks the pairs from i on; words between them are free text.
func (s *scanner) scanLogfmt(i int) {
	b := s.line
	limit := min(len(b), scanMax)
	s.path = s.path[:0]
	for i = skipSpaces(b, i); i < limit; i = skipSpaces(b, i) {
		if s.words >= tokensMax || len(s.params) >= paramsMax {
			break
		}
		p := keyAt(b, i)
		if p == 0 {
			s.begin(i)
			i = s.token(b[:limit], i)
			s.end(i)
			continue
		}
		end := logfmtValue(b, p)
		key := b[i : p-1]
		if end >= p+2 && b[p] == '"' && b[end-1] == '"' {
			s.escaped = true
			s.field(key, p+1, end-1)
			s.escaped = false
		} else {
			s.field(key, p, end)
		}
		i = end
	}
	s.tail(i)
}
