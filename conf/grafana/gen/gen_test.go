package main

import (
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/grafana/grafana-foundation-sdk/go/alerting"
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

var update = flag.Bool("update", false, "rewrite the generated files")

const confDir = "../.."

// TestGenerated keeps the committed files in step with this package; "make gen" rewrites them.
func TestGenerated(t *testing.T) {
	if *update {
		if err := write(confDir); err != nil {
			t.Fatal(err)
		}
		return
	}
	all, err := files()
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range all {
		want, err := os.ReadFile(filepath.Join(confDir, name))
		if err != nil {
			t.Errorf("%v: run make gen", err)
			continue
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("conf/%s is stale, run make gen:\n%.3000s", name, diff)
		}
	}
	// A dashboard that is made no more must not stay behind.
	old, err := fs.Glob(os.DirFS(confDir), "grafana/dashboards/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range old {
		if all[name] == nil {
			t.Errorf("conf/%s is not made any more, remove it", name)
		}
	}
}

// built returns the dashboards, decoded as strictly as the SDK can from what is written.
func built(t *testing.T) map[string]*dashboard.Dashboard {
	t.Helper()
	plugins.RegisterDefaultPlugins()
	all, err := files()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]*dashboard.Dashboard{}
	for name, data := range all {
		if filepath.Ext(name) != ".json" {
			continue
		}
		// The SDK's strict reading returns a list of faults, also where it is empty, and then keeps no panel: read twice.
		var faults cog.BuildErrors
		if err := new(dashboard.Dashboard).UnmarshalJSONStrict(data); err != nil && (!errors.As(err, &faults) || len(faults) > 0) {
			t.Fatalf("%s: %v", name, err)
		}
		d := &dashboard.Dashboard{}
		if err := json.Unmarshal(data, d); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got[*d.Uid] = d
	}
	return got
}

// TestStrict: what is written reads back strictly, and says the same.
func TestStrict(t *testing.T) {
	all, err := files()
	if err != nil {
		t.Fatal(err)
	}
	for uid, d := range built(t) {
		again, err := encodeDashboard(d)
		if err != nil {
			t.Fatal(err)
		}
		var want, got any
		if err := errors.Join(json.Unmarshal(all["grafana/dashboards/"+uid+".json"], &want), json.Unmarshal(again, &got)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s reads back as something else:\n%.2000s", uid, diff)
		}
	}
}

// panels returns all panels, those in rows that are closed included.
func panels(d *dashboard.Dashboard) []dashboard.Panel {
	var all []dashboard.Panel
	for _, p := range d.Panels {
		if p.Panel != nil {
			all = append(all, *p.Panel)
		} else {
			all = append(all, p.RowPanel.Panels...)
		}
	}
	return all
}

// TestGrid: ids are unique, panels fill rows of 24 columns, and none lies on another.
func TestGrid(t *testing.T) {
	for uid, d := range built(t) {
		ids := map[uint32]bool{}
		taken := map[[2]uint32]string{}
		for _, p := range panels(d) {
			if ids[*p.Id] {
				t.Errorf("%s: two panels have the id %d", uid, *p.Id)
			}
			ids[*p.Id] = true
			g := p.GridPos
			if g.X+g.W > 24 {
				t.Errorf("%s: %q ends at column %d; want 24 at most", uid, *p.Title, g.X+g.W)
			}
			for x := g.X; x < g.X+g.W; x++ {
				for y := g.Y; y < g.Y+g.H; y++ {
					if other := taken[[2]uint32{x, y}]; other != "" {
						t.Fatalf("%s: %q lies on %q", uid, *p.Title, other)
					}
					taken[[2]uint32{x, y}] = *p.Title
				}
			}
		}
		for y := uint32(0); y < 60; y++ {
			n := 0
			for x := range uint32(24) {
				if taken[[2]uint32{x, y}] != "" {
					n++
				}
			}
			if n != 0 && n != 24 {
				t.Errorf("%s: at height %d only %d of 24 columns are filled", uid, y, n)
			}
		}
	}
}

