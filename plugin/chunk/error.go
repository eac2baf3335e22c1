package chunk

import (
	"errors"
	"fmt"
)

// Causes of an Error.
var (
	// ErrTruncated: a value claims more bytes than the chunk has.
	ErrTruncated = errors.New("the chunk ends inside a value")
	// ErrCode: the byte 0xc1, which starts no msgpack value.
	ErrCode = errors.New("byte 0xc1 starts no msgpack value")
	// ErrDepth: containers nested deeper than DepthMax.
	ErrDepth = fmt.Errorf("values are nested deeper than %d", DepthMax)
	// ErrEvent: the value is not an array of two.
	ErrEvent = errors.New("an event is an array of two, this is not")
	// ErrTime: the time has none of the known forms, or is out of range.
	ErrTime = errors.New("no event time (ext type 0 of 8 bytes, positive integer or float)")
	// ErrMetadata: the metadata of a v2 header is neither a map nor nil.
	ErrMetadata = errors.New("the metadata of an event is a map, this is not")
	// ErrBody: the record is not a map.
	ErrBody = errors.New("the body of an event is a map, this is not")
)

// Error says where a chunk cannot be read, and why.
type Error struct {
	Record int   // where the record starts
	Offset int   // the byte that does not fit
	Cause  error // one of the Err values of this package
}

func (e *Error) Error() string {
	return fmt.Sprintf("cannot read the record at byte %d: byte %d: %v", e.Record, e.Offset, e.Cause)
}

func (e *Error) Unwrap() error { return e.Cause }
