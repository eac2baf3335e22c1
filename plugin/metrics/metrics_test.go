package metrics

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/logscope/logscope/engine"
	"github.com/logscope/logscope/loki"
	"github.com/logscope/logscope/plugin/pipeline"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// instance stands for a pipeline: a source whose counts are known.
type instance struct {
	stats  pipeline.Stats
	health pipeline.Health
}

func (i *instance) Stats() pipeline.Stats   { return i.stats }
func (i *instance) Health() pipeline.Health { return i.health }

// full is an instance that has a value for every metric.
func full() *instance {
	i := &instance{}
	s := &i.stats
	s.Records, s.Chunks, s.Redelivered, s.Scoring, s.Keeping = 1000, 3, 1, true, true
	s.Anomalies[engine.ReasonNovelty], s.Anomalies[engine.ReasonFrequency], s.Anomalies[31] = 4, 2, 1
	s.Events[engine.EventDrift] = 1
	s.Refused = map[string]uint64{string(loki.CauseLineTooLong): 7}
	s.Pushes = map[int]uint64{204: 5, 503: 2, 0: 1}
	s.Scores = pipeline.Histogram{Bounds: []float64{0.1, 0.5, 1}, Sum: 12.5, Count: 1001}
	s.Scores.Counts[0], s.Scores.Counts[1], s.Scores.Counts[2] = 990, 6, 4
	s.FlushSeconds = pipeline.Histogram{Bounds: []float64{0.1}}
	s.StateWritten = time.Now().Add(-time.Minute)
	return i
}

// gather returns the families of a collector that holds sources, checked by a pedantic registry.
func gather(t *testing.T, sources map[string]Source) map[string]string {
	t.Helper()
	c := newCollector("v1.2.3")
	c.sources = sources
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(c); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name := family.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetName() + "=" + l.GetValue()
			}
			switch {
			case m.GetHistogram() != nil:
				var buckets []string
				for _, b := range m.GetHistogram().GetBucket() {
					buckets = append(buckets, fmt.Sprintf("%v:%d", b.GetUpperBound(), b.GetCumulativeCount()))
				}
				got[name] = fmt.Sprintf("%s count %d sum %v", strings.Join(buckets, " "), m.GetHistogram().GetSampleCount(), m.GetHistogram().GetSampleSum())
			case m.GetCounter() != nil:
				got[name] = fmt.Sprint(m.GetCounter().GetValue())
			default:
				got[name] = fmt.Sprint(m.GetGauge().GetValue())
			}
		}
	}
	return got
}

func TestValues(t *testing.T) {
	off := &instance{health: pipeline.Health{Tried: true, Err: errors.New("down"), Since: time.Now()}}
	off.stats.Records = 5
	got := gather(t, map[string]Source{"logscope.0": full(), "logscope.1": off})
	for name, want := range map[string]string{
		"logscope_records_total instance=logscope.0":                              "1000",
		"logscope_records_total instance=logscope.1":                              "5",
		"logscope_anomalies_total instance=logscope.0 reason=novelty":             "4",
		"logscope_anomalies_total instance=logscope.0 reason=silence":             "0",
		"logscope_anomalies_total instance=logscope.0 reason=code_31":             "1",
		"logscope_events_total instance=logscope.0 kind=drift":                    "1",
		"logscope_refused_entries_total cause=line_too_long instance=logscope.0":  "7",
		"logscope_refused_entries_total cause=too_far_behind instance=logscope.0": "0",
		"logscope_pushes_total instance=logscope.0 status=204":                    "5",
		"logscope_pushes_total instance=logscope.0 status=none":                   "1",
		"logscope_record_score instance=logscope.0":                               "0.1:990 0.5:996 1:1000 count 1001 sum 12.5",
		"logscope_dropped_total instance=logscope.0":                              "0",
		"logscope_ready instance=logscope.0":                                      "1",
		"logscope_ready instance=logscope.1":                                      "0",
		"logscope_build_info goversion=" + runtime.Version() + " version=v1.2.3":  "1",
		"logscope_models instance=logscope.1":                                     "", // score off
		"logscope_snapshot_age_seconds instance=logscope.1":                       "", // no state file
		"logscope_anomalies_total instance=logscope.1 reason=novelty":             "",
		"logscope_flush_duration_seconds instance=logscope.0":                     "0.1:0 count 0 sum 0",
	} {
		if got[name] != want {
			t.Errorf("%s: got %q; want %q", name, got[name], want)
		}
	}
}

