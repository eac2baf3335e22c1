package detect

import "github.com/logscope/logscope/engine/sketch"

const (
	// flowPair is how many sessions with both of two steps make their order known.
	flowPair = 20
	// flowOrderNow is the claim of disorder that is learned at once: what many
	// sessions do within minutes is no disorder. Smaller ones are learned when
	// the session settles.
	flowOrderNow, flowOrderNowShare = 3.0, 0.0497870683678639
	// flowSlip is the claim from which a slip counts, and the surprise from which
	// ties have an order: less than one in 150.
	flowSlip, flowSlipShare = 5.0, 0.00673794699908547
	// flowTold is what the first reversal of a pair counts for that was told.
	flowTold = 0.25
	// flowSlipMemory is the number of sessions after which the older half of the
	// slips is forgotten. A step that slips once in 1,000 sessions must not look
	// like one that never does.
	flowSlipMemory = 20_000
)

// disorder is what a step says by coming for the first time after others.
//
// A pair of steps is loose where only time keeps its order: the first is free
// against a third step that comes before the second, or the second against one
// that comes after the first. A node that is late once in 1,000 sessions slips
// past both. Both steps at one moment are loose as well, unless such ties have
// shown an order. All other pairs are firm.
type disorder struct {
	// firm and loose are the largest surprises of such pairs, with the step that
	// the new one usually comes before, -1 for none.
	firm, loose               float64
	firmBecause, looseBecause int
	// tied says that it came at one moment with a step that it hardly ever comes
	// before, or hardly ever after; reversed that it was one of the latter.
	tied, reversed bool
}

// disorder compares a step that comes now with the given ones, which came
// before; those from the earlier-th on came at this very moment.
func (f *Flow) disorder(at int, have []step, earlier int) disorder {
	d := disorder{firmBecause: -1, looseBecause: -1}
	if at < 0 {
		return d
	}
	firm, loose := 1.0, 1.0
	for n, h := range have {
		i := f.step(int(h.template))
		if i < 0 {
			continue
		}
		now, usual := f.orderOf(i, at)
		if now+usual < flowPair {
			continue
		}
		p := (now + 0.5) / (now + usual + 1)
		if n >= earlier && min(p, 1-p) < flowSlipShare {
			d.tied = true
			d.reversed = d.reversed || p < flowSlipShare
		}
		if p >= max(firm, loose) {
			continue
		}
		if p < flowOrderNowShare && (n >= earlier && f.ties.surprise() < flowSlip || f.slips(at, i)) {
			if p < loose {
				loose, d.looseBecause = p, i
			}
		} else if p < firm {
			firm, d.firmBecause = p, i
		}
	}
	d.firm, d.loose = nats(firm), nats(loose)
	return d
}

// slips tells whether the pair of a step and one that usually comes after it is
// loose. It is asked only where their order is reversed and hardly ever was.
func (f *Flow) slips(first, second int) bool {
	for i, t := range f.steps {
		if t < 0 || i == first || i == second {
			continue
		}
		if f.free(first, i) && f.follows(i, second) || f.free(second, i) && f.follows(first, i) {
			return true
		}
	}
	return false
}

// orderOf returns in how many sessions a came before b, and b before a.
func (f *Flow) orderOf(a, b int) (ab, ba float64) {
	w := f.settled.weight
	return float64(f.before.at(a, b) / w), float64(f.before.at(b, a) / w)
}

// free tells whether two steps come in either order: more often than broken
// sessions may be, by a deviation of that count.
func (f *Flow) free(a, b int) bool {
	ab, ba := f.orderOf(a, b)
	rare := min(ab, ba)
	over := rare - flowShare*(ab+ba)
	return ab+ba >= flowPair && over > 0 && over*over > rare
}

// follows tells whether b comes after a in all sessions but broken ones.
func (f *Flow) follows(a, b int) bool {
	ab, ba := f.orderOf(a, b)
	return ab+ba >= flowPair && ba <= flowShare*(ab+ba)
}

// broke tells whether a never came before b so far, or once long ago, in a kind
// of session that knows their order.
func (f *Flow) broke(a, b int) bool {
	ab, ba := f.orderOf(a, b)
	return ab+ba >= flowPair && ab < flowTold/2
}

// learnDisorder learns what a step of a session says by its place.
func (f *Flow) learnDisorder(ses *session, d *disorder) {
	if d.firm > float64(ses.disorder) {
		if ses.disorder < flowOrderNow && d.firm >= flowOrderNow {
			f.orders.Learn(d.firm)
		}
		ses.disorder = float32(d.firm)
	}
	if d.loose > float64(ses.slip) {
		if ses.slip < flowSlip && d.loose >= flowSlip {
			f.slipped.odd++
		}
		ses.slip = float32(d.loose)
	}
	if d.tied {
		f.ties.count()
		if d.reversed {
			f.ties.odd++
		}
	}
}

// rareness knows how often something odd happens: 8 bytes.
type rareness struct{ all, odd float32 }

// surprise is that of one more.
func (r *rareness) surprise() float64 { return nats((float64(r.odd) + 0.5) / (float64(r.all) + 1)) }

// count counts one that may have been odd.
func (r *rareness) count() {
	if r.all++; r.all >= flowSlipMemory {
		r.all, r.odd = r.all/2, r.odd/2
	}
}

func (r *rareness) sync(c *sketch.Codec) {
	c.F32(&r.all)
	c.F32(&r.odd)
	if c.Reading() && !(r.all >= 0 && r.odd >= 0) {
		c.Fail("got %v odd of %v; want 0 or more", r.odd, r.all)
	}
}
