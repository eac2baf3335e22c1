package chunk

import (
	"encoding/binary"
	"math"
)

type mark uint8

const (
	markNone mark = iota
	markOpen
	markClose
)

// Fluent Bit writes the seconds of a marker as int32 -1 and -2, which no record
// can have: they would be the last two seconds before 2106-02-07T06:28:16Z.
const (
	secondsOpen  = 0xFFFFFFFF
	secondsClose = 0xFFFFFFFE
)

// secondsMax is the last second whose Unix nanoseconds fit an int64 (in 2262).
const secondsMax = math.MaxInt64/1_000_000_000 - 1

const eventTimeType = 0

type event struct {
	nanos          int64
	mark           mark
	metadata, body Value
}

// event reads the event at pos and returns its end, or the offset of the byte
// that does not fit and why.
func (w *walker) event(pos int, ev *event) (int, error) {
	pos, cause := w.pair(pos)
	if cause != nil {
		return pos, cause
	}
	if pos < len(w.data) && isArray(w.data[pos]) {
		if pos, cause = w.header(pos, ev); cause != nil {
			return pos, cause
		}
	} else if pos, cause = w.time(pos, ev); cause != nil {
		return pos, cause
	}
	end, cause := w.value(pos, 1)
	if cause != nil {
		return end, cause
	}
	ev.body = Value{w.data[pos:end:end]}
	if !isMap(w.data[pos]) {
		return pos, ErrBody
	}
	return end, nil
}

// header reads [time, metadata].
func (w *walker) header(pos int, ev *event) (int, error) {
	pos, cause := w.pair(pos)
	if cause != nil {
		return pos, cause
	}
	if pos, cause = w.time(pos, ev); cause != nil {
		return pos, cause
	}
	end, cause := w.value(pos, 2)
	if cause != nil {
		return end, cause
	}
	ev.metadata = Value{w.data[pos:end:end]}
	if c := w.data[pos]; !isMap(c) && c != codeNil {
		return pos, ErrMetadata
	}
	return end, nil
}

// pair steps into the array of two at pos.
func (w *walker) pair(pos int) (int, error) {
	if pos >= len(w.data) {
		return pos, ErrTruncated
	}
	if w.data[pos] == 0x92 {
		return pos + 1, nil
	}
	if !isArray(w.data[pos]) {
		return pos, ErrEvent
	}
	next, children, ok := step(w.data, pos)
	if !ok {
		return pos, ErrTruncated
	}
	if children != 2 {
		return pos, ErrEvent
	}
	return next, nil
}

// time reads the time at pos in any of its forms.
func (w *walker) time(pos int, ev *event) (int, error) {
	d := w.data[pos:]
	if len(d) >= 10 && d[0] == codeFixExt8 && d[1] == eventTimeType {
		ev.set(binary.BigEndian.Uint64(d[2:]))
		return pos + 10, nil
	}
	if len(d) >= 11 && d[0] == codeExt8 && d[1] == 8 && d[2] == eventTimeType {
		ev.set(binary.BigEndian.Uint64(d[3:]))
		return pos + 11, nil
	}
	end, cause := w.value(pos, 2)
	if cause != nil {
		return end, cause
	}
	v := Value{w.data[pos:end]}
	switch v.Kind() {
	case Int:
		s := v.Int()
		if s < 0 || s > secondsMax {
			return pos, ErrTime
		}
		ev.nanos = s * 1_000_000_000
	case Float:
		f := v.Float()
		if !(f >= 0 && f <= secondsMax) { // also refuses NaN
			return pos, ErrTime
		}
		whole, frac := math.Modf(f)
		ev.nanos = int64(whole)*1_000_000_000 + int64(frac*1e9)
	default:
		return pos, ErrTime
	}
	return end, nil
}

// set takes the payload of an event time: seconds in the upper half,
// nanoseconds in the lower.
func (ev *event) set(payload uint64) {
	s, ns := int64(payload>>32), int64(payload&0xFFFFFFFF)
	switch s {
	case secondsOpen:
		ev.mark = markOpen
	case secondsClose:
		ev.mark = markClose
	default:
		ev.nanos = s*1_000_000_000 + ns
	}
}
