package serve

import (
	"bytes"
	"cmp"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/logscope/logscope/loki"
)

// TestNormalPushesGoAsTheyCame, byte for byte, whatever the format.
func TestNormalPushesGoAsTheyCame(t *testing.T) {
	r := newRig(t, nil)
	proto := protoPush(`{job="app"}`, 0, normal(90))
	json := jsonBody(map[string]string{"job": "app"}, 100, normal(90))
	for _, test := range []struct {
		body            []byte
		mime, encoding  string
		wantMime, wantE string
	}{
		{proto, "application/x-protobuf", "", "application/x-protobuf", ""},
		{proto, "application/x-protobuf", "snappy", "application/x-protobuf", "snappy"},
		{json, "application/json", "", "application/json", ""},
		{gzipped(json), "application/json; charset=utf-8", "gzip", "application/json; charset=utf-8", "gzip"},
		{gzipped(json), "application/json", "X-Gzip", "application/json", "gzip"},
		{json, "application/json", "identity", "application/json", ""},
	} {
		before := len(r.loki.got())
		status, text, _ := r.post(pathPush+"?x=1", test.body, "Content-Type", test.mime, "Content-Encoding", test.encoding, "X-Api-Key", "k")
		if status != http.StatusNoContent || text != "" {
			t.Fatalf("%s %s: got %d %q; want 204", test.mime, test.encoding, status, text)
		}
		got := r.loki.got()[before]
		if !bytes.Equal(got.Body, test.body) {
			t.Errorf("%s %s: the body was changed", test.mime, test.encoding)
		}
		if h := got.Header; h.Get("Content-Type") != test.wantMime || h.Get("Content-Encoding") != test.wantE || h.Get("X-Api-Key") != "k" {
			t.Errorf("%s %s: got header %v", test.mime, test.encoding, h)
		}
		if got.Query != "x=1" {
			t.Errorf("got query %q; want x=1", got.Query)
		}
	}
}

// TestAnomaliesAreMarked and nothing else is changed.
func TestAnomaliesAreMarked(t *testing.T) {
	const labels = `{app="shop", level="info", namespace="prod"}`
	set := map[string]string{"app": "shop", "level": "info", "namespace": "prod"}
	for _, format := range []string{"protobuf", "json", "json gzip", "json zlib", "json zstd"} {
		t.Run(format, func(t *testing.T) {
			r := newRig(t, nil)
			if status, text := r.push(labels, 0, normal(900)); status != http.StatusNoContent {
				t.Fatal(status, text)
			}
			lines := append(normal(20), odd)
			lines = append(lines, normal(20)...)
			mime, body := "application/json", jsonBody(set, 900, lines)
			encoding := strings.TrimPrefix(strings.TrimPrefix(format, "json"), " ")
			if format == "protobuf" {
				mime, encoding, body = "application/x-protobuf", "", protoPush(labels, 900, lines)
			}
			if status, text, _ := r.post(pathPush, encode(t, encoding, body), "Content-Type", mime, "Content-Encoding", encoding); status != http.StatusNoContent {
				t.Fatal(status, text)
			}
			got := r.loki.got()[1].Entries
			slices.SortStableFunc(got, func(a, b entry) int { return cmp.Compare(a.TimeNs, b.TimeNs) })
			var marked []entry
			for i, e := range got {
				if e.Line != lines[i] || e.TimeNs != at(900+i) {
					t.Errorf("entry %d: got %q at %d; want %q at %d", i, e.Line, e.TimeNs, lines[i], at(900+i))
				}
				if e.Labels != labels {
					marked = append(marked, e)
				} else if len(e.Metadata) > 0 {
					t.Errorf("a normal entry has metadata: %v", e)
				}
			}
			if len(got) != len(lines) || len(marked) != 1 || marked[0].Line != odd {
				t.Fatalf("got %d entries, marked %v; want %d, only the odd one marked", len(got), marked, len(lines))
			}
			e := marked[0]
			if want := `{anomaly="true", app="shop", level="info", namespace="prod", reason="novelty", score_bucket="0.`; !strings.HasPrefix(e.Labels, want) {
				t.Errorf("got labels %s; want %s...", e.Labels, want)
			}
			for _, name := range []string{"logscope_score", "logscope_template_id", "logscope_template", "logscope_explanation"} {
				if e.Metadata[name] == "" {
					t.Errorf("got metadata %v; want %s in it", e.Metadata, name)
				}
			}
		})
	}
}

