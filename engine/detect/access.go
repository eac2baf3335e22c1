package detect

import (
	"bytes"

	"github.com/logscope/logscope/engine/drain"
	"github.com/logscope/logscope/engine/sketch"
)

const (
	// routesMax bounds the routes of a model, a Template of some 2 KB each; where
	// a site has more, new ones share the state of the request's template.
	routesMax = 1000
	// routeTextMax is how much of a route is kept for explanations.
	routeTextMax = 100
)

// Access models the requests of web logs: each route is a template of its own,
// and what a request is made of is read part by part (see reading).
type Access struct {
	routes map[uint64]int32
	keys   []uint64
	table  []Template
	texts  []string
	// statuses are those of failed requests.
	statuses []status

	site site
	req  request // the one looked at
	look reading // what was read of it
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

// Test reads the request and returns how odd it is, as multiples of the sum
// from which one is.
func (a *Access) Test() (odd float64) {
	a.look.read(&a.site, &a.req)
	return a.site.odd(a.look.sum)
}

// Oddity is what is unusual in a request.
type Oddity struct {
	Part Part
	// What is the text concerned as it stands in the line, Name the name of
	// the parameter it is of.
	What, Name []byte
	// Signs are its rare signs, 0 where there are fewer; 1 stands for control
	// characters, 2 for bytes beyond ASCII.
	Signs [signsTop]byte
	Nats  float64
}

// Odd returns the two parts of the request read last that surprise most.
func (a *Access) Odd() (first, second Oddity) {
	p, q := a.look.oddest()
	return a.look.oddity(p), a.look.oddity(q)
}

func (l *reading) oddity(p Part) Oddity {
	o := Oddity{Part: p, What: l.what[p], Name: l.name[p], Nats: l.nats[p]}
	if p == PartSigns || p == PartChars {
		o.Signs = l.signs
	}
	return o
}

// Learn learns the request read last and returns its route's state, nil where
// there is no room.
func (a *Access) Learn() *Template {
	if a.routes == nil {
		a.routes = make(map[uint64]int32)
	}
	a.site.learn(&a.look)
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

// Len returns how many routes are known.
func (a *Access) Len() int { return len(a.table) }

// Bytes is roughly what the requests cost.
func (a *Access) Bytes() int {
	n := a.site.bytes()
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
	sketch.List(c, &a.statuses, statusesMax, func(c *sketch.Codec, s *status) { s.sync(c) })
	a.site.sync(c)
	if !c.Reading() || c.Err() != nil {
		return
	}
	if len(a.keys) != len(a.table) || len(a.texts) != len(a.table) {
		c.Fail("got %d routes for %d keys and %d texts", len(a.table), len(a.keys), len(a.texts))
		return
	}
	a.routes = make(map[uint64]int32, len(a.keys))
	for i, k := range a.keys {
		a.routes[k] = int32(i)
	}
}
