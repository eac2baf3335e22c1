package metrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/pprof"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	// bindPatience is how long an address may be in use before that is told: a process that is being
	// replaced needs a moment to let go of it.
	bindPatience = 5 * time.Second
	// bindEvery and bindSlowly are the waits between attempts, before and after that.
	bindEvery  = 200 * time.Millisecond
	bindSlowly = 10 * time.Second

	readTimeout = 10 * time.Second
	// writeTimeout leaves room for a CPU profile, 30 s by default.
	writeTimeout = 2 * time.Minute
	idleTimeout  = time.Minute
	// headerBytesMax is ample for a scrape; 1 MiB, Go's default, is not needed.
	headerBytesMax = 16 << 10
	// scrapesMax bounds the scrapes at once, 100 KB each.
	scrapesMax = 4
)

// What is logged. docs/operations.md has cause and cure of each.
const (
	msgInUse    = "metrics_listen %s: %v; metrics are not served, logs are shipped, and the address is tried again"
	msgServing  = "metrics_listen %s: serving /metrics, /ready and /live"
	msgFailed   = "metrics_listen %s: stopped serving: %v"
	msgExposed  = "metrics_listen %s with metrics_pprof on: profiles show memory of this process to everybody who can reach that address"
	msgNotReady = "not ready: %s cannot deliver for %v: %v"
)

// Options are how an instance wants to be shown.
type Options struct {
	// Listen is a host and port.
	Listen string
	// Pprof serves profiles below /debug/pprof/, on the listener of all instances that share it.
	Pprof bool
	// Version is shown in logscope_build_info.
	Version string
}

// Servers are the listeners of this process. The zero value is ready for use.
type Servers struct {
	mu     sync.Mutex
	byAddr map[string]*server
}

// Join shows an instance under its name until leave is called. The first one at
// an address opens it, the last one closes it. Trouble with the address is
// logged and never a reason not to start.
func (s *Servers) Join(opts Options, name string, source Source, log *slog.Logger) (leave func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	srv := s.byAddr[opts.Listen]
	if srv == nil {
		srv = newServer(opts.Listen, opts.Version, log)
		if s.byAddr == nil {
			s.byAddr = map[string]*server{}
		}
		s.byAddr[opts.Listen] = srv
		srv.start()
	}
	srv.add(name, source)
	if opts.Pprof {
		srv.pprof.Add(1)
		if host, _, err := net.SplitHostPort(opts.Listen); err == nil && !isLoopback(host) {
			log.Warn(fmt.Sprintf(msgExposed, opts.Listen))
		}
	}
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if opts.Pprof {
			srv.pprof.Add(-1)
		}
		if srv.remove(name, source) == 0 {
			srv.close()
			delete(s.byAddr, opts.Listen)
		}
	})
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// server is one listener.
type server struct {
	addr      string
	log       *slog.Logger
	collector *collector
	http      http.Server
	pprof     atomic.Int32 // instances that want it

	cancel context.CancelFunc
	done   sync.WaitGroup
	bound  atomic.Pointer[net.TCPAddr] // where it listens; nil: not yet
	listen func(ctx context.Context, addr string) (net.Listener, error)
}

func newServer(addr, version string, log *slog.Logger) *server {
	s := &server{addr: addr, log: log, collector: newCollector(version)}
	s.listen = func(ctx context.Context, addr string) (net.Listener, error) {
		var lc net.ListenConfig
		return lc.Listen(ctx, "tcp", addr)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(s.collector)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: scrapesMax, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn), ErrorHandling: promhttp.ContinueOnError,
	}))
	mux.HandleFunc("GET /ready", s.ready)
	mux.HandleFunc("GET /live", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "live") })
	mux.HandleFunc("/debug/pprof/", s.ifPprof(pprof.Index))
	mux.HandleFunc("/debug/pprof/cmdline", s.ifPprof(pprof.Cmdline))
	mux.HandleFunc("/debug/pprof/profile", s.ifPprof(pprof.Profile))
	mux.HandleFunc("/debug/pprof/symbol", s.ifPprof(pprof.Symbol))
	mux.HandleFunc("/debug/pprof/trace", s.ifPprof(pprof.Trace))
	s.http = http.Server{
		Handler:           mux,
		ReadHeaderTimeout: readTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: headerBytesMax,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return s
}

// ifPprof hides profiles unless an instance asked for them.
func (s *server) ifPprof(handler http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if s.pprof.Load() == 0 {
			http.Error(w, "profiles are off: set metrics_pprof on", http.StatusNotFound)
			return
		}
		handler(w, r)
	}
}

// ready answers 503 while the last delivery of an instance did not work, and says of each how it is.
func (s *server) ready(w http.ResponseWriter, _ *http.Request) {
	sources := s.collector.all()
	status, text := http.StatusOK, ""
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		switch h := sources[name].Health(); {
		case h.Err != nil:
			status = http.StatusServiceUnavailable
			text += fmt.Sprintf(msgNotReady+"\n", name, time.Since(h.Since).Round(time.Second), h.Err)
		case !h.Tried:
			text += fmt.Sprintf("ready: %s had nothing to deliver yet\n", name)
		default:
			text += fmt.Sprintf("ready: %s, last delivery %v ago\n", name, time.Since(h.Since).Round(time.Second))
		}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprint(w, text)
}

func (s *server) add(name string, source Source) {
	s.collector.mu.Lock()
	defer s.collector.mu.Unlock()
	s.collector.sources[name] = source
}

// remove takes an instance away, unless another has its name by now, and says how many are left.
func (s *server) remove(name string, source Source) (left int) {
	s.collector.mu.Lock()
	defer s.collector.mu.Unlock()
	if s.collector.sources[name] == source {
		delete(s.collector.sources, name)
	}
	return len(s.collector.sources)
}

// start opens the address, now if it is free, else as soon as it is.
func (s *server) start() {
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	l, err := s.listen(ctx, s.addr)
	s.done.Go(func() {
		if err != nil {
			if l = s.wait(ctx, err); l == nil {
				return
			}
		}
		if a, ok := l.Addr().(*net.TCPAddr); ok {
			s.bound.Store(a)
		}
		s.log.Info(fmt.Sprintf(msgServing, l.Addr()))
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.log.Warn(fmt.Sprintf(msgFailed, s.addr, err))
		}
	})
}

// wait tries the address until it can be had, or ctx ends; nil then.
func (s *server) wait(ctx context.Context, err error) net.Listener {
	told := !errors.Is(err, syscall.EADDRINUSE)
	if told {
		s.log.Warn(fmt.Sprintf(msgInUse, s.addr, err))
	}
	pause := time.NewTimer(bindEvery)
	defer pause.Stop()
	for began := time.Now(); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-pause.C:
		}
		l, err := s.listen(ctx, s.addr)
		if err == nil {
			return l
		}
		if !told && time.Since(began) >= bindPatience {
			told = true
			s.log.Warn(fmt.Sprintf(msgInUse, s.addr, err))
		}
		if told {
			pause.Reset(bindSlowly)
		} else {
			pause.Reset(bindEvery)
		}
	}
}

// close frees the address before it returns: after a hot reload the next instance opens it.
func (s *server) close() {
	s.cancel()
	_ = s.http.Close()
	s.done.Wait()
}
