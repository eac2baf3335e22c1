package detect

// A request's text is looked at decoded and folded: what an attacker may write
// in a dozen ways is one way here.

// decode appends src with its escapes taken back, %xx twice, as servers behind
// servers do, and folded: letters lower, digits 0, control characters 1 and
// bytes beyond ASCII 2. plus says that + stands for a space, as it does in queries.
func decode(dst, src []byte, plus bool) []byte {
	src = src[:min(len(src), urlMax)]
	start := len(dst)
	dst = unescape(dst, src, plus)
	once := dst[start:]
	for _, c := range once {
		if c == '%' || c == '\\' {
			dst = dst[:start+len(unescape(once[:0], once, false))]
			break
		}
	}
	for i := start; i < len(dst); i++ {
		switch c := dst[i]; {
		case c >= 'A' && c <= 'Z':
			dst[i] = c + 'a' - 'A'
		case c >= '0' && c <= '9':
			dst[i] = '0'
		case c < ' ' || c == 0x7F:
			dst[i] = 1
		case c > '~':
			dst[i] = 2
		}
	}
	return dst
}

// unescape takes back %xx and %uxxxx, and \xhh, \uhhhh and \" as servers write
// them into logs. It may work in place: it never writes ahead of what it reads.
func unescape(dst, src []byte, plus bool) []byte {
	for i := 0; i < len(src); i++ {
		c := src[i]
		switch {
		case c == '+' && plus:
			c = ' '
		case c == '%' || c == '\\':
			if n, v := escape(src[i:]); n > 0 {
				c = v
				i += n - 1
			}
		}
		dst = append(dst, c)
	}
	return dst
}

// escape reads the escape that b begins with and returns its length, 0 where
// there is none. A character beyond one byte becomes 0xFF.
func escape(b []byte) (n int, c byte) {
	digits, at := 2, 1
	if len(b) < 2 {
		return 0, 0
	}
	switch b[1] {
	case 'u', 'U':
		digits, at = 4, 2
	case 'x', 'X':
		if b[0] == '%' {
			return 0, 0
		}
		at = 2
	case '"', '\\':
		if b[0] == '%' {
			return 0, 0
		}
		return 2, b[1]
	default:
		if b[0] != '%' {
			return 0, 0
		}
	}
	if len(b) < at+digits {
		return 0, 0
	}
	v := 0
	for _, d := range b[at : at+digits] {
		h := hexOf(d)
		if h < 0 {
			return 0, 0
		}
		v = v<<4 | h
	}
	return at + digits, byte(min(v, 0xFF))
}

func hexOf(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// Keys of counts are mixed from a context and a symbol in it.
const (
	mixA = 0x9E3779B97F4A7C15
	mixB = 0xD6E8FEB86659FD93
)

func mix(a, b uint64) uint64 {
	h := (a ^ b*mixA) * mixB
	h ^= h >> 32
	return h * mixA
}

// symbolOf hashes folded text. A run of digits is one symbol whatever its
// length, and a long word of hexadecimal digits is any identifier.
func symbolOf(text []byte) uint64 {
	h := uint64(mixA)
	hex, digits := len(text) >= 8, 0
	last := byte(0)
	for _, c := range text {
		if c == '0' {
			digits++
		}
		hex = hex && (c == '0' || c == '-' || c >= 'a' && c <= 'f')
		if c != '0' || last != '0' {
			h = (h ^ uint64(c)) * mixA
			h ^= h >> 29
		}
		last = c
	}
	if hex && digits >= 2 {
		return mixB
	}
	return h * mixB
}

// shapeOf hashes what kinds of characters follow each other in folded text:
// runs of letters and of digits count once, up to shapeMax kinds.
func shapeOf(text []byte) uint64 {
	h, last, n := uint64(mixA), byte(0), 0
	for _, c := range text {
		if c >= 'a' && c <= 'z' {
			c = 'a'
		}
		if c == last {
			continue
		}
		last = c
		h = (h ^ uint64(c)) * mixB
		h ^= h >> 29
		if n++; n == shapeMax {
			break
		}
	}
	return h
}

// shapeMax is how many kinds of characters make a shape: what follows is not
// structure any more.
const shapeMax = 8
