package drain

import "bytes"

const (
	// fieldsMax bounds the words of a header; the longest known (Thunderbird) has 12.
	fieldsMax = 18
	// headerMax bounds the bytes of a header that are looked at.
	headerMax = 1024
	// columnsSure is how many lines must have their time at one word before the
	// words before it are columns; a line without one takes two off.
	columnsSure = 8
	columnsFull = 20
	// nameMax bounds a component's name.
	nameMax = 128
)

// Parts of a header, in the order in which systems write them.
const (
	atStart = iota
	afterTime
	afterLevel
	afterComponent
)

// header reads what stands before a line's message. A fixed grammar knows
// times, levels, process[pid]: and component names; words between two of them
// (host, thread, pid) belong to the header because of what follows them.
// What only a stream can tell, its host names, is learned.
type header struct {
	stamp stamp
	timed bool
	level Level
	// scratch is for a time that is being read.
	scratch stamp
	// end is where the message starts.
	end int
	// forced is the number of words before the time of an access log; its message is the whole line.
	forced int
	// time0 and time1 are where the time of an access log stands.
	time0, time1 int

	b       []byte
	part    int
	count   int // words read
	syslog  bool
	rfc5424 bool
	hosted  bool   // syslog's host was read
	pending int    // words since end
	plain   int    // those among them that might be words of a message
	numbers int    // those among them that are numbers
	talk    bool   // a bracket of several words waits: a thread's name, or a value of the message
	host    uint64 // hash of the word that waits alone, behind the time; 0: there is none
	// hosts are the hashes of words seen between a time and process[pid]:.
	hosts [8]uint64
	hostN int
	// timeAt counts the lines with a time at the second, third, ... word.
	timeAt [8]int

	old      outlines
	mark     waypoint // of the header being read
	times    int      // read so far
	first    int      // where the first of them starts
	hostRead bool
	guessed  bool // its outlines were asked
}

// read finds the header of b.
func (h *header) read(b []byte, l *layout) {
	h.stamp, h.timed, h.level, h.end, h.forced, h.time1 = stamp{}, false, NoLevel, 0, 0, 0
	h.b = b[:min(len(b), headerMax)]
	h.part, h.count, h.syslog, h.rfc5424, h.talk, h.hosted = atStart, 0, false, false, false, false
	h.pending, h.plain, h.numbers, h.host = 0, 0, 0, 0
	if l.text != "" {
		from := h.priority()
		if end := l.find(h.b, &h.stamp); end > 0 {
			h.timed = true
			h.accept(end, afterTime)
			from = end
		}
		h.fields(from, 0)
	} else if h.access() {
		return
	} else if !h.recall() {
		h.mark, h.times, h.first, h.hostRead = waypoint{}, 0, -1, false
		h.fields(h.priority(), 0)
		if h.guessed && h.mark.end > 0 {
			h.old.trial.note(false)
		}
		h.remember()
	} else if h.part < afterComponent && !h.endsBefore(h.end) {
		h.fields(h.end, h.count)
		h.remember() // if there was more
	}
	if !h.timed && h.part == atStart && h.forced == 0 {
		h.columns()
	}
	if h.part == afterComponent {
		h.inner()
	}
	h.end = h.skipSeparators(h.end)
	if h.end >= len(h.b) {
		h.end = min(h.end, len(b))
	}
}

// columns takes a time behind columns of words, which only the stream can tell
// from words of a message: most lines have it at the same word, and start with
// a number or an identifier.
func (h *header) columns() {
	b := h.b
	i := skipSpaces(b, 0)
	var t stamp
	for n := 0; n < len(h.timeAt) && i < len(b); n++ {
		end, seen := wordEnd(b, i)
		if n == 0 && seen&digitSign == 0 {
			break
		}
		if n > 0 && isDigit(b[i]) {
			if stop := readStamp(b, i, true, &t); stop > 0 && (stop == len(b) || isSpace(b[stop])) && (t.epoch || t.clock) {
				if h.timeAt[n] = min(h.timeAt[n]+1, columnsFull); h.timeAt[n] >= columnsSure {
					h.take(&t)
					h.accept(stop, afterTime)
					h.fields(stop, 0)
				}
				return
			}
		}
		i = skipSpaces(b, max(end, i+1))
	}
	for n := range h.timeAt {
		h.timeAt[n] = max(h.timeAt[n]-2, 0)
	}
}

