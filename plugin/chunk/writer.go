package chunk

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/vmihailenco/msgpack/v5"
)

// Writer appends events to Buf, byte for byte as Fluent Bit encodes them. It is
// for tests and tools; the plugin itself only reads. The zero Writer is ready.
type Writer struct {
	Buf []byte
}

// Pairs is a map that keeps its order: key, value, key, value, ...
type Pairs []any

// AppendRecord appends a v2 event: [[time, metadata], body]. metadata and body
// are maps (Pairs, map[string]any, a struct, a Value, ...) of values that
// AppendValue takes; a nil metadata is an empty map. After an error Buf is as
// before.
func (w *Writer) AppendRecord(unixNanos int64, metadata, body any) error {
	start := len(w.Buf)
	w.Buf = append(w.Buf, 0x92, 0x92)
	w.AppendEventTime(unixNanos)
	return w.rest(start, orEmpty(metadata), body)
}

// AppendRecordV1 appends a v1 event: [time, body].
func (w *Writer) AppendRecordV1(unixNanos int64, body any) error {
	start := len(w.Buf)
	w.Buf = append(w.Buf, 0x92)
	w.AppendEventTime(unixNanos)
	return w.rest(start, body)
}

// AppendGroupOpen appends the marker that opens a group.
func (w *Writer) AppendGroupOpen(metadata, body any) error {
	start := len(w.Buf)
	w.Buf = append(w.Buf, 0x92, 0x92)
	w.appendTime(secondsOpen, 0)
	return w.rest(start, orEmpty(metadata), orEmpty(body))
}

// AppendGroupClose appends the marker that closes a group.
func (w *Writer) AppendGroupClose() {
	w.Buf = append(w.Buf, 0x92, 0x92)
	w.appendTime(secondsClose, 0)
	w.Buf = append(w.Buf, 0x80, 0x80)
}

// AppendEventTime appends a time as ext type 0. Seconds that 32 bits cannot
// hold are wrapped, as Fluent Bit does.
func (w *Writer) AppendEventTime(unixNanos int64) {
	s, ns := unixNanos/1_000_000_000, unixNanos%1_000_000_000
	if ns < 0 {
		s, ns = s-1, ns+1_000_000_000
	}
	w.appendTime(uint32(s), uint32(ns))
}

func (w *Writer) appendTime(s, ns uint32) {
	w.Buf = append(w.Buf, codeFixExt8, eventTimeType)
	w.Buf = binary.BigEndian.AppendUint32(w.Buf, s)
	w.Buf = binary.BigEndian.AppendUint32(w.Buf, ns)
}

// AppendValue appends any Go value: what msgpack/v5 encodes, with integers as
// short as they go and the keys of Go maps sorted; Pairs; and a Value as it is.
func (w *Writer) AppendValue(v any) error {
	switch v := v.(type) {
	case Pairs:
		return w.appendPairs(v)
	case []any:
		w.AppendArrayLen(len(v))
		for _, e := range v {
			if err := w.AppendValue(e); err != nil {
				return err
			}
		}
		return nil
	case Value:
		if len(v.raw) == 0 {
			w.Buf = append(w.Buf, codeNil)
		}
		w.Buf = append(w.Buf, v.raw...)
		return nil
	case string:
		w.AppendStr(v)
		return nil
	}
	var out bytes.Buffer
	enc := msgpack.NewEncoder(&out)
	enc.UseCompactInts(true)
	enc.SetSortMapKeys(true)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("cannot encode %T as msgpack: %w", v, err)
	}
	w.Buf = append(w.Buf, out.Bytes()...)
	return nil
}

// AppendMapLen starts a map of n pairs, which the caller appends.
func (w *Writer) AppendMapLen(n int) { w.appendLen(n, 0x80, codeMap16, codeMap32) }

// AppendArrayLen starts an array of n elements, which the caller appends.
func (w *Writer) AppendArrayLen(n int) { w.appendLen(n, 0x90, codeArray16, codeArray32) }

// appendLen starts a container of n: in the shortest of its three codes.
func (w *Writer) appendLen(n int, fix, code16, code32 byte) {
	switch {
	case n < 16:
		w.Buf = append(w.Buf, fix|byte(n))
	case n <= math.MaxUint16:
		w.Buf = binary.BigEndian.AppendUint16(append(w.Buf, code16), uint16(n))
	default:
		w.Buf = binary.BigEndian.AppendUint32(append(w.Buf, code32), uint32(n))
	}
}

// AppendStr appends a string.
func (w *Writer) AppendStr(s string) {
	switch n := len(s); {
	case n < 32:
		w.Buf = append(w.Buf, 0xa0|byte(n))
	case n <= math.MaxUint8:
		w.Buf = append(w.Buf, codeStr8, byte(n))
	case n <= math.MaxUint16:
		w.Buf = binary.BigEndian.AppendUint16(append(w.Buf, codeStr16), uint16(n))
	default:
		w.Buf = binary.BigEndian.AppendUint32(append(w.Buf, codeStr32), uint32(n))
	}
	w.Buf = append(w.Buf, s...)
}

// AppendLine appends the v2 event {key: line}, as in_tail does without a parser.
func (w *Writer) AppendLine(unixNanos int64, key, line string) {
	w.Buf = append(w.Buf, 0x92, 0x92)
	w.AppendEventTime(unixNanos)
	w.Buf = append(w.Buf, 0x80)
	w.AppendMapLen(1)
	w.AppendStr(key)
	w.AppendStr(line)
}

func (w *Writer) appendPairs(p Pairs) error {
	if len(p)%2 != 0 {
		return fmt.Errorf("cannot encode Pairs of length %d: the last key has no value", len(p))
	}
	w.AppendMapLen(len(p) / 2)
	for _, v := range p {
		if err := w.AppendValue(v); err != nil {
			return err
		}
	}
	return nil
}

func (w *Writer) rest(start int, values ...any) error {
	for _, v := range values {
		if err := w.AppendValue(v); err != nil {
			w.Buf = w.Buf[:start]
			return err
		}
	}
	return nil
}

func orEmpty(v any) any {
	if v == nil {
		return Pairs(nil)
	}
	return v
}
