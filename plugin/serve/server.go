package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/logscope/logscope/plugin/pipeline"
)

// What is logged. docs/operations.md has cause and cure of each.
const (
	msgListening = "listening on %s for Loki's push API, OTLP logs and NDJSON, sending to %s"
	msgExposed   = "listening on %s without basic_auth_file or auth_token_file: whoever can reach that address can write logs, and read anomalies in the live view; set one of them, or listen on 127.0.0.1"
	msgNoTLS     = "listening on %s without TLS: passwords and logs can be read on the way; set tls_cert_file and tls_key_file, or let a proxy do it"
	msgFull      = "more than %d connections (max_connections): further ones are closed, senders try again"
	msgFault     = "a fault in logscope, please report it; the request was answered with 500, or 503 if it was OTLP: %v\n%s"
	msgCutOff    = "%d requests were not answered within %v of the stop; their senders send them again"
)

const (
	headerBytesMax = 32 << 10
	// stopWithin is how long requests under way have to be answered when the process stops.
	stopWithin = 10 * time.Second
	// answerGrace is how long a sender may take to read its answer.
	answerGrace = 10 * time.Second
)

// Server takes pushes over HTTP.
type Server struct {
	cfg          Config
	log          *slog.Logger
	relay        *pipeline.Relay
	shaper       *pipeline.LineShaper
	auth         *auth
	inflight     *semaphore.Weighted
	inflightWait time.Duration
	http         http.Server
	stopping     atomic.Bool
	requests     atomic.Int64
	warned       sync.Map // messages told once
	blocks       atomic.Uint64
	sockets      *Sockets
}

// New makes a Server. It opens no address.
func New(cfg Config, log *slog.Logger) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	auth, err := newAuth(cfg.BasicAuthFile, cfg.BearerTokenFile)
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, log: log, auth: auth, inflight: semaphore.NewWeighted(cfg.InflightMax), inflightWait: inflightWait}
	s.shaper = pipeline.NewLineShaper(&cfg.Pipeline)
	if s.relay, err = pipeline.NewRelay(cfg.Pipeline, log); err != nil {
		return nil, err
	}
	s.http = http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: cfg.HeaderTimeout, IdleTimeout: cfg.IdleTimeout,
		MaxHeaderBytes: headerBytesMax,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		// One connection is one request, so that the limits hold: no HTTP/2.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
	return s, nil
}

// Relay is what the requests go through.
func (s *Server) Relay() *pipeline.Relay { return s.relay }

// Listen opens the addresses, and says what is risky about them. It returns the HTTP server's.
func (s *Server) Listen(ctx context.Context) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w; choose another address with listen", s.cfg.Listen, err)
	}
	if exposed(s.cfg.Listen) {
		switch {
		case s.auth == nil:
			s.log.Warn(fmt.Sprintf(msgExposed, l.Addr()))
		case s.cfg.TLSCertFile == "":
			s.log.Warn(fmt.Sprintf(msgNoTLS, l.Addr()))
		}
	}
	if s.sockets, err = s.openSockets(ctx); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

// Serve answers requests on l until ctx ends, and those under way after that.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	l = &limitListener{Listener: l, max: int64(s.cfg.ConnectionsMax), full: func() {
		s.once(fmt.Sprintf(msgFull, s.cfg.ConnectionsMax))
	}}
	if s.cfg.TLSCertFile != "" {
		config, err := serverTLS(s.cfg.TLSCertFile, s.cfg.TLSKeyFile)
		if err != nil {
			_ = l.Close()
			return err
		}
		l = tls.NewListener(l, config)
	}
	s.log.Info(fmt.Sprintf(msgListening, l.Addr(), s.cfg.PushURL()))
	ended := make(chan error, 1)
	go func() { ended <- s.http.Serve(l) }()
	ctx, cancelSockets := context.WithCancel(ctx)
	var sockets sync.WaitGroup
	sockets.Go(func() { s.sockets.Serve(ctx) })
	defer sockets.Wait()
	defer cancelSockets()
	select {
	case err := <-ended:
		return fmt.Errorf("cannot serve on %s: %w", s.cfg.Listen, err)
	case <-ctx.Done():
	}
	s.stopping.Store(true)
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	if err := s.http.Shutdown(within); errors.Is(err, context.DeadlineExceeded) {
		s.log.Warn(fmt.Sprintf(msgCutOff, s.requests.Load(), stopWithin))
		_ = s.http.Close()
	}
	<-ended
	return nil
}

// Close writes the state files, after Serve has returned.
func (s *Server) Close() error { return s.relay.Close() }

// once logs a message the first time only.
func (s *Server) once(text string) {
	if _, told := s.warned.LoadOrStore(text, true); !told {
		s.log.Warn(text)
	}
}