// priority reads syslog's <34> or <34>1.
func (h *header) priority() int {
	i := skipSpaces(h.b, 0)
	if i+3 >= len(h.b) || h.b[i] != '<' {
		return i
	}
	v, end := readNumber(h.b, i+1, 3)
	if end == i+1 || end >= len(h.b) || h.b[end] != '>' || v > 191 {
		return i
	}
	h.level = levelOfNumber(v & 7)
	h.end = end + 1
	if h.end+1 < len(h.b) && h.b[h.end] == '1' && h.b[h.end+1] == ' ' {
		h.end++
		h.rfc5424 = true
	}
	return h.end
}

// fields reads the fields from i on, of which n were read before.
func (h *header) fields(i, n int) {
	for ; n < fieldsMax; n++ {
		i = skipSpaces(h.b, i)
		if i >= len(h.b) || h.b[i] == '{' {
			return
		}
		h.count = n
		next, ok := h.field(i)
		h.settled(next, n+1)
		if !ok {
			return
		}
		i = next
	}
}

// field takes the field at i and returns its end, or false where the header ends.
func (h *header) field(i int) (end int, ok bool) {
	b := h.b
	if !isAlpha(b[i]) || h.part <= afterTime || !h.timed { // else it can only be a word
		if end = h.separator(i); end > 0 {
			return end, true
		}
		if end = h.time(i); end > 0 {
			if h.rfc5424 && h.part == afterTime {
				return h.structured(end), false
			}
			return end, h.forced == 0
		}
		if b[i] == '[' || b[i] == '(' && h.part > atStart {
			return h.group(i)
		}
	}
	end, seen := wordEnd(b, i)
	if isAlpha(b[i]) && h.part <= afterTime {
		if stop, ok := h.levelWord(i, end); ok {
			return stop, true
		}
	}
	if h.part > atStart && seen&otherSign == 0 && h.component(i, end, seen) {
		return end, h.part != afterComponent
	}
	return end, h.word(i, end, seen)
}

// What a word of a header is written with.
const (
	digitSign = 1 << iota
	letterSign
	dotSign
	bracketSign
	nameSign  // other signs of names
	otherSign // of no name
)

// wordEnd ends a word at a space or at | and says what it is written with.
func wordEnd(b []byte, i int) (end int, seen uint8) {
	for ; i < len(b); i++ {
		k := signs[b[i]]
		if k == 0 {
			break
		}
		seen |= k
	}
	return i, seen
}

var signs = signTable()

func signTable() (t [256]uint8) {
	for c := range t {
		b := byte(c)
		switch {
		case isSpace(b) || b == '|':
		case isDigit(b):
			t[c] = digitSign
		case isAlpha(b):
			t[c] = letterSign
		default:
			t[c] = otherSign
		}
	}
	t['.'], t['['], t[']'] = dotSign, bracketSign, bracketSign
	for _, b := range []byte("_-$/()#@%:") {
		t[b] = nameSign
	}
	return t
}

// separator takes -, --, --- and | between fields.
func (h *header) separator(i int) int {
	b, p := h.b, i
	for p < len(b) && (b[p] == '-' || b[p] == '|') {
		p++
	}
	if p == i || p > i+3 || p < len(b) && !isSpace(b[p]) && b[p-1] != '|' {
		return 0
	}
	if b[p-1] == '|' && h.part > atStart && h.plain <= 3 {
		h.accept(p, h.part) // columns
	}
	return p
}

// accept says that all before end belongs to the header.
func (h *header) accept(end, part int) {
	h.end, h.part = end, part
	h.pending, h.plain, h.numbers, h.talk, h.host = 0, 0, 0, false, 0
}

