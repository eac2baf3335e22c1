// Command servebench measures logscope serve as its users load it: many idle
// connections, and busy clients that push batches of real log lines to a sink
// behind it. It prints what goes through, what the way through adds to an
// answer's time, and the memory of the process. "make bench-serve" runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/logscope/logscope/test/child"
	"github.com/logscope/logscope/test/lokitest"
)

type options struct {
	binary     string
	idle, busy int
	batch      int
	rate       int
	rateBatch  int
	warm, span time.Duration
	args       string
}

func main() {
	var o options
	flag.StringVar(&o.binary, "binary", "bin/logscope", "the command")
	flag.IntVar(&o.idle, "idle", 1000, "connections that only wait")
	flag.IntVar(&o.busy, "busy", 50, "clients that push")
	flag.IntVar(&o.batch, "batch", 1000, "entries of a push, as fast as it goes")
	flag.IntVar(&o.rate, "rate", 20_000, "entries a second, for the added time")
	flag.IntVar(&o.rateBatch, "rate-batch", 100, "entries of a push there")
	flag.DurationVar(&o.warm, "warm", 5*time.Second, "time before measuring")
	flag.DurationVar(&o.span, "span", 20*time.Second, "time of each measurement")
	flag.StringVar(&o.args, "args", "", "further arguments of serve, separated by spaces")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "servebench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	lines, err := loadLines()
	if err != nil {
		return err
	}
	s, err := startSink()
	if err != nil {
		return err
	}
	defer s.close()
	server, err := startServe(ctx, o, s.url)
	if err != nil {
		return err
	}
	defer server.stop()
	idle, err := openIdle(ctx, server.addr, o.idle)
	if err != nil {
		return err
	}
	defer func() {
		for _, conn := range idle {
			_ = conn.Close()
		}
	}()

	fmt.Printf("logscope serve, %d idle connections, %d clients\n\n", o.idle, o.busy)
	clients := newClients(o.busy, lines)
	if _, err := clients.flatOut(ctx, server.url, o.batch, o.warm); err != nil {
		return err
	}
	before, own := server.cpu(), ownCPU()
	through, err := clients.flatOut(ctx, server.url, o.batch, o.span)
	if err != nil {
		return err
	}
	used, own := server.cpu()-before, ownCPU()-own
	fmt.Printf("as fast as it goes, batches of %d:\n", o.batch)
	fmt.Printf("  %.0f entries/s (%.1f MB/s of lines), CPU an entry: %.2f us serve, %.2f us clients and sink\n", through.perSecond(), through.bytesPerSecond()/1e6,
		used.Seconds()*1e6/float64(through.entries), own.Seconds()*1e6/float64(through.entries))
	fmt.Printf("  answers: %s\n\n", through.times)

	fmt.Printf("%d entries/s, batches of %d:\n", o.rate, o.rateBatch)
	for _, target := range []struct{ name, url string }{{"straight to the sink", s.url}, {"through serve", server.url}} {
		at, err := clients.paced(ctx, target.url, o.rateBatch, o.rate, o.span)
		if err != nil {
			return err
		}
		fmt.Printf("  %-21s %6.0f entries/s, answers: %s\n", target.name, at.perSecond(), at.times)
	}
	now, peak := server.memory()
	fmt.Printf("\nmemory of serve: %d MB now, %d MB at most; %d pushes at the sink\n", now>>20, peak>>20, s.requests.Load())
	return server.check(o.idle, idle)
}

// served is a running logscope serve.
type served struct {
	process   *child.Process
	pid       int
	addr, url string
}

func startServe(ctx context.Context, o options, loki string) (*served, error) {
	port, err := lokitest.FreePort()
	if err != nil {
		return nil, err
	}
	s := &served{addr: fmt.Sprintf("127.0.0.1:%d", port)}
	s.url = "http://" + s.addr
	cmd := exec.Command(o.binary, append([]string{"serve", "--url", loki, "--listen", s.addr}, strings.Fields(o.args)...)...)
	if s.process, err = child.Start(cmd); err != nil {
		return nil, err
	}
	s.pid = cmd.Process.Pid
	within, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := s.process.WaitLog(within, "listening on", 1); err != nil {
		s.stop()
		return nil, fmt.Errorf("serve does not start: %w\n%s", err, s.process.Log())
	}
	return s, nil
}

func (s *served) stop() { _ = s.process.Stop(15 * time.Second) }

// check says whether the idle connections are still there, and that serve has nothing to complain of.
func (s *served) check(want int, idle []net.Conn) error {
	for i, conn := range idle {
		if err := get(conn, s.addr); err != nil {
			return fmt.Errorf("idle connection %d of %d is gone: %w", i, want, err)
		}
	}
	if log := s.process.Log(); strings.Contains(log, "level=ERROR") || strings.Contains(log, "level=WARN") {
		return errors.New("serve complained:\n" + log)
	}
	return nil
}

// ownCPU is what this process, clients and sink, has used so far.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
