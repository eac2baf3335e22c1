package conf

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logscope/logscope/plugin/pipeline"
)

func TestConfigFile(t *testing.T) {
	path := writeFile(t, "logscope.yaml", `# a comment
url: http://loki:3100
TenantID: 007
labels:
  job: "a, b"
  env: $env
label_keys: [host, "$kubernetes['pod_name']"]
structured_metadata:
  - trace=$trace_id
header:
  X-Team: blue
  X-Key: s3cret
no_such_option: 1
`)
	_, err := Load(Plugin, options("config_file", path))
	want := `line 13, column 1: unknown option "no_such_option"; logscope options lists those there are`
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("got %v; want %q in it", err, want)
	}
	if strings.Contains(err.Error(), "is missing") {
		t.Errorf("got %q; what a broken file may have held is not missing", err)
	}

	path = writeFile(t, "logscope.yaml", `
url: http://loki:3100
TenantID: 007
auto-kubernetes-labels: on
labels: {job: "a, b", env: $env}
label_keys: [host, "$kubernetes['pod_name']"]
structured_metadata:
  - trace=$trace_id
header:
  X-Team: blue
  X-Key: s3cret
timeout: 3
drop_single_key: off
line_format:
fail_on_anomaly: on # of another scope
message_key: |
  log
`)
	s := mustLoad(t, Plugin, options("config_file", path, "timeout", "2s"))
	if diff := cmp.Diff([]pipeline.LabelSource{literal("job", "a, b"), fromKey("env", "env"), fromKey("host", "host"),
		fromKey("kubernetes_pod_name", "kubernetes", "pod_name")}, s.Pipeline.Shape.Labels); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{"X-Team": "blue", "X-Key": "s3cret"}, s.Pipeline.Loki.Headers); diff != "" {
		t.Error(diff)
	}
	if got := s.Pipeline.FlushTimeout.String(); got != "2s" {
		t.Errorf("got timeout %s; want 2s, which is given beside the file", got)
	}
	if s.Pipeline.Loki.TenantID != "007" || !s.Pipeline.Shape.AutoKubernetesLabels || s.Pipeline.Shape.DropSingleKey != pipeline.DropSingleKeyOff {
		t.Errorf("scalars are not taken as they stand: %+v", s.Pipeline.Shape)
	}
	dump := strings.Join(s.Dump(), "\n")
	if strings.Contains(dump, "s3cret") || !strings.Contains(dump, `tenant_id="007" (config_file `) {
		t.Errorf("got dump\n%s", dump)
	}
}

func TestConfigFileFaults(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"unknown", "url: http://l\ntenant: s3cret\n", "line 2, column 1: unknown option \"tenant\": did you mean tenant_id?"},
		{"host", "host: loki\n", "did you mean url?"},
		{"no counterpart", "url: http://l\nbatchwait: 1\n", "option batchwait does not exist: a chunk is sent when Fluent Bit flushes it"},
		{"twice", "url: http://l\ntenant_id: a\nTenantID: b\n", "line 3, column 1: option tenant_id is given twice"},
		{"same key", "url: http://l\nurl: http://m\n", "line 2"},
		{"list for one", "url: http://l\ntimeout: [1, 2]\n", "line 2, column 10: option timeout: one value is expected, not a list; allowed: a duration"},
		{"mapping for one", "url: http://l\ntimeout: {a: 1}\n", "one value is expected, not a mapping"},
		{"nested list", "url: http://l\nlabel_keys: [[a]]\n", "a list of texts is expected"},
		{"alias", "url: &u http://l\ntenant_id: *u\n", "a plain value is expected"},
		{"bad value", "url: http://l\nthreshold: 7\n", "option threshold \"7\" (config_file "},
		{"not a mapping", "- url\n", "options are expected, one a line: name: value"},
		{"text", "url\n", "options are expected"},
		{"two documents", "url: http://l\n---\nurl: http://m\n", "one document is expected"},
		{"not YAML", "url: http://l\nlabels: {a: [\n", "line "},
		{"secret in a broken line", "url: http://l\nhttp_passwd: \"s3cret\n", "line "},
		{"secret list", "url: http://l\nhttp_passwd: [s3cret]\n", "one value is expected"},
		{"secret list below", "url: http://l\nhttp_passwd:\n  - s3cret\n", "one value is expected"},
		{"secret misspelt", "url: http://l\nhttp_pass: s3cret\n", "    2 | http_pass: ********\n      | ^"},
		{"secret mapping below", "url: http://l\nhttp_passwd:\n  s3cret: 1\n", "one value is expected"},
		{"only a secret", "s3cret\n", "options are expected"},
		{"secret below", "url: http://l\nbearer_token: |\n  s3cret\n : {s3cret\n", "config_file"},
		{"another file", "config_file: x.yaml\n", "cannot name another config_file"},
		{"snippet", "url: http://l\nforward: [all]\n", "    2 | forward: [all]\n      |          ^"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Load(Plugin, options("config_file", writeFile(t, "f.yaml", test.text)))
			if err == nil {
				t.Fatal("got no error; want one")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %q; want %q in it", err, test.want)
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%q shows a secret", err)
			}
		})
	}
}

func TestConfigFileMissing(t *testing.T) {
	_, err := Load(Plugin, options("config_file", "/does/not/exist.yaml", "url", "http://l"))
	if err == nil || !strings.Contains(err.Error(), "cannot read config_file: open /does/not/exist.yaml") {
		t.Errorf("got %v; want it to name the file", err)
	}
}

func TestConfigFileEmpty(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "---\n", "~\n"} {
		s := mustLoad(t, Scan, options("config_file", writeFile(t, "f.yaml", text)))
		if s.Scan.All {
			t.Error("an empty file sets options")
		}
	}
}

func FuzzConfigFile(f *testing.F) {
	f.Add("# help\nurl: http://loki:3100\nlabels: 'a=b'\n# timeout: 4s\n") // small: the fuzzer shrinks large ones for minutes
	f.Add("labels: {a: b}\nheader: [a]\n? x\n: y\n")
	f.Add("a: &b [*b]\n---\n!!str c: |\n d\n")
	rows := Rows(Plugin)
	f.Fuzz(func(t *testing.T, text string) {
		found, err := parseFile("f.yaml", []byte(text), Plugin, rows)
		for name := range found {
			if err == nil && name == "" {
				t.Fatal("an option without name")
			}
		}
	})
}
