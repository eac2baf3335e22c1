// Package grafana holds what conf/grafana, conf/loki and conf/prometheus ship against the real
// thing: an hour of logs goes through the plugin's pipeline into a real Loki, then every query
// of every dashboard, rule and page of the docs is run, Loki's ruler loads the rules, and
// Prometheus' own engine answers what is asked of logscope's metrics.
package grafana

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/logscope/logscope/test/lokitest"
)

// rig is what the tests run on.
type rig struct {
	root     string
	loki     *lokitest.Server
	ruler    *ruler // nil: Loki is somebody else's
	scrapes  *scraped
	from, to time.Time // the time that dashboards show
}

// TestGrafana starts one Loki for all that needs it.
func TestGrafana(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real Loki, which takes minutes to build the first time; run make grafana")
	}
	r := &rig{}
	var err error
	if r.root, err = lokitest.Root(); err != nil {
		t.Fatal(err)
	}
	r.ruler = newRuler(t, r.root)
	if r.loki, err = lokitest.Start(t.Context(), lokitest.Options{Progress: os.Stderr, Ruler: r.ruler.section}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.loki.Stop)
	t.Logf("using %s", r.loki.Origin)
	r.fill(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *rig)
	}{
		{"dashboards", testDashboards},
		{"variables", testVariables},
		{"annotations", testAnnotations},
		{"promql", testPromQL},
		{"metrics", testAllMetricsShown},
		{"ruler", testRuler},
		{"prometheus", testPrometheusRules},
		{"alerts", testGrafanaAlerts},
		{"docs", testDocs},
		{"configurations", testConfigurations},
		{"names", testNames},
		{"provisioning", testProvisioning},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, r) })
	}
}

// fill ships the replay, minute by minute, and scrapes the plugin after each.
func (r *rig) fill(t *testing.T) {
	t.Helper()
	port, err := lokitest.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	r.to = begun
	r.from = r.to.Add(-replayed)
	sources := replay(r.to)
	p := startPlugins(t, r.loki.URL, fmt.Sprintf("127.0.0.1:%d", port))
	r.scrapes = newScraped()
	for at := r.from; at.Before(r.to); at = at.Add(time.Minute) {
		p.ship(t, sources, at, at.Add(time.Minute))
		r.scrapes.scrape(t, "http://"+p.listen+"/metrics", at.Add(time.Minute))
	}
	poll(t, func() string { return "no state file was written" }, func() bool {
		r.to = r.to.Add(time.Millisecond) // a scrape more
		r.scrapes.scrape(t, "http://"+p.listen+"/metrics", r.to)
		return len(r.scrapes.labelValues(t, "logscope_snapshot_age_seconds", "job")) > 0
	})
	t.Logf("shipped an hour of %d sources in %v", len(sources), time.Since(begun).Round(time.Millisecond))
}

// read returns a file of the clone.
func (r *rig) read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(r.root, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}
