package chunk

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/bits"
	"strconv"
	"unicode/utf8"
)

// AppendText appends v as a label value or a log line shows it: a Str or Bin
// bare, others as AppendJSON does. Invalid UTF-8 is replaced by U+FFFD.
func (v Value) AppendText(dst []byte) []byte {
	switch v.Kind() {
	case Str, Bin:
		return appendValid(dst, v.Bytes())
	}
	return v.AppendJSON(dst)
}

// AppendJSON appends v as compact JSON. The order of keys is kept, and so are
// repeated ones. What JSON does not have:
//   - invalid UTF-8 is replaced by U+FFFD, byte by byte
//   - NaN and infinities become null
//   - Bin is a string of its bytes, as with Str
//   - Ext is a string of its bytes in hexadecimal, without its type
//   - a key that is no string becomes the string of its JSON: {1: 2} is {"1":2};
//     a map or array as key that of its msgpack bytes in hexadecimal
//
// Integers are exact; floats have the fewest digits that read back the same.
func (v Value) AppendJSON(dst []byte) []byte {
	if len(v.raw) == 0 {
		return append(dst, "null"...)
	}
	dst, _ = appendJSON(dst, v.raw, 0)
	return dst
}

// appendJSON appends the value at pos and returns where it ends. DepthMax
// bounds the recursion.
func appendJSON(dst, raw []byte, pos int) ([]byte, int) {
	c := raw[pos]
	switch {
	case c >= 0xa0 && c < 0xc0:
		end := pos + 1 + int(c&0x1f)
		return appendQuoted(dst, raw[pos+1:end]), end
	case isMap(c):
		return appendMap(dst, raw, pos)
	case isArray(c):
		return appendArray(dst, raw, pos)
	}
	start, n := payload(raw, pos)
	end := start + n
	if isStr(c) || isBin(c) {
		return appendQuoted(dst, raw[start:end]), end
	}
	v := Value{raw[pos:end]}
	switch v.Kind() {
	case Bool:
		return strconv.AppendBool(dst, v.Bool()), end
	case Int:
		return strconv.AppendInt(dst, v.Int(), 10), end
	case Uint:
		return strconv.AppendUint(dst, v.Uint(), 10), end
	case Float:
		size := 64
		if c == codeFloat32 {
			size = 32
		}
		return appendFloat(dst, v.Float(), size), end
	case Ext:
		dst = append(dst, '"')
		dst = hex.AppendEncode(dst, raw[start:end])
		return append(dst, '"'), end
	}
	return append(dst, "null"...), end
}

func appendMap(dst, raw []byte, pos int) ([]byte, int) {
	pos, n := payload(raw, pos)
	dst = append(dst, '{')
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst, pos = appendKey(dst, raw, pos)
		dst = append(dst, ':')
		dst, pos = appendJSON(dst, raw, pos)
	}
	return append(dst, '}'), pos
}

// appendKey appends the key at pos. To quote the JSON of a map would double its
// backslashes with every map that is key in it: 2^60 of them from 120 bytes.
func appendKey(dst, raw []byte, pos int) ([]byte, int) {
	c := raw[pos]
	switch {
	case isStr(c) || isBin(c) || isExt(c):
		return appendJSON(dst, raw, pos)
	case isMap(c) || isArray(c):
		end := endOf(raw, pos)
		dst = append(dst, '"')
		dst = hex.AppendEncode(dst, raw[pos:end])
		return append(dst, '"'), end
	}
	dst = append(dst, '"')
	dst, end := appendJSON(dst, raw, pos) // nil, true or a number: nothing to escape
	return append(dst, '"'), end
}

func appendArray(dst, raw []byte, pos int) ([]byte, int) {
	pos, n := payload(raw, pos)
	dst = append(dst, '[')
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst, pos = appendJSON(dst, raw, pos)
	}
	return append(dst, ']'), pos
}

// appendFloat writes f as encoding/json does: plain digits in the range people
// read, an exponent outside of it.
func appendFloat(dst []byte, f float64, bitSize int) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	format := byte('f')
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, f, format, -1, bitSize)
}

// appendQuoted appends s as a JSON string.
func appendQuoted(dst, s []byte) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	for {
		n := plainPrefix(s)
		dst = append(dst, s[:n]...)
		s = s[n:]
		if len(s) == 0 {
			return append(dst, '"')
		}
		switch c := s[0]; {
		case c >= utf8.RuneSelf:
			r, size := utf8.DecodeRune(s)
			dst = utf8.AppendRune(dst, r) // U+FFFD for an invalid byte
			s = s[size:]
			continue
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&0xf])
		}
		s = s[1:]
	}
}

// plainPrefix returns how many bytes s starts with that stand for themselves in
// a JSON string: printable ASCII but '"' and '\\'. It looks at eight at a time:
// the high bit of a byte of hit is set where a subtraction borrowed, which only
// bytes above the first hit can do without being one.
func plainPrefix(s []byte) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(s); i += 8 {
		w := binary.LittleEndian.Uint64(s[i:])
		hit := w | (w - ones*' ') | ((w ^ ones*'"') - ones) | ((w ^ ones*'\\') - ones)
		if hit &= highs; hit != 0 {
			return i + bits.TrailingZeros64(hit)/8
		}
	}
	for ; i < len(s); i++ {
		if c := s[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			break
		}
	}
	return i
}

// appendValid appends s with invalid UTF-8 replaced.
func appendValid(dst, s []byte) []byte {
	if utf8.Valid(s) {
		return append(dst, s...)
	}
	for len(s) > 0 {
		r, size := utf8.DecodeRune(s)
		dst = utf8.AppendRune(dst, r)
		s = s[size:]
	}
	return dst
}
