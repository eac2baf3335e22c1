package drain

// found makes a cluster of the form. There is room for it.
func (m *Miner) found(f *form, wild []uint16) *cluster {
	var c *cluster
	if n := len(m.free); n > 0 {
		c = m.clusters[m.free[n-1]]
		m.free = m.free[:n-1]
		*c = cluster{Cluster: Cluster{Index: c.Index, Gen: c.Gen + 1}}
	} else {
		c = &cluster{Cluster: Cluster{Index: len(m.clusters)}}
		m.clusters = append(m.clusters, c)
	}
	m.rename(c, string(f.text), wild)
	c.live, c.skeletons, c.prev, c.nxt = true, none, none, none
	c.near = newNear(len(f.parts))
	m.live++
	m.bytes += c.size()
	m.enter(c, f)
	m.pushFront(c)
	return c
}

func newNear(n int) []int32 {
	near := make([]int32, n)
	for i := range near {
		near[i] = unlinked
	}
	return near
}

// enter makes the cluster findable by its form.
func (m *Miner) enter(c *cluster, f *form) {
	c.sum = f.sum
	if _, taken := m.forms[f.sum]; !taken {
		m.forms[f.sum] = int32(c.Index)
	}
	if len(c.wild) > 0 {
		m.addSet(len(c.near), c.wild)
	}
}

// unlink takes the cluster's form out of all indexes.
func (m *Miner) unlink(c *cluster) {
	if m.forms[c.sum] == int32(c.Index) {
		delete(m.forms, c.sum)
	}
	if len(c.wild) > 0 {
		m.dropSet(len(c.near), c.wild)
	}
	m.gone.set([]byte(c.form))
	for i := range c.near {
		if c.near[i] == unlinked {
			continue
		}
		key := m.gone.key(i)
		m.unlinkAt(c, key, i)
		c.near[i] = unlinked
	}
}

func (m *Miner) unlinkAt(c *cluster, key uint64, i int) {
	head, ok := m.near[key]
	if !ok {
		return
	}
	if head == int32(c.Index) {
		if c.near[i] == none {
			delete(m.near, key)
		} else {
			m.near[key] = c.near[i]
		}
		return
	}
	for at := head; at != none; {
		o := m.clusters[at]
		if o.near[i] == int32(c.Index) {
			o.near[i] = c.near[i]
			return
		}
		at = o.near[i]
	}
}

// drop ends a cluster: its Index may be reused.
func (m *Miner) drop(c *cluster) {
	m.unlink(c)
	for at := c.skeletons; at != none; {
		next := m.skeletons[at].next
		m.forgetSkeleton(at)
		at = next
	}
	m.remove(c)
	m.bytes -= c.size()
	m.live--
	c.live, c.skeletons = false, none
	c.form, c.wild, c.near = "", nil, nil
	m.free = append(m.free, int32(c.Index))
}

func (c *cluster) size() int64 {
	return clusterBytes + int64(len(c.form)+len(c.Text)) + int64(len(c.near))*tokenBytes
}

func (s *skeleton) size() int64 { return skeletonBytes + int64(len(s.text)) }

// full says that a further cluster needs another's place.
func (m *Miner) full() bool {
	return m.live > 0 && (m.live >= m.cfg.ClustersMax || m.bytes >= m.cfg.BytesMax)
}

// makeRoom evicts until there is room for one more cluster, but none that the
// running batch has founded or used.
func (m *Miner) makeRoom() {
	for m.full() && m.last != none && m.clusters[m.last].batch != m.batch {
		if m.live < m.cfg.ClustersMax && len(m.known) > 2*m.live && m.evictSkeleton() {
			continue
		}
		m.drop(m.clusters[m.last])
		m.evicted++
	}
}

// remember enters a skeleton of the cluster.
func (m *Miner) remember(text []byte, c *cluster) {
	for len(m.known) >= skeletonsPerCluster*m.cfg.ClustersMax && m.evictSkeleton() {
	}
	s := skeleton{used: true}
	if s.text = c.form; c.form != string(text) {
		s.text = string(text)
	}
	at := int32(len(m.skeletons))
	if n := len(m.freeSkels); n > 0 {
		at = m.freeSkels[n-1]
		m.freeSkels = m.freeSkels[:n-1]
		m.skeletons[at] = s
	} else {
		m.skeletons = append(m.skeletons, s)
	}
	m.chain(c, at)
	m.known[s.text] = at
	m.bytes += s.size()
}

