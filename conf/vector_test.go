package conf

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

// vectorOptions are the options of Vector's components, as its reference has them (website/cue/reference/components).
var vectorOptions = map[string][]string{
	"": {"data_dir", "sources", "transforms", "sinks", "api", "acknowledgements", "enrichment_tables", "log_schema", "proxy", "secret", "tests", "timezone"},
	"kubernetes_logs": {"type", "annotation_fields", "auto_partial_merge", "data_dir", "delay_deletion_ms", "exclude_paths_glob_patterns",
		"extra_field_selector", "extra_label_selector", "extra_namespace_label_selector", "fingerprint_lines", "glob_minimum_cooldown_ms", "ignore_older_secs",
		"include_paths_glob_patterns", "ingestion_timestamp_field", "insert_namespace_fields", "internal_metrics", "kube_config_file", "max_line_bytes",
		"max_merged_line_bytes", "max_read_bytes", "namespace_annotation_fields", "node_annotation_fields", "oldest_first", "pod_annotation_fields", "read_from",
		"rotate_wait_secs", "self_node_name", "timezone", "use_apiserver_cache"},
	"file": {"type", "acknowledgements", "data_dir", "encoding", "exclude", "file_key", "fingerprint", "glob_minimum_cooldown_ms", "host_key", "ignore_checkpoints",
		"ignore_not_found", "ignore_older_secs", "include", "internal_metrics", "line_delimiter", "max_line_bytes", "max_read_bytes", "message_start_indicator",
		"multi_line_timeout", "multiline", "offset_key", "oldest_first", "read_from", "remove_after_secs", "rotate_wait_secs", "start_at_beginning"},
	"remap": {"type", "inputs", "source", "drop_on_abort", "drop_on_error", "file", "files", "metric_tag_values", "reroute_dropped", "runtime", "timezone"},
	"loki": {"type", "inputs", "acknowledgements", "auth", "batch", "buffer", "compression", "encoding", "endpoint", "healthcheck", "labels", "out_of_order_action",
		"path", "proxy", "remove_label_fields", "remove_structured_metadata_fields", "remove_timestamp", "request", "structured_metadata", "tenant_id", "tls"},
	"loki.batch":            {"max_bytes", "max_events", "timeout_secs"},
	"loki.buffer":           {"max_events", "max_size", "type", "when_full"},
	"loki.request":          {"adaptive_concurrency", "concurrency", "headers", "rate_limit_duration_secs", "rate_limit_num", "retry_attempts", "retry_initial_backoff_secs", "retry_jitter_mode", "retry_max_duration_secs", "timeout_secs"},
	"loki.encoding":         {"avro", "cef", "codec", "csv", "except_fields", "gelf", "json", "metric_tag_values", "only_fields", "protobuf", "timestamp_format"},
	"loki.acknowledgements": {"enabled"},
}

// TestVectorSample: the sample for Vector has only options that Vector knows, in components that lead into each other, to logscope.
func TestVectorSample(t *testing.T) {
	data, err := os.ReadFile("vector.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var sample struct {
		Sources, Transforms, Sinks map[string]map[string]any
	}
	var top map[string]any
	if err := yaml.Unmarshal(data, &sample); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(data, &top); err != nil {
		t.Fatal(err)
	}
	checkVector(t, "", top)
	known := map[string]bool{}
	for _, components := range []map[string]map[string]any{sample.Sources, sample.Transforms, sample.Sinks} {
		for name, c := range components {
			kind, _ := c["type"].(string)
			checkVector(t, kind, c)
			inputs, _ := c["inputs"].([]any)
			for _, from := range inputs {
				if from, _ := from.(string); !known[from] {
					t.Errorf("%s takes its input from %q, which is no component before it", name, from)
				}
			}
			known[name] = true
		}
	}
	sink := sample.Sinks["loki"]
	for key, want := range map[string]any{"endpoint": "http://" + rowDefault(t, "listen"), "compression": "snappy", "out_of_order_action": "accept"} {
		if diff := cmp.Diff(want, sink[key]); diff != "" {
			t.Errorf("%s: %s", key, diff)
		}
	}
	if labels, ok := sink["labels"].(map[string]any); !ok || len(labels) == 0 {
		t.Error("the sink has no labels; Vector refuses that")
	}
}

func rowDefault(t *testing.T, name string) string {
	t.Helper()
	for _, row := range Rows(Serve) {
		if row.Name == name {
			return row.Default
		}
	}
	t.Fatalf("no option %s", name)
	return ""
}

// checkVector compares a component's options, and those below them that the table has, with the reference.
func checkVector(t *testing.T, kind string, options map[string]any) {
	t.Helper()
	if vectorOptions[kind] == nil {
		t.Errorf("the test does not know %q", kind)
	}
	for _, key := range slices.Sorted(maps.Keys(options)) {
		if !slices.Contains(vectorOptions[kind], key) {
			t.Errorf("%s has no option %s", strings.TrimSpace(kind+" "), key)
		}
		if below, ok := options[key].(map[string]any); ok && vectorOptions[kind+"."+key] != nil {
			checkVector(t, kind+"."+key, below)
		}
	}
}
