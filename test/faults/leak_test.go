package faults

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/logscope/logscope/plugin/pipeline"
	"github.com/logscope/logscope/test/sink"
)

// usage is what a process holds.
type usage struct{ rssKB, descriptors, threads int }

func usageOf(t *testing.T, pid int) usage {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	u := usage{descriptors: len(fds)}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			u.rssKB, err = strconv.Atoi(strings.Fields(rest)[0])
		} else if rest, ok := strings.CutPrefix(line, "Threads:"); ok {
			u.threads, err = strconv.Atoi(strings.TrimSpace(rest))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return u
}

// TestReloads reloads a host 220 times, with two instances of two workers, under load.
func TestReloads(t *testing.T) {
	r := newRig(t)
	const chunks, perChunk = 220, 50
	s := sink.New(t)
	s.Keep = func(sink.Entry) {}
	dir := t.TempDir()
	const started = "[output:logscope:logscope.1] version"
	h := r.startHost(t, []string{"--chunks", writeChunks(t, chunks*perChunk, perChunk), "--reload-every", "1", "--retries", "-1", "--hold", "--guard"},
		options(s.URL, "a", "workers=2", "state_file="+filepath.Join(dir, "a")),
		options(s.URL, "b", "workers=2", "state_file="+filepath.Join(dir, "b")))
	h.waitLog(t, started, 20)
	early := usageOf(t, h.pid())
	h.waitLog(t, started, chunks+1)
	until(t, "all chunks flushed", h, func() (bool, string) { n, _ := s.Requests(); return n >= 2*chunks, fmt.Sprint(n) })
	late := usageOf(t, h.pid())
	t.Logf("after 20 reloads: %+v; after %d: %+v", early, chunks, late)
	if late.descriptors > early.descriptors+4 {
		t.Errorf("descriptors: got %d; want no more than the %d of before", late.descriptors, early.descriptors)
	}
	if late.threads > early.threads+6 {
		t.Errorf("threads: got %d; want no more than the %d of before", late.threads, early.threads)
	}
	if late.rssKB > early.rssKB*5/4+8<<10 {
		t.Errorf("memory: got %d KB; want no more than the %d of before", late.rssKB, early.rssKB)
	}
	h.signal(t, syscall.SIGTERM)
	if stats := h.wait(t, 0); stats.Reloads != chunks || stats.ReloadsStuck != 0 || stats.Dropped != 0 || stats.ForeignLogs != 0 {
		t.Errorf("got %+v; want %d reloads, none stuck, nothing dropped, no foreign logs", stats, chunks)
	}
}

// TestGoroutines counts what /proc does not show: 200 pipelines in turn leave no goroutine.
func TestGoroutines(t *testing.T) {
	s := sink.New(t)
	s.Keep = func(sink.Entry) {}
	data := readChunks(t, writeChunks(t, 200, 200))[0]
	dir := t.TempDir()
	var log bytes.Buffer
	cycle := func() {
		cfg := pipeline.DefaultConfig()
		cfg.Loki.URL, cfg.StateFile = s.URL, filepath.Join(dir, "state")
		p, err := pipeline.New(cfg, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		if code := p.Flush("app", data); code != pipeline.OK {
			t.Fatalf("flush: got %d; want OK; the log:\n%s", code, log.String())
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		cycle()
	}
	before := runtime.NumGoroutine()
	for range 200 {
		cycle()
	}
	end := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > before && time.Now().Before(end) {
		runtime.Gosched() // the server's side of closed connections
	}
	if got := runtime.NumGoroutine(); got > before {
		stacks := make([]byte, 1<<16)
		t.Errorf("goroutines: got %d; want the %d of before:\n%s", got, before, stacks[:runtime.Stack(stacks, true)])
	}
}
