package pipeline

import (
	"slices"
	"sync"
	"time"

	"github.com/logscope/logscope/engine"
)

// Bounds of what is kept for senders.
const (
	// waitingMax bounds the findings that wait for their senders, waitingEach those of one: some 1 KB each.
	waitingMax, waitingEach = 1000, 100
	// plainSendersMax bounds the senders known to have a Loki, or a tenant of it, without structured metadata.
	plainSendersMax = 1000
	// fleetReach is how far back a finding about the fleet looks, and some more.
	fleetReach = int64(10 * time.Minute)
)

// sender is who a push is of: what it goes out with, tenant and credentials.
type sender struct{ tenant, owner string }

// waitingEvent is a finding that waits for the next push of its sender.
type waitingEvent struct {
	of    sender
	event engine.Event
	set   *labelSet
}

// relaySenders is what a Relay knows of its senders.
type relaySenders struct {
	mu      sync.Mutex
	first   sender
	any     bool // first is set
	several bool // others than first came
	waiting []waitingEvent
	dropped uint64 // findings that no push took along
	// plain is until when a sender is spared structured metadata, in Unix nanoseconds.
	plain map[sender]int64
}

// note takes note of a sender. It comes before its lines are scored.
func (s *relaySenders) note(who sender) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.any {
		s.first, s.any = who, true
	}
	s.several = s.several || who != s.first
}

// alone says that there was one sender only.
func (s *relaySenders) alone() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.several
}

// keep keeps a finding until its sender's next push. The oldest goes where there are too many.
func (s *relaySenders) keep(who sender, e engine.Event, set *labelSet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	oldest, own := 0, 0
	for i := len(s.waiting) - 1; i >= 0; i-- {
		if s.waiting[i].of == who {
			own++
			oldest = i
		}
	}
	switch {
	case own >= waitingEach:
		s.waiting = slices.Delete(s.waiting, oldest, oldest+1)
		s.dropped++
	case len(s.waiting) >= waitingMax:
		s.waiting = slices.Delete(s.waiting, 0, 1)
		s.dropped++
	}
	s.waiting = append(s.waiting, waitingEvent{who, e, set})
}

// take returns what waits for a sender.
func (s *relaySenders) take(who sender) (taken []waitingEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = slices.DeleteFunc(s.waiting, func(w waitingEvent) bool {
		if w.of == who {
			taken = append(taken, w)
		}
		return w.of == who
	})
	return taken
}

// drop counts a finding whose sender is not known any more.
func (s *relaySenders) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropped++
}

// lost is how many findings no push took along.
func (s *relaySenders) lost() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropped
}

// isPlain says that a sender is spared structured metadata now.
func (s *relaySenders) isPlain(who sender, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return now.UnixNano() < s.plain[who]
}

// setPlain spares a sender structured metadata for plainFor. Where there are
// too many such, the one whose time ends first is tried again.
func (s *relaySenders) setPlain(who sender, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.plain == nil {
		s.plain = map[sender]int64{}
	}
	if _, known := s.plain[who]; !known && len(s.plain) >= plainSendersMax {
		soonest := who
		for other, until := range s.plain {
			if soonest == who || until < s.plain[soonest] {
				soonest = other
			}
		}
		delete(s.plain, soonest)
	}
	s.plain[who] = now.Add(plainFor).UnixNano()
}
