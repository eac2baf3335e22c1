package drain

import "bytes"

const (
	// outlinesMax bounds the remembered headers: one for each component, level and width of a column.
	outlinesMax = 16
	// outlineMax bounds the bytes of one, numbersMax the numbers that vary in it.
	outlineMax, numbersMax = 120, 4
	// A header costs outlineEvery lines to remember after the first outlineCredit.
	outlineCredit, outlineEvery = 64, 64
)

// outline is a header that was read before. A line whose header differs from it
// in its time and in numbers only, such as process ids, has the same parts in
// the same places, so it is compared and not read. Reading would find the same:
// numbers vary only where no rule of the grammar looks at them.
type outline struct {
	before []byte // what stands before the time
	text   []byte // what stands behind it, without the numbers
	cuts   [numbersMax]cut
	cutN   int
	behind int     // how many bytes of text lie behind the header: spaces
	next   [2]byte // what follows them
	mark   waypoint
}

// cut is where a number stands in an outline's text.
type cut struct {
	at     uint8
	column bool // a word of its own, in which 6 and 8 digits may be a date
}

// waypoint is the state of a header at a place up to which it is settled.
type waypoint struct {
	end, count, part, plain int
	level, glog             Level
	syslog, hosted          bool
	// hostRead says that the first word behind the time was taken for a host.
	hostRead bool
}

// outlines are the headers read before, those used most first, but none behind
// one that is its beginning.
type outlines struct {
	all    []outline
	credit int
	trial  trial
}

// recall takes the header from an outline.
func (h *header) recall() bool {
	b := h.b
	if h.guessed = h.old.trial.on(); !h.guessed || len(b) == 0 || b[0] == '<' {
		return false
	}
	t, end, before := &h.scratch, 0, -1
	for n := range h.old.all {
		o := &h.old.all[n]
		at := len(o.before)
		if at > 0 && !bytes.HasPrefix(b, o.before) {
			continue
		}
		if at != before {
			before, end = at, h.timeAtStart(at, t)
		}
		if end == 0 || t.level != o.mark.glog || o.mark.syslog != t.isSyslog(b[at]) {
			continue
		}
		stop := o.match(b, end)
		if stop == 0 {
			continue
		}
		h.stamp, h.timed = *t, true
		h.level, h.part, h.count, h.syslog, h.hosted, h.plain = o.mark.level, o.mark.part, o.mark.count, o.mark.syslog, o.mark.hosted, o.mark.plain
		h.end = stop
		h.times, h.first, h.hostRead, h.mark = 1, at, o.mark.hostRead, waypoint{}
		if n > 0 && !bytes.HasPrefix(h.old.all[n-1].text, o.text) {
			h.old.all[n], h.old.all[n-1] = h.old.all[n-1], h.old.all[n]
		}
		h.old.trial.note(true)
		return true
	}
	return false
}

// timeAtStart reads the time at b[at:], as time does.
func (h *header) timeAtStart(at int, t *stamp) int {
	b := h.b
	if at >= len(b) || !isDigit(b[at]) && b[at]-'A' >= 26 {
		return 0
	}
	end := readStamp(b, at, true, t)
	if end == 0 || end >= len(b) || !t.clock && !t.epoch && t.month == 0 {
		return 0
	}
	return end
}

// isSyslog says that the time, which starts with c, is written as syslog does.
func (t *stamp) isSyslog(c byte) bool {
	return t.month > 0 && t.year == 0 && t.level == NoLevel && isAlpha(c)
}

// match compares what follows the time, which ends at b[i], and returns the end of the header; 0 if it differs.
func (o *outline) match(b []byte, i int) int {
	from := 0
	for k := range o.cutN {
		c := &o.cuts[k]
		n := int(c.at) - from
		if len(b)-i < n || string(b[i:i+n]) != string(o.text[from:c.at]) {
			return 0
		}
		i, from = i+n, int(c.at)
		digits := digitsAt(b, i)
		if digits == 0 || digits > 9 || c.column && (digits == 6 || digits == 8) {
			return 0
		}
		i += digits
	}
	n := len(o.text) - from
	if len(b)-i < n+2 || string(b[i:i+n]) != string(o.text[from:]) || !alike(b[i+n:i+n+2], o.next) {
		return 0
	}
	return i + n - o.behind
}

