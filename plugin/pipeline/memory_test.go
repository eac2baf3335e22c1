package pipeline

import (
	"testing"

	"github.com/logscope/logscope/loki"
)

// sized is a chunk's pushes of so many bytes in all.
func sized(bytes int) *pending {
	return &pending{pushes: []loki.Push{{Body: make([]byte, bytes-pendingBytes)}}}
}

// TestChunkOverTheBudgetEvictsNoOther: it cannot stay anyhow, so others need not go for it.
func TestChunkOverTheBudgetEvictsNoOther(t *testing.T) {
	m := newMemory(10_000)
	m.put(1, sized(4000))
	m.put(2, sized(4000))
	if got := m.put(3, sized(20_000)); got != 1 {
		t.Errorf("got %d pushes evicted; want its own", got)
	}
	if m.bytes != 8000 || m.waiting != 2 {
		t.Errorf("got %d bytes of %d chunks; want 8000 of 2", m.bytes, m.waiting)
	}
	if pd, _, seen := m.take(3); pd != nil || !seen {
		t.Errorf("the large one: got %v, seen %v; want nothing but its mark", pd, seen)
	}
	if got := m.put(4, sized(4000)); got != 1 {
		t.Errorf("got %d pushes evicted; want those of the oldest", got)
	}
	if pd, _, _ := m.take(1); pd != nil {
		t.Error("the oldest is still there")
	}
	if pd, _, _ := m.take(2); pd == nil {
		t.Error("the second is gone")
	}
}
