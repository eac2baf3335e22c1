package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"go.uber.org/goleak"

	"github.com/logscope/logscope/loki"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// base is the time of the first entry in these tests.
var base = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// entry is one entry as it reached Loki.
type entry struct {
	Labels, Line string
	TimeNs       int64
	Metadata     map[string]string
}

// upstreamRequest is one request as it reached Loki.
type upstreamRequest struct {
	Header  http.Header
	Query   string
	Body    []byte
	Entries []entry
}

// upstream stands for Loki: it keeps what comes and answers as told.
type upstream struct {
	*httptest.Server
	// answer, where set, answers in place of 204.
	answer func(w http.ResponseWriter, n int)

	mu       sync.Mutex
	requests []upstreamRequest
}

func newUpstream(t testing.TB) *upstream {
	u := &upstream{}
	u.Server = httptest.NewServer(u)
	t.Cleanup(u.Close)
	return u
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.URL.Path != pathPush {
		http.Error(w, fmt.Sprint(r.URL.Path, err), http.StatusTeapot)
		return
	}
	entries := decodeEntries(r.Header, body)
	u.mu.Lock()
	u.requests = append(u.requests, upstreamRequest{r.Header, r.URL.RawQuery, body, entries})
	n, answer := len(u.requests), u.answer
	u.mu.Unlock()
	if answer != nil {
		answer(w, n)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (u *upstream) setAnswer(answer func(w http.ResponseWriter, n int)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.answer = answer
}

func (u *upstream) got() []upstreamRequest {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]upstreamRequest(nil), u.requests...)
}

// entries are those of all requests.
func (u *upstream) entries() (all []entry) {
	for _, r := range u.got() {
		all = append(all, r.Entries...)
	}
	return all
}

// decodeEntries reads a body in either of Loki's formats; nil: it is neither.
func decodeEntries(h http.Header, body []byte) (out []entry) {
	if h.Get("Content-Type") == "application/json" {
		return decodeJSON(h, body)
	}
	raw, err := loki.Decompress(body, 1<<30)
	var d loki.Decoded
	if err != nil || d.Read(raw) != nil {
		return nil
	}
	for i := range d.Streams {
		s := &d.Streams[i]
		for n := s.First; n < s.End; n++ {
			e := entry{Labels: string(s.Labels), Line: string(d.Entries[n].Line), TimeNs: d.Entries[n].TimeNs}
			for _, l := range d.Entries[n].Metadata() {
				if e.Metadata == nil {
					e.Metadata = map[string]string{}
				}
				e.Metadata[l.Name] = l.Value
			}
			out = append(out, e)
		}
	}
	return out
}

func decodeJSON(h http.Header, body []byte) (out []entry) {
	if h.Get("Content-Encoding") == "gzip" {
		if r, err := gzip.NewReader(bytes.NewReader(body)); err == nil {
			body, _ = io.ReadAll(r)
		}
	}
	var push struct {
		Streams []struct {
			Stream map[string]string
			Values [][]any
		}
	}
	if json.Unmarshal(body, &push) != nil {
		return nil
	}
	for _, s := range push.Streams {
		var labels []loki.Label
		for name, value := range s.Stream {
			labels = append(labels, loki.Label{Name: name, Value: value})
		}
		for _, v := range s.Values {
			time, _ := v[0].(string)
			line, _ := v[1].(string)
			ns, _ := strconv.ParseInt(time, 10, 64)
			e := entry{Labels: string(loki.AppendLabelSet(nil, labels)), Line: line, TimeNs: ns}
			if len(v) > 2 {
				e.Metadata = map[string]string{}
				for name, value := range v[2].(map[string]any) {
					e.Metadata[name] = value.(string)
				}
			}
			out = append(out, e)
		}
	}
	return out
}

// rig is a server in front of an upstream.
type rig struct {
	t    testing.TB
	loki *upstream
	*Server
	url string
	log *logBuffer
}

type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func newRig(t testing.TB, change func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t, loki: newUpstream(t), log: &logBuffer{}}
	cfg := DefaultConfig()
	cfg.Listen = "127.0.0.1:0"
	cfg.Pipeline.Loki.URL = r.loki.URL
	if change != nil {
		change(&cfg)
	}
	s, err := New(cfg, slog.New(slog.NewTextHandler(r.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	r.Server = s
	ctx, stop := context.WithCancel(context.Background())
	l, err := s.Listen(ctx)
	if err != nil {
		t.Fatal(err)
	}
	r.url = "http://" + l.Addr().String()
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return r
}

// post sends a request and returns the answer.
func (r *rig) post(path string, body []byte, header ...string) (status int, text string, h http.Header) {
	r.t.Helper()
	req, err := http.NewRequest(http.MethodPost, r.url+path, bytes.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(answer), resp.Header
}

// push sends lines as protobuf, one second apart from base on, into one stream.
func (r *rig) push(labels string, from int, lines []string, header ...string) (status int, text string) {
	r.t.Helper()
	status, text, _ = r.post(pathPush, protoPush(labels, from, lines), append([]string{"Content-Type", "application/x-protobuf"}, header...)...)
	return status, text
}

// protoPush makes a body as senders do.
func protoPush(labels string, from int, lines []string) []byte {
	var p loki.RawPush
	for i, line := range lines {
		p.Stream(labels).Append(at(from+i), []byte(line), nil)
	}
	return loki.Compress(p.AppendTo(nil))
}

// jsonBody makes the same body in Loki's JSON format.
func jsonBody(labels map[string]string, from int, lines []string) []byte {
	values := make([][]any, len(lines))
	for i, line := range lines {
		values[i] = []any{strconv.FormatInt(at(from+i), 10), line}
	}
	body, err := json.Marshal(map[string]any{"streams": []any{map[string]any{"stream": labels, "values": values}}})
	if err != nil {
		panic(err)
	}
	return body
}

func at(n int) int64 { return base.Add(time.Duration(n) * time.Second).UnixNano() }

// normal makes n lines that fall into a few templates.
func normal(n int) []string {
	var out []string
	for i := range n {
		switch i % 3 {
		case 0:
			out = append(out, fmt.Sprintf("request %d served in %d ms", i, 10+i%7))
		case 1:
			out = append(out, fmt.Sprintf("connection from 10.0.0.%d accepted", 1+i%9))
		default:
			out = append(out, fmt.Sprintf("cache hit for key user:%d", i%50))
		}
	}
	return out
}

// odd is a line that is none of them.
const odd = "FATAL out of memory: killed process 4711 (java) total-vm:8G"

func gzipped(body []byte) []byte {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	_, _ = w.Write(body)
	_ = w.Close()
	return buf.Bytes()
}
