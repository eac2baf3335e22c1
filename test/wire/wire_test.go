// Package wire holds the product's encoder, labels and sender against the
// libraries that it does without for their size: Loki's own marshaller and
// unmarshaller, Prometheus' label parser, and loki-client-go's Client.
package wire

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
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
)

// entry is one entry, as the test makes it and as Loki reads it.
type entry struct {
	Labels   string
	Time     time.Time
	Line     string
	Metadata push.LabelsAdapter
}

func randomEntries(r *rand.Rand, n int) []entry {
	streams := []string{`{job="a"}`, `{app="api", job="b", pod="api-1"}`, `{job="c", path="C:\\x\"y\""}`}
	start := time.Now().Add(-time.Minute)
	out := make([]entry, n)
	for i := range out {
		out[i] = entry{
			Labels: streams[r.IntN(len(streams))],
			Time:   start.Add(time.Duration(i) * time.Duration(r.Int64N(1000))).UTC(),
			Line:   randomText(r, []int{0, 1, 20, 127, 128, 5000, 20000}[r.IntN(7)]),
		}
		if r.IntN(8) == 0 {
			out[i].Time = out[i].Time.Truncate(time.Second) // no nanoseconds: the field is left out
		}
		for range r.IntN(4) {
			out[i].Metadata = append(out[i].Metadata, push.LabelAdapter{
				Name: fmt.Sprintf("name_%d", r.IntN(1000)), Value: "v" + randomText(r, r.IntN(300)),
			})
		}
	}
	return out
}

func randomText(r *rand.Rand, n int) string {
	runes := []rune("abc 0123456789 {}\"\\\n\x00äß漢😀")
	var b strings.Builder
	for b.Len() < n {
		b.WriteRune(runes[r.IntN(len(runes))])
	}
	return b.String()
}

func newBatcher(t testing.TB, batchSize int) *own.Batcher {
	t.Helper()
	cfg := own.DefaultConfig()
	cfg.URL = "http://127.0.0.1:1"
	cfg.BatchSize = batchSize
	cfg.KeepRepeats = false // the marshaller moves no time
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	return own.NewBatcher(cfg)
}

func appendEntries(b *own.Batch, entries []entry) {
	for _, e := range entries {
		var meta []own.Label
		for _, m := range e.Metadata {
			meta = append(meta, own.Label{Name: m.Name, Value: m.Value})
		}
		b.Stream("", e.Labels).Append(e.Time.UnixNano(), []byte(e.Line), meta)
	}
}

// marshal is what Loki's own types make of the entries: streams in order of
// appearance.
func marshal(t *testing.T, entries []entry) []byte {
	t.Helper()
	var req push.PushRequest
	for _, e := range entries {
		i := slices.IndexFunc(req.Streams, func(s push.Stream) bool { return s.Labels == e.Labels })
		if i < 0 {
			i = len(req.Streams)
			req.Streams = append(req.Streams, push.Stream{Labels: e.Labels})
		}
		req.Streams[i].Entries = append(req.Streams[i].Entries, push.Entry{Timestamp: e.Time, Line: e.Line, StructuredMetadata: e.Metadata})
	}
	b, err := req.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// unmarshal reads a body as Loki does.
func unmarshal(t *testing.T, body []byte) (out []entry) {
	t.Helper()
	raw, err := snappy.Decode(nil, body)
	if err != nil {
		t.Fatal(err)
	}
	var req push.PushRequest
	if err := proto.Unmarshal(raw, &req); err != nil {
		t.Fatal(err)
	}
	for _, s := range req.Streams {
		for _, e := range s.Entries {
			out = append(out, entry{s.Labels, e.Timestamp, e.Line, e.StructuredMetadata})
		}
	}
	return out
}

func TestPushEqualsLokisMarshaller(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		entries := randomEntries(r, 1+r.IntN(60))
		b := newBatcher(t, 64<<20).NewBatch()
		appendEntries(b, entries)
		pushes := b.Pushes(nil)
		if len(pushes) != 1 {
			t.Fatalf("seed %d: got %d pushes; want 1", seed, len(pushes))
		}
		got, err := snappy.Decode(nil, pushes[0].Body)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if want := marshal(t, entries); !bytes.Equal(got, want) {
			t.Fatalf("seed %d: got %d bytes other than the %d of Loki's marshaller", seed, len(got), len(want))
		}
	}
}

