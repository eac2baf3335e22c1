// Package e2e runs the plugin on real logs, in the C host of test/host and,
// where there is one, in a real Fluent Bit, and asks a real Loki what arrived.
package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/logscope/logscope/test/child"
	"github.com/logscope/logscope/test/demo/shoplog"
	"github.com/logscope/logscope/test/fluentbit"
	"github.com/logscope/logscope/test/host/hosttest"
	"github.com/logscope/logscope/test/lokitest"
)

// rig is what a test runs on.
type rig struct {
	plugin string
	host   string
	fb     fluentbit.Fluentbit
	hasFB  bool
	loki   *lokitest.Server
	rec    *shoplog.Recording
}

// deadline bounds every wait for something that should come within seconds.
const deadline = 90 * time.Second

// newRig builds the plugin and the host; with withLoki it starts a Loki, too.
func newRig(t *testing.T, withLoki bool) *rig {
	t.Helper()
	if testing.Short() {
		t.Skip("end to end: needs a C compiler, half a minute, and the first time minutes to build Loki; run make e2e")
	}
	r := &rig{plugin: buildPlugin(t), host: hosttest.Build(t, false).Path}
	if r.fb, r.hasFB = fluentbit.Find(t.Context()); r.hasFB {
		t.Logf("using the C host of test/host, and %s (%s)", r.fb.Version, r.fb.Path)
	} else {
		t.Log("using the C host of test/host; no fluent-bit on PATH, so the tests in it are skipped")
	}
	var err error
	if r.rec, err = shoplog.LoadEndingAt(time.Now()); err != nil {
		t.Fatal(err)
	}
	if !withLoki {
		return r
	}
	if r.loki, err = lokitest.Start(t.Context(), lokitest.Options{Progress: os.Stderr}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.loki.Stop)
	t.Logf("using %s", r.loki.Origin)
	return r
}

// buildPlugin builds out_logscope.so, or takes the one that $LOGSCOPE_PLUGIN names.
func buildPlugin(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("LOGSCOPE_PLUGIN"); path != "" {
		t.Logf("using the plugin %s", path)
		return path
	}
	root, err := lokitest.Root()
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out_logscope.so")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-C", root, "-buildmode=c-shared", "-o", out, "./plugin")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cannot build the plugin: %v\n%s", err, text)
	}
	return out
}

// newRun returns a label value that keeps a test apart from all others in Loki.
func newRun(t *testing.T) string {
	t.Helper()
	name := regexp.MustCompile(`[^A-Za-z]+`).ReplaceAllString(t.Name(), "-")
	return fmt.Sprintf("%s-%d", name, time.Now().UnixNano())
}

// chunkFile writes the recording as a chunk file.
func (r *rig) chunkFile(t *testing.T, chunkBytes int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "shop.chunks")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.rec.WriteChunks(f, chunkBytes), f.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// options are those of one output section that sends to url with the label run.
func options(url, run string, more ...string) []string {
	return append([]string{"url=" + url, "labels=job=e2e, run=" + run + ", service=$service"}, more...)
}

// startHost starts the host with one instance for each list of options.
func (r *rig) startHost(t *testing.T, args []string, instances ...[]string) *child.Process {
	t.Helper()
	args = append([]string{"--plugin", r.plugin}, args...)
	for _, options := range instances {
		args = append(args, "--instance")
		for _, option := range options {
			args = append(args, "-p", option)
		}
	}
	p, err := child.Start(exec.Command(r.host, args...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

// startFluentBit starts a real Fluent Bit with one output for each list of options; it skips the test where there is none.
func (r *rig) startFluentBit(t *testing.T, dir string, config fluentbit.Config, outputs ...[]string) *child.Process {
	t.Helper()
	if !r.hasFB {
		t.Skip("no fluent-bit on PATH")
	}
	for _, options := range outputs {
		section := []string{"retry_limit no_limits"}
		for _, option := range options {
			section = append(section, strings.Replace(option, "=", " ", 1))
		}
		config.Outputs = append(config.Outputs, section)
	}
	p, err := r.fb.Start(r.plugin, dir, &config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

// wait waits for a process to end and checks its exit status.
func wait(t *testing.T, p *child.Process, status int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	got, err := p.Wait(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if got != status {
		t.Fatalf("exit status: got %d; want %d; the log:\n%s", got, status, p.Log())
	}
}

// waitLog waits for a text in a process's log.
func waitLog(t *testing.T, p *child.Process, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if err := p.WaitLog(ctx, text, 1); err != nil {
		t.Fatal(err)
	}
}

// until polls done, at most until the deadline.
func until(t *testing.T, p *child.Process, what string, done func(context.Context) (bool, string)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	poll := time.NewTicker(100 * time.Millisecond)
	defer poll.Stop()
	for {
		ok, state := done(ctx)
		if ok {
			return
		}
		select {
		case <-p.Ended():
			status, _ := p.Wait(ctx)
			t.Fatalf("the process ended with status %d before %s (%s); its log:\n%s", status, what, state, p.Log())
		case <-ctx.Done():
			t.Fatalf("%v without %s (%s); the process's log:\n%s", deadline, what, state, p.Log())
		case <-poll.C:
		}
	}
}

// window is the time that all queries ask for.
func (r *rig) window() (from, to time.Time) {
	first, last := r.rec.Span()
	return first.Add(-time.Minute), last.Add(time.Minute)
}

// untilDelivered waits until Loki has n lines of a run.
func (r *rig) untilDelivered(t *testing.T, p *child.Process, run string, n int) {
	t.Helper()
	from, to := r.window()
	until(t, p, fmt.Sprintf("all %d lines in Loki", n), func(ctx context.Context) (bool, string) {
		got, err := r.loki.Count(ctx, fmt.Sprintf(`{run=%q, source!="logscope"}`, run), from, to)
		return got >= n, fmt.Sprint(got, err)
	})
}

// entries returns all that Loki has of a run: the lines, and logscope's own findings.
func (r *rig) entries(t *testing.T, run string) (lines, findings []lokitest.Entry) {
	t.Helper()
	from, to := r.window()
	all, err := r.loki.Entries(t.Context(), fmt.Sprintf(`{run=%q}`, run), from, to)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if e.Stream["source"] == "logscope" {
			findings = append(findings, e)
		} else {
			lines = append(lines, e)
		}
	}
	return lines, findings
}
