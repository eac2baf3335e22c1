package drain

import (
	"cmp"
	"slices"
	"strings"
)

// learn finds or founds the cluster of a skeleton that is not known. Founded
// ones take part in generalisation when the block is settled.
func (m *Miner) learn(text []byte) *cluster {
	m.work.set(text)
	c := m.find(&m.work)
	if c == nil {
		m.makeRoom()
		c = m.found(&m.work, nil)
		m.fresh = append(m.fresh, int32(c.Index))
	}
	c.batch = m.batch
	m.touch(c)
	m.remember(text, c)
	return c
}

// find is the cluster that has the form, or the most general one that covers it.
func (m *Miner) find(f *form) *cluster {
	var found *cluster
	if c := m.exact(f.sum, f.text); c != nil {
		found = c
	}
	if c := m.cover(f); c != nil {
		found = c
	}
	return found
}

func (m *Miner) exact(sum uint64, text []byte) *cluster {
	if at, ok := m.forms[sum]; ok && m.clusters[at].form == string(text) {
		return m.clusters[at]
	}
	return nil
}

// cover is the cluster with the most variable positions that fits the form;
// among equals the one of the smallest sum, so that order decides nothing.
func (m *Miner) cover(f *form) *cluster {
	var best *cluster
next:
	for _, set := range m.sets[len(f.parts)] {
		if best != nil && len(set.positions) < len(best.wild) {
			continue
		}
		sum := f.sum
		for _, p := range set.positions {
			if f.parts[p].shape == nil {
				continue next
			}
			sum += f.parts[p].gap - f.parts[p].token
		}
		at, ok := m.forms[sum]
		if !ok {
			continue
		}
		c := m.clusters[at]
		if best != nil && len(c.wild) == len(best.wild) && c.sum >= best.sum || !equalSets(c.wild, set.positions) {
			continue
		}
		m.buf = f.appendVaried(m.buf[:0], set.positions)
		if c.form == string(m.buf) {
			best = c
		}
	}
	return best
}

func equalSets(a, b []uint16) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// settle generalises from the founded clusters until nothing changes, then
// merges what became the same. It works on sets that only grow, so the order
// of the block's lines decides nothing. single says that m.work is the form of
// the only founded cluster.
func (m *Miner) settle(single bool) {
	if len(m.fresh) == 0 {
		return
	}
	m.fired, m.touched = m.fired[:0], append(m.touched[:0], m.fresh...)
	for _, at := range m.fresh {
		if !single {
			m.work.set([]byte(m.clusters[at].form))
		}
		m.link(m.clusters[at], &m.work)
	}
	founded := len(m.fresh)
	for n := 0; n < len(m.fired) && n < 8*founded+64; n++ {
		m.fire(m.fired[n])
	}
	if len(m.fired) > 0 {
		m.merge()
	}
	for _, at := range m.fresh[founded:] {
		if c := m.clusters[at]; c.live && c.skeletons == none {
			m.drop(c) // overtaken by a more general one
		}
	}
	m.fresh = m.fresh[:0]
}

// link enters the cluster into the neighbourhood of each of its positions.
func (m *Miner) link(c *cluster, f *form) {
	wild := c.wild
	for i := range f.parts {
		if len(wild) > 0 && int(wild[0]) == i {
			wild = wild[1:]
			continue
		}
		p := &f.parts[i]
		if p.shape == nil || c.near[i] != unlinked {
			continue
		}
		key := f.key(i)
		head, ok := m.near[key]
		if !ok {
			head = none
		}
		weight, length := f.weigh(i, p.weight), 0
		for at := head; at != none && length <= chainMax; length++ {
			o := m.clusters[at]
			weight += f.weigh(i, m.weightAt(o, i))
			at = o.near[i]
		}
		if length >= chainMax {
			continue
		}
		c.near[i] = head
		m.near[key] = int32(c.Index)
		if weight >= weightEnough && f.mayVary(i) {
			m.fired = append(m.fired, firing{int32(c.Index), i})
		}
	}
}

// weightAt is the weight of the cluster's token at a position.
func (m *Miner) weightAt(c *cluster, i int) int {
	text := c.form
	for ; i > 0; i-- {
		text = text[strings.IndexByte(text, ' ')+1:]
	}
	if end := strings.IndexByte(text, ' '); end >= 0 {
		text = text[:end]
	}
	m.buf = append(m.buf[:0], text...)
	pre, suf := shapeOf(m.buf)
	core := m.buf[pre : len(m.buf)-suf]
	if len(core) == 1 && core[0] == mark {
		return weightMasked
	}
	return weightOf(core, isKeyed(m.buf, pre))
}