// TestLinterRules are the rules of grafana/dashboard-linter that apply, as its documentation has them:
// the module itself is not served by the Go module proxy.
func TestLinterRules(t *testing.T) {
	for uid, d := range built(t) {
		if d.Editable == nil || *d.Editable {
			t.Errorf("%s is editable: a provisioned dashboard loses what is edited", uid)
		}
		kind := lintVariables(t, uid, d)
		for _, p := range panels(d) {
			if p.Title == nil || *p.Title == "" || p.Description == nil || *p.Description == "" {
				t.Errorf("%s: panel %d has no title or no description", uid, *p.Id)
			}
			if p.Datasource == nil || *p.Datasource.Uid != "${datasource}" || *p.Datasource.Type != kind {
				t.Errorf("%s: %q does not use the data source variable", uid, *p.Title)
			}
			if p.Type != "logs" && p.Type != "heatmap" && (p.FieldConfig == nil || p.FieldConfig.Defaults.Unit == nil) {
				t.Errorf("%s: %q has no unit", uid, *p.Title)
			}
			if len(p.Targets) == 0 {
				t.Errorf("%s: %q asks nothing", uid, *p.Title)
			}
			for _, expr := range exprs(t, p) {
				if kind == "loki" {
					lintLogQL(t, uid+": "+*p.Title, expr)
				} else {
					lintPromQL(t, uid+": "+*p.Title, expr)
				}
			}
		}
	}
}

// lintVariables returns the kind of the data source.
func lintVariables(t *testing.T, uid string, d *dashboard.Dashboard) (kind string) {
	t.Helper()
	names := map[string]bool{}
	for _, v := range d.Templating.List {
		names[v.Name] = true
		switch v.Type {
		case dashboard.VariableTypeDatasource:
			kind = *v.Query.String
			if v.Name != "datasource" || *v.Label != "Data source" {
				t.Errorf("%s: the data source variable is %q, %q", uid, v.Name, *v.Label)
			}
		case dashboard.VariableTypeQuery:
			if *v.Refresh != dashboard.VariableRefreshOnTimeRangeChanged {
				t.Errorf("%s: variable %s is not read again when the time changes", uid, v.Name)
			}
			if *v.Datasource.Uid != "${datasource}" {
				t.Errorf("%s: variable %s does not use the data source variable", uid, v.Name)
			}
		}
	}
	if kind == "prometheus" && !(names["job"] && names["instance"]) {
		t.Errorf("%s: got variables %v; want job and instance", uid, names)
	}
	return kind
}

func exprs(t *testing.T, p dashboard.Panel) []string {
	t.Helper()
	var all []string
	for _, q := range p.Targets {
		data, err := json.Marshal(q)
		if err != nil {
			t.Fatal(err)
		}
		var fields struct{ Expr string }
		if err := json.Unmarshal(data, &fields); err != nil {
			t.Fatal(err)
		}
		all = append(all, fields.Expr)
	}
	return all
}

// lintLogQL demands $__auto, or $__range in a figure, of all but one query that compares with a fixed time,
// and that every metric query is an aggregation: structured metadata joins its series otherwise.
func lintLogQL(t *testing.T, where, expr string) {
	t.Helper()
	for _, m := range regexp.MustCompile(`\[([^\]]+)\]\)`).FindAllStringSubmatch(expr, -1) {
		if m[1] != "$__auto" && m[1] != "$__range" && !strings.Contains(expr, "unless") {
			t.Errorf("%s: got the fixed time %s; want $__auto: %s", where, m[1], expr)
		}
	}
	summed := regexp.MustCompile(`sum( by \([^)]*\) )?\(count_over_time`).FindAllString(expr, -1)
	if n := strings.Count(expr, "count_over_time"); n != len(summed) {
		t.Errorf("%s: %d counts, %d of them summed: %s", where, n, len(summed), expr)
	}
}

// lintPromQL demands the matchers of job and instance, and $__rate_interval in rates, or $__range in a figure.
func lintPromQL(t *testing.T, where, expr string) {
	t.Helper()
	for _, m := range regexp.MustCompile(`logscope_\w+(\{[^}]*\})?`).FindAllStringSubmatch(expr, -1) {
		if !strings.Contains(m[1], `job=~"$job"`) || !strings.Contains(m[1], `instance=~"$instance"`) {
			t.Errorf("%s: no matchers of job and instance: %s", where, m[0])
		}
	}
	for _, m := range regexp.MustCompile(`\[([^\]]+)\]`).FindAllStringSubmatch(expr, -1) {
		if m[1] != "$__rate_interval" && m[1] != "$__range" {
			t.Errorf("%s: got the fixed time %s; want $__rate_interval: %s", where, m[1], expr)
		}
	}
}

