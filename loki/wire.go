package loki

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"unicode/utf8"

	"github.com/klauspost/compress/s2"
)

// The wire format of a push (Loki's pkg/push/push.proto), by hand since linking
// the generated marshaller costs 10 MB:
//
//	PushRequest { Stream streams = 1; }                       0a len
//	Stream      { string labels = 1; Entry entries = 2; }     0a len, 12 len   (hash = 3 is never set)
//	Entry       { Timestamp ts = 1; string line = 2;          0a len, 12 len
//	              Pair structuredMetadata = 3; }              1a len
//	Timestamp   { int64 seconds = 1; int32 nanos = 2; }       08 varint, 10 varint
//	Pair        { string name = 1; string value = 2; }        0a len, 12 len
//
// As in any proto3, fields of zero value are left out.
const (
	tagStream    = 0x0a
	tagLabels    = 0x0a
	tagEntry     = 0x12
	tagTimestamp = 0x0a
	tagLine      = 0x12
	tagMetadata  = 0x1a
	tagSeconds   = 0x08
	tagNanos     = 0x10
	tagName      = 0x0a
	tagValue     = 0x12
)

// varintSize returns the bytes that v takes.
func varintSize(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

// fieldSize returns the bytes of a length-delimited field with n bytes in it.
func fieldSize(n int) int { return 1 + varintSize(uint64(n)) + n }

// stringSize is fieldSize for a string, which is left out when empty.
func stringSize(n int) int {
	if n == 0 {
		return 0
	}
	return fieldSize(n)
}

func appendString[S string | []byte](dst []byte, tag byte, s S) []byte {
	if len(s) == 0 {
		return dst
	}
	dst = append(dst, tag)
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

func pairSize(l Label) int { return stringSize(len(l.Name)) + stringSize(len(l.Value)) }

// unixParts splits a time in Unix nanoseconds as a Timestamp has it.
func unixParts(timeNs int64) (seconds, nanos int64) {
	seconds, nanos = timeNs/1e9, timeNs%1e9
	if nanos < 0 {
		seconds, nanos = seconds-1, nanos+1e9
	}
	return seconds, nanos
}

// entrySize returns the bytes of the Entry message, without its own tag and length.
func entrySize(timeNs int64, line int, metadata []Label) int {
	n := fieldSize(timestampSize(timeNs)) + stringSize(line)
	for i := range metadata {
		n += fieldSize(pairSize(metadata[i]))
	}
	return n
}

func timestampSize(timeNs int64) (n int) {
	seconds, nanos := unixParts(timeNs)
	if seconds != 0 {
		n += 1 + varintSize(uint64(seconds))
	}
	if nanos != 0 {
		n += 1 + varintSize(uint64(nanos))
	}
	return n
}

// appendEntry appends an entry as a field of its stream. size is entrySize's.
func appendEntry(dst []byte, size int, timeNs int64, line []byte, metadata []Label) []byte {
	dst = append(dst, tagEntry)
	dst = binary.AppendUvarint(dst, uint64(size))
	seconds, nanos := unixParts(timeNs)
	dst = append(dst, tagTimestamp, byte(timestampSize(timeNs)))
	if seconds != 0 {
		dst = append(dst, tagSeconds)
		dst = binary.AppendUvarint(dst, uint64(seconds))
	}
	if nanos != 0 {
		dst = append(dst, tagNanos)
		dst = binary.AppendUvarint(dst, uint64(nanos))
	}
	dst = appendString(dst, tagLine, line)
	for i := range metadata {
		dst = append(dst, tagMetadata)
		dst = binary.AppendUvarint(dst, uint64(pairSize(metadata[i])))
		dst = appendString(dst, tagName, metadata[i].Name)
		dst = appendString(dst, tagValue, metadata[i].Value)
	}
	return dst
}

// appendStream appends a stream as a field of the push; entries are encoded.
func appendStream(dst []byte, labels string, entries []byte) []byte {
	dst = append(dst, tagStream)
	dst = binary.AppendUvarint(dst, uint64(stringSize(len(labels))+len(entries)))
	dst = appendString(dst, tagLabels, labels)
	return append(dst, entries...)
}

// appendValidUTF8 appends line to dst with U+FFFD for what is not UTF-8, which
// Loki's ingesters refuse.
func appendValidUTF8(dst, line []byte) []byte {
	for len(line) > 0 {
		r, n := utf8.DecodeRune(line)
		if r == utf8.RuneError && n == 1 {
			dst = append(dst, "\uFFFD"...)
		} else {
			dst = append(dst, line[:n]...)
		}
		line = line[n:]
	}
	return dst
}

// streamView is a stream of a decoded push. Its slices are parts of the raw body.
type streamView struct {
	labels  []byte
	entries [][]byte // whole fields, tag and length included
}

var errWire = errors.New("not a push request")

// decodePush returns the streams of a push's body.
func decodePush(body []byte) ([]streamView, error) {
	n, err := s2.DecodedLen(body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errWire, err)
	}
	if n > rawBytesMax {
		return nil, fmt.Errorf("%w: %d bytes decompressed; limit %d", errWire, n, rawBytesMax)
	}
	raw, err := s2.Decode(nil, body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errWire, err)
	}
	var streams []streamView
	for len(raw) > 0 {
		tag, msg, _, rest, ok := cutField(raw)
		if !ok || tag != tagStream {
			return nil, errWire
		}
		s, ok := decodeStream(msg)
		if !ok {
			return nil, errWire
		}
		streams, raw = append(streams, s), rest
	}
	return streams, nil
}

