package detect

import (
	"math/bits"

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
	categoryLeast = 4
)

// Category knows the values of a slot with few of them.
type Category struct {
	n    uint32
	open bool
	vals []value
	// singles is the number of values seen once.
	singles uint16
}

type value struct {
	hash uint64
	n    uint32
	text string
}

// class tells how closed the vocabulary looks: the power of two of the
// observations per value, 0 where it is open or hardly known.
func (k *Category) class() int {
	if k.open || len(k.vals) == 0 || int(k.n) < categoryLeast*len(k.vals) {
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

// Learn counts a value; text is copied where it is new.
func (k *Category) Learn(hash uint64, text []byte) {
	if k.open {
		return
	}
	k.n++
	for i := range k.vals {
		if v := &k.vals[i]; v.hash == hash {
			if v.n == 1 {
				k.singles--
			}
			v.n++
			if i > 0 && v.n > k.vals[i-1].n {
				k.vals[i], k.vals[i-1] = k.vals[i-1], k.vals[i]
			}
			return
		}
	}
	if len(k.vals) == categoryMax {
		k.open, k.vals, k.singles = true, nil, 0
		return
	}
	k.singles++
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
		k.singles = 0
		for i := range k.vals {
			if k.vals[i].n == 1 {
				k.singles++
			}
		}
	}
}

// Closed knows how often vocabularies that look closed bring a new value after
// all, over all slots of a model. One slot with 100 observations can never
// claim p < 1/100 by itself; 300 of them together can.
type Closed struct {
	tests, news [closedClasses]float64
}

// Surprise is that of a new value in k.
func (p *Closed) Surprise(k *Category) float64 {
	c := k.class()
	if c == 0 {
		return 0
	}
	// Good and Turing's own estimate holds where values seen once are many.
	own := float64(k.singles) / float64(k.n+1)
	return nats(max(own, (p.news[c]+0.5)/(p.tests[c]+1)))
}

// Learn counts a test in k before k learns the value.
func (p *Closed) Learn(k *Category, isNew bool) {
	c := k.class()
	if c == 0 {
		return
	}
	p.tests[c]++
	if isNew {
		p.news[c]++
	}
}

// Sync passes the state through c.
func (p *Closed) Sync(c *sketch.Codec) {
	for i := range p.tests {
		c.F64(&p.tests[i])
		c.F64(&p.news[i])
	}
}
