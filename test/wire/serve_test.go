package wire

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gogo/protobuf/proto"
	"github.com/golang/snappy"
	"github.com/google/go-cmp/cmp"
	"github.com/grafana/loki-client-go/loki"
	"github.com/grafana/loki/pkg/push"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"

	own "github.com/logscope/logscope/loki"
	"github.com/logscope/logscope/plugin/serve"
)

// plain is an entry as both decoders give it.
type plain struct {
	Labels, Line string
	TimeNs       int64
	Metadata     [][2]string
}

func byLoki(req *push.PushRequest) (out []plain) {
	for _, s := range req.Streams {
		for _, e := range s.Entries {
			p := plain{Labels: s.Labels, Line: e.Line}
			if !e.Timestamp.IsZero() {
				p.TimeNs = e.Timestamp.UnixNano()
			}
			for _, l := range e.StructuredMetadata {
				p.Metadata = append(p.Metadata, [2]string{l.Name, l.Value})
			}
			out = append(out, p)
		}
	}
	return out
}

func byUs(d *own.Decoded) (out []plain) {
	for i := range d.Streams {
		s := &d.Streams[i]
		for n := s.First; n < s.End; n++ {
			e := &d.Entries[n]
			p := plain{Labels: string(s.Labels), Line: string(e.Line), TimeNs: e.TimeNs}
			for _, l := range e.Metadata() {
				p.Metadata = append(p.Metadata, [2]string{l.Name, l.Value})
			}
			out = append(out, p)
		}
	}
	return out
}

// FuzzDecodedLikeLoki: what both read both read alike, and what is written anew of it Loki reads with just what was
// added. Loki's decoder is lax with fields that it does not know (groups that end as another one began): such a push
// we may not read, and it goes on as it came; without them we must.
func FuzzDecodedLikeLoki(f *testing.F) {
	seed := push.PushRequest{Streams: []push.Stream{{Labels: `{a="b"}`, Hash: 7, Entries: []push.Entry{
		{Timestamp: time.Unix(1, 2).UTC(), Line: "x", StructuredMetadata: push.LabelsAdapter{{Name: "n", Value: "v"}}, Parsed: push.LabelsAdapter{{Name: "p", Value: "q"}}},
		{Timestamp: time.Unix(-1, 0).UTC(), Line: ""},
	}}}}
	raw, err := proto.Marshal(&seed)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte("\x0a\x05\x0a\x01{\x0a\x00\x18\x01\x0a\x00"))
	f.Add([]byte("\x0a\x0c\x12\x0a\x12\x01a\x12\x01b\x0a\x02\x08\x01"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var req push.PushRequest
		if err := proto.Unmarshal(raw, &req); err != nil {
			return // we may read more: it goes to Loki as it came
		}
		var d own.Decoded
		want := byLoki(&req)
		if err := d.Read(raw); err != nil {
			known, err := proto.Marshal(&req)
			if err != nil {
				return // a time that Loki reads and cannot write
			}
			if raw = known; d.Read(raw) != nil {
				t.Fatalf("Loki reads %x; we do not: %v", raw, d.Read(raw))
			}
		}
		if inRange(&req) {
			if diff := cmp.Diff(want, byUs(&d)); diff != "" {
				t.Fatalf("%x: %s", raw, diff)
			}
		}
		more := []own.Label{{Name: "logscope_score", Value: "0.9"}}
		var again []byte
		for i := range d.Streams {
			var entries []byte
			for n := d.Streams[i].First; n < d.Streams[i].End; n++ {
				entries = d.Entries[n].AppendEntry(entries, []byte("new"), more)
			}
			again = d.AppendStreamOf(again, i, entries)
		}
		var marked push.PushRequest
		if err := proto.Unmarshal(again, &marked); err != nil {
			t.Fatalf("%x, written anew as %x: %v", raw, again, err)
		}
		for i := range want {
			want[i].Line = "new"
			want[i].Metadata = append(want[i].Metadata, [2]string{"logscope_score", "0.9"})
		}
		if diff := cmp.Diff(want, byLoki(&marked)); diff != "" {
			t.Fatalf("%x, written anew: %s", raw, diff)
		}
	})
}

// inRange says that all times can be told in nanoseconds.
func inRange(req *push.PushRequest) bool {
	for _, s := range req.Streams {
		for _, e := range s.Entries {
			if y := e.Timestamp.Year(); y < 1700 || y > 2200 {
				return false
			}
		}
	}
	return true
}

