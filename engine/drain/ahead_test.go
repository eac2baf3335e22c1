package drain

import (
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// newAhead reads on a goroutine; ended waits until there is none any more.
func newAhead() (a *Ahead, ended func()) {
	var running []chan struct{}
	a = NewAhead(func(work func()) {
		done := make(chan struct{})
		running = append(running, done)
		go func() {
			defer close(done)
			work()
		}()
	}, nil)
	return a, func() {
		for _, done := range running {
			<-done
		}
	}
}

// answer is what Parse says of a line.
type answer struct {
	ID, Count uint64
	New       bool
	Text      string
	Message   string
	Level     Level
	Time      int64
	Params    []param
}

func answerOf(out *Line) answer {
	a := answer{out.Cluster.ID, out.Cluster.Count, out.New, out.Cluster.Text, string(out.Message), out.Level, out.Time, paramsOf(out.Params)}
	for i := range a.Params {
		if a.Params[i].Kind != Number {
			a.Params[i].Num = 0
		}
	}
	return a
}

// aheadBlocks are blocks long and short, of lines whose headers teach hosts and
// columns, with new templates in the middle of blocks.
func aheadBlocks(r *rand.Rand) [][][]byte {
	lines := append(slices.Concat(guessWorld(), hdfsLines(4000)), mixedLines(4000)...)
	for i := range 2000 {
		lines = append(lines, fmt.Appendf(nil, "May %2d 10:%02d:00 host%d app[%d]: step %d of %s done", 1+i/100, i%60, i/300, i, i%7, []string{"alpha", "beta", "gamma"}[i%3]))
		lines = append(lines, fmt.Appendf(nil, "n%d r%d 10:%02d:%02d.%d worker took %d", i%50, i%3, i/60%60, i%60, i%10, i))
	}
	r.Shuffle(len(lines)/2, func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	var blocks [][][]byte
	for len(lines) > 0 {
		n := min(len(lines), []int{1, 700, aheadLeast, 1500, 3000}[r.IntN(5)])
		blocks, lines = append(blocks, lines[:n]), lines[n:]
	}
	return blocks
}

// TestAheadWithLayout: where the last line had the time decides which of two is
// taken, so that is a part of the state.
func TestAheadWithLayout(t *testing.T) {
	cfg := Config{TimeLayout: "15h04m05", ClustersMax: 300, BytesMax: 1 << 20}
	plain, other := newMiner(t, cfg), newMiner(t, cfg)
	ahead, ended := newAhead()
	for n := range 6 {
		block := make([][]byte, 2000)
		for i := range block {
			block[i] = fmt.Appendf(nil, "10h00m00 aaa 11h30m00 bbb %d", i)
		}
		block[500+n] = fmt.Appendf(nil, "xxxxxxxx%d aaa 11h30m00 bbb", n)
		block[300+n] = fmt.Appendf(nil, "10h00m00 %s founds", strings.Repeat("x", n+3))
		plain.Begin(block, false, nil)
		other.Begin(block, false, ahead)
		for i, line := range block {
			if n == 2 && i == 450 {
				line = []byte("11h30m00 of no block 10h00m00")
			}
			var want, got Line
			plain.Parse(&want, line, false)
			other.Parse(&got, line, false)
			if diff := cmp.Diff(answerOf(&want), answerOf(&got)); diff != "" {
				t.Fatalf("block %d, line %d %q: -read when asked, +read ahead:\n%s", n, i, line, diff)
			}
		}
		plain.End()
		other.End()
	}
	ended()
}

// TestAheadOfDumps says that lines of nothing but values are not kept by the thousand.
func TestAheadOfDumps(t *testing.T) {
	plain, other := newMiner(t, Config{}), newMiner(t, Config{})
	ahead, ended := newAhead()
	for n := range 3 {
		block := make([][]byte, 1200)
		for i := range block {
			if block[i] = []byte("a line like any"); i > n*100 && i%200 > 20 {
				block[i] = []byte(strings.Repeat(`"a""b" x `, 60) + strings.Repeat(`"a"`, 100+i%7))
			}
		}
		plain.Begin(block, false, nil)
		other.Begin(block, false, ahead)
		for i, line := range block {
			var want, got Line
			plain.Parse(&want, line, false)
			other.Parse(&got, line, false)
			if diff := cmp.Diff(answerOf(&want), answerOf(&got)); diff != "" {
				t.Fatalf("block %d, line %d: -read when asked, +read ahead:\n%s", n, i, diff)
			}
		}
		if other.ahead != nil {
			t.Errorf("block %d was read ahead to its end", n)
		}
		held := 0
		for k := range ahead.stretches {
			held += cap(ahead.stretches[k].params)
		}
		if held > aheadStretches*3*stretchParams {
			t.Errorf("block %d: it held %d parameters", n, held)
		}
		plain.End()
		other.End()
		checkForgotten(t, ahead)
	}
	ended()
}

// TestAheadCostsShortBlocksNothing: what was read ahead of a long one is not looked at again.
func TestAheadCostsShortBlocksNothing(t *testing.T) {
	m := newMiner(t, Config{})
	ahead, _ := newAhead()
	m.Begin(lines("one line"), true, ahead)
	if m.lent != nil {
		t.Error("a block of one line has the Ahead")
	}
	m.End()
}

// TestAhead says that lines read ahead give what they give otherwise, however the block is left.
func TestAhead(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	plain, other := newMiner(t, Config{ClustersMax: 300, BytesMax: 1 << 20}), newMiner(t, Config{ClustersMax: 300, BytesMax: 1 << 20})
	ahead, ended := newAhead()
	read := 0
	for n, block := range aheadBlocks(r) {
		plain.Begin(block, false, nil)
		if k := r.IntN(len(block)); r.IntN(2) == 0 {
			other.Expect(block[:k], false, ahead)
			other.Expect(block[:k+r.IntN(len(block)-k)], false, ahead)
			if r.IntN(4) == 0 {
				other.End() // it does not come
			}
		}
		other.Begin(block, false, ahead)
		stop, odd := len(block), -1
		switch n % 4 {
		case 1:
			stop = r.IntN(len(block)) // the rest is not parsed
		case 2:
			odd = r.IntN(len(block)) // a line of no block comes between
		}
		for i, line := range block[:stop] {
			if i == odd {
				line = []byte("May  3 10:00:00 stranger odd[1]: a line of another block 5")
			}
			var want, got Line
			plain.Parse(&want, line, false)
			other.Parse(&got, line, false)
			if other.ahead != nil {
				read++
			}
			if diff := cmp.Diff(answerOf(&want), answerOf(&got)); diff != "" {
				t.Fatalf("block %d, line %d of %d, %q: -read when asked, +read ahead:\n%s", n, i, len(block), line, diff)
			}
		}
		plain.End()
		other.End()
		if plain.state() != other.state() {
			t.Fatalf("block %d: got the state %+v; want %+v", n, other.state(), plain.state())
		}
		checkForgotten(t, ahead)
	}
	ended()
	other.validate(t)
	if read < 5000 {
		t.Errorf("got %d lines read ahead; the test compares nothing", read)
	}
	if diff := cmp.Diff(plain.AppendState(nil), other.AppendState(nil)); diff != "" {
		t.Errorf("the states differ: %s", diff)
	}
}

// checkForgotten says that the Ahead holds nothing of the block.
func checkForgotten(t *testing.T, a *Ahead) {
	t.Helper()
	if a.todo != nil || a.rest != nil || a.at != nil {
		t.Fatal("the Ahead keeps the block")
	}
	for i := range a.stretches {
		s := &a.stretches[i]
		for k := range s.readings {
			if q := &s.readings[k]; q.line != nil || q.message != nil || q.params != nil {
				t.Fatalf("stretch %d, reading %d: it keeps %q", i, k, q.line)
			}
		}
		if cap(s.params) > 2*stretchParams || cap(s.toks) > 2*stretchToks || cap(s.skels) > 2*stretchSkel {
			t.Fatalf("stretch %d keeps room for %d parameters, %d tokens, %d bytes", i, cap(s.params), cap(s.toks), cap(s.skels))
		}
		for _, p := range s.params[:cap(s.params)] {
			if p.Value != nil || p.Key != nil {
				t.Fatalf("stretch %d keeps the parameter %q", i, p.Value)
			}
		}
		if s.lines != nil {
			t.Fatalf("stretch %d keeps its lines", i)
		}
	}
}

// panicking is a mask that panics upon a word.
type panicking struct{}

func (panicking) Name() string    { return "" }
func (panicking) Pattern() string { return "boom" }
func (panicking) GaveUp() uint64  { return 0 }
func (panicking) AppendSpans(dst []Span, message []byte) []Span {
	if string(message) == "boom" {
		panic("boom")
	}
	return dst
}

// TestAheadPanics says that a panic in reading reaches the caller of Parse, upon
// the line that causes it, and that the goroutine ends.
func TestAheadPanics(t *testing.T) {
	m := newMiner(t, Config{Masks: []Mask{panicking{}}})
	block := make([][]byte, 3000)
	for i := range block {
		block[i] = fmt.Appendf(nil, "line %d", i)
	}
	var out Line
	m.Parse(&out, []byte("line 7"), true)
	block[2500] = []byte("boom")
	ahead, ended := newAhead()
	ahead.Stack = debug.Stack
	m.Begin(block, true, ahead)
	at, got := -1, any(nil)
	func() {
		defer func() { got = recover() }()
		for at = range block {
			m.Parse(&out, block[at], true)
		}
	}()
	m.End()
	ended()
	if p, ok := got.(*readPanic); at != 2500 || !ok || p.cause != "boom" || !strings.Contains(p.String(), "AppendSpans") {
		t.Errorf("got the panic %v at line %d; want boom at 2500", got, at)
	}
	checkForgotten(t, ahead)
}
