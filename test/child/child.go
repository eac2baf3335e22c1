// Package child runs programs whose output can be read while they run.
package child

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is a program that runs.
type Process struct {
	cmd   *exec.Cmd
	ended chan struct{}

	mu      sync.Mutex
	log     bytes.Buffer
	written chan struct{} // closed and replaced when the log grows
}

// Start starts the program. Its standard output goes to cmd.Stdout where that
// is set; all else it prints is the log. It is killed when this process dies.
func Start(cmd *exec.Cmd) (*Process, error) {
	p := &Process{cmd: cmd, ended: make(chan struct{}), written: make(chan struct{})}
	if cmd.Stdout == nil {
		cmd.Stdout = p
	}
	cmd.Stderr = p
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", cmd.Path, err)
	}
	go func() {
		_ = cmd.Wait() // its status is asked for by Wait
		close(p.ended)
	}()
	return p, nil
}

// Write takes what the program prints.
func (p *Process) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.written)
	p.written = make(chan struct{})
	return p.log.Write(text)
}

// Log returns what the program has printed so far.
func (p *Process) Log() string {
	log, _ := p.logAndNext()
	return log
}

func (p *Process) logAndNext() (string, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String(), p.written
}

// WaitLog waits until the program has printed text at least n times.
func (p *Process) WaitLog(ctx context.Context, text string, n int) error {
	for {
		log, next := p.logAndNext()
		if strings.Count(log, text) >= n {
			return nil
		}
		select {
		case <-next:
		case <-p.ended:
			if strings.Count(p.Log(), text) >= n {
				return nil
			}
			return fmt.Errorf("%s ended (%v) without %q in its log:\n%s", p.cmd.Path, p.cmd.ProcessState, text, p.Log())
		case <-ctx.Done():
			return fmt.Errorf("%w: no %q in the log:\n%s", ctx.Err(), text, log)
		}
	}
}

// Ended is closed when the program has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Wait waits for the program to end and returns its exit status, -1 where a signal ended it.
func (p *Process) Wait(ctx context.Context) (int, error) {
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("%s still runs: %w; its log:\n%s", p.cmd.Path, ctx.Err(), p.Log())
	}
}

// Signal sends a signal.
func (p *Process) Signal(sig syscall.Signal) error { return p.cmd.Process.Signal(sig) }

// Stop asks the program to end, as systemd and Kubernetes do. One that has not
// ended in time is killed, and that is an error.
func (p *Process) Stop(within time.Duration) error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
		return nil
	case <-time.After(within):
		p.Kill()
		return errors.New(p.cmd.Path + " did not end within " + within.String() + " of SIGTERM")
	}
}

// Kill ends the program with nothing saved.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}
