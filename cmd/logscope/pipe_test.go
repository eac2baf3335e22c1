package main

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/logscope/logscope/conf"
)

// stuckWriter is an output that nobody reads.
type stuckWriter struct{ reached, release chan struct{} }

func (w stuckWriter) Write([]byte) (int, error) {
	close(w.reached)
	<-w.release
	return 0, errors.New("released")
}

// TestPipeStopsThoughNobodyReads what it writes, and says what was written: nothing.
func TestPipeStopsThoughNobodyReads(t *testing.T) {
	term, _, errs := testTerminal("{\"message\":\"x\"}\n")
	stuck := stuckWriter{make(chan struct{}), make(chan struct{})}
	defer close(stuck.release)
	term.out = stuck
	settings, err := conf.Load(conf.Pipe, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- runPipe(ctx, settings, term) }()
	<-stuck.reached
	stop()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("it did not stop within 10 s")
	}
	if !strings.HasPrefix(errs.String(), "logscope: 0 records, 0 anomalies;") {
		t.Errorf("got %q; want a summary of what was written", errs)
	}
}

// TestSecondSignalKills: the first one lets what is under way end; nobody has to wait for that.
func TestSecondSignalKills(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "s")
	read, write, err := os.Pipe() // as an output that is not read
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	cmd := exec.Command(self)
	cmd.Args = []string{"logscope", "pipe", "--listen-unix", path}
	cmd.Stdout = write
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = write.Close()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill() }()

	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var conn net.Conn
	for end := time.After(10 * time.Second); conn == nil; {
		if conn, err = net.Dial("unix", path); err == nil {
			break
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatal(err)
		}
	}
	defer conn.Close()
	// More than pipe and socket hold: it is stuck when this gets no further.
	_ = conn.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
	if n, err := conn.Write([]byte(strings.Repeat("{\"message\":\"x\"}\n", 1<<20))); err == nil {
		t.Fatalf("%d bytes were taken though nobody reads", n)
	}
	begun := time.Now()
	for {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-tick.C:
			continue
		case err = <-ended:
		}
		break
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Errorf("got %v after %v; want it ended by the second signal", err, time.Since(begun))
	}
}
