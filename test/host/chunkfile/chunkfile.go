// Package chunkfile reads and writes the files of chunks that the test host
// flushes: frames, one after the other, each
//
//	uint32 LE  bytes of the chunk (at most 256 MiB)
//	uint16 LE  bytes of the tag
//	tag        empty: the reader's default
//	chunk      msgpack events, as Fluent Bit passes them to an output
package chunkfile

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// ChunkBytesMax is the most a frame may hold. The first four bytes of any text
// say more, so a log file is not taken for a chunk file.
const ChunkBytesMax = 256 << 20

// Write appends one frame to w.
func Write(w io.Writer, tag string, chunk []byte) error {
	if len(tag) > math.MaxUint16 || len(chunk) > ChunkBytesMax {
		return fmt.Errorf("cannot write a frame with a tag of %d and a chunk of %d bytes: at most %d and %d", len(tag), len(chunk), math.MaxUint16, ChunkBytesMax)
	}
	head := binary.LittleEndian.AppendUint32(nil, uint32(len(chunk)))
	head = binary.LittleEndian.AppendUint16(head, uint16(len(tag)))
	for _, part := range [][]byte{head, []byte(tag), chunk} {
		if _, err := w.Write(part); err != nil {
			return fmt.Errorf("cannot write a frame: %w", err)
		}
	}
	return nil
}

// Read returns the next frame of r, or io.EOF behind the last.
func Read(r io.Reader) (tag string, chunk []byte, err error) {
	var head [6]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		if err == io.EOF {
			return "", nil, io.EOF
		}
		return "", nil, fmt.Errorf("cannot read a frame's head: %w", err)
	}
	size := binary.LittleEndian.Uint32(head[:])
	if size > ChunkBytesMax {
		return "", nil, fmt.Errorf("cannot read a frame: it claims %d bytes, more than %d; is this a chunk file?", size, ChunkBytesMax)
	}
	tagBytes := make([]byte, binary.LittleEndian.Uint16(head[4:]))
	if _, err := io.ReadFull(r, tagBytes); err != nil {
		return "", nil, fmt.Errorf("cannot read a frame's tag: %w", cut(err))
	}
	chunk, err = io.ReadAll(io.LimitReader(r, int64(size)))
	if err == nil && len(chunk) < int(size) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return "", nil, fmt.Errorf("cannot read a frame's chunk: got %d bytes; want %d: %w", len(chunk), size, err)
	}
	return string(tagBytes), chunk, nil
}

func cut(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