// TestAnswersAreLokis, with status, text and Retry-After, whatever they are.
func TestAnswersAreLokis(t *testing.T) {
	r := newRig(t, nil)
	for i, test := range []struct {
		status      int
		text, after string
		wantStatus  int
		want        string
	}{
		{204, "", "", 204, ""},
		{200, "", "", 200, ""},
		{260, "blocked by policy", "", 260, "blocked by policy"},
		{400, "entry with timestamp 2020 ignored, reason: 'entry too far behind'", "", 400, "entry with timestamp 2020 ignored, reason: 'entry too far behind'"},
		{401, "no org id", "", 401, "no org id"},
		{413, "request body too large", "", 413, "request body too large"},
		{429, "Ingestion rate limit exceeded", "7", 429, "Ingestion rate limit exceeded"},
		{500, "at least 2 live replicas required", "", 500, "at least 2 live replicas required"},
		{503, "circuit breaker open", "2", 503, "circuit breaker open"},
		{302, "", "", 502, "logscope: Loki's address redirects to another: set url to that one\n"},
	} {
		r.loki.setAnswer(func(w http.ResponseWriter, _ int) {
			if test.after != "" {
				w.Header().Set("Retry-After", test.after)
			}
			if test.status == 302 {
				w.Header().Set("Location", "http://elsewhere/")
			}
			w.WriteHeader(test.status)
			_, _ = fmt.Fprint(w, test.text)
		})
		status, text, h := r.post(pathPush, protoPush(`{job="a"}`, i, []string{"hello"}), "Content-Type", "application/x-protobuf")
		if status != test.wantStatus || text != test.want || h.Get("Retry-After") != test.after {
			t.Errorf("Loki's %d: got %d %q, Retry-After %q; want %d %q, %q", test.status, status, text, h.Get("Retry-After"), test.wantStatus, test.want, test.after)
		}
	}
}

// TestNoAnswer: what senders try again.
func TestNoAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := "http://" + l.Addr().String()
	_ = l.Close()
	r := newRig(t, func(c *Config) { c.Pipeline.Loki.URL = refused })
	if status, text := r.push(`{job="a"}`, 0, normal(3)); status != http.StatusBadGateway || !strings.Contains(text, "cannot reach Loki") {
		t.Errorf("refused: got %d %q; want 502", status, text)
	}
	release := make(chan struct{})
	r = newRig(t, func(c *Config) { c.Pipeline.FlushTimeout = 50 * time.Millisecond })
	r.loki.setAnswer(func(http.ResponseWriter, int) { <-release })
	if status, text := r.push(`{job="a"}`, 0, normal(3)); status != http.StatusGatewayTimeout || !strings.Contains(text, "within 50ms") {
		t.Errorf("hanging: got %d %q; want 504", status, text)
	}
	close(release)
}

// TestResentPushIsScoredOnceAndSentTheSame.
func TestResentPushIsScoredOnceAndSentTheSame(t *testing.T) {
	r := newRig(t, nil)
	if status, text := r.push(`{job="a"}`, 0, normal(900)); status != http.StatusNoContent {
		t.Fatal(status, text)
	}
	lines := append(normal(30), odd, odd+" again")
	r.loki.setAnswer(func(w http.ResponseWriter, n int) {
		if n < 5 {
			http.Error(w, "ingester is away", http.StatusServiceUnavailable)
		}
	})
	for i, want := range []int{503, 503, 503, 200, 200} { // the last time as if the answer was lost
		if status, text := r.push(`{job="a"}`, 900, lines); status != want {
			t.Fatalf("attempt %d: got %d %q; want %d", i, status, text, want)
		}
	}
	got := r.loki.got()
	for i := 2; i < len(got); i++ {
		if !bytes.Equal(got[i].Body, got[1].Body) {
			t.Errorf("attempt %d was not sent byte for byte the same", i)
		}
	}
	if bytes.Equal(got[1].Body, protoPush(`{job="a"}`, 900, lines)) {
		t.Error("nothing was marked: the test shows nothing")
	}
	s := r.Relay().Stats()
	if want := uint64(900 + len(lines)); s.Records != want || s.Engine.Records != want || s.Redelivered != 4 {
		t.Errorf("got %d records, %d scored, %d redelivered; want %d, %d, 4", s.Records, s.Engine.Records, s.Redelivered, want, want)
	}
}

