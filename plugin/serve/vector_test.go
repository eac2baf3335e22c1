package serve

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/s2"
	"google.golang.org/protobuf/encoding/protowire"
)

// vectorStream is a batch of Vector's loki sink: one label set, lines with their times.
type vectorStream struct {
	labels map[string]string
	lines  []string
	from   int
	meta   map[string]string
}

// labelText is how Vector writes labels: sorted, and without any escape.
func (v *vectorStream) labelText() string {
	var pairs []string
	for name, value := range v.labels {
		pairs = append(pairs, name+`="`+value+`"`)
	}
	slices.Sort(pairs)
	return "{" + strings.Join(pairs, ", ") + "}"
}

// proto encodes as Vector does with compression snappy, its default: prost's field order, zero values left out.
func (v *vectorStream) proto() []byte {
	message := func(dst []byte, field protowire.Number, body []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(dst, field, protowire.BytesType), body)
	}
	stream := message(nil, 1, []byte(v.labelText()))
	for i, line := range v.lines {
		ns := at(v.from + i)
		stamp := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(ns/1e9))
		if ns%1e9 != 0 {
			stamp = protowire.AppendVarint(protowire.AppendTag(stamp, 2, protowire.VarintType), uint64(ns%1e9))
		}
		entry := message(message(nil, 1, stamp), 2, []byte(line))
		for name, value := range v.meta {
			entry = message(entry, 3, message(message(nil, 1, []byte(name)), 2, []byte(value)))
		}
		stream = message(stream, 2, entry)
	}
	return s2.EncodeSnappy(nil, message(nil, 1, stream))
}

// json encodes as Vector does with every other compression: times as text, no structured metadata.
func (v *vectorStream) json() []byte {
	values := [][2]string{}
	for i, line := range v.lines {
		values = append(values, [2]string{strconv.FormatInt(at(v.from+i), 10), line})
	}
	body, err := json.Marshal(map[string]any{"streams": []any{map[string]any{"stream": v.labels, "values": values}}})
	if err != nil {
		panic(err)
	}
	return body
}

// TestVectorsLokiSink: its health check, its pushes in every compression, and the statuses that it tries again.
func TestVectorsLokiSink(t *testing.T) {
	r := newRig(t, nil)
	if resp, err := http.Get(r.url + "/ready"); err != nil || resp.Body.Close() != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("health check: got %v, %v; Vector wants 200", resp, err)
	}
	batch := vectorStream{labels: map[string]string{"job": "vector", "filename": "/var/log/app.log"}, lines: normal(40), meta: map[string]string{"pod": "p-1"}}
	for i, compression := range []string{"snappy", "gzip", "zlib", "zstd", "none"} {
		batch.from = 100 * i
		mime, encoding, body := "application/json", map[string]string{"gzip": "gzip", "zlib": "deflate", "zstd": "zstd"}[compression], batch.json()
		if compression == "snappy" {
			mime, encoding, body = "application/x-protobuf", "snappy", batch.proto()
		} else if encoding != "" {
			body = encode(t, compression, body)
		}
		status, text, _ := r.post(pathPush, body, "Content-Type", mime, "Content-Encoding", encoding, "X-Scope-OrgID", "t")
		if status != http.StatusNoContent {
			t.Fatalf("%s: got %d %q; want 204", compression, status, text)
		}
		got := r.loki.got()[i].Entries
		if len(got) != 40 || got[7].Labels != `{filename="/var/log/app.log", job="vector"}` || got[7].Line != batch.lines[7] || got[7].TimeNs != at(batch.from+7) {
			t.Errorf("%s: got %d entries, %v", compression, len(got), got[min(7, len(got)):])
		}
		if compression == "snappy" {
			if diff := cmp.Diff(batch.meta, got[7].Metadata); diff != "" {
				t.Error(diff)
			}
		}
	}
	// Vector tries 429 and 5xx but 501 again, and drops what is refused with anything else.
	for _, status := range []int{429, 500, 502, 503, 400} {
		r.loki.setAnswer(func(w http.ResponseWriter, _ int) { http.Error(w, "no", status) })
		batch.from += 1000
		if got, _, _ := r.post(pathPush, batch.proto(), "Content-Type", "application/x-protobuf", "Content-Encoding", "snappy"); got != status {
			t.Errorf("Loki's %d: got %d", status, got)
		}
	}
}

// TestVectorsUnescapedLabels: a quote in a label's value makes text that is no label set; Loki shall say so, not we.
func TestVectorsUnescapedLabels(t *testing.T) {
	r := newRig(t, nil)
	batch := vectorStream{labels: map[string]string{"job": `a"b`}, lines: []string{"x"}}
	body := batch.proto()
	r.loki.setAnswer(func(w http.ResponseWriter, _ int) { http.Error(w, "error parsing labels", http.StatusBadRequest) })
	status, text, _ := r.post(pathPush, body, "Content-Type", "application/x-protobuf", "Content-Encoding", "snappy")
	if status != http.StatusBadRequest || text != "error parsing labels\n" || string(r.loki.got()[0].Body) != string(body) {
		t.Errorf("got %d %q; want Loki's answer to the body as it came", status, text)
	}
}