// fire founds the cluster that varies at the position, if it is not there yet.
func (m *Miner) fire(f firing) {
	c := m.clusters[f.cluster]
	m.work.set([]byte(c.form))
	key := m.work.key(f.at)
	for at, n := m.near[key], 0; at != none && n <= chainMax; n++ {
		m.touched = append(m.touched, at)
		at = m.clusters[at].near[f.at]
	}
	wild := withPosition(c.wild, uint16(f.at))
	m.buf = m.work.appendVaried(m.buf[:0], []uint16{uint16(f.at)})
	text := append([]byte(nil), m.buf...)
	m.other.set(text)
	if t := m.exact(m.other.sum, text); t != nil {
		for _, p := range t.wild {
			wild = withPosition(wild, p)
		}
		if len(wild) != len(t.wild) && m.addSet(len(t.near), wild) {
			m.dropSet(len(t.near), t.wild)
			t.wild = wild
			m.again(t)
		}
		return
	}
	if m.full() && m.clusters[m.last].batch == m.batch || !m.hasSet(len(m.other.parts), wild) {
		return
	}
	m.makeRoom()
	t := m.found(&m.other, wild)
	t.batch = m.batch
	m.fresh = append(m.fresh, int32(t.Index))
	m.link(t, &m.other)
}

// again fires the neighbourhoods of a cluster that varies at one more position:
// those that fired before did not know of it.
func (m *Miner) again(c *cluster) {
	f := &m.other
	wild := c.wild
	for i := range f.parts {
		if len(wild) > 0 && int(wild[0]) == i {
			wild = wild[1:]
			continue
		}
		if f.parts[i].shape == nil || c.near[i] == unlinked || !f.mayVary(i) {
			continue
		}
		weight := 0
		for at, n := m.near[f.key(i)], 0; at != none && n <= chainMax; n++ {
			weight += f.weigh(i, m.weightAt(m.clusters[at], i))
			at = m.clusters[at].near[i]
		}
		if weight >= weightEnough {
			m.fired = append(m.fired, firing{int32(c.Index), i})
		}
	}
}

func withPosition(set []uint16, p uint16) []uint16 {
	out := make([]uint16, 0, len(set)+1)
	for i, q := range set {
		if q == p {
			return set
		}
		if q > p {
			return append(append(out, p), set[i:]...)
		}
		out = append(out, q)
	}
	return append(out, p)
}

// merge puts each touched cluster into the most general one that covers it.
func (m *Miner) merge() {
	// The one that has counted most is first, so that it keeps its Index.
	slices.SortFunc(m.touched, func(a, b int32) int {
		return cmp.Or(cmp.Compare(m.clusters[b].Count, m.clusters[a].Count), cmp.Compare(a, b))
	})
	for _, at := range slices.Compact(m.touched) {
		c := m.clusters[at]
		if !c.live {
			continue
		}
		root := c
		for range tokensMax {
			m.work.set([]byte(root.form))
			next := m.cover(&m.work)
			if next == nil || next == root || len(next.wild) <= len(root.wild) {
				break
			}
			root = next
		}
		if root != c {
			m.unite(c, root)
		}
	}
}

// unite merges c into root. The one that has counted more lines lives on under its Index.
func (m *Miner) unite(c, root *cluster) {
	if c.Count > root.Count || root.skeletons == none && c.Count == root.Count {
		text, wild := root.form, root.wild
		m.unlink(root)
		root.wild = nil
		m.unlink(c)
		m.bytes -= c.size()
		if c.Count > 0 {
			m.aliases.add(c.ID, c.Index, c.Gen)
		}
		m.rename(c, text, wild)
		c.Rev++
		c.near = newNear(len(root.near))
		m.bytes += c.size()
		m.work.set([]byte(text))
		m.enter(c, &m.work)
		m.link(c, &m.work)
		c, root = root, c
	} else if c.Count > 0 {
		m.aliases.add(c.ID, root.Index, root.Gen)
	}
	m.aliases.move(c, root)
	root.Count += c.Count
	root.batch = max(root.batch, c.batch)
	for at := c.skeletons; at != none; {
		next := m.skeletons[at].next
		m.chain(root, at)
		at = next
	}
	c.skeletons = none
	m.drop(c)
}