// TestTenantsHaveModelsOfTheirOwn, and their header goes on.
func TestTenantsHaveModelsOfTheirOwn(t *testing.T) {
	r := newRig(t, nil)
	for i, tenant := range []string{"a", "b"} {
		if status, text := r.push(`{job="app"}`, i, normal(900), "X-Scope-OrgID", tenant); status != http.StatusNoContent {
			t.Fatal(status, text)
		}
		if got := r.loki.got()[i].Header.Get("X-Scope-OrgID"); got != tenant {
			t.Errorf("got tenant %q; want %q", got, tenant)
		}
	}
	if got := r.Relay().Stats().Engine.Models; got != 2 {
		t.Errorf("got %d models; want 2", got)
	}
}

// TestUnreadablePushGoesToLoki, whose word on it counts.
func TestUnreadablePushGoesToLoki(t *testing.T) {
	r := newRig(t, nil)
	r.loki.setAnswer(func(w http.ResponseWriter, _ int) { http.Error(w, "Loki's own words", http.StatusBadRequest) })
	for name, test := range map[string]struct{ mime, body string }{
		"no JSON":     {"application/json", `{"streams": [`},
		"number":      {"application/json", `{"streams": [{"stream": {}, "values": [[1, "x"]]}]}`},
		"no protobuf": {"application/x-protobuf", string(loki.Compress([]byte("\x0a\x7fx")))},
	} {
		before := len(r.loki.got())
		status, text, _ := r.post(pathPush, []byte(test.body), "Content-Type", test.mime)
		if status != http.StatusBadRequest || text != "Loki's own words\n" {
			t.Errorf("%s: got %d %q; want Loki's answer", name, status, text)
		}
		if got := r.loki.got(); len(got) != before+1 || string(got[before].Body) != test.body {
			t.Errorf("%s: got %d requests; want the body as it came", name, len(got)-before)
		}
	}
}

// TestLokiWithoutStructuredMetadata gets the lines with labels alone.
func TestLokiWithoutStructuredMetadata(t *testing.T) {
	r := newRig(t, nil)
	streams := []string{`{job="a"}`, `{job="b"}`}
	for _, labels := range streams {
		if status, text := r.push(labels, 0, normal(900)); status != http.StatusNoContent {
			t.Fatal(status, text)
		}
	}
	r.loki.setAnswer(func(w http.ResponseWriter, n int) {
		if n == 3 {
			http.Error(w, "stream '{job=\"a\"}' includes structured metadata, but this feature is disallowed. Please see `limits_config.allow_structured_metadata` or contact your Loki administrator to enable it", http.StatusBadRequest)
		}
	})
	for _, labels := range streams {
		if status, text := r.push(labels, 900, []string{odd}); status != http.StatusOK {
			t.Fatalf("%s: got %d %q; want 200", labels, status, text)
		}
	}
	got := r.loki.got()
	if len(got) != 5 {
		t.Fatalf("got %d requests; want two normal ones, one refused, and two without metadata", len(got))
	}
	for _, request := range got[3:] {
		for _, e := range request.Entries {
			if len(e.Metadata) > 0 || !strings.Contains(e.Labels, `anomaly="true"`) {
				t.Errorf("got %v; want labels alone", e)
			}
		}
	}
	if !strings.Contains(r.log.String(), "takes no structured metadata") {
		t.Errorf("it was not told: %s", r.log)
	}
}

// TestCredentials go to Loki unless there are some for us, or of our own for Loki.
func TestCredentials(t *testing.T) {
	const header = "Basic dTpw"
	for name, test := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"passed on":  {nil, header},
		"ours go in": {func(c *Config) { c.Pipeline.Loki.BearerToken = "t" }, "Bearer t"},
	} {
		r := newRig(t, test.change)
		if status, text := r.push(`{job="a"}`, 0, normal(3), "Authorization", header); status != http.StatusNoContent {
			t.Fatal(status, text)
		}
		if got := r.loki.got()[0].Header.Get("Authorization"); got != test.want {
			t.Errorf("%s: got %q; want %q", name, got, test.want)
		}
	}
}

// TestForwardAnomalies sends nothing else, and answers for what it leaves out.
func TestForwardAnomalies(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Pipeline.Forward = 1 })
	if status, text := r.push(`{job="a"}`, 0, normal(900)); status != http.StatusNoContent {
		t.Fatal(status, text)
	}
	if status, text := r.push(`{job="a"}`, 900, append(normal(9), odd)); status != http.StatusNoContent {
		t.Fatal(status, text)
	}
	for _, e := range r.loki.entries() {
		if !strings.Contains(e.Labels, `anomaly="true"`) {
			t.Errorf("a normal entry was sent: %v", e)
		}
	}
	if diff := gocmp.Diff(odd, r.loki.entries()[len(r.loki.entries())-1].Line); diff != "" {
		t.Error(diff)
	}
}
