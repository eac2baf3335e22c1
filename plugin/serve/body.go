package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/semaphore"

	"github.com/logscope/logscope/loki"
)

// failure is an answer of our own.
type failure struct {
	status int
	text   string
	after  time.Duration // Retry-After
}

func (f *failure) Error() string { return f.text }

func failf(status int, format string, args ...any) *failure {
	return &failure{status: status, text: fmt.Sprintf(format, args...)}
}

const (
	// inflightWait is how long a request waits for memory before it is sent back.
	inflightWait = 5 * time.Second
	// busyAfter is when to try again then.
	busyAfter = time.Second
	// bodyStart is the first buffer of a body whose length is not known, or not believed.
	bodyStart = 64 << 10
	// zstdWindowMax is the largest window that a zstd body may ask for.
	zstdWindowMax = 8 << 20
)

// claim is the memory that one request has been given.
type claim struct {
	ctx   context.Context
	from  *semaphore.Weighted
	wait  time.Duration // at most, for each part
	bytes int64
}

// more asks for n more bytes.
func (c *claim) more(n int64) *failure {
	ctx, cancel := context.WithTimeout(c.ctx, c.wait)
	defer cancel()
	if c.from.Acquire(ctx, n) != nil {
		return &failure{http.StatusServiceUnavailable, "too many requests at once for max_inflight; try again", busyAfter}
	}
	c.bytes += n
	return nil
}

func (c *claim) release() {
	c.from.Release(c.bytes)
	c.bytes = 0
}

// readAll reads r to its end into memory claimed as it comes: a sender that is
// slow, or says that it will send much, holds no more than it has sent.
func (c *claim) readAll(r io.Reader, hint, max int64) ([]byte, error) {
	size := min(max+1, int64(bodyStart))
	if hint > 0 && hint < size {
		size = hint + 1 // one more, to meet the end
	}
	if f := c.more(size); f != nil {
		return nil, f
	}
	buf := make([]byte, 0, size)
	for {
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case int64(len(buf)) > max:
			return nil, loki.ErrTooLarge
		case errors.Is(err, io.EOF):
			return buf, nil
		case err != nil:
			return nil, err
		case len(buf) < cap(buf):
			continue
		}
		grow := min(int64(cap(buf)), max+1-int64(cap(buf)))
		if want := hint + 1 - int64(cap(buf)); hint <= max && want > grow && want <= 3*int64(cap(buf)) {
			grow = want // nearly there
		}
		if f := c.more(grow); f != nil {
			return nil, f
		}
		buf = append(make([]byte, 0, int64(cap(buf))+grow), buf...)
	}
}

// body is a request's body.
type body struct {
	came    []byte // as it came
	decoded []byte // without its Content-Encoding
	// encoding is the Content-Encoding as Loki knows it; known says that Loki knows it.
	encoding string
	known    bool
}

// read reads a request's body.
func (s *Server) read(w http.ResponseWriter, r *http.Request, c *claim) (*body, error) {
	if r.ContentLength > s.cfg.BodyBytesMax {
		return nil, failf(http.StatusRequestEntityTooLarge, "the body has %d bytes; max_body_size is %d", r.ContentLength, s.cfg.BodyBytesMax)
	}
	came, err := c.readAll(http.MaxBytesReader(w, r.Body, s.cfg.BodyBytesMax+1), r.ContentLength, s.cfg.BodyBytesMax)
	if errors.Is(err, loki.ErrTooLarge) {
		return nil, failf(http.StatusRequestEntityTooLarge, "the body has more than %d bytes (max_body_size)", s.cfg.BodyBytesMax)
	}
	if err != nil {
		return nil, bodyFailure(err)
	}
	// Loki may take longer than a body may; that the sender goes away is still seen.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	b := &body{came: came}
	if err := s.decode(b, strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding"))), c); err != nil {
		return nil, err
	}
	return b, nil
}

// bodyFailure says why a body could not be read.
func bodyFailure(err error) error {
	var own *failure
	if errors.As(err, &own) {
		return own
	}
	if loki.TimedOut(err) {
		// Not 408: senders that drop what is answered with 4xx would lose a batch because the network was slow.
		return &failure{http.StatusServiceUnavailable, "the body did not come in time (body_timeout); try again", busyAfter}
	}
	return failf(http.StatusBadRequest, "cannot read the body: %v", err)
}

// decode undoes the Content-Encoding.
func (s *Server) decode(b *body, encoding string, c *claim) error {
	var r io.Reader
	var err error
	b.encoding, b.known = encoding, true
	in := bytes.NewReader(b.came)
	switch encoding {
	case "", "identity", "snappy": // snappy is undone by who knows that it is protobuf
		if encoding == "identity" {
			b.encoding = ""
		}
		b.decoded = b.came
		return nil
	case "gzip", "x-gzip":
		b.encoding = "gzip"
		r, err = gzip.NewReader(in)
	case "deflate":
		if isZlib(b.came) {
			b.known = false // Loki wants it without zlib's header
			r, err = zlib.NewReader(in)
		} else {
			r = flate.NewReader(in)
		}
	case "zlib":
		b.known = false
		r, err = zlib.NewReader(in)
	case "zstd":
		b.known = false
		var d *zstd.Decoder
		d, err = zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(zstdWindowMax))
		if err == nil {
			defer d.Close()
		}
		r = d
	default:
		return failf(http.StatusUnsupportedMediaType, "Content-Encoding %q is not known; use gzip, snappy, zstd, deflate or none", encoding)
	}
	if err == nil {
		b.decoded, err = c.readAll(r, 0, s.cfg.DecodedBytesMax)
	}
	var own *failure
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own):
		return own
	case errors.Is(err, loki.ErrTooLarge), errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return failf(http.StatusRequestEntityTooLarge, "decompressed, the body has more than %d bytes (max_decoded_size)", s.cfg.DecodedBytesMax)
	}
	return failf(http.StatusBadRequest, "cannot decompress the body as %s: %v", encoding, err)
}

// isZlib tells zlib's header from a bare deflate stream.
func isZlib(b []byte) bool {
	return len(b) >= 2 && b[0]&15 == 8 && (uint(b[0])<<8|uint(b[1]))%31 == 0
}

// unsnap undoes the snappy block that a push as protobuf is.
func (s *Server) unsnap(block []byte, c *claim) ([]byte, error) {
	n, err := loki.DecompressedSize(block)
	if err != nil {
		return nil, failf(http.StatusBadRequest, "cannot read the body as a snappy block: %v", err)
	}
	if int64(n) > s.cfg.DecodedBytesMax {
		return nil, failf(http.StatusRequestEntityTooLarge, "decompressed, the body has %d bytes; max_decoded_size is %d", n, s.cfg.DecodedBytesMax)
	}
	if f := c.more(int64(n)); f != nil {
		return nil, f
	}
	raw, err := loki.Decompress(block, int(s.cfg.DecodedBytesMax))
	if err != nil {
		return nil, failf(http.StatusBadRequest, "%v", err)
	}
	return raw, nil
}
