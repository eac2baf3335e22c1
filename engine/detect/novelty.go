package detect

import (
	"math"

	"github.com/logscope/logscope/engine/sketch"
)

const (
	// recentSpan is how many observations the recent rate of new templates
	// remembers. A roll-out must be quiet within some 2,000 lines.
	recentSpan = 2000
	// recentNews is how many recent new templates it takes before the recent
	// rate counts at all: a fault that speaks in two or three new messages is
	// not a roll-out.
	recentNews = 3
	// burstNews is how many recent new templates make a roll-out of their own,
	// where the long-run rate expects a fifth of that or less.
	burstNews, burstTimes = 5, 5
	// groupSpan is how long after the first of a group of new templates others
	// belong to it: a restart or a fault speaks in many at once.
	groupSpan = 10 * Second
	// groupEach and groupMost are what each new template of a group adds to the
	// surprise of the next, and the most that they add: ordinary jobs come in
	// groups too.
	groupEach, groupMost = 0.5, 1.5
	// groupAgain is what the surprise of the others is lowered by once one of the
	// group was told: whoever was woken reads on.
	groupAgain = 1.5
)

// Novelty knows how often something new is logged at all.
//
// The estimate is Good and Turing's, on de-duplicated time: a template counts
// at most once per second, because bursts of one template would make novelty
// look rarer than it is.
type Novelty struct {
	seen sketch.GoodTuring
	// news and span are the new templates and observations among the recent ones.
	news, span float64
	// calm is the mass of new templates when there were no recent ones; burst is
	// set while a roll-out is going on.
	calm  float64
	burst bool
	// quiet counts the observations since the last new template. When a group of
	// new templates begins, groupQuiet is what it was then and groupEnd the end of
	// the group; groupNews is how many have come in it, groupTold that one was told.
	quiet, groupQuiet float64
	groupEnd          int64
	groupNews         float64
	groupTold         bool
}

// Surprise is that of a template never seen before.
func (n *Novelty) Surprise() float64 {
	p := n.seen.Mass()
	if n.news >= recentNews {
		p = max(p, (n.news+0.5)/(n.span+1))
	}
	return nats(p)
}

// GroupSurprise is that of a template never seen before at now, in the light
// of how long none has come. Where new templates come as a Poisson process of
// any rate, one after more than n others without has a probability of at most
// 1/(e*n) for each of them. Rates change, so only half of that counts. All
// templates of a group have that claim until one is told: the first may not
// be the one that matters.
func (n *Novelty) GroupSurprise(now int64) float64 {
	s := n.Surprise()
	quiet, size := n.quiet, 0.0
	if now < n.groupEnd {
		if n.groupTold {
			return max(0, s-groupAgain)
		}
		quiet, size = n.groupQuiet, n.groupNews
	}
	calm := 1 - math.Ln2 + sketch.Ln(quiet+1)
	return max(s, (s+calm)/2) + min(groupMost, groupEach*size)
}

// Group returns, for a new template at now, how many observations brought
// none before its group began, and how many have come in the group.
func (n *Novelty) Group(now int64) (quiet, news float64) {
	if now < n.groupEnd {
		return n.groupQuiet, n.groupNews
	}
	return n.quiet, 0
}

// Tell notes that a new template at now was told.
func (n *Novelty) Tell(now int64) {
	n.group(now)
	n.groupTold = true
}

// group begins a new group where the last one has ended.
func (n *Novelty) group(now int64) {
	if now >= n.groupEnd {
		n.groupQuiet, n.groupEnd, n.groupNews, n.groupTold = n.quiet, now+groupSpan, 0, false
	}
}

// Rare is the surprise of a template seen count times before: the mass of all
// templates that rare, (count + 1) * N1 / n as Good and Turing have it with
// N1 in the place of N[count+1], which is never larger.
func (n *Novelty) Rare(count uint32) float64 {
	return nats(float64(count+1) * n.seen.Mass())
}

// Learn counts an observation at now of a template seen before times already and
// tells whether it starts a roll-out: many new templates at once where new
// ones are rare.
func (n *Novelty) Learn(before uint32, now int64) (rollout bool) {
	if n.news < 1 {
		n.calm = n.seen.Mass()
	}
	n.seen.Observe(before)
	keep := 1 - 1.0/recentSpan
	n.news, n.span = n.news*keep, n.span*keep+1
	n.quiet++
	if before == 0 {
		n.news++
		n.group(now)
		n.groupNews++
		n.quiet = 0
	}
	switch {
	case n.burst:
		n.burst = n.news > recentNews-1
	case before == 0 && n.news >= burstNews && n.seen.N > recentSpan && n.news/n.span > burstTimes*n.calm:
		n.burst, rollout = true, true
	}
	return rollout
}

// Seen returns how many observations were counted and the share of them that
// the next is expected to be new.
func (n *Novelty) Seen() (count, mass float64) { return n.seen.N, n.seen.Mass() }

// RecentNews is the number of new templates among the recent observations.
func (n *Novelty) RecentNews() float64 { return n.news }

// Sync passes the state through c.
func (n *Novelty) Sync(c *sketch.Codec) {
	n.seen.Sync(c)
	c.F64(&n.news)
	c.F64(&n.span)
	c.F64(&n.calm)
	c.Bool(&n.burst)
	c.F64(&n.quiet)
	c.F64(&n.groupQuiet)
	c.I64(&n.groupEnd)
	c.F64(&n.groupNews)
	c.Bool(&n.groupTold)
}
