package pipeline

import (
	"container/list"

	"github.com/cespare/xxhash/v2"

	"github.com/logscope/logscope/loki"
)

// chunkKey names a chunk: a redelivered one brings the same tag and bytes, and no other mark.
func chunkKey(tag string, data []byte) uint64 {
	var d xxhash.Digest
	d.Reset()
	_, _ = d.WriteString(tag)
	_, _ = d.Write([]byte{0})
	_, _ = d.Write(data)
	return d.Sum64()
}

// pending is what a chunk came to: the pushes that Loki has not answered for.
type pending struct {
	pushes []loki.Push
	// damaged says that part of the chunk could not be read.
	damaged bool
	told    *told
}

func (pd *pending) bytes() int64 {
	n := int64(pendingBytes)
	for i := range pd.pushes {
		n += int64(len(pd.pushes[i].Body))
	}
	return n
}

const (
	// pendingBytes is what one remembered chunk costs beside its bodies.
	pendingBytes = 256
	// scoredMax bounds the chunks known to be scored whose pushes were evicted: 16 bytes and a map
	// entry each, 2 MB. Fluent Bit itself holds at most storage.max_chunks_up (128) in memory.
	scoredMax = 1 << 15
	// toldBytesMax bounds what is kept of verdicts on such chunks, a few hundred bytes each. Those
	// that find no room go out without tags.
	toldBytesMax = 8 << 20
	// toldChunkMax bounds that of one chunk: one with an anomaly in each line must not evict all others.
	toldChunkMax = toldBytesMax / 8
)

// memory keeps, within a budget of bytes, the encoded pushes of chunks that
// Fluent Bit will bring again, so that a chunk is scored once and sent byte
// for byte the same. Of evicted ones it still knows that they were scored, and what was told of them.
type memory struct {
	bytesMax int64
	bytes    int64
	told     int64                    // bytes of it
	waiting  int                      // chunks whose pushes are held
	chunks   map[uint64]*list.Element // of *remembered
	order    list.List                // least recently seen first
}

type remembered struct {
	key  uint64
	pd   *pending // nil: evicted, or taken by a flush under way
	told *told    // nil: evicted
}

func newMemory(bytesMax int64) *memory {
	return &memory{bytesMax: bytesMax, chunks: map[uint64]*list.Element{}}
}

// take returns the chunk's pushes, and what was told of it where these are gone. It leaves its mark;
// seen says that it was scored before.
func (m *memory) take(key uint64) (pd *pending, told *told, seen bool) {
	el, ok := m.chunks[key]
	if !ok {
		return nil, nil, false
	}
	r := el.Value.(*remembered)
	return m.release(r), r.told, true
}

// release takes the pushes of r out of the memory.
func (m *memory) release(r *remembered) *pending {
	pd := r.pd
	if pd != nil {
		m.bytes -= pd.bytes()
		m.waiting--
		r.pd = nil
	}
	return pd
}

// put remembers a chunk and returns how many pushes it had to evict: those of the chunks least
// recently seen, or its own where these alone are over the budget. Others then stay.
func (m *memory) put(key uint64, pd *pending) (evicted int) {
	el, ok := m.chunks[key]
	if !ok {
		el = m.order.PushBack(&remembered{key: key})
		m.chunks[key] = el
	}
	m.order.MoveToBack(el)
	r := el.Value.(*remembered)
	m.release(r) // of a chunk with the same bytes, flushed at the same time
	if pd.told.bytes() > toldChunkMax {
		pd.told = nil
	}
	m.keepTold(r, pd.told)
	if pd.bytes() > m.bytesMax {
		return len(pd.pushes) + m.trim()
	}
	r.pd = pd
	m.bytes += pd.bytes()
	m.waiting++
	for e := m.order.Front(); e != nil && m.bytes > m.bytesMax; e = e.Next() {
		if pd := m.release(e.Value.(*remembered)); pd != nil {
			evicted += len(pd.pushes)
		}
	}
	return evicted + m.trim()
}

// keepTold keeps what was told of a chunk, at the cost of those least recently seen.
func (m *memory) keepTold(r *remembered, t *told) {
	m.told += t.bytes() - r.told.bytes()
	r.told = t
	for e := m.order.Front(); e != nil && m.told > toldBytesMax; e = e.Next() {
		r := e.Value.(*remembered)
		m.told -= r.told.bytes()
		r.told = nil
		if r.pd != nil {
			r.pd.told = nil
		}
	}
}

// trim forgets the oldest chunks beyond scoredMax and returns how many pushes they had.
func (m *memory) trim() (evicted int) {
	for m.order.Len() > scoredMax {
		if pd := m.drop(m.order.Front()); pd != nil {
			evicted += len(pd.pushes)
		}
	}
	return evicted
}

// forget is for a chunk that is done: the same bytes coming again are a new chunk.
func (m *memory) forget(key uint64) {
	if el, ok := m.chunks[key]; ok {
		m.drop(el)
	}
}

// drop forgets a chunk and returns its pushes.
func (m *memory) drop(el *list.Element) *pending {
	r := m.order.Remove(el).(*remembered)
	delete(m.chunks, r.key)
	m.told -= r.told.bytes()
	return m.release(r)
}
