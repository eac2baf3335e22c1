package drain

import (
	"bytes"
	"math"
)

const (
	// mark stands for a masked value in a skeleton. No input byte can be
	// mistaken for it: control characters separate words.
	mark = 0x01
	// tokensMax bounds the tokens of a line: what follows is one parameter.
	// Lines of more words are dumps; 128 covers all but 0.01% of usual lines.
	tokensMax = 128
	// wordMax is the longest word that can be a constant. No program's fixed
	// text has longer ones, and it bounds a template at 128 * 64 bytes.
	wordMax = 64
	// tokenMax is where a token without spaces is cut.
	tokenMax = 1 << 10
	// skelMax bounds the constant text of a line, and so of a template.
	skelMax = 8 << 10
	// scanMax bounds the bytes of a line that are looked at.
	scanMax = 16 << 10
	// vectorMax is the longest row of numbers whose numbers are parameters of their own.
	vectorMax = 11
	// paramsMax bounds the parameters of a line.
	paramsMax = 256
)

// Classes of bytes within a word. A byte of no class separates words.
const (
	digit = 1 << iota
	hexa  // a-f, A-F
	alpha // other letters and bytes of UTF-8
	dot
	dash
	slash
	under // other signs that names are written with
	at
)

var classes = classTable()

func classTable() (t [256]uint8) {
	for c := range t {
		b := byte(c)
		switch {
		case isDigit(b):
			t[c] = digit
		case (b|0x20)-'a' < 6:
			t[c] = hexa
		case isAlpha(b) || c >= 0x80:
			t[c] = alpha
		}
	}
	t['.'], t['-'], t['+'], t['/'], t['\\'], t['@'] = dot, dash, dash, slash, slash, at
	for _, b := range []byte("_$*%~#") {
		t[b] = under
	}
	return t
}

// token is a word between spaces: where it lies in the line and in the
// skeleton, and which parameters were masked in it. Or it is a run of constant
// words, which stand in both alike.
type token struct {
	line0, line1 uint32
	skel0, skel1 uint32
	par0, par1   uint16
	words        uint8 // of a run
	list         bool  // a list that was collapsed into one parameter
}

// scanner masks and tokenises one line in a single pass over its bytes. The
// skeleton is the line's constant text with mark for each masked value and
// one space between tokens.
type scanner struct {
	line   []byte
	skel   []byte
	toks   []token
	words  int // in toks
	params []Param
	// copied is how much of the line is in the skeleton or masked.
	copied int
	// key is the name that a value starting at keyEnd belongs to.
	key    []byte
	keyEnd int
	// time and level are those of a structured line's own fields.
	time  stamp
	level Level
	timed bool
	// line[text0:text1] is the message of a structured line, if texted.
	texted bool
	// line[time0:time1] is a time that the header was read from, if time0 > 0.
	time0, time1 int
	text0, text1 int
	// path holds the names of the JSON objects around a key, each with a dot behind it.
	path []byte
	// start and skel0 are where the running token starts.
	start, skel0 int
	// escaped says that the text is that of a JSON string.
	escaped bool
	// unclosed says that the rest of the line closes no quote.
	unclosed bool
	// guides are guesses of how the line goes on, the one at way first; nil: none.
	guides *[guideWays]guide
	way    int
	next   int // its run that is expected next
	// plain says that the line is free text that may have a guide, in the set.
	plain bool
	set   int
	// user is nil without masks of the user's own.
	user *userMasks
}

func (s *scanner) reset(line []byte) {
	s.line, s.skel, s.toks, s.words, s.params = line, s.skel[:0], s.toks[:0], 0, s.params[:0]
	s.copied, s.keyEnd, s.level, s.timed, s.texted, s.escaped, s.unclosed = 0, -1, NoLevel, false, false, false, false
	s.time0 = 0
	s.path, s.guides, s.way, s.next, s.plain = s.path[:0], nil, 0, 0, false
}

// scan masks the whole line, which h is the header of; nil: it has none.
func (s *scanner) scan(line []byte, h *header, gs *guides) {
	s.reset(line)
	if s.user != nil {
		s.user.find(line)
	}
	i := skipSpaces(line, 0)
	if i < len(line) && line[i] == '{' && s.scanJSON(i) {
		return
	}
	s.reset(line)
	if isLogfmt(line, i) {
		s.scanLogfmt(i)
		return
	}
	forced := h != nil && h.forced > 0
	if forced {
		i = s.forced(h, i)
	}
	if s.plain = gs == nil || gs.trial.on(); s.plain {
		s.set = guideSet(line, i)
		if gs != nil {
			s.guides = &gs.sets[s.set]
		}
	}
	if end := quotedMessage(line, i); end > 0 && !forced {
		s.quotedText(i+1, end-1)
		i = end
	}
	i = s.text(i, min(len(line), scanMax))
	s.tail(i)
}

