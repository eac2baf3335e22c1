package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/logscope/logscope/cmd/logscope/internal/genlog"
)

// Times of the connection that lines are sent over.
const (
	dialTimeout  = 5 * time.Second
	redialAfter  = 100 * time.Millisecond // doubles up to
	redialAtMost = 5 * time.Second
	writeTimeout = 10 * time.Second // a receiver that takes nothing for so long is called anew
)

// logOut is where generated lines go.
type logOut interface {
	// write takes the lines of one record and says where the first stands. They are seen after flush at the latest.
	write(ctx context.Context, service string, lines []byte) (place, error)
	flush(ctx context.Context) error
	close() error
}

func openLogOut(output, tcp string, term terminal) (logOut, error) {
	if tcp != "" {
		if _, _, err := net.SplitHostPort(tcp); err != nil {
			return nil, usageError(fmt.Errorf("got --tcp %q; want host:port", tcp))
		}
		return &tcpOut{address: tcp, term: term}, nil
	}
	if output == "-" {
		return &fileOut{name: "-", out: bufio.NewWriterSize(term.out, outBytes)}, nil
	}
	info, err := os.Stat(output)
	if !strings.HasSuffix(output, "/") && (err != nil || !info.IsDir()) {
		return openFileOut(output)
	}
	if err := os.MkdirAll(output, 0o755); err != nil {
		return nil, fmt.Errorf("cannot create the directory %q: %w", output, cause(err))
	}
	d := &dirOut{}
	for _, service := range genlog.Services() {
		file, err := openFileOut(filepath.Join(output, service+".log"))
		if err != nil {
			return nil, errors.Join(err, d.close())
		}
		d.files = append(d.files, file)
	}
	return d, nil
}

// fileOut writes to a file, or to standard output.
type fileOut struct {
	name   string
	out    *bufio.Writer
	closer io.Closer // nil: not ours
	lines  uint64
}

func openFileOut(name string) (*fileOut, error) {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot write %q: %w", name, cause(err))
	}
	return &fileOut{name: name, out: bufio.NewWriterSize(file, outBytes), closer: file}, nil
}

func (f *fileOut) write(_ context.Context, _ string, lines []byte) (place, error) {
	at := place{f.name, f.lines + 1}
	f.lines += uint64(lineFeeds(lines))
	if _, err := f.out.Write(lines); err != nil {
		return at, fmt.Errorf("cannot write %q: %w", f.name, cause(err))
	}
	return at, nil
}

func (f *fileOut) flush(context.Context) error {
	if err := f.out.Flush(); err != nil {
		return fmt.Errorf("cannot write %q: %w", f.name, cause(err))
	}
	return nil
}

func (f *fileOut) close() error {
	if f.closer == nil {
		return nil
	}
	if err := f.closer.Close(); err != nil {
		return fmt.Errorf("cannot write %q: %w", f.name, cause(err))
	}
	return nil
}

// dirOut writes a file for each of genlog.Services.
type dirOut struct{ files []*fileOut }

func (d *dirOut) write(ctx context.Context, service string, lines []byte) (place, error) {
	return d.files[slices.Index(genlog.Services(), service)].write(ctx, service, lines)
}

func (d *dirOut) flush(ctx context.Context) error {
	var errs []error
	for _, file := range d.files {
		errs = append(errs, file.flush(ctx))
	}
	return errors.Join(errs...)
}

func (d *dirOut) close() error {
	var errs []error
	for _, file := range d.files {
		errs = append(errs, file.close())
	}
	return errors.Join(errs...)
}

// tcpOut sends over a connection, which it makes anew as often as it takes.
type tcpOut struct {
	address string
	term    terminal
	conn    net.Conn // nil: none
	buf     []byte   // not sent yet
	lines   uint64
	told    bool // that there is no connection
}

func (t *tcpOut) write(ctx context.Context, _ string, lines []byte) (place, error) {
	at := place{t.address, t.lines + 1}
	t.lines += uint64(lineFeeds(lines))
	t.buf = append(t.buf, lines...)
	if len(t.buf) < outBytes {
		return at, nil
	}
	return at, t.flush(ctx)
}

// flush ends when everything is sent, or the context.
func (t *tcpOut) flush(ctx context.Context) error {
	for wait := redialAfter; len(t.buf) > 0; wait = min(2*wait, redialAtMost) {
		err := t.send(ctx)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !t.told {
			t.told = true
			fmt.Fprintf(t.term.err, "logscope: cannot send to %q, trying again until it works: %v\n", t.address, err)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
	return nil
}

func (t *tcpOut) send(ctx context.Context) error {
	if t.conn == nil {
		dialer := net.Dialer{Timeout: dialTimeout}
		conn, err := dialer.DialContext(ctx, "tcp", t.address)
		if err != nil {
			return err
		}
		t.conn = conn
	}
	err := t.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	if err == nil {
		_, err = t.conn.Write(t.buf)
	}
	if err != nil {
		_ = t.conn.Close() // of no use any more
		t.conn = nil
		return err
	}
	t.buf = t.buf[:0]
	if t.told {
		t.told = false
		fmt.Fprintf(t.term.err, "logscope: sending to %q again\n", t.address)
	}
	return nil
}

func (t *tcpOut) close() error {
	if t.conn == nil {
		return nil
	}
	return t.conn.Close()
}

func createTruth(name string) (*truthFile, error) {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot write the truth to %q: %w", name, cause(err))
	}
	encoder := json.NewEncoder(file)
	encoder.SetEscapeHTML(false)
	return &truthFile{encoder: encoder, file: file}, nil
}

func lineFeeds(text []byte) int { return bytes.Count(text, []byte{'\n'}) }
