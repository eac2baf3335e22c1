package metrics

import (
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/pprof"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/logscope/logscope/plugin/listen"
)

const (
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
		srv.Start()
	}
	srv.add(name, source)
	if opts.Pprof {
		srv.pprof.Add(1)
		if host, _, err := net.SplitHostPort(opts.Listen); err == nil && !listen.IsLoopback(host) {
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
			srv.Close()
			delete(s.byAddr, opts.Listen)
		}
	})
}

// server is one listener.
type server struct {
	listen.Server
	collector *collector
	http      http.Server
	pprof     atomic.Int32 // instances that want it
}

func newServer(addr, version string, log *slog.Logger) *server {
	s := &server{collector: newCollector(version)}
	s.Server = listen.Server{
		Option: "metrics_listen", Serving: "/metrics, /ready and /live", Missing: "metrics are", Addr: addr, HTTP: &s.http, Log: log,
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
