package loki

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/klauspost/compress/s2"
	"google.golang.org/protobuf/encoding/protowire"
)

// Decoded is a push that another sender wrote, taken apart without copying.
// Its slices are parts of the raw bytes given to Read, and valid as long.
type Decoded struct {
	Streams []DecodedStream
	Entries []DecodedEntry // of all streams, in order
	// StreamsMax and EntriesMax bound what Read takes apart, 100 bytes for each: two bytes of a push can be an
	// entry. 0: no bound.
	StreamsMax, EntriesMax int
}

// ErrTooMany is of a push with more streams or entries than are taken apart.
var ErrTooMany = errors.New("too many streams or entries in one push")

// DecodedStream is one stream of a Decoded.
type DecodedStream struct {
	Labels []byte // as the sender wrote them
	// First and End bound its entries in Decoded.Entries.
	First, End int
	field      []byte // the whole field, tag and length included
	rest       []byte // fields that are neither labels nor entries, such as the hash
}

// DecodedEntry is one entry of a Decoded.
type DecodedEntry struct {
	TimeNs int64
	Line   []byte
	Pairs  int // of structured metadata
	field  []byte
	msg    []byte
}

// errDecoded is of bytes that are no push request.
var errDecoded = errors.New("not a push request")

const (
	fieldsEnd  = 1 << 29
	wireBytes  = 2
	wireVarint = 0
)

// Read takes raw, a PushRequest as protobuf, apart. What came before is gone.
// It takes what Loki's own decoder takes: fields in any order, the last of
// several that may stand once, unknown ones anywhere.
func (d *Decoded) Read(raw []byte) error {
	clear(d.Streams)
	clear(d.Entries)
	d.Streams, d.Entries = d.Streams[:0], d.Entries[:0]
	for len(raw) > 0 {
		f, err := cutAny(raw)
		if err != nil {
			return err
		}
		if f.number == 1 {
			if f.wire != wireBytes {
				return fmt.Errorf("%w: streams of wire type %d", errDecoded, f.wire)
			}
			if err := d.stream(f); err != nil {
				return err
			}
		}
		raw = raw[len(f.all):]
	}
	return nil
}

// anyField is a field of any kind. val is the payload of a length-delimited one.
type anyField struct {
	number int
	wire   int
	varint uint64
	val    []byte
	all    []byte // tag and length included
}

// cutAny cuts the field that b begins with.
func cutAny(b []byte) (f anyField, err error) {
	tag, w := binary.Uvarint(b)
	if w <= 0 || tag>>3 == 0 || tag>>3 >= fieldsEnd {
		return f, fmt.Errorf("%w: bad tag", errDecoded)
	}
	f.number, f.wire = int(tag>>3), int(tag&7)
	switch f.wire {
	case wireVarint:
		v, n := binary.Uvarint(b[w:])
		if n <= 0 {
			return f, fmt.Errorf("%w: bad number", errDecoded)
		}
		f.varint, f.all = v, b[:w+n]
	case wireBytes:
		size, n := binary.Uvarint(b[w:])
		if n <= 0 || size > uint64(len(b)-w-n) {
			return f, fmt.Errorf("%w: a field is longer than what holds it", errDecoded)
		}
		end := w + n + int(size)
		f.val, f.all = b[w+n:end:end], b[:end]
	default:
		n := protowire.ConsumeFieldValue(protowire.Number(f.number), protowire.Type(f.wire), b[w:])
		if n < 0 {
			return f, fmt.Errorf("%w: %w", errDecoded, protowire.ParseError(n))
		}
		f.all = b[:w+n]
	}
	return f, nil
}

func (d *Decoded) stream(f anyField) error {
	s := DecodedStream{First: len(d.Entries), field: f.all}
	for msg := f.val; len(msg) > 0; {
		f, err := cutAny(msg)
		if err != nil {
			return err
		}
		switch {
		case f.number <= 2 && f.wire != wireBytes, f.number == 3 && f.wire != wireVarint:
			return fmt.Errorf("%w: field %d of a stream has wire type %d", errDecoded, f.number, f.wire)
		case f.number == 1:
			s.Labels = f.val
		case f.number == 2:
			if err := d.entry(f); err != nil {
				return err
			}
		default:
			s.rest = append(s.rest, f.all...)
		}
		msg = msg[len(f.all):]
	}
	s.End = len(d.Entries)
	d.Streams = append(d.Streams, s)
	if d.StreamsMax > 0 && len(d.Streams) > d.StreamsMax {
		return fmt.Errorf("%w: more than %d streams", ErrTooMany, d.StreamsMax)
	}
	return nil
}