// FuzzLabelsLikePrometheus: what we read of a label set Prometheus' parser, which Loki uses, reads the same, and what
// is written of it is read back.
func FuzzLabelsLikePrometheus(f *testing.F) {
	for _, text := range []string{`{}`, `{a="b"}`, `{ b = "c\n\"" , a=` + "`x\\`" + `, }`, `{a="b" c="d"}`, `{a='b'}`, `{a="b"}x`, `{__a__="\u00e9"}`, `{a="b",,}`, `{a-b="c"}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := own.ParseLabels(text)
		if !ok {
			return // the set is left as it is
		}
		want, err := parser.ParseMetric(text)
		if err != nil {
			t.Skip() // Loki refuses it, whoever asks
		}
		byName := map[string]string{}
		for _, l := range got {
			if _, twice := byName[l.Name]; twice {
				return // Loki refuses it
			}
			byName[l.Name] = l.Value
		}
		if diff := cmp.Diff(want.Map(), byName); diff != "" {
			t.Fatalf("%q: %s", text, diff)
		}
		again, err := parser.ParseMetric(string(own.AppendLabelSet(nil, got)))
		if err != nil {
			t.Fatalf("%q, written as %s: %v", text, own.AppendLabelSet(nil, got), err)
		}
		if diff := cmp.Diff(want.Map(), again.Map()); diff != "" {
			t.Fatalf("%q, written anew: %s", text, diff)
		}
	})
}

// lokiStandIn reads pushes with Loki's own decoder.
type lokiStandIn struct {
	mu       sync.Mutex
	requests int
	fail     func(request int) bool
	got      []plain
}

func (s *lokiStandIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var req push.PushRequest
	if err == nil {
		body, err = snappy.Decode(nil, body)
	}
	if err == nil {
		err = proto.Unmarshal(body, &req)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
	case s.fail != nil && s.fail(s.requests):
		http.Error(w, "ingester is away", http.StatusServiceUnavailable)
	default:
		s.got = append(s.got, byLoki(&req)...)
		w.WriteHeader(http.StatusNoContent)
	}
}

// TestLokiClientThroughServe: Grafana's own client gets every line through, also when Loki is away now and
// then, and the odd one among them is marked.
func TestLokiClientThroughServe(t *testing.T) {
	standIn := &lokiStandIn{fail: func(n int) bool { return n%3 == 2 }}
	upstream := httptest.NewServer(standIn)
	defer upstream.Close()
	cfg := serve.DefaultConfig()
	cfg.Listen, cfg.Pipeline.Loki.URL = "127.0.0.1:0", upstream.URL
	var log bytes.Buffer
	s, err := serve.New(cfg, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	l, err := s.Listen(ctx)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()

	theirs, err := loki.NewDefaultConfig("http://" + l.Addr().String() + "/loki/api/v1/push")
	if err != nil {
		t.Fatal(err)
	}
	theirs.BatchWait = 10 * time.Millisecond
	theirs.BatchSize = 16 << 10
	theirs.BackoffConfig.MinBackoff, theirs.BackoffConfig.MaxBackoff = time.Millisecond, 10*time.Millisecond
	client, err := loki.New(theirs)
	if err != nil {
		t.Fatal(err)
	}
	const n = 3000
	odd := "FATAL out of memory: killed process 4711 (java)"
	var want []string
	start := time.Now().Add(-n * time.Second)
	for i := range n {
		line := [...]string{
			fmt.Sprintf("request %d served in %d ms", i, 10+i%7), fmt.Sprintf("connection from 10.0.0.%d accepted", 1+i%9),
			fmt.Sprintf("cache hit for key user:%d", i%50),
		}[i%3]
		if i == n-5 {
			line = odd
		}
		want = append(want, line)
		if err := client.Handle(model.LabelSet{"app": "shop", "level": "info"}, start.Add(time.Duration(i)*time.Second), line); err != nil {
			t.Fatal(err)
		}
	}
	client.Stop()
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	slices.SortFunc(standIn.got, func(a, b plain) int { return int(a.TimeNs - b.TimeNs) })
	var got []string
	for _, p := range standIn.got {
		got = append(got, p.Line)
		if marked := len(p.Metadata) > 0; marked != (p.Line == odd) {
			t.Errorf("%q: got marked %v", p.Line, marked)
		} else if !marked && p.Labels != `{app="shop", level="info"}` {
			t.Errorf("%q: got labels %s", p.Line, p.Labels)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines: %s", diff)
	}
	if standIn.requests < 4 {
		t.Errorf("got %d requests: nothing was tried again", standIn.requests)
	}
}
