package main

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/logscope/logscope/engine"
	own "github.com/logscope/logscope/engine/drain"
)

// cost is the cost of a pass per line.
type cost struct {
	wall, cpu float64 // ns
	// allocs are those of the second half, when the templates are known.
	allocs    float64
	templates int
	without   float64 // share of the lines that were given no template
}

// round gives every contender all lines, from an empty state on, a block at a
// time and in turn: whatever else the machine does meanwhile slows all of them.
func round(s *set) []cost {
	runtime.GC()
	takers := make([]contender, len(contenders))
	for k := range contenders {
		takers[k] = contenders[k].make()
	}
	costs := make([]cost, len(contenders))
	known := len(s.lines) / 2
	var mem runtime.MemStats
	for from := 0; from < len(s.lines); from += blockLines {
		to := min(from+blockLines, len(s.lines))
		for k, taker := range takers {
			runtime.ReadMemStats(&mem)
			allocs := mem.Mallocs
			started, cpu := time.Now(), cpuTime()
			taker.take(s, from, to)
			costs[k].wall += float64(time.Since(started))
			costs[k].cpu += float64(cpuTime() - cpu)
			if runtime.ReadMemStats(&mem); from >= known {
				costs[k].allocs += float64(mem.Mallocs - allocs)
			}
		}
	}
	n := float64(len(s.lines))
	steady := n - float64((known+blockLines-1)/blockLines*blockLines)
	for k, taker := range takers {
		c := &costs[k]
		c.wall, c.cpu, c.allocs = c.wall/n, c.cpu/n, c.allocs/steady
		c.templates, c.without = taker.templates(), float64(taker.without())/n
	}
	return costs
}

func takeAll(c contender, s *set) {
	for from := 0; from < len(s.lines); from += blockLines {
		c.take(s, from, min(from+blockLines, len(s.lines)))
	}
}

// cpuTime is what this process used, user and system: on a machine shared with
// others the wall clock counts their work, too.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// reportLatency times each line by itself, from an empty state on: what a line
// costs that founds a template or ends sessions is in the tail. The wall
// clock's tail holds the turns of other processes and of the garbage collector
// as well; the processor time of the thread holds neither.
func reportLatency(w io.Writer, s *set) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	took := make([]time.Duration, len(s.lines))
	for _, c := range contenders {
		for _, clock := range []struct {
			name string
			now  func() time.Duration
		}{{"wall clock", wallClock()}, {"processor", threadTime}} {
			runtime.GC()
			taker := c.make()
			for i := range s.lines {
				started := clock.now()
				taker.take(s, i, i+1)
				took[i] = clock.now() - started
			}
			slices.Sort(took)
			at := func(q float64) float64 { return float64(took[int(q*float64(len(took)-1))]) / 1e3 }
			fmt.Fprintf(w, "%-26s a line by itself, %-10s: p50 %.2f us, p95 %.2f us, p99.9 %.1f us, longest %.0f us (reading the clock: %.2f us)\n",
				c.name, clock.name, at(0.5), at(0.95), at(0.999), at(1), float64(askCost(clock.now))/1e3)
		}
	}
}

func wallClock() func() time.Duration {
	started := time.Now()
	return func() time.Duration { return time.Since(started) }
}

// askCost is what reading the clock adds to a measured line.
func askCost(now func() time.Duration) time.Duration {
	var took [1001]time.Duration
	for i := range took {
		started := now()
		took[i] = now() - started
	}
	slices.Sort(took[:])
	return took[len(took)/2]
}

// threadTime is the processor time of this thread; asking for it is a system call.
func threadTime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		panic(err)
	}
	return time.Duration(ts.Nano())
}

