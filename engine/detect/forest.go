package detect

import (
	"math"

	"github.com/logscope/logscope/engine/sketch"
)

const (
	// forestTrees and forestDepth size a forest: 16 trees of at most 127 nodes of 8
	// bytes. Deeper trees would tell usual records from each other, which nobody asks.
	forestTrees, forestDepth = 16, 6
	forestNodes              = 2<<forestDepth - 1
	// forestSample is how many records a tree is grown from.
	forestSample = 128
	// forestSorted is how many cuts sort records by their numbers before others part
	// them: a relation that changes on the way is seen piece by piece.
	forestSorted = 2
	// forestFirst is how many trees are asked until it is looked at whether the record is
	// as deep in them as records are: most are, and let go.
	forestFirst = 3
	// shadowScale makes coordinates whole numbers: sixteen deviations fit either side.
	shadowScale = 2047
)

// shadow is a record as trees see it: each number as the normal quantile of its
// rank, then what the other numbers do not say of it, in deviations.
type shadow [2 * jointSlots]int16

// node is one of a tree: beyond at the way goes right. low and high are how far
// the records reach that it was grown from. A leaf has no next; its at is a depth
// in 256ths.
type node struct {
	low, high, at int16
	along         uint8
	next          uint8 // the right child; the left one follows its parent
}

// tree is an isolation tree: the fewer cuts by chance part a record from all
// others, the odder it is (Liu, Ting, Zhou, Isolation Forest, ICDM 2008).
type tree struct {
	nodes [forestNodes]node
	used  uint8
}

// depth returns how many cuts it takes to part the record from those that the
// tree was grown from. Where it lies outside of what a node has seen, a cut of a
// random cut tree would part them with a probability (Guha and others, Robust
// Random Cut Forest, ICML 2016): so far out is odder than just outside. To be
// far along a number alone is not odd here, but for Numeric to say.
func (t *tree) depth(p *shadow) float32 {
	weight, sum, level := float32(1), float32(0), float32(0)
	i := uint8(0)
	for {
		n := &t.nodes[i]
		if n.next == 0 {
			return sum + weight*float32(n.at)/256
		}
		v := p[n.along]
		if n.along >= jointSlots && (v < n.low || v > n.high) {
			beyond := float32(max(int32(n.low)-int32(v), int32(v)-int32(n.high)))
			cut := beyond / (beyond + float32(n.high) - float32(n.low))
			sum += weight * cut * (level + 1)
			weight *= 1 - cut
		}
		level++
		if i++; v > n.at {
			i = n.next
		}
	}
}

// grow makes the tree from records of so many numbers; it reorders them.
func (t *tree) grow(points []shadow, dims int, r *chance) {
	t.used = 0
	t.branch(points, dims, 0, r)
}

func (t *tree) branch(points []shadow, dims, level int, r *chance) {
	n := &t.nodes[t.used]
	t.used++
	*n = node{at: int16((float64(level) + expectedDepth(len(points))) * 256)}
	if level == forestDepth || len(points) < 2 {
		return
	}
	along := r.below(dims)
	if level >= forestSorted {
		along += jointSlots
	}
	low, high := points[0][along], points[0][along]
	for i := range points {
		low, high = min(low, points[i][along]), max(high, points[i][along])
	}
	if low == high {
		return
	}
	at := int16(int(low) + r.below(int(high)-int(low)))
	if level < forestSorted {
		at = min(middling(points, along, r), high-1)
	}
	left := 0
	for i := range points {
		if points[i][along] <= at {
			points[i], points[left] = points[left], points[i]
			left++
		}
	}
	n.low, n.high, n.at, n.along = low, high, at, uint8(along)
	t.branch(points[:left], dims, level+1, r)
	n.next = t.used
	t.branch(points[left:], dims, level+1, r)
}

// middling returns a coordinate that about half of the records are up to: the middle one of three.
func middling(points []shadow, along int, r *chance) int16 {
	a, b, c := points[r.below(len(points))][along], points[r.below(len(points))][along], points[r.below(len(points))][along]
	return max(min(a, b), min(max(a, b), c))
}

// expectedDepth is the mean number of cuts that isolate one of n records: c(n) of
// Liu and others.
func expectedDepth(n int) float64 {
	switch {
	case n < 2:
		return 0
	case n == 2:
		return 1
	}
	m := float64(n - 1)
	return 2*(math.Log(m)+0.5772156649015329) - 2*m/float64(n)
}

// sync passes the tree through c.
func (t *tree) sync(c *sketch.Codec) {
	c.U8(&t.used)
	if t.used > forestNodes {
		c.Fail("got a tree of %d nodes; want at most %d", t.used, forestNodes)
		t.used = 0
	}
	for i := range t.nodes[:t.used] {
		n := &t.nodes[i]
		c.I16(&n.low)
		c.I16(&n.high)
		c.I16(&n.at)
		c.U8(&n.along)
		c.U8(&n.next)
		// Both ways lead on within the tree, so that each ends in a leaf.
		if n.next != 0 && (int(n.next) <= i+1 || n.next >= t.used || int(n.along) >= len(shadow{}) || n.low >= n.high) {
			c.Fail("got node %d of %d that leads to %d along %d", i, t.used, n.next, n.along)
		}
		if c.Err() != nil {
			return
		}
	}
}

// chance stands in for chance: splitmix64, the same for the same template wherever it is.
type chance uint64

func (r *chance) next() uint64 {
	*r += 0x9E3779B97F4A7C15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// below returns a number from 0 to n-1.
func (r *chance) below(n int) int { return int((r.next() >> 32) * uint64(n) >> 32) }
