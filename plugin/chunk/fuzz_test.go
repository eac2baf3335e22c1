package chunk

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"testing"

	"github.com/tinylib/msgp/msgp"
	"github.com/vmihailenco/msgpack/v5"
)

// FuzzReader reads arbitrary bytes to the end: no panic, progress with every
// call, records that lie inside the chunk in their order, and no record lost or
// won by reading the same bytes again.
func FuzzReader(f *testing.F) {
	f.Add(kubernetesChunk(f, 2))
	f.Add(lineChunk(3))
	for _, script := range []string{
		"92 92 d700 ffffffff 00000000 81 a1'g' 01 80 92 05 80 92 92 d700 fffffffe 00000000 80 80",
		"c1 92 ce65000000 81 a1'm' c403'bin'", "92 c70800 6500000000000001 df ffffffff",
		"92 cb41d9400000200000 81 01 91 91 91 c9 00000001 07 00", "dc0002 01 de0001 a0 da0001'x'",
	} {
		f.Add(bytesOf(f, script))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := NewReader(data)
		var rec Record
		for last := 0; ; {
			err := r.Next(&rec)
			if err == io.EOF {
				break
			}
			var damage *Error
			if errors.As(err, &damage) {
				if damage.Record < last || damage.Offset < damage.Record || damage.Offset > len(data) {
					t.Fatalf("got %v; want offsets within [%d, %d]", err, last, len(data))
				}
				skipped, ok := r.Resync()
				if skipped <= 0 || r.Offset() != damage.Record+skipped || ok != (r.Offset() < len(data)) {
					t.Fatalf("Resync after %v: got %d, %v, offset %d", err, skipped, ok, r.Offset())
				}
				last = r.Offset()
				continue
			}
			if err != nil || r.Offset() <= last {
				t.Fatalf("got %v at %d after %d; want a record further on", err, r.Offset(), last)
			}
			if rec.Body.Kind() != Map || !bytes.HasSuffix(data[last:r.Offset()], rec.Body.Raw()) {
				t.Fatalf("got body %x; want the map that ends at %d", rec.Body.Raw(), r.Offset())
			}
			last = r.Offset()
		}
	})
}

// FuzzValue holds three readers against each other on one value: the hand-written
// walk, msgpack/v5 under it, and tinylib/msgp.
func FuzzValue(f *testing.F) {
	for _, script := range []string{
		"82 a1'b' 01 a1'a' 81 a1'c' 93 c0 c3 cb3fb999999999999a", "de0001 dc0001 db00000001'x' d3ffffffffffffffff",
		"dd00000002 c70100 01 d8000102030405060708090a0b0c0d0e0f10", "c6 00000003 'abc'", "92 92 92 92", "c1", "df ffffffff", "c9 ffffffff 01",
	} {
		f.Add(bytesOf(f, script))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var byHand, byDecoder walker
		byHand.reset(data)
		byDecoder.reset(data)
		end, cause := byHand.value(0, 0)
		endV5, causeV5 := byDecoder.general(0, 0)
		if end != endV5 || cause != causeV5 {
			t.Fatalf("by hand %d, %v; msgpack/v5 %d, %v", end, cause, endV5, causeV5)
		}
		rest, err := msgp.Skip(data)
		if cause == ErrDepth {
			if end, ok := skip(data, 0); ok != (err == nil) || ok && end != len(data)-len(rest) {
				t.Fatalf("skip %d, %v; msgp %d, %v", end, ok, len(data)-len(rest), err)
			}
			return
		}
		if (cause == nil) != (err == nil) {
			t.Fatalf("by hand %d, %v; msgp %v", end, cause, err)
		}
		if cause != nil {
			return
		}
		if got := len(data) - len(rest); got != end {
			t.Fatalf("by hand ends at %d; msgp at %d", end, got)
		}
		if end2, ok := skip(data, 0); !ok || end2 != end {
			t.Fatalf("skip ends at %d, %v; want %d", end2, ok, end)
		}
		got := describe(nil, Value{data[:end]})
		want, rest, err := oracle(nil, data[:end])
		if err != nil || len(rest) != 0 || !bytes.Equal(got, want) {
			t.Fatalf("got  %s\nmsgp %s (%d bytes left, %v)", got, want, len(rest), err)
		}
	})
}

