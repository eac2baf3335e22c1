package detect

import (
	"math"
	"math/bits"
	"strconv"

	"github.com/logscope/logscope/engine/sketch"
)

const (
	// categoryMax is how many values a closed vocabulary may have. At 17 it is
	// taken to be open and forgets them: 16 values cost up to 1 KB.
	categoryMax = 16
	// categoryTextMax is how much of a value is kept for explanations.
	categoryTextMax = 40
	// closedClasses count slots by the power of two of their observations per value.
	closedClasses = 24
	// categoryLeast is how many observations per value make a vocabulary worth
	// a test at all.
	categoryLeast = 6
	// categoryFew is how often every value must have come: where some are rare,
	// Good and Turing expect more of the kind, and the vocabulary is not closed.
	categoryFew = 3
	// categoryRare is how many observations make up for each value that is rare:
	// by Good and Turing's estimate, the next new one is then an event of one in so
	// many. Or a single odd value would excuse all others for good.
	categoryRare = 1000
)

// Category knows the values of a slot with few of them.
type Category struct {
	n    uint32
	open bool
	vals []value
	// few is the number of values seen less than categoryFew times.
	few uint16
}

type value struct {
	hash uint64
	n    uint32
	text string
}

// class tells how closed the vocabulary looks: the power of two of the
// observations per value, 0 where it is open or hardly known.
func (k *Category) class() int {
	if k.open || len(k.vals) == 0 || int(k.n) < categoryLeast*len(k.vals) || float64(k.few)*categoryRare > float64(k.n) {
		return 0
	}
	return min(bits.Len32(k.n/uint32(len(k.vals))), closedClasses-1)
}

// Known tells whether the value was seen before.
func (k *Category) Known(hash uint64) bool {
	for i := range k.vals {
		if k.vals[i].hash == hash {
			return true
		}
	}
	return false
}

// denseLeast is how many whole numbers show that a vocabulary is one of neighbours.
const denseLeast = 3

// Neighbour tells whether the known values are whole numbers close together
// and v one as near to them as they are to each other: a count or a size that
// has not been so large yet, unlike the next status of a request.
func (k *Category) Neighbour(v float64) bool {
	if len(k.vals) < denseLeast {
		return false
	}
	low, high := math.Inf(1), math.Inf(-1)
	for i := range k.vals {
		n, err := strconv.Atoi(k.vals[i].text)
		if err != nil {
			return false
		}
		low, high = min(low, float64(n)), max(high, float64(n))
	}
	width := high - low
	return width < 2*float64(len(k.vals)) && v >= low-width && v <= high+width
}

// Learn counts a value; text is copied where it is new.
func (k *Category) Learn(hash uint64, text []byte) {
	if k.open {
		return
	}
	k.n++
	for i := range k.vals {
		if v := &k.vals[i]; v.hash == hash {
			if v.n++; v.n == categoryFew {
				k.few--
			}
			if i > 0 && v.n > k.vals[i-1].n {
				k.vals[i], k.vals[i-1] = k.vals[i-1], k.vals[i]
			}
			return
		}
	}
	if len(k.vals) == categoryMax {
		k.open, k.vals, k.few = true, nil, 0
		return
	}
	k.few++
	k.vals = append(k.vals, value{hash: hash, n: 1, text: string(text[:min(len(text), categoryTextMax)])})
}

// Values calls f with the known values, the most frequent ones first.
func (k *Category) Values(f func(text string, count uint32)) {
	for i := range k.vals {
		f(k.vals[i].text, k.vals[i].n)
	}
}

// Seen returns how many observations were made.
func (k *Category) Seen() uint32 { return k.n }

// Sync passes the state through c.
func (k *Category) Sync(c *sketch.Codec) {
	c.U32(&k.n)
	c.Bool(&k.open)
	sketch.List(c, &k.vals, categoryMax, func(c *sketch.Codec, v *value) {
		c.U64(&v.hash)
		c.U32(&v.n)
		c.Str(&v.text, categoryTextMax)
	})
	if c.Reading() {
		k.few = 0
		for i := range k.vals {
			if k.vals[i].n < categoryFew {
				k.few++
			}
		}
	}
}

