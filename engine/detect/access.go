package detect

import (
	"bytes"
	"math"

	"github.com/cespare/xxhash/v2"
	"github.com/logscope/logscope/engine/drain"
	"github.com/logscope/logscope/engine/sketch"
)

const (
	// routesMax bounds the routes of a model, a Template of some 2 KB each; where
	// a site has more, new ones share the state of the request's template.
	routesMax = 1000
	// gramCells is the size of the table of characters in context: 512 KB, there
	// only where requests are.
	gramCells = 1 << 17
	// fieldsKnown is how many whole fields are remembered by hash, 32 KB: one
	// that came before is not odd, and need not be spelled out again.
	fieldsKnown = 4096
	// routeTextMax is how much of a route is kept for explanations.
	routeTextMax = 100
	// gramLeast is how many requests it takes before the characters of one can
	// be unusual.
	gramLeast = 300
	// weirdTop is how many of a request's least expected characters are summed:
	// an attack has several, a long URL has many that are a little rare.
	weirdTop = 5
	// weirdLeast is the least sum, in nats, that can be odd: five characters of
	// one in 400 each.
	weirdLeast = 32.0
)

// Access models the requests of web logs: each route is a template of its own,
// and the characters of URL, referrer and agent are predicted by an
// interpolated model of order two (after Kruegel and Vigna, CCS 2003, and
// Zolotukhin and others, 2012, who need no clean data either).
type Access struct {
	routes map[uint64]int32
	keys   []uint64
	table  []Template
	texts  []string
	grams  []uint32
	known  []uint64
	seen   float64
	sums   sketch.LogHist // of the weirdness of requests
	limit  float64

	// scratch: the request looked at.
	req request
	buf []byte
	sum float64
}

// Parse looks at a line and tells whether it is a request.
func (a *Access) Parse(line []byte) bool { return a.req.parse(line) }

// Route returns the state of the request's route and its place, nil and -1
// where it is not known, and whether there is room for a new one.
func (a *Access) Route() (t *Template, at int, room bool) {
	if n, ok := a.routes[a.req.route]; ok {
		return &a.table[n], int(n), true
	}
	return nil, -1, len(a.table) < routesMax
}

// text is the request's route for people.
func (a *Access) text() string {
	b := append(append(append([]byte(nil), a.req.method...), ' '), a.req.url...)
	if i := bytes.IndexByte(b, '?'); i >= 0 {
		b = b[:i]
	}
	return string(b[:min(len(b), routeTextMax)])
}

// Text returns that of the route at a place, one of its first requests.
func (a *Access) Text(at int) string { return a.texts[at] }

// Params returns client, status, size and duration as parameters.
func (a *Access) Params() []drain.Param { return a.req.params }

// Method and URL return the request's own.
func (a *Access) Method() []byte { return a.req.method }

// URL returns the request's target.
func (a *Access) URL() []byte { return a.req.url }

// Test returns how odd the characters of the request are, as multiples of the
// limit from which they are odd.
func (a *Access) Test() float64 {
	if a.grams == nil || a.seen < gramLeast {
		return 0
	}
	a.weigh(false)
	return a.sum / max(a.limit, weirdLeast)
}

// Weird returns the sum that Test compared and its limit.
func (a *Access) Weird() (sum, limit float64) { return a.sum, max(a.limit, weirdLeast) }

// Learn learns the request and returns its route's state, nil where there is no room.
func (a *Access) Learn() *Template {
	if a.grams == nil {
		a.grams = make([]uint32, gramCells)
		a.known = make([]uint64, fieldsKnown)
		a.routes = make(map[uint64]int32)
	}
	if a.seen >= gramLeast {
		// An odd request is learned as one at the limit, or floods of them
		// would raise it.
		a.sums.Add(math.Log(max(1, min(a.sum, max(a.limit, weirdLeast)))))
		if int(a.seen)%64 == 0 {
			a.limit = math.Exp(a.sums.Quantile(0.99))
		}
	}
	a.weigh(true)
	a.seen++
	if n, ok := a.routes[a.req.route]; ok {
		return &a.table[n]
	}
	if len(a.table) >= routesMax {
		return nil
	}
	a.table = append(a.table, Template{})
	a.keys = append(a.keys, a.req.route)
	a.texts = append(a.texts, a.text())
	a.routes[a.req.route] = int32(len(a.table) - 1)
	return &a.table[len(a.table)-1]
}

