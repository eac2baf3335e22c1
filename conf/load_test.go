package conf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logscope/logscope/engine"
	"github.com/logscope/logscope/loki"
	"github.com/logscope/logscope/plugin/pipeline"
)

// options is a lookup that minds case, as the strictest host would.
func options(pairs ...string) func(string) (string, bool) {
	given := make(map[string]string)
	for i := 0; i < len(pairs); i += 2 {
		given[pairs[i]] = pairs[i+1]
	}
	return func(name string) (string, bool) {
		value, ok := given[name]
		return value, ok
	}
}

// fluentBit is a lookup as a Fluent Bit host offers it: without regard to case.
func fluentBit(pairs ...string) func(string) (string, bool) {
	for i := 0; i < len(pairs); i += 2 {
		pairs[i] = strings.ToLower(pairs[i])
	}
	return options(pairs...)
}

func mustLoad(t *testing.T, scope Scope, lookup func(string) (string, bool)) *Settings {
	t.Helper()
	s, err := Load(scope, lookup)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestDefaultsAgree: a row's default and the default of what it configures are the same thing said twice.
func TestDefaultsAgree(t *testing.T) {
	got := mustLoad(t, Plugin, options("url", "http://loki:3100")).Pipeline
	want := pipeline.DefaultConfig()
	want.Loki.URL = "http://loki:3100"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("defaults differ (-configured +table):\n%s", diff)
	}
	scan := mustLoad(t, Scan, options())
	if diff := cmp.Diff(engine.DefaultConfig(), scan.Pipeline.Engine); diff != "" {
		t.Errorf("scan's engine differs:\n%s", diff)
	}
	if diff := cmp.Diff(ScanSettings{}, scan.Scan); diff != "" {
		t.Errorf("scan's settings differ:\n%s", diff)
	}
}

// TestRows checks what every row must have.
func TestRows(t *testing.T) {
	for _, scope := range []Scope{Plugin, Scan, Serve, Pipe} {
		seen := make(map[string]string)
		for _, row := range Rows(scope) {
			for _, spelling := range spellings(row.Name) {
				if other, ok := seen[fold(spelling)]; ok && other != row.Name {
					t.Errorf("%s and %s share the spelling %s in scope %v", row.Name, other, spelling, scope)
				}
				seen[fold(spelling)] = row.Name
			}
		}
	}
	for _, row := range Rows(^Scope(0)) {
		if row.Help == "" || row.Group == "" || row.Scopes == 0 || row.set == nil || strings.Contains(row.Help, "\n") {
			t.Errorf("%s: incomplete row", row.Name)
		}
		if row.Name != strings.ToLower(row.Name) || (row.Kind == Choice) != (len(row.Choices) > 1) {
			t.Errorf("%s: name or choices are wrong", row.Name)
		}
		for _, text := range []string{row.Default, row.Sample, row.Min, row.Max} {
			if text == "" {
				continue
			}
			if _, err := row.parse(text); err != nil {
				t.Errorf("%s: %q of its row: %v", row.Name, text, err)
			}
		}
	}
}

// TestAliens: no name that we call foreign is one of ours, and each points to an option that exists.
func TestAliens(t *testing.T) {
	rows := Rows(^Scope(0))
	byFold := make(map[string]bool)
	byName := make(map[string]bool)
	for _, row := range rows {
		byFold[fold(row.Name)] = true
		byName[row.Name] = true
	}
	for _, name := range aliens() {
		if byFold[fold(name.name)] {
			t.Errorf("%s is an option", name.name)
		}
		if name.use != "" && !byName[name.use] || (name.use == "") == (name.why == "") {
			t.Errorf("%s: use %q, why %q", name.name, name.use, name.why)
		}
	}
}

func TestSpellings(t *testing.T) {
	for _, test := range []struct{ name, want string }{
		{"url", "url"},
		{"tenant_id", "tenant_id tenant-id tenant_i_d tenantid"},
		{"auto_kubernetes_labels", "auto_kubernetes_labels auto-kubernetes-labels autokuberneteslabels"},
		{"ca_file", "ca_file ca-file cafile"},
		{"proxy_url", "proxy_url proxy-url proxy_u_r_l proxyurl"},
	} {
		if got := strings.Join(spellings(test.name), " "); got != test.want {
			t.Errorf("%s: got %s; want %s", test.name, got, test.want)
		}
	}
}

