package detect

import "github.com/logscope/logscope/engine/sketch"

const (
	// jointSelf is what a Joint costs without records and trees, jointTree and jointShadow what those do.
	jointSelf, jointTree, jointShadow = 2272, 1018, 12
	// jointBytes is the most that one costs; while it looks for the numbers, it has no trees.
	jointBytes = jointSelf + forestTrees*jointTree + (4*jointSlots+jointShadow)*jointPoints
)

func (f *Joint) bytes() int {
	return jointSelf + jointTree*len(f.trees) + 4*len(f.ring) + jointShadow*len(f.shadows)
}

// syncJoint passes the forest through c; the slots must have been.
func (t *Template) syncJoint(c *sketch.Codec) {
	has := t.Joint != nil
	if c.Bool(&has); !has || c.Err() != nil {
		return
	}
	if t.Joint == nil {
		t.Joint = new(Joint)
	}
	f := t.Joint
	f.sync(c)
	for _, i := range f.slots[:min(f.dims, jointCandidates)] {
		if int(i) >= len(t.Slots) || t.Slots[i].number == nil {
			c.Fail("got a forest of the numbers of slot %d, which has none", i)
		}
	}
}

// sync passes the state through c.
func (f *Joint) sync(c *sketch.Codec) {
	c.U8(&f.state)
	c.U8(&f.dims)
	c.U8(&f.stage)
	c.Bool(&f.proven)
	for i := range f.slots {
		c.U8(&f.slots[i])
	}
	c.U16(&f.filled)
	c.U16(&f.at)
	c.U32(&f.lines)
	seed := uint64(f.chance)
	c.U64(&seed)
	f.chance = chance(seed)
	c.F32(&f.stale)
	c.F32(&f.looks)
	f.tail.Sync(c)
	sketch.List(c, &f.ring, jointCandidates*jointPoints, func(c *sketch.Codec, v *float32) { c.F32(v) })
	grown := f.trees != nil
	if c.Bool(&grown); grown {
		f.syncTrees(c)
	}
	most := uint8(jointCandidates)
	if grown {
		most = jointSlots
	}
	switch {
	case c.Err() != nil || !c.Reading():
	case f.state >= jointStates || f.state != jointFilling && !grown || f.dims < 2 || f.dims > most || f.stage > forestTrees+3:
		c.Fail("got a forest of %d numbers at step %d of state %d", f.dims, f.stage, f.state)
	case f.filled > jointPoints || f.at >= jointPoints || len(f.ring) != jointPoints*int(f.dims):
		c.Fail("got a forest of %d and %d records in %d places", f.filled, f.at, len(f.ring))
	case grown:
		f.project()
	}
}

// syncTrees passes what is known once there are trees.
func (f *Joint) syncTrees(c *sketch.Codec) {
	for k := range f.ranks {
		r := &f.ranks[k]
		for b := range r.at {
			if c.I16(&r.at[b]); b > 0 && r.at[b] < r.at[b-1] {
				c.Fail("got rank %d behind rank %d", r.at[b], r.at[b-1])
			}
		}
		c.I16(&r.none)
		for j := range f.across[k] {
			c.F32(&f.across[k][j])
		}
	}
	for i := range f.crowded {
		c.U8(&f.crowded[i])
	}
	c.F32(&f.usual)
	c.F32(&f.edge)
	c.U16(&f.odd)
	if f.trees == nil {
		f.trees = make([]tree, forestTrees)
	}
	for i := range f.trees {
		f.trees[i].sync(c)
	}
}
