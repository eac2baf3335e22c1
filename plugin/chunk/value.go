package chunk

import (
	"encoding/binary"
	"math"
)

// Kind is the type of a Value.
type Kind uint8

// The kinds. An integer that fits an int64 is Int, however it is encoded; Uint
// are only those above.
const (
	Nil Kind = iota
	Bool
	Int
	Uint
	Float
	Str
	Bin
	Array
	Map
	Ext
)

func (k Kind) String() string {
	return [...]string{"nil", "bool", "int", "uint", "float", "str", "bin", "array", "map", "ext"}[k]
}

// Value is one msgpack value, still encoded, that a Reader has checked to its
// end. The zero Value is Nil. It aliases the chunk.
type Value struct{ raw []byte }

// ParseValue checks the value at the start of data, as the Reader does, and
// returns it and the bytes behind it.
func ParseValue(data []byte) (v Value, rest []byte, err error) {
	var w walker
	w.reset(data)
	end, cause := w.value(0, 0)
	if cause != nil {
		return Value{}, data, &Error{Offset: end, Cause: cause}
	}
	return Value{data[:end:end]}, data[end:], nil
}

// Kind returns the type of v.
func (v Value) Kind() Kind {
	if len(v.raw) == 0 {
		return Nil
	}
	switch c := v.raw[0]; {
	case c < 0x80 || c >= 0xe0:
		return Int
	case c < 0x90:
		return Map
	case c < 0xa0:
		return Array
	case c < 0xc0:
		return Str
	case c <= codeNever:
		return Nil
	case c <= codeTrue:
		return Bool
	case c <= codeBin32:
		return Bin
	case c <= codeExt32:
		return Ext
	case c <= codeFloat64:
		return Float
	case c == codeUint64 && v.raw[1] >= 0x80:
		return Uint
	case c <= codeInt64:
		return Int
	case c <= codeFixExt16:
		return Ext
	case c <= codeStr32:
		return Str
	case c <= codeArray32:
		return Array
	default:
		return Map
	}
}

// Raw returns the encoded value.
func (v Value) Raw() []byte { return v.raw }

// Bytes returns the content of a Str, Bin or Ext, nil for others.
func (v Value) Bytes() []byte {
	switch v.Kind() {
	case Str, Bin, Ext:
		start, n := payload(v.raw, 0)
		return v.raw[start : start+n]
	}
	return nil
}

// ExtType returns the type number of an Ext, 0 for others.
func (v Value) ExtType() int8 {
	if v.Kind() != Ext {
		return 0
	}
	start, _ := payload(v.raw, 0)
	return int8(v.raw[start-1])
}

// Bool tells whether v is true.
func (v Value) Bool() bool { return len(v.raw) > 0 && v.raw[0] == codeTrue }

// Int returns the value of an Int; that of a Uint or Float as the nearest int64;
// 0 for others.
func (v Value) Int() int64 {
	switch v.Kind() {
	case Int:
		return v.integer()
	case Uint:
		return math.MaxInt64
	case Float:
		return nearestInt(v.Float())
	}
	return 0
}

// Uint returns the value of a Uint or a positive Int, 0 for others.
func (v Value) Uint() uint64 {
	switch v.Kind() {
	case Int:
		return uint64(max(0, v.integer()))
	case Uint:
		return binary.BigEndian.Uint64(v.raw[1:])
	}
	return 0
}

// Float returns the value of a Float, or that of an Int or Uint as the nearest
// float64; 0 for others.
func (v Value) Float() float64 {
	switch v.Kind() {
	case Float:
		if v.raw[0] == codeFloat32 {
			return float64(math.Float32frombits(binary.BigEndian.Uint32(v.raw[1:])))
		}
		return math.Float64frombits(binary.BigEndian.Uint64(v.raw[1:]))
	case Int:
		return float64(v.integer())
	case Uint:
		return float64(binary.BigEndian.Uint64(v.raw[1:]))
	}
	return 0
}

