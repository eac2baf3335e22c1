package pipeline

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/logscope/logscope/plugin/chunk"
	"github.com/logscope/logscope/test/sink"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// base is the time of the first record in these tests.
var base = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// start makes a pipeline into s, closed with the test.
func start(t *testing.T, s *sink.Sink, change func(*Config)) (*Pipeline, *logBuffer) {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Loki.URL = s.URL
	cfg.FlushTimeout = 2 * time.Second
	if change != nil {
		change(&cfg)
	}
	log := &logBuffer{}
	p, err := New(cfg, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p, log
}

// lines makes a chunk of records {"log": line}, one second apart.
func lines(t *testing.T, texts ...string) []byte {
	t.Helper()
	var w chunk.Writer
	for i, text := range texts {
		w.AppendLine(base.Add(time.Duration(i)*time.Second).UnixNano(), "log", text)
	}
	return w.Buf
}

// normal makes n lines that fall into a few templates.
func normal(n int) []string {
	var out []string
	for i := range n {
		switch i % 3 {
		case 0:
			out = append(out, fmt.Sprintf("request %d served in %d ms", i, 10+i%7))
		case 1:
			out = append(out, fmt.Sprintf("connection from 10.0.0.%d accepted", 1+i%9))
		default:
			out = append(out, fmt.Sprintf("cache hit for key user:%d", i%50))
		}
	}
	return out
}

func texts(entries []sink.Entry) []string {
	var out []string
	for _, e := range entries {
		out = append(out, e.Line)
	}
	return out
}

func TestEveryLineOnceWithItsTimeAndLabels(t *testing.T) {
	s := sink.New(t)
	p, _ := start(t, s, nil)
	want := normal(3000)
	if got := p.Flush("app", lines(t, want...)); got != OK {
		t.Fatalf("got %v; want OK", got)
	}
	if diff := cmp.Diff(want, texts(s.Entries())); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	for i, e := range s.Entries() {
		if want := base.Add(time.Duration(i) * time.Second); !e.Time.Equal(want) || e.Labels != `{job="fluent-bit"}` {
			t.Fatalf("entry %d: got %v %s; want %v {job=\"fluent-bit\"}", i, e.Time, e.Labels, want)
		}
	}
}

func TestAnomalyIsTagged(t *testing.T) {
	s := sink.New(t)
	p, _ := start(t, s, nil)
	p.Flush("app", lines(t, normal(6000)...))
	odd := "FATAL kernel panic in block device driver, filesystem remounted read-only"
	var w chunk.Writer
	at := base.Add(7000 * time.Second)
	for i, text := range append(normal(30), odd) {
		w.AppendLine(at.Add(time.Duration(i)*time.Second).UnixNano(), "log", text)
	}
	if got := p.Flush("app", w.Buf); got != OK {
		t.Fatalf("got %v; want OK", got)
	}
	entries := s.Entries()
	if len(entries) < 6031 {
		t.Fatalf("got %d entries; want 6031 and perhaps events", len(entries))
	}
	for _, e := range entries {
		if e.Line != odd {
			continue
		}
		if !strings.HasPrefix(e.Labels, `{anomaly="true", job="fluent-bit", reason="novelty", score_bucket="0.`) {
			t.Errorf("got labels %s; want anomaly, reason=novelty and score_bucket beside job", e.Labels)
		}
		for _, name := range []string{metaScore, metaTemplateID, metaTemplate, metaExplanation} {
			if e.Metadata[name] == "" {
				t.Errorf("got no %s in %v", name, e.Metadata)
			}
		}
		return
	}
	t.Errorf("the odd line is not among the %d entries", len(entries))
}

func TestRedeliveredChunkIsScoredOnceAndSentTheSame(t *testing.T) {
	s := sink.New(t)
	var bodies []int64
	s.Answer = func(r *http.Request, n int) (int, string, bool) {
		bodies = append(bodies, r.ContentLength)
		if n <= 4 { // two attempts a flush
			return http.StatusServiceUnavailable, "not yet", false
		}
		return 0, "", true
	}
	p, log := start(t, s, func(c *Config) { c.Loki.Backoff.MaxRetries = 1 })
	data := lines(t, normal(300)...)
	codes := []Code{p.Flush("app", data), p.Flush("app", data), p.Flush("app", data)}
	if diff := cmp.Diff([]Code{Retry, Retry, OK}, codes); diff != "" {
		t.Fatalf("codes (-want +got):\n%s", diff)
	}
	stats := p.Stats()
	if stats.Engine.Records != 300 || stats.Redelivered != 2 || stats.Records != 300 {
		t.Errorf("got %d scored, %d redelivered, %d taken; want 300, 2, 300", stats.Engine.Records, stats.Redelivered, stats.Records)
	}
	if slices.Min(bodies) != slices.Max(bodies) {
		t.Errorf("got bodies of %v bytes; want the same each time", bodies)
	}
	if diff := cmp.Diff(normal(300), texts(s.Entries())); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	if n := strings.Count(log.String(), "cannot deliver"); n != 1 {
		t.Errorf("got %d messages about the same trouble; want 1:\n%s", n, log)
	}
	if p.Flush("app", data); len(s.Entries()) != 600 {
		t.Errorf("got %d entries; want 600: the same bytes after an OK are a new chunk", len(s.Entries()))
	}
}

func TestEvictedChunkIsNotLearnedTwice(t *testing.T) {
	s := sink.New(t)
	down := true
	s.Answer = func(*http.Request, int) (int, string, bool) {
		if down {
			return http.StatusServiceUnavailable, "", false
		}
		return 0, "", true
	}
	p, _ := start(t, s, func(c *Config) { c.Loki.Backoff.MaxRetries = 1; c.RetryBufferBytes = 0 })
	data := lines(t, normal(300)...)
	if got := p.Flush("app", data); got != Retry {
		t.Fatalf("got %v; want Retry", got)
	}
	down = false
	if got := p.Flush("app", data); got != OK {
		t.Fatalf("got %v; want OK", got)
	}
	if stats := p.Stats(); stats.Engine.Records != 300 || stats.Records != 300 || stats.Redelivered != 1 {
		t.Errorf("got %d records learned, %d taken, %d chunks redelivered; want 300, 300, 1", stats.Engine.Records, stats.Records, stats.Redelivered)
	}
	if len(s.Entries()) != 300 {
		t.Errorf("got %d entries; want 300", len(s.Entries()))
	}
}

func TestPanicInScoringCostsNoLine(t *testing.T) {
	s := sink.New(t)
	p, log := start(t, s, nil)
	p.beforeScore = func() { panic("test") }
	if got := p.Flush("app", lines(t, normal(50)...)); got != OK {
		t.Fatalf("got %v; want OK", got)
	}
	counts := p.Stats()
	if len(s.Entries()) != 50 || counts.Unscored != 50 || counts.Panics != 1 {
		t.Errorf("got %d entries, %d unscored, %d panics; want 50, 50, 1", len(s.Entries()), counts.Unscored, counts.Panics)
	}
	if !strings.Contains(log.String(), "shipped untagged") {
		t.Errorf("got log %q; want it to say that records go out untagged", log)
	}
	p.beforeScore = nil
	if p.Flush("app", lines(t, normal(60)...)); len(s.Entries()) != 110 {
		t.Errorf("got %d entries; want 110", len(s.Entries()))
	}
}

func TestDamagedChunkDeliversWhatCanBeRead(t *testing.T) {
	s := sink.New(t)
	p, log := start(t, s, nil)
	data := lines(t, "first", "second", "third")
	damaged := append(bytes.Clone(data[:len(data)/3]), 0xc1, 0xc1, 0xc1)
	damaged = append(damaged, data[len(data)/3:]...)
	if got := p.Flush("app", damaged); got != Error {
		t.Fatalf("got %v; want Error, so that Fluent Bit keeps the chunk aside", got)
	}
	if diff := cmp.Diff([]string{"first", "second", "third"}, texts(s.Entries())); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	if !strings.Contains(log.String(), "damaged chunk") || !strings.Contains(log.String(), "storage.keep.rejected") {
		t.Errorf("got log %q; want what happened and where the chunk is", log)
	}
	if got := p.Flush("app", []byte{0xc1, 0xff, 0x00}); got != Error {
		t.Errorf("garbage: got %v; want Error", got)
	}
	if got := p.Flush("app", nil); got != OK {
		t.Errorf("empty chunk: got %v; want OK", got)
	}
}

func TestFlushReturnsInTimeWhateverLokiDoes(t *testing.T) {
	s := sink.New(t)
	release := make(chan struct{})
	s.Answer = func(r *http.Request, _ int) (int, string, bool) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
		return http.StatusServiceUnavailable, "", false
	}
	defer close(release)
	p, _ := start(t, s, func(c *Config) { c.FlushTimeout = 200 * time.Millisecond })
	started := time.Now()
	if got := p.Flush("app", lines(t, "one")); got != Retry {
		t.Errorf("got %v; want Retry", got)
	}
	if took := time.Since(started); took > time.Second {
		t.Errorf("took %v; want about 200ms", took)
	}
}

