package drain

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// The state, in the order of its bytes. Numbers are unsigned varints, texts
// are a length and bytes.
//
//	last time, position of the ring of hosts, 8 hosts of 8 bytes, 8 columns' counts
//	evicted
//	indexes: n, then the generation of each
//	clusters, most recently used first: n, then
//	    index, form (0x01 for <*>), n variable positions, positions, count, revision
//	skeletons by place: n, then index+1 of the cluster (0: place is free), used, text ("" : the form)
//	hand of the clock
//	former ids: n, then id (8 bytes), index, generation; position of the ring
var errState = errors.New("drain: state is damaged")

// AppendState appends the learned state to dst. It holds no version: that of
// the snapshot around it counts.
func (m *Miner) AppendState(dst []byte) []byte {
	dst = binary.AppendVarint(dst, m.dates.last)
	dst = binary.AppendUvarint(dst, uint64(m.head.hostN))
	for _, host := range m.head.hosts {
		dst = binary.LittleEndian.AppendUint64(dst, host)
	}
	for _, n := range m.head.timeAt {
		dst = binary.AppendUvarint(dst, uint64(n))
	}
	dst = binary.AppendUvarint(dst, m.evicted)
	dst = binary.AppendUvarint(dst, uint64(len(m.clusters)))
	for _, c := range m.clusters {
		dst = binary.AppendUvarint(dst, uint64(c.Gen))
	}
	dst = appendInts(dst, m.free)
	dst = binary.AppendUvarint(dst, uint64(m.live))
	for at := m.first; at != none; at = m.clusters[at].nxt {
		dst = m.clusters[at].append(dst)
	}
	dst = binary.AppendUvarint(dst, uint64(len(m.skeletons)))
	for i := range m.skeletons {
		s := &m.skeletons[i]
		dst = binary.AppendUvarint(dst, uint64(s.cluster+1))
		if s.cluster == none {
			continue
		}
		used := byte(0)
		if s.used {
			used = 1
		}
		dst = append(dst, used)
		text := s.text
		if text == m.clusters[s.cluster].form {
			text = ""
		}
		dst = appendText(dst, text)
	}
	dst = appendInts(dst, m.freeSkels)
	dst = binary.AppendUvarint(dst, uint64(m.hand))
	return m.aliases.append(dst)
}

func (c *cluster) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(c.Index))
	dst = appendText(dst, c.form)
	dst = binary.AppendUvarint(dst, uint64(len(c.wild)))
	for _, p := range c.wild {
		dst = binary.AppendUvarint(dst, uint64(p))
	}
	dst = binary.AppendUvarint(dst, c.Count)
	return binary.AppendUvarint(dst, uint64(c.Rev))
}

func (a *aliases) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(a.ring)))
	for _, e := range a.ring {
		dst = binary.LittleEndian.AppendUint64(dst, e.id)
		dst = binary.AppendUvarint(dst, uint64(e.index))
		dst = binary.AppendUvarint(dst, uint64(e.gen))
	}
	return binary.AppendUvarint(dst, uint64(a.next))
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendInts(dst []byte, v []int32) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(v)))
	for _, n := range v {
		dst = binary.AppendUvarint(dst, uint64(n))
	}
	return dst
}

// ReadState replaces the learned state by the one at the start of data and
// returns what follows it. After an error the Miner is as it was.
func (m *Miner) ReadState(data []byte) (rest []byte, err error) {
	fresh := &Miner{cfg: m.cfg, lexer: lexer{dates: m.dates}}
	fresh.clear()
	r := reader{data: data}
	fresh.readState(&r)
	if r.failed {
		return nil, fmt.Errorf("%w or too large at byte %d of %d", errState, len(data)-len(r.data), len(data))
	}
	*m = *fresh
	return r.data, nil
}

func (m *Miner) readState(r *reader) {
	m.dates.last = r.signed()
	m.head.hostN = int(r.number(1 << 40))
	for i := range m.head.hosts {
		m.head.hosts[i] = r.fixed()
	}
	for i := range m.head.timeAt {
		m.head.timeAt[i] = int(r.number(columnsFull))
	}
	m.evicted = r.number(1 << 62)
	n := int(r.number(uint64(m.cfg.ClustersMax)))
	for i := 0; i < n && !r.failed; i++ {
		m.clusters = append(m.clusters, &cluster{Cluster: Cluster{Index: i, Gen: uint32(r.number(1<<32 - 1))}, skeletons: none})
	}
	m.free = r.ints(n)
	live := int(r.number(uint64(n)))
	for i := 0; i < live && !r.failed; i++ {
		m.readCluster(r)
	}
	r.check(m.live+len(m.free) == n)
	for _, at := range m.free {
		r.check(!r.failed && !m.clusters[at].live)
	}
	m.readSkeletons(r)
	m.aliases.read(r, n)
}

