// Command bench holds the engine against Loki's pkg/pattern/drain: the same
// lines, in memory, in one process on one core, block by block in turn.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
)

func main() {
	kit := flag.String("eval", os.Getenv("EVAL"), "directory of the evaluation kit; empty: generated lines")
	lines := flag.Int("lines", 1_000_000, "lines of each workload")
	rounds := flag.Int("rounds", 5, "rounds; in each, every contender takes all lines, from an empty state")
	only := flag.String("only", "", "the one workload to run")
	flag.Parse()
	if err := run(os.Stdout, *kit, *lines, *rounds, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(w io.Writer, kit string, lines, rounds int, only string) error {
	if lines < 2*blockLines || rounds < 1 {
		return fmt.Errorf("got %d lines, %d rounds; want %d lines and 1 round or more", lines, rounds, 2*blockLines)
	}
	runtime.GOMAXPROCS(1)
	sets, err := load(kit, lines)
	if err != nil {
		return err
	}
	if kit == "" {
		fmt.Fprintln(w, "generated lines: the ratio for real ones needs -eval (README.md)")
	}
	ran := false
	for _, s := range sets {
		if only != "" && s.name != only {
			continue
		}
		ran = true
		fmt.Fprintf(w, "\n%s: %s; %d lines of %d bytes on average, %d rounds\n",
			s.name, s.about, len(s.lines), s.bytes/len(s.lines), rounds)
		report(w, s, rounds)
	}
	if !ran {
		return fmt.Errorf("there is no workload %q; there are %s", only, names(sets))
	}
	reportMemory(w, sets, only)
	return nil
}

func names(sets []*set) (all []string) {
	for _, s := range sets {
		all = append(all, s.name)
	}
	return all
}

// contenders in the order of a round.
var contenders = []struct {
	name string
	make func() contender
}{
	{"logscope, verdicts", newScorer},
	{"logscope, templates only", newParser},
	{"loki drain", newLokiDrain},
}

// report runs the rounds of one workload and prints its table.
func report(w io.Writer, s *set, rounds int) {
	costs := make([][]cost, len(contenders))
	for range rounds {
		for k, c := range round(s) {
			costs[k] = append(costs[k], c)
		}
	}
	loki := costs[len(costs)-1]
	fmt.Fprintf(w, "%-26s %9s %8s %7s  %-18s %11s %9s %7s\n", "", "lines/s", "ns/line", "CPU ns", "times loki's speed", "allocs/line", "templates", "without")
	for k, c := range contenders {
		ratios := make([]float64, rounds)
		for i := range ratios {
			ratios[i] = loki[i].cpu / costs[k][i].cpu
		}
		slices.Sort(ratios)
		m := median(costs[k])
		fmt.Fprintf(w, "%-26s %9.0f %8.0f %7.0f  %.2f (%.2f to %.2f) %11.4f %9d %6.1f%%\n", c.name, 1e9/m.wall, m.wall, m.cpu,
			ratios[rounds/2], ratios[0], ratios[rounds-1], m.allocs, m.templates, 100*m.without)
	}
	reportLatency(w, s)
}

// median is that of the rounds, each figure by itself.
func median(rounds []cost) (m cost) {
	m = rounds[0]
	of := func(get func(*cost) float64) float64 {
		all := make([]float64, len(rounds))
		for i := range rounds {
			all[i] = get(&rounds[i])
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	m.wall = of(func(s *cost) float64 { return s.wall })
	m.cpu = of(func(s *cost) float64 { return s.cpu })
	m.allocs = of(func(s *cost) float64 { return s.allocs })
	return m
}
