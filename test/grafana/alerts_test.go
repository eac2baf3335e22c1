package grafana

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
)

const prometheusRules = "conf/prometheus/rules/logscope.yaml"

// testPrometheusRules: nothing fires on the replay, where logscope is well; each alert fires on what it is about.
func testPrometheusRules(t *testing.T, r *rig) {
	seen := map[string]bool{}
	for _, rule := range promRules(t, r) {
		seen[rule.Alert] = true
		checkNames(t, rule.Expr)
		well, err := r.scrapes.ask(t, rule.Expr, r.from, r.to, 0)
		if err != nil || len(well) > 0 {
			t.Errorf("%s on a logscope that is well: got %v, %v; want nothing", rule.Alert, well, err)
		}
		sick, ok := illnesses()[rule.Alert]
		if !ok {
			t.Errorf("%s: no case in which it fires", rule.Alert)
			continue
		}
		s := newScraped()
		end := time.Unix(1800000000, 0)
		for at := end.Add(-3 * time.Hour); !at.After(end); at = at.Add(30 * time.Second) {
			sick(s, at, end)
		}
		fires, err := s.ask(t, rule.Expr, end, end, 0)
		if err != nil || len(fires) == 0 {
			t.Errorf("%s: got %v, %v; want it to fire", rule.Alert, fires, err)
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(illnesses())), slices.Sorted(maps.Keys(seen))); diff != "" {
		t.Errorf("alerts (-tested +there):\n%s", diff)
	}
}

