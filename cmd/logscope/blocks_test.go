package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// collect reads all lines of an input, copied, with the number of lines cut.
func collect(t *rapid.T, r io.Reader, live bool) (lines [][]byte, cut int) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	counted := &counter{from: r}
	reader := newBlockReader(ctx, &source{Reader: counted, read: counted, live: live})
	for {
		b := reader.next(ctx)
		for _, line := range b.lines {
			lines = append(lines, bytes.Clone(line))
		}
		cut += b.cut
		if b.err != nil {
			if !errors.Is(b.err, io.EOF) {
				t.Fatalf("got %v; want io.EOF", b.err)
			}
			return lines, cut
		}
		reader.recycle(b)
	}
}

// TestBlocksAreTheLines: however the input comes, its lines are those between the LFs; only what
// is over the limit of a line is missing.
func TestBlocksAreTheLines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lengths := rapid.SliceOfN(rapid.OneOf(
			rapid.IntRange(0, 100), rapid.IntRange(0, 100_000),
			rapid.SampledFrom([]int{lineBytesMax - 1, lineBytesMax, lineBytesMax + 1, 3*lineBytesMax + 5, blockBytes, blockBytes - 1}),
		), 0, 5).Draw(t, "lengths")
		if n := rapid.SampledFrom([]int{0, 0, 0, linesMax, 2*linesMax + 1}).Draw(t, "empty lines"); n > 0 {
			lengths = append(make([]int, n), lengths...)
		}
		endless := rapid.Bool().Draw(t, "no LF at the end")
		var data []byte
		var want [][]byte
		wantCut := 0
		for i, n := range lengths {
			line := bytes.Repeat([]byte{byte('a' + i%26)}, n)
			data = append(append(data, line...), '\n')
			if n > lineBytesMax {
				wantCut++
			}
			want = append(want, line[:min(n, lineBytesMax)])
		}
		if n := len(want); endless && n > 0 {
			data = data[:len(data)-1]
			if len(want[n-1]) == 0 {
				want = want[:n-1] // nothing after the last LF is no line
			}
		}
		var r io.Reader = bytes.NewReader(data)
		if rapid.Bool().Draw(t, "in halves") {
			r = iotest.HalfReader(r)
		}
		if rapid.Bool().Draw(t, "error with the last bytes") {
			r = iotest.DataErrReader(r)
		}
		got, cut := collect(t, r, rapid.Bool().Draw(t, "live"))
		if len(got) != len(want) || cut != wantCut {
			t.Fatalf("got %d lines, %d cut; want %d and %d", len(got), cut, len(want), wantCut)
		}
		for i := range want {
			if !bytes.Equal(got[i], want[i]) {
				t.Fatalf("line %d: got %d bytes; want %d", i, len(got[i]), len(want[i]))
			}
		}
	})
}

// TestLiveInputPauses: lines at hand are delivered when the writer pauses, the unfinished one when it is finished.
func TestLiveInputPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		in, writer := io.Pipe()
		counted := &counter{from: in}
		reader := newBlockReader(ctx, &source{Reader: counted, read: counted, live: true})
		started := time.Now()
		write := func(text string) {
			if _, err := io.WriteString(writer, text); err != nil {
				t.Error(err)
			}
		}
		write("one\ntwo\nthr")
		b := reader.next(ctx)
		if got := string(bytes.Join(b.lines, []byte("|"))); got != "one|two" || time.Since(started) != idleAfter {
			t.Errorf("got %q after %v; want one|two after %v", got, time.Since(started), idleAfter)
		}
		reader.recycle(b)
		go func() {
			write("ee\n")
			if err := writer.Close(); err != nil {
				t.Error(err)
			}
		}()
		b = reader.next(ctx)
		if got := string(bytes.Join(b.lines, []byte("|"))); got != "three" || !errors.Is(b.err, io.EOF) || b.read != 14 {
			t.Errorf("got %q, %v, %d bytes; want three, EOF, 14", got, b.err, b.read)
		}
		stop()
	})
}

// TestInterrupt: a read that never returns does not hold the command up.
func TestInterrupt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		in, writer := io.Pipe()
		counted := &counter{from: in}
		reader := newBlockReader(ctx, &source{Reader: counted, read: counted, live: true})
		go stop()
		if b := reader.next(ctx); b != nil && b.err == nil {
			t.Errorf("got a block of %d lines; want none", len(b.lines))
		}
		if err := writer.Close(); err != nil { // lets the goroutine end, for the test's sake
			t.Error(err)
		}
	})
}