// Cut into small pushes, Loki reads the same entries, each once and in order.
func TestSmallPushesReadByLoki(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	entries := randomEntries(r, 500)
	b := newBatcher(t, 10<<10).NewBatch()
	appendEntries(b, entries)
	got := map[string][]entry{}
	for _, p := range b.Pushes(nil) {
		for _, e := range unmarshal(t, p.Body) {
			got[e.Labels] = append(got[e.Labels], e)
		}
	}
	want := map[string][]entry{}
	for _, e := range entries {
		want[e.Labels] = append(want[e.Labels], e)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func TestLabelsReadByPrometheus(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for range 5000 {
		var in []own.Label
		want := map[string]string{}
		for i := range 1 + r.IntN(5) {
			l := own.Label{Name: fmt.Sprintf("l%d", i), Value: "v" + randomBytes(r)}
			in = append(in, l)
			want[l.Name] = strings.ToValidUTF8(l.Value, "?")
		}
		text := string(own.AppendLabels(nil, in))
		ls, err := parser.ParseMetric(text)
		if err != nil {
			t.Fatalf("Loki could not read %s: %v", text, err)
		}
		if diff := cmp.Diff(want, ls.Map()); diff != "" {
			t.Fatalf("labels of %s (-want +got):\n%s", text, diff)
		}
		// Loki names a stream as its parser writes it: ours is that already.
		if ls.String() != text {
			t.Fatalf("Loki would write %s; we wrote %s", ls, text)
		}
	}
}

func TestHostileLabelNamesReadByPrometheus(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for range 5000 {
		text := string(own.AppendLabels(nil, []own.Label{{Name: randomBytes(r), Value: "a" + randomBytes(r)}, {Name: randomBytes(r), Value: "b"}}))
		if ls, err := parser.ParseMetric(text); err != nil || len(ls) == 0 {
			t.Fatalf("Loki could not read %s: %v", text, err)
		}
	}
}

func randomBytes(r *rand.Rand) string {
	b := make([]byte, r.IntN(12))
	for i := range b {
		b[i] = byte(r.IntN(256))
	}
	return string(b)
}

// recorder keeps what Loki would read.
type recorder struct {
	mu      sync.Mutex
	entries []entry
}

func (rec *recorder) handler(t *testing.T) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.URL.Path != "/loki/api/v1/push" || r.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("bad request: %s %s, %v", r.URL, r.Header, err)
		}
		rec.mu.Lock()
		rec.entries = append(rec.entries, unmarshal(t, body)...)
		rec.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
	}
}

// loki-client-go's Client and ours send the same entries to the same server.
func TestSameAsLokiClient(t *testing.T) {
	const n = 300
	theirs, ours := &recorder{}, &recorder{}
	theirServer := httptest.NewServer(theirs.handler(t))
	defer theirServer.Close()
	ourServer := httptest.NewServer(ours.handler(t))
	defer ourServer.Close()

	cfg, err := loki.NewDefaultConfig(theirServer.URL + "/loki/api/v1/push")
	if err != nil {
		t.Fatal(err)
	}
	client, err := loki.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ourConfig := own.DefaultConfig()
	ourConfig.URL = ourServer.URL
	sender, err := own.NewClient(ourConfig)
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	b := own.NewBatcher(ourConfig).NewBatch()

	start := time.Now().UTC()
	for i := range n {
		at, line := start.Add(time.Duration(i)), fmt.Sprintf("line %d \"quoted\"", i)
		if err := client.HandleWithMetadata(model.LabelSet{"job": "x", "path": `C:\x`}, at, line, push.LabelsAdapter{{Name: "trace_id", Value: "t"}}); err != nil {
			t.Fatal(err)
		}
		labels := own.AppendLabels(nil, []own.Label{{Name: "path", Value: `C:\x`}, {Name: "job", Value: "x"}})
		b.Stream("", string(labels)).Append(at.UnixNano(), []byte(line), []own.Label{{Name: "trace_id", Value: "t"}})
	}
	client.Stop() // sends what it holds
	if left, rep := sender.Deliver(t.Context(), b.Pushes(nil)); left != nil || rep.Accepted != n {
		t.Fatalf("got %d left, %+v", len(left), rep)
	}
	if len(theirs.entries) != n {
		t.Fatalf("loki-client-go sent %d entries; want %d", len(theirs.entries), n)
	}
	if diff := cmp.Diff(theirs.entries, ours.entries); diff != "" {
		t.Errorf("entries (-loki-client-go +ours):\n%s", diff)
	}
}
