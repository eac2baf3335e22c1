package chunk

import (
	"bytes"
	"encoding/binary"
)

// resyncBudgetFactor bounds what reading a damaged chunk costs, in multiples of
// its size: bytes made to look like an event at every turn, each reaching to
// the end of the chunk, would otherwise take quadratic time. What is left when
// it is used up counts as damaged.
const resyncBudgetFactor = 8

// plausibleFrom is 2000-01-01: an integer or float time before it is no reason
// to believe that an event starts here.
const plausibleFrom = 946684800

// Resync skips the record that Next could not read, up to the next plausible
// event: an array of two with a time and a map that can be read to its end. It
// returns how many bytes it skipped, and false when there is no event left. It
// does nothing when Next has not failed.
//
// The group of the records before holds on, unless a marker is among what was
// skipped.
func (r *Reader) Resync() (skipped int, ok bool) {
	if r.failed == nil {
		return 0, r.off < len(r.data)
	}
	start := r.failed.Record
	next := r.seek(start)
	r.failed = nil
	r.off = next
	if hasMarker(r.data[start:next]) {
		r.group = nil
	}
	return next - start, next < len(r.data)
}

// seek returns where the next plausible event after the one at start begins.
func (r *Reader) seek(start int) int {
	// An array of two that is well-formed but no record of ours ends where the
	// next event starts. Of other values it is not said that they are whole: a
	// 2 damaged into a 3 takes in the event behind.
	if r.failed.Cause != ErrEvent {
		end, ok := skip(r.data, start)
		r.budget -= end - start
		if ok && (end == len(r.data) || r.plausible(end)) {
			return end
		}
	}
	for pos := r.after(start); r.budget > 0; pos = r.after(pos) {
		i := bytes.IndexByte(r.data[pos:], 0x92)
		if i < 0 {
			break
		}
		pos += i
		if r.plausible(pos) {
			return pos
		}
	}
	return len(r.data)
}

// after returns where to look on when no event starts at pos. The header of a
// v2 event reads as a v1 event of its own: it is stepped over.
func (r *Reader) after(pos int) int {
	if pos+1 < len(r.data) && r.data[pos] == 0x92 && r.data[pos+1] == 0x92 {
		return pos + 2
	}
	return pos + 1
}

func (r *Reader) plausible(pos int) bool {
	data := r.data
	if pos >= len(data) || data[pos] != 0x92 {
		return false
	}
	v2 := pos+1 < len(data) && data[pos+1] == 0x92
	head := data[pos+1:]
	if v2 {
		head = data[pos+2:]
	}
	if !plausibleTime(head) {
		return false
	}
	var ev event
	end, cause := r.walk.event(pos, &ev)
	r.budget -= end - pos
	if cause != nil {
		return cause == ErrDepth // an event, which Next shall report
	}
	// [time, metadata] whose outer array is damaged, not an event.
	return v2 || end == len(data) || !isMap(data[end])
}

// plausibleTime tells whether d starts with a time as Fluent Bit writes it.
func plausibleTime(d []byte) bool {
	if len(d) < 2 {
		return false
	}
	switch d[0] {
	case codeFixExt8:
		return d[1] == eventTimeType
	case codeExt8:
		return len(d) > 2 && d[1] == 8 && d[2] == eventTimeType
	case codeUint32, codeInt32:
		return len(d) > 4 && binary.BigEndian.Uint32(d[1:]) >= plausibleFrom
	case codeUint64, codeInt64, codeFloat64:
		if len(d) < 9 {
			return false
		}
		v := Value{d[:9]}
		if v.Kind() == Float {
			return v.Float() >= plausibleFrom && v.Float() <= secondsMax
		}
		return v.Int() >= plausibleFrom && v.Int() <= secondsMax
	}
	return false
}

func hasMarker(b []byte) bool {
	return bytes.Contains(b, []byte{eventTimeType, 0xff, 0xff, 0xff, 0xff}) ||
		bytes.Contains(b, []byte{eventTimeType, 0xff, 0xff, 0xff, 0xfe})
}
