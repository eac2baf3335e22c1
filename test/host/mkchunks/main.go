// Command mkchunks turns lines of text into a chunk file for the test host, as
// Fluent Bit's tail input does: records {"log": line} in chunks of about 2 MB.
//
//	mkchunks -tag app.log -o app.chunks app.log
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/logscope/logscope/plugin/chunk"
	"github.com/logscope/logscope/test/host/chunkfile"
)

type options struct {
	tag, key   string
	chunkBytes int
	start      time.Time
	step       time.Duration
	v1         bool
}

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintf(os.Stderr, "mkchunks: %v\n", err)
		}
		os.Exit(1)
	}
}

func run(args []string, stdin io.Reader, stdout io.Writer) error {
	flags := flag.NewFlagSet("mkchunks", flag.ContinueOnError)
	opt := options{}
	flags.StringVar(&opt.tag, "tag", "", "tag of the chunks; empty: the host's --tag")
	flags.StringVar(&opt.key, "key", "log", "key of the line in the record")
	flags.IntVar(&opt.chunkBytes, "chunk-bytes", 2_000_000, "bytes at which a chunk is closed")
	flags.DurationVar(&opt.step, "step", time.Microsecond, "time between two records")
	flags.BoolVar(&opt.v1, "v1", false, "events without metadata, as before Fluent Bit 2.1")
	start := flags.String("time", "now", "time of the first record: now, or RFC 3339")
	output := flags.String("o", "-", "chunk file to write")
	if err := flags.Parse(args); err != nil {
		return err
	}
	opt.start = time.Now()
	if *start != "now" {
		var err error
		if opt.start, err = time.Parse(time.RFC3339Nano, *start); err != nil {
			return fmt.Errorf("cannot read -time %q: want now or a time like 2026-01-02T15:04:05Z", *start)
		}
	}
	if *output == "-" {
		return convert(opt, flags.Args(), stdin, stdout)
	}
	file, err := os.Create(*output)
	if err != nil {
		return fmt.Errorf("cannot write chunk file: %w", err)
	}
	return errors.Join(convert(opt, flags.Args(), stdin, file), file.Close())
}

func convert(opt options, names []string, stdin io.Reader, out io.Writer) error {
	buffered := bufio.NewWriterSize(out, 1<<20)
	w := &chunker{options: opt, out: buffered}
	if err := eachFile(names, stdin, w.file); err != nil {
		return err
	}
	if err := w.close(); err != nil {
		return err
	}
	return buffered.Flush()
}

func eachFile(names []string, stdin io.Reader, do func(io.Reader) error) error {
	if len(names) == 0 {
		return do(stdin)
	}
	for _, name := range names {
		file, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("cannot read lines: %w", err)
		}
		err = do(file)
		file.Close()
		if err != nil {
			return fmt.Errorf("cannot convert %q: %w", name, err)
		}
	}
	return nil
}

// chunker collects lines into a chunk and writes it when it is full.
type chunker struct {
	options
	out   io.Writer
	chunk chunk.Writer
	n     int64
}

func (c *chunker) file(r io.Reader) error {
	lines := bufio.NewReaderSize(r, 1<<16)
	for {
		line, err := lines.ReadString('\n')
		if len(line) > 0 {
			if err := c.line(strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (c *chunker) line(line string) error {
	nanos := c.start.UnixNano() + c.n*int64(c.step)
	c.n++
	if c.v1 {
		if err := c.chunk.AppendRecordV1(nanos, chunk.Pairs{c.key, line}); err != nil {
			return err
		}
	} else {
		c.chunk.AppendLine(nanos, c.key, line)
	}
	if len(c.chunk.Buf) >= c.chunkBytes {
		return c.close()
	}
	return nil
}

func (c *chunker) close() error {
	if len(c.chunk.Buf) == 0 {
		return nil
	}
	err := chunkfile.Write(c.out, c.tag, c.chunk.Buf)
	c.chunk.Buf = c.chunk.Buf[:0]
	return err
}