func (v Value) integer() int64 {
	b := v.raw
	switch b[0] {
	case codeUint8:
		return int64(b[1])
	case codeUint16:
		return int64(binary.BigEndian.Uint16(b[1:]))
	case codeUint32:
		return int64(binary.BigEndian.Uint32(b[1:]))
	case codeUint64, codeInt64:
		return int64(binary.BigEndian.Uint64(b[1:]))
	case codeInt8:
		return int64(int8(b[1]))
	case codeInt16:
		return int64(int16(binary.BigEndian.Uint16(b[1:])))
	case codeInt32:
		return int64(int32(binary.BigEndian.Uint32(b[1:])))
	}
	return int64(int8(b[0]))
}

func nearestInt(f float64) int64 {
	switch {
	case f != f:
		return 0
	case f >= math.MaxInt64:
		return math.MaxInt64
	case f <= math.MinInt64:
		return math.MinInt64
	}
	return int64(math.Round(f))
}

// Len returns the number of elements of an Array or pairs of a Map, 0 for others.
func (v Value) Len() int {
	switch v.Kind() {
	case Array, Map:
		_, n := payload(v.raw, 0)
		return n
	}
	return 0
}

// Behind returns the value of the only pair of a Map that begins with these
// bytes, which are those of another such map up to its value: both have the same key.
func (v Value) Behind(begin []byte) (Value, bool) {
	n := len(begin)
	if n == 0 || len(v.raw) <= n || string(v.raw[:n]) != string(begin) {
		return Value{}, false
	}
	return Value{v.raw[n:len(v.raw):len(v.raw)]}, true
}

// PairIter walks over the pairs of a Map, in their order.
//
//	for it := v.Pairs(); it.Next(); {
//		use(it.Key, it.Value)
//	}
type PairIter struct {
	Key, Value Value
	raw        []byte
	pos, left  int
}

// Pairs returns an iterator before the first pair. It has none if v is no Map.
func (v Value) Pairs() PairIter {
	if v.Kind() != Map {
		return PairIter{}
	}
	start, n := payload(v.raw, 0)
	return PairIter{raw: v.raw, pos: start, left: n}
}

// Next moves to the next pair and tells whether there is one.
func (it *PairIter) Next() bool {
	if it.left == 0 {
		return false
	}
	it.left--
	it.Key, it.pos = valueAt(it.raw, it.pos)
	it.Value, it.pos = valueAt(it.raw, it.pos)
	return true
}

// ElemIter walks over the elements of an Array.
type ElemIter struct {
	Value     Value
	raw       []byte
	pos, left int
}

// Elems returns an iterator before the first element. It has none if v is no
// Array.
func (v Value) Elems() ElemIter {
	if v.Kind() != Array {
		return ElemIter{}
	}
	start, n := payload(v.raw, 0)
	return ElemIter{raw: v.raw, pos: start, left: n}
}

// Next moves to the next element and tells whether there is one.
func (it *ElemIter) Next() bool {
	if it.left == 0 {
		return false
	}
	it.left--
	it.Value, it.pos = valueAt(it.raw, it.pos)
	return true
}

func valueAt(raw []byte, pos int) (Value, int) {
	end := endOf(raw, pos)
	return Value{raw[pos:end:end]}, end
}

// endOf is skip for bytes that were checked before.
func endOf(raw []byte, pos int) int {
	if c := raw[pos]; c >= 0xa0 && c < 0xc0 {
		return pos + 1 + int(c&0x1f)
	}
	end, _ := skip(raw, pos)
	return end
}

// Get returns the value of the string key. Of several, the last one holds, as
// in Fluent Bit's record accessor.
func (v Value) Get(key string) (Value, bool) {
	raw := v.raw
	if len(raw) == 0 || !isMap(raw[0]) {
		return Value{}, false
	}
	pos, n := payload(raw, 0)
	from := -1
	for ; n > 0; n-- {
		c, start := raw[pos], pos+1
		if c < 0xa0 || c >= 0xc0 {
			start, _ = payload(raw, pos)
		}
		pos = endOf(raw, pos)
		if isStr(c) && string(raw[start:pos]) == key {
			from = pos
		}
		pos = endOf(raw, pos)
	}
	if from < 0 {
		return Value{}, false
	}
	found, _ := valueAt(raw, from)
	return found, true
}

// Lookup follows path through nested maps. An empty path is v itself.
func (v Value) Lookup(path []string) (Value, bool) {
	for _, key := range path {
		var ok bool
		if v, ok = v.Get(key); !ok {
			return Value{}, false
		}
	}
	return v, true
}