// reportMemory prints what the learned state costs.
func reportMemory(w io.Writer, sets []*set, only string) {
	fmt.Fprintf(w, "\nmemory of the engine, heap after a collection\n")
	for _, s := range sets {
		if only != "" && s.name != only {
			continue
		}
		var c *scorer
		held := heapOf(func() any {
			c = newScorer().(*scorer)
			takeAll(c, s)
			c.recs, c.verdicts, c.events = nil, nil, nil
			return c
		})
		st := c.engine.Stats()
		fmt.Fprintf(w, "  %-18s %7.2f MB, by its own account %.2f MB; %d streams, %d templates, %d sessions; %.0f KB a stream\n",
			s.name, mb(held), mb(st.MemoryBytes), st.Models, st.Templates, st.Sessions, float64(held)/1e3/float64(st.Models))
		loki := heapOf(func() any {
			c := newLokiDrain()
			takeAll(c, s)
			return c
		})
		fmt.Fprintf(w, "  %-18s %7.2f MB in Loki's drain\n", "", mb(loki))
	}
	fmt.Fprintf(w, "  a stream of one record: %d bytes\n", perStream())
	fmt.Fprintf(w, "  a session of three records: %d bytes\n", perSession())
	fmt.Fprintf(w, "  a template of %s: %d bytes, of these %d in the miner\n", templateAbout, perTemplate(scoreHeap), perTemplate(mineHeap))
}

func mb(n int64) float64 { return float64(n) / 1e6 }

// heapOf is by how much the heap grew for what build returns.
func heapOf(build func() any) int64 {
	var before, after runtime.MemStats
	settle := func(m *runtime.MemStats) {
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(m)
	}
	settle(&before)
	held := build()
	settle(&after)
	runtime.KeepAlive(held)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

// scoreHeap is the heap of an engine that has scored the lines.
func scoreHeap(streams int, line func(i int) string, n int) int64 {
	return heapOf(func() any {
		e, err := engine.New(engine.DefaultConfig())
		if err != nil {
			panic(err)
		}
		for i := range n {
			rec := engine.Record{Stream: fmt.Sprint("stream-", i%streams), Time: firstTime + int64(i)*lineTime, Line: []byte(line(i))}
			e.Score(nil, []engine.Record{rec})
			e.Events(nil)
		}
		return e
	})
}

// mineHeap is that of a miner alone.
func mineHeap(_ int, line func(i int) string, n int) int64 {
	return heapOf(func() any {
		cfg := engine.DefaultConfig()
		m, err := own.New(own.Config{ClustersMax: cfg.TemplatesMax, BytesMax: cfg.MemoryMax / 2})
		if err != nil {
			panic(err)
		}
		var out own.Line
		for i := range n {
			m.Parse(&out, []byte(line(i)), false)
		}
		return m
	})
}

func perStream() int64 {
	const n = 256
	one := func(i int) string { return "service started" }
	return (scoreHeap(n, one, n) - scoreHeap(1, one, 1)) / (n - 1)
}

// perSession compares lines of 4,000 sessions, 100 open at a time, with the
// same lines of a single one.
func perSession() int64 {
	const n, open = 4000, 100
	steps := []string{"accepted request req-%d of the queue", "worker has request req-%d now", "done with req-%d in time"}
	line := func(sessions int) func(i int) string {
		return func(i int) string {
			k := i/(3*open)*open + i%open
			return fmt.Sprintf(steps[i/open%3], 100_000_000+k%sessions*7919)
		}
	}
	return (scoreHeap(1, line(n), 3*n) - scoreHeap(1, line(1), 3*n)) / (n - 1)
}

const templateAbout = "eleven words, 70 bytes and two parameters, 20 records each"

// perTemplate compares 1,000 templates with one, over as many lines.
func perTemplate(heap func(int, func(int) string, int) int64) int64 {
	const n, each = 1000, 20
	line := func(templates int) func(i int) string {
		return func(i int) string {
			k := i % templates
			return fmt.Sprintf("the %s %s of %s took %d ms for %d %s %s", word(k), word(3*k+1), word(5*k+2), i%977, i%89, word(7*k+3), word(11*k+4))
		}
	}
	return (heap(1, line(n), n*each) - heap(1, line(1), n*each)) / (n - 1)
}

// word is a word of letters, another for each n below 64,000.
func word(n int) string {
	b := make([]byte, 0, 8)
	for range 3 {
		b = append(b, "bdfgklmn"[n%8], "aeiou"[n/8%5])
		n /= 40
	}
	return string(b)
}