func (h *header) time(i int) int {
	b, p := h.b, i
	if h.part > afterTime && (h.timed || h.part == afterComponent) {
		return 0
	}
	bracket := b[i] == '[' || b[i] == '('
	if bracket {
		p = skipSpaces(b, i+1)
		if p >= len(b) {
			return 0
		}
	}
	if !isDigit(b[p]) && b[p]-'A' >= 26 {
		return 0
	}
	t := &h.scratch
	end := readStamp(b, p, true, t)
	if end == 0 || !t.clock && !t.epoch && t.month == 0 || t.epoch && h.timed && h.pending > 0 {
		return 0 // behind a time and a word, a number is one of the message
	}
	if bracket && end < len(b) && b[end] != b[i]+1+(b[i]>>6&1) {
		return h.timeBracket(i, end, t)
	}
	if end < len(b) && !isSpace(b[end]) {
		switch b[end] {
		case ']', ')', ',', ';', '|', ':', '"':
			end++
		default:
			return 0
		}
	}
	if h.part == atStart && h.count >= 3 && h.count <= 4 && bracket && t.year > 0 && end+1 < len(b) && b[end] == ' ' && b[end+1] == '"' {
		h.forced = h.count
		h.take(t)
		h.end, h.time0, h.time1 = 0, p, end-1
		return end
	}
	h.syslog = t.isSyslog(b[p])
	h.take(t)
	if h.times == 1 {
		h.first = p
	}
	h.accept(end, max(h.part, afterTime))
	if t.level != NoLevel {
		h.level = t.level
		h.part = afterLevel
	}
	return end
}

// timeBracket takes a bracket that holds more than its time: Celery's
// [time: INFO/Main] and Ruby's [time #pid].
func (h *header) timeBracket(i, end int, t *stamp) int {
	b := h.b
	n := bytes.IndexByte(b[end:min(len(b), end+64)], b[i]+1+(b[i]>>6&1))
	if n < 0 {
		return 0
	}
	rest := b[end : end+n]
	h.take(t)
	h.accept(end+n+1, afterTime)
	for len(rest) > 0 {
		p := 0
		for p < len(rest) && isAlpha(rest[p]) {
			p++
		}
		if level := levelOf(rest[:p]); level != NoLevel {
			h.level, h.part = level, afterLevel
			break
		}
		rest = rest[max(p, 1):]
	}
	return h.end
}

// structured skips RFC 5424's host, program, process, message id and data.
func (h *header) structured(i int) int {
	b := h.b
	for range 4 {
		i = skipSpaces(b, i)
		for i < len(b) && !isSpace(b[i]) {
			i++
		}
	}
	i = skipSpaces(b, i)
	if i < len(b) && b[i] == '-' {
		i++
	}
	for i < len(b) && b[i] == '[' {
		n := bytes.IndexByte(b[i:], ']')
		if n < 0 {
			break
		}
		i += n + 1
	}
	h.accept(i, afterComponent)
	return i
}

// take keeps the time that says most.
func (h *header) take(t *stamp) {
	h.times++
	if !h.timed || t.rank() > h.stamp.rank() {
		h.stamp, h.timed = *t, true
	}
}

func (t *stamp) rank() int {
	r := 0
	if t.epoch {
		r += 3
	}
	if t.year > 0 {
		r += 2
	}
	if t.clock && t.month > 0 {
		r += 2
	}
	if t.nanos > 0 {
		r++
	}
	return r
}

// levelWord takes a level: INFO, Info, ERROR:, level=info, and logcat's single letters.
func (h *header) levelWord(i, end int) (int, bool) {
	b := h.b
	if h.part > afterTime {
		return 0, false
	}
	stop := i
	for stop < end && isAlpha(b[stop]) {
		stop++
	}
	word := b[i:stop]
	if h.part == atStart && h.pending == 0 && stop+1 < end && b[stop] == ':' && isShout(word) {
		return h.pythonLevel(word, stop+1)
	}
	if stop < end && b[stop] != ':' && b[stop] != ',' && b[stop] != ']' && b[stop] != ';' || end > stop+1 {
		return 0, false
	}
	if len(word) == 1 && h.part == afterTime && h.numbers > 0 && h.numbers == h.pending {
		if level := levelOfLetter(word[0]); level != NoLevel {
			h.level = level
			h.accept(end, afterLevel)
			return end, true
		}
	}
	level := levelOf(word)
	if level == NoLevel {
		return 0, false
	}
	shout := isShout(word)
	switch {
	case h.part == atStart:
		if h.pending > 0 || !shout && stop == end {
			return 0, false
		}
		if stop == end && end < len(b) && !shout {
			return 0, false
		}
	case !shout && h.pending > 0 && word[0]-'A' >= 26:
		return 0, false
	case h.plain > 2:
		return 0, false
	}
	if h.level == NoLevel || h.part == afterTime {
		h.level = level
	}
	h.accept(end, afterLevel)
	return end, true
}

