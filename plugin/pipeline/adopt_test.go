package pipeline

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logscope/logscope/test/sink"
)

// leave makes an instance that ends with a chunk in its spool.
func leave(t *testing.T, s *sink.Sink, state string) (*Pipeline, *logBuffer) {
	t.Helper()
	p, log := start(t, s, func(c *Config) { c.StateFile = state; c.Loki.Backoff.MaxRetries = 1 })
	p.Reload()
	if got := p.Flush("app", lines(t, "one", "two")); got != OK {
		t.Fatalf("got %v; want OK, kept in the spool", got)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	return p, log
}

// TestSpoolOfAnotherStateFileIsSent: a reload that changes or removes state_file strands nothing.
func TestSpoolOfAnotherStateFileIsSent(t *testing.T) {
	s := sink.New(t)
	var up atomic.Bool
	s.Answer = func(*http.Request, int) (int, string, bool) {
		if !up.Load() {
			return http.StatusServiceUnavailable, "", false
		}
		return 0, "", true
	}
	state := filepath.Join(t.TempDir(), "old")
	old, log := leave(t, s, state)
	left := old.Left()
	if len(left) != 1 || left[0].StateFile != state || left[0].Chunks != 1 {
		t.Fatalf("got %+v; want one chunk of %s", left, state)
	}
	if want := "1 chunks that Loki does not have wait in"; !strings.Contains(log.String(), want) || !strings.Contains(log.String(), "level=WARN") {
		t.Errorf("got log %s; want a warning with %q", log, want)
	}

	other, _ := start(t, s, func(c *Config) { c.Loki.TenantID = "other" })
	if other.Adopt(left[0]) {
		t.Error("an instance of another tenant took it")
	}
	heir, log := start(t, s, func(c *Config) { c.Loki.Backoff.MaxRetries = 1 }) // no state file at all
	if !heir.Adopt(left[0]) || !strings.Contains(log.String(), "sending 1 chunks that an earlier instance left in") {
		t.Errorf("got log %s; want it adopted and told", log)
	}
	if n := heir.Stats().SpoolChunks; n != 1 {
		t.Errorf("got %d chunks in the spool; want 1", n)
	}
	if err := heir.Close(); err != nil { // Loki stays away
		t.Fatal(err)
	}
	if diff := cmp.Diff(left, heir.Left(), cmp.AllowUnexported(Left{})); diff != "" {
		t.Errorf("left again (-want +got):\n%s", diff)
	}

	up.Store(true)
	last, _ := start(t, s, nil)
	if !last.Adopt(left[0]) {
		t.Error("got it refused; want it adopted")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if !last.adopted[0].wait(ctx) {
		t.Fatal("the spool was not sent within 10 s")
	}
	if diff := cmp.Diff([]string{"one", "two"}, texts(s.Entries())); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	if err := last.Close(); err != nil || len(last.Left()) != 0 {
		t.Errorf("got %v, %v; want nothing left", err, last.Left())
	}
}

// TestSpoolOfARunningInstanceIsNotAdopted: it sends it itself.
func TestSpoolOfARunningInstanceIsNotAdopted(t *testing.T) {
	s := sink.New(t)
	s.Answer = func(*http.Request, int) (int, string, bool) { return http.StatusServiceUnavailable, "", false }
	state := filepath.Join(t.TempDir(), "state")
	old, _ := leave(t, s, state)
	_, log := start(t, s, func(c *Config) { c.StateFile = state })
	if !strings.Contains(log.String(), "sending 1 chunks that an earlier instance left in") {
		t.Errorf("got log %s; want it told that it sends the spool", log)
	}
	p, log := start(t, s, nil)
	if !p.Adopt(old.Left()[0]) || p.Stats().SpoolChunks != 0 || log.String() != "" {
		t.Errorf("got %d chunks adopted and log %s; want none, and no word", p.Stats().SpoolChunks, log)
	}
}
