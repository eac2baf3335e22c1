// Command demo ships a recorded log with a real fault in it through
// out_logscope.so into a real Loki, and shows the anomalies it finds there.
//
//	go run ./test/demo
//
// README.md beside it says what was recorded.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/logscope/logscope/test/demo/shoplog"
	"github.com/logscope/logscope/test/lokitest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	d := &demo{out: os.Stdout}
	flag.StringVar(&d.plugin, "plugin", "", "out_logscope.so to use; default: bin/out_logscope.so, built if missing")
	flag.StringVar(&d.host, "host", "", "flbhost to use where no fluent-bit is on PATH; default: build/flbhost, built if missing")
	flag.BoolVar(&d.useHost, "use-host", false, "use flbhost although a fluent-bit is on PATH")
	flag.IntVar(&d.show, "show", 12, "how many kinds of anomalies to print")
	flag.DurationVar(&d.stay, "stay", 0, "how long Loki stays afterwards, for a look with Grafana or curl")
	flag.Parse()
	if err := d.run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "demo: %v\n", err)
		os.Exit(1)
	}
}

// demo is one run.
type demo struct {
	out          io.Writer
	plugin, host string
	useHost      bool
	show         int
	stay         time.Duration

	root, dir string
	id        string // value of the label run: keeps this run apart in a Loki that has others
	rec       *shoplog.Recording
	loki      *lokitest.Server
	steps     int
}

// step says what comes next, in one line.
func (d *demo) step(format string, args ...any) {
	d.steps++
	fmt.Fprintf(d.out, "%d. %s\n", d.steps, fmt.Sprintf(format, args...))
}

func (d *demo) run(ctx context.Context) (err error) {
	if d.root, err = lokitest.Root(); err != nil {
		return err
	}
	if err = d.build(ctx); err != nil {
		return err
	}
	if d.loki, err = lokitest.Start(ctx, lokitest.Options{AllowDocker: true, Progress: d.out}); err != nil {
		return err
	}
	defer d.loki.Stop()
	d.step("Loki answers at %s (%s)", d.loki.URL, d.loki.Origin)
	if d.dir, err = os.MkdirTemp("", "logscope-demo-"); err != nil {
		return err
	}
	defer os.RemoveAll(d.dir)
	if err = d.unpack(); err != nil {
		return err
	}
	if err = d.ship(ctx); err != nil {
		return err
	}
	if err = d.report(ctx); err != nil {
		return err
	}
	if d.stay > 0 {
		fmt.Fprintf(d.out, "\nLoki stays at %s for %v; Ctrl-C ends it.\n", d.loki.URL, d.stay)
		select {
		case <-ctx.Done():
		case <-time.After(d.stay):
		}
	}
	return nil
}

// build makes what is missing and was not given by a flag.
func (d *demo) build(ctx context.Context) error {
	var missing []string
	for _, part := range []struct {
		path   *string
		target string
	}{{&d.plugin, "bin/out_logscope.so"}, {&d.host, "build/flbhost"}} {
		if *part.path == "" {
			*part.path = filepath.Join(d.root, part.target)
			if _, err := os.Stat(*part.path); err != nil {
				missing = append(missing, part.target)
			}
		}
		abs, err := filepath.Abs(*part.path)
		if err != nil {
			return err
		}
		*part.path = abs
	}
	if len(missing) > 0 {
		cmd := exec.CommandContext(ctx, "make", append([]string{"-s", "-C", d.root}, missing...)...)
		cmd.Stdout, cmd.Stderr = d.out, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("cannot build %v: %w; Go 1.26, a C compiler and make are needed", missing, err)
		}
		d.step("built %v", missing)
	}
	if _, err := os.Stat(d.plugin); err != nil {
		return fmt.Errorf("cannot read the plugin: %w; build it with: make build", err)
	}
	return nil
}

// unpack lays the recorded logs out, moved so that they end now: Grafana's
// "last hour" then shows them, and no Loki refuses them for their age.
func (d *demo) unpack() (err error) {
	now := time.Now()
	if d.rec, err = shoplog.LoadEndingAt(now); err != nil {
		return err
	}
	d.id = strconv.FormatInt(now.Unix(), 36)
	if err = d.rec.Write(d.dir); err != nil {
		return err
	}
	first, last := d.rec.Span()
	d.step("unpacked %d recorded lines of %d services, %s to %s (their times are moved so that they end now)",
		d.rec.Count(), len(d.rec.Logs), first.Local().Format(time.TimeOnly), last.Local().Format(time.TimeOnly))
	return nil
}

// errCounts is that Loki has not what was sent.
var errCounts = errors.New("the lines in Loki are not the lines sent")