// forced masks the words before the time of an access log, whatever they look like.
func (s *scanner) forced(h *header, i int) int {
	line := s.line
	for n := h.forced; n > 0 && i < len(line); n-- {
		end := i
		for end < len(line) && !isSpace(line[end]) {
			end++
		}
		s.begin(i)
		switch {
		case end == i+1 && line[i] == '-':
			s.mask(i, end, Word, math.NaN())
		case addressEnd(line, i) == end:
			s.mask(i, end, IPv4, math.NaN())
		default:
			s.maskValue(i, end)
		}
		s.end(end)
		i = skipSpaces(line, end)
	}
	if s.user == nil && h.time1 > 0 {
		s.time0, s.time1 = h.time0, h.time1
	}
	return i
}

// text tokenises line[i:end] as free text and returns where it stopped.
func (s *scanner) text(i, end int) int {
	if s.user != nil && len(s.user.spans) > 0 {
		return s.maskedText(i, end)
	}
	b := s.line[:end]
	for i < end {
		if isSpace(b[i]) {
			i++
			continue
		}
		if s.words >= tokensMax || len(s.params) >= paramsMax || len(s.skel) >= skelMax {
			return i
		}
		if s.guides != nil {
			if stop := s.guided(b, i); stop > 0 {
				i = stop
				continue
			}
		}
		s.begin(i)
		i = s.token(b, i)
		s.end(i)
	}
	return i
}

// tail makes one parameter of what was not looked at.
func (s *scanner) tail(i int) {
	i = skipSpaces(s.line, i)
	if i >= len(s.line) {
		return
	}
	s.begin(i)
	s.mask(i, len(s.line), Word, math.NaN())
	s.end(len(s.line))
}

func (s *scanner) begin(i int) {
	if len(s.skel) > 0 {
		s.skel = append(s.skel, ' ')
	}
	s.copied = i
	// Filled in place: copying a struct whose parts were just written stalls.
	s.toks = grow(s.toks)
	t := &s.toks[len(s.toks)-1]
	t.line0, t.skel0, t.par0, t.words, t.list = uint32(i), uint32(len(s.skel)), uint16(len(s.params)), 1, false
	s.words++
	s.start, s.skel0 = i, len(s.skel)
}

// grow adds one element, whose fields hold what was there before.
func grow[T any](v []T) []T {
	if n := len(v); n < cap(v) {
		return v[:n+1]
	}
	var zero T
	return append(v, zero)
}

func (s *scanner) end(i int) {
	s.flush(i)
	t := &s.toks[len(s.toks)-1]
	t.line1, t.skel1, t.par1 = uint32(i), uint32(len(s.skel)), uint16(len(s.params))
	switch n := len(s.params) - int(t.par0); {
	case n == 0:
	case len(s.skel)-s.skel0 <= 2:
		s.collapse()
	case n >= 2 && bytes.IndexByte(s.skel[s.skel0:], '|') > 0:
		s.joinPiped(t)
	}
}

// flush copies the constant text before i.
func (s *scanner) flush(i int) {
	if i > s.copied {
		s.skel = append(s.skel, s.line[s.copied:i]...)
		s.copied = i
	}
}

// mask makes a parameter of line[i:end].
func (s *scanner) mask(i, end int, kind Kind, num float64) {
	s.flush(i)
	s.copied = end
	n := len(s.skel)
	if n >= s.skel0+2 && s.skel[n-1] == ',' && s.skel[n-2] == mark && i > 0 && s.line[i-1] == ',' {
		// a,b,c: a list without spaces is one value.
		last := &s.params[len(s.params)-1]
		start := i - 1 - len(last.Value)
		if start >= 0 && len(last.Value) > 0 && &s.line[start] == &last.Value[0] {
			last.Value, last.Kind, last.Num = s.line[start:end], Word, math.NaN()
			s.skel = s.skel[:n-1]
			return
		}
	}
	s.skel = append(s.skel, mark)
	s.params = grow(s.params)
	p := &s.params[len(s.params)-1]
	p.Value, p.Kind, p.Num, p.Key = s.line[i:end:end], kind, num, nil
	if s.keyEnd == i {
		p.Key = s.key
	}
}

