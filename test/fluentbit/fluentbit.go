// Package fluentbit runs a real Fluent Bit with logscope's plugin.
package fluentbit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Fluentbit is an installed Fluent Bit.
type Fluentbit struct {
	Path, Version string
}

// Find looks for fluent-bit on PATH.
func Find(ctx context.Context) (Fluentbit, bool) {
	path, err := exec.LookPath("fluent-bit")
	if err != nil {
		return Fluentbit{}, false
	}
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return Fluentbit{}, false
	}
	version, _, _ := strings.Cut(string(out), "\n")
	return Fluentbit{path, version}, true
}

// Process is a Fluent Bit that runs.
type Process struct {
	cmd   *exec.Cmd
	ended chan struct{}

	mu  sync.Mutex
	log bytes.Buffer
}

// Start starts Fluent Bit with the plugin and the configuration, which is
// written into dir as fluent-bit.conf and parsers.conf.
func (f Fluentbit) Start(plugin, dir string, config *Config) (*Process, error) {
	for name, text := range map[string]string{"fluent-bit.conf": config.Text(), "parsers.conf": config.Parsers()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	p := &Process{ended: make(chan struct{})}
	p.cmd = exec.Command(f.Path, "-e", plugin, "-c", filepath.Join(dir, "fluent-bit.conf"))
	p.cmd.Dir = dir
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start Fluent Bit: %w", err)
	}
	go func() {
		_ = p.cmd.Wait() // its status is asked for by Stop and Wait
		close(p.ended)
	}()
	return p, nil
}

// Write takes what Fluent Bit prints.
func (p *Process) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(text)
}

// Log returns what Fluent Bit has printed so far.
func (p *Process) Log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Wait waits for the process to end and returns its exit status.
func (p *Process) Wait(ctx context.Context) (int, error) {
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("Fluent Bit still runs: %w", ctx.Err())
	}
}

// Stop shuts Fluent Bit down as systemd does. One that has not ended within
// stopWithin is killed, and that is an error.
func (p *Process) Stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
		return nil
	case <-time.After(stopWithin):
		_ = p.cmd.Process.Kill()
		<-p.ended
		return errors.New("Fluent Bit did not end within " + stopWithin.String() + " of SIGTERM")
	}
}

// stopWithin is Fluent Bit's grace period of 5 s, and time for a busy machine.
const stopWithin = 20 * time.Second

// Kill ends Fluent Bit with nothing saved.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// Reload asks for a hot reload; it needs Hot_Reload On.
func (p *Process) Reload() error { return p.cmd.Process.Signal(syscall.SIGHUP) }
