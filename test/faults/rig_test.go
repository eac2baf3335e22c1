// Package faults breaks what stands between the plugin and Loki, and the
// process it lives in, and counts what arrives. README.md has the table.
package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/logscope/logscope/test/child"
	"github.com/logscope/logscope/test/fluentbit"
	"github.com/logscope/logscope/test/host/hosttest"
	"github.com/logscope/logscope/test/lokitest"
)

// deadline bounds every wait for something that should come within seconds.
const deadline = 60 * time.Second

// rig is what a test runs on.
type rig struct {
	plugin string
	host   hosttest.Host
	fb     fluentbit.Fluentbit
	hasFB  bool
}

func newRig(t *testing.T) *rig {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a C compiler and some minutes; run make faults")
	}
	r := &rig{plugin: buildPlugin(t), host: hosttest.Build(t, false)}
	if r.fb, r.hasFB = fluentbit.Find(t.Context()); r.hasFB {
		t.Logf("using %s (%s)", r.fb.Version, r.fb.Path)
	}
	return r
}

// buildPlugin builds out_logscope.so, or takes the one that $LOGSCOPE_PLUGIN names.
func buildPlugin(t *testing.T, flags ...string) string {
	t.Helper()
	if path := os.Getenv("LOGSCOPE_PLUGIN"); path != "" && len(flags) == 0 {
		t.Logf("using the plugin %s", path)
		return path
	}
	root, err := lokitest.Root()
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out_logscope.so")
	args := append([]string{"build", "-C", root, "-buildmode=c-shared", "-o", out}, flags...)
	cmd := exec.CommandContext(t.Context(), "go", append(args, "./plugin")...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cannot build the plugin: %v\n%s", err, text)
	}
	return out
}

// startLoki starts a Loki of the test's own.
func startLoki(t *testing.T, args ...string) *lokitest.Server {
	t.Helper()
	if len(args) > 0 {
		t.Setenv("LOKI_URL", "") // one that already runs has not these flags
	}
	s, err := lokitest.Start(t.Context(), lokitest.Options{Progress: os.Stderr, Args: args})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// newRun returns a label value that keeps a test apart from all others in Loki.
func newRun(t *testing.T) string {
	t.Helper()
	name := regexp.MustCompile(`[^A-Za-z0-9]+`).ReplaceAllString(t.Name(), "-")
	return fmt.Sprintf("%s-%d", name, time.Now().UnixNano())
}

// options are those of one output section that sends to url with the label run.
// Retries come fast: the faults last for a second, not for minutes.
func options(url, run string, more ...string) []string {
	return append([]string{"url=" + url, "labels=job=faults, run=" + run, "min_backoff=20ms", "max_backoff=100ms"}, more...)
}

// process is a host or a Fluent Bit that runs.
type process struct {
	*child.Process
	out *bytes.Buffer // the host's figures; complete when it has ended
	pid func() int
}

// startHost starts the host with one instance for each list of options.
func (r *rig) startHost(t *testing.T, args []string, instances ...[]string) *process {
	t.Helper()
	return start(t, exec.Command(r.host.Path, r.hostArgs(args, instances...)...))
}

func (r *rig) hostArgs(args []string, instances ...[]string) []string {
	all := append([]string{"--plugin", r.plugin, "--stats"}, args...)
	for _, options := range instances {
		all = append(all, "--instance")
		for _, option := range options {
			all = append(all, "-p", option)
		}
	}
	return all
}

func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{out: &bytes.Buffer{}}
	cmd.Stdout = p.out
	var err error
	if p.Process, err = child.Start(cmd); err != nil {
		t.Fatal(err)
	}
	p.pid = func() int { return cmd.Process.Pid }
	t.Cleanup(p.Kill)
	return p
}

// wait waits for the process to end and checks its exit status.
func (p *process) wait(t *testing.T, status int) hosttest.Stats {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*deadline)
	defer cancel()
	got, err := p.Wait(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if got != status {
		t.Fatalf("exit status: got %d; want %d; the log:\n%s", got, status, p.Log())
	}
	var stats hosttest.Stats
	if p.out.Len() > 0 {
		if err := json.Unmarshal(p.out.Bytes(), &stats); err != nil {
			t.Fatalf("cannot read the host's figures: %v", err)
		}
	}
	return stats
}

// waitLog waits until the log has a text n times.
func (p *process) waitLog(t *testing.T, text string, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if err := p.WaitLog(ctx, text, n); err != nil {
		t.Fatal(err)
	}
}

// signal sends a signal.
func (p *process) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := p.Signal(sig); err != nil {
		t.Fatalf("cannot send %v: %v; the log:\n%s", sig, err, p.Log())
	}
}

// endsWithin waits for the end that was asked for.
func (p *process) endsWithin(t *testing.T, within time.Duration) {
	t.Helper()
	begin := time.Now()
	select {
	case <-p.Ended():
		t.Logf("ended %v after it was asked to", time.Since(begin).Round(10*time.Millisecond))
	case <-time.After(within):
		t.Fatalf("still runs %v after it was asked to end; its log:\n%s", within, p.Log())
	}
}

// until polls done, at most until the deadline.
func until(t *testing.T, what string, p *process, done func() (bool, string)) {
	t.Helper()
	end := time.After(deadline)
	poll := time.NewTicker(100 * time.Millisecond)
	defer poll.Stop()
	for {
		ok, state := done()
		if ok {
			return
		}
		select {
		case <-p.Ended():
			if ok, _ := done(); ok {
				return
			}
			t.Fatalf("the process ended before %s (%s); its log:\n%s", what, state, p.Log())
		case <-end:
			t.Fatalf("%v without %s (%s); the process's log:\n%s", deadline, what, state, p.Log())
		case <-poll.C:
		}
	}
}

// linesWith returns the lines of a log that hold all the words.
func linesWith(log string, words ...string) []string {
	var found []string
next:
	for line := range strings.Lines(log) {
		for _, word := range words {
			if !strings.Contains(line, word) {
				continue next
			}
		}
		found = append(found, strings.TrimSpace(line))
	}
	return found
}

// checkTold demands that the log has exactly n lines with all the words.
func (p *process) checkTold(t *testing.T, n int, words ...string) {
	t.Helper()
	if got := linesWith(p.Log(), words...); len(got) != n {
		t.Errorf("got %d lines with %q; want %d; the log:\n%s", len(got), words, n, p.Log())
	}
}