func (d *Decoded) entry(f anyField) error {
	e := DecodedEntry{field: f.all, msg: f.val}
	for msg := f.val; len(msg) > 0; {
		f, err := cutAny(msg)
		if err != nil {
			return err
		}
		if f.number <= 4 && f.wire != wireBytes {
			return fmt.Errorf("%w: field %d of an entry has wire type %d", errDecoded, f.number, f.wire)
		}
		switch f.number {
		case 1:
			if e.TimeNs, err = readTimestamp(f.val); err != nil {
				return err
			}
		case 2:
			e.Line = f.val
		case 3:
			if err := checkPair(f.val); err != nil {
				return err
			}
			e.Pairs++
		}
		msg = msg[len(f.all):]
	}
	d.Entries = append(d.Entries, e)
	if d.EntriesMax > 0 && len(d.Entries) > d.EntriesMax {
		return fmt.Errorf("%w: more than %d entries", ErrTooMany, d.EntriesMax)
	}
	return nil
}

// readTimestamp reads google.protobuf.Timestamp. Seconds beyond what
// nanoseconds can hold wrap around, as they do in Go's time: they only serve scoring.
func readTimestamp(msg []byte) (int64, error) {
	var seconds, nanos int64
	for len(msg) > 0 {
		f, err := cutAny(msg)
		if err != nil {
			return 0, err
		}
		if f.number <= 2 && f.wire != wireVarint {
			return 0, fmt.Errorf("%w: a timestamp of wire type %d", errDecoded, f.wire)
		}
		switch f.number {
		case 1:
			seconds = int64(f.varint)
		case 2:
			nanos = int64(int32(f.varint))
		}
		msg = msg[len(f.all):]
	}
	return seconds*1e9 + nanos, nil
}

// checkPair finds what Loki would not read.
func checkPair(msg []byte) error {
	for len(msg) > 0 {
		f, err := cutAny(msg)
		if err != nil {
			return err
		}
		if f.number <= 2 && f.wire != wireBytes {
			return fmt.Errorf("%w: structured metadata of wire type %d", errDecoded, f.wire)
		}
		msg = msg[len(f.all):]
	}
	return nil
}

// AppendStream appends a stream of d as it came to dst, a push being written.
func (d *Decoded) AppendStream(dst []byte, stream int) []byte {
	return append(dst, d.Streams[stream].field...)
}

// AppendStreamOf appends a stream of d with other labels and entries. entries
// are fields as AppendEntry writes them.
func (d *Decoded) AppendStreamOf(dst []byte, stream int, entries []byte) []byte {
	s := &d.Streams[stream]
	dst = append(dst, tagStream)
	dst = binary.AppendUvarint(dst, uint64(stringSize(len(s.Labels))+len(entries)+len(s.rest)))
	dst = appendString(dst, tagLabels, s.Labels)
	dst = append(dst, entries...)
	return append(dst, s.rest...)
}

// AppendStreamOf appends a stream of entries, as AppendEntry writes them, to
// dst, a push being written. labels are in canonical form.
func AppendStreamOf(dst []byte, labels string, entries []byte) []byte {
	return appendStream(dst, labels, entries)
}

// AppendEntry appends e to dst, the entries of a stream being written: as it
// came, or with more structured metadata, and with another line where that is
// not nil. Names and values are the caller's to make valid.
func (e *DecodedEntry) AppendEntry(dst, line []byte, more []Label) []byte {
	if line == nil && len(more) == 0 {
		return append(dst, e.field...)
	}
	size := len(e.msg)
	if line != nil {
		size += stringSize(len(line)) - e.lineFields()
	}
	for i := range more {
		size += fieldSize(pairSize(more[i]))
	}
	dst = append(dst, tagEntry)
	dst = binary.AppendUvarint(dst, uint64(size))
	if line == nil {
		dst = append(dst, e.msg...)
	} else {
		dst = appendString(e.appendWithoutLine(dst), tagLine, line)
	}
	for i := range more {
		dst = append(dst, tagMetadata)
		dst = binary.AppendUvarint(dst, uint64(pairSize(more[i])))
		dst = appendString(dst, tagName, more[i].Name)
		dst = appendString(dst, tagValue, more[i].Value)
	}
	return dst
}

