package grafana

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/s2"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/prompb"
)

const lokiRules = "conf/loki/rules/logscope.yaml"

// ruler is Loki's ruler with the rules of conf/loki, and what it talks to: an
// Alertmanager and a Prometheus that take remote_write, both of the test.
type ruler struct {
	dir     string
	section string // ruler of Loki's configuration
	peers   *httptest.Server

	mu       sync.Mutex
	alerts   map[string]map[string]string // annotations by name of the alert
	recorded map[string][]prompb.TimeSeries
}

// newRuler lays the rules out as docs/grafana.md says: as they are, and once more with times
// that a test can wait for.
func newRuler(t *testing.T, root string) *ruler {
	t.Helper()
	r := &ruler{dir: t.TempDir(), alerts: map[string]map[string]string{}, recorded: map[string][]prompb.TimeSeries{}}
	data, err := os.ReadFile(filepath.Join(root, lokiRules))
	if err != nil {
		t.Fatal(err)
	}
	tenant := filepath.Join(r.dir, "rules", "fake")
	if err := os.MkdirAll(tenant, 0o755); err != nil {
		t.Fatal(err)
	}
	quick := regexp.MustCompile(`(?m)^( +interval:).*`).ReplaceAll(data, []byte("$1 2s"))
	quick = regexp.MustCompile(`(?m)^( +(for|keep_firing_for):).*`).ReplaceAll(quick, []byte("$1 0s"))
	quick = regexp.MustCompile(`(?m)^( +- name: .*)`).ReplaceAll(quick, []byte("$1-quick"))
	for name, content := range map[string][]byte{"logscope.yaml": data, "quick.yaml": quick} {
		if err := os.WriteFile(filepath.Join(tenant, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v2/alerts", r.takeAlerts)
	mux.HandleFunc("POST /api/v1/write", r.takeSamples)
	r.peers = httptest.NewServer(mux)
	t.Cleanup(r.peers.Close)
	page, err := os.ReadFile(filepath.Join(root, "docs/grafana.md"))
	if err != nil {
		t.Fatal(err)
	}
	r.configure(t, string(page))
	return r
}

// configure makes the section of docs/grafana.md one of this machine: its directories and its peers.
func (r *ruler) configure(t *testing.T, page string) {
	t.Helper()
	block, ok := strings.CutPrefix(blocks(page, "loki")[0], "ruler:\n")
	if !ok {
		t.Fatal("docs/grafana.md has no configuration of Loki's ruler")
	}
	local := strings.NewReplacer("/tmp/loki", r.dir+"/scratch", "/etc/loki/rules", filepath.Join(r.dir, "rules"),
		"http://alertmanager:9093", r.peers.URL, "http://prometheus:9090", r.peers.URL)
	r.section = strings.ReplaceAll(local.Replace(strings.TrimPrefix(block, "  ")), "\n  ", "\n")
}

func (r *ruler) takeAlerts(w http.ResponseWriter, req *http.Request) {
	var alerts []struct{ Labels, Annotations map[string]string }
	if err := json.NewDecoder(req.Body).Decode(&alerts); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range alerts {
		r.alerts[a.Labels["alertname"]] = a.Annotations
	}
}

func (r *ruler) takeSamples(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err == nil {
		body, err = s2.Decode(nil, body)
	}
	var write prompb.WriteRequest
	if err == nil {
		err = write.Unmarshal(body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range write.Timeseries {
		for _, l := range s.Labels {
			if l.Name == "__name__" {
				r.recorded[l.Value] = append(r.recorded[l.Value], s)
			}
		}
	}
}

// firing is one alert of Loki's ruler.
type firing struct {
	Name, Namespace, Service, Reason, Severity string
}

// lokiAlerts asks which alerts fire.
func (r *rig) lokiAlerts(t *testing.T) (all []firing, texts []string) {
	t.Helper()
	var data struct {
		Alerts []struct {
			Labels, Annotations map[string]string
			State               string
		}
	}
	r.prometheusAPI(t, "alerts", &data)
	for _, a := range data.Alerts {
		if a.State != "firing" {
			continue
		}
		l := a.Labels
		all = append(all, firing{l["alertname"], l["namespace"], l["service_name"], l["reason"], l["severity"]})
		texts = append(texts, a.Annotations["summary"], a.Annotations["description"])
	}
	slices.SortFunc(all, func(a, b firing) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Reason, b.Reason))
	})
	return slices.Compact(all), texts
}

// prometheusAPI asks Loki's ruler.
func (r *rig) prometheusAPI(t *testing.T, path string, data any) {
	t.Helper()
	resp, err := http.Get(r.loki.URL + "/prometheus/api/v1/" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer := struct{ Data any }{data}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: got %s, %v", path, resp.Status, err)
	}
}

// ownLoki skips a test of the ruler where Loki is somebody else's.
func ownLoki(t *testing.T) {
	t.Helper()
	if os.Getenv("LOKI_URL") != "" {
		t.Skip("LOKI_URL is set: that Loki has a ruler of its own")
	}
}

// poll calls done until it says true, a minute at most.
func poll(t *testing.T, what func() string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatalf("not within a minute: %s", what())
		case <-tick.C:
		}
	}
}

