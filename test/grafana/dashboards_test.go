package grafana

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/logscope/logscope/test/lokitest"
)

// dashboard is what the tests read of a dashboard's JSON.
type dashboard struct {
	UID, Title  string
	Panels      []panel
	Templating  struct{ List []variable }
	Annotations struct{ List []annotation }
}

type panel struct {
	ID              int
	Type, Title     string
	MaxDataPoints   float64
	Interval        string
	Targets         []query
	Panels          []panel // of a row that is closed
	Transformations []struct {
		ID      string
		Options struct{ Include struct{ Names []string } }
	}
	FieldConfig struct {
		Overrides []struct {
			Matcher    struct{ Options any }
			Properties []struct {
				ID    string
				Value any
			}
		}
	}
}

type query struct {
	RefID, Expr, QueryType, LegendFormat, Format string
	Instant, Range                               bool
	MaxLines                                     int
	Datasource                                   struct{ Type string }
}

type variable struct {
	Name, Type, AllValue string
	Query                any
}

type annotation struct {
	Name, Expr, TitleFormat, TextFormat, TagKeys string
}

// dashboards reads the committed ones.
func (r *rig) dashboards(t *testing.T) []*dashboard {
	t.Helper()
	dir := filepath.Join(r.root, "conf/grafana/dashboards")
	names, err := fs.Glob(os.DirFS(dir), "*.json")
	if err != nil || len(names) < 3 {
		t.Fatalf("got %d dashboards, %v; want 3 or more", len(names), err)
	}
	var all []*dashboard
	for _, name := range names {
		d := &dashboard{}
		if err := json.Unmarshal(r.read(t, "conf/grafana/dashboards/"+name), d); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, d)
	}
	return all
}

// panels returns those of closed rows, too.
func (d *dashboard) panels() []panel {
	var all []panel
	for _, p := range d.Panels {
		if p.Type != "row" {
			all = append(all, p)
		}
		all = append(all, p.Panels...)
	}
	return all
}

// kind is the data source's: loki or prometheus.
func (d *dashboard) kind() string {
	for _, v := range d.Templating.List {
		if v.Type == "datasource" {
			return v.Query.(string)
		}
	}
	return ""
}

// step is the one that Grafana would ask for: the range in so many points, not below the panel's least interval.
func (p *panel) step(t *testing.T) time.Duration {
	t.Helper()
	points := p.MaxDataPoints
	if points == 0 {
		points = 600 // as wide as half a screen
	}
	step := time.Duration(float64(replayed) / points).Round(5 * time.Second)
	if p.Interval != "" {
		least, err := time.ParseDuration(p.Interval)
		if err != nil {
			t.Fatal(err)
		}
		step = max(step, least)
	}
	return max(step, 5*time.Second)
}

// substitute fills variables in, as Grafana does: those of the dashboard, and its own.
func substitute(expr string, step time.Duration, instant bool, values map[string]string) string {
	seconds := func(d time.Duration) string { return fmt.Sprintf("%.0fs", d.Seconds()) }
	auto := step
	if instant {
		auto = replayed
	}
	pairs := []string{
		"$__rate_interval", seconds(max(4*time.Minute, step+time.Minute)),
		"$__auto", seconds(auto), "$__interval", seconds(step), "$__range", seconds(replayed),
	}
	for name, value := range values {
		pairs = append(pairs, "${"+name+"}", value, "$"+name, value)
	}
	return strings.NewReplacer(pairs...).Replace(expr)
}

// choices are the values of a dashboard's variables to test with: all, and one of each.
func (d *dashboard) choices() []map[string]string {
	all := map[string]string{}
	for _, v := range d.Templating.List {
		switch v.Type {
		case "query":
			all[v.Name] = v.AllValue
		case "custom":
			all[v.Name] = ".+"
		}
	}
	one := map[string]string{}
	for name := range all {
		one[name] = map[string]string{
			"namespace": "shop", "service": "(checkout|jobs)", "reason": "(novelty|sequence)", "min_score": "0.[6-9]",
			"job": "logscope", "instance": "node-1:2021",
		}[name]
	}
	return []map[string]string{all, one}
}

// testDashboards runs every query of every panel of the dashboards on Loki.
func testDashboards(t *testing.T, r *rig) {
	n := 0
	for _, d := range r.dashboards(t) {
		if d.kind() != "loki" {
			continue
		}
		for i, values := range d.choices() {
			for _, p := range d.panels() {
				n++
				t.Run(fmt.Sprintf("%s/%s/%d", d.UID, p.Title, i), func(t *testing.T) { r.checkPanel(t, d, &p, values, i == 0) })
			}
		}
	}
	if n < 40 {
		t.Errorf("got %d panels; want 40 or more", n)
	}
}