// Closed knows how often vocabularies that look closed bring a new value after
// all, over all slots of one key in a model, and over all keys. One slot with
// 100 observations can never claim p < 1/100 by itself; all fields "region"
// together can, and a field "pod" gives itself away as one that changes.
type Closed struct {
	all  closedCounts
	keys []closedKey
	byID map[uint64]int16
}

type closedCounts struct {
	tests, news [closedClasses]float32
}

type closedKey struct {
	id uint64
	closedCounts
}

const (
	// closedKeysMax bounds the keys counted apart, 200 bytes each; the others
	// share the last place.
	closedKeysMax = 256
	// closedPrior is how many observations the rate of all keys stands for in
	// that of one.
	closedPrior = 50
	// closedTold is what a new value counts for that was a finding, or a few
	// incidents would excuse all later ones.
	closedTold = 0.25
)

// Key returns the place of a key's counts.
func (p *Closed) Key(id uint64) int16 {
	if n, ok := p.byID[id]; ok {
		return n
	}
	if p.byID == nil {
		p.byID = make(map[uint64]int16)
	}
	if len(p.keys) < closedKeysMax {
		p.keys = append(p.keys, closedKey{id: id})
		p.byID[id] = int16(len(p.keys) - 1)
	}
	return int16(min(len(p.keys), closedKeysMax) - 1)
}

// total is the rate of new values over all classes.
func (c *closedCounts) total(prior, weight float64) float64 {
	var tests, news float64
	for i := range c.tests {
		tests += float64(c.tests[i])
		news += float64(c.news[i])
	}
	return (news + prior*weight) / (tests + weight)
}

// rate is that of new values in vocabularies at least as closed as class: the
// lowest one over the classes up to it, as more closed ones only bring less.
func (c *closedCounts) rate(class int, prior, weight float64) float64 {
	var tests, news float64
	for i := closedClasses - 1; i > class; i-- {
		tests += float64(c.tests[i])
		news += float64(c.news[i])
	}
	least := 1.0
	for i := class; i > 0; i-- {
		tests += float64(c.tests[i])
		news += float64(c.news[i])
		least = min(least, (news+prior*weight)/(tests+weight))
	}
	return least
}

// Surprise is that of a new value in k, whose key is at the given place.
func (p *Closed) Surprise(k *Category, key int16) float64 {
	c := k.class()
	if c == 0 {
		return 0
	}
	all := p.all.rate(c, 0.5, 1)
	s := nats(p.keys[key].total(all, closedPrior))
	if k.few > 0 { // no more than the vocabulary's own rate allows
		s = min(s, nats((float64(k.few)+0.5)/float64(k.n+1)))
	}
	return s
}

// Learn counts a test in k before k learns the value; from the surprise told
// on, a new value is a finding.
func (p *Closed) Learn(k *Category, key int16, isNew bool, told float64) {
	c := k.class()
	if c == 0 {
		return
	}
	p.all.tests[c]++
	p.keys[key].tests[c]++
	if isNew {
		n := float32(1)
		if p.Surprise(k, key) >= told {
			n = closedTold
		}
		p.all.news[c] += n
		p.keys[key].news[c] += n
	}
}

// Sync passes the state through c.
func (p *Closed) Sync(c *sketch.Codec) {
	p.all.sync(c)
	sketch.List(c, &p.keys, closedKeysMax, func(c *sketch.Codec, k *closedKey) {
		c.U64(&k.id)
		k.sync(c)
	})
	if c.Reading() {
		p.byID = make(map[uint64]int16, len(p.keys))
		for i := range p.keys {
			p.byID[p.keys[i].id] = int16(i)
		}
	}
}

func (k *closedCounts) sync(c *sketch.Codec) {
	for i := range k.tests {
		c.F32(&k.tests[i])
		c.F32(&k.news[i])
	}
}
