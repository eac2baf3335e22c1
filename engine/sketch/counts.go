package sketch

import "math"

const (
	// countsWays is how many counts share a bucket: with half the table in use,
	// one bucket in 500 is full.
	countsWays = 8
	// countsLeast is what a count must hold to outlive a halving.
	countsLeast = 1.0 / 64
)

// Counts counts events by a 64-bit key in a table of fixed size, 8 bytes a
// key. Where a bucket is full a newcomer is not counted but taken off the least
// count, and has its place when nothing is left of it (Misra and Gries, Science
// of Computer Programming 1982): a flood of new keys displaces its own
// and at most one other of a bucket. Of each key 32 bits are compared beside the
// bucket's place, so that a foreign count is read once in 500 million looks.
type Counts struct {
	tags   []uint32
	counts []float32
	shift  uint
}

// NewCounts makes room for 8 << bits keys.
func NewCounts(bits uint) Counts {
	return Counts{tags: make([]uint32, countsWays<<bits), counts: make([]float32, countsWays<<bits), shift: 64 - bits}
}

// Cap returns for how many keys there is room.
func (t *Counts) Cap() int { return len(t.tags) }

// Get returns the count of a key.
func (t *Counts) Get(key uint64) float64 {
	at := int(key>>t.shift) * countsWays
	tags := t.tags[at : at+countsWays : at+countsWays]
	for i, tag := range tags {
		if tag == uint32(key) {
			return float64(t.counts[at+i])
		}
	}
	return 0
}

// Add adds to the count of a key and returns what it was before.
func (t *Counts) Add(key uint64, weight float64) (before float64) {
	at := int(key>>t.shift) * countsWays
	least := at
	for i := at; i < at+countsWays; i++ {
		if t.counts[i] > 0 && t.tags[i] == uint32(key) {
			before = float64(t.counts[i])
			t.counts[i] += float32(weight)
			return before
		}
		if t.counts[i] < t.counts[least] {
			least = i
		}
	}
	if t.counts[least] > float32(weight) {
		t.counts[least] -= float32(weight)
		return 0
	}
	t.tags[least], t.counts[least] = uint32(key), float32(weight)
	return 0
}

// Halve forgets half of every count, and what is left of the least ones.
func (t *Counts) Halve() {
	for i := range t.counts {
		if t.counts[i] /= 2; t.counts[i] < countsLeast {
			t.tags[i], t.counts[i] = 0, 0
		}
	}
}

// Sync passes the counts that there are through c: place and tag in 8 bytes,
// the count in 4. A table that is read must be as large as the one written.
func (t *Counts) Sync(c *Codec) {
	n := 0
	for _, v := range t.counts {
		if v > 0 {
			n++
		}
	}
	n = c.Len(n, len(t.counts))
	if c.Reading() {
		clear(t.tags)
		clear(t.counts)
		for ; n > 0 && c.Err() == nil; n-- {
			t.read(c)
		}
		return
	}
	for i := range t.counts {
		if t.counts[i] > 0 {
			at := uint32(i)
			c.U32(&at)
			c.U32(&t.tags[i])
			c.F32(&t.counts[i])
		}
	}
}

func (t *Counts) read(c *Codec) {
	var at, tag uint32
	var v float32
	c.U32(&at)
	c.U32(&tag)
	c.F32(&v)
	if c.Err() != nil {
		return
	}
	if int64(at) >= int64(len(t.counts)) || !(v > 0) || v > math.MaxFloat32/2 {
		c.Fail("got a count of %v at place %d of %d", v, at, len(t.counts))
		return
	}
	t.tags[at], t.counts[at] = tag, v
}