// checkPanel runs the panel's queries. With all values of the variables, each must find something; with one
// of each it must be answered.
func (r *rig) checkPanel(t *testing.T, d *dashboard, p *panel, values map[string]string, all bool) {
	if len(p.Targets) != 1 {
		t.Fatalf("got %d queries; want one", len(p.Targets))
	}
	q := p.Targets[0]
	step := p.step(t)
	expr := substitute(q.Expr, step, q.QueryType == "instant", values)
	if strings.Contains(expr, "$") {
		t.Fatalf("a variable that the dashboard has not: %s", expr)
	}
	var series []lokitest.Series
	var err error
	switch {
	case !isMetric(expr):
		entries, err := r.loki.Entries(t.Context(), expr, r.from, r.to)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) == 0 && all {
			t.Fatalf("found nothing: %s", expr)
		}
		r.checkEntries(t, p, entries)
		return
	case q.QueryType == "instant":
		series, err = r.loki.Instant(t.Context(), expr, r.to)
	default:
		series, err = r.loki.Range(t.Context(), expr, r.from.Truncate(step), r.to.Truncate(step).Add(step), step)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(series) == 0 && all {
		t.Fatalf("found nothing: %s", expr)
	}
	checkSeries(t, p, series, all)
	if fact := facts()[p.Title]; all && fact != nil {
		fact(t, r, series)
	}
}

// isMetric says whether a LogQL expression gives numbers rather than lines.
func isMetric(expr string) bool { return !strings.HasPrefix(strings.TrimSpace(expr), "{") }

// checkSeries demands the labels that the panel names its series or columns by, and sane values.
func checkSeries(t *testing.T, p *panel, series []lokitest.Series, some bool) {
	t.Helper()
	var want []string
	for _, m := range regexp.MustCompile(`\{\{(\w+)\}\}`).FindAllStringSubmatch(p.Targets[0].LegendFormat, -1) {
		want = append(want, m[1])
	}
	for _, name := range p.columns() {
		if name != "Last *" {
			want = append(want, name)
		}
	}
	highest := 0.0
	for _, s := range series {
		for _, name := range want {
			if s.Metric[name] == "" {
				t.Errorf("got a series %v; want the label %s", s.Metric, name)
			}
		}
		if len(s.Metric) != len(want) {
			t.Errorf("got a series %v; want the labels %v alone", s.Metric, want)
		}
		for _, point := range s.Points {
			if math.IsNaN(point.Value) || point.Value < 0 {
				t.Errorf("got %v at %v in %v", point.Value, point.Time, s.Metric)
			}
			highest = max(highest, point.Value)
		}
	}
	if some && highest == 0 {
		t.Error("all values are 0")
	}
}

// columns are those of a table, by the names that the answer has.
func (p *panel) columns() []string {
	for _, tr := range p.Transformations {
		if tr.ID == "filterFieldsByName" {
			return tr.Options.Include.Names
		}
	}
	return nil
}

// optional are columns that not every anomaly has: a finding without a line has no template, not every log a namespace.
var optional = []string{"namespace", "logscope_template", "logscope_expected", "logscope_observed"}

// checkEntries demands the columns of a table of lines, and that each row's link to Explore leads to it.
func (r *rig) checkEntries(t *testing.T, p *panel, entries []lokitest.Entry) {
	t.Helper()
	seen := map[string]bool{}
	for _, e := range entries {
		row := fieldsOf(e)
		for _, name := range p.columns() {
			if name == "Time" || name == "timestamp" {
				continue
			}
			seen[name] = seen[name] || row[name] != ""
			if row[name] == "" && !slices.Contains(optional, name) {
				t.Errorf("got no %s in %v", name, row)
			}
		}
	}
	for _, name := range optional {
		if slices.Contains(p.columns(), name) && !seen[name] && len(entries) > 0 {
			t.Errorf("the column %s is always empty", name)
		}
	}
	for _, e := range entries[:min(5, len(entries))] {
		r.checkLinks(t, p, e)
	}
}

// fieldsOf is what Grafana's transformation extractFields makes of an entry's labels.
func fieldsOf(e lokitest.Entry) map[string]string {
	row := map[string]string{}
	for _, m := range []map[string]string{e.Stream, e.Metadata, e.Parsed} {
		for name, value := range m {
			row[name] = value
		}
	}
	return row
}