// TestHeatmaps: the settings without which a heatmap of ours shows something else, see heat.
func TestHeatmaps(t *testing.T) {
	n := 0
	for uid, d := range built(t) {
		for _, p := range panels(d) {
			if p.Type != "heatmap" {
				continue
			}
			n++
			data, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			var got struct {
				Options struct {
					Calculate bool
					RowsFrame struct{ Layout string }
				}
				Targets []struct{ Expr, Format, LegendFormat string }
			}
			if err := json.Unmarshal(data, &got); err != nil {
				t.Fatal(err)
			}
			q := got.Targets[0]
			cumulative := strings.Contains(q.Expr, "_bucket{")
			switch {
			case got.Options.Calculate:
				t.Errorf("%s: %q counts values of its own", uid, *p.Title)
			case cumulative != (q.Format == "heatmap") || cumulative != (got.Options.RowsFrame.Layout == "le"):
				t.Errorf("%s: %q: format %q, layout %q for %s", uid, *p.Title, q.Format, got.Options.RowsFrame.Layout, q.Expr)
			case !cumulative && !strings.Contains(q.Expr, "vector(0)"):
				t.Errorf("%s: %q has no zeros: its columns have no width of their own", uid, *p.Title)
			case !regexp.MustCompile(`^\{\{\w+\}\}$`).MatchString(q.LegendFormat):
				t.Errorf("%s: %q: rows are named %q; want one label", uid, *p.Title, q.LegendFormat)
			}
		}
	}
	if n < 4 {
		t.Errorf("got %d heatmaps; want at least 4", n)
	}
}

// TestAlertQueries: the queries of Grafana's alerts read strictly as the SDK's types.
func TestAlertQueries(t *testing.T) {
	plugins.RegisterDefaultPlugins()
	for kind, alerts := range map[string][]alert{"loki": lokiAlerts(), "prometheus": prometheusAlerts()} {
		for i := range alerts {
			rule := alerts[i].unified(kind, "logscope-"+kind)
			for _, q := range rule.Data {
				fields := map[string]any{
					"refId": q.RefID, "datasourceUid": q.DatasourceUID, "model": q.Model,
					"relativeTimeRange": map[string]int{"from": q.RelativeTimeRange.From, "to": q.RelativeTimeRange.To},
				}
				if q.QueryType != "" {
					fields["queryType"] = q.QueryType
				}
				data, err := json.Marshal(fields)
				if err != nil {
					t.Fatal(err)
				}
				var faults cog.BuildErrors
				if err := new(alerting.Query).UnmarshalJSONStrict(data); err != nil && (!errors.As(err, &faults) || len(faults) > 0) {
					t.Errorf("%s, query %s: %v\n%s", rule.Title, q.RefID, err, data)
				}
			}
		}
	}
}

// TestAlerts: each alert names a panel there is, has a section in docs/operations.md, and can be read by a person.
func TestAlerts(t *testing.T) {
	docs, err := os.ReadFile("../../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	dashboards := built(t)
	seen := map[string]bool{}
	for _, a := range append(lokiAlerts(), prometheusAlerts()...) {
		if seen[a.name] {
			t.Errorf("two alerts are named %s", a.name)
		}
		seen[a.name] = true
		if !strings.Contains(string(docs), "\n### "+a.name+"\n") {
			t.Errorf("docs/operations.md has no section %q, which its runbook links to", "### "+a.name)
		}
		d := dashboards[a.dashboard]
		if d == nil || !slices.ContainsFunc(panels(d), func(p dashboard.Panel) bool { return int(*p.Id) == a.panel }) {
			t.Errorf("%s: there is no panel %d on %q", a.name, a.panel, a.dashboard)
		}
		for _, span := range []string{a.wait, a.window, a.keep} {
			if _, err := time.ParseDuration(span); err != nil && span != "" {
				t.Errorf("%s: %v", a.name, err)
			}
		}
		for _, m := range regexp.MustCompile(`\$labels\.(\w+)`).FindAllStringSubmatch(a.summary+a.description, -1) {
			if !regexp.MustCompile(`by \([^)]*\b` + m[1] + `\b`).MatchString(a.expr) {
				t.Errorf("%s: its text has the label %s, its expression has not: %s", a.name, m[1], a.expr)
			}
		}
		if !slices.Contains([]string{"critical", "warning", "info"}, a.severity) || a.summary == "" || a.description == "" {
			t.Errorf("%s: severity %q, summary %q, description %q", a.name, a.severity, a.summary, a.description)
		}
	}
}
