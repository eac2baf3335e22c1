package pipeline

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logscope/logscope/plugin/chunk"
	"github.com/logscope/logscope/test/sink"
)

// kubernetesRecord is what the kubernetes filter makes of a container's line.
var kubernetesRecord = chunk.Pairs{
	"log", "GET /healthz 200", "stream", "stdout",
	"kubernetes", chunk.Pairs{
		"namespace_name", "shop", "pod_name", "cart-7d9f-x2x1", "container_name", "cart",
		"labels", chunk.Pairs{"app.kubernetes.io/name", "cart", "tier", "backend"},
	},
}

func TestShape(t *testing.T) {
	for _, tc := range []struct {
		name   string
		shape  Shape
		record chunk.Pairs
		want   sink.Entry
	}{
		{
			name:   "a single key is the line, bare",
			shape:  Shape{DropSingleKey: DropSingleKeyRaw},
			record: chunk.Pairs{"log", `say "hi"`},
			want:   sink.Entry{Line: `say "hi"`, Labels: `{job="fluent-bit"}`},
		},
		{
			name:   "drop_single_key on: as JSON",
			shape:  Shape{DropSingleKey: DropSingleKeyOn},
			record: chunk.Pairs{"log", `say "hi"`},
			want:   sink.Entry{Line: `"say \"hi\""`, Labels: `{job="fluent-bit"}`},
		},
		{
			name:   "drop_single_key off: the record",
			record: chunk.Pairs{"log", `say "hi"`},
			want:   sink.Entry{Line: `{"log":"say \"hi\""}`, Labels: `{job="fluent-bit"}`},
		},
		{
			name: "labels from the record, and what they take is removed",
			shape: Shape{
				DropSingleKey: DropSingleKeyRaw,
				Labels: []LabelSource{{Name: "job", Literal: "k8s"}, {Name: "ns", Path: Path{"kubernetes", "namespace_name"}},
					{Name: "stream", Path: Path{"stream"}}, {Name: "absent", Path: Path{"nothing", "here"}}},
				Remove: []Path{{"stream"}, {"kubernetes"}},
			},
			record: kubernetesRecord,
			want:   sink.Entry{Line: "GET /healthz 200", Labels: `{job="k8s", ns="shop", stream="stdout"}`},
		},
		{
			name:   "nested removal keeps the rest",
			shape:  Shape{Labels: []LabelSource{{Name: "job", Literal: "k8s"}}, Remove: []Path{{"kubernetes", "labels"}, {"kubernetes", "pod_name"}}},
			record: kubernetesRecord,
			want: sink.Entry{
				Line:   `{"log":"GET /healthz 200","stream":"stdout","kubernetes":{"namespace_name":"shop","container_name":"cart"}}`,
				Labels: `{job="k8s"}`,
			},
		},
		{
			name:   "auto_kubernetes_labels",
			shape:  Shape{AutoKubernetesLabels: true, Labels: []LabelSource{{Name: "job", Literal: "k8s"}}, DropSingleKey: DropSingleKeyRaw, Remove: []Path{{"kubernetes"}, {"stream"}}},
			record: kubernetesRecord,
			want:   sink.Entry{Line: "GET /healthz 200", Labels: `{app_kubernetes_io_name="cart", job="k8s", tier="backend"}`},
		},
		{
			name:   "key_value",
			shape:  Shape{LineFormat: LineKeyValue, Labels: []LabelSource{{Name: "job", Literal: "x"}}},
			record: chunk.Pairs{"level", "info", "msg", `two "words"`, "n", 7, "ok", true, "none", nil},
			want:   sink.Entry{Line: `level=info msg="two \"words\"" n=7 ok=true none=null`, Labels: `{job="x"}`},
		},
		{
			name: "structured metadata, pairs and maps",
			shape: Shape{
				DropSingleKey: DropSingleKeyRaw,
				Metadata:      []LabelSource{{Name: "pod", Path: Path{"kubernetes", "pod_name"}}, {Name: "site", Literal: "eu"}},
				MetadataMaps:  []Path{{"kubernetes", "labels"}},
				Remove:        []Path{{"kubernetes"}, {"stream"}},
			},
			record: kubernetesRecord,
			want: sink.Entry{
				Line: "GET /healthz 200", Labels: `{job="fluent-bit"}`,
				Metadata: map[string]string{"pod": "cart-7d9f-x2x1", "site": "eu", "app_kubernetes_io_name": "cart", "tier": "backend"},
			},
		},
		{
			name:   "tenant_id_key",
			shape:  Shape{TenantID: Path{"team"}, DropSingleKey: DropSingleKeyRaw, Remove: []Path{{"team"}}},
			record: chunk.Pairs{"log", "x", "team", "blue"},
			want:   sink.Entry{Line: "x", Labels: `{job="fluent-bit"}`, Tenant: "blue"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := sink.New(t)
			p, _ := start(t, s, func(c *Config) {
				if tc.shape.Labels == nil {
					tc.shape.Labels = c.Shape.Labels
				}
				c.Shape = tc.shape
			})
			var w chunk.Writer
			if err := w.AppendRecord(base.UnixNano(), nil, tc.record); err != nil {
				t.Fatal(err)
			}
			if got := p.Flush("app", w.Buf); got != OK {
				t.Fatalf("got %v; want OK; faults %v", got, s.Faults())
			}
			tc.want.Time = base
			if diff := cmp.Diff([]sink.Entry{tc.want}, s.Entries()); diff != "" {
				t.Errorf("entry (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMoreLabelsThanLokiTakes(t *testing.T) {
	s := sink.New(t)
	p, _ := start(t, s, func(c *Config) {
		c.Shape.Labels = nil
		for i := range 20 {
			c.Shape.Labels = append(c.Shape.Labels, LabelSource{Name: fmt.Sprintf("l%02d", i), Literal: "v"})
		}
	})
	p.Flush("app", lines(t, "x"))
	e := s.Entries()[0]
	if len(e.Metadata) != 5 || e.Metadata["l15"] != "v" {
		t.Errorf("got metadata %v; want the 5 labels beyond 15", e.Metadata)
	}
}

func TestOTLPBecomesStructuredMetadata(t *testing.T) {
	s := sink.New(t)
	p, _ := start(t, s, nil)
	var w chunk.Writer
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(w.AppendGroupOpen(chunk.Pairs{"schema", "otlp"}, chunk.Pairs{
		"resource", chunk.Pairs{"attributes", chunk.Pairs{"service.name", "cart", "host.cpus", 4}},
		"scope", chunk.Pairs{"name", "io.app", "version", "1.2"},
	}))
	must(w.AppendRecord(base.UnixNano(), chunk.Pairs{"otlp", chunk.Pairs{
		"severity_text", "ERROR", "severity_number", 17, "trace_id", []byte("0123456789abcdef"), "span_id", "0011223344556677",
		"attributes", chunk.Pairs{"http.route", "/pay"},
	}}, chunk.Pairs{"log", "payment failed"}))
	w.AppendGroupClose()
	must(w.AppendRecord(base.UnixNano(), nil, chunk.Pairs{"log", "outside"}))
	if got := p.Flush("otel", w.Buf); got != OK {
		t.Fatalf("got %v; want OK", got)
	}
	want := []sink.Entry{
		{Line: "payment failed", Labels: `{job="fluent-bit"}`, Time: base, Metadata: map[string]string{
			"service_name": "cart", "host_cpus": "4", "scope_name": "io.app", "scope_version": "1.2", "severity_text": "ERROR", "severity_number": "17",
			"trace_id": "30313233343536373839616263646566", "span_id": "0011223344556677", "http_route": "/pay",
		}},
		{Line: "outside", Labels: `{job="fluent-bit"}`, Time: base},
	}
	if diff := cmp.Diff(want, s.Entries()); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func TestModelKey(t *testing.T) {
	cfg := DefaultConfig()
	var w chunk.Writer
	if err := w.AppendRecord(base.UnixNano(), nil, kubernetesRecord); err != nil {
		t.Fatal(err)
	}
	w.AppendLine(base.UnixNano(), "log", "x")
	for _, tc := range []struct {
		key  Path
		want []string
	}{
		{nil, []string{"shop/cart", "tag"}},
		{Path{"stream"}, []string{"stdout", "tag"}},
	} {
		cfg.ModelKey = tc.key
		s := newShaper(&cfg)
		work := &work{cache: newCache()}
		r := chunk.NewReader(w.Buf)
		var got []string
		var rec chunk.Record
		for r.Next(&rec) == nil {
			got = append(got, s.stream(work, &rec, "tag"))
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("model_key %v (-want +got):\n%s", tc.key, diff)
		}
	}
}

// TestRecordsBeforeChangeNothing shapes records one after the other, and each
// alone: what is remembered of those before must not show.
func TestRecordsBeforeChangeNothing(t *testing.T) {
	bodies := []any{
		chunk.Pairs{"log", "one"}, chunk.Pairs{"log", "two, longer"}, chunk.Pairs{"log", 7}, chunk.Pairs{"log", chunk.Pairs{"message", "deep"}},
		chunk.Pairs{"message", "m"}, chunk.Pairs{"other", "o"}, chunk.Pairs{"stream", "stderr"}, chunk.Pairs{"stream", "stdout"}, chunk.Pairs{"gone", "x"},
		chunk.Pairs{"log", "a", "stream", "stdout"}, chunk.Pairs{"log", "a", "gone", "x"}, chunk.Pairs{"log", nil}, chunk.Pairs{}, kubernetesRecord,
		chunk.Pairs{"kubernetes", chunk.Pairs{"namespace_name", "shop"}}, chunk.Pairs{"log", "one more"},
	}
	configs := map[string]func(*Config){
		"defaults":     func(*Config) {},
		"message keys": func(c *Config) { c.MessageKeys = []Path{{"log", "message"}, {"message"}, {"log"}} },
		"labels": func(c *Config) {
			c.Shape.Labels = []LabelSource{{Name: "stream", Path: Path{"stream"}}}
			c.Shape.Remove = []Path{{"gone"}}
			c.MessageKeys = []Path{{"log"}}
		},
		"no scoring": func(c *Config) { c.Score, c.MessageKeys = false, []Path{{"log"}} },
	}
	type shaped struct{ Message, Line, Stream, Labels, Single string }
	for name, change := range configs {
		cfg := DefaultConfig()
		change(&cfg)
		s := newShaper(&cfg)
		shape := func(w *work, body any) shaped {
			var one chunk.Writer
			if err := one.AppendRecord(base.UnixNano(), nil, body); err != nil {
				t.Fatal(err)
			}
			var it item
			if err := chunk.NewReader(one.Buf).Next(&it.rec); err != nil {
				t.Fatal(err)
			}
			s.fill(w, &it, "tag")
			got := shaped{Message: string(it.message), Line: string(it.line), Stream: it.stream, Labels: it.labels.text}
			if it.kept == 1 {
				got.Single = string(it.single.Raw())
			}
			return got
		}
		r := rand.New(rand.NewPCG(1, 2))
		w := &work{cache: newCache()}
		for n := range 4000 {
			body := bodies[r.IntN(len(bodies))]
			if r.IntN(3) > 0 {
				body = bodies[r.IntN(4)] // of the same key as the one before, mostly
			}
			if n%500 == 0 {
				w.cache.begin()
			}
			if diff := cmp.Diff(shape(&work{cache: newCache()}, body), shape(w, body)); diff != "" {
				t.Fatalf("%s, record %d, %v (-alone +behind others):\n%s", name, n, body, diff)
			}
		}
	}
}
