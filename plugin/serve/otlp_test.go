package serve

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/logscope/logscope/loki"
)

// otlpBody is a request as the OTLP specification has it in JSON.
func otlpBody(lines []string, from int) []byte {
	var b strings.Builder
	b.WriteString(`{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}},` +
		`{"key":"k8s.namespace.name","value":{"stringValue":"prod"}},{"key":"host.name","value":{"stringValue":"n1"}},` +
		`{"key":"process","value":{"kvlistValue":{"values":[{"key":"pid","value":{"intValue":"7"}}]}}}]},` +
		`"scopeLogs":[{"scope":{"name":"lib","version":"1.2"},"logRecords":[`)
	for i, line := range lines {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`{"timeUnixNano":"` + itoa(at(from+i)) + `","observedTimeUnixNano":"7","severityNumber":9,"severityText":"INFO",` +
			`"body":{"stringValue":` + string(jsonText(line)) + `},"attributes":[{"key":"http.status","value":{"intValue":"200"}}],` +
			`"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174"}`)
	}
	b.WriteString(`]}]}]}`)
	return []byte(b.String())
}

// TestOTLP: logs become the entries that Loki's own endpoint makes of them, from protobuf and from JSON.
func TestOTLP(t *testing.T) {
	json := otlpBody([]string{"hello"}, 0)
	logs, err := new(plog.JSONUnmarshaler).UnmarshalLogs(json)
	if err != nil {
		t.Fatal(err)
	}
	proto, err := new(plog.ProtoMarshaler).MarshalLogs(logs)
	if err != nil {
		t.Fatal(err)
	}
	want := []entry{{
		Labels: `{k8s_namespace_name="prod", service_name="shop"}`, Line: "hello", TimeNs: at(0),
		Metadata: map[string]string{
			"http_status": "200", "observed_timestamp": "7", "severity_number": "9", "severity_text": "INFO", "host_name": "n1",
			"process_pid": "7", "scope_name": "lib", "scope_version": "1.2",
			"trace_id": "5b8efff798038103d269b633813fc60c", "span_id": "eee19b7ec3c1b174",
		},
	}}
	r := newRig(t, nil)
	for _, test := range []struct {
		mime, encoding string
		body           []byte
		answer         string
	}{
		{"application/json", "", json, "{}"},
		{"application/x-protobuf", "gzip", proto, ""},
	} {
		before := len(r.loki.got())
		status, text, h := r.post(pathOTLP, encode(t, test.encoding, test.body), "Content-Type", test.mime, "Content-Encoding", test.encoding)
		if status != http.StatusOK || text != test.answer || h.Get("Content-Type") != test.mime {
			t.Errorf("%s: got %d %q %s; want 200 %q", test.mime, status, text, h.Get("Content-Type"), test.answer)
		}
		if diff := cmp.Diff(want, r.loki.got()[before].Entries); diff != "" {
			t.Errorf("%s: %s", test.mime, diff)
		}
	}
}

// TestOTLPAnomaliesAreMarked as those of pushes are.
func TestOTLPAnomaliesAreMarked(t *testing.T) {
	r := newRig(t, nil)
	for i, lines := range [][]string{normal(900), {odd}} {
		if status, text, _ := r.post(pathOTLP, otlpBody(lines, 900*i), "Content-Type", "application/json"); status != http.StatusOK {
			t.Fatal(status, text)
		}
	}
	got := r.loki.got()[1].Entries
	if len(got) != 1 || !strings.HasPrefix(got[0].Labels, `{anomaly="true", k8s_namespace_name="prod", reason="novelty",`) || got[0].Metadata["trace_id"] == "" ||
		got[0].Metadata["logscope_explanation"] == "" {
		t.Errorf("got %v; want it marked, with its own metadata, too", got)
	}
}

