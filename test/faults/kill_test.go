package faults

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/logscope/logscope/test/lokitest"
)

// testKill: the host is killed at random moments under load, reloads and ends.
// It has no buffer on disk, so each start sends all lines again; what must hold
// is the state file, and that no line is lost.
func testKill(t *testing.T, r *rig, loki *lokitest.Server) {
	const n = 20000
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	p := newProxy(t, loki.URL, nil).open(t)
	run := newRun(t)
	state := filepath.Join(t.TempDir(), "state")
	args := []string{"--chunks", writeChunks(t, n, 500), "--retries", "-1", "--interval", "50", "--guard"}
	opts := options(p.url, run, "workers=4", "state_file="+state, "state_interval=1s", "timeout=1s")
	for round := range 6 {
		h := r.startHost(t, args, opts)
		until(t, "the first pushes", h, func() (bool, string) { return p.count() > 3+round, fmt.Sprint(p.count()) })
		for range random.IntN(3) {
			<-time.After(time.Duration(random.IntN(400)) * time.Millisecond)
			_ = h.Signal(syscall.SIGHUP) // it may have ended
		}
		<-time.After(time.Duration(random.IntN(1500)) * time.Millisecond)
		if round%2 == 0 {
			h.Kill()
			continue
		}
		_ = h.Signal(syscall.SIGTERM)
		h.endsWithin(t, 10*time.Second)
		if status, err := h.Wait(t.Context()); status != 0 && status != 3 || err != nil { // 3: chunks were in retry
			t.Errorf("exit status: got %d, %v; want 0 or 3; the log:\n%s", status, err, h.Log())
		}
	}
	h := r.startHost(t, append(args, "--reload-every", "8"), opts)
	stats := h.wait(t, 0)
	if stats.Reloads != 5 || stats.ReloadsStuck != 0 {
		t.Errorf("got %d reloads, %d stuck; want 5 and none", stats.Reloads, stats.ReloadsStuck)
	}
	fromLoki(t, loki, run).check(t, n, true)
	if got := scored(t, state); got < n {
		t.Errorf("the engine's record counter: got %d; want at least %d", got, n)
	}
}
