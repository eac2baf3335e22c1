// Command ship measures what it costs to ship a million real log lines to a
// local server that answers 204: logscope with and without scoring beside its
// peers, in one run, since times do not carry from machine to machine.
//
//	go run ./test/ship            # in the C host: logscope, and Grafana's Go output grafana-loki from the pinned Loki module
//	                              # and in Fluent Bit, where it is on PATH: tail alone, its C output loki, logscope
//
// CPU seconds and memory are the process's own, by the kernel's count.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"time"
)

func main() {
	var o options
	flag.IntVar(&o.lines, "lines", 1_000_000, "lines to ship")
	flag.IntVar(&o.runs, "runs", 5, "runs of each; the median counts")
	flag.BoolVar(&o.peers, "peers", true, "build grafana-loki and measure it, too")
	flag.StringVar(&o.plugin, "plugin", "bin/out_logscope.so", "the plugin")
	flag.StringVar(&o.host, "host", "build/flbhost", "the C host")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "ship:", err)
		os.Exit(1)
	}
}

type options struct {
	lines, runs  int
	peers        bool
	plugin, host string
}

// cost is what one run took.
type cost struct {
	CPU  time.Duration
	Wall time.Duration
	RSS  int64 // bytes
	Wire int64 // bytes of request bodies
}

// contender is one way to ship the lines.
type contender struct {
	name  string
	ship  func(ctx context.Context) (cost, error)
	costs []cost
}

func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "logscope-ship-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	in, err := prepare(dir, o.lines)
	if err != nil {
		return err
	}
	fmt.Printf("%d lines, %d MB, of the recording in test/demo; medians of %d runs\n", in.lines, in.bytes>>20, o.runs)
	groups, err := contenders(ctx, o, in, dir)
	if err != nil {
		return err
	}
	for _, g := range groups {
		for n := range o.runs {
			for i := range g.entries {
				c := &g.entries[i]
				fmt.Fprintf(os.Stderr, "%s, run %d of %d: %s\n", g.name, n+1, o.runs, c.name)
				one, err := c.ship(ctx)
				if err != nil {
					return fmt.Errorf("%s: %w", c.name, err)
				}
				c.costs = append(c.costs, one)
			}
		}
		g.print(in)
	}
	return nil
}

// group is a set of contenders measured under the same conditions.
type group struct {
	name    string
	base    string // name of the one that the others are compared with
	entries []contender
}

func (g *group) print(in *input) {
	var base float64
	for i := range g.entries {
		if g.entries[i].name == g.base {
			base = g.entries[i].median(func(c cost) float64 { return c.CPU.Seconds() })
		}
	}
	fmt.Printf("\n%s\n\n| output | CPU s | us a line | of %s | wall s | peak RSS MB | on the wire MB | of the lines |\n|---|---:|---:|---:|---:|---:|---:|---:|\n", g.name, g.base)
	for i := range g.entries {
		c := &g.entries[i]
		cpu := c.median(func(c cost) float64 { return c.CPU.Seconds() })
		wire := c.median(func(c cost) float64 { return float64(c.Wire) })
		ratio := "-"
		if base > 0 {
			ratio = fmt.Sprintf("%.3f", cpu/base)
		}
		fmt.Printf("| %s | %.2f | %.2f | %s | %.1f | %.0f | %.0f | %.0f%% |\n", c.name, cpu, cpu*1e6/float64(in.lines), ratio,
			c.median(func(c cost) float64 { return c.Wall.Seconds() }),
			c.median(func(c cost) float64 { return float64(c.RSS) / (1 << 20) }),
			wire/(1<<20), 100*wire/float64(in.bytes))
	}
}

func (c *contender) median(of func(cost) float64) float64 {
	var values []float64
	for _, one := range c.costs {
		values = append(values, of(one))
	}
	slices.Sort(values)
	if len(values) == 0 {
		return 0
	}
	return values[len(values)/2]
}
