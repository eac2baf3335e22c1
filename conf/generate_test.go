package conf

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the generated files")

// TestGenerated keeps the generated files in step with the table; "make gen" rewrites them.
func TestGenerated(t *testing.T) {
	for path, got := range map[string][]byte{
		"../docs/reference/options.md": AppendReference(nil),
		"fluent-bit.conf":              AppendSampleClassic(nil),
		"fluent-bit.yaml":              AppendSampleYAML(nil),
		"logscope.yaml":                AppendSampleFile(nil),
	} {
		if *update {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("%v: run make gen", err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s is stale, run make gen:\n%s", path, diff)
		}
	}
}

// TestSampleFileLoads: the sample is valid as it is and with every default spelt out.
func TestSampleFileLoads(t *testing.T) {
	sample := string(AppendSampleFile(nil))
	names := make(map[string]bool)
	for _, row := range Rows(Plugin) {
		names[row.Name] = row.Default != ""
	}
	var all strings.Builder
	for line := range strings.Lines(sample) {
		name, _, isOption := strings.Cut(strings.TrimPrefix(line, "# "), ": ")
		if isOption && names[name] {
			line = strings.TrimPrefix(line, "# ")
		}
		all.WriteString(line)
	}
	for _, text := range []string{sample, all.String()} {
		s := mustLoad(t, Plugin, options("config_file", writeFile(t, "sample.yaml", text)))
		want := mustLoad(t, Plugin, options("url", "http://loki:3100", "state_file", "/var/lib/logscope/state"))
		if diff := cmp.Diff(want.Pipeline, s.Pipeline); diff != "" {
			t.Errorf("the sample changes defaults:\n%s", diff)
		}
	}
	if !strings.Contains(all.String(), "\nmessage_key:") {
		t.Error("the defaults were not spelt out")
	}
}

// TestSampleFluentBit reads the two samples back as their formats do and loads the output section.
func TestSampleFluentBit(t *testing.T) {
	var tree struct {
		Service  map[string]any
		Pipeline struct{ Inputs, Outputs []map[string]any }
	}
	if err := yaml.Unmarshal(AppendSampleYAML(nil), &tree); err != nil {
		t.Fatal(err)
	}
	var fromYAML, classic []string
	for key, value := range tree.Pipeline.Outputs[0] {
		fromYAML = append(fromYAML, key, fmt.Sprint(value))
	}
	_, section, _ := strings.Cut(string(AppendSampleClassic(nil)), "[OUTPUT]\n")
	for line := range strings.Lines(section) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			key, value, _ := strings.Cut(line, " ")
			classic = append(classic, key, strings.TrimSpace(value))
		}
	}
	want := mustLoad(t, Plugin, options("url", "http://loki:3100", "state_file", "/var/lib/logscope/state"))
	for format, given := range map[string][]string{"yaml": fromYAML, "classic": classic} {
		got := mustLoad(t, Plugin, fluentBit(given...))
		if diff := cmp.Diff(want.Pipeline, got.Pipeline); diff != "" {
			t.Errorf("%s: %s", format, diff)
		}
		if len(got.Warnings) > 0 {
			t.Errorf("%s: got warnings %q", format, got.Warnings)
		}
	}
}