func TestNamesFollowTheConventions(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range rows() {
		if seen[r.name] {
			t.Errorf("%s stands twice in the table", r.name)
		}
		seen[r.name] = true
		counts := r.counter != nil || r.family != nil
		if strings.HasSuffix(r.name, "_total") != counts {
			t.Errorf("%s: a counter, and nothing else, ends in _total", r.name)
		}
		if !regexp.MustCompile(`^logscope_[a-z_]+$`).MatchString(r.name) || r.help == "" || !strings.HasSuffix(r.help, ".") {
			t.Errorf("%s: want a name in lower case and a help that is a sentence; got %q", r.name, r.help)
		}
	}
}

// logLines is a log that can be waited for.
type logLines struct {
	mu    sync.Mutex
	lines []string
	more  chan struct{}
}

func newLog() (*slog.Logger, *logLines) {
	l := &logLines{more: make(chan struct{}, 100)}
	return slog.New(slog.NewTextHandler(l, nil)), l
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(p))
	select {
	case l.more <- struct{}{}:
	default:
	}
	return len(p), nil
}

// await returns the first line that holds text.
func (l *logLines) await(t *testing.T, text string) string {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		l.mu.Lock()
		for _, line := range l.lines {
			if strings.Contains(line, text) {
				l.mu.Unlock()
				return line
			}
		}
		l.mu.Unlock()
		select {
		case <-l.more:
		case <-timeout:
			t.Fatalf("got no log line with %q; got %q", text, l.lines)
		}
	}
}

// get asks without keeping the connection.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// freeAddr is an address that nobody listens on.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestInstancesShareAListener(t *testing.T) {
	var servers Servers
	log, lines := newLog()
	addr := freeAddr(t)
	first := full()
	leave0 := servers.Join(Options{Listen: addr, Version: "v1"}, "logscope.0", first, log)
	leave1 := servers.Join(Options{Listen: addr, Version: "v1"}, "logscope.1", full(), log)
	lines.await(t, "serving /metrics")
	status, body := get(t, "http://"+addr+"/metrics")
	for _, want := range []string{`logscope_records_total{instance="logscope.0"} 1000`, `logscope_records_total{instance="logscope.1"} 1000`, "# TYPE logscope_record_score histogram"} {
		if status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("got %d without %q", status, want)
		}
	}
	if status, body := get(t, "http://"+addr+"/live"); status != http.StatusOK || body != "live\n" {
		t.Errorf("live: got %d %q", status, body)
	}
	if status, _ := get(t, "http://"+addr+"/debug/pprof/"); status != http.StatusNotFound {
		t.Errorf("pprof: got %d; want 404, it is off", status)
	}
	leave0()
	leave0() // once is enough
	if _, body := get(t, "http://"+addr+"/metrics"); strings.Contains(body, "logscope.0") || !strings.Contains(body, "logscope.1") {
		t.Error("got logscope.0 after it left, or no logscope.1")
	}
	leave1()
	if _, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
		t.Error("got a connection after the last instance left")
	}
	// As in a hot reload: the address is free at once, the name is the same.
	leave := servers.Join(Options{Listen: addr, Pprof: true, Version: "v2"}, "logscope.0", full(), log)
	defer leave()
	if status, body := get(t, "http://"+addr+"/metrics"); status != http.StatusOK || !strings.Contains(body, `version="v2"`) {
		t.Errorf("after the reload: got %d", status)
	}
	if status, body := get(t, "http://"+addr+"/debug/pprof/goroutine?debug=1"); status != http.StatusOK || !strings.Contains(body, "goroutine profile") {
		t.Errorf("pprof: got %d %q", status, body)
	}
}

