package drain

import "math"

// literal masks the words that programs print for truth, wherever they stand,
// and for nothing where something else could stand; it takes a size that is
// said again, too. Zero: the word at b[i:end] is none of these.
func (s *scanner) literal(b []byte, i, end int) int {
	switch b[i] | 0x20 {
	case 'b':
		if string(b[i:end]) == byteWord {
			if stop := restated(b, end); stop > 0 {
				s.flush(end)
				s.copied = stop
				return stop
			}
		}
		return 0
	case 't', 'f':
		if !isTruth(b[i:end]) {
			return 0
		}
	case 'n':
		if i == s.start || !isNothing(b[i:end]) || !opensValue(b[i-1]) {
			return 0
		}
	default:
		return 0
	}
	s.mask(i, end, Word, math.NaN())
	return end
}

func isTruth(w []byte) bool {
	switch string(w) {
	case "true", "false", "True", "False", "TRUE", "FALSE":
		return true
	}
	return false
}

func isNothing(w []byte) bool {
	switch string(w) {
	case "null", "NULL", "nil", "None", "NaN":
		return true
	}
	return false
}

// opensValue says that a value may start behind c.
func opensValue(c byte) bool {
	switch c {
	case ':', '=', '(', '[', '{', ',', '|':
		return true
	}
	return false
}

// isPlain says that the value of a key is a word that may tell one event from another.
func isPlain(w []byte) bool {
	if len(w) > wordMax || isTruth(w) || isNothing(w) {
		return false
	}
	var seen uint8
	for _, c := range w {
		seen |= classes[c]
	}
	// mask=ffffffff is a number.
	return seen == hexa && len(w) < 8 || seen&alpha != 0 && seen&^(alpha|hexa) == 0
}

const byteWord = "bytes"

// restated is the end of (1.2 KB) behind "1234 bytes", zero if there is none:
// the same size in other words, which small sizes go without.
func restated(b []byte, i int) int {
	if i+4 >= len(b) || b[i] != ' ' || b[i+1] != '(' || !isDigit(b[i+2]) {
		return 0
	}
	end := i + 2
	for end < len(b) && (isDigit(b[end]) || b[end] == '.' || b[end] == ',') {
		end++
	}
	if end < len(b) && b[end] == ' ' {
		end++
	}
	unit := end
	for end < len(b) && isAlpha(b[end]) {
		end++
	}
	if end == unit || end == len(b) || b[end] != ')' {
		return 0
	}
	if scale, ok := unitOf(b[unit:end]); !ok || scale < 1 {
		return 0
	}
	return end + 1
}

// below leaves the sign out of <1ms, a value below what could be measured.
func (s *scanner) below(b []byte, i int) int {
	end := i + 1
	for end < len(b) && (isDigit(b[end]) || b[end] == '.') {
		end++
	}
	if end == i+1 || end < len(b) && b[end] == '>' {
		return i + 1
	}
	s.flush(i)
	s.copied = i + 1
	return i + 1
}

// isPlace accepts a dotted name with a number behind a colon: a host and its port, a method and its line.
func isPlace(w []byte) bool {
	end := len(w)
	for end > 0 && isDigit(w[end-1]) {
		end--
	}
	if end < 2 || end == len(w) || w[end-1] != ':' {
		return false
	}
	for _, c := range w[:end-1] {
		if classes[c]&(slash|at) != 0 {
			return false
		}
	}
	return true
}
