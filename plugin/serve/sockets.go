package serve

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/logscope/logscope/loki"
	"github.com/logscope/logscope/plugin/pipeline"
)

// What is logged of sockets.
const (
	msgLinesOn   = "listening on %s for NDJSON, one record a line"
	msgLinesOpen = "listening on %s for NDJSON without credentials: whoever can reach that address can write logs; listen on 127.0.0.1, or use HTTP with basic_auth_file"
	msgLinesEnd  = "connection from %s ended: %v"
	msgLinesLost = "%d bytes of lines from %s were not taken by Loki before the stop, and a socket has no way to say so: use HTTP where that matters"
)

// lineClaim is the memory that a block of lines takes on its way, for each of its bytes.
const lineClaim = 4

const (
	// Waits between attempts to send what came by socket: its sender cannot send it again, so it waits
	// with its connection, and the sender with it.
	socketWaitMin = 200 * time.Millisecond
	socketWaitMax = 10 * time.Second
)

// openSockets opens listen_tcp and listen_unix.
func (s *Server) openSockets(ctx context.Context) (*Sockets, error) {
	sockets := &Sockets{
		TCP: s.cfg.ListenTCP, Unix: s.cfg.ListenUnix, Max: s.cfg.ConnectionsMax,
		Full:   func() { s.once(fmt.Sprintf(msgFull, s.cfg.ConnectionsMax)) },
		Handle: s.lines,
	}
	if err := sockets.Open(ctx); err != nil {
		return nil, err
	}
	for _, addr := range sockets.Addrs() {
		s.log.Info(fmt.Sprintf(msgLinesOn, addr))
		if addr.Network() == "tcp" && exposed(s.cfg.ListenTCP) {
			s.log.Warn(fmt.Sprintf(msgLinesOpen, addr))
		}
	}
	return sockets, nil
}

// lines takes the lines of one connection to Loki, block by block.
func (s *Server) lines(ctx context.Context, conn net.Conn) {
	defer func() {
		if p := recover(); p != nil {
			s.relay.CountPanic()
			s.log.Error(fmt.Sprintf(msgFault, p, debug.Stack()))
		}
	}()
	from := conn.RemoteAddr().String()
	err := readLines(conn, s.cfg.LineBytesMax, func(block []byte, _ bool) error {
		return s.sendLines(ctx, from, bytes.Clone(block))
	})
	var cut *CutError
	if err != nil && (ctx.Err() == nil || errors.As(err, &cut)) {
		s.log.Warn(fmt.Sprintf(msgLinesEnd, from, err))
	}
}

// sendLines sends a block, in as many pushes as its lines need.
func (s *Server) sendLines(ctx context.Context, from string, block []byte) error {
	for len(block) > 0 {
		n := lengthOfLines(block, pipeline.RelayEntriesMax)
		if err := s.sendPush(ctx, from, block[:n:n], len(block)); err != nil {
			return err
		}
		block = block[n:]
	}
	return nil
}

// lengthOfLines is the length of the first lines of block, at most max of them.
func lengthOfLines(block []byte, max int) (n int) {
	for range max {
		end := bytes.IndexByte(block[n:], '\n') + 1
		if end == 0 {
			return len(block)
		}
		n += end
	}
	return n
}

// sendPush sends lines until Loki has answered for good. When the process stops it has stopWithin left;
// left is how many bytes are lost then.
func (s *Server) sendPush(ctx context.Context, from string, block []byte, left int) error {
	end, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-end.Done():
		case <-time.After(stopWithin):
			cancel()
		}
	})
	defer stop()
	c := &claim{ctx: end, from: s.inflight, wait: s.inflightWait}
	defer c.release()
	for c.more(int64(lineClaim*len(block))) != nil { // more waits a while itself
		if end.Err() != nil {
			s.log.Warn(fmt.Sprintf(msgLinesLost, left, from))
			return end.Err()
		}
	}
	push := &pipeline.RelayPush{Raw: s.rawFromLines(block), Identity: binary.BigEndian.AppendUint64([]byte("socket"), s.blocks.Add(1))}
	for wait := socketWaitMin; ; wait = min(2*wait, socketWaitMax) {
		answer, err := s.relay.Push(end, push)
		if err != nil {
			return err
		}
		if !shouldRetry(answer.Status) {
			return nil // taken, or refused for good, which the relay has counted and told
		}
		select {
		case <-end.Done():
			s.log.Warn(fmt.Sprintf(msgLinesLost, left, from))
			return end.Err()
		case <-time.After(max(wait, retryAfter(&answer))):
		}
	}
}

// shouldRetry says whether a push that had this answer can pass later: also one that waits for a setting to be put right.
func shouldRetry(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		return false
	}
	return status/100 != 2
}

func retryAfter(a *loki.Answer) time.Duration {
	seconds, err := strconv.Atoi(a.Header.Get("Retry-After"))
	if err != nil {
		return 0
	}
	return min(time.Duration(max(seconds, 0))*time.Second, time.Minute)
}
