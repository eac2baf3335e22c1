package pipeline

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logscope/logscope/engine"
	"github.com/logscope/logscope/test/sink"
)

// watcher notes what it is shown.
type watcher struct {
	mu        sync.Mutex
	lines     []string
	anomalies []string
	panics    bool
}

func (w *watcher) Observe(s Seen) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.panics {
		panic("test")
	}
	if len(s.Records) != len(s.Verdicts) {
		panic("records and verdicts do not belong together")
	}
	for i := range s.Verdicts {
		w.lines = append(w.lines, s.Records[i].Stream+" "+string(s.Records[i].Line))
		if s.Verdicts[i].Anomaly {
			w.anomalies = append(w.anomalies, string(s.Records[i].Line))
		}
	}
}

const oddLine = "FATAL kernel panic in block device driver, filesystem remounted read-only"

func TestAnObserverIsShownEachRecordOnce(t *testing.T) {
	s := sink.New(t)
	w := &watcher{}
	p, _ := start(t, s, func(cfg *Config) { cfg.Observer = w })
	var down atomic.Bool
	down.Store(true)
	s.Answer = func(*http.Request, int) (int, string, bool) {
		if down.Load() {
			return http.StatusServiceUnavailable, "", false
		}
		return 0, "", true
	}
	texts := append(normal(6000), oddLine)
	data := lines(t, texts...)
	if got := p.Flush("app", data); got != Retry {
		t.Fatalf("got %v; want Retry", got)
	}
	down.Store(false)
	if got := p.Flush("app", data); got != OK {
		t.Fatalf("got %v; want OK", got)
	}
	var want []string
	for _, text := range texts {
		want = append(want, "app "+text)
	}
	if diff := cmp.Diff(want, w.lines); diff != "" {
		t.Errorf("what was shown (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{oddLine}, w.anomalies); diff != "" {
		t.Errorf("anomalies (-want +got):\n%s", diff)
	}
}

// TestAnObserverThatPanicsCostsNoRecord: nor a verdict.
func TestAnObserverThatPanicsCostsNoRecord(t *testing.T) {
	s := sink.New(t)
	p, log := start(t, s, func(cfg *Config) { cfg.Observer = &watcher{panics: true} })
	if got := p.Flush("app", lines(t, append(normal(6000), oddLine)...)); got != OK {
		t.Fatalf("got %v; want OK", got)
	}
	tagged := 0
	for _, e := range s.Entries() {
		if e.Line == oddLine && strings.Contains(e.Labels, `anomaly="true"`) {
			tagged++
		}
	}
	if stats := p.Stats(); len(s.Entries()) < 6001 || tagged != 1 || stats.Panics != 1 || stats.Unscored != 0 {
		t.Errorf("got %d entries, %d tagged, %d panics, %d unscored; want all, 1, 1, 0", len(s.Entries()), tagged, stats.Panics, stats.Unscored)
	}
	if !strings.Contains(log.String(), "showing what is scored goes on") {
		t.Errorf("got log %q; want the fault to be told", log)
	}
}

func TestJudgeLearnsNothing(t *testing.T) {
	s := sink.New(t)
	p, _ := start(t, s, nil)
	if _, err := p.Judge("app", []byte(oddLine)); !errors.Is(err, ErrNoModel) {
		t.Errorf("got %v; want ErrNoModel before anything was learned", err)
	}
	p.Flush("app", lines(t, normal(6000)...))
	before := p.Stats()
	for range 3 {
		v, err := p.Judge("app", []byte(oddLine))
		if err != nil || !v.Anomaly || v.Reason != engine.ReasonNovelty || v.Explanation == "" {
			t.Errorf("got %+v, %v; want an anomaly, each time anew", v, err)
		}
	}
	if v, err := p.Judge("app", []byte("request 7 served in 12 ms")); err != nil || v.Anomaly || v.Template == "" {
		t.Errorf("got %+v, %v; want a known template, and no anomaly", v, err)
	}
	if _, err := p.Judge("web", []byte(oddLine)); !errors.Is(err, ErrNoModel) {
		t.Errorf("got %v; want ErrNoModel of a stream that never came", err)
	}
	after := p.Stats()
	if diff := cmp.Diff(before.Engine, after.Engine); diff != "" {
		t.Errorf("what the engine knows (-before +after):\n%s", diff)
	}
}

// TestJudgeSurvivesAPanic: the engine is replaced, as it is when a record of the log does it.
func TestJudgeSurvivesAPanic(t *testing.T) {
	s := sink.New(t)
	p, _ := start(t, s, nil)
	p.Flush("app", lines(t, normal(600)...))
	p.beforeScore = func() { panic("test") }
	if _, err := p.Judge("app", []byte("x")); err == nil || !strings.Contains(err.Error(), "panic") {
		t.Errorf("got %v; want the panic as an error", err)
	}
	p.beforeScore = nil
	if got := p.Flush("app", lines(t, normal(700)...)); got != OK || p.Stats().Panics != 1 {
		t.Errorf("got %v and %d panics; want OK and 1", got, p.Stats().Panics)
	}
}

func TestTeachReachesTheEngine(t *testing.T) {
	s := sink.New(t)
	p, _ := start(t, s, nil)
	p.Flush("app", lines(t, append(normal(6000), oddLine)...))
	v, err := p.Judge("app", []byte(oddLine))
	if err != nil {
		t.Fatal(err)
	}
	words, err := p.Teach(engine.Feedback{Stream: "app", TemplateID: v.TemplateID, Reason: engine.ReasonNovelty, Opinion: engine.Normal, At: 1})
	if err != nil || len(words) != 1 || words[0].TemplateID != v.TemplateID {
		t.Errorf("got %+v, %v; want the word as it was entered", words, err)
	}
	if _, err := p.Teach(engine.Feedback{TemplateID: 1, Opinion: engine.Normal, At: 1}); !errors.Is(err, engine.ErrUnknownTemplate) {
		t.Errorf("got %v; want ErrUnknownTemplate", err)
	}
}

func TestNothingIsJudgedWithScoreOff(t *testing.T) {
	s := sink.New(t)
	w := &watcher{}
	p, _ := start(t, s, func(cfg *Config) { cfg.Score, cfg.Observer = false, w })
	if p.Flush("app", lines(t, normal(5)...)); len(w.lines) != 0 {
		t.Errorf("got %q shown; want nothing, as nothing is scored", w.lines)
	}
	if _, err := p.Judge("app", nil); !errors.Is(err, ErrNoScoring) {
		t.Errorf("got %v; want ErrNoScoring", err)
	}
	if _, err := p.Teach(engine.Feedback{}); !errors.Is(err, ErrNoScoring) {
		t.Errorf("got %v; want ErrNoScoring", err)
	}
}