// checkLinks follows the links of a table's row that lead to Explore.
func (r *rig) checkLinks(t *testing.T, p *panel, e lokitest.Entry) {
	t.Helper()
	row := fieldsOf(e)
	row["Service"] = row["service_name"] // as organize renames it
	for _, address := range p.links() {
		if !strings.HasPrefix(address, "/explore?") {
			continue
		}
		expr, from, to := exploreOf(t, address, row)
		around, err := r.loki.Entries(t.Context(), expr, from, to)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(around, func(o lokitest.Entry) bool { return o.Time == e.Time && o.Line == e.Line }) {
			t.Errorf("%s from %v to %v: the line itself is not among the %d: %s", expr, from, to, len(around), e.Line)
		}
	}
}

// facts are what single panels must say of the replay, beyond their shape.
func facts() map[string]func(*testing.T, *rig, []lokitest.Series) {
	names := func(label string, want ...string) func(*testing.T, *rig, []lokitest.Series) {
		return func(t *testing.T, _ *rig, series []lokitest.Series) {
			t.Helper()
			var got []string
			for _, s := range series {
				got = append(got, s.Metric[label])
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("got %v; want %v", got, want)
			}
		}
	}
	// services wants the number of services that have what the selector finds.
	services := func(selector string) func(*testing.T, *rig, []lokitest.Series) {
		return func(t *testing.T, r *rig, series []lokitest.Series) {
			t.Helper()
			want := map[string]bool{}
			for _, e := range r.entries(t, selector) {
				want[e.Stream["service_name"]] = true
			}
			if got := series[0].Points[0].Value; got != float64(len(want)) || len(want) == 0 {
				t.Errorf("got %v; want %v", got, want)
			}
		}
	}
	return map[string]func(*testing.T, *rig, []lokitest.Series){
		"Anomalies by score":    scoreHeatFact,
		"Anomalies by service":  serviceHeatFact,
		"Services that stopped": names("service_name", "reports"),
		"Services that changed": services(`{source="logscope", event="drift"}`),
		"Silent services":       services(`{source="logscope", event="silence"}`),
		"Fleet findings":        services(`{source="logscope", event="fleet"}`), // one finding, of one
		"Services concerned":    services(`{anomaly="true"}`),
		"Same line, how many nodes": func(t *testing.T, _ *rig, series []lokitest.Series) {
			for _, s := range series {
				if strings.HasPrefix(s.Metric["logscope_template"], "setting payment.retries") && s.Points[0].Value == float64(len(nodes)) {
					return
				}
			}
			t.Errorf("got %v; want the release's new line on %d nodes", series, len(nodes))
		},
	}
}

// entries returns what a log query finds in the time that dashboards show.
func (r *rig) entries(t *testing.T, query string) []lokitest.Entry {
	t.Helper()
	found, err := r.loki.Entries(t.Context(), query, r.from, r.to)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// scoreHeatFact: each anomaly is in one cell, and no row or column is missing.
func scoreHeatFact(t *testing.T, r *rig, series []lokitest.Series) {
	found := r.entries(t, `{anomaly="true"}`)
	sum := 0.0
	for _, s := range series {
		for _, p := range s.Points {
			sum += p.Value
		}
	}
	if sum != float64(len(found)) {
		t.Errorf("got %v anomalies in the cells; want %d", sum, len(found))
	}
	if len(series) != 5 {
		t.Fatalf("got %d rows; want those of the scores 0.5 to 0.9", len(series))
	}
	checkColumns(t, series)
}

// serviceHeatFact: the row of all services is the sum of the others, at each time.
func serviceHeatFact(t *testing.T, _ *rig, series []lokitest.Series) {
	sums := map[time.Time]float64{}
	var total []lokitest.Series
	for _, s := range series {
		if s.Metric["service_name"] == "all services" {
			total = append(total, s)
			continue
		}
		for _, p := range s.Points {
			sums[p.Time] += p.Value
		}
	}
	if len(total) != 1 || len(series) < 5 {
		t.Fatalf("got %d rows, %d of them of all services", len(series), len(total))
	}
	checkColumns(t, total)
	for _, p := range total[0].Points {
		if p.Value != sums[p.Time] {
			t.Errorf("at %v: got %v of all services; want the sum %v", p.Time, p.Value, sums[p.Time])
		}
	}
}

// checkColumns demands a value at each minute: the first two columns give the width of all.
func checkColumns(t *testing.T, rows []lokitest.Series) {
	t.Helper()
	for _, s := range rows {
		if len(s.Points) < 60 {
			t.Errorf("%v: got %d columns; want 60 or more", s.Metric, len(s.Points))
		}
		for i := 1; i < len(s.Points); i++ {
			if gap := s.Points[i].Time.Sub(s.Points[i-1].Time); gap != time.Minute {
				t.Fatalf("%v: got columns %v apart; want a minute", s.Metric, gap)
			}
		}
	}
}