// token scans the token that starts at i and returns its end. A time or a
// quoted string may reach over spaces.
func (s *scanner) token(b []byte, i int) int {
	for i < len(b) && b[i] > ' ' && i < s.start+tokenMax {
		c := b[i]
		switch {
		case c == '\\' && s.escaped && i+1 < len(b) && isEscape(b[i+1]):
			i = s.escape(b, i)
		case c == '.' && i+1 < len(b) && b[i+1] == '.':
			for i < len(b) && b[i] == '.' {
				i++
			}
		case classes[c] != 0:
			i = s.word(b, i)
		case c == '"':
			i = s.quoted(b, i)
		case c == '\'' || c == '`':
			i = s.ticked(b, i)
		case c == '[' && i+1 == s.time0:
			s.mask(i+1, s.time1, Time, math.NaN())
			i = s.time1
		case c == '[':
			i = s.list(b, i)
		case c == '(':
			i = s.empty(b, i)
		case c == '<' && i == s.start:
			i = s.below(b, i)
		case c == ':' && i+2 < len(b) && b[i+1] == ':' && classes[b[i+2]]&(digit|hexa) != 0:
			i = s.word(b, i)
		case c == '=' && i+1 < len(b) && b[i+1] > ' ' && i > s.start && isNamed(b[i-1]):
			i = s.value(b, i+1)
		default:
			i++
		}
	}
	return i
}

func isEscape(c byte) bool { return c == 'n' || c == 't' || c == 'r' || c == '"' }

func isNamed(c byte) bool { return isAlnum(c) || c == '_' || c == '-' || c == '.' || c == ']' }

// value masks what follows key=.
func (s *scanner) value(b []byte, i int) int {
	switch c := b[i]; {
	case c == '"' || c == '\'':
		if end := closing(b, i); end > 0 && !s.unclosed {
			s.mask(i, end, Quoted, math.NaN())
			return end
		}
		s.unclosed = true
		return i + 1
	case classes[c] == 0 && c != ':':
		return i
	}
	var seen uint8
	colons, end := 0, i
	for ; end < len(b); end++ {
		k := classes[b[end]]
		if k == 0 {
			if b[end] != ':' || end+1 >= len(b) || b[end+1] <= ' ' {
				break
			}
			colons++
		}
		seen |= k
	}
	if end < len(b) && b[end] == '=' {
		return i // a=b=c: b is a name, too
	}
	if end = trimDots(b, i, end); end == i {
		return i + 1
	}
	kind, num, ok := classify(b[i:end], seen, colons)
	if !ok {
		kind = Word
	}
	if kind == Word && isPlain(b[i:end]) {
		return end // one of few, perhaps; the miner will see
	}
	s.mask(i, end, kind, num)
	return end
}

func trimDots(b []byte, i, end int) int {
	for end > i && b[end-1] == '.' {
		end--
	}
	return end
}

// maskValue masks line[i:end] whatever it looks like.
func (s *scanner) maskValue(i, end int) {
	kind, num := kindOf(s.line[i:end])
	s.mask(i, end, kind, num)
}

// span is where the signs of a word that go on at b[i] end, at the latest at a dot or colon, and what was seen.
func span(b []byte, i int, seen uint8) (int, uint8) {
	for n, c := range b[i:] {
		k := classes[c]
		if k&^dot == 0 {
			return i + n, seen
		}
		seen |= k
	}
	return len(b), seen
}

// word scans the word that starts at b[i].
func (s *scanner) word(b []byte, i int) int {
	switch digits := isDigit(b[i]); {
	case digits:
		if end := s.integer(b, i); end > 0 {
			return end
		}
		fallthrough
	case b[i] == '/' && i+1 < len(b) && isDigit(b[i+1]):
		if end := s.address(b, i); end > 0 {
			return end
		}
	}
	var seen uint8
	colons, end := 0, i
	for {
		if end, seen = span(b, end, seen); end == len(b) {
			break
		}
		if b[end] == '.' {
			if end > i && end+1 < len(b) && b[end+1] == '.' && isAlnum(b[end-1]) {
				break // leaders: threshold.....5
			}
			seen |= dot
		} else {
			if b[end] != ':' || !colonInside(b, i, end, seen, colons) {
				break
			}
			colons++
			if end+2 < len(b) && b[end+1] == '/' && b[end+2] == '/' {
				return s.url(b, i, end)
			}
		}
		end++
	}
	stop := end
	switch {
	case seen&^(alpha|hexa) == 0 && colons == 0 && end-i <= wordMax:
		switch end - i {
		case 3:
			if stop := s.stampAt(b, i, end, seen); stop > 0 {
				return stop
			}
			fallthrough
		case 4, 5:
			if stop := s.literal(b, i, end); stop > 0 {
				return stop
			}
		}
	case isDigit(b[i]):
		if stop = s.stampAt(b, i, end, seen); stop > 0 {
			return stop
		}
		stop = s.classed(b, i, end, seen, colons)
	default:
		stop = s.classed(b, i, end, seen, colons)
	}
	if end < len(b) && (b[end] == ':' || b[end] == '=') {
		s.key, s.keyEnd = b[i:end], end+1
		if b[end] == ':' && end+1 < len(b) && b[end+1] == ' ' {
			s.keyEnd = end + 2
		}
	}
	return stop
}

