package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/logscope/logscope/test/lokitest"
)

// spooled returns the names of the chunks in the spool beside a state file.
func spooled(t *testing.T, state string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(state+".spool", "*.pushes"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// testReload: a hot reload while Loki is away ends within 10 s, though chunks
// are in retry; they go to the spool, and from there to Loki first, once.
func testReload(t *testing.T, r *rig, loki *lokitest.Server) {
	for name, f := range map[string]fault{"refusing": {}, "hanging": {hang: true}, "answering 503": {status: 503}} {
		t.Run("Loki "+name, func(t *testing.T) {
			const n = 4000
			p := newProxy(t, loki.URL, always(f))
			if name != "refusing" {
				p.open(t)
			}
			run := newRun(t)
			state := filepath.Join(t.TempDir(), "state")
			h := r.startHost(t, []string{"--chunks", writeChunks(t, n, 200), "--retries", "-1", "--hold", "--guard"},
				options(p.url, run, "timeout=1s", "workers=1", "state_file="+state))
			h.waitLog(t, "cannot deliver", 1)
			begin := time.Now()
			h.signal(t, syscall.SIGHUP)
			h.waitLog(t, "[output:logscope:logscope.0] version", 2)
			if took := time.Since(begin); took > 10*time.Second {
				t.Errorf("the reload took %v; want at most 10 s", took)
			} else {
				t.Logf("the reload took %v, %d chunks in the spool", took.Round(10*time.Millisecond), len(spooled(t, state)))
			}
			if len(spooled(t, state)) == 0 {
				t.Error("got an empty spool; want the chunks that were in retry")
			}
			p.heal()
			if name == "refusing" {
				p.open(t)
			}
			until(t, "all lines in Loki", h, func() (bool, string) {
				got := countInLoki(t, loki, run)
				return got >= n, fmt.Sprint(got)
			})
			until(t, "an empty spool", h, func() (bool, string) { return len(spooled(t, state)) == 0, fmt.Sprint(spooled(t, state)) })
			h.signal(t, syscall.SIGTERM)
			if stats := h.wait(t, 0); stats.ReloadsStuck != 0 || stats.Reloads != 1 {
				t.Errorf("got %d reloads, %d stuck; want 1 and none", stats.Reloads, stats.ReloadsStuck)
			}
			fromLoki(t, loki, run).check(t, n, false)
			checkScored(t, state, n)
		})
	}
	t.Run("killed with a spool", func(t *testing.T) { testSpoolAfterKill(t, r, loki) })
}

// testSpoolAfterKill: the spool survives the process, and its chunks are the first to be sent.
func testSpoolAfterKill(t *testing.T, r *rig, loki *lokitest.Server) {
	const n = 2000
	p := newProxy(t, loki.URL, nil)
	run := newRun(t)
	state := filepath.Join(t.TempDir(), "state")
	opts := options(p.url, run, "timeout=500ms", "workers=1", "state_file="+state)
	h := r.startHost(t, []string{"--chunks", writeChunks(t, n, 500), "--retries", "-1", "--hold"}, opts)
	h.waitLog(t, "cannot deliver", 1)
	h.signal(t, syscall.SIGHUP)
	h.waitLog(t, "[output:logscope:logscope.0] version", 2)
	if got := len(spooled(t, state)); got != 4 {
		t.Fatalf("got %d chunks in the spool; want 4", got)
	}
	h.Kill()
	p.open(t)
	h = r.startHost(t, []string{"--hold"}, opts)
	until(t, "an empty spool", h, func() (bool, string) { return len(spooled(t, state)) == 0, fmt.Sprint(spooled(t, state)) })
	h.signal(t, syscall.SIGTERM)
	h.wait(t, 0)
	fromLoki(t, loki, run).check(t, n, false)
	if _, err := os.Stat(state); err != nil {
		t.Errorf("the state file: %v", err)
	}
}
