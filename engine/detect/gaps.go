package detect

import (
	"math"

	"github.com/logscope/logscope/engine/sketch"
)

const (
	// gapsLeast is how many gaps must be known before their absence tells anything.
	gapsLeast = 20
	// gapsSpread is the largest standard deviation of ln(gap) of a regular
	// template: a heartbeat with 30% jitter passes, a Poisson process (1.28) does not.
	gapsSpread = 0.4
	// gapsTimes is how many times the longest known gap must pass. A single
	// missed beat gives two of them.
	gapsTimes = 3.2
	// gapsFloor is the shortest silence worth a word.
	gapsFloor = 20 * Second
	// gapsMemory is how many gaps the mean remembers.
	gapsMemory = 100
)

// Gaps knows the waiting times between the records of one template, on a
// logarithmic scale and with forgetting, and from when on its silence is news.
type Gaps struct {
	last       int64
	n          uint32
	mean, vari float32
	longest    float32
	// weigh is how many gaps the mean stands for, at most gapsMemory.
	weigh  uint8
	silent bool
}

// Learn counts a record at now; gaps below a second count as a second.
func (g *Gaps) Learn(now int64) {
	gap := now - g.last
	if g.n == 0 && g.last == 0 {
		g.last = now
		return
	}
	g.last = now
	if gap < Second/2 && g.longest > 2*float32(Second) {
		return // a pair of one beat
	}
	ln := float32(0)
	if gap > Second {
		ln = float32(sketch.Ln(float64(gap) / float64(Second)))
	}
	g.n++
	g.weigh = min(g.weigh+1, gapsMemory)
	w := 1 / float32(g.weigh)
	d := ln - g.mean
	g.mean += w * d
	g.vari = (1 - w) * (g.vari + w*d*d)
	if g.silent {
		// The silence was told; it makes the template less regular, but the next
		// one must not be longer to be told as well.
		g.silent = false
		return
	}
	g.longest = max(g.longest*0.999, float32(max(gap, Second)))
}

// Regular tells whether the template comes often and evenly enough to be missed.
func (g *Gaps) Regular() bool {
	return g.n >= gapsLeast && g.vari < gapsSpread*gapsSpread
}

// Deadline is the moment from which the template's silence is news, 0 where
// it is not regular or its silence is already known.
func (g *Gaps) Deadline() int64 {
	if g.silent || !g.Regular() {
		return 0
	}
	return g.last + max(int64(gapsTimes*float64(g.longest)), gapsFloor)
}

// Silence notes that the silence was reported.
func (g *Gaps) Silence() { g.silent = true }

// Shift moves the last record by d: the time of a pause of the whole stream.
func (g *Gaps) Shift(d int64) {
	if g.last != 0 {
		g.last += d
	}
}

// Longest returns the longest gap and how many are known.
func (g *Gaps) Longest() (longest int64, known uint32) { return int64(g.longest), g.n }

// Usual returns the usual and the longest gap, how many are known, and when the last record was.
func (g *Gaps) Usual() (usual, longest int64, known uint32, last int64) {
	return int64(min(math.Exp(float64(g.mean))*float64(Second), float64(g.longest))), int64(g.longest), g.n, g.last
}

// Sync passes the state through c.
func (g *Gaps) Sync(c *sketch.Codec) {
	c.I64(&g.last)
	c.U32(&g.n)
	c.F32(&g.mean)
	c.F32(&g.vari)
	c.F32(&g.longest)
	c.U8(&g.weigh)
	c.Bool(&g.silent)
}