// classed masks the word if it is a value, and returns where to go on.
func (s *scanner) classed(b []byte, i, end int, seen uint8, colons int) int {
	trimmed := trimDots(b, i, end)
	if trimmed == i {
		return end
	}
	kind, num, ok := classify(b[i:trimmed], seen, colons)
	if !ok {
		return end
	}
	start, stop := i, trimmed
	for kind != Path && start < trimmed-1 && (b[start] == '#' || b[start] == '*' || b[start] == '~') {
		start++
	}
	if kind == Number && trimmed == end && isDigit(b[end-1]) {
		stop, num = unitBehind(b, end, num)
	}
	s.mask(start, stop, kind, num)
	return max(end, stop)
}

// unitBehind takes the unit that follows a number after a space: 4.2 KB and
// 17 B are values of one position.
func unitBehind(b []byte, i int, num float64) (end int, v float64) {
	if i+1 >= len(b) || b[i] != ' ' {
		return i, num
	}
	end = i + 1
	for end < len(b) && end < i+5 && isAlpha(b[end]) {
		end++
	}
	if end < len(b) && (classes[b[end]]&^dot != 0 || b[end] == ':' || b[end] == '=') {
		return i, num
	}
	switch string(b[i+1 : end]) {
	case "B", "KB", "kB", "MB", "GB", "TB", "PB", "KiB", "MiB", "GiB", "TiB", "ns", "us", "ms", "msec", "sec", "secs", "min", "mins", "hrs":
		scale, ok := unitOf(b[i+1 : end])
		if ok {
			return end, num * scale
		}
	}
	return i, num
}

// colonInside says that the colon at b[j] belongs to the word that started at i.
func colonInside(b []byte, i, j int, seen uint8, colons int) bool {
	if j+1 >= len(b) || b[j+1] <= ' ' {
		return false
	}
	next := b[j+1]
	switch {
	case next == '/' && j+2 < len(b) && b[j+2] == '/':
		return seen&^(alpha|hexa|digit|dash|dot) == 0
	case next == '\\' && j == i+1:
		return true
	case next == ':':
		return seen&^(hexa|digit) == 0 && (j-i <= 4 || colons > 0)
	case classes[next] == 0:
		return false
	case seen&digit != 0 || colons > 0:
		return true
	case seen&dot != 0 && isDigit(next) && (isHost(b[i:j]) || bytes.Count(b[i:j], []byte(".")) >= 2):
		return true // a port, a line of the source
	}
	// fe:80:..., a MAC or IPv6 address that starts with letters only
	return seen == hexa && j-i == 2 && j+3 < len(b) && classes[b[j+2]]&(digit|hexa) != 0 && b[j+3] == ':'
}

// url masks scheme://... up to a character that URLs are not written with.
func (s *scanner) url(b []byte, i, colon int) int {
	end := colon + 3
	for end < len(b) && b[end] > ' ' && b[end] != '"' && b[end] != '\'' && b[end] != '<' && b[end] != '>' &&
		b[end] != ')' && b[end] != ']' && b[end] != '}' && b[end] != '|' {
		end++
	}
	for end > colon+3 && (b[end-1] == '.' || b[end-1] == ',' || b[end-1] == ';' || b[end-1] == ':') {
		end--
	}
	s.mask(i, end, Path, math.NaN())
	return end
}

// stampAt masks a time that starts at b[i], whose word ends at end; zero if there is none.
func (s *scanner) stampAt(b []byte, i, end int, seen uint8) int {
	switch c := b[i]; {
	case c-'A' < 26 && end-i == 3 && end < len(b) && (b[end] == ' ' || b[end] == ','):
		if monthAt(b, i) == 0 && !weekdayAt(b, i) {
			return 0
		}
	case !isDigit(c) || end-i > 40:
		return 0
	case end-i <= 2 && end < len(b) && b[end] == ' ' && monthAt(b, end+1) > 0:
	case seen&(alpha|hexa|dash|slash) == 0 && end-i != 6 && end-i != 8 && b[min(i+4, len(b)-1)] != '.' && b[min(i+2, len(b)-1)] != ':':
		return 0
	}
	var t stamp
	stop := readStamp(b, i, false, &t)
	if stop < end || stop < len(b) && classes[b[stop]] != 0 {
		return 0
	}
	s.mask(i, stop, Time, math.NaN())
	return stop
}
