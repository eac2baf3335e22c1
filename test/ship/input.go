package main

import (
	"bufio"
	"os"
	"path/filepath"
	"time"

	"github.com/logscope/logscope/plugin/chunk"
	"github.com/logscope/logscope/test/demo/shoplog"
	"github.com/logscope/logscope/test/host/chunkfile"
)

// input is the same lines twice: as chunks for the host and as a file to tail.
type input struct {
	lines, bytes int
	chunks, text string
}

// prepare repeats the recording, one repetition after the other in time, until
// there are enough lines.
func prepare(dir string, lines int) (*input, error) {
	rec, err := shoplog.Load(0)
	if err != nil {
		return nil, err
	}
	first, last := rec.Span()
	period := last.Sub(first) + time.Second
	repeats := lines/rec.Count() + 1
	in := &input{chunks: filepath.Join(dir, "lines.chunks"), text: filepath.Join(dir, "lines.log")}
	chunks, err := os.Create(in.chunks)
	if err != nil {
		return nil, err
	}
	defer chunks.Close()
	text, err := os.Create(in.text)
	if err != nil {
		return nil, err
	}
	defer text.Close()
	w := &writer{in: in, max: lines, chunks: bufio.NewWriterSize(chunks, 1<<20), text: bufio.NewWriterSize(text, 1<<20)}
	begin := time.Now().Add(-time.Duration(repeats) * period)
	for n := range repeats {
		shift := begin.Add(time.Duration(n) * period).Sub(first)
		moved, err := shoplog.Load(shift)
		if err != nil {
			return nil, err
		}
		for i := range moved.Logs {
			if err := w.log(&moved.Logs[i]); err != nil {
				return nil, err
			}
		}
	}
	if err := w.chunks.Flush(); err != nil {
		return nil, err
	}
	return in, w.text.Flush()
}

type writer struct {
	in           *input
	max          int
	chunks, text *bufio.Writer
}

// log writes one service's lines, in chunks of its own tag as tail makes them.
func (w *writer) log(log *shoplog.Log) error {
	var events chunk.Writer
	for i := range log.Lines {
		line := &log.Lines[i]
		if w.in.lines >= w.max {
			break
		}
		events.AppendLine(line.Time.UnixNano(), "log", line.Text)
		if _, err := w.text.WriteString(line.Text + "\n"); err != nil {
			return err
		}
		w.in.lines++
		w.in.bytes += len(line.Text) + 1
		if len(events.Buf) >= shoplog.ChunkBytes {
			if err := chunkfile.Write(w.chunks, log.Name, events.Buf); err != nil {
				return err
			}
			events.Buf = events.Buf[:0]
		}
	}
	if len(events.Buf) == 0 {
		return nil
	}
	return chunkfile.Write(w.chunks, log.Name, events.Buf)
}
