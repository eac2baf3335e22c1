// Package lokitest runs a real Grafana Loki for tests and the demo, and asks
// it questions in LogQL.
package lokitest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Server is a Loki that answers.
type Server struct {
	*Client
	// Origin says for people which Loki this is.
	Origin string

	log    string // path of its log; empty: not ours
	cmd    *exec.Cmd
	ended  chan struct{} // closed when the process ended; nil: no process of ours
	remove []string      // docker command that removes the container; nil: none
}

// Options say which Loki to run, and where. The zero value works.
type Options struct {
	// Dir holds Loki's data and log; empty: a new temporary directory, removed by Stop.
	Dir string
	// Port on loopback; 0: a free one.
	Port int
	// AllowDocker takes the image of the pinned version where a Docker engine answers, instead of building it.
	AllowDocker bool
	// Args are more flags for a Loki of its own, which go before what its configuration file says.
	Args []string
	// Ruler is the YAML of the configuration's section ruler, without its name; empty: there is no ruler's API.
	// It is for a Loki of its own.
	Ruler string
	// Progress gets lines for people while Loki is built; nil: none are written.
	Progress io.Writer
}

const (
	// readyWithin bounds Loki's start: it takes about 3 s, longer on a busy machine.
	readyWithin = 90 * time.Second
	// runsReadyWithin is for a Loki that is said to run already.
	runsReadyWithin = 15 * time.Second
)

// Start gives a Loki that is ready: the one at $LOKI_URL where that is set,
// else one of its own on loopback.
func Start(ctx context.Context, opt Options) (*Server, error) {
	if opt.Progress == nil {
		opt.Progress = io.Discard
	}
	if url := os.Getenv("LOKI_URL"); url != "" {
		s := &Server{Client: NewClient(url), Origin: "the Loki at $LOKI_URL, " + url}
		if err := s.waitReady(ctx, runsReadyWithin); err != nil {
			return nil, fmt.Errorf("cannot use LOKI_URL=%q: %w; start that Loki, or unset LOKI_URL to have one started here", url, err)
		}
		return s, nil
	}
	module, err := findModule()
	if err != nil {
		return nil, err
	}
	if opt.AllowDocker && dockerAnswers(ctx) {
		return startContainer(ctx, module.version, opt)
	}
	binary, err := module.build(ctx, opt.Progress)
	if err != nil {
		return nil, err
	}
	return startBinary(ctx, binary, module.version, opt)
}

func startBinary(ctx context.Context, binary, version string, opt Options) (*Server, error) {
	dir, temporary := opt.Dir, false
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "logscope-loki-"); err != nil {
			return nil, err
		}
		temporary = true
	}
	port := opt.Port
	if port == 0 {
		var err error
		if port, err = FreePort(); err != nil {
			return nil, err
		}
	}
	grpc, err := FreePort()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "loki.yaml")
	if err := os.WriteFile(config, configuration("127.0.0.1", port, grpc, filepath.Join(dir, "data"), opt.Ruler), 0o644); err != nil {
		return nil, err
	}
	s := &Server{
		Client: NewClient(fmt.Sprintf("http://127.0.0.1:%d", port)),
		Origin: fmt.Sprintf("Loki %s, %s", version, binary),
		log:    filepath.Join(dir, "loki.log"),
		ended:  make(chan struct{}),
	}
	out, err := os.Create(s.log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	s.cmd = exec.Command(binary, append([]string{"-config.file=" + config}, opt.Args...)...)
	s.cmd.Stdout, s.cmd.Stderr = out, out
	// It must not outlive a test that is killed.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start Loki: %w", err)
	}
	go func() {
		_ = s.cmd.Wait() // why it ended stands in its log
		if temporary {
			_ = os.RemoveAll(dir)
		}
		close(s.ended)
	}()
	if err := s.waitReady(ctx, readyWithin); err != nil {
		err = fmt.Errorf("%w\nthe end of Loki's log:\n%s", err, s.LogTail(15))
		s.Stop()
		return nil, err
	}
	return s, nil
}

// waitReady polls /ready until Loki says it is, its process ends, or the time is over.
func (s *Server) waitReady(ctx context.Context, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	poll := time.NewTicker(100 * time.Millisecond)
	defer poll.Stop()
	for {
		last := s.ready(ctx)
		if last == nil {
			return nil
		}
		select {
		case <-s.ended:
			return errors.New("the process of Loki ended before it was ready")
		case <-ctx.Done():
			return fmt.Errorf("not ready within %v: %w", within, last)
		case <-poll.C:
		}
	}
}

func (c *Client) ready(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL+"/ready", nil)
	if err != nil {
		return err
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", resp.Status, bytes.TrimSpace(body))
	}
	return nil
}

// Stop ends a Loki that Start started; one at $LOKI_URL goes on.
func (s *Server) Stop() {
	if s.remove != nil {
		_ = exec.Command(s.remove[0], s.remove[1:]...).Run()
		s.remove = nil
	}
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(15 * time.Second): // it flushes its chunks to disk first
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
}

// LogTail returns the last n lines of Loki's log, empty for a Loki that is not ours.
func (s *Server) LogTail(n int) string {
	if s.log == "" {
		return ""
	}
	data, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// FreePort returns a TCP port of loopback that nobody listens on.
func FreePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// configuration is the smallest one of a single process that keeps what it is
// given, of whatever age, answers for it at once, and talks to nobody.
func configuration(listen string, http, grpc int, data, ruler string) []byte {
	if ruler == "" {
		ruler = "enable_api: false"
	}
	ruler = strings.ReplaceAll(strings.TrimSpace(ruler), "\n", "\n  ")
	return fmt.Appendf(nil, `auth_enabled: false
server:
  http_listen_address: %[1]s
  http_listen_port: %[2]d
  grpc_listen_address: 127.0.0.1
  grpc_listen_port: %[3]d
  log_level: warn
common:
  instance_addr: 127.0.0.1
  path_prefix: %[4]s
  replication_factor: 1
  ring:
    kvstore:
      store: inmemory
  storage:
    filesystem:
      chunks_directory: %[4]s/chunks
      rules_directory: %[4]s/rules
schema_config:
  configs:
    - from: "2020-01-01"
      store: tsdb
      object_store: filesystem
      schema: v13
      index:
        prefix: index_
        period: 24h
ingester:
  lifecycler:
    min_ready_duration: 0s # the default waits 15 s
query_scheduler:
  use_scheduler_ring: false # found by its address at once; through the ring it takes 10 s
frontend:
  scheduler_address: 127.0.0.1:%[3]d
frontend_worker:
  scheduler_address: 127.0.0.1:%[3]d
querier:
  query_ingesters_within: 0s # also for lines of another day
limits_config:
  allow_structured_metadata: true
  reject_old_samples: false
  ingestion_rate_mb: 256
  ingestion_burst_size_mb: 512
  per_stream_rate_limit: 256MB
  per_stream_rate_limit_burst: 512MB
  max_entries_limit_per_query: 200000
  split_queries_by_interval: 24h
ruler:
  %[5]s
analytics:
  reporting_enabled: false
`, listen, http, grpc, data, ruler)
}
