// Package jsonscan walks over JSON text without copying it or building values.
// It takes what encoding/json takes, no more, and says where things stand.
package jsonscan

import (
	"errors"
	"unicode/utf16"
	"unicode/utf8"
)

// DepthMax is how deep values may be nested: as deep as encoding/json goes, 10,000,
// would take a stack of MBs, and no log is.
const DepthMax = 200

// ErrSyntax is of text that is not JSON.
var ErrSyntax = errors.New("not JSON")

// Kind is what a value is.
type Kind uint8

// Kinds of values.
const (
	Invalid Kind = iota
	Null
	Bool
	Number
	String
	Array
	Object
)

// KindOf tells a value's kind by its first byte.
func KindOf(value []byte) Kind {
	if len(value) == 0 {
		return Invalid
	}
	switch c := value[0]; {
	case c == '{':
		return Object
	case c == '[':
		return Array
	case c == '"':
		return String
	case c == 't' || c == 'f':
		return Bool
	case c == 'n':
		return Null
	case c == '-' || c >= '0' && c <= '9':
		return Number
	}
	return Invalid
}

// Space returns where the white space that stands at i ends.
func Space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// Value returns where the value that begins at i ends; -1: there is none.
func Value(b []byte, i int) int { return value(b, i, 0) }

// Only returns the one value that b holds, without the white space around it.
func Only(b []byte) ([]byte, error) {
	start := Space(b, 0)
	end := Value(b, start)
	if end < 0 || Space(b, end) != len(b) {
		return nil, ErrSyntax
	}
	return b[start:end:end], nil
}

func value(b []byte, i, depth int) int {
	if i >= len(b) || depth > DepthMax {
		return -1
	}
	switch KindOf(b[i:]) {
	case Object:
		return container(b, i, depth, '}')
	case Array:
		return container(b, i, depth, ']')
	case String:
		return text(b, i)
	case Number:
		return number(b, i)
	case Bool, Null:
		for _, word := range [...]string{"true", "false", "null"} {
			if len(b)-i >= len(word) && string(b[i:i+len(word)]) == word {
				return i + len(word)
			}
		}
	}
	return -1
}

// container returns where the object or array at i ends.
func container(b []byte, i, depth int, closing byte) int {
	i = Space(b, i+1)
	if i < len(b) && b[i] == closing {
		return i + 1
	}
	for {
		if closing == '}' {
			if i = text(b, i); i < 0 {
				return -1
			}
			if i = Space(b, i); i >= len(b) || b[i] != ':' {
				return -1
			}
			i = Space(b, i+1)
		}
		if i = value(b, i, depth+1); i < 0 {
			return -1
		}
		if i = Space(b, i); i >= len(b) {
			return -1
		}
		switch b[i] {
		case closing:
			return i + 1
		case ',':
			i = Space(b, i+1)
		default:
			return -1
		}
	}
}

// text returns where the string at i ends.
func text(b []byte, i int) int {
	if i >= len(b) || b[i] != '"' {
		return -1
	}
	for i++; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return i + 1
		case c < ' ':
			return -1
		case c == '\\':
			if i = escape(b, i); i < 0 {
				return -1
			}
		}
	}
	return -1
}

// escape returns the last byte of the escape at i.
func escape(b []byte, i int) int {
	if i+1 >= len(b) {
		return -1
	}
	switch b[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1
	case 'u':
		if _, ok := hex4(b, i+2); ok {
			return i + 5
		}
	}
	return -1
}

func hex4(b []byte, i int) (r rune, ok bool) {
	if i+4 > len(b) {
		return 0, false
	}
	for _, c := range b[i : i+4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// number returns where the number at i ends.
func number(b []byte, i int) int {
	digits := func() bool {
		start := i
		for i < len(b) && b[i] >= '0' && b[i] <= '9' {
			i++
		}
		return i > start
	}
	if b[i] == '-' {
		i++
	}
	zero := i < len(b) && b[i] == '0'
	start := i
	if !digits() || zero && i > start+1 {
		return -1
	}
	if i < len(b) && b[i] == '.' {
		i++
		if !digits() {
			return -1
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if !digits() {
			return -1
		}
	}
	return i
}

// Pairs walks over the members of an object that has been scanned.
type Pairs struct {
	b []byte
	i int
	// Key is the member's name with its quotes, Val its value; From and To bound both in the object.
	Key, Val []byte
	From, To int
}

// PairsOf begins a walk over object.
func PairsOf(object []byte) Pairs { return Pairs{b: object, i: 1} }

// Next goes to the next member.
func (p *Pairs) Next() bool {
	b := p.b
	i := Space(b, p.i)
	if i < len(b) && b[i] == ',' {
		i = Space(b, i+1)
	}
	if i >= len(b) || b[i] != '"' {
		return false
	}
	p.From = i
	end := text(b, i)
	if end < 0 {
		return false
	}
	p.Key = b[i:end]
	i = Space(b, Space(b, end)+1) // past the colon
	if end = Value(b, i); end < 0 {
		return false
	}
	p.Val, p.To, p.i = b[i:end:end], end, end
	return true
}

// Elements walks over the elements of an array that has been scanned.
type Elements struct {
	b []byte
	i int
	// Val is the element.
	Val []byte
}

// ElementsOf begins a walk over array.
func ElementsOf(array []byte) Elements { return Elements{b: array, i: 1} }

// Next goes to the next element.
func (e *Elements) Next() bool {
	i := Space(e.b, e.i)
	if i < len(e.b) && e.b[i] == ',' {
		i = Space(e.b, i+1)
	}
	end := Value(e.b, i)
	if end < 0 {
		return false
	}
	e.Val, e.i = e.b[i:end:end], end
	return true
}

// Text returns what the string s, with its quotes, says. Without escapes that is
// a part of s, else it is appended to dst; either way it is valid as long as both.
func Text(dst, s []byte) (out, text []byte) {
	s = s[1 : len(s)-1]
	plain := true
	for _, c := range s {
		if c == '\\' {
			plain = false
			break
		}
	}
	if plain {
		return dst, s
	}
	at := len(dst)
	dst = AppendText(dst, s)
	return dst, dst[at:len(dst):len(dst)]
}

// AppendText appends what s, a string without its quotes, says. A half of a
// surrogate pair becomes U+FFFD, as in encoding/json; bytes that are not UTF-8 stay.
func AppendText(dst, s []byte) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			dst = append(dst, s[i])
			continue
		}
		i++
		switch s[i] {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r, _ := hex4(s, i+1)
			i += 4
			if utf16.IsSurrogate(r) {
				low := rune(-1)
				if i+6 < len(s) && s[i+1] == '\\' && s[i+2] == 'u' {
					low, _ = hex4(s, i+3)
				}
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					i += 6
				}
			}
			dst = utf8.AppendRune(dst, r)
		default:
			dst = append(dst, s[i])
		}
	}
	return dst
}

// Is says that key, with its quotes, says name.
func Is(key []byte, name string) bool {
	if len(key)-2 == len(name) {
		return string(key[1:len(key)-1]) == name
	}
	if len(key)-2 < len(name) {
		return false
	}
	_, text := Text(nil, key)
	return string(text) == name
}
