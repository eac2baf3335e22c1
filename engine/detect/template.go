package detect

import (
	"github.com/logscope/logscope/engine/drain"
	"github.com/logscope/logscope/engine/sketch"
)

// Template is what the detectors know of one template.
type Template struct {
	// Gen and Rev are those of the cluster when it was last looked at.
	Gen, Rev uint32
	// Count is the number of records learned, Seconds that of seconds with at least one.
	Count   uint64
	Seconds uint32
	second  int64
	// First is the moment of the first record.
	First int64
	Rate  Rate
	Gaps  Gaps
	Slots []Slot
	// Joint knows how the numbers go together, nil where nothing is known to hold
	// them together; jointAt is the count from which that is looked at again.
	Joint   *Joint
	jointAt uint64
	// Next is what follows the template in its stream.
	Next Next
	// Quiet is until when each code raises nothing more here: repeats collapse.
	Quiet [Codes]int64
	// Request says that the template's lines hold web requests.
	Request bool
	// Grave says that the first record spoke of a failure.
	Grave bool
}

// Follow brings the state in line with the cluster: after an eviction it
// starts afresh (and says so), and where the text changed the slots may have moved.
func (t *Template) Follow(c *drain.Cluster, params int) (fresh bool) {
	if t.Gen != c.Gen {
		*t = Template{Gen: c.Gen, Rev: c.Rev}
		fresh = true
	}
	if t.Rev != c.Rev {
		t.Rev = c.Rev
		t.Joint, t.jointAt = nil, t.Count+jointLeast
		if len(t.Slots) != params {
			t.Slots = t.Slots[:0]
		}
	}
	t.Widen(params)
	return fresh
}

// Widen makes room for the slots of so many parameters.
func (t *Template) Widen(params int) {
	for len(t.Slots) < min(params, slotsMax) {
		t.Slots = append(t.Slots, Slot{})
	}
}

// Tick counts a record at now and tells whether it is the first in its second.
func (t *Template) Tick(now int64) bool {
	if t.Count == 0 {
		t.First = now
	}
	t.Count++
	second := now / Second
	if t.Seconds > 0 && second == t.second {
		return false
	}
	t.second = second
	t.Seconds++
	return true
}

// Bytes is roughly what the template costs.
func (t *Template) Bytes() int {
	n := 256 + 80
	for i := range t.Slots {
		n += t.Slots[i].Bytes()
	}
	if t.Joint != nil {
		n += t.Joint.bytes()
	}
	return n
}

// Sync passes the state through c.
func (t *Template) Sync(c *sketch.Codec) {
	c.U32(&t.Gen)
	c.U32(&t.Rev)
	c.U64(&t.Count)
	c.U32(&t.Seconds)
	c.I64(&t.second)
	c.I64(&t.First)
	t.Rate.Sync(c)
	t.Gaps.Sync(c)
	sketch.List(c, &t.Slots, slotsMax, func(c *sketch.Codec, s *Slot) { s.Sync(c) })
	c.U64(&t.jointAt)
	t.syncJoint(c)
	t.Next.Sync(c)
	for i := range t.Quiet {
		c.I64(&t.Quiet[i])
	}
	c.Bool(&t.Request)
	c.Bool(&t.Grave)
}
