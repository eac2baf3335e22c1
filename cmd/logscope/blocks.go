package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"
)

// Limits of reading.
const (
	// blockBytes is what is scored at once: like a Fluent Bit chunk, large
	// enough for templates to be settled before their lines are told. Cost: three blocks.
	blockBytes = 2 << 20
	// lineBytesMax is how much of a line is scored; what is longer counts as
	// one line all the same. Cost: a block grows by as much.
	lineBytesMax = 1 << 20
	// idleAfter is how long a live input may pause before the lines at hand
	// are scored. Long enough for a writer that is only slow, so that the
	// same input is cut into the same blocks.
	idleAfter = 300 * time.Millisecond
	// linesMax is how many lines a block has at most: 2 MiB of empty lines are two
	// million, and each takes some 250 bytes while it is scored. Cost: 16 MiB.
	linesMax = 64 << 10
	// pieceBytes is one read of a live input: what a pipe holds.
	pieceBytes = 64 << 10
)

// block is a number of whole lines. Its lines are valid until it is recycled.
type block struct {
	data  []byte
	lines [][]byte
	// cut counts lines longer than lineBytesMax.
	cut int
	// err ends the input: io.EOF or what went wrong. The lines before it are whole.
	err error
	// read is how many bytes of the file have been read so far.
	read int64
}

// blockReader cuts an input into blocks, one ahead of the consumer.
type blockReader struct {
	src    *source
	blocks chan *block
	free   chan *block
	pieces chan piece
	read   atomic.Int64
	// carry is what of the last block is no whole line, or was one line too many.
	carry []byte
	// err ends the input, once all its lines are delivered.
	err error
	// skipping says that carry is at its limit and the rest of its line is dropped.
	skipping bool
}

// piece is one read of a live input.
type piece struct {
	data []byte
	err  error
}

// newBlockReader starts reading; it ends with the input or with ctx.
func newBlockReader(ctx context.Context, src *source) *blockReader {
	r := &blockReader{src: src, blocks: make(chan *block), free: make(chan *block, 2)}
	r.free <- &block{data: make([]byte, 0, blockBytes)}
	r.free <- &block{data: make([]byte, 0, blockBytes)}
	if src.live {
		r.pieces = make(chan piece, blockBytes/pieceBytes)
		go r.readPieces(ctx)
	}
	go r.run(ctx)
	return r
}

// next returns the next block; its err is set in the last one. nil: ctx has ended.
func (r *blockReader) next(ctx context.Context) *block {
	select {
	case b := <-r.blocks:
		return b
	case <-ctx.Done():
		return nil
	}
}

// recycle gives a block back.
func (r *blockReader) recycle(b *block) { r.free <- b }

func (r *blockReader) run(ctx context.Context) {
	for {
		var b *block
		select {
		case b = <-r.free:
		case <-ctx.Done():
			return
		}
		r.fill(ctx, b)
		ended := b.err != nil
		select {
		case r.blocks <- b:
		case <-ctx.Done():
			return
		}
		if ended {
			return
		}
	}
}

// fill reads until the block is full and holds at least one line, or the input pauses or ends.
func (r *blockReader) fill(ctx context.Context, b *block) {
	b.data, b.lines, b.cut, b.err = append(b.data[:0], r.carry...), b.lines[:0], 0, nil
	r.carry = r.carry[:0]
	start, scanned := r.split(b, 0, 0) // of a block full of short lines, some are left
	for r.err == nil && len(b.lines) < linesMax && (len(b.data) < blockBytes || start == 0) {
		paused := r.more(ctx, b, start > 0)
		start, scanned = r.split(b, start, scanned)
		if paused {
			break
		}
	}
	if r.err != nil && scanned == len(b.data) {
		b.err = r.err
		if start < len(b.data) { // the last line needs no LF
			b.lines = append(b.lines, b.data[start:])
			if r.skipping {
				b.cut++
			}
			start = len(b.data)
		}
	}
	r.carry = append(r.carry, b.data[start:]...)
	b.read = r.read.Load()
}

// split finds the lines from start on, up to linesMax of a block; between
// start and scanned there is no LF. It returns where both are then: scanned is
// the end of the data unless lines are left. A line that grows over its limit
// loses its end, and only that.
func (r *blockReader) split(b *block, start, scanned int) (int, int) {
	for len(b.lines) < linesMax {
		lf := bytes.IndexByte(b.data[scanned:], '\n')
		if lf < 0 {
			if len(b.data)-start > lineBytesMax {
				b.data = b.data[:start+lineBytesMax]
				r.skipping = true
			}
			return start, len(b.data)
		}
		end := scanned + lf
		line := b.data[start:end]
		if r.skipping || len(line) > lineBytesMax {
			line = line[:min(len(line), lineBytesMax)]
			r.skipping = false
			b.cut++
		}
		b.lines = append(b.lines, line[:len(line):len(line)])
		start, scanned = end+1, end+1
	}
	return start, scanned
}

// more appends to the block's data. It says whether a live input pauses, for
// which it waits only if the block has something to deliver.
func (r *blockReader) more(ctx context.Context, b *block, deliverable bool) (paused bool) {
	if r.pieces != nil {
		return r.morePieces(ctx, b, deliverable)
	}
	if cap(b.data)-len(b.data) < pieceBytes {
		b.data = append(b.data, make([]byte, max(pieceBytes, blockBytes-len(b.data)))...)[:len(b.data)]
	}
	n, err := r.src.Read(b.data[len(b.data):cap(b.data)])
	b.data, r.err = b.data[:len(b.data)+n], err
	r.read.Store(r.src.read.n)
	return false
}

func (r *blockReader) morePieces(ctx context.Context, b *block, deliverable bool) (paused bool) {
	var idle <-chan time.Time
	if deliverable {
		timer := time.NewTimer(idleAfter)
		defer timer.Stop()
		idle = timer.C
	}
	select {
	case p := <-r.pieces:
		b.data, r.err = append(b.data, p.data...), p.err
		return false
	case <-idle:
		return true
	case <-ctx.Done():
		r.err = ctx.Err()
		return false
	}
}

// readPieces reads a live input as it comes. A read that blocks for ever does
// not hold the command up: it is left behind.
func (r *blockReader) readPieces(ctx context.Context) {
	for {
		data := make([]byte, pieceBytes)
		n, err := r.src.Read(data)
		r.read.Add(int64(n))
		select {
		case r.pieces <- piece{data[:n], err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// ended tells the regular end of an input from a fault.
func ended(err error) bool { return errors.Is(err, io.EOF) }
