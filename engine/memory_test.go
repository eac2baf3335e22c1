package engine

import (
	"fmt"
	"runtime"
	"testing"
)

// TestMemoryAccount compares what the engine says that it has learned with what the heap grew by,
// less what it works with: the room for a block.
func TestMemoryAccount(t *testing.T) {
	heap := func() int64 {
		runtime.GC()
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return int64(s.HeapAlloc)
	}
	many := func(streams int) (recs []Record) {
		for i := range 40_000 {
			r := i / streams
			recs = append(recs, Record{Stream: fmt.Sprint("stream ", i%streams), Time: epoch + int64(i)*1e9,
				Line: fmt.Appendf(nil, "INFO %s-%d moved %d of %d bytes in %d ms by order ord-%d", []string{"alpha", "beta", "gamma"}[r%3], r%40, r*7919%100_000, r*31%9999, r%50, r/4)})
		}
		return recs
	}
	for what, recs := range map[string][]Record{
		"sessions, requests, numbers": mixed(60_000), "one stream": many(1), "40 streams": many(40),
	} {
		before := heap()
		e := newEngine(t)
		for at := 0; at < len(recs); at += 2000 {
			e.Score(nil, recs[at:min(at+2000, len(recs))])
			e.Events(nil)
		}
		got, want := e.Stats().MemoryBytes, heap()-before-100<<10
		t.Logf("%s: %d bytes by its account, %d in the heap", what, got, want)
		if slack := want/5 + 64<<10; got < want-slack || got > want+slack {
			t.Errorf("%s: got %d bytes; the heap grew by %d", what, got, want)
		}
		runtime.KeepAlive(recs)
		runtime.KeepAlive(e)
	}
}
