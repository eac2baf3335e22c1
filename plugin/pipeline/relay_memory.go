package pipeline

import (
	"container/list"
	"context"
	"sync"
	"unsafe"

	"github.com/logscope/logscope/engine"
)

const (
	// relayKnownMax bounds the pushes that are remembered after their answer, and as many again that
	// were not accepted yet: some 200 bytes each where nothing was unusual, 13 MB in all.
	relayKnownMax = 1 << 15
)

// relayTold is what was said of a push: with it the same push is made again.
// It is written by the one that scores, before ready is closed.
type relayTold struct {
	ready     chan struct{} // closed when all is said
	now       int64         // what stood for missing times
	timeless  bool
	untagged  bool // nothing else is known of it any more
	marks     []relayMark
	events    []engine.Event
	eventSets []*labelSet
	// dropped has a bit set for each entry that forward leaves out; nil: none.
	dropped []uint64
	records int
}

// relayMark is an entry that does not go as it came: an anomaly, or one that stands for others.
type relayMark struct {
	index, weight int32
	anomalous     bool
	verdict       engine.Verdict
}

// wait waits until it has been said what there is to say.
func (t *relayTold) wait(ctx context.Context) error {
	select {
	case <-t.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// drop notes that forward leaves entry i of n out.
func (t *relayTold) drop(i, n int) {
	if t.dropped == nil {
		t.dropped = make([]uint64, (n+63)/64)
	}
	t.dropped[i/64] |= 1 << (i % 64)
}

func (t *relayTold) isDropped(i int) bool {
	return t.dropped != nil && t.dropped[i/64]&(1<<(i%64)) != 0
}

// clean says that the push goes as it came.
func (t *relayTold) clean() bool { return len(t.marks) == 0 && len(t.events) == 0 && t.dropped == nil }

// bytes is what it costs in memory beside itself.
func (t *relayTold) bytes() (n int64) {
	n = int64(len(t.marks))*int64(unsafe.Sizeof(relayMark{})) + int64(len(t.dropped))*8
	for i := range t.marks {
		n += verdictBytes(&t.marks[i].verdict)
	}
	for i := range t.events {
		n += int64(unsafe.Sizeof(engine.Event{})) + verdictBytes(&t.events[i].Verdict)
	}
	return n
}

func verdictBytes(v *engine.Verdict) int64 {
	return int64(len(v.Template) + len(v.Explanation) + len(v.Expected) + len(v.Observed) + len(v.Session))
}

// relayMemory remembers what was told of pushes: those that Loki has not
// accepted, which will come again, and, as a sender may not have seen the
// answer, the last ones that it has.
type relayMemory struct {
	mu      sync.Mutex
	known   map[uint64]*list.Element // of *relayKnown
	waiting list.List                // not answered for good; least recently seen first
	done    list.List
	// heavy are those of which there was something to tell, the done ones first: oldest first in each.
	heavy [2]list.List // of *relayKnown
	bytes int64        // of what was told
}

type relayKnown struct {
	key   uint64
	told  *relayTold
	bytes int64
	heavy *list.Element // nil: nothing was told
	done  bool
}

func newRelayMemory() *relayMemory {
	return &relayMemory{known: map[uint64]*list.Element{}}
}

// enter returns what was told of a push. first says that it is new: the caller
// fills it in and closes ready.
func (m *relayMemory) enter(key uint64) (told *relayTold, first bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if el := m.known[key]; el != nil {
		k := el.Value.(*relayKnown)
		m.listOf(k).MoveToBack(el)
		return k.told, false
	}
	k := &relayKnown{key: key, told: &relayTold{ready: make(chan struct{})}}
	m.known[key] = m.waiting.PushBack(k)
	if m.waiting.Len() > relayKnownMax {
		m.remove(m.waiting.Front())
	}
	return k.told, true
}

// settle notes what came of a push. final: the sender will not send it again, unless it has not seen
// the answer. A timeless one is then forgotten, as its bytes may come again for other entries.
func (m *relayMemory) settle(key uint64, told *relayTold, final bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	el := m.known[key]
	if el == nil || el.Value.(*relayKnown).told != told {
		return
	}
	if final && told.timeless {
		m.remove(el)
		return
	}
	k := el.Value.(*relayKnown)
	m.lighten(k)
	if final && !k.done {
		m.waiting.Remove(el)
		k.done = true
		m.known[key] = m.done.PushBack(k)
		if m.done.Len() > relayKnownMax {
			m.remove(m.done.Front())
		}
	}
	if k.bytes = told.bytes(); k.bytes > 0 {
		m.bytes += k.bytes
		k.heavy = m.heavyOf(k).PushBack(k)
	}
	m.limit()
}

// limit takes what was told of the oldest pushes away while there is too much: these go untagged if
// they come again, but are still known to be scored.
func (m *relayMemory) limit() {
	for m.bytes > toldBytesMax {
		el := m.heavy[0].Front()
		if el == nil {
			el = m.heavy[1].Front()
		}
		k := el.Value.(*relayKnown)
		m.lighten(k)
		closed := make(chan struct{})
		close(closed)
		k.told = &relayTold{ready: closed, now: k.told.now, timeless: k.told.timeless, records: k.told.records, untagged: true}
	}
}

// lighten takes the bytes of k out of the account.
func (m *relayMemory) lighten(k *relayKnown) {
	if k.heavy == nil {
		return
	}
	m.heavyOf(k).Remove(k.heavy)
	m.bytes -= k.bytes
	k.heavy, k.bytes = nil, 0
}

// heavyOf is the list of heavy that k belongs to.
func (m *relayMemory) heavyOf(k *relayKnown) *list.List {
	if k.done {
		return &m.heavy[0]
	}
	return &m.heavy[1]
}

// forget is for a push that could not be read.
func (m *relayMemory) forget(key uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if el := m.known[key]; el != nil {
		m.remove(el)
	}
}

func (m *relayMemory) remove(el *list.Element) {
	k := el.Value.(*relayKnown)
	m.lighten(k)
	m.listOf(k).Remove(el)
	delete(m.known, k.key)
}

func (m *relayMemory) listOf(k *relayKnown) *list.List {
	if k.done {
		return &m.done
	}
	return &m.waiting
}

// size is how many pushes wait for an answer that is for good.
func (m *relayMemory) size() (pushes int, bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.waiting.Len(), m.bytes
}
