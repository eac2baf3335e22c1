// Package sink is a stand-in for Loki's push API where counts must be exact:
// it decodes each push with another decoder than the product's and keeps what
// it got. Faults are injected through Answer.
package sink

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"google.golang.org/protobuf/encoding/protowire"
)

// Entry is one entry as it came.
type Entry struct {
	Tenant, Labels, Line string
	Time                 time.Time
	Metadata             map[string]string
}

// Sink is a server on loopback.
type Sink struct {
	URL string
	// Answer, where set, is asked before a push is kept: a status other than 0 is answered with text,
	// and the push is kept only when keep says so. Called for one request at a time.
	Answer func(r *http.Request, request int) (status int, text string, keep bool)
	// Keep, where set, gets each entry instead of the Sink's own list. Called for one request at a time.
	Keep func(Entry)

	mu       sync.Mutex
	entries  []Entry
	requests int
	bytes    int64
	faults   []error
}

// New starts a Sink that ends with the test.
func New(t testing.TB) *Sink {
	t.Helper()
	s := &Sink{}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

// ServeHTTP takes a push.
func (s *Sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	s.bytes += int64(len(body))
	status, text, keep := 0, "", true
	if s.Answer != nil {
		status, text, keep = s.Answer(r, s.requests)
	}
	if keep {
		if err := s.keep(r, body); err != nil {
			s.faults = append(s.faults, err)
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	if status == 0 {
		status = http.StatusNoContent
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

func (s *Sink) keep(r *http.Request, body []byte) error {
	if r.URL.Path != "/loki/api/v1/push" || r.Header.Get("Content-Type") != "application/x-protobuf" {
		return fmt.Errorf("got %s with Content-Type %q; want a protobuf push", r.URL.Path, r.Header.Get("Content-Type"))
	}
	raw, err := s2.Decode(nil, body)
	if err != nil {
		return fmt.Errorf("cannot decompress a push: %w", err)
	}
	tenant := r.Header.Get("X-Scope-OrgID")
	return fields(raw, func(num protowire.Number, stream []byte) error {
		return s.keepStream(tenant, stream)
	})
}

func (s *Sink) keepStream(tenant string, stream []byte) error {
	e := Entry{Tenant: tenant}
	return fields(stream, func(num protowire.Number, field []byte) error {
		if num == 1 {
			e.Labels = string(field)
			return nil
		}
		entry := e
		if err := decodeEntry(field, &entry); err != nil {
			return err
		}
		if s.Keep != nil {
			s.Keep(entry)
		} else {
			s.entries = append(s.entries, entry)
		}
		return nil
	})
}

func decodeEntry(data []byte, e *Entry) error {
	return fields(data, func(num protowire.Number, field []byte) error {
		switch num {
		case 1:
			var parts [3]int64
			err := numbers(field, func(num protowire.Number, v uint64) { parts[min(num, 2)] = int64(v) })
			e.Time = time.Unix(parts[1], parts[2]).UTC()
			return err
		case 2:
			e.Line = string(field)
		case 3:
			var pair [3]string
			if err := fields(field, func(num protowire.Number, text []byte) error {
				pair[min(num, 2)] = string(text)
				return nil
			}); err != nil {
				return err
			}
			if e.Metadata == nil {
				e.Metadata = map[string]string{}
			}
			e.Metadata[pair[1]] = pair[2]
		}
		return nil
	})
}

// fields visits the length-delimited fields of a message.
func fields(data []byte, visit func(protowire.Number, []byte) error) error {
	for len(data) > 0 {
		num, typ, n := protowire.ConsumeTag(data)
		if n < 0 || typ != protowire.BytesType {
			return fmt.Errorf("got field %d of type %d; want a length-delimited one", num, typ)
		}
		field, m := protowire.ConsumeBytes(data[n:])
		if m < 0 {
			return protowire.ParseError(m)
		}
		if err := visit(num, field); err != nil {
			return err
		}
		data = data[n+m:]
	}
	return nil
}

// numbers visits the varint fields of a message.
func numbers(data []byte, visit func(protowire.Number, uint64)) error {
	for len(data) > 0 {
		num, typ, n := protowire.ConsumeTag(data)
		if n < 0 || typ != protowire.VarintType {
			return fmt.Errorf("got field %d of type %d; want a varint", num, typ)
		}
		v, m := protowire.ConsumeVarint(data[n:])
		if m < 0 {
			return protowire.ParseError(m)
		}
		visit(num, v)
		data = data[n+m:]
	}
	return nil
}

// Entries returns what was kept so far, in the order it came.
func (s *Sink) Entries() []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Entry(nil), s.entries...)
}

// Requests returns how many requests came and the bytes of their bodies.
func (s *Sink) Requests() (n int, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests, s.bytes
}

// Faults returns what was wrong with pushes that could not be read.
func (s *Sink) Faults() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]error(nil), s.faults...)
}
