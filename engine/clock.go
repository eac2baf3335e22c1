package engine

import "github.com/logscope/logscope/engine/sketch"

const (
	// clockJump is how far a record's time may lie from the one before without
	// being doubted: one hour, as Loki's out-of-order window.
	clockJump = 3600 * int64(1e9)
	// clockVotes is how many records in a row must agree on a time far in the
	// past before the clock is taken to have been set back.
	clockVotes = 8
	// clockStep is the longest pause that model time takes over from the
	// records: a week of silence is as good as a year.
	clockStep = 7 * 24 * 3600 * int64(1e9)
	// clockTick is what a record without any time advances model time by.
	clockTick = int64(10e6)
	// clockEnd is the last moment of model time, in the year 2116; hostile times must not overflow it.
	clockEnd = int64(1) << 62
)

// clock turns the times of records into model time, which never runs
// backwards and takes no jump from a single wrong record for granted:
//   - a late record counts as of now;
//   - a record from far in the future counts as of now until the next one
//     agrees with it: a quiet log has pauses, a wrong clock stands alone;
//   - records that keep coming from far in the past (a clock set back, an old
//     file read after a new one) move the base, and model time goes on from now;
//   - a pause beyond a week counts as a week.
type clock struct {
	now  int64 // model time
	base int64 // the record time that now stands for
	back uint8 // records in a row from far in the past
	fore uint8 // records in a row from far in the future
	// timed says that records have times at all.
	timed bool
}

// at returns what advance would, without moving.
func (c clock) at(t int64) int64 { return c.advance(t) }

// advance takes a record's time, 0 for none, and returns model time.
func (c *clock) advance(t int64) int64 {
	t = min(max(t, 0), clockEnd/2)
	switch {
	case t == 0:
		if !c.timed {
			c.now = min(c.now+clockTick, clockEnd)
		}
	case !c.timed:
		c.timed, c.base = true, t
		c.now = max(c.now, t) // model time reads like the first record's
	case t > c.base+clockJump && c.fore == 0:
		c.fore, c.back = 1, 0
	case t >= c.base:
		c.now = min(c.now+min(t-c.base, clockStep), clockEnd)
		c.base, c.back, c.fore = t, 0, 0
	case t < c.base-clockJump:
		c.fore = 0
		if c.back++; c.back >= clockVotes {
			c.base, c.back = t, 0
		}
	default:
		c.back, c.fore = 0, 0
	}
	return c.now
}

// Sync passes the state through c.
func (c *clock) Sync(s *sketch.Codec) {
	s.I64(&c.now)
	s.I64(&c.base)
	s.U8(&c.back)
	s.U8(&c.fore)
	s.Bool(&c.timed)
	if s.Reading() && (c.now < 0 || c.now > clockEnd || c.base < 0 || c.base > clockEnd) {
		s.Fail("got model time %d and base %d; want 0 to %d", c.now, c.base, clockEnd)
	}
}