// alike says that what follows a header means the same to the words before it.
func alike(b []byte, next [2]byte) bool {
	switch c := b[0]; {
	case isAlpha(c):
		return isAlpha(next[0])
	case isDigit(c):
		return isDigit(next[0])
	default:
		return c == next[0] && b[1] == next[1]
	}
}

// settled notes the state if all up to end belongs to the header.
func (h *header) settled(end, count int) {
	if h.pending == 0 && h.end == end && h.times == 1 && h.forced == 0 && !h.rfc5424 {
		h.mark = waypoint{end, count, h.part, h.plain, h.level, h.stamp.level, h.syslog, h.hosted, h.hostRead}
	}
}

// remember makes an outline of the header that was read, as far as it is settled.
func (h *header) remember() {
	if !h.guessed {
		return
	}
	if h.old.credit < outlineCredit*outlineEvery {
		h.old.credit++ // saved up
	}
	if h.mark.end == 0 || h.old.credit < outlineEvery {
		return
	}
	h.old.credit -= outlineEvery
	if len(h.old.all) < outlinesMax {
		h.old.all = grow(h.old.all)
	}
	n := len(h.old.all) - 1
	if !h.old.all[n].make(h) {
		h.old.all = h.old.all[:n]
		return
	}
	for k := range n {
		if bytes.HasPrefix(h.old.all[n].text, h.old.all[k].text) {
			o := h.old.all[n]
			copy(h.old.all[k+1:], h.old.all[k:n])
			h.old.all[k] = o
			break
		}
	}
}

// make fills the outline from the header that was read; false if it may not be one.
func (o *outline) make(h *header) bool {
	b, end := h.b, h.mark.end
	at := skipSpaces(b, 0)
	if at < len(b) && (b[at] == '[' || b[at] == '(') {
		at = skipSpaces(b, at+1)
	}
	stop := skipSpaces(b, end)
	start := h.timeAtStart(at, &h.scratch)
	if b[0] == '<' || at != h.first || start == 0 || start > end || stop+2 > len(b) || stop > outlineMax {
		return false
	}
	if at > 0 && !isSpace(b[at-1]) && b[start] != b[at-1]+1+(b[at-1]>>6&1) {
		return false // a bracket that holds more than the time
	}
	o.before, o.text, o.cutN = append(o.before[:0], b[:at]...), o.text[:0], 0
	o.behind, o.next, o.mark = stop-end, [2]byte(b[stop:stop+2]), h.mark
	for i := start; i < stop; {
		if monthAt(b, i) > 0 || weekdayAt(b, i) {
			return false
		}
		n := digitsAt(b, i)
		if n == 0 {
			o.text = append(o.text, b[i])
			i++
			continue
		}
		if column, ok := mayVary(b, start, i, n); ok && o.cutN < numbersMax && !(h.mark.hostRead && bytes.IndexByte(bytes.TrimLeft(b[start:i], " "), ' ') < 0) {
			o.cuts[o.cutN] = cut{uint8(len(o.text)), column}
			o.cutN++
		} else {
			o.text = append(o.text, b[i:i+n]...)
		}
		i += n
	}
	return true
}

// mayVary says that no rule looks at the value or length of the n digits at
// b[i]: they are a word, all that a bracket holds or its end behind a dash or
// colon.
func mayVary(b []byte, start, i, n int) (column, ok bool) {
	if n > 9 || i <= start || i+n >= len(b) {
		return false, false
	}
	switch last, next := b[i-1], b[i+n]; {
	case last == ' ' && next == ' ':
		return true, n != 6 && n != 8
	case next != ']':
		return false, false
	case last == '[':
		return false, true
	case last == ':':
		for i--; i > start && !isSpace(b[i-1]); i-- {
			if b[i-1] == '[' {
				return false, false
			}
		}
		return false, true
	case last == '-':
		for i--; i > start && (isAlnum(b[i-1]) || b[i-1] == '-' || b[i-1] == '_'); i-- {
		}
		return false, i > start && b[i-1] == '[' && isAlpha(b[i])
	}
	return false, false
}
