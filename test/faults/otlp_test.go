package faults

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logscope/logscope/plugin/chunk"
	"github.com/logscope/logscope/test/lokitest"
)

// testOTLP: groups and the metadata of records, as Fluent Bit's input
// opentelemetry makes them, become structured metadata; markers become nothing.
func testOTLP(t *testing.T, r *rig, loki *lokitest.Server) {
	begin := time.Now().Add(-time.Minute)
	f := newChunkFile(t)
	open := func(service, scope string) {
		if err := f.w.AppendGroupOpen(
			chunk.Pairs{"schema", "otlp", "resource_id", 0, "scope_id", 0},
			chunk.Pairs{
				"resource", chunk.Pairs{"attributes", chunk.Pairs{"service.name", service, "host.name", "n1"}},
				"scope", chunk.Pairs{"name", scope, "version", "1.2", "attributes", chunk.Pairs{"lib", "x"}},
			}); err != nil {
			t.Fatal(err)
		}
	}
	record := func(id int, trace []byte) {
		f.record(begin.Add(time.Duration(id)*time.Millisecond), chunk.Pairs{"otlp", chunk.Pairs{
			"observed_timestamp", 1700000000, "severity_number", 17, "severity_text", "ERROR",
			"attributes", chunk.Pairs{"http.method", "GET", "retry", 2}, "trace_id", trace, "span_id", trace[:8],
		}}, chunk.Pairs{"log", lineText(id)})
	}
	trace := []byte("0123456789abcdef")
	open("shop", "cart")
	record(0, trace)
	record(1, trace)
	f.w.AppendGroupClose()
	open("mail", "smtp")
	record(2, trace)
	f.w.AppendGroupClose()
	f.record(begin.Add(3*time.Millisecond), nil, chunk.Pairs{"log", lineText(3)})
	f.flush("otlp")

	run := newRun(t)
	r.startHost(t, []string{"--chunks", f.close(), "--guard"}, options(loki.URL, run)).wait(t, 0)
	fromLoki(t, loki, run).check(t, 4, false)
	want := func(service, scope string) map[string]string {
		return map[string]string{
			// Loki gives each stream a label service_name, and shows metadata of that name with a suffix.
			"service_name_extracted": service, "host_name": "n1", "scope_name": scope, "scope_version": "1.2", "lib": "x",
			"severity_text": "ERROR", "severity_number": "17", "observed_timestamp": "1700000000",
			"http_method": "GET", "retry": "2",
			"trace_id": "30313233343536373839616263646566", "span_id": "3031323334353637",
		}
	}
	for _, e := range entries(t, loki, run) {
		delete(e.Metadata, "detected_level") // Loki's own
		var diff string
		switch e.Line {
		case lineText(0), lineText(1):
			diff = cmp.Diff(want("shop", "cart"), e.Metadata)
		case lineText(2):
			diff = cmp.Diff(want("mail", "smtp"), e.Metadata)
		case lineText(3):
			diff = cmp.Diff(map[string]string{}, e.Metadata)
		}
		if diff != "" {
			t.Errorf("%q: structured metadata (-want +got):\n%s", e.Line, diff)
		}
	}
}