// evictSkeleton forgets one not used since the hand of the clock passed it last.
func (m *Miner) evictSkeleton() bool {
	for range 2*len(m.skeletons) + 1 {
		if m.hand >= len(m.skeletons) {
			m.hand = 0
		}
		at := int32(m.hand)
		m.hand++
		s := &m.skeletons[at]
		if s.cluster == none {
			continue
		}
		if s.used {
			s.used = false
			continue
		}
		m.unchain(at)
		m.forgetSkeleton(at)
		return true
	}
	return false
}

// chain puts a skeleton at the head of its cluster's list.
func (m *Miner) chain(c *cluster, at int32) {
	s := &m.skeletons[at]
	s.cluster, s.prev, s.next = int32(c.Index), none, c.skeletons
	if s.next != none {
		m.skeletons[s.next].prev = at
	}
	c.skeletons = at
}

// unchain takes a skeleton out of its cluster's list, which may have thousands.
func (m *Miner) unchain(at int32) {
	s := &m.skeletons[at]
	if s.prev != none {
		m.skeletons[s.prev].next = s.next
	} else {
		m.clusters[s.cluster].skeletons = s.next
	}
	if s.next != none {
		m.skeletons[s.next].prev = s.prev
	}
}

func (m *Miner) forgetSkeleton(at int32) {
	s := &m.skeletons[at]
	delete(m.known, s.text)
	m.bytes -= s.size()
	*s = skeleton{cluster: none, next: none, prev: none}
	m.freeSkels = append(m.freeSkels, at)
}

// touch makes the cluster the most recently used one.
func (m *Miner) touch(c *cluster) {
	if m.first == int32(c.Index) {
		return
	}
	m.remove(c)
	m.pushFront(c)
}

func (m *Miner) pushFront(c *cluster) {
	at := int32(c.Index)
	c.prev, c.nxt = none, m.first
	if m.first != none {
		m.clusters[m.first].prev = at
	}
	m.first = at
	if m.last == none {
		m.last = at
	}
}

func (m *Miner) remove(c *cluster) {
	if c.prev != none {
		m.clusters[c.prev].nxt = c.nxt
	} else {
		m.first = c.nxt
	}
	if c.nxt != none {
		m.clusters[c.nxt].prev = c.prev
	} else {
		m.last = c.prev
	}
}

func (m *Miner) hasSet(tokens int, positions []uint16) bool {
	sets := m.sets[tokens]
	for _, s := range sets {
		if equalSets(s.positions, positions) {
			return true
		}
	}
	return len(sets) < setsMax
}

// addSet counts a cluster that varies at the positions; false if there are too many such sets.
func (m *Miner) addSet(tokens int, positions []uint16) bool {
	for _, s := range m.sets[tokens] {
		if equalSets(s.positions, positions) {
			s.refs++
			return true
		}
	}
	if len(m.sets[tokens]) >= setsMax {
		return false
	}
	m.sets[tokens] = append(m.sets[tokens], &wildSet{positions, 1})
	return true
}

func (m *Miner) dropSet(tokens int, positions []uint16) {
	sets := m.sets[tokens]
	for i, s := range sets {
		if !equalSets(s.positions, positions) {
			continue
		}
		if s.refs--; s.refs == 0 {
			sets[i] = sets[len(sets)-1]
			sets[len(sets)-1] = nil
			if m.sets[tokens] = sets[:len(sets)-1]; len(sets) == 1 {
				delete(m.sets, tokens)
			}
		}
		return
	}
}

// aliases is a ring of former template ids.
type aliases struct {
	index map[uint64]int
	ring  []alias
	next  int
}

type alias struct {
	id    uint64
	index int
	gen   uint32
}

func (a *aliases) add(id uint64, index int, gen uint32) {
	if a.index == nil {
		a.index = map[uint64]int{}
	}
	if at, ok := a.index[id]; ok {
		a.ring[at] = alias{id, index, gen}
		return
	}
	if len(a.ring) < aliasesMax {
		a.ring = append(a.ring, alias{})
		a.next = len(a.ring) - 1
	} else {
		delete(a.index, a.ring[a.next].id)
	}
	a.ring[a.next] = alias{id, index, gen}
	a.index[id] = a.next
	a.next = (a.next + 1) % aliasesMax
}

// move lets the ids that lead to one cluster lead to another.
func (a *aliases) move(from, to *cluster) {
	for i := range a.ring {
		if e := &a.ring[i]; e.index == from.Index && e.gen == from.Gen {
			e.index, e.gen = to.Index, to.Gen
		}
	}
}

func (a *aliases) find(id uint64) (index int, gen uint32, ok bool) {
	at, ok := a.index[id]
	if !ok {
		return 0, 0, false
	}
	return a.ring[at].index, a.ring[at].gen, true
}