// describe spells out a value through the accessors of this package.
func describe(dst []byte, v Value) []byte {
	switch k := v.Kind(); k {
	case Nil:
		return append(dst, "nil"...)
	case Bool:
		return fmt.Appendf(dst, "%v", v.Bool())
	case Int:
		return fmt.Appendf(dst, "%d", v.Int())
	case Uint:
		return fmt.Appendf(dst, "%d", v.Uint())
	case Float:
		return fmt.Appendf(dst, "f%x", math.Float64bits(v.Float()))
	case Ext:
		return fmt.Appendf(dst, "ext%d:%x", v.ExtType(), v.Bytes())
	case Array:
		dst = fmt.Appendf(dst, "[%d", v.Len())
		for it := v.Elems(); it.Next(); {
			dst = describe(append(dst, ' '), it.Value)
		}
		return append(dst, ']')
	case Map:
		dst = fmt.Appendf(dst, "{%d", v.Len())
		for it := v.Pairs(); it.Next(); {
			dst = describe(append(dst, ' '), it.Key)
			dst = describe(append(dst, '='), it.Value)
		}
		return append(dst, '}')
	default:
		return fmt.Appendf(dst, "%s:%x", k, v.Bytes())
	}
}

// oracle spells out a value through tinylib/msgp, type code by type code.
func oracle(dst, b []byte) ([]byte, []byte, error) {
	switch c := b[0]; {
	case c == codeNil:
		rest, err := msgp.ReadNilBytes(b)
		return append(dst, "nil"...), rest, err
	case c == codeTrue || c == codeFalse:
		v, rest, err := msgp.ReadBoolBytes(b)
		return fmt.Appendf(dst, "%v", v), rest, err
	case c == codeFloat32:
		v, rest, err := msgp.ReadFloat32Bytes(b)
		return fmt.Appendf(dst, "f%x", math.Float64bits(float64(v))), rest, err
	case c == codeFloat64:
		v, rest, err := msgp.ReadFloat64Bytes(b)
		return fmt.Appendf(dst, "f%x", math.Float64bits(v)), rest, err
	case c == codeUint64:
		v, rest, err := msgp.ReadUint64Bytes(b)
		return fmt.Appendf(dst, "%d", v), rest, err
	case isStr(c):
		v, rest, err := msgp.ReadStringZC(b)
		return fmt.Appendf(dst, "str:%x", v), rest, err
	case isBin(c):
		v, rest, err := msgp.ReadBytesZC(b)
		return fmt.Appendf(dst, "bin:%x", v), rest, err
	case isExt(c):
		start, n := payload(b, 0) // msgp reads an ext only into a type it knows
		rest, err := msgp.Skip(b)
		return fmt.Appendf(dst, "ext%d:%s", int8(b[start-1]), hex.EncodeToString(b[start:start+n])), rest, err
	case isArray(c):
		n, rest, err := msgp.ReadArrayHeaderBytes(b)
		return oracleItems(fmt.Appendf(dst, "[%d", n), rest, int(n), " ", "]", err)
	case isMap(c):
		n, rest, err := msgp.ReadMapHeaderBytes(b)
		return oracleItems(fmt.Appendf(dst, "{%d", n), rest, 2*int(n), " =", "}", err)
	}
	v, rest, err := msgp.ReadInt64Bytes(b)
	return fmt.Appendf(dst, "%d", v), rest, err
}

func oracleItems(dst, b []byte, n int, separators, closing string, err error) ([]byte, []byte, error) {
	for i := 0; i < n && err == nil; i++ {
		dst = append(dst, separators[i%len(separators)])
		dst, b, err = oracle(dst, b)
	}
	return append(dst, closing...), b, err
}

// FuzzJSON: whatever the value, its JSON is valid for encoding/json, and its
// text is valid UTF-8. Strings, numbers and nesting survive the way back.
func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"a":"\"\\\n\u0001€","b":[1,2.5,null,true],"c":{"d":1e300}}`), bytesOf(f, "81 a2 ff 22 c402 00 5c"))
	f.Add([]byte(`[]`), bytesOf(f, "82 81 a1'x' 01 ca7f800000 d40122 c0"))
	f.Fuzz(func(t *testing.T, doc, packed []byte) {
		if v, _, err := ParseValue(packed); err == nil {
			out := v.AppendJSON(nil)
			if !json.Valid(out) {
				t.Fatalf("%x: got %q; want valid JSON", packed, out)
			}
			if text := v.AppendText(nil); !bytes.Equal(text, bytes.ToValidUTF8(text, nil)) {
				t.Fatalf("%x: got %q; want valid UTF-8", packed, text)
			}
		}
		var want any
		if json.Unmarshal(doc, &want) != nil {
			return
		}
		enc, err := msgpack.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		v, _, err := ParseValue(enc)
		if err != nil {
			if errors.Is(err, ErrDepth) {
				return
			}
			t.Fatal(err)
		}
		var got any
		if err := json.Unmarshal(v.AppendJSON(nil), &got); err != nil {
			t.Fatalf("%s: got %v", v.AppendJSON(nil), err)
		}
		a, _ := json.Marshal(want)
		b, _ := json.Marshal(got)
		if !bytes.Equal(a, b) {
			t.Fatalf("got %s; want %s", b, a)
		}
	})
}
