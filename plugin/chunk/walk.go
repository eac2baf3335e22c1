package chunk

import (
	"encoding/binary"
	"errors"
	"io"

	"github.com/vmihailenco/msgpack/v5"
)

// DepthMax is how deep containers may be nested in an event, itself included.
// Kubernetes objects reach 8; it bounds the stack of every recursive walk
// (64 frames of about 150 bytes).
const DepthMax = 64

// Codes of the msgpack specification.
const (
	codeNil      = 0xc0
	codeNever    = 0xc1
	codeFalse    = 0xc2
	codeTrue     = 0xc3
	codeBin8     = 0xc4
	codeBin16    = 0xc5
	codeBin32    = 0xc6
	codeExt8     = 0xc7
	codeExt16    = 0xc8
	codeExt32    = 0xc9
	codeFloat32  = 0xca
	codeFloat64  = 0xcb
	codeUint8    = 0xcc
	codeUint16   = 0xcd
	codeUint32   = 0xce
	codeUint64   = 0xcf
	codeInt8     = 0xd0
	codeInt16    = 0xd1
	codeInt32    = 0xd2
	codeInt64    = 0xd3
	codeFixExt1  = 0xd4
	codeFixExt8  = 0xd7
	codeFixExt16 = 0xd8
	codeStr8     = 0xd9
	codeStr16    = 0xda
	codeStr32    = 0xdb
	codeArray16  = 0xdc
	codeArray32  = 0xdd
	codeMap16    = 0xde
	codeMap32    = 0xdf
)

func isMap(c byte) bool   { return c&0xf0 == 0x80 || c == codeMap16 || c == codeMap32 }
func isArray(c byte) bool { return c&0xf0 == 0x90 || c == codeArray16 || c == codeArray32 }

// walker finds the end of values, checking every byte that says a length. The
// types that log records are made of are read by hand; the others, and whatever
// does not fit, by the msgpack decoder over the same bytes.
type walker struct {
	data []byte
	src  source
	dec  *msgpack.Decoder
}

func (w *walker) reset(data []byte) {
	w.data = data
	w.src = source{data: data}
}

// value returns the end of the value at pos, which lies in depth containers,
// or the offset of the byte that does not fit and why.
func (w *walker) value(pos, depth int) (int, error) {
	data := w.data
	if pos >= len(data) {
		return len(data), ErrTruncated
	}
	start, children := pos, 0
	switch c := data[pos]; {
	case c < 0x80 || c >= 0xe0:
		return pos + 1, nil
	case c < 0x90:
		pos, children = pos+1, 2*int(c&0x0f)
	case c < 0xa0:
		pos, children = pos+1, int(c&0x0f)
	case c < 0xc0:
		pos += 1 + int(c&0x1f)
	case c == codeStr8 && pos+1 < len(data):
		pos += 2 + int(data[pos+1])
	case c == codeStr16 && pos+2 < len(data):
		pos += 3 + int(binary.BigEndian.Uint16(data[pos+1:]))
	case c == codeMap16 && pos+2 < len(data):
		pos, children = pos+3, 2*int(binary.BigEndian.Uint16(data[pos+1:]))
	case c == codeArray16 && pos+2 < len(data):
		pos, children = pos+3, int(binary.BigEndian.Uint16(data[pos+1:]))
	case c == codeNil || c == codeFalse || c == codeTrue:
		return pos + 1, nil
	case c >= codeUint8 && c <= codeUint64:
		pos += 1 + 1<<(c-codeUint8)
	case c >= codeInt8 && c <= codeInt64:
		pos += 1 + 1<<(c-codeInt8)
	case c == codeFloat64:
		pos += 9
	default:
		return w.general(start, depth)
	}
	if pos > len(data) || children > len(data)-pos || depth >= DepthMax {
		return w.general(start, depth)
	}
	for ; children > 0; children-- {
		if pos >= len(data) {
			return len(data), ErrTruncated
		}
		// Short strings are most keys and values: not worth a call.
		if c := data[pos]; c >= 0xa0 && c < 0xc0 && pos+32 <= len(data) {
			pos += 1 + int(c&0x1f)
			continue
		}
		var cause error
		if pos, cause = w.value(pos, depth+1); cause != nil {
			return pos, cause
		}
	}
	return pos, nil
}

// general is value for every type, on the msgpack decoder: lengths come from
// it, payloads are stepped over.
func (w *walker) general(pos, depth int) (int, error) {
	if w.dec == nil {
		w.dec = msgpack.NewDecoder(&w.src)
	}
	w.src.pos = pos
	return w.decode(depth)
}

func (w *walker) decode(depth int) (int, error) {
	start := w.src.pos
	c, err := w.dec.PeekCode()
	if err != nil {
		return w.faulty(start, err)
	}
	n, children := 0, 0
	switch {
	case c == codeNever:
		return start, ErrCode
	case isMap(c):
		children, err = w.dec.DecodeMapLen()
		children *= 2
	case isArray(c):
		children, err = w.dec.DecodeArrayLen()
	case isStr(c), isBin(c):
		n, err = w.dec.DecodeBytesLen()
	case isExt(c):
		_, n, err = w.dec.DecodeExtHeader()
	default:
		err = w.dec.Skip() // nil, booleans and numbers: at most 8 bytes
	}
	if err != nil {
		return w.faulty(start, err)
	}
	left := len(w.data) - w.src.pos
	// Every child takes a byte: a length that cannot be true fails here,
	// before anything is read for it.
	if n > left || children > left {
		return start, ErrTruncated
	}
	if (isMap(c) || isArray(c)) && depth >= DepthMax {
		return start, ErrDepth
	}
	w.src.pos += n
	for ; children > 0; children-- {
		if at, cause := w.decode(depth + 1); cause != nil {
			return at, cause
		}
	}
	return w.src.pos, nil
}

func (w *walker) faulty(at int, err error) (int, error) {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return at, ErrTruncated
	}
	return at, err
}

// source lets the msgpack decoder read data without a buffer of its own.
type source struct {
	data []byte
	pos  int
}

func (s *source) Read(p []byte) (int, error) {
	if s.pos >= len(s.data) {
		return 0, io.EOF
	}
	n := copy(p, s.data[s.pos:])
	s.pos += n
	return n, nil
}

func (s *source) ReadByte() (byte, error) {
	if s.pos >= len(s.data) {
		return 0, io.EOF
	}
	s.pos++
	return s.data[s.pos-1], nil
}

func (s *source) UnreadByte() error {
	s.pos--
	return nil
}
