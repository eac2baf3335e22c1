package drain

import (
	"bytes"
	"math"
)

// classify says whether a word with the seen classes of bytes and so many
// colons inside is a value, and of which kind.
func classify(word []byte, seen uint8, colons int) (kind Kind, num float64, ok bool) {
	num = math.NaN()
	if len(word) > wordMax {
		if colons == 1 && isPlace(word) {
			kind = Host
		}
		return kind, num, true
	}
	if seen&digit == 0 {
		kind, ok = classifyName(word, seen, colons)
		return kind, num, ok
	}
	switch {
	case seen == digit && colons == 0 && len(word) <= 18:
		return Number, float64(integerOf(word)), true
	case seen&dot != 0 && isIPv4(word, seen):
		return IPv4, num, true
	case seen&(slash|at) == 0 && colons == 0 && isNumeric(word[0]):
		if v, isNum := readNum(word); isNum {
			return Number, v, true
		}
	}
	switch {
	case seen&slash != 0:
		if isPath(word) {
			return Path, num, true
		}
		return ID, num, true
	case colons >= 2 && isIPv6(word):
		return IPv6, num, true
	case seen&dash != 0 && isUUID(word):
		return UUID, num, true
	case isHex(word):
		return Hex, num, true
	case seen&dot != 0 && seen&under == 0 && isHost(word), colons == 1 && isPlace(word):
		return Host, num, true
	}
	return ID, num, true
}

func integerOf(digits []byte) (v uint64) {
	for _, c := range digits {
		v = v*10 + uint64(c-'0')
	}
	return v
}

// isNumeric says that a number may start with c; # and * stand before one.
func isNumeric(c byte) bool { return isDigit(c) || c == '-' || c == '+' || c == '#' || c == '*' }

// classifyName is classify for a word without digits.
func classifyName(word []byte, seen uint8, colons int) (Kind, bool) {
	switch {
	case seen&^(alpha|hexa) == 0 && colons == 0:
		return Word, false
	case seen&slash != 0 && isPath(word):
		return Path, true
	case seen&at != 0 && len(word) > 2 && word[0] != '@' && word[len(word)-1] != '@':
		return ID, true
	case colons >= 2 && isIPv6(word):
		return IPv6, true
	case seen&dot != 0 && seen&(under|slash) == 0 && isHost(word):
		return Host, true
	}
	return Word, false
}

// kindOf is the kind of a value that stands alone.
func kindOf(v []byte) (Kind, float64) {
	var seen uint8
	colons := 0
	for _, c := range v {
		k := classes[c]
		if k == 0 && c != ':' {
			return Word, math.NaN()
		}
		if c == ':' {
			colons++
		}
		seen |= k
	}
	kind, num, ok := classify(v, seen, colons)
	if !ok {
		return Word, math.NaN()
	}
	return kind, num
}

// readNum reads a number with an optional sign, fraction, exponent, percent
// sign or unit. Times become seconds and sizes bytes, so that 980ms and 1.1s
// compare; a number without a unit stays as it is.
func readNum(w []byte) (v float64, ok bool) {
	p := 0
	neg := false
	if w[0] == '#' || w[0] == '*' {
		if w = w[1:]; len(w) == 0 {
			return math.NaN(), false
		}
	}
	if w[0] == '-' || w[0] == '+' {
		neg = w[0] == '-'
		p = 1
	}
	start := p
	var mant uint64
	digits, frac := 0, 0
	for p < len(w) && isDigit(w[p]) {
		if digits < 18 {
			mant = mant*10 + uint64(w[p]-'0')
			digits++
		} else {
			frac--
		}
		p++
	}
	if p == start {
		return math.NaN(), false
	}
	if p+1 < len(w) && w[p] == '.' && isDigit(w[p+1]) {
		for p++; p < len(w) && isDigit(w[p]); p++ {
			if digits < 18 {
				mant = mant*10 + uint64(w[p]-'0')
				digits++
				frac++
			}
		}
	}
	v = float64(mant)
	if frac != 0 {
		v /= pow10(frac)
	}
	if p < len(w) {
		scale, ok := unitOf(w[p:])
		if !ok {
			if v, ok = readCompound(w[start:]); !ok {
				return math.NaN(), false
			}
		} else {
			v *= scale
		}
	}
	if neg {
		v = -v
	}
	return v, true
}

// powers are those of ten; a literal within the function would be copied at each call.
var powers = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18}

func pow10(n int) float64 {
	if n >= 0 && n < len(powers) {
		return powers[n]
	}
	return math.Pow10(n)
}

// readCompound reads Go's 1h2m3.5s.
func readCompound(w []byte) (secs float64, ok bool) {
	for len(w) > 0 {
		p := 0
		for p < len(w) && (isDigit(w[p]) || w[p] == '.') {
			p++
		}
		q := p
		for q < len(w) && !isDigit(w[q]) && w[q] != '.' {
			q++
		}
		if p == 0 || q == p || q-p > 2 || !isDigit(w[0]) {
			return 0, false
		}
		v, isNum := readNum(w[:p])
		var scale float64
		switch string(w[p:q]) {
		case "d":
			scale = 86400
		case "h":
			scale = 3600
		case "m":
			scale = 60
		case "s":
			scale = 1
		case "ms":
			scale = 1e-3
		}
		if !isNum || scale == 0 {
			return 0, false
		}
		secs += v * scale
		w = w[q:]
	}
	return secs, true
}

