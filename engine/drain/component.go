package drain

import "bytes"

// group takes [thread], [pid], [level], [uptime] and (pid).
func (h *header) group(i int) (end int, ok bool) {
	b := h.b
	end = closingBracket(b[:min(len(b), i+groupMax)], i)
	if end <= i+1 {
		return 0, false
	}
	inner := bytes.TrimSpace(b[i+1 : end])
	end++
	if end < len(b) && b[end] == ':' {
		end++
	}
	if end < len(b) && !isSpace(b[end]) && b[end] != '[' && b[end] != '|' {
		return 0, false
	}
	name := inner
	if colon := bytes.LastIndexByte(inner, ':'); colon >= 0 {
		name = inner[colon+1:] // Apache's [core:error]
	}
	level := levelOf(name)
	if len(name) == 1 && level == NoLevel {
		level = levelOfLetter(name[0])
	}
	if level != NoLevel && h.part <= afterTime {
		h.level = level
		h.accept(end, afterLevel)
		return end, true
	}
	if h.part == atStart {
		h.pending++
		return end, true
	}
	if len(inner) == 0 || isThread(inner) {
		h.accept(end, h.part)
		return end, true
	}
	h.pending++
	h.plain++
	h.talk = true
	return end, true
}

// groupMax bounds a bracket of a header.
const groupMax = 256

// closingBracket is the index of the bracket that closes the one at i, -1 if there is none.
func closingBracket(b []byte, i int) int {
	open, shut := b[i:i+1], byte(']')
	if b[i] == '(' {
		shut = ')'
	}
	for p, depth := i+1, 1; ; {
		n := bytes.IndexByte(b[p:], shut)
		if n < 0 {
			return -1
		}
		if depth += bytes.Count(b[p:p+n], open) - 1; depth == 0 {
			return p + n
		}
		p += n + 1
	}
}

// isThread says that a bracket holds a name or number of the logger's making
// and not a value of the message: one word that is no address, or a request id
// with what belongs to it.
func isThread(inner []byte) bool {
	space := bytes.IndexByte(inner, ' ')
	word := inner
	if space >= 0 {
		word = inner[:space]
		if string(word) == "pid" || string(word) == "tid" || string(word) == "thread" {
			return true
		}
		if !bytes.ContainsAny(word, "0123456789") || bytes.IndexByte(word, '-') < 0 {
			return false
		}
	}
	if bytes.IndexByte(word, '=') >= 0 && bytes.IndexByte(word, '[') < 0 {
		return false
	}
	kind, _ := kindOf(word)
	return kind != IPv4 && kind != IPv6 && kind != Path
}

// component takes process[pid]:, dotted.Name:, and names that a separator or a bracket follows.
func (h *header) component(i, end int, seen uint8) bool {
	b := h.b
	if end == i || end-i > nameMax {
		return false
	}
	word := b[i:end]
	last := word[len(word)-1]
	switch {
	case last == ':' && len(word) > 1:
		return h.named(word[:len(word)-1], end)
	case last == ']' && h.part == afterLevel && bytes.IndexByte(word, '[') < 0 && bytes.IndexByte(word, ':') > 0:
		h.accept(end, afterComponent) // glog's file.go:12]
		return true
	case last == ']' && h.part == afterTime && bytes.IndexByte(word, '[') > 0 && h.plain <= 1 && end < len(b):
		if isDigit(word[len(word)-2]) && h.pending <= 1 {
			// process[pid] without a colon, (name): behind it
			h.accept(end, h.part)
			h.plain = 2
			return true
		}
	}
	p := skipSpaces(b, end)
	dotted := seen&dotSign != 0
	if h.part == afterTime && h.pending == 0 && dotted && seen&letterSign != 0 && last != '.' {
		// time program.exe - message; a mark such as *32 may follow the name
		stop := end
		if p < len(b) && !isAlpha(b[p]) && b[p] != '-' {
			stop, _ = wordEnd(b, p)
		}
		if at := skipSpaces(b, stop); stop-p <= 8 && at > stop && at+1 < len(b) && b[at] == '-' && isSpace(b[at+1]) {
			h.accept(at+1, afterComponent)
			return true
		}
	}
	if p >= len(b) || h.part != afterLevel {
		return false
	}
	follows := b[p] == ':' && p+1 < len(b) && isSpace(b[p+1]) || b[p] == '-' && p+1 < len(b) && isSpace(b[p+1])
	columns := i >= 2 && isSpace(b[i-2]) && p >= end+2
	if follows || columns || dotted && b[p] == '[' {
		h.accept(end, h.part)
		if b[p] == ':' {
			h.accept(p+1, afterComponent)
		}
		return true
	}
	return false
}

// named takes name: where it is a component of the header.
func (h *header) named(name []byte, end int) bool {
	pid := name[len(name)-1] == ']'
	h.hostRead = h.hostRead || h.part == afterTime && h.pending == 1
	switch {
	case isNumber(name):
		if h.part < afterLevel {
			return false
		}
	case h.part == afterTime && h.syslog && h.pending <= 1, h.part == afterTime && pid && h.pending <= 1:
		if h.pending == 1 {
			h.learnHost()
		}
	case h.part == afterTime && h.pending == 1 && h.knowsHost():
	case h.plain > 1 || h.talk && bytes.IndexByte(name, '.') < 0:
		return false
	case !looksComponent(name):
		return false
	}
	if dot := bytes.LastIndexByte(name, '.'); h.level == NoLevel && dot > 0 {
		h.level = levelOf(name[dot+1:]) // Laravel's production.ERROR:
	}
	h.accept(end, afterComponent)
	return true
}

func (h *header) learnHost() {
	if h.host != 0 && !h.knowsHost() {
		h.hosts[h.hostN%len(h.hosts)] = h.host
		h.hostN++
		h.old.all = h.old.all[:0] // they were read without this one
	}
}

func (h *header) knowsHost() bool {
	for _, host := range h.hosts {
		if host == h.host && host != 0 {
			return true
		}
	}
	return false
}

// looksComponent tells names that programs give to their parts from words before a colon.
func looksComponent(name []byte) bool {
	upper := false
	for i, c := range name {
		switch {
		case c == '.' || c == '$' || c == '[' || c == '/' || c == '_' || c == '#':
			return i > 0
		case c-'A' < 26:
			if i > 0 && !upper {
				return true
			}
			upper = true
		default:
			upper = false
		}
	}
	return false
}

func isNumber(w []byte) bool {
	for _, c := range w {
		if !isDigit(c) && c != '#' {
			return false
		}
	}
	return len(w) > 0
}
