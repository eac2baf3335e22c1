package grafana

import (
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/logscope/logscope/conf"
	"github.com/logscope/logscope/test/lokitest"
)

// blocks returns the fenced blocks of a page that are of a language; "" are those of none.
func blocks(page, language string) []string {
	var all []string
	for _, m := range regexp.MustCompile("(?ms)^ *```([a-z-]*)\n(.*?)^ *```$").FindAllStringSubmatch(page, -1) {
		if m[1] == language {
			all = append(all, strings.TrimSpace(m[2]))
		}
	}
	return all
}

// testDocs runs every LogQL query of the docs and the README.
func testDocs(t *testing.T, r *rig) {
	pages, err := fs.Glob(os.DirFS(r.root), "docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, page := range append(pages, "README.md") {
		text := string(r.read(t, page))
		queries := blocks(text, "logql")
		for _, block := range blocks(text, "") {
			if strings.HasPrefix(block, "{") || strings.HasPrefix(block, "sum ") {
				queries = append(queries, block)
			}
		}
		for i, q := range queries {
			n++
			t.Run(fmt.Sprintf("%s/%d", filepath.Base(page), i+1), func(t *testing.T) { r.checkQuery(t, q) })
		}
	}
	if n < 25 {
		t.Errorf("got %d queries; want 25 or more", n)
	}
}

// checkQuery demands an answer of a query of the docs; a count must be summed.
func (r *rig) checkQuery(t *testing.T, q string) {
	expr := strings.NewReplacer("TEMPLATE_ID", r.oneOf(t, "logscope_template_id"), "SESSION", r.oneOf(t, "logscope_session")).Replace(q)
	instant := !strings.Contains(expr, "$__auto")
	expr = substitute(expr, time.Minute, instant, nil)
	if !isMetric(expr) {
		found, err := r.loki.Entries(t.Context(), expr, r.from, r.to)
		if err != nil || len(found) == 0 {
			t.Errorf("got %d lines, %v: %s", len(found), err, q)
		}
		for _, e := range found {
			if strings.Contains(e.Line, "<no value>") || strings.HasPrefix(e.Line, " ") {
				t.Fatalf("a field that is not there: %q of %s", e.Line, q)
			}
		}
		return
	}
	var series []lokitest.Series
	var err error
	if instant {
		series, err = r.loki.Instant(t.Context(), expr, r.to)
	} else {
		series, err = r.loki.Range(t.Context(), expr, r.from.Truncate(time.Minute), r.to, time.Minute)
	}
	if err != nil || len(series) == 0 || len(series) > 50 {
		t.Fatalf("got %d series, %v: %s", len(series), err, q)
	}
	if strings.Contains(q, "unwrap logscope_weight") {
		r.checkWeights(t, series)
	}
}

// oneOf returns a value that an anomaly of the service mail has.
func (r *rig) oneOf(t *testing.T, name string) string {
	t.Helper()
	found, err := r.loki.Entries(t.Context(), `{anomaly="true", service_name="mail"}`, r.from, r.to)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range found {
		if value := e.Metadata[name]; value != "" {
			return value
		}
	}
	t.Fatalf("no anomaly of mail has a %s", name)
	return ""
}

// checkWeights: the weights of what was sampled sum up to about what was there.
func (r *rig) checkWeights(t *testing.T, series []lokitest.Series) {
	t.Helper()
	kept, err := r.loki.Count(t.Context(), `{service_name="edge"}`, r.from, r.to)
	if err != nil {
		t.Fatal(err)
	}
	want := float64(len(edge(r.from, r.to).lines))
	if got := series[0].Points[0].Value; math.Abs(got-want) > 0.1*want || float64(kept) > want/10 {
		t.Errorf("got %v from %d lines; want about %v", got, kept, want)
	}
}