// TestHostSpellings: what Fluent Bit hands over for the spellings of its two formats and of grafana-loki.
func TestHostSpellings(t *testing.T) {
	for _, key := range []string{
		"auto_kubernetes_labels", // classic, loki
		"AutoKubernetesLabels",   // classic, grafana-loki; YAML leaves a capital first letter alone
		"autokuberneteslabels",
		"Auto_Kubernetes_Labels",
		"auto-kubernetes-labels",
	} {
		s := mustLoad(t, Plugin, fluentBit("Url", "http://loki:3100", key, "true"))
		if !s.Pipeline.Shape.AutoKubernetesLabels {
			t.Errorf("%s is not seen", key)
		}
	}
	for _, key := range []string{"TenantID", "tenant_id", "tenant_i_d", "tenantId"} {
		s := mustLoad(t, Plugin, fluentBit("url", "http://loki:3100", key, "team-a"))
		if got := s.Pipeline.Loki.TenantID; got != "team-a" {
			t.Errorf("%s: got %q; want team-a", key, got)
		}
	}
}

func TestLoadWhole(t *testing.T) {
	labelMap := writeFile(t, "map.json", `{"kubernetes": {"namespace_name": "namespace", "labels": {"app": "app"}}, "level": "level"}`)
	s := mustLoad(t, Plugin, fluentBit(
		"Url", "https://user:pw@logs.example.com/loki/api/v1/push",
		"TenantID", "a", "tenant_id_key", "$kubernetes['labels']['tenant']",
		"labels", "job=fluentbit, env=$env, note='a, b', $sub['stream']",
		"LabelKeys", "host,$kubernetes['pod_name']", "label_map_path", labelMap,
		"structured_metadata", "trace=$trace_id", "structured_metadata_map_keys", "$kubernetes['labels']",
		"remove_keys", "kubernetes, host", "drop_single_key", "true", "LineFormat", "key_value",
		"header", "X-Team  blue\n X-Other: a:b ", "proxy_url", "http://proxy:3128",
		"timeout", "3", "BatchSize", "1001024", "MinBackoff", "50ms", "MaxBackoff", "1m", "MaxRetries", "0",
		"max_line_size", "1M", "max_line_action", "drop", "out_of_order_window", "0", "max_labels", "20", "retry_buffer", "64MiB",
		"threshold", "0.75", "annotate", "Line", "forward", "sampled", "sample_every", "50", "model_key", "$service",
		"message_key", "body", "time_layout", "2006-01-02", "max_models", "8", "memory_limit", "8MiB", "max_templates", "100", "warmup", "10",
		"state_file", "/var/lib/logscope/state", "state_interval", "1m30s",
	))
	want := pipeline.DefaultConfig()
	want.Loki.URL = "https://user:pw@logs.example.com/loki/api/v1/push"
	want.Loki.TenantID = "a"
	want.Loki.Headers = map[string]string{"X-Team": "blue", "X-Other": "a:b"}
	want.Loki.ProxyURL = "http://proxy:3128"
	want.FlushTimeout = 3 * time.Second
	want.Loki.BatchSize = 1001024
	want.Loki.Backoff.MinBackoff, want.Loki.Backoff.MaxBackoff, want.Loki.Backoff.MaxRetries = 50*time.Millisecond, time.Minute, 0
	want.Loki.MaxLineSize, want.Loki.MaxLineAction, want.Loki.OutOfOrderWindow = 1_000_000, loki.LineDrop, 0
	want.Loki.MaxLabels = 20
	want.RetryBufferBytes = 64 << 20
	want.Engine.Threshold, want.Engine.TimeLayout, want.Engine.ModelsMax = 0.75, "2006-01-02", 8
	want.Engine.MemoryMax, want.Engine.TemplatesMax, want.Engine.Warmup = 8<<20, 100, 10
	want.Annotate, want.Forward, want.SampleEvery = pipeline.AnnotateLine, pipeline.ForwardSampled, 50
	want.ModelKey, want.MessageKeys = pipeline.Path{"service"}, []pipeline.Path{{"body"}}
	want.StateFile, want.StateInterval = "/var/lib/logscope/state", 90*time.Second
	want.Shape = pipeline.Shape{
		Labels: []pipeline.LabelSource{
			{Name: "job", Literal: "fluentbit"}, {Name: "env", Path: pipeline.Path{"env"}}, {Name: "note", Literal: "a, b"},
			{Name: "sub_stream", Path: pipeline.Path{"sub", "stream"}}, {Name: "host", Path: pipeline.Path{"host"}},
			{Name: "kubernetes_pod_name", Path: pipeline.Path{"kubernetes", "pod_name"}},
		},
		LabelMap: []pipeline.LabelSource{
			{Name: "app", Path: pipeline.Path{"kubernetes", "labels", "app"}},
			{Name: "namespace", Path: pipeline.Path{"kubernetes", "namespace_name"}},
			{Name: "level", Path: pipeline.Path{"level"}},
		},
		Metadata:     []pipeline.LabelSource{{Name: "trace", Path: pipeline.Path{"trace_id"}}},
		MetadataMaps: []pipeline.Path{{"kubernetes", "labels"}},
		Remove: []pipeline.Path{
			{"kubernetes"}, {"host"}, {"env"}, {"sub", "stream"}, {"kubernetes", "pod_name"}, {"trace_id"},
		},
		DropSingleKey: pipeline.DropSingleKeyOn,
		LineFormat:    pipeline.LineKeyValue,
		TenantID:      pipeline.Path{"kubernetes", "labels", "tenant"},
	}
	if diff := cmp.Diff(want, s.Pipeline); diff != "" {
		t.Errorf("settings differ (-want +got):\n%s", diff)
	}
	if len(s.Warnings) > 0 {
		t.Errorf("got warnings %q; want none", s.Warnings)
	}
}

