package loki

import "hash/maphash"

// Loki stores one of several entries of a stream that are equal in time and line
// (and, since 3.x, structured metadata). That makes a retry harmless, and
// swallows lines that a source wrote with times of a second's resolution. So
// each further entry of a chunk that repeats time and line is moved by a
// nanosecond: the n-th by n. The shift depends on the chunk alone, so a
// redelivered one still makes the same bytes.
// See docs/design/0003-duplicate-timestamps.md.

// run is the entries of one stream that came in a row with the same time.
type run struct {
	time int64
	open bool // there is one
	// starts says that the entry to be written next is its first.
	starts bool
	// first is the buffer that holds the run's first entry, at at: it is only hashed when a second
	// one comes. nil: it is in seen.
	first *[]byte
	at    int
	seen  map[uint64]uint32 // entries by the line's hash; two lines that share one cost a nanosecond, no entry
}

// runKeptMax is how many entries with the same time a kept map has room for, 20 bytes each.
const runKeptMax = 4096

// emptied returns seen for use by another batch, unless it is large.
func (r *run) emptied() map[uint64]uint32 {
	if len(r.seen) > runKeptMax {
		return nil
	}
	clear(r.seen)
	return r.seen
}

// shifted returns the time to store an entry with.
func (s *Stream) shifted(timeNs int64, line []byte) int64 {
	r := &s.run
	if !r.open || timeNs != r.time {
		*r = run{time: timeNs, open: true, starts: true, seen: r.seen}
		if len(r.seen) > 0 {
			clear(r.seen)
		}
		return timeNs
	}
	s.hashFirst()
	h := maphash.Bytes(s.t.b.seed, line)
	n := r.seen[h]
	r.seen[h] = n + 1
	if n > 0 {
		s.t.count.Repeats++
	}
	return timeNs + int64(n)
}

// begin notes that an entry is about to be written to the end of buf.
func (r *run) begin(buf *[]byte) {
	if r.starts {
		r.first, r.at, r.starts = buf, len(*buf), false
	}
}

// hashFirst puts the run's first entry into seen. It must be called before its buffer is emptied.
func (s *Stream) hashFirst() {
	r := &s.run
	if r.first == nil {
		return
	}
	if r.seen == nil {
		r.seen = map[uint64]uint32{}
	}
	r.seen[maphash.Bytes(s.t.b.seed, lineOf((*r.first)[r.at:]))] = 1
	r.first = nil
}

// lineOf returns the line of the first encoded entry in buf; empty where it has no such field.
func lineOf(buf []byte) []byte {
	_, msg, _, _, ok := cutField(buf)
	for ok && len(msg) > 0 {
		var tag byte
		var val []byte
		if tag, val, _, msg, ok = cutField(msg); ok && tag == tagLine {
			return val
		}
	}
	return nil
}
