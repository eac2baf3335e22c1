// Package chunk reads Fluent Bit chunks: msgpack events as an output plugin
// receives them. It decodes over the chunk's own memory: every slice it
// returns aliases the chunk and is valid as long as the chunk is.
//
// A chunk is a plain sequence of events without a header, a count or a
// checksum:
//
//	v1      [time, body]
//	v2      [[time, metadata], body]
//	time    ext type 0 (4 bytes seconds, 4 bytes nanoseconds, big endian),
//	        a positive integer (seconds) or a float (seconds)
//	marker  an event whose seconds are 0xFFFFFFFF (a group opens: its
//	        metadata and body describe the records that follow) or
//	        0xFFFFFFFE (the group closes)
//
// So damage has to be noticed by decoding, and found again by looking for
// bytes that read as an event: see Error and Reader.Resync.
package chunk

import (
	"io"
)

// Record is one log record. Its values alias the chunk.
type Record struct {
	// Time is Unix nanoseconds.
	Time int64
	// Body is the record's map.
	Body Value
	// Metadata is the map of a v2 header, of Kind Nil for v1.
	Metadata Value
	// Group is what the enclosing group says, nil outside of one. The records
	// of a group share it; it stays valid as long as the chunk.
	Group *Group
}

// Group is the content of the marker that opened a group, for instance a Body
// of {resource: {attributes: {...}}, scope: {...}} from OpenTelemetry input.
type Group struct {
	Metadata, Body Value
}

// Reader walks over the events of one chunk. It must not be copied, and serves
// one goroutine at a time. Reading allocates nothing per record; a group
// costs one Group.
type Reader struct {
	data   []byte
	off    int
	group  *Group
	walk   walker
	failed *Error // sticky until Resync
	budget int    // bytes that looking behind damage may still read
}

// NewReader returns a Reader at the first event of data.
func NewReader(data []byte) *Reader {
	r := &Reader{}
	r.Reset(data)
	return r
}

// Reset starts over at the first event of data.
func (r *Reader) Reset(data []byte) {
	r.data, r.off, r.group, r.failed = data, 0, nil, nil
	r.budget = resyncBudgetFactor * len(data)
	r.walk.reset(data)
}

// Offset is the position of the next byte to read: the end of the last record,
// or the start of the one that could not be read.
func (r *Reader) Offset() int { return r.off }

// Next fills rec with the next record. It returns io.EOF at the end, and an
// *Error where the bytes cannot be read as a record: the same one until Resync
// is called. Group markers are consumed; they set rec.Group for what follows.
func (r *Reader) Next(rec *Record) error {
	if r.failed != nil {
		return r.failed
	}
	for r.off < len(r.data) {
		var ev event
		end, cause := r.walk.event(r.off, &ev)
		if cause != nil {
			return r.fail(end, cause)
		}
		r.off = end
		switch ev.mark {
		case markOpen:
			r.group = &Group{Metadata: ev.metadata, Body: ev.body}
		case markClose:
			r.group = nil
		default:
			rec.Time, rec.Body, rec.Metadata, rec.Group = ev.nanos, ev.body, ev.metadata, r.group
			return nil
		}
	}
	return io.EOF
}

func (r *Reader) fail(at int, cause error) error {
	r.failed = &Error{Record: r.off, Offset: at, Cause: cause}
	r.budget -= at - r.off
	return r.failed
}