// TestFaults: each fault names the option, the value and what is allowed, and all come at once.
func TestFaults(t *testing.T) {
	for _, test := range []struct {
		name  string
		scope Scope
		given []string
		want  []string // each in the error
	}{
		{"no url", Plugin, []string{"annotate", "off"}, []string{"option url is missing", "Fluent Bit keeps host, port and tls for itself"}},
		{"blank url", Plugin, []string{"url", " "}, []string{"option url is missing"}},
		{"url without scheme", Plugin, []string{"url", "loki:3100"}, []string{"url", "http://loki:3100"}},
		{"number", Scan, []string{"max_models", "many"}, []string{`option max_models "many"`, "a whole number, from 1 to 100000"}},
		{"too large", Scan, []string{"threshold", "1.5"}, []string{`option threshold "1.5": too large`, "from 0 to 1"}},
		{"too small", Scan, []string{"memory_limit", "1K"}, []string{`option memory_limit "1K": too small`, "from 1MiB"}},
		{"not a number", Scan, []string{"threshold", "NaN"}, []string{`option threshold "NaN"`}},
		{"choice", Scan, []string{"output", "json"}, []string{`option output "json"`, "allowed: text or ndjson"}},
		{"bool", Scan, []string{"all", "maybe"}, []string{`option all "maybe"`, "on, off, true, false"}},
		{"duration", Plugin, []string{"url", "http://l", "timeout", "4 parsecs"}, []string{`option timeout "4 parsecs"`, "500ms, 5s"}},
		{"negative duration", Plugin, []string{"url", "http://l", "timeout", "-4s"}, []string{`option timeout "-4s"`}},
		{"accessor", Plugin, []string{"url", "http://l", "label_keys", "$kubernetes['a"}, []string{"option label_keys", "column 13", "the quote is not closed"}},
		{"many at once", Plugin, []string{"timeout", "x", "annotate", "y", "labels", "="}, []string{"url is missing", "timeout", "annotate", "labels"}},
		{"alien", Plugin, []string{"uri", "http://l"}, []string{"unknown option uri: write url"}},
		{"grafana-loki guess", Plugin, []string{"url", "http://l", "tenant", "a"}, []string{"unknown option tenant: write tenant_id"}},
		{"slip", Plugin, []string{"url", "http://l", "treshold", "0.5"}, []string{"unknown option treshold: write threshold"}},
		{"exchanged letters", Plugin, []string{"url", "http://l", "lables", "a=b"}, []string{"unknown option lables: write labels"}},
		{"joined slip", Plugin, []string{"url", "http://l", "batchsiz", "5"}, []string{"unknown option batchsiz: write batch_size"}},
		{"twice", Plugin, []string{"url", "http://l", "tenant_id", "a", "tenantid", "b"}, []string{"option tenant_id is given twice"}},
		{"same label twice", Plugin, []string{"url", "http://l", "labels", "a=1,b=2,a=3"}, []string{`the name "a" is given twice`}},
		{"label and key", Plugin, []string{"url", "http://l", "labels", "a=1", "label_keys", "a"}, []string{`the name "a" is given twice`}},
		{"reserved label", Plugin, []string{"url", "http://l", "labels", "job=a, reason=$x"}, []string{`"reason"`, "log_reason=..."}},
		{"no map", Plugin, []string{"url", "http://l", "label_map_path", "/does/not/exist"}, []string{"label_map_path", "/does/not/exist"}},
		{"backoff", Plugin, []string{"url", "http://l", "min_backoff", "5s", "max_backoff", "1s"}, []string{"option min_backoff 5s", "max_backoff, which is 1s"}},
		{"password alone", Plugin, []string{"url", "http://l", "http_passwd", "s3cret"}, []string{"http_user"}},
		{"two ways to authenticate", Plugin, []string{"url", "http://l", "http_user", "u", "header", "authorization: s3cret"}, []string{"http_user", "header"}},
		{"key without certificate", Plugin, []string{"url", "http://l", "key_file", "/k"}, []string{"cert_file"}},
		{"header of ours", Plugin, []string{"url", "http://l", "header", "X-Scope-OrgID: s3cret"}, []string{"use the option tenant_id"}},
		{"header without value", Plugin, []string{"url", "http://l", "header", "s3cret"}, []string{"Name: value"}},
		{"header with control character", Plugin, []string{"url", "http://l", "header", "X-A: s3cret\x01"}, []string{"control character"}},
		{"unreadable url", Plugin, []string{"url", "http://u:s3cret@[::1"}, []string{"url"}},
		{"unreadable proxy", Plugin, []string{"url", "http://l", "proxy_url", "http://u:s3cret@%zz"}, []string{"proxy_url"}},
		{"forward without score", Plugin, []string{"url", "http://l", "score", "off", "forward", "anomalies"}, []string{"forward"}},
		{"strftime", Scan, []string{"time_layout", "%Y-%m-%d"}, []string{`option time_layout "%Y-%m-%d"`, "for %Y-%m-%d write 2006-01-02"}},
		{"no layout", Scan, []string{"time_layout", "YYYY-MM-DD"}, []string{"nothing in it stands for a time", "15:04:05"}},
		{"several keys", Plugin, []string{"url", "http://l", "model_key", "a,b"}, []string{`option model_key "a,b": one key is expected`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Load(test.scope, options(test.given...))
			if err == nil {
				t.Fatal("got no error; want one")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q; want %q in it", err, want)
				}
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%q shows a secret", err)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	s := mustLoad(t, Plugin, fluentBit("Url", "http://l", "BatchWait", "1", "LogLevel", "info", "Buffer", "true",
		"labels", "app.name=x", "label_keys", "$kubernetes.pod_name"))
	got := strings.Join(s.Warnings, "\n")
	want := `option labels: Loki takes letters, digits and _ in a name, so "app.name" becomes "app_name"
$kubernetes.pod_name is one key with dots in its name; the nested one is written $kubernetes['pod_name']`
	for _, part := range append(strings.Split(want, "\n"), "option batch_wait has no effect here", "option loglevel", "option buffer has no effect") {
		if !strings.Contains(got, part) {
			t.Errorf("got %q; want %q in it", got, part)
		}
	}
	if len(s.Warnings) != 5 {
		t.Errorf("got %d warnings; want 5: %s", len(s.Warnings), got)
	}
}

func TestDump(t *testing.T) {
	s := mustLoad(t, Plugin, options("url", "https://me:s3cret@loki/push?key=s3cret", "http_passwd", "s3cret", "http_user", "me",
		"header", "X-Key: s3cret\nX-Other s3cret", "proxy_url", "http://s3cret@proxy:1"))
	got := strings.Join(s.Dump(), "\n")
	if strings.Contains(got, "s3cret") {
		t.Errorf("the dump shows a secret:\n%s", got)
	}
	for _, want := range []string{
		`url="https://********@loki/push?key=********"`, `http_passwd="********"`, `http_user="me"`,
		`header="X-Key: ********, X-Other: ********"`, `proxy_url="http://********@proxy:1"`, `timeout="4s" (default)`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwant %s in it", got, want)
		}
	}
	if strings.Contains(got, "ca_file") {
		t.Errorf("an option without value is shown:\n%s", got)
	}
}
