// Package hosttest compiles the C host of test/host and runs plugins in it.
package hosttest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// Stats is what the host counts (flbhost --stats).
type Stats struct {
	Chunks       int64 `json:"chunks"`  // read from the file
	Records      int64 `json:"records"` // in them
	Bytes        int64 `json:"bytes"`   // of them
	Flushes      int64 `json:"flushes"`
	OK           int64 `json:"ok"`
	Retry        int64 `json:"retry"`
	Error        int64 `json:"error"`
	Dropped      int64 `json:"dropped"` // chunks that an instance did not take
	Reloads      int64 `json:"reloads"`
	ReloadsStuck int64 `json:"reloads_stuck"` // a chunk stayed in retry for too long
	ForeignLogs  int64 `json:"foreign_logs"`  // lines logged from threads of the plugin's own
	FlushUsMax   int64 `json:"flush_us_max"`
	StackUsedMax int64 `json:"stack_used_max"` // bytes of the coroutine's stack
	WallMs       int64 `json:"wall_ms"`
	UserMs       int64 `json:"user_ms"`
	SysMs        int64 `json:"sys_ms"`
	MaxRSSKB     int64 `json:"max_rss_kb"`
}

// Exit statuses of the host.
const (
	Delivered   = 0 // every instance took every chunk
	StartFailed = 1
	Usage       = 2
	Undelivered = 3 // a chunk was dropped, or a reload was stuck
)

// Host is a compiled flbhost.
type Host struct {
	Path string
	ASan bool
}

// Result is what one run left behind.
type Result struct {
	Status int // exit status; -1 if a signal ended it
	Stats  Stats
	Log    string // standard error
}

// Build compiles the host into a directory of the test's, with AddressSanitizer
// if asan is set. It skips the test where there is no C compiler, or none with
// the sanitizer.
func Build(t testing.TB, asan bool) Host {
	t.Helper()
	if asan {
		requireASan(t)
	}
	dir := sourceDir(t)
	sources, err := filepath.Glob(filepath.Join(dir, "*.c"))
	if err != nil || len(sources) == 0 {
		t.Fatalf("cannot find the host's sources in %q: %v", dir, err)
	}
	h := Host{Path: filepath.Join(t.TempDir(), "flbhost"), ASan: asan}
	args := append([]string{"-O1", "-g", "-Wall", "-Wextra", "-Werror", "-o", h.Path}, sources...)
	if asan {
		args = append(args, "-fsanitize=address")
	}
	compile(t, append(args, "-ldl", "-lpthread")...)
	return h
}

// BuildPlugin compiles a plugin that is written in C.
func BuildPlugin(t testing.TB, source string, asan bool) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "plugin.so")
	args := []string{"-O1", "-g", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", out, source}
	if asan {
		args = append(args, "-fsanitize=address")
	}
	compile(t, args...)
	return out
}

func sourceDir(t testing.TB) string {
	t.Helper()
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		t.Fatal("cannot find the source directory of test/host")
	}
	return filepath.Dir(filepath.Dir(file))
}

func compile(t testing.TB, args ...string) {
	t.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler on PATH")
	}
	if out, err := exec.CommandContext(t.Context(), cc, args...).CombinedOutput(); err != nil {
		t.Fatalf("cannot compile: %v\n%s", err, out)
	}
}

func requireASan(t testing.TB) {
	t.Helper()
	dir := t.TempDir()
	source := filepath.Join(dir, "try.c")
	if err := os.WriteFile(source, []byte("int main(void) { return 0; }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(dir, "try")
	if err := exec.Command("cc", "-fsanitize=address", "-o", bin, source).Run(); err != nil {
		t.Skipf("the C compiler has no AddressSanitizer: %v", err)
	}
	if err := exec.Command(bin).Run(); err != nil {
		t.Skipf("a program with AddressSanitizer does not run here: %v", err)
	}
}

// Run runs the host to its end. It adds --stats. env is added to the process's.
func (h Host) Run(ctx context.Context, env []string, args ...string) (Result, error) {
	p, err := h.Start(ctx, env, args...)
	if err != nil {
		return Result{}, err
	}
	return p.Wait()
}

// Process is a running host.
type Process struct {
	cmd         *exec.Cmd
	out, stderr bytes.Buffer
}

// Start starts the host and returns at once.
func (h Host) Start(ctx context.Context, env []string, args ...string) (*Process, error) {
	p := &Process{cmd: exec.CommandContext(ctx, h.Path, append([]string{"--stats"}, args...)...)}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.stderr
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start the host: %w", err)
	}
	return p, nil
}

// Stop asks the host to shut down, as systemd or Kubernetes do.
func (p *Process) Stop() error { return p.cmd.Process.Signal(syscall.SIGTERM) }

// Reload asks for a hot reload.
func (p *Process) Reload() error { return p.cmd.Process.Signal(syscall.SIGHUP) }

// Wait waits for the host to end and returns what it left. Its error is about
// running it; the exit status is in the Result.
func (p *Process) Wait() (Result, error) {
	err := p.cmd.Wait()
	r := Result{Status: p.cmd.ProcessState.ExitCode(), Log: p.stderr.String()}
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return r, fmt.Errorf("cannot run the host: %w", err)
	}
	if p.out.Len() > 0 {
		if err := json.Unmarshal(p.out.Bytes(), &r.Stats); err != nil {
			return r, fmt.Errorf("cannot read the host's figures %q: %w", p.out.String(), err)
		}
	}
	return r, nil
}
