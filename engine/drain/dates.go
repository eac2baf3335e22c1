package drain

import (
	"fmt"
	"time"
)

const (
	baseYear = 2000 // a leap year, so that every day of a year-less time exists
	halfYear = 183 * daySecs * int64(1e9)
)

// dates completes times that say no year or no day by the times before them.
type dates struct {
	base   int
	last   int64 // nanoseconds, 0: none yet
	layout layout
}

func newDates(text string, base int) (dates, error) {
	if base == 0 {
		base = baseYear
	}
	if !plausibleYear(base) {
		return dates{}, fmt.Errorf("drain: BaseYear is %d; want 1970 to 2199, or 0", base)
	}
	l, err := newLayout(text)
	return dates{base: base, layout: l}, err
}

func (d *dates) forget() { d.last, d.layout.at = 0, 0 }

// resolve is the time in Unix nanoseconds: a missing year is the one that
// brings the time nearest to the last, a missing day the last one's.
func (d *dates) resolve(t *stamp) int64 {
	if t.epoch || t.year != 0 {
		return t.unixNanos(0)
	}
	if t.month == 0 {
		day := *t
		v := int64(t.secs-t.zone)*1e9 + int64(day.nanos)
		const nanosPerDay = daySecs * int64(1e9)
		base := d.last - d.last%nanosPerDay
		if d.last == 0 {
			base = daysOf(d.base, 1, 1) * nanosPerDay
		}
		v += base
		if v < d.last-nanosPerDay/2 {
			v += nanosPerDay
		}
		if v > d.last+nanosPerDay/2 && d.last != 0 {
			v -= nanosPerDay
		}
		return v
	}
	if d.last == 0 {
		return t.unixNanos(d.base)
	}
	year := time.Unix(0, d.last).UTC().Year()
	v := t.unixNanos(year)
	switch {
	case v < d.last-halfYear:
		v = t.unixNanos(year + 1)
	case v > d.last+halfYear:
		v = t.unixNanos(year - 1)
	}
	return v
}

// settle remembers the time of a parsed line.
func (d *dates) settle(v int64) int64 {
	if v != 0 {
		d.last = v
	}
	return v
}