// weigh goes over the request's fields and sums the surprises of its least
// expected characters, or learns them.
func (a *Access) weigh(learn bool) {
	var top [weirdTop]float64
	for field, text := range [...][]byte{a.req.url, a.req.referrer, a.req.agent, a.req.method} {
		hash := xxhash.Sum64(text) + uint64(field)
		place := &a.known[hash%fieldsKnown]
		if *place == hash {
			continue
		}
		if learn {
			*place = hash
		}
		a.buf = decode(a.buf[:0], text)
		a.chars(uint32(field), &top, learn)
	}
	if !learn {
		a.sum = 0
		for _, v := range top {
			a.sum += v
		}
	}
}

// chars predicts each character of a.buf by the two before it.
func (a *Access) chars(field uint32, top *[weirdTop]float64, learn bool) {
	c1, c2 := uint32(2), uint32(2)
	seed := (field + 1) * 0x9E3779B1
	for i := 0; i <= len(a.buf); i++ {
		c := uint32(3) // the end
		if i < len(a.buf) {
			c = uint32(a.buf[i])
		}
		x2, x1, x0 := cell(seed, c2, c1), cell(seed, 0, c1), cell(seed, 0, 0)
		y2, y1, y0 := cell(seed^x2*7, c, 1), cell(seed^x1*5, c, 2), cell(seed^x0*3, c, 3)
		if learn {
			for _, k := range [...]uint32{x2, x1, x0, y2, y1, y0} {
				if a.grams[k] < math.MaxUint32 {
					a.grams[k]++
				}
			}
		} else {
			p0 := (float64(a.grams[y0]) + 0.5) / (float64(a.grams[x0]) + 50)
			p1 := float64(a.grams[y1]) / (float64(a.grams[x1]) + 1)
			p2 := 0.6*float64(a.grams[y2])/(float64(a.grams[x2])+1) + 0.3*p1 + 0.1*p0
			s := nats(p2)
			for j := range top {
				if s > top[j] {
					top[j], s = s, top[j]
				}
			}
		}
		c2, c1 = c1, c
	}
}

func cell(seed, a, b uint32) uint32 {
	h := (seed ^ a*0x85EBCA6B ^ b*0xC2B2AE35) * 0x27D4EB2F
	return (h ^ h>>15) & (gramCells - 1)
}

// Len returns how many routes are known.
func (a *Access) Len() int { return len(a.table) }

// Bytes is roughly what the requests cost.
func (a *Access) Bytes() int {
	n := 4*len(a.grams) + 8*len(a.known)
	for i := range a.table {
		n += a.table[i].Bytes() + 32
	}
	return n
}

// Slots calls f with every slot.
func (a *Access) Slots(f func(*Slot)) {
	for i := range a.table {
		for j := range a.table[i].Slots {
			f(&a.table[i].Slots[j])
		}
	}
}

// Sync passes the state through c.
func (a *Access) Sync(c *sketch.Codec) {
	sketch.List(c, &a.keys, routesMax, func(c *sketch.Codec, v *uint64) { c.U64(v) })
	sketch.List(c, &a.table, routesMax, func(c *sketch.Codec, t *Template) { t.Sync(c) })
	sketch.List(c, &a.texts, routesMax, func(c *sketch.Codec, v *string) { c.Str(v, routeTextMax) })
	sketch.List(c, &a.grams, gramCells, func(c *sketch.Codec, v *uint32) { c.U32(v) })
	sketch.List(c, &a.known, fieldsKnown, func(c *sketch.Codec, v *uint64) { c.U64(v) })
	c.F64(&a.seen)
	a.sums.Sync(c)
	c.F64(&a.limit)
	if !c.Reading() || c.Err() != nil {
		return
	}
	full := len(a.grams) == gramCells && len(a.known) == fieldsKnown
	if len(a.keys) != len(a.table) || len(a.texts) != len(a.table) || !full && len(a.grams)+len(a.known)+len(a.table) > 0 {
		c.Fail("got %d routes for %d keys and %d texts, %d cells", len(a.table), len(a.keys), len(a.texts), len(a.grams))
		return
	}
	if !full {
		a.grams, a.known = nil, nil
	}
	a.routes = make(map[uint64]int32, len(a.keys))
	for i, k := range a.keys {
		a.routes[k] = int32(i)
	}
}