// pythonLevel takes Python's WARNING:name:
func (h *header) pythonLevel(word []byte, i int) (end int, ok bool) {
	for end = i; end < len(h.b) && (isAlnum(h.b[end]) || h.b[end] == '.' || h.b[end] == '_'); end++ {
	}
	level := levelOf(word)
	if level == NoLevel || end == i || end >= len(h.b) || h.b[end] != ':' {
		return 0, false
	}
	h.level = level
	h.accept(end+1, afterComponent)
	return end + 1, true
}

// word lets a word wait for a time, level or component that makes it part of the header.
func (h *header) word(i, end int, seen uint8) bool {
	word := h.b[i:end]
	if len(word) == 0 {
		return false
	}
	h.pending++
	if h.syslog && h.part == afterTime && h.pending == 1 && !h.hosted {
		h.hosted = true
		// A host always follows syslog's time.
		h.host = hashOf(word)
		h.end = end
		return true
	}
	if h.part == afterTime && h.pending == 1 {
		h.host = hashOf(word)
	}
	switch {
	case seen == digitSign:
		h.numbers++
	case h.part == afterTime && (string(word) == "stdout" || string(word) == "stderr") && end+2 < len(h.b) && h.b[end] == ' ' && (h.b[end+1] == 'F' || h.b[end+1] == 'P'):
		h.accept(end+2, afterComponent) // CRI
		return false
	case isShout(word):
	case h.part == atStart && seen&(digitSign|dotSign|nameSign) != 0:
	default:
		h.plain++
	}
	limit := 1
	if h.part == afterTime {
		limit = 2
	}
	return h.plain <= limit && h.pending <= 8 && h.part < afterComponent
}

// inner reads a second header behind the first: what CRI, syslog and kubectl wrap.
func (h *header) inner() {
	i := skipSpaces(h.b, h.end)
	if i >= len(h.b) || h.b[i] == '{' {
		return
	}
	outer, level := h.stamp, h.level
	h.part, h.pending, h.plain, h.numbers, h.syslog = atStart, 0, 0, 0, false
	from := h.end
	if end := h.uptime(i); end > 0 {
		h.end = end
		return
	}
	if h.time(i) == 0 {
		stop, _ := wordEnd(h.b, i)
		if h.b[i] == '[' {
			if end, ok := h.group(i); !ok || h.part != afterLevel {
				_ = end
				h.end = from
			}
		} else if _, ok := h.levelWord(i, stop); !ok {
			h.end = from
		}
		return
	}
	h.fields(h.end, 0)
	h.stamp = outer
	if h.level == NoLevel {
		h.level = level
	}
}

// uptime takes the kernel's [   12.345678].
func (h *header) uptime(i int) int {
	if h.b[i] != '[' {
		return 0
	}
	p := skipSpaces(h.b, i+1)
	n := digitsAt(h.b, p)
	if n == 0 || p+n >= len(h.b) || h.b[p+n] != '.' {
		return 0
	}
	q := p + n + 1
	q += digitsAt(h.b, q)
	if q >= len(h.b) || h.b[q] != ']' {
		return 0
	}
	return q + 1
}

// skipSeparators skips what stands between header and message.
func (h *header) skipSeparators(i int) int {
	if i == 0 {
		return 0
	}
	for {
		i = skipSpaces(h.b, i)
		n := 0
		for i+n < len(h.b) && n < 3 && (h.b[i+n] == '-' || h.b[i+n] == '|' || h.b[i+n] == ':' || h.b[i+n] == ',') {
			n++
		}
		if n == 0 || i+n < len(h.b) && !isSpace(h.b[i+n]) && h.b[i+n-1] != '|' {
			return i
		}
		i += n
	}
}
