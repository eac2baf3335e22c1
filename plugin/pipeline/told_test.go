package pipeline

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"

	"github.com/logscope/logscope/engine"
	"github.com/logscope/logscope/loki"
	"github.com/logscope/logscope/plugin/chunk"
)

// bodies is a server that keeps the bodies of requests, and takes none while it is down.
type bodies struct {
	mu   sync.Mutex
	down bool
	all  [][]byte
}

func (s *bodies) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, body)
	switch {
	case err != nil:
		w.WriteHeader(http.StatusBadRequest)
	case s.down:
		// Not a 5xx: after two of these the others of the chunk would not be tried.
		http.Error(w, "slow down", http.StatusTooManyRequests)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// take returns the bodies since the last call, each once, and says what comes now.
func (s *bodies) take(down bool) [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.all
	s.all, s.down = nil, down
	slices.SortFunc(all, bytes.Compare)
	return slices.CompactFunc(all, bytes.Equal)
}

// odd makes a chunk of n records, every after the one before. Calm, it has a heartbeat each 60; else that
// goes missing, which is an event, and a few lines are odd, some of them again and again.
func odd(n int, at time.Time, every time.Duration, calm bool) []byte {
	var w chunk.Writer
	for i := range n {
		line := fmt.Sprintf("request %d served in %d ms", i, 10+i%7)
		switch {
		case i%60 == 0 && calm:
			line = "heartbeat ok"
		case i%1000 == 777 && !calm:
			line = fmt.Sprintf("FATAL kernel panic number %d in block device driver %d", i%3, i/1000)
		case i%3 == 1:
			line = fmt.Sprintf("connection from 10.0.0.%d accepted", 1+i%9)
		}
		w.AppendLine(at.Add(time.Duration(i)*every).UnixNano(), "log", line)
	}
	return w.Buf
}

// TestEvictedChunkIsEncodedTheSame: with retry_buffer full, a chunk makes the same pushes again,
// whatever the engine and the batcher have seen since.
func TestEvictedChunkIsEncodedTheSame(t *testing.T) {
	for _, forward := range []Forward{ForwardAll, ForwardAnomalies, ForwardSampled} {
		t.Run(fmt.Sprint(forward), func(t *testing.T) {
			s := &bodies{}
			server := httptest.NewServer(s)
			defer server.Close()
			cfg := DefaultConfig()
			cfg.Loki.URL = server.URL
			cfg.Loki.Backoff.MaxRetries = 1
			cfg.RetryBufferBytes = 0
			cfg.Forward = forward
			p, err := New(cfg, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			begin := time.Now().Add(-14 * time.Hour)
			at := begin
			flush := func(data []byte, want Code) {
				t.Helper()
				if got := p.Flush("app", data); got != want {
					t.Fatalf("got %v; want %v", got, want)
				}
			}
			flush(odd(20_000, at, time.Second, true), OK)
			at = at.Add(20_000 * time.Second)
			s.take(true)
			before := p.Stats()
			data := odd(20_000, at, time.Second, false) // more than one block
			flush(data, Retry)
			first := s.take(false)
			after := p.Stats()
			if a, e := sum(after.Anomalies)-sum(before.Anomalies), sum(after.Events)-sum(before.Events); a == 0 || e == 0 {
				t.Fatalf("got %d anomalies and %d events; want some, or this shows nothing", a, e)
			}

			flush(odd(500, at.Add(8*time.Hour), time.Second, true), OK) // the same stream is far ahead now
			s.take(true)
			flush(data, Retry)
			again := s.take(false)
			if !slices.EqualFunc(first, again, bytes.Equal) {
				t.Errorf("got %d other pushes; want the %d of before", len(again), len(first))
			}
			flush(data, OK)
			if third := s.take(false); !slices.EqualFunc(first, third, bytes.Equal) {
				t.Errorf("the third time: got %d other pushes; want the %d of before", len(third), len(first))
			}
			if n := p.Stats().Untagged; n != 0 {
				t.Errorf("got %d chunks untagged; want none", n)
			}
		})
	}
}

func sum(counts [codesMax]uint64) (n uint64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// TestChunkWhoseVerdictsAreGoneIsNotTagged: another verdict would be another stream.
func TestChunkWhoseVerdictsAreGoneIsNotTagged(t *testing.T) {
	s := &bodies{}
	server := httptest.NewServer(s)
	defer server.Close()
	cfg := DefaultConfig()
	cfg.Loki.URL = server.URL
	cfg.Loki.Backoff.MaxRetries = 1
	cfg.RetryBufferBytes = 0
	p, err := New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	at := time.Now().Add(-12 * time.Hour)
	p.Flush("app", odd(10_000, at, time.Second, true))
	s.take(true)
	data := odd(10_000, at.Add(10_000*time.Second), time.Second, false)
	p.Flush("app", data)
	if first := s.take(false); !tagged(t, first) {
		t.Fatal("got no tag the first time; this shows nothing")
	}
	for el := p.memory.order.Front(); el != nil; el = el.Next() {
		el.Value.(*remembered).told = nil
	}
	for _, down := range []bool{true, true, false} {
		want := OK
		if down {
			want = Retry
		}
		s.take(down)
		if got := p.Flush("app", data); got != want || tagged(t, s.take(false)) {
			t.Errorf("got %v and perhaps tags; want %v and none", got, want)
		}
	}
	if n := p.Stats().Untagged; n != 1 {
		t.Errorf("got %d chunks untagged; want 1", n)
	}
}

func tagged(t *testing.T, bodies [][]byte) bool {
	t.Helper()
	for _, b := range bodies {
		raw, err := s2.Decode(nil, b)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(raw), `anomaly="true"`) {
			return true
		}
	}
	return false
}

// TestToldIsBounded: in all, by chunk, and where the pushes of its chunk stay.
func TestToldIsBounded(t *testing.T) {
	m := newMemory(1 << 40)
	of := func(anomalies int) *pending {
		w := &work{verdicts: make([]engine.Verdict, anomalies)}
		for i := range w.verdicts {
			w.verdicts[i] = engine.Verdict{Anomaly: true, Explanation: strings.Repeat("x", 900)}
		}
		pd := &pending{told: &told{}, pushes: []loki.Push{{Body: []byte("x")}}}
		pd.told.add(w)
		return pd
	}
	for key := range uint64(100) {
		m.put(key, of(500))
	}
	held := int64(0)
	for el := m.order.Front(); el != nil; el = el.Next() {
		r := el.Value.(*remembered)
		held += r.told.bytes()
		if r.told != r.pd.told {
			t.Fatalf("chunk %d: what was told is held twice, or by its pushes only", r.key)
		}
	}
	if held != m.told || held > toldBytesMax || held < toldBytesMax/2 {
		t.Errorf("got %d bytes held, %d counted; want the same, and up to %d", held, m.told, toldBytesMax)
	}
	m.put(1000, of(5000))
	if m.chunks[1000].Value.(*remembered).told != nil || m.told != held {
		t.Error("one chunk took more than its part")
	}
	for key := range m.chunks {
		m.forget(key)
	}
	if m.told != 0 || m.bytes != 0 {
		t.Errorf("got %d and %d bytes left; want none", m.told, m.bytes)
	}
}