func TestWorkersShareOneInstance(t *testing.T) {
	s := sink.New(t)
	p, _ := start(t, s, nil)
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for n := range 10 {
				var w chunk.Writer
				for i := range 100 {
					w.AppendLine(base.Add(time.Duration(n)*time.Second).UnixNano()+int64(i), "log", fmt.Sprintf("worker %d chunk %d line %d", worker, n, i))
				}
				if got := p.Flush("app", w.Buf); got != OK {
					t.Errorf("got %v; want OK", got)
				}
			}
		})
	}
	wg.Wait()
	seen := map[string]int{}
	for _, line := range texts(s.Entries()) {
		seen[line]++
	}
	for worker := range 4 {
		for n := range 10 {
			for i := range 100 {
				if line := fmt.Sprintf("worker %d chunk %d line %d", worker, n, i); seen[line] != 1 {
					t.Fatalf("got %q %d times; want once", line, seen[line])
				}
			}
		}
	}
}

func TestForward(t *testing.T) {
	for _, tc := range []struct {
		name    string
		forward Forward
		check   func(n int) bool
	}{
		{"all", ForwardAll, func(n int) bool { return n == 3000 }},
		{"anomalies", ForwardAnomalies, func(n int) bool { return n < 100 }},
		{"sampled", ForwardSampled, func(n int) bool { return n >= 30 && n < 200 }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := sink.New(t)
			p, _ := start(t, s, func(c *Config) { c.Forward = tc.forward })
			p.Flush("app", lines(t, normal(3000)...))
			records := 0
			for _, e := range s.Entries() {
				if !strings.Contains(e.Labels, `source="logscope"`) {
					records++
				}
			}
			counts := p.Stats()
			if !tc.check(records) || int(counts.NotForwarded) != 3000-records {
				t.Errorf("got %d records, %d not forwarded", records, counts.NotForwarded)
			}
		})
	}
}

func TestScoreOffOnlyShips(t *testing.T) {
	s := sink.New(t)
	p, _ := start(t, s, func(c *Config) { c.Score = false })
	p.Flush("app", lines(t, normal(100)...))
	if stats := p.Stats(); stats.Engine.Records != 0 || len(s.Entries()) != 100 {
		t.Errorf("got %d scored, %d entries; want 0, 100", stats.Engine.Records, len(s.Entries()))
	}
}
