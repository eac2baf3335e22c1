package sketch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// ErrShort says that the data end before the state does.
var ErrShort = errors.New("the data end too early")

// Codec writes state to bytes or reads it back: one function per type serves
// both directions, so that the two cannot disagree. Integers are little
// endian and of fixed width; strings and lists are preceded by a 32-bit length.
//
// After a fault in reading, every call leaves its value alone; see Err.
type Codec struct {
	buf     []byte
	reading bool
	err     error
}

// NewWriter returns a Codec that appends to dst.
func NewWriter(dst []byte) *Codec { return &Codec{buf: dst} }

// NewReader returns a Codec that reads from data.
func NewReader(data []byte) *Codec { return &Codec{buf: data, reading: true} }

// Reading tells the direction.
func (c *Codec) Reading() bool { return c.reading }

// Bytes returns what was written, or what is left to read.
func (c *Codec) Bytes() []byte { return c.buf }

// Err returns the first fault.
func (c *Codec) Err() error { return c.err }

// Fail notes a fault found by the caller; the first one stays.
func (c *Codec) Fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

// take returns the next n bytes to read, or nil.
func (c *Codec) take(n int) []byte {
	if c.err != nil {
		return nil
	}
	if len(c.buf) < n {
		c.err = ErrShort
		return nil
	}
	b := c.buf[:n]
	c.buf = c.buf[n:]
	return b
}

// U64 passes an unsigned integer.
func (c *Codec) U64(v *uint64) {
	if !c.reading {
		c.buf = binary.LittleEndian.AppendUint64(c.buf, *v)
	} else if b := c.take(8); b != nil {
		*v = binary.LittleEndian.Uint64(b)
	}
}

// I64 passes a signed integer.
func (c *Codec) I64(v *int64) {
	u := uint64(*v)
	c.U64(&u)
	*v = int64(u)
}

// U32 passes an unsigned integer.
func (c *Codec) U32(v *uint32) {
	if !c.reading {
		c.buf = binary.LittleEndian.AppendUint32(c.buf, *v)
	} else if b := c.take(4); b != nil {
		*v = binary.LittleEndian.Uint32(b)
	}
}

// I32 passes a signed integer.
func (c *Codec) I32(v *int32) {
	u := uint32(*v)
	c.U32(&u)
	*v = int32(u)
}

// U16 passes an unsigned integer.
func (c *Codec) U16(v *uint16) {
	if !c.reading {
		c.buf = binary.LittleEndian.AppendUint16(c.buf, *v)
	} else if b := c.take(2); b != nil {
		*v = binary.LittleEndian.Uint16(b)
	}
}

// I16 passes a signed integer.
func (c *Codec) I16(v *int16) {
	u := uint16(*v)
	c.U16(&u)
	*v = int16(u)
}

// U8 passes a byte.
func (c *Codec) U8(v *uint8) {
	if !c.reading {
		c.buf = append(c.buf, *v)
	} else if b := c.take(1); b != nil {
		*v = b[0]
	}
}

// Bool passes a truth value; anything but 0 and 1 is a fault.
func (c *Codec) Bool(v *bool) {
	var b uint8
	if *v {
		b = 1
	}
	c.U8(&b)
	if b > 1 {
		c.Fail("got %d for a truth value; want 0 or 1", b)
		return
	}
	*v = b == 1
}

// F64 passes a finite number bit by bit; anything else is a fault.
func (c *Codec) F64(v *float64) {
	u := math.Float64bits(*v)
	c.U64(&u)
	f := math.Float64frombits(u)
	if c.reading && (math.IsNaN(f) || math.IsInf(f, 0)) {
		c.Fail("got the number %v; want a finite one", f)
		return
	}
	*v = f
}

// F32 passes a finite number bit by bit; anything else is a fault.
func (c *Codec) F32(v *float32) {
	u := math.Float32bits(*v)
	c.U32(&u)
	f := math.Float32frombits(u)
	if c.reading && (math.IsNaN(float64(f)) || math.IsInf(float64(f), 0)) {
		c.Fail("got the number %v; want a finite one", f)
		return
	}
	*v = f
}

// Len passes a length of at most limit and returns it: n when writing, what
// was read when reading, 0 after a fault. Each item takes at least one byte,
// so a length beyond the bytes left is refused before anything is allocated.
func (c *Codec) Len(n, limit int) int {
	u := uint32(n)
	c.U32(&u)
	if c.err != nil {
		return 0
	}
	if !c.reading {
		return n
	}
	if int64(u) > int64(limit) || int64(u) > int64(len(c.buf)) {
		c.Fail("got a list of %d; want at most %d within %d bytes", u, limit, len(c.buf))
		return 0
	}
	return int(u)
}

// Str passes a string of at most limit bytes.
func (c *Codec) Str(v *string, limit int) {
	n := c.Len(len(*v), limit)
	if !c.reading {
		c.buf = append(c.buf, *v...)
	} else if b := c.take(n); b != nil {
		*v = string(b)
	}
}

// Blob passes bytes of at most limit; what is read is a copy.
func (c *Codec) Blob(v *[]byte, limit int) {
	n := c.Len(len(*v), limit)
	if !c.reading {
		c.buf = append(c.buf, *v...)
	} else if b := c.take(n); b != nil {
		*v = append([]byte(nil), b...)
	}
}

// List passes a slice of at most limit items, item by item. A slice that is
// read replaces the old one.
func List[T any](c *Codec, s *[]T, limit int, item func(*Codec, *T)) {
	n := c.Len(len(*s), limit)
	if c.reading {
		if c.err != nil {
			return
		}
		*s = make([]T, 0, min(n, 4096))
		for i := 0; i < n && c.err == nil; i++ {
			var v T
			item(c, &v)
			*s = append(*s, v)
		}
		return
	}
	for i := range *s {
		item(c, &(*s)[i])
	}
}
