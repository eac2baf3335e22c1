// Package listen serves HTTP beside the shipping of logs: an address that is
// not free yet, or never, is told and tried again, and is no reason not to start.
package listen

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// bindPatience is how long an address may be in use before that is told: a process that is being
	// replaced needs a moment to let go of it.
	bindPatience = 5 * time.Second
	// bindEvery and bindSlowly are the waits between attempts, before and after that.
	bindEvery  = 200 * time.Millisecond
	bindSlowly = 10 * time.Second
)

// What is logged. docs/operations.md has cause and cure of each.
const (
	msgInUse   = "%s %s: %v; %s not served, logs are shipped, and the address is tried again"
	msgServing = "%s %s: serving %s"
	msgFailed  = "%s %s: stopped serving: %v"
)

// Server serves HTTP on one address. Fill the fields, then Start it once.
type Server struct {
	// Option names the option that gave the address, Serving says what is served there, Missing what is
	// not while the address cannot be had ("metrics are"): words for the log.
	Option, Serving, Missing string
	// Addr is a host and port.
	Addr string
	// HTTP is what serves; its limits and timeouts are its owner's.
	HTTP *http.Server
	// ConnectionsMax bounds the connections at once; more wait to be accepted. 0: no bound.
	ConnectionsMax int
	Log            *slog.Logger

	cancel context.CancelFunc
	done   sync.WaitGroup
	bound  atomic.Pointer[net.TCPAddr] // where it listens; nil: not yet
}

// IsLoopback says whether a host is this machine only.
func IsLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (s *Server) listen(ctx context.Context) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.Addr)
	if err == nil && s.ConnectionsMax > 0 {
		l = &bounded{Listener: l, room: make(chan struct{}, s.ConnectionsMax), closed: make(chan struct{})}
	}
	return l, err
}

// Start opens the address, now if it is free, else as soon as it is.
func (s *Server) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	l, err := s.listen(ctx)
	s.done.Go(func() {
		if err != nil {
			if l = s.wait(ctx, err); l == nil {
				return
			}
		}
		if a, ok := l.Addr().(*net.TCPAddr); ok {
			s.bound.Store(a)
		}
		s.Log.Info(fmt.Sprintf(msgServing, s.Option, l.Addr(), s.Serving))
		if err := s.HTTP.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.Log.Warn(fmt.Sprintf(msgFailed, s.Option, s.Addr, err))
		}
	})
}

// Bound is where it listens; nil: not yet.
func (s *Server) Bound() *net.TCPAddr { return s.bound.Load() }

// wait tries the address until it can be had, or ctx ends; nil then.
func (s *Server) wait(ctx context.Context, err error) net.Listener {
	told := !errors.Is(err, syscall.EADDRINUSE)
	if told {
		s.Log.Warn(fmt.Sprintf(msgInUse, s.Option, s.Addr, err, s.Missing))
	}
	pause := time.NewTimer(bindEvery)
	defer pause.Stop()
	for began := time.Now(); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-pause.C:
		}
		l, err := s.listen(ctx)
		if err == nil {
			return l
		}
		if !told && time.Since(began) >= bindPatience {
			told = true
			s.Log.Warn(fmt.Sprintf(msgInUse, s.Option, s.Addr, err, s.Missing))
		}
		if told {
			pause.Reset(bindSlowly)
		} else {
			pause.Reset(bindEvery)
		}
	}
}

// Close frees the address before it returns: after a hot reload the next instance opens it.
func (s *Server) Close() {
	s.cancel()
	_ = s.HTTP.Close()
	s.done.Wait()
}

// bounded is a listener that accepts no more connections than there is room for.
type bounded struct {
	net.Listener
	room   chan struct{} // one for each connection
	closed chan struct{}
	once   sync.Once
}

// Accept waits for room first, so that what waits costs this process nothing.
func (b *bounded) Accept() (net.Conn, error) {
	select {
	case b.room <- struct{}{}:
	case <-b.closed:
		return nil, net.ErrClosed
	}
	conn, err := b.Listener.Accept()
	if err != nil {
		<-b.room
		return nil, err
	}
	return &counted{Conn: conn, leave: sync.OnceFunc(func() { <-b.room })}, nil
}

// Close ends an Accept that waits for room, too.
func (b *bounded) Close() error {
	b.once.Do(func() { close(b.closed) })
	return b.Listener.Close()
}

// counted is a connection that makes room when it is closed.
type counted struct {
	net.Conn
	leave func()
}

// Close may be called several times.
func (c *counted) Close() error {
	err := c.Conn.Close()
	c.leave()
	return err
}