// unitOf is what a number written with the unit is multiplied by: times to seconds, sizes to bytes.
func unitOf(u []byte) (scale float64, ok bool) {
	if len(u) > 5 {
		return 0, false
	}
	if u[0] == 'e' || u[0] == 'E' {
		return exponentOf(u[1:])
	}
	switch string(u) {
	case "%", "x", "X", "L", "f", "px", "C", "V", "W", "A", "rpm", "Hz", "hz", "dB", "dBm", "mV", "mA", "mW", "sec", "secs", "s", "B", "b", "th", "st", "nd", "rd":
		return 1, true
	case "ns":
		return 1e-9, true
	case "us", "µs", "μs":
		return 1e-6, true
	case "ms", "msec":
		return 1e-3, true
	case "m", "min", "mins":
		return 60, true
	case "h", "hr", "hrs":
		return 3600, true
	case "d":
		return 86400, true
	case "K", "k", "KB", "kB", "kb", "KiB", "Ki", "Kbps", "kHz":
		return 1 << 10, true
	case "M", "MB", "Mb", "mb", "MiB", "Mi", "Mbps", "MHz":
		return 1 << 20, true
	case "G", "GB", "Gb", "gb", "GiB", "Gi", "g", "Gbps", "GHz":
		return 1 << 30, true
	case "PB":
		return 1 << 50, true
	case "T", "TB", "tb", "TiB", "Ti":
		return 1 << 40, true
	}
	return 0, false
}

func exponentOf(w []byte) (scale float64, ok bool) {
	sign := 1
	if len(w) > 0 && (w[0] == '-' || w[0] == '+') {
		if w[0] == '-' {
			sign = -1
		}
		w = w[1:]
	}
	n, end := readNumber(w, 0, 3)
	if end == 0 || end != len(w) || n > 290 {
		return 0, false // 18 digits more are still finite
	}
	return math.Pow10(sign * n), true
}

// isIPv4 accepts an address with or without a leading / (Java), a port and a prefix length.
func isIPv4(w []byte, seen uint8) bool {
	if seen&dot == 0 || seen&(alpha|hexa|at|under) != 0 {
		return false
	}
	p := 0
	if w[0] == '/' {
		p = 1
	}
	if p = addressEnd(w, p); p == 0 {
		return false
	}
	if p == len(w) {
		return true
	}
	if w[p] != ':' && w[p] != '/' {
		return false
	}
	_, end := readNumber(w, p+1, 5)
	return end == len(w)
}

// isIPv6 accepts an address of two colons and more, with a dotted end or not.
func isIPv6(w []byte) bool {
	colons, run, double := 0, 0, false
	for i, c := range w {
		switch {
		case c == ':':
			if i+1 < len(w) && w[i+1] == ':' {
				double = true
			}
			colons++
			run = 0
		case classes[c]&(digit|hexa) != 0:
			if run++; run > 4 {
				return false
			}
		case c == '.' && colons >= 2:
		case (c == '/' || c == '%') && colons >= 2 && i > 2:
			return true
		default:
			return false
		}
	}
	return colons <= 8 && (double || colons == 7)
}

func isUUID(w []byte) bool {
	if len(w) != 36 {
		return false
	}
	for i, c := range w {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if classes[c]&(digit|hexa) == 0 {
			return false
		}
	}
	return true
}

// isHex accepts 0x..., and 8 and more hexadecimal digits with a letter among them.
func isHex(w []byte) bool {
	if len(w) > 2 && w[0] == '0' && w[1]|0x20 == 'x' {
		w = w[2:]
	} else if len(w) < 8 {
		return false
	}
	for _, c := range w {
		if classes[c]&(digit|hexa) == 0 {
			return false
		}
	}
	return true
}

// isPath accepts /a, ./a, ../a, ~/a, C:\a, \\host\share, and names with two slashes and more.
func isPath(w []byte) bool {
	n := 0
	for _, c := range w {
		if classes[c]&slash != 0 {
			n++
		}
	}
	switch {
	case len(w) < 2:
		return false
	case w[0] == '/' || w[0] == '\\':
		return true
	case w[0] == '.' || w[0] == '~':
		return true
	case len(w) > 2 && w[1] == ':' && w[2] == '\\':
		return true
	}
	return n >= 2 || n == 1 && bytes.Count(w, []byte(".")) >= 2 // com.x/.y.Z
}

// isHost accepts dotted lower-case names that end like a domain, or whose
// labels hold digits or dashes; names of classes and files are none.
func isHost(w []byte) bool {
	dots, label, last := 0, 0, 0
	mixed := false
	for i, c := range w {
		switch {
		case c == '.':
			if label == 0 {
				return false
			}
			dots++
			label, last = 0, i+1
		case isDigit(c) || c == '-':
			mixed = true
			label++
		case c == ':':
			if _, end := readNumber(w, i+1, 5); end != len(w) || dots == 0 {
				return false
			}
			return isHost(w[:i])
		case c-'a' < 26 || c-'A' < 26:
			label++
		default:
			return false
		}
	}
	if dots == 0 || label < 2 {
		return false
	}
	tld := w[last:]
	for _, c := range tld {
		if c-'a' >= 26 {
			return false
		}
	}
	switch string(tld) {
	case "com", "net", "org", "edu", "gov", "mil", "int", "info", "biz", "local", "internal", "lan", "localdomain", "arpa", "cloud", "dev", "app", "test", "example", "corp", "svc":
		return true
	}
	if isFileSuffix(tld) {
		return false
	}
	return len(tld) == 2 || dots >= 2 && mixed && len(tld) <= 6
}

// isFileSuffix knows the suffixes of files that look like country domains.
func isFileSuffix(s []byte) bool {
	switch string(s) {
	case "go", "py", "js", "ts", "rs", "cc", "so", "sh", "md", "rb", "pl", "ko", "vb", "cs", "gz", "xz", "pm", "hs", "ml", "kt", "ui", "db", "in", "ac", "am", "ps", "ai", "mo", "po", "la", "ac3", "bz":
		return true
	}
	return false
}