func decodeStream(msg []byte) (s streamView, ok bool) {
	for len(msg) > 0 {
		tag, val, field, rest, ok := cutField(msg)
		switch {
		case !ok:
			return s, false
		case tag == tagLabels && s.labels == nil && s.entries == nil:
			s.labels = val
		case tag == tagEntry:
			s.entries = append(s.entries, field)
		default:
			return s, false
		}
		msg = rest
	}
	return s, true
}

// cutField cuts a length-delimited field off msg: its tag, value, the whole
// field, and what follows it.
func cutField(msg []byte) (tag byte, val, field, rest []byte, ok bool) {
	if len(msg) < 2 || msg[0]&7 != 2 {
		return 0, nil, nil, nil, false
	}
	n, w := binary.Uvarint(msg[1:])
	if w <= 0 || n > uint64(len(msg)-1-w) {
		return 0, nil, nil, nil, false
	}
	end := 1 + w + int(n)
	return msg[0], msg[1+w : end], msg[:end], msg[end:], true
}

// encodeViews encodes streams as a push like p.
func encodeViews(p Push, streams []streamView) Push {
	var raw, entries []byte
	out := Push{Tenant: p.Tenant, Alone: p.Alone}
	for _, s := range streams {
		entries = entries[:0]
		for _, e := range s.entries {
			entries = append(entries, e...)
		}
		raw = appendStream(raw, string(s.labels), entries)
		out.Entries += len(s.entries)
	}
	out.RawBytes = len(raw)
	out.Body = s2.EncodeSnappy(nil, raw)
	return out
}

// splitPush halves a push: between its streams where it has several, else
// between the entries of its stream. With one entry it returns p alone.
func splitPush(p Push) ([]Push, error) {
	streams, err := decodePush(p.Body)
	if err != nil {
		return nil, err
	}
	if len(streams) > 1 {
		at := middle(streams)
		return []Push{encodeViews(p, streams[:at]), encodeViews(p, streams[at:])}, nil
	}
	if len(streams) == 0 || len(streams[0].entries) < 2 {
		return []Push{p}, nil
	}
	s, half := streams[0], len(streams[0].entries)/2
	a, b := streamView{s.labels, s.entries[:half]}, streamView{s.labels, s.entries[half:]}
	return []Push{encodeViews(p, []streamView{a}), encodeViews(p, []streamView{b})}, nil
}

// middle returns the index of the stream nearest to the middle entry.
func middle(streams []streamView) int {
	total := 0
	for _, s := range streams {
		total += len(s.entries)
	}
	seen := 0
	for i, s := range streams[:len(streams)-1] {
		seen += len(s.entries)
		if 2*seen >= total {
			return i + 1
		}
	}
	return len(streams) - 1
}

// splitStreams returns one push per stream of p.
func splitStreams(p Push) ([]Push, error) {
	streams, err := decodePush(p.Body)
	if err != nil {
		return nil, err
	}
	out := make([]Push, len(streams))
	for i := range streams {
		out[i] = encodeViews(p, streams[i:i+1])
	}
	return out, nil
}

// withoutMetadata returns p with the structured metadata of its entries left
// out, and how many entries had some.
func withoutMetadata(p Push) (Push, int, error) {
	streams, err := decodePush(p.Body)
	if err != nil {
		return p, 0, err
	}
	stripped := 0
	for _, s := range streams {
		for i, field := range s.entries {
			e, had, ok := stripEntry(field)
			if !ok {
				return p, 0, errWire
			}
			if had {
				stripped++
				s.entries[i] = e
			}
		}
	}
	return encodeViews(p, streams), stripped, nil
}

func stripEntry(field []byte) (stripped []byte, had, ok bool) {
	_, msg, _, _, ok := cutField(field)
	if !ok {
		return nil, false, false
	}
	var kept []byte
	for len(msg) > 0 {
		tag, _, f, rest, ok := cutField(msg)
		if !ok {
			return nil, false, false
		}
		if tag == tagMetadata {
			had = true
		} else {
			kept = append(kept, f...)
		}
		msg = rest
	}
	if !had {
		return field, false, true
	}
	stripped = append(stripped, tagEntry)
	stripped = binary.AppendUvarint(stripped, uint64(len(kept)))
	return append(stripped, kept...), true, true
}
