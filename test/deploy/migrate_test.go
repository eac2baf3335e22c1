package deploy

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/klauspost/compress/gzip"
)

// jsonLoki takes what Fluent Bit's own loki output sends: pushes in JSON.
type jsonLoki struct {
	mu    sync.Mutex
	lines map[string][]string // by stream: line and metadata
	n     int
	came  chan struct{}
	fault error
}

func (l *jsonLoki) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.take(r); err != nil {
		l.fault = err
	}
	select {
	case l.came <- struct{}{}:
	default:
	}
	w.WriteHeader(http.StatusNoContent)
}

func (l *jsonLoki) take(r *http.Request) error {
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzip, err := gzip.NewReader(body)
		if err != nil {
			return err
		}
		body = unzip
	}
	var push struct {
		Streams []struct {
			Stream map[string]string
			Values [][]json.RawMessage
		}
	}
	if err := json.NewDecoder(body).Decode(&push); err != nil {
		return fmt.Errorf("cannot read a push: %w", err)
	}
	for _, stream := range push.Streams {
		labels := labelText(stream.Stream)
		for _, value := range stream.Values {
			var line string
			metadata := map[string]string{}
			if err := json.Unmarshal(value[1], &line); err != nil {
				return err
			}
			if len(value) > 2 {
				if err := json.Unmarshal(value[2], &metadata); err != nil {
					return err
				}
			}
			l.lines[labels] = append(l.lines[labels], line+" "+labelText(metadata))
			l.n++
		}
	}
	return nil
}

// labelText writes labels as LogQL does, sorted.
func labelText(labels map[string]string) string {
	var pairs []string
	for name, value := range labels {
		pairs = append(pairs, fmt.Sprintf("%s=%q", name, value))
	}
	slices.Sort(pairs)
	return "{" + strings.Join(pairs, ", ") + "}"
}

// TestFromLoki ships the same records through the output of docs/migrating.md that one comes from and the one that one
// goes to: streams, lines and metadata are the same.
func TestFromLoki(t *testing.T) {
	var from, to string
	for _, f := range fences(t, "migrating.md") {
		if f.heading == "From `loki`" && f.lang == "conf" && from == "" {
			from = f.text
		} else if f.heading == "From `loki`" && f.lang == "conf" {
			to = f.text
		}
	}
	const n = 2000
	var records strings.Builder
	for i := range n {
		fmt.Fprintf(&records, `{"log":"request %d took %d ms \"quoted\" é","service":"svc-%d","level":%q,"trace":"t%d","host":"h","n":%d}`+"\n",
			i, 10+i%7, i%3, []string{"info", "warn"}[i%2], i, i)
	}
	old := &jsonLoki{lines: map[string][]string{}, came: make(chan struct{}, 1)}
	server := httptest.NewServer(old)
	defer server.Close()
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	b, l := newBit(t), newLoki(t)
	ca := b.dir + "/ca.pem"
	write(t, ca, certificate(t))
	write(t, b.dir+"/in.json", records.String())
	text := fmt.Sprintf("[SERVICE]\n    flush 1\n    json.escape_unicode off\n    parsers_file parsers.conf\n    coro_stack_size 196608\n    storage.path %s/chunks\n[INPUT]\n    name tail\n    tag x\n    path %s/in.json\n    read_from_head on\n    parser json\n    buffer_max_size 1M\n    storage.type filesystem\n%s%s", b.dir, b.dir,
		strings.NewReplacer("loki.example.com", at.Hostname(), "443", at.Port(), "tls                    on", "tls                    off", "/etc/ssl/loki-ca.pem", ca).Replace(from),
		strings.NewReplacer("https://loki.example.com:443", l.URL, "/etc/ssl/loki-ca.pem", ca).Replace(to))
	var port int
	if _, err := fmt.Sscan(at.Port(), &port); err != nil {
		t.Fatal(err)
	}
	b.ports[at.Port()] = port
	p := b.start(t, "x.conf", map[string]string{"x.conf": text, "parsers.conf": "[PARSER]\n    name json\n    format json\n"}, "LOKI_PASSWORD=secret")
	got := l.wait(t, n, p)
	for seen := 0; seen < n; {
		select {
		case <-old.came:
			old.mu.Lock()
			seen = old.n
			if old.fault != nil {
				t.Fatal(old.fault)
			}
			old.mu.Unlock()
		case <-t.Context().Done():
			t.Fatal(p.Log())
		}
	}
	stop(t, p)
	lines := map[string][]string{}
	for _, e := range got {
		metadata := map[string]string{}
		for name, value := range e.Metadata {
			if !strings.HasPrefix(name, "logscope_") {
				metadata[name] = value
			}
		}
		if e.Tenant != "shop" {
			t.Fatalf("got the tenant %q; want shop", e.Tenant)
		}
		lines[withoutVerdict(e.Labels)] = append(lines[withoutVerdict(e.Labels)], e.Line+" "+labelText(metadata))
	}
	if diff := cmp.Diff(old.lines, lines, sorted()); diff != "" {
		t.Errorf("logscope sends other entries than loki (-loki +logscope):\n%s", head(diff))
	}
}