func (m *Miner) readCluster(r *reader) {
	at := int(r.number(1 << 31))
	text := r.text()
	if r.check(at < len(m.clusters) && !m.clusters[at].live && len(text) <= 2*scanMax); r.failed {
		return
	}
	f := &m.work
	f.set([]byte(text))
	wild := make([]uint16, 0, min(r.number(tokensMax+1), tokensMax+1))
	for range cap(wild) {
		p := uint16(r.number(tokensMax))
		r.check(len(wild) == 0 || p > wild[len(wild)-1])
		if r.check(int(p) < len(f.parts) && f.parts[p].shape != nil); r.failed {
			return
		}
		r.check(string(f.parts[p].shape) == string(f.parts[p].text))
		wild = append(wild, p)
	}
	if len(wild) == 0 {
		wild = nil
	}
	count, rev := r.number(1<<63), r.number(1<<32-1)
	if r.check(len(f.parts) <= tokensMax+1 && m.exact(f.sum, f.text) == nil); r.failed {
		return
	}
	c := m.clusters[at]
	m.rename(c, text, wild)
	c.Count, c.Rev = count, uint32(rev)
	c.live, c.prev, c.nxt = true, none, none
	c.near = newNear(len(f.parts))
	m.live++
	m.bytes += c.size()
	m.enter(c, f)
	m.link(c, f)
	m.fired = m.fired[:0]
	// Most recently used first: each goes behind the one before.
	if c.prev = m.last; m.last != none {
		m.clusters[m.last].nxt = int32(at)
	} else {
		m.first = int32(at)
	}
	m.last = int32(at)
}

func (m *Miner) readSkeletons(r *reader) {
	n := int(r.number(uint64(skeletonsPerCluster * m.cfg.ClustersMax)))
	for i := 0; i < n && !r.failed; i++ {
		at := int32(r.number(uint64(len(m.clusters)))) - 1
		if at == none {
			m.skeletons = append(m.skeletons, skeleton{cluster: none, next: none, prev: none})
			continue
		}
		used := r.byte() == 1
		text := r.text()
		if r.check(at >= 0 && m.clusters[at].live); r.failed {
			return
		}
		c := m.clusters[at]
		if text == "" {
			text = c.form
		}
		_, twice := m.known[text]
		if r.check(!twice && covers(c, &m.work, text)); r.failed {
			return
		}
		s := skeleton{text: text, used: used}
		m.skeletons = append(m.skeletons, s)
		m.chain(c, int32(i))
		m.known[text] = int32(i)
		m.bytes += s.size()
	}
	m.freeSkels = r.ints(len(m.skeletons))
	r.check(len(m.freeSkels)+len(m.known) == len(m.skeletons))
	for _, at := range m.freeSkels {
		r.check(!r.failed && m.skeletons[at].cluster == none)
	}
	m.hand = int(r.number(uint64(len(m.skeletons))))
}

// covers says that the skeleton belongs to the cluster: they differ where the cluster varies only.
func covers(c *cluster, f *form, text string) bool {
	f.set([]byte(text))
	if len(f.parts) != len(c.near) {
		return false
	}
	for _, p := range c.wild {
		if f.parts[p].shape == nil {
			return false
		}
	}
	return string(f.appendVaried(nil, c.wild)) == c.form
}

func (a *aliases) read(r *reader, clusters int) {
	n := int(r.number(aliasesMax))
	for i := 0; i < n && !r.failed; i++ {
		e := alias{id: r.fixed(), index: int(r.number(uint64(clusters))), gen: uint32(r.number(1<<32 - 1))}
		_, twice := a.index[e.id]
		if r.check(!twice && e.index < clusters); r.failed {
			return
		}
		a.add(e.id, e.index, e.gen)
	}
	a.next = int(r.number(aliasesMax - 1))
	r.check(len(a.ring) == aliasesMax || a.next == len(a.ring)%aliasesMax)
}

// reader reads from a state and remembers that it could not.
type reader struct {
	data   []byte
	failed bool
}

func (r *reader) check(ok bool) {
	if !ok {
		r.failed = true
	}
}

// number reads a number of at most max.
func (r *reader) number(max uint64) uint64 {
	v, n := binary.Uvarint(r.data)
	if r.failed || n <= 0 || v > max {
		r.failed = true
		return 0
	}
	r.data = r.data[n:]
	return v
}

func (r *reader) signed() int64 {
	v, n := binary.Varint(r.data)
	if r.failed || n <= 0 {
		r.failed = true
		return 0
	}
	r.data = r.data[n:]
	return v
}

func (r *reader) fixed() uint64 {
	if r.failed || len(r.data) < 8 {
		r.failed = true
		return 0
	}
	v := binary.LittleEndian.Uint64(r.data)
	r.data = r.data[8:]
	return v
}

func (r *reader) byte() byte {
	if r.failed || len(r.data) < 1 {
		r.failed = true
		return 0
	}
	c := r.data[0]
	r.data = r.data[1:]
	return c
}

func (r *reader) text() string {
	n := r.number(uint64(len(r.data)))
	if r.failed || n > uint64(len(r.data)) {
		r.failed = true
		return ""
	}
	s := string(r.data[:n])
	r.data = r.data[n:]
	return s
}

// ints reads distinct places below n.
func (r *reader) ints(n int) []int32 {
	count := int(r.number(uint64(n)))
	var v []int32
	for i := 0; i < count && !r.failed; i++ {
		at := int32(r.number(1 << 31))
		if r.check(int(at) < n); r.failed {
			return nil
		}
		v = append(v, at)
	}
	sorted := slices.Clone(v)
	slices.Sort(sorted)
	r.check(len(slices.Compact(sorted)) == len(v))
	return v
}
