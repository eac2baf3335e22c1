package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// blockStart is the first buffer of a source of lines: most connections are idle most of the time. While
	// reads fill it, it grows to blockFull, which a pipe holds; beyond that it grows for long lines only.
	blockStart = 4 << 10
	blockFull  = 64 << 10
	// drainFor is how long what connections have sent is still read when the process stops.
	drainFor = 500 * time.Millisecond
	// socketMode lets only this user write to the Unix socket.
	socketMode = 0o600
)

// readLines reads r to its end and hands over whole lines as they come, many at a
// time: as many as one read brings, so that nothing waits for more. long says
// that block is a piece of a line longer than max; its last piece ends in a line
// feed, or the input does. block is valid during the call only. A read that fails
// within a line is a CutError.
func readLines(r io.Reader, max int64, handle func(block []byte, long bool) error) error {
	buf := make([]byte, 0, min(blockStart, max))
	long := false
	for {
		if len(buf) == cap(buf) {
			if int64(cap(buf)) < max {
				buf = append(make([]byte, 0, min(2*int64(cap(buf)), max)), buf...)
			} else {
				long = true
				if err := handle(buf, true); err != nil {
					return err
				}
				buf = buf[:0]
			}
		}
		n, readErr := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		size := nextSize(len(buf), cap(buf), max)
		rest, stillLong, err := cutLines(buf, long, handle)
		if err != nil {
			return err
		}
		long = stillLong
		if size == cap(buf) {
			buf = buf[:copy(buf, rest)]
		} else {
			buf = append(make([]byte, 0, size), rest...)
		}
		if readErr == nil {
			continue
		}
		if !errors.Is(readErr, io.EOF) && (long || len(buf) > 0) {
			readErr = &CutError{Bytes: len(buf), Err: readErr}
		}
		if len(buf) > 0 { // the last line needs no line feed
			if err := handle(buf, long); err != nil {
				return err
			}
		}
		if errors.Is(readErr, io.EOF) {
			return nil
		}
		return readErr
	}
}

// nextSize is the buffer for the next read, after one that has brought the
// buffer to used bytes: it follows what comes, so that a long line, or a busy
// moment, does not hold memory for as long as the connection lives.
func nextSize(used, size int, max int64) int {
	switch {
	case used == size && size < blockFull && int64(size) < max:
		return int(min(2*int64(size), max))
	case used < size/8 && size > blockStart:
		return size / 2
	}
	return size
}

// CutError says that the input failed within a line, which was handed over as far as it had come.
type CutError struct {
	Bytes int // of the line's last piece
	Err   error
}

func (e *CutError) Error() string {
	return fmt.Sprintf("its last line was cut, %d bytes were taken: %v", e.Bytes, e.Err)
}

func (e *CutError) Unwrap() error { return e.Err }

// cutLines hands over what is whole in buf and returns the rest.
func cutLines(buf []byte, long bool, handle func([]byte, bool) error) (rest []byte, stillLong bool, err error) {
	if long && len(buf) > 0 {
		end := bytes.IndexByte(buf, '\n') + 1
		if end == 0 {
			return nil, true, handle(buf, true)
		}
		if err := handle(buf[:end], true); err != nil {
			return nil, false, err
		}
		buf, long = buf[end:], false
	}
	end := bytes.LastIndexByte(buf, '\n') + 1
	if end > 0 {
		err = handle(buf[:end], false)
	}
	return buf[end:], long, err
}

// Sockets are the listeners that take lines without HTTP.
type Sockets struct {
	// TCP is a host and port, Unix a path; empty: not.
	TCP, Unix string
	// Max bounds the connections of each; Full is told of those beyond it.
	Max  int
	Full func()
	// Handle takes one connection, which is closed after. ctx ends when the process is to stop.
	Handle func(ctx context.Context, conn net.Conn)

	listeners []net.Listener
}

// Open opens the addresses.
func (s *Sockets) Open(ctx context.Context) error {
	var lc net.ListenConfig
	for _, at := range [...]struct{ network, address string }{{"tcp", s.TCP}, {"unix", s.Unix}} {
		if at.address == "" {
			continue
		}
		if at.network == "unix" {
			removeStaleSocket(at.address)
		}
		l, err := lc.Listen(ctx, at.network, at.address)
		if err == nil && at.network == "unix" {
			err = os.Chmod(at.address, socketMode)
		}
		if err != nil {
			s.close()
			return fmt.Errorf("cannot listen on %s: %w; choose another with listen_%s", at.address, err, at.network)
		}
		s.listeners = append(s.listeners, &limitListener{Listener: l, max: int64(s.Max), full: s.Full})
	}
	return nil
}

// removeStaleSocket removes a socket that nobody listens on: a process that was killed leaves one.
func removeStaleSocket(path string) {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&fs.ModeSocket == 0 {
		return // Listen says what is wrong
	}
	conn, err := net.Dial("unix", path)
	if err == nil {
		_ = conn.Close()
		return
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		_ = os.Remove(path)
	}
}

func (s *Sockets) close() {
	for _, l := range s.listeners {
		_ = l.Close()
	}
}

// Addrs are the addresses, once open.
func (s *Sockets) Addrs() (addrs []net.Addr) {
	for _, l := range s.listeners {
		addrs = append(addrs, l.Addr())
	}
	return addrs
}

// Serve takes connections until ctx ends, and returns when all are done.
func (s *Sockets) Serve(ctx context.Context) {
	var all sync.WaitGroup
	stop := context.AfterFunc(ctx, s.close)
	defer stop()
	for _, l := range s.listeners {
		all.Go(func() {
			for {
				conn, err := l.Accept()
				if errors.Is(err, net.ErrClosed) {
					return
				}
				if err != nil { // out of file descriptors, for example
					select {
					case <-ctx.Done():
						return
					case <-time.After(time.Second):
					}
					continue
				}
				all.Go(func() { s.serve(ctx, conn) })
			}
		})
	}
	all.Wait()
}

// serve lets a connection be handled. When ctx ends, what has come is still read.
func (s *Sockets) serve(ctx context.Context, conn net.Conn) {
	defer func() { _ = conn.Close() }() // lines are read only
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Now().Add(drainFor)) })
	defer stop()
	s.Handle(ctx, &drainedConn{Conn: conn, ctx: ctx, left: drainFor})
}

// drainedConn reads on for a while after ctx has ended. What is done with the
// lines between two reads does not count: it may take longer than the while,
// with more lines waiting in the kernel.
type drainedConn struct {
	net.Conn
	ctx  context.Context
	left time.Duration
	end  time.Time // whatever is left; zero: ctx has not ended
}

func (c *drainedConn) Read(b []byte) (int, error) {
	if c.ctx.Err() == nil {
		return c.Conn.Read(b)
	}
	begun := time.Now()
	if c.end.IsZero() {
		c.end = begun.Add(stopWithin)
	}
	if c.left <= 0 || begun.After(c.end) {
		return 0, os.ErrDeadlineExceeded
	}
	if err := c.SetReadDeadline(begun.Add(c.left)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(b)
	c.left -= max(time.Since(begun), time.Millisecond) // so that a sender that never pauses comes to an end
	return n, err
}
