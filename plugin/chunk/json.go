package chunk

import (
	"encoding/hex"
	"math"
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
//   - a key that is no string becomes the string of its JSON: {1: 2} is {"1":2}
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
	if isMap(c) {
		return appendMap(dst, raw, pos)
	}
	if isArray(c) {
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
		bits := 64
		if c == codeFloat32 {
			bits = 32
		}
		return appendFloat(dst, v.Float(), bits), end
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

func appendKey(dst, raw []byte, pos int) ([]byte, int) {
	c := raw[pos]
	if isStr(c) || isBin(c) || isExt(c) {
		return appendJSON(dst, raw, pos)
	}
	var scratch [64]byte
	text, end := appendJSON(scratch[:0], raw, pos)
	return appendQuoted(dst, text), end
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
func appendFloat(dst []byte, f float64, bits int) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	format := byte('f')
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, f, format, -1, bits)
}

// appendQuoted appends s as a JSON string.
func appendQuoted(dst, s []byte) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRune(s[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(dst, s[from:i]...)
				dst = utf8.AppendRune(dst, utf8.RuneError)
				from = i + 1
			}
			i += size
			continue
		}
		dst = append(dst, s[from:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&0xf])
		}
		i++
		from = i
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
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