// TestOTLPErrors come as the protocol has them: a status in the body, 503 for 500.
func TestOTLPErrors(t *testing.T) {
	r := newRig(t, nil)
	for _, test := range []struct{ loki, want int }{{500, 503}, {503, 503}, {429, 429}, {400, 400}} {
		r.loki.setAnswer(func(w http.ResponseWriter, _ int) { http.Error(w, `Loki's "words"`, test.loki) })
		status, text, _ := r.post(pathOTLP, otlpBody([]string{"x"}, test.loki), "Content-Type", "application/json")
		if want := `{"message":"Loki's \"words\"\n"}`; status != test.want || text != want {
			t.Errorf("Loki's %d: got %d %q; want %d %q", test.loki, status, text, test.want, want)
		}
	}
	status, text, _ := r.post(pathOTLP, []byte("{"), "Content-Type", "application/json")
	if status != http.StatusBadRequest || !strings.HasPrefix(text, `{"message":"logscope: cannot read the push: cannot read OTLP logs: `) {
		t.Errorf("got %d %q; want 400 and why", status, text)
	}
	if status, _, _ := r.post(pathOTLP, []byte("x"), "Content-Type", "text/plain"); status != http.StatusUnsupportedMediaType {
		t.Errorf("got %d; want 415", status)
	}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func decodeRaw(t testing.TB, raw []byte) []entry {
	t.Helper()
	var d loki.Decoded
	if err := d.Read(raw); err != nil {
		t.Fatal(err)
	}
	return decodeEntries(http.Header{}, loki.Compress(raw))
}

// FuzzOTLP: nothing panics, and what reaches Loki can be read.
func FuzzOTLP(f *testing.F) {
	f.Add(otlpBody([]string{"x"}, 0), true)
	logs, _ := new(plog.JSONUnmarshaler).UnmarshalLogs(otlpBody([]string{"x"}, 0))
	proto, _ := new(plog.ProtoMarshaler).MarshalLogs(logs)
	f.Add(proto, false)
	f.Fuzz(func(t *testing.T, in []byte, json bool) {
		unmarshal := new(plog.ProtoUnmarshaler).UnmarshalLogs
		if json {
			unmarshal = new(plog.JSONUnmarshaler).UnmarshalLogs
		}
		raw, _, err := rawFromOTLP(unmarshal, in, 1)
		if err == nil {
			decodeRaw(t, raw)
		}
	})
}

// FuzzPushJSON: what is read of a JSON push can be read as protobuf.
func FuzzPushJSON(f *testing.F) {
	f.Add(jsonBody(map[string]string{"job": "a"}, 0, []string{"x", "\u00e9\n"}))
	f.Add([]byte(`{"streams":[{"stream":{"a":"b"},"values":[["1","x",{"k":"v"}]]}]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		if raw, err := rawFromJSON(in); err == nil {
			decodeRaw(t, raw)
		}
	})
}

// TestOTLPFailuresAreStatuses: also what goes wrong before a request is read, or by a fault of ours, and never with 500.
func TestOTLPFailuresAreStatuses(t *testing.T) {
	r := newRig(t, func(c *Config) { c.BodyBytesMax = 1 << 10 })
	for _, mime := range []string{"application/json", "application/x-protobuf"} {
		check := func(name string, want int, words string, header http.Header, status int, text string) {
			t.Helper()
			message := text
			if mime == mimeJSON {
				var s struct{ Message string }
				if err := json.Unmarshal([]byte(text), &s); err != nil {
					t.Errorf("%s %s: %v: %q", mime, name, err, text)
				}
				message = s.Message
			} else if !strings.HasPrefix(text, "\x12") {
				t.Errorf("%s %s: got %q; want a google.rpc.Status", mime, name, text)
			}
			if status != want || header.Get("Content-Type") != mime || !strings.Contains(message, words) {
				t.Errorf("%s %s: got %d %s %q; want %d %s with %q", mime, name, status, header.Get("Content-Type"), text, want, mime, words)
			}
		}
		status, text, h := r.post(pathOTLP, make([]byte, 2<<10), "Content-Type", mime)
		check("too large", 413, "max_body_size", h, status, text)
		status, text, h = r.post(pathOTLP, []byte("x"), "Content-Type", mime, "Content-Encoding", "br")
		check("unknown encoding", 415, "Content-Encoding", h, status, text)

		broken := r.guarded(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") }))
		req := httptest.NewRequest(http.MethodPost, "http://localhost"+pathOTLP, nil)
		req.Header.Set("Content-Type", mime)
		w := httptest.NewRecorder()
		broken.ServeHTTP(w, req)
		check("fault", 503, "a fault in logscope", w.Header(), w.Code, w.Body.String())
	}
}