func TestReadySaysWhy(t *testing.T) {
	s := newServer("127.0.0.1:1", "v1", slog.New(slog.DiscardHandler))
	now := time.Now()
	a, b := &instance{}, &instance{health: pipeline.Health{Tried: true, Since: now.Add(-3 * time.Second)}}
	s.add("logscope.0", a)
	s.add("logscope.1", b)
	ask := func() (int, string) {
		rec := &recorder{header: http.Header{}}
		req, _ := http.NewRequest(http.MethodGet, "/ready", nil)
		s.http.Handler.ServeHTTP(rec, req)
		return rec.status, rec.body.String()
	}
	status, body := ask()
	if want := "ready: logscope.0 had nothing to deliver yet\nready: logscope.1, last delivery 3s ago\n"; status != 200 || body != want {
		t.Errorf("got %d %q; want 200 %q", status, body, want)
	}
	b.health = pipeline.Health{Tried: true, Since: now.Add(-90 * time.Second), Err: &loki.Error{Status: 401, Advice: "set tenant_id"}}
	status, body = ask()
	if want := "not ready: logscope.1 cannot deliver for 1m30s: Loki answered 401 Unauthorized; set tenant_id\n"; status != 503 || !strings.HasSuffix(body, want) {
		t.Errorf("got %d %q; want 503 and %q", status, body, want)
	}
}

type recorder struct {
	header http.Header
	status int
	body   strings.Builder
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }

// TestAddressInUseIsNoFailure: it is told when it lasts, and taken when it is free.
func TestAddressInUseIsNoFailure(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log, lines := newLog()
	var servers Servers
	leave := servers.Join(Options{Listen: taken.Addr().String()}, "logscope.0", full(), log)
	defer leave()
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
	lines.await(t, "serving /metrics")
	if status, _ := get(t, "http://"+taken.Addr().String()+"/live"); status != http.StatusOK {
		t.Errorf("got %d; want 200 once the address was free", status)
	}
}

func TestAddressThatCannotBeHad(t *testing.T) {
	log, lines := newLog()
	var servers Servers
	leave := servers.Join(Options{Listen: "192.0.2.1:9", Pprof: true}, "logscope.0", full(), log) // of no machine (RFC 5737)
	lines.await(t, "metrics are not served, logs are shipped")
	lines.await(t, "profiles show memory of this process")
	leave()
}

// TestSlowClientHoldsUpNothing: closing does not wait for one that never asks.
func TestSlowClientHoldsUpNothing(t *testing.T) {
	log, lines := newLog()
	var servers Servers
	addr := freeAddr(t)
	leave := servers.Join(Options{Listen: addr}, "logscope.0", full(), log)
	lines.await(t, "serving /metrics")
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /metrics HTTP/1.1\r\n"); err != nil {
		t.Fatal(err)
	}
	leave()
	if _, err := bufio.NewReader(conn).ReadByte(); err == nil {
		t.Error("got an answer; want the connection closed")
	}
}

// TestNamesListsAll: the page that describes the metrics is held against Names.
func TestNamesListsAll(t *testing.T) {
	for series := range gather(t, map[string]Source{"logscope.0": full()}) {
		if name, _, _ := strings.Cut(series, " "); !slices.Contains(Names(), name) {
			t.Errorf("%s is not among Names()", name)
		}
	}
}

// faulty is a source whose engine is broken.
type faulty struct{ *instance }

func (faulty) Stats() pipeline.Stats { panic("boom") }

func TestFaultInASourceEndsNothing(t *testing.T) {
	s := newServer("127.0.0.1:1", "v1", slog.New(slog.DiscardHandler))
	s.add("logscope.0", faulty{full()})
	s.add("logscope.1", full())
	rec := &recorder{header: http.Header{}}
	req, _ := http.NewRequest(http.MethodGet, "/metrics", nil)
	s.http.Handler.ServeHTTP(rec, req)
	if !strings.Contains(rec.body.String(), `logscope_records_total{instance="logscope.1"} 1000`) {
		t.Errorf("got no metrics of the other instance; status %d", rec.status)
	}
}