func promRules(t *testing.T, r *rig) []rulefmt.Rule {
	t.Helper()
	groups, errs := rulefmt.Parse(r.read(t, prometheusRules), false, model.UTF8Validation, promParser(), slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var all []rulefmt.Rule
	for _, g := range groups.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// illnesses add, at a time, what makes an alert fire at the end.
func illnesses() map[string]func(s *scraped, at, end time.Time) {
	put := func(name string, value func(at, end time.Time) float64, more ...string) func(*scraped, time.Time, time.Time) {
		return func(s *scraped, at, end time.Time) {
			l := labels.FromStrings(append([]string{"__name__", name, "job", "logscope", "instance", "n:2021"}, more...)...)
			s.add(l, at, value(at, end))
		}
	}
	grows := func(at, end time.Time) float64 { return max(0, 1000-end.Sub(at).Minutes()) }
	stands := func(time.Time, time.Time) float64 { return 7 }
	stopped := func(s *scraped, at, end time.Time) {
		if end.Sub(at) > 20*time.Minute {
			s.add(labels.FromStrings("__name__", "logscope:lines:count1m", "namespace", "plant", "service_name", "reports"), at, 20)
		}
	}
	return map[string]func(s *scraped, at, end time.Time){
		"LogscopeNotShipping":     put("logscope_ready", func(time.Time, time.Time) float64 { return 0 }, "exported_instance", "logscope.0"),
		"LogscopeNoRecords":       put("logscope_records_total", stands, "exported_instance", "logscope.0"),
		"LogscopeAbsent":          func(*scraped, time.Time, time.Time) {},
		"LogscopeRefused":         put("logscope_refused_entries_total", grows, "cause", "too_far_behind"),
		"LogscopeDropped":         put("logscope_dropped_total", grows),
		"LogscopeFault":           put("logscope_unscored_records_total", grows),
		"LogscopeStateNotWritten": put("logscope_snapshot_age_seconds", func(at, end time.Time) float64 { return 9000 - end.Sub(at).Seconds() }),
		"LogscopeForgets":         put("logscope_evicted_models_total", grows),
		"LogscopeServiceStopped":  stopped,
	}
}

// unifiedFile is a file of Grafana's alerting provisioning as its own types have it (pkg/services/provisioning/alerting):
// fields that those have not are faults.
type unifiedFile struct {
	APIVersion int `yaml:"apiVersion"`
	Groups     []struct {
		OrgID    int64  `yaml:"orgId"`
		Name     string `yaml:"name"`
		Folder   string `yaml:"folder"`
		Interval string `yaml:"interval"`
		Rules    []struct {
			UID           string            `yaml:"uid"`
			Title         string            `yaml:"title"`
			Condition     string            `yaml:"condition"`
			DashboardUID  string            `yaml:"dashboardUid"`
			PanelID       int64             `yaml:"panelId"`
			NoDataState   string            `yaml:"noDataState"`
			ExecErrState  string            `yaml:"execErrState"`
			For           string            `yaml:"for"`
			KeepFiringFor string            `yaml:"keepFiringFor"`
			Annotations   map[string]string `yaml:"annotations"`
			Labels        map[string]string `yaml:"labels"`
			IsPaused      bool              `yaml:"isPaused"`
			Data          []struct {
				RefID             string `yaml:"refId"`
				QueryType         string `yaml:"queryType"`
				RelativeTimeRange struct {
					From int `yaml:"from"`
					To   int `yaml:"to"`
				} `yaml:"relativeTimeRange"`
				DatasourceUID string `yaml:"datasourceUid"`
				Model         struct {
					RefID      string            `yaml:"refId"`
					Expr       string            `yaml:"expr"`
					QueryType  string            `yaml:"queryType"`
					EditorMode string            `yaml:"editorMode"`
					Instant    bool              `yaml:"instant"`
					Range      bool              `yaml:"range"`
					Datasource map[string]string `yaml:"datasource"`
					Type       string            `yaml:"type"`
					Expression string            `yaml:"expression"`
					Conditions []struct {
						Evaluator struct {
							Type   string    `yaml:"type"`
							Params []float64 `yaml:"params"`
						} `yaml:"evaluator"`
					} `yaml:"conditions"`
				} `yaml:"model"`
			} `yaml:"data"`
		} `yaml:"rules"`
	} `yaml:"groups"`
}

// testGrafanaAlerts: Grafana's alerts say what those of Loki and Prometheus say, and fire on the same.
func testGrafanaAlerts(t *testing.T, r *rig) {
	fire := map[string]bool{}
	for _, name := range []string{"loki", "prometheus"} {
		var file unifiedFile
		path := "conf/grafana/provisioning/alerting/" + name + ".yaml"
		if err := yaml.UnmarshalWithOptions(r.read(t, path), &file, yaml.Strict()); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, g := range file.Groups {
			if _, err := time.ParseDuration(g.Interval); err != nil || g.Name == "" || g.Folder == "" {
				t.Errorf("%s: group %q, folder %q, interval %q", path, g.Name, g.Folder, g.Interval)
			}
			for _, rule := range g.Rules {
				if len(rule.Data) != 2 || rule.Condition != rule.Data[1].RefID || rule.Data[1].Model.Expression != rule.Data[0].RefID {
					t.Fatalf("%s: got %+v; want a query and a threshold on it", rule.Title, rule.Data)
				}
				over := rule.Data[1].Model.Conditions[0].Evaluator
				if over.Type != "gt" || len(over.Params) != 1 || len(rule.UID) > 40 || rule.DashboardUID == "" || rule.PanelID == 0 {
					t.Errorf("%s: %+v, uid %q, dashboard %q, panel %d", rule.Title, over, rule.UID, rule.DashboardUID, rule.PanelID)
				}
				for _, value := range r.unifiedValues(t, name, rule.Data[0].Model.Expr) {
					fire[rule.Title] = fire[rule.Title] || value > over.Params[0]
				}
				r.checkTwin(t, name, rule.Title, rule.Data[0].Model.Expr, over.Params[0], rule.Labels["severity"])
			}
		}
	}
	var want []string
	for _, f := range expected() {
		want = append(want, f.Name)
	}
	got := slices.DeleteFunc(slices.Sorted(maps.Keys(fire)), func(name string) bool { return !fire[name] })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("alerts of Grafana that fire (-want +got):\n%s", diff)
	}
}

// unifiedValues runs query A of an alert.
func (r *rig) unifiedValues(t *testing.T, kind, expr string) (values []float64) {
	t.Helper()
	if kind == "loki" {
		series, err := r.loki.Instant(t.Context(), expr, r.to)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range series {
			values = append(values, s.Points[0].Value)
		}
		return values
	}
	series, err := r.scrapes.ask(t, expr, r.from, r.to, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range series {
		values = append(values, s.Floats[0].F)
	}
	return values
}

// checkTwin: the rule of the same name measures the same against the same number.
func (r *rig) checkTwin(t *testing.T, kind, name, expr string, over float64, severity string) {
	t.Helper()
	path := lokiRules
	if kind == "prometheus" {
		path = prometheusRules
	}
	for _, g := range parseRules(t, r.read(t, path)).Groups {
		for _, rule := range g.Rules {
			if rule.Alert != name {
				continue
			}
			if want := fmt.Sprintf("(%s) > %v", expr, over); rule.Expr != want || rule.Labels["severity"] != severity {
				t.Errorf("%s: %s has %q, %s; Grafana's has %q, %s", name, path, rule.Expr, rule.Labels["severity"], want, severity)
			}
			if !strings.HasPrefix(rule.Annotations["runbook_url"], "https://github.com/logscope/logscope/blob/main/docs/operations.md#") {
				t.Errorf("%s: got the runbook %q", name, rule.Annotations["runbook_url"])
			}
			return
		}
	}
	t.Errorf("%s: %s has no such alert", name, path)
}
