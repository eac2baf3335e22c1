package grafana

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// labelValues reads label_values(selector, label), the form of a variable's query in both data sources.
func labelValues(t *testing.T, v variable, values map[string]string) (selector, label string) {
	t.Helper()
	text, _ := v.Query.(string)
	m := regexp.MustCompile(`^label_values\((.+),\s*([a-zA-Z_]\w*)\)$`).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("variable %s: cannot read its query %q", v.Name, text)
	}
	return substitute(m[1], 0, false, values), m[2]
}

// testVariables asks for the values of each variable, and wants exactly those of the replay.
func testVariables(t *testing.T, r *rig) {
	want := map[string][]string{
		"logscope-overview namespace": {"plant", "shop"},
		"logscope-service namespace":  {"plant", "shop"},
		"logscope-service service":    r.services(t),
		"logscope-service reason":     r.reasons(t),
		"logscope-health job":         {"logscope"},
		"logscope-health instance":    {"node-1:2021"},
	}
	got := map[string][]string{}
	for _, d := range r.dashboards(t) {
		for _, v := range d.Templating.List {
			switch v.Type {
			case "query":
				selector, label := labelValues(t, v, d.choices()[0])
				ask := r.lokiLabelValues
				if d.kind() == "prometheus" {
					ask = r.scrapes.labelValues
				}
				got[d.UID+" "+v.Name] = ask(t, selector, label)
			case "custom":
				checkScores(t, r, d, v)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("values of variables (-want +got):\n%s", diff)
	}
}

// services are those that have any line in Loki.
func (r *rig) services(t *testing.T) []string {
	t.Helper()
	streams, err := r.loki.Series(t.Context(), `{service_name=~".+"}`, r.from, r.to)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, s := range streams {
		all = append(all, s["service_name"])
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// reasons are those that the engine gave on the replay: most there are.
func (r *rig) reasons(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, e := range r.entries(t, `{anomaly="true"}`) {
		all = append(all, e.Stream["reason"])
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if len(all) < 7 {
		t.Errorf("got the reasons %v; want 7 or more", all)
	}
	return all
}

// checkScores: each value of the lowest score finds what has that score, and no more.
func checkScores(t *testing.T, r *rig, d *dashboard, v variable) {
	t.Helper()
	last := 1 << 30
	for choice := range strings.SplitSeq(v.Query.(string), ",") {
		m := regexp.MustCompile(`^\s*(.+)\s:\s(.+)$`).FindStringSubmatch(choice) // as Grafana reads it
		if m == nil {
			t.Fatalf("%s: cannot read the choice %q", d.UID, choice)
		}
		found, err := r.loki.Entries(t.Context(), fmt.Sprintf(`{anomaly="true", score_bucket=~%q}`, m[2]), r.from, r.to)
		if err != nil {
			t.Fatal(err)
		}
		least, _ := strconv.ParseFloat(m[1][:min(3, len(m[1]))], 64) // "any" is 0
		for _, e := range found {
			if got, _ := strconv.ParseFloat(e.Stream["score_bucket"], 64); got < least {
				t.Errorf("%s: %q finds the score_bucket %v", d.UID, choice, got)
			}
		}
		if len(found) == 0 || len(found) > last {
			t.Errorf("%s: %q finds %d, the choice before %d", d.UID, choice, len(found), last)
		}
		last = len(found)
	}
}

// lokiLabelValues asks Loki as Grafana's variable editor does.
func (r *rig) lokiLabelValues(t *testing.T, selector, label string) []string {
	t.Helper()
	args := url.Values{"query": {selector}, "start": {strconv.FormatInt(r.from.UnixNano(), 10)}, "end": {strconv.FormatInt(r.to.UnixNano(), 10)}}
	resp, err := http.Get(r.loki.URL + "/loki/api/v1/label/" + label + "/values?" + args.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct{ Data []string }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("label_values(%s, %s): %s, %v", selector, label, resp.Status, err)
	}
	return answer.Data
}

// labelValues answers as Prometheus' /api/v1/label does.
func (s *scraped) labelValues(t *testing.T, selector, label string) []string {
	t.Helper()
	matchers, err := promParser().ParseMetricSelector(selector)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, one := range s.series {
		if !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(one.labels.Get(m.Name)) }) {
			all = append(all, one.labels.Get(label))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// testAnnotations runs the queries behind the marks over the charts.
func testAnnotations(t *testing.T, r *rig) {
	n := 0
	for _, d := range r.dashboards(t) {
		for _, a := range d.Annotations.List {
			if a.Expr == "" {
				continue // Grafana's own
			}
			n++
			found, err := r.loki.Entries(t.Context(), substitute(a.Expr, 0, false, d.choices()[0]), r.from, r.to)
			if err != nil {
				t.Fatal(err)
			}
			if len(found) == 0 {
				t.Errorf("%s: %s marks nothing: %s", d.UID, a.Name, a.Expr)
			}
			for _, e := range found {
				row := fieldsOf(e)
				for _, m := range regexp.MustCompile(`\{\{(\w+)\}\}`).FindAllStringSubmatch(a.TitleFormat+a.TextFormat, -1) {
					if row[m[1]] == "" {
						t.Errorf("%s: %s: got no %s in %v", d.UID, a.Name, m[1], row)
					}
				}
			}
		}
	}
	if n < 6 {
		t.Errorf("got %d annotations; want 6 or more", n)
	}
}

func promParser() parser.Parser { return parser.NewParser(parser.Options{}) }
