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
	// weirdDoubt is the share of the limit from which a field is not simply learned.
	weirdDoubt = 0.8
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
	fields [requestFields]field
	// statuses are those of failed requests.
	statuses []status

	// scratch: the request looked at.
	req   request
	buf   []byte
	worst int // the oddest field
}

// field is one of path, query, referrer, agent and method: what is usual there
// differs widely, as a referrer may hold anything that people search for.
type field struct {
	sums  sketch.LogHist // of its oddest characters
	limit float64        // what 99% stay below
	sum   float64        // of the request looked at
	fresh uint8
}

const requestFields = 5

var fieldNames = [requestFields]string{"path", "query", "referrer", "agent", "method"}

// text returns a field of the request.
func (r *request) text(field int) []byte {
	switch field {
	case 0, 1:
		i := bytes.IndexByte(r.url, '?')
		switch {
		case i < 0 && field == 1:
			return nil
		case i < 0:
			return r.url
		case field == 0:
			return r.url[:i]
		}
		return r.url[i+1:]
	case 2:
		return r.referrer
	case 3:
		return r.agent
	}
	return r.method
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
// limit from which they are odd: those of its oddest field.
func (a *Access) Test() (odd float64) {
	if a.grams == nil || a.seen < gramLeast {
		return 0
	}
	for i := range a.fields {
		f := &a.fields[i]
		f.sum = a.weigh(i)
		if times := f.sum / max(f.limit, weirdLeast); times > odd {
			odd, a.worst = times, i
		}
	}
	return odd
}

// Weird names the oddest field and returns its sum and limit.
func (a *Access) Weird() (name string, text []byte, sum, limit float64) {
	f := &a.fields[a.worst]
	return fieldNames[a.worst], a.req.text(a.worst), f.sum, max(f.limit, weirdLeast)
}

// Learn learns the request and returns its route's state, nil where there is no room.
func (a *Access) Learn() *Template {
	if a.grams == nil {
		a.grams = make([]uint32, gramCells)
		a.known = make([]uint64, fieldsKnown)
		a.routes = make(map[uint64]int32)
	}
	for i := range a.fields {
		a.learnField(i)
	}
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

// learnField learns a field. An odd one counts as one at the limit, and only
// one in four has its characters learned: a flood of attacks would become usual.
func (a *Access) learnField(i int) {
	f := &a.fields[i]
	if a.seen >= gramLeast && f.sum > 0 {
		limit := max(f.limit, weirdLeast)
		f.sums.Add(sketch.Ln(max(1, min(f.sum, limit))))
		if f.fresh++; f.fresh%64 == 0 {
			f.limit = math.Exp(f.sums.Quantile(0.99))
		}
		if f.sum > weirdDoubt*limit && uint64(a.seen)%4 != 0 {
			return
		}
	}
	text := a.req.text(i)
	if place, hash := a.place(i, text); *place != hash {
		*place = hash
		a.buf = decode(a.buf[:0], text)
		a.chars(uint32(i), nil, true)
	}
}

// place returns where a field's text is remembered, and as what.
func (a *Access) place(i int, text []byte) (*uint64, uint64) {
	hash := xxhash.Sum64(text) + uint64(i)
	return &a.known[hash%fieldsKnown], hash
}

// weigh sums the surprises of a field's least expected characters, 0 where
// the same text came before.
func (a *Access) weigh(i int) (sum float64) {
	text := a.req.text(i)
	if place, hash := a.place(i, text); *place == hash || len(text) == 0 {
		return 0
	}
	var top [weirdTop]float64
	a.buf = decode(a.buf[:0], text)
	a.chars(uint32(i), &top, false)
	for _, v := range top {
		sum += v
	}
	return sum
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
	for i := range a.fields {
		f := &a.fields[i]
		f.sums.Sync(c)
		c.F64(&f.limit)
		c.U8(&f.fresh)
	}
	sketch.List(c, &a.statuses, statusesMax, func(c *sketch.Codec, s *status) { s.sync(c) })
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