// testConfigurations reads the configurations of docs/grafana.md as what they are for reads them. That of
// Loki's ruler is the one that the tests' Loki runs with, see newRuler.
func testConfigurations(t *testing.T, r *rig) {
	page := string(r.read(t, "docs/grafana.md"))
	options := map[string]string{"url": "http://loki:3100"}
	for line := range strings.Lines(blocks(page, "fluentbit")[0]) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		options[name] = strings.TrimSpace(value)
	}
	settings, err := conf.Load(conf.Plugin, func(name string) (string, bool) {
		value, ok := options[name]
		return value, ok
	})
	if err != nil || len(settings.Warnings) > 0 {
		t.Errorf("the options for Kubernetes: %v, warnings %q", err, settings.Warnings)
	}
	var prometheus struct {
		ScrapeConfigs []struct {
			JobName       string `yaml:"job_name"`
			StaticConfigs []struct {
				Targets []string `yaml:"targets"`
			} `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	if err := yaml.UnmarshalWithOptions([]byte(blocks(page, "prometheus")[0]), &prometheus, yaml.Strict()); err != nil || len(prometheus.ScrapeConfigs) != 1 {
		t.Errorf("the scrape: %v, %+v", err, prometheus)
	}
}

// testNames: the alerts and recordings that the docs list are those there are.
func testNames(t *testing.T, r *rig) {
	page := string(r.read(t, "docs/grafana.md"))
	for _, g := range parseRules(t, r.read(t, lokiRules)).Groups {
		for _, rule := range g.Rules {
			row := "\n| `" + rule.Alert + rule.Record + "` |"
			if !strings.Contains(page, row) {
				t.Errorf("docs/grafana.md has no row for %s", rule.Alert+rule.Record)
			}
			if severity := rule.Labels["severity"]; rule.Alert != "" && !regexp.MustCompile("`"+rule.Alert+"` .*\\| "+severity+" \\|").MatchString(page) {
				t.Errorf("docs/grafana.md says another severity of %s than %s", rule.Alert, severity)
			}
		}
	}
}

// testProvisioning: data sources and the dashboards' provider are what Grafana reads, and their names fit the rules.
func testProvisioning(t *testing.T, r *rig) {
	var sources struct {
		APIVersion  int `yaml:"apiVersion"`
		Datasources []struct {
			Name      string         `yaml:"name"`
			UID       string         `yaml:"uid"`
			Type      string         `yaml:"type"`
			Access    string         `yaml:"access"`
			URL       string         `yaml:"url"`
			IsDefault bool           `yaml:"isDefault"`
			Editable  bool           `yaml:"editable"`
			JSONData  map[string]any `yaml:"jsonData"`
		} `yaml:"datasources"`
	}
	for _, kind := range []string{"loki", "prometheus"} {
		data := r.read(t, "conf/grafana/provisioning/datasources/"+kind+".yaml")
		if err := yaml.UnmarshalWithOptions(data, &sources, yaml.Strict()); err != nil {
			t.Fatal(err)
		}
		if s := sources.Datasources; sources.APIVersion != 1 || len(s) != 1 || s[0].Type != kind || s[0].UID != "logscope-"+kind || s[0].Access != "proxy" {
			t.Errorf("%s: got %+v", kind, sources)
		}
		if rules := string(r.read(t, "conf/grafana/provisioning/alerting/"+kind+".yaml")); !strings.Contains(rules, "datasourceUid: logscope-"+kind) {
			t.Errorf("the alerts on %s name another data source", kind)
		}
	}
	var providers struct {
		APIVersion int `yaml:"apiVersion"`
		Providers  []struct {
			Name                  string            `yaml:"name"`
			Folder                string            `yaml:"folder"`
			Type                  string            `yaml:"type"`
			DisableDeletion       bool              `yaml:"disableDeletion"`
			AllowUIUpdates        bool              `yaml:"allowUiUpdates"`
			UpdateIntervalSeconds int               `yaml:"updateIntervalSeconds"`
			Options               map[string]string `yaml:"options"`
		} `yaml:"providers"`
	}
	data := r.read(t, "conf/grafana/provisioning/dashboards/logscope.yaml")
	if err := yaml.UnmarshalWithOptions(data, &providers, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	page := string(r.read(t, "docs/grafana.md"))
	if p := providers.Providers; len(p) != 1 || p[0].Type != "file" || !strings.Contains(page, "`"+p[0].Options["path"]+"`") {
		t.Errorf("got %+v; want one provider, its path in docs/grafana.md", p)
	}
}