// lineFields is how many bytes of e its line takes, all of several.
func (e *DecodedEntry) lineFields() (n int) {
	for msg := e.msg; len(msg) > 0; {
		f, err := cutAny(msg)
		if err != nil {
			return n // Read has seen it whole
		}
		if f.number == 2 {
			n += len(f.all)
		}
		msg = msg[len(f.all):]
	}
	return n
}

func (e *DecodedEntry) appendWithoutLine(dst []byte) []byte {
	for msg := e.msg; len(msg) > 0; {
		f, err := cutAny(msg)
		if err != nil {
			return dst
		}
		if f.number != 2 {
			dst = append(dst, f.all...)
		}
		msg = msg[len(f.all):]
	}
	return dst
}

// Compress returns raw as a body of a push: a snappy block.
func Compress(raw []byte) []byte { return s2.EncodeSnappy(nil, raw) }

// ErrTooLarge is of a body that would decompress to more than is allowed.
var ErrTooLarge = errors.New("decompressed, the body is too large")

// Decompress returns what a snappy block holds. The size that it gives is
// checked against max, and against what the block can hold at all, before
// memory is taken for it.
func Decompress(block []byte, max int) ([]byte, error) {
	n, err := s2.DecodedLen(block)
	if err != nil {
		return nil, fmt.Errorf("cannot decompress snappy: %w", err)
	}
	if n > max {
		return nil, fmt.Errorf("%w: %d bytes; at most %d", ErrTooLarge, n, max)
	}
	raw, err := s2.Decode(nil, block)
	if err != nil {
		return nil, fmt.Errorf("cannot decompress snappy: %w", err)
	}
	return raw, nil
}

// DecompressedSize is what Decompress will need for block.
func DecompressedSize(block []byte) (int, error) { return s2.DecodedLen(block) }

// RawPush writes a push entry by entry, uncompressed and without a change to
// any: for what came in another format. The zero value is ready for use.
type RawPush struct {
	streams map[string]*RawStream
	order   []*RawStream
}

// RawStream is one stream of a RawPush.
type RawStream struct {
	labels  string
	entries []byte
}

// Stream returns the stream with these labels, in canonical form.
func (p *RawPush) Stream(labels string) *RawStream {
	if s := p.streams[labels]; s != nil {
		return s
	}
	if p.streams == nil {
		p.streams = map[string]*RawStream{}
	}
	s := &RawStream{labels: labels}
	p.streams[labels] = s
	p.order = append(p.order, s)
	return s
}

// Append adds an entry.
func (s *RawStream) Append(timeNs int64, line []byte, metadata []Label) {
	s.entries = appendEntry(s.entries, entrySize(timeNs, len(line), metadata), timeNs, line, metadata)
}

// AppendTo appends the push as protobuf, streams in order of appearance.
func (p *RawPush) AppendTo(dst []byte) []byte {
	for _, s := range p.order {
		dst = appendStream(dst, s.labels, s.entries)
	}
	return dst
}

// AppendNewEntry appends an entry of our own to dst, the entries of a stream being written.
func AppendNewEntry(dst []byte, timeNs int64, line []byte, metadata []Label) []byte {
	return appendEntry(dst, entrySize(timeNs, len(line), metadata), timeNs, line, metadata)
}

// MetadataBytes bounds what the entry's structured metadata takes.
func (e *DecodedEntry) MetadataBytes() int { return len(e.msg) - len(e.Line) }

// Metadata returns the entry's structured metadata.
func (e *DecodedEntry) Metadata() (pairs []Label) {
	for msg := e.msg; len(msg) > 0; {
		f, err := cutAny(msg)
		if err != nil {
			return pairs // Read has seen it whole
		}
		if f.number == 3 {
			pairs = append(pairs, readPair(f.val))
		}
		msg = msg[len(f.all):]
	}
	return pairs
}

func readPair(msg []byte) (l Label) {
	for len(msg) > 0 {
		f, err := cutAny(msg)
		if err != nil {
			return l
		}
		switch f.number {
		case 1:
			l.Name = string(f.val)
		case 2:
			l.Value = string(f.val)
		}
		msg = msg[len(f.all):]
	}
	return l
}
