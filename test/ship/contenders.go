package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/logscope/logscope/test/fluentbit"
	"github.com/logscope/logscope/test/host/hosttest"
)

const (
	grafanaLoki        = "grafana-loki"
	grafanaLokiCommand = "github.com/grafana/loki/v3/clients/cmd/fluent-bit"
)

// sink answers 204 to everything and counts the bytes.
type sink struct {
	*httptest.Server
	bytes atomic.Int64
}

func newSink() *sink {
	s := &sink{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		s.bytes.Add(n)
		w.WriteHeader(http.StatusNoContent)
	}))
	return s
}

// contenders lists what can be measured here.
func contenders(ctx context.Context, o options, in *input, dir string) ([]group, error) {
	s := newSink()
	host := func(name, plugin string, props ...string) contender {
		return contender{name: name, ship: func(ctx context.Context) (cost, error) {
			return inHost(ctx, s, o.host, plugin, in, props)
		}}
	}
	url := "url=" + s.URL
	g := group{name: "C host, the same chunks, one worker", base: grafanaLoki, entries: []contender{
		host("logscope", o.plugin, url, "labels=job=ship"),
		host("logscope, score off", o.plugin, url, "labels=job=ship", "score=off"),
	}}
	peer := filepath.Join("build", "grafana_loki.so")
	if o.peers {
		if err := buildPeer(ctx, peer); err != nil {
			return nil, err
		}
		g.entries = append(g.entries, host(grafanaLoki, peer, "Url="+s.URL+"/loki/api/v1/push", `Labels={job="ship"}`, "LogLevel=error"))
	}
	groups := []group{g}
	bit, ok := fluentbit.Find(ctx)
	if !ok {
		fmt.Println("fluent-bit is not on PATH: measured in the C host only")
		return groups, nil
	}
	address := strings.TrimPrefix(s.URL, "http://")
	ip, port, _ := strings.Cut(address, ":")
	inBit := func(name, plugin string, lines ...string) contender {
		return contender{name: name, ship: func(ctx context.Context) (cost, error) {
			return inFluentBit(ctx, s, bit.Path, plugin, in, dir, lines)
		}}
	}
	return append(groups, group{name: bit.Version + ", tail of one file", base: "loki", entries: []contender{
		inBit("null (tail alone)", "", "name null"),
		inBit("loki", "", "name loki", "host "+ip, "port "+port, "labels job=ship", "drop_single_key raw"),
		inBit("logscope", o.plugin, "name logscope", "url "+s.URL, "labels job=ship", "workers 1"),
		inBit("logscope, score off", o.plugin, "name logscope", "url "+s.URL, "labels job=ship", "score off", "workers 1"),
	}}), nil
}

// inHost ships the chunks from the C host.
func inHost(ctx context.Context, s *sink, host, plugin string, in *input, props []string) (cost, error) {
	args := []string{"--stats", "--log-level", "error", "--plugin", plugin, "--chunks", in.chunks, "--instance", "-p", "workers=1"}
	for _, p := range props {
		args = append(args, "-p", p)
	}
	var stats, log bytes.Buffer
	cmd := exec.CommandContext(ctx, host, args...)
	cmd.Stdout, cmd.Stderr = &stats, &log
	before, begin := s.bytes.Load(), time.Now()
	if err := cmd.Run(); err != nil {
		return cost{}, fmt.Errorf("%w: %s", err, log.Bytes())
	}
	var got hosttest.Stats
	if err := json.Unmarshal(stats.Bytes(), &got); err != nil {
		return cost{}, err
	}
	if got.Records != int64(in.lines) || got.Dropped > 0 {
		return cost{}, fmt.Errorf("got %d records, %d chunks dropped; want %d and none", got.Records, got.Dropped, in.lines)
	}
	return costOf(cmd, s.bytes.Load()-before, time.Since(begin)), nil
}

// inFluentBit ships the file from a real Fluent Bit that ends at the end of it.
func inFluentBit(ctx context.Context, s *sink, bit, plugin string, in *input, dir string, output []string) (cost, error) {
	conf := "[SERVICE]\n    flush 1\n    grace 30\n    log_level error\n    coro_stack_size 196608\n" +
		"[INPUT]\n    name tail\n    tag ship\n    path " + in.text + "\n    read_from_head on\n    exit_on_eof on\n    mem_buf_limit 0\n" +
		"[OUTPUT]\n    match *\n    retry_limit no_limits\n    " + strings.Join(output, "\n    ") + "\n"
	path := filepath.Join(dir, "ship.conf")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		return cost{}, err
	}
	args := []string{"-c", path}
	if plugin != "" {
		abs, err := filepath.Abs(plugin)
		if err != nil {
			return cost{}, err
		}
		args = append(args, "-e", abs)
	}
	var log bytes.Buffer
	cmd := exec.CommandContext(ctx, bit, args...)
	cmd.Stdout, cmd.Stderr = &log, &log
	before, begin := s.bytes.Load(), time.Now()
	if err := cmd.Run(); err != nil {
		return cost{}, fmt.Errorf("%w: %s", err, log.Bytes())
	}
	return costOf(cmd, s.bytes.Load()-before, time.Since(begin)), nil
}

func costOf(cmd *exec.Cmd, wire int64, wall time.Duration) cost {
	c := cost{CPU: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), Wall: wall, Wire: wire}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		c.RSS = usage.Maxrss << 10
	}
	return c
}

// buildPeer builds Grafana's own output from the Loki module that test/loki pins.
func buildPeer(ctx context.Context, path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "building grafana-loki from the pinned Loki module, once; some minutes")
	cmd := exec.CommandContext(ctx, "go", "build", "-C", filepath.Join("test", "loki"), "-buildmode=c-shared", "-ldflags", "-s -w", "-o", abs, grafanaLokiCommand)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return cmd.Run()
}
