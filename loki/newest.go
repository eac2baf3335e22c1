package loki

import (
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// newestTimes remembers the newest time of each stream that was sent, for as
// many streams as fit, least recently used out first. A stream that was
// forgotten counts as new: its entries are not sent apart until an entry says
// how late they are. It is shared by the batches of an instance.
type newestTimes struct {
	mu  sync.Mutex
	lru *simplelru.LRU[streamKey, *newestTime]
}

// newestTime is one stream's. It also holds the stream's strings, so that a
// known stream costs a batch no copy of them.
type newestTime struct {
	key    streamKey
	newest atomic.Int64
}

func newNewestTimes(streams int) *newestTimes {
	lru, err := simplelru.NewLRU[streamKey, *newestTime](max(streams, 1), nil)
	if err != nil { // only for a size below 1
		panic(err)
	}
	return &newestTimes{lru: lru}
}

func (n *newestTimes) get(key streamKey) *newestTime {
	n.mu.Lock()
	defer n.mu.Unlock()
	if e, ok := n.lru.Get(key); ok {
		return e
	}
	key = streamKey{strings.Clone(key.tenant), strings.Clone(key.labels)}
	e := &newestTime{key: key}
	n.lru.Add(key, e)
	return e
}

// raise sets the newest time to t if t is newer.
func (e *newestTime) raise(t int64) {
	for {
		old := e.newest.Load()
		if t <= old || e.newest.CompareAndSwap(old, t) {
			return
		}
	}
}
