package faults

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/logscope/logscope/test/host/hosttest"
	"github.com/logscope/logscope/test/lokitest"
	"github.com/logscope/logscope/test/sink"
)

// TestSanitized runs the host under AddressSanitizer: faults, workers, two
// instances and reloads; and TestConcurrent under the race detector, in a
// process that is all Go: the detector's memory map has no place for a library
// that C has loaded ("ThreadSanitizer failed to allocate").
func TestSanitized(t *testing.T) {
	if testing.Short() {
		t.Skip("builds with the race detector; run make faults")
	}
	t.Run("address", func(t *testing.T) {
		r := &rig{plugin: buildPlugin(t), host: hosttest.Build(t, true)}
		log := r.underFire(t)
		if strings.Contains(log, "AddressSanitizer") {
			t.Errorf("AddressSanitizer has found something:\n%s", log)
		}
	})
	t.Run("race", func(t *testing.T) {
		out, err := exec.CommandContext(t.Context(), "go", "test", "-race", "-count=1", "-run", "^TestConcurrent$", ".").CombinedOutput()
		if err != nil {
			t.Errorf("under the race detector: %v\n%s", err, out)
		}
	})
}

// underFire ships lines through faults and returns the host's log.
func (r *rig) underFire(t *testing.T) string {
	t.Helper()
	const n = 6000
	s := sink.New(t)
	p := newProxy(t, s.URL, func(push int, half []byte) fault {
		switch {
		case push%6 == 1:
			return fault{status: 503}
		case push%6 == 2:
			return fault{reset: true}
		case push%6 == 3 && len(half) > 500: // a single entry would be refused for good
			return fault{status: 413}
		}
		return fault{}
	}).open(t)
	dir := t.TempDir()
	port, err := lokitest.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	instances := [][]string{
		options(p.url, "a", "workers=4", "timeout=1s", "state_file="+filepath.Join(dir, "a"), "state_interval=1s"),
		options(p.url, "b", "workers=2", "timeout=1s", "state_file="+filepath.Join(dir, "b"), fmt.Sprintf("metrics_listen=127.0.0.1:%d", port)),
	}
	h := r.startHost(t, []string{"--chunks", writeChunks(t, n, 100), "--retries", "-1", "--retry-wait", "20", "--reload-every", "15"}, instances...)
	stats := h.wait(t, 0)
	if stats.Reloads != 4 || stats.ReloadsStuck != 0 || stats.Dropped != 0 {
		t.Errorf("got %d reloads, %d stuck, %d chunks dropped; want 4, none, none", stats.Reloads, stats.ReloadsStuck, stats.Dropped)
	}
	// What the last reload left in the spool is the first that the next instances send.
	last := r.startHost(t, []string{"--chunks", writeChunks(t, 1, 1), "--retries", "-1", "--retry-wait", "20"}, instances...)
	last.wait(t, 0)
	byRun := map[bool]ids{true: {}, false: {}}
	for _, e := range s.Entries() {
		if !strings.Contains(e.Labels, `source="logscope"`) {
			byRun[strings.Contains(e.Labels, `run="a"`)].add(e.Line)
		}
	}
	h.checkTold(t, 0, "refused")
	for _, got := range byRun {
		got.check(t, n, true) // the sink drops no repeats, as Loki does
	}
	return h.Log() + last.Log()
}
