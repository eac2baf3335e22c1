package detect

import "github.com/logscope/logscope/engine/sketch"

// Ident collects the evidence that a slot holds session identifiers: values
// that come back in other templates, for a limited time (Xu et al., SOSP 2009,
// found them in source code; here the log itself tells).
type Ident struct {
	seen, linked, heavy float32
	// skipped counts values not looked at since the slot was judged to hold none.
	skipped uint16
}

const (
	// identLeast is how many values it takes to decide.
	identLeast = 24
	// identMemory is how many values the evidence remembers.
	identMemory = 512
	// identHeavy is how many records a value may have before it is no session
	// any more: names of users, hosts and threads recur without end.
	identHeavy = 600
	// identRetry is how many values a slot without identifiers rests for.
	identRetry = 5000
)

// Verdict of an Ident.
const (
	identOpen = iota
	identYes
	identNo
)

func (d *Ident) verdict(closed bool) int {
	switch {
	case d.seen < identLeast:
		return identOpen
	case !closed && d.linked > 0.5*d.seen && d.heavy < 0.1*d.seen:
		return identYes
	case d.linked < 0.35*d.seen || d.heavy >= 0.1*d.seen || closed:
		return identNo
	}
	return identOpen
}

// see counts a value that was, or was not, met in another template before.
func (d *Ident) see(linked, heavy bool) {
	if d.seen >= identMemory {
		d.seen, d.linked, d.heavy = d.seen/2, d.linked/2, d.heavy/2
	}
	d.seen++
	if linked {
		d.linked++
	}
	if heavy {
		d.heavy++
	}
}

// skip counts a value not looked at; after identRetry of them the slot is
// judged anew, as a log may begin with lines that say little.
func (d *Ident) skip() {
	if d.skipped++; d.skipped >= identRetry {
		*d = Ident{}
	}
}

// credit notes that a value first met here came back in another template.
func (d *Ident) credit() { d.linked = min(d.linked+1, d.seen) }

// Sync passes the state through c.
func (d *Ident) Sync(c *sketch.Codec) {
	c.F32(&d.seen)
	c.F32(&d.linked)
	c.F32(&d.heavy)
	c.U16(&d.skipped)
}