// expected are the alerts that must fire on the replay, and no others but that the engine may give more
// records a high score. That of checkout is one, though three nodes wrote the line.
func expected() []firing {
	return []firing{
		{"LogscopeAnomalyBurst", "shop", "web", "", "warning"},
		{"LogscopeFleet", "", "", "", "critical"},
		{"LogscopeHighScore", "shop", "mail", "sequence", "critical"},
		{"LogscopeRollout", "", "checkout", "", "info"},
		{"LogscopeSilence", "plant", "sensors", "", "warning"},
	}
}

// testRuler: the ruler of a real Loki loads the rules, evaluates each without a fault, and fires what it must.
func testRuler(t *testing.T, r *rig) {
	ownLoki(t)
	var got []firing
	var texts []string
	poll(t, func() string { return gocmp.Diff(expected(), got) }, func() bool {
		got, texts = r.lokiAlerts(t)
		more := slices.DeleteFunc(slices.Clone(got), func(f firing) bool {
			return f.Name == "LogscopeHighScore" && !slices.Contains(expected(), f)
		})
		return slices.Equal(more, expected())
	})
	for _, text := range texts {
		if text == "" || strings.ContainsAny(text, "{}$") || strings.Contains(text, "no value") {
			t.Errorf("got the text %q of an alert", text)
		}
	}
	poll(t, func() string { return fmt.Sprintf("only %v at the Alertmanager", r.ruler.alerts) }, func() bool {
		r.ruler.mu.Lock()
		defer r.ruler.mu.Unlock()
		return !slices.ContainsFunc(expected(), func(f firing) bool { return r.ruler.alerts[f.Name]["runbook_url"] == "" })
	})
	r.checkLoaded(t)
	r.checkRecorded(t)
}

// checkLoaded: all rules of the file are there, and evaluated well.
func (r *rig) checkLoaded(t *testing.T) {
	t.Helper()
	want := map[string]int{}
	for _, g := range parseRules(t, r.read(t, lokiRules)).Groups {
		want[g.Name], want[g.Name+"-quick"] = len(g.Rules), len(g.Rules)
	}
	var data struct {
		Groups []struct {
			Name  string
			Rules []struct{ Name, Health, LastError string }
		}
	}
	got := map[string]int{}
	poll(t, func() string { return fmt.Sprintf("evaluated well: %+v", data) }, func() bool {
		r.prometheusAPI(t, "rules", &data)
		for _, g := range data.Groups {
			got[g.Name] = len(g.Rules)
			for _, rule := range g.Rules {
				if strings.HasSuffix(g.Name, "-quick") && rule.Health != "ok" {
					return false
				}
			}
		}
		return true
	})
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("rules by group (-want +got):\n%s", diff)
	}
}

// checkRecorded: each recording arrives by remote_write, and the two about templates fold the nodes.
func (r *rig) checkRecorded(t *testing.T) {
	t.Helper()
	for _, g := range parseRules(t, r.read(t, lokiRules)).Groups {
		for _, rule := range g.Rules {
			if rule.Record == "" {
				continue
			}
			poll(t, func() string { return rule.Record + " was not written" }, func() bool {
				r.ruler.mu.Lock()
				defer r.ruler.mu.Unlock()
				return len(r.ruler.recorded[rule.Record]) > 0
			})
		}
	}
	r.ruler.mu.Lock()
	defer r.ruler.mu.Unlock()
	ids := map[string]bool{}
	for _, s := range r.ruler.recorded["logscope:template_nodes:count15m"] {
		for _, l := range s.Labels {
			if l.Name == "node" {
				t.Errorf("got a series for each node: %v", s.Labels)
			}
			if l.Name == "logscope_template_id" && s.Samples[0].Value == float64(len(nodes)) {
				ids[l.Value] = true
			}
		}
	}
	if len(ids) != 1 {
		t.Errorf("got the templates %v on %d nodes; want one, the release's", ids, len(nodes))
	}
}

// parseRules reads a rule file of Loki or Prometheus strictly: unknown fields and templates with faults are errors.
func parseRules(t *testing.T, data []byte) *rulefmt.RuleGroups {
	t.Helper()
	groups, errs := rulefmt.Parse(data, false, model.UTF8Validation, promParser(), slog.New(slog.DiscardHandler))
	for _, err := range errs {
		// Loki's expressions are none of Prometheus': the ruler itself has read those.
		if !strings.Contains(err.Error(), "could not parse expression") {
			t.Error(err)
		}
	}
	return groups
}
