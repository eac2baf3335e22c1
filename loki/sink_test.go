package loki

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// entry is a decoded log entry.
type entry struct {
	Tenant, Labels string
	TimeNs         int64
	Line           string
	Metadata       []Label
}

// decodeEntries decodes a body into entries.
func decodeEntries(t testing.TB, tenant string, body []byte) []entry {
	t.Helper()
	streams, err := decodePush(body)
	if err != nil {
		t.Fatalf("cannot decode push: %v", err)
	}
	var out []entry
	for _, s := range streams {
		for _, field := range s.entries {
			_, msg, _, _, _ := cutField(field)
			out = append(out, decodeEntry(t, entry{Tenant: tenant, Labels: string(s.labels)}, msg))
		}
	}
	return out
}

func decodeEntry(t testing.TB, e entry, msg []byte) entry {
	t.Helper()
	for len(msg) > 0 {
		tag, val, _, rest, ok := cutField(msg)
		if !ok {
			t.Fatalf("bad entry %x", msg)
		}
		switch tag {
		case tagTimestamp:
			e.TimeNs = decodeTimestamp(val)
		case tagLine:
			e.Line = string(val)
		case tagMetadata:
			var l Label
			for len(val) > 0 {
				tag, v, _, rest, _ := cutField(val)
				if tag == tagName {
					l.Name = string(v)
				} else {
					l.Value = string(v)
				}
				val = rest
			}
			e.Metadata = append(e.Metadata, l)
		}
		msg = rest
	}
	return e
}

func decodeTimestamp(val []byte) int64 {
	var seconds, nanos int64
	for len(val) > 0 {
		v, n := binary.Uvarint(val[1:])
		if val[0] == tagSeconds {
			seconds = int64(v)
		} else {
			nanos = int64(v)
		}
		val = val[1+n:]
	}
	return seconds*1e9 + nanos
}

// reply is what the sink does with one request.
type reply struct {
	status  int // 0: 204
	body    string
	header  map[string]string
	store   bool // keep the entries whatever the status
	hang    bool // never answer
	abort   bool // cut the connection
	halfway bool // cut the connection in the middle of the answer's body
}

// sink is a server in Loki's place. What it answers is decided by script, for
// each request by its number (from 0) and entries.
type sink struct {
	*httptest.Server
	script func(n int, entries []entry) reply

	mu       sync.Mutex
	bodies   []string
	requests []*http.Request
	stored   []entry
}

func newSink(t testing.TB, script func(n int, entries []entry) reply) *sink {
	s := &sink{script: script}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve(t)))
	t.Cleanup(s.Close)
	return s
}

func (s *sink) serve(t testing.TB) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("cannot read request: %v", err)
		}
		entries := decodeEntries(t, r.Header.Get("X-Scope-OrgID"), body)
		s.mu.Lock()
		n := len(s.bodies)
		s.bodies = append(s.bodies, string(body))
		s.requests = append(s.requests, r)
		re := s.script(n, entries)
		if re.status == 0 || re.store {
			if !re.abort || re.store {
				s.stored = append(s.stored, entries...)
			}
		}
		s.mu.Unlock()
		s.reply(w, r, re)
	}
}

func (s *sink) reply(w http.ResponseWriter, r *http.Request, re reply) {
	switch {
	case re.hang:
		<-r.Context().Done()
		return
	case re.abort:
		panic(http.ErrAbortHandler)
	}
	for k, v := range re.header {
		w.Header().Set(k, v)
	}
	if re.status == 0 {
		re.status = 204
	}
	if re.halfway {
		w.Header().Set("Content-Length", "1000")
	}
	w.WriteHeader(re.status)
	io.WriteString(w, re.body)
	if re.halfway {
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

func (s *sink) lines() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := map[string]int{}
	for _, e := range s.stored {
		m[e.Line]++
	}
	return m
}

// newTestClient returns a client whose waits end at once and are recorded.
func newTestClient(t testing.TB, url string, change func(*Config)) (*Client, *[]time.Duration) {
	t.Helper()
	cfg := DefaultConfig()
	cfg.URL = url
	if change != nil {
		change(&cfg)
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	c, err := NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	var waits []time.Duration
	c.wait = func(_ context.Context, d time.Duration) { waits = append(waits, d) }
	return c, &waits
}

var testNow = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func newTestBatcher(change func(*Config)) *Batcher {
	cfg := DefaultConfig()
	cfg.URL = "http://127.0.0.1:1"
	if change != nil {
		change(&cfg)
	}
	b := NewBatcher(cfg)
	b.now = func() time.Time { return testNow }
	return b
}

// makePush returns one push of n entries in each stream, with lines "<labels> <i>".
func makePush(t testing.TB, n int, labels ...string) Push {
	t.Helper()
	batch := newTestBatcher(func(c *Config) { c.BatchSize = 64 << 20 }).NewBatch()
	for i := range n {
		for _, l := range labels {
			batch.Stream("", l).Append(testNow.UnixNano()+int64(i), fmt.Appendf(nil, "%s %d", l, i), nil)
		}
	}
	pushes := batch.Pushes(nil)
	if len(pushes) != 1 {
		t.Fatalf("got %d pushes; want 1", len(pushes))
	}
	return pushes[0]
}

func wantOnce(t testing.TB, s *sink, labels string, from, to int) {
	t.Helper()
	lines := s.lines()
	for i := from; i < to; i++ {
		line := fmt.Sprintf("%s %d", labels, i)
		if lines[line] != 1 {
			t.Fatalf("line %q stored %d times; want 1", line, lines[line])
		}
	}
}

func asError(t testing.TB, err error) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got error %v; want an *Error", err)
	}
	return e
}
