package grafana

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/logscope/logscope/plugin/metrics"
)

// ask answers a range query, or an instant one at the end where step is 0.
func (s *scraped) ask(t *testing.T, expr string, from, to time.Time, step time.Duration) (promql.Matrix, error) {
	t.Helper()
	var q promql.Query
	var err error
	if step == 0 {
		q, err = s.engine.NewInstantQuery(t.Context(), s, nil, expr, to)
	} else {
		q, err = s.engine.NewRangeQuery(t.Context(), s, nil, expr, from, to, step)
	}
	if err != nil {
		return nil, err
	}
	defer q.Close()
	result := q.Exec(t.Context())
	if result.Err != nil {
		return nil, result.Err
	}
	switch v := result.Value.(type) {
	case promql.Matrix: // its memory is the query's
		var all promql.Matrix
		for _, one := range v {
			one.Floats = slices.Clone(one.Floats)
			all = append(all, one)
		}
		return all, nil
	case promql.Vector:
		var all promql.Matrix
		for _, one := range v {
			all = append(all, promql.Series{Metric: one.Metric, Floats: []promql.FPoint{{T: one.T, F: one.F}}})
		}
		return all, nil
	}
	return nil, fmt.Errorf("got a %s", result.Value.Type())
}

// testPromQL runs every query of the dashboards about logscope itself on what was scraped of it.
func testPromQL(t *testing.T, r *rig) {
	n := 0
	for _, d := range r.dashboards(t) {
		if d.kind() != "prometheus" {
			continue
		}
		for i, values := range d.choices() {
			for _, p := range d.panels() {
				for _, q := range p.Targets {
					n++
					t.Run(fmt.Sprintf("%s/%s/%s/%d", d.UID, p.Title, q.RefID, i), func(t *testing.T) { r.checkProm(t, &p, &q, values) })
				}
			}
		}
	}
	if n < 80 {
		t.Errorf("got %d queries; want 80 or more", n)
	}
}

func (r *rig) checkProm(t *testing.T, p *panel, q *query, values map[string]string) {
	step := max(p.step(t), 15*time.Second)
	expr := substitute(q.Expr, step, q.Instant, values)
	checkNames(t, expr)
	if q.Instant == q.Range {
		t.Fatalf("instant %v and range %v", q.Instant, q.Range)
	}
	if q.Instant {
		step = 0
	}
	series, err := r.scrapes.ask(t, expr, r.from, r.to, step)
	if err != nil {
		t.Fatalf("%v: %s", err, expr)
	}
	if len(series) == 0 {
		t.Fatalf("found nothing: %s", expr)
	}
	if q.Instant && len(series) != 1 {
		t.Errorf("got %d figures; want one: %s", len(series), expr)
	}
	named := regexp.MustCompile(`\{\{(\w+)\}\}`).FindAllStringSubmatch(q.LegendFormat, -1)
	if len(named) == 0 && len(series) != 1 {
		t.Errorf("got %d series of one name: %s", len(series), expr)
	}
	finite := false
	for _, s := range series {
		for _, m := range named {
			if s.Metric.Get(m[1]) == "" {
				t.Errorf("got a series %v; want the label %s", s.Metric, m[1])
			}
		}
		if s.Metric.Len() != len(named) {
			t.Errorf("got a series %v; want the labels %v alone", s.Metric, named)
		}
		for _, point := range s.Floats {
			finite = finite || !math.IsNaN(point.F)
		}
	}
	if !finite {
		t.Errorf("no value at all: %s", expr)
	}
}

// checkNames demands that the metrics of an expression are logscope's own.
func checkNames(t *testing.T, expr string) {
	t.Helper()
	parsed, err := promParser().ParseExpr(expr)
	if err != nil {
		t.Fatalf("%v: %s", err, expr)
	}
	known := metrics.Names()
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		if v, ok := node.(*parser.VectorSelector); ok {
			name := v.Name
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				if base := strings.TrimSuffix(name, suffix); slices.Contains(known, base) {
					name = base
				}
			}
			if !slices.Contains(known, name) && !strings.HasPrefix(name, "logscope:") {
				t.Errorf("there is no metric %q: %s", v.Name, expr)
			}
		}
		return nil
	})
}

// unshown are metrics that "logscope / Health" leaves out, each for the reason given.
func unshown() map[string]string {
	return map[string]string{
		"logscope_chunks_total":        "records and bytes say it better",
		"logscope_damaged_bytes_total": "damaged chunks are shown",
		"logscope_retry_buffer_chunks": "its bytes are shown, which is what is bounded",
		"logscope_goroutines":          "the heap is shown; pprof has more",
	}
}

// testAllMetricsShown: a new metric is shown, or said not to be worth it.
func testAllMetricsShown(t *testing.T, r *rig) {
	shown := ""
	for _, d := range r.dashboards(t) {
		for _, p := range d.panels() {
			for _, q := range p.Targets {
				shown += q.Expr + "\n"
			}
		}
	}
	left := unshown()
	for _, name := range metrics.Names() {
		if !regexp.MustCompile(name+`(_bucket)?\b`).MatchString(shown) && left[name] == "" {
			t.Errorf("no dashboard shows %s: put it on one, or into unshown with a reason", name)
		}
	}
}
