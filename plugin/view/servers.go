package view

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/logscope/logscope/plugin/listen"
)

const (
	readTimeout = 10 * time.Second
	// pageTimeout is for what is no WebSocket: the page and answers are small.
	pageTimeout = 30 * time.Second
	idleTimeout = time.Minute
	// headerBytesMax is ample for a browser that has cookies of other servers on localhost.
	headerBytesMax = 32 << 10
	// connectionsMax bounds the connections at once: browsers that watch, and what they load.
	connectionsMax = 64
	// goodbyeTime is what browsers have to answer the goodbye.
	goodbyeTime = 500 * time.Millisecond
)

// msgExposed warns of an address that others can reach.
const msgExposed = "view_listen %s: everybody who can reach that address can read log lines there and mark anomalies as normal"

// Options are how an instance wants to be shown.
type Options struct {
	// Listen is a host and port.
	Listen string
	// Origins and Threshold are Config's. Of instances that share an address the first one's count.
	Origins   []string
	Threshold float64
}

// Servers are the live views of this process. The zero value is ready for use.
type Servers struct {
	mu     sync.Mutex
	byAddr map[string]*server
}

// server is one listener with its hub.
type server struct {
	listen.Server
	hub     *Hub
	members []*Member
	started bool

	mu      sync.Mutex
	sources []Source
}

// Member is one instance in a view. It observes its pipeline.
type Member struct {
	*Hub
	all    *Servers
	srv    *server
	source Source
}

// Join prepares the view of an instance; Serve shows it.
func (s *Servers) Join(opts Options, log *slog.Logger) (*Member, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	srv := s.byAddr[opts.Listen]
	if srv == nil {
		var err error
		if srv, err = newServer(opts, log); err != nil {
			return nil, err
		}
		if s.byAddr == nil {
			s.byAddr = map[string]*server{}
		}
		s.byAddr[opts.Listen] = srv
	}
	m := &Member{Hub: srv.hub, all: s, srv: srv}
	srv.members = append(srv.members, m)
	return m, nil
}

func newServer(opts Options, log *slog.Logger) (*server, error) {
	srv := &server{}
	hub, err := New(Config{
		Threshold: opts.Threshold, Origins: opts.Origins, Log: log, Score: ScoreBy(srv.list), Feedback: TeachBy(srv.list),
	})
	if err != nil {
		return nil, err
	}
	srv.hub = hub
	srv.Server = listen.Server{
		Option: "view_listen", Serving: "the live view", Missing: "the live view is", Addr: opts.Listen, ConnectionsMax: connectionsMax, Log: log,
		HTTP: &http.Server{
			Handler:           hub.Handler(),
			ReadHeaderTimeout: readTimeout, ReadTimeout: readTimeout, WriteTimeout: pageTimeout, IdleTimeout: idleTimeout,
			MaxHeaderBytes: headerBytesMax,
			ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		},
	}
	return srv, nil
}

func (s *server) list() []Source {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.sources)
}

// Serve opens the address, for the first instance there. Trouble with it is logged and no reason not to start.
func (m *Member) Serve(source Source) {
	m.all.mu.Lock()
	defer m.all.mu.Unlock()
	m.srv.mu.Lock()
	m.srv.sources = append(m.srv.sources, source)
	m.srv.mu.Unlock()
	m.source = source
	if m.srv.started {
		return
	}
	m.srv.started = true
	m.srv.Start()
	if host, _, err := net.SplitHostPort(m.srv.Addr); err == nil && !listen.IsLoopback(host) {
		m.srv.Log.Warn(fmt.Sprintf(msgExposed, m.srv.Addr))
	}
}

// Leave takes the instance away; the last one closes the address before it returns.
func (m *Member) Leave() {
	m.all.mu.Lock()
	defer m.all.mu.Unlock()
	m.srv.mu.Lock()
	m.srv.sources = slices.DeleteFunc(m.srv.sources, func(s Source) bool { return s == m.source })
	m.srv.mu.Unlock()
	m.srv.members = slices.DeleteFunc(m.srv.members, func(o *Member) bool { return o == m })
	if len(m.srv.members) > 0 {
		return
	}
	delete(m.all.byAddr, m.srv.Addr)
	if !m.srv.started {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), goodbyeTime)
	defer cancel()
	_ = m.srv.hub.Close(ctx) // whoever does not answer is cut off
	m.srv.Close()
}
