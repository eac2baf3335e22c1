package detect

import (
	"math/bits"

	"github.com/logscope/logscope/engine/sketch"
)

const (
	// nextMax bounds the successors of a template that are known, 8 bytes each.
	nextMax = 8
	// nextOpen is how many records per place a template must have had for a new
	// successor to take the place of one seen once; before that, its successors
	// are taken to be without number.
	nextOpen = 64
	// nextFull is the count at which a template's successors are halved.
	nextFull = 1 << 14
	// nextRare is what a successor seen once or twice weighs against the others:
	// where there are some, Good and Turing expect more of the kind.
	nextRare = 8
	// nextLeast is how many records per successor, so weighed, make an order.
	nextLeast = 16
	// orderChance is how often, by mere chance, a successor must have been
	// expected before that it never came says anything: exp(-9) is one in 8,000.
	orderChance = 9.0
	// orderRest is how many records after an odd step are neither tested nor
	// learned as anything new: two swapped steps make three odd transitions.
	orderRest = 2
	// orderQuiet is how soon an odd transition must come again to be a new habit
	// and not the same fault again.
	orderQuiet = 600 * Second
)

// Next knows what follows one template in its stream.
type Next struct {
	n    uint32
	open bool
	used uint8
	rare uint8 // successors seen less than three times
	odd  int32 // the successor last told, plus one
	// until is when the same one is told again; before that it is learned.
	until int64
	to    [nextMax]int32
	seen  [nextMax]uint32
}

// find returns the place of a successor, -1 where it is not known.
func (x *Next) find(to int32) int {
	for i, t := range x.to[:x.used] {
		if t == to {
			return i
		}
	}
	return -1
}

// class tells how settled the successors look: the power of two of the
// records per successor, 0 where there is no order.
func (x *Next) class() int {
	if x.open || x.used == 0 {
		return 0
	}
	per := x.n / (uint32(x.used) + nextRare*uint32(x.rare))
	if per < nextLeast {
		return 0
	}
	return min(bits.Len32(per), closedClasses-1)
}

// count counts a successor at a place.
func (x *Next) count(i int) {
	x.n++
	if x.seen[i]++; x.seen[i] == 3 {
		x.rare--
	}
	if i > 0 && x.seen[i] > x.seen[i-1] {
		x.seen[i], x.seen[i-1] = x.seen[i-1], x.seen[i]
		x.to[i], x.to[i-1] = x.to[i-1], x.to[i]
	}
	if x.n >= nextFull {
		x.halve()
	}
}

// halve forgets half of the counts, of which one is left at least.
func (x *Next) halve() {
	x.n, x.rare = 0, 0
	for i := range x.seen[:x.used] {
		x.seen[i] = (x.seen[i] + 1) / 2
		x.n += x.seen[i]
		if x.seen[i] < 3 {
			x.rare++
		}
	}
}

// add learns a new successor.
func (x *Next) add(to int32) {
	i := int(x.used)
	if i == nextMax {
		if i--; x.seen[i] > 1 || x.n < nextOpen*nextMax {
			x.open = true
			return
		}
		x.rare--
		x.n--
	} else {
		x.used++
	}
	x.to[i], x.seen[i] = to, 1
	x.n++
	x.rare++
}

// Usual returns the most frequent successor, how often it came and of how many records.
func (x *Next) Usual() (to int, seen, n uint32) {
	if x.used == 0 {
		return -1, 0, x.n
	}
	return int(x.to[0]), x.seen[0], x.n
}

// Again tells whether template to was the last odd one here.
func (x *Next) Again(to int) bool { return x.odd == int32(to)+1 }

// Order is a Markov chain of first order over the templates of a stream, for
// streams that one thread writes: there, a step out of order has no session to
// give it away. A transition is odd if it never came although by chance it
// should have, in a place where few others do. How often that happens is
// counted over all places, so that a stream of many interleaved sources, where
// it happens all the time, silences the test by itself.
type Order struct {
	counts closedCounts
	rest   uint8
	told   bool
}

// Surprise is that of template to at now after the one with the given successors,
// where share is that of template to among all records.
func (o *Order) Surprise(x *Next, to int, share float64, now int64) float64 {
	if x.open || o.rest > 0 || x.odd == int32(to)+1 && now < x.until || x.find(int32(to)) >= 0 {
		return 0
	}
	c := x.class()
	if c == 0 || float64(x.n)*share < orderChance {
		return 0
	}
	return nats(o.counts.rate(c, 0.5, 1))
}

// Tell notes that the transition being scored was told.
func (o *Order) Tell() { o.told = true }

// Learn counts the transition.
func (o *Order) Learn(x *Next, to int, share float64, now int64) {
	rest := o.rest > 0
	if rest {
		o.rest--
	}
	if x.open {
		return
	}
	c := x.class()
	if c > 0 {
		o.counts.tests[c]++
	}
	if i := x.find(int32(to)); i >= 0 {
		x.count(i)
		return
	}
	if c > 0 && float64(x.n)*share >= orderChance && !rest {
		o.counts.news[c]++ // told or not: no more are told than the threshold allows
	}
	switch {
	case o.told:
		o.told, o.rest = false, orderRest
		x.odd, x.until = int32(to)+1, now+orderQuiet
	case !rest:
		x.add(int32(to))
	}
}

// Sync passes the state through c.
func (o *Order) Sync(c *sketch.Codec) {
	o.counts.sync(c)
	c.U8(&o.rest)
}

// Sync passes the state through c.
func (x *Next) Sync(c *sketch.Codec) {
	c.U32(&x.n)
	c.Bool(&x.open)
	c.U8(&x.used)
	c.I32(&x.odd)
	c.I64(&x.until)
	if x.used > nextMax {
		c.Fail("got %d successors of a template; want at most %d", x.used, nextMax)
		x.used = 0
	}
	for i := range x.to[:x.used] {
		c.I32(&x.to[i])
		c.U32(&x.seen[i])
	}
	if c.Reading() {
		x.rare = 0
		for _, n := range x.seen[:x.used] {
			if n < 3 {
				x.rare++
			}
		}
	}
}
