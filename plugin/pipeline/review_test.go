package pipeline

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logscope/logscope/engine"
	"github.com/logscope/logscope/loki"
	"github.com/logscope/logscope/plugin/chunk"
	"github.com/logscope/logscope/test/sink"
)

func TestLabelsAndModelFollowEachRecord(t *testing.T) {
	s := sink.New(t)
	p, _ := start(t, s, func(c *Config) {
		c.Shape.Labels = []LabelSource{{Name: "pod", Path: Path{"kubernetes", "pod_name"}}, {Name: "level", Path: Path{"level"}}}
		c.Shape.TenantID = Path{"org"}
	})
	type record struct{ pod, level, org string }
	var want []string
	var w chunk.Writer
	for i, r := range []record{
		{"a", "info", ""}, {"a", "info", ""}, {"b", "info", ""}, {"b", "warn", ""}, {"", "warn", ""}, {"", "", ""},
		{"a", "", "x"}, {"a", "", "y"}, {"a", "", ""}, {"a", "info", ""},
	} {
		body := chunk.Pairs{"log", fmt.Sprint("line ", i)}
		for _, pair := range [][2]string{{"level", r.level}, {"org", r.org}} {
			if pair[1] != "" {
				body = append(body, pair[0], pair[1])
			}
		}
		if r.pod != "" {
			body = append(body, "kubernetes", chunk.Pairs{"pod_name", r.pod, "namespace_name", "ns-" + r.pod})
		}
		if err := w.AppendRecord(base.UnixNano()+int64(i), chunk.Pairs{}, body); err != nil {
			t.Fatal(err)
		}
		labels := []loki.Label{{Name: "pod", Value: r.pod}, {Name: "level", Value: r.level}}
		want = append(want, r.org+" "+string(p.shaper.limits.Append(nil, labels)))
	}
	if got := p.Flush("app", w.Buf); got != OK {
		t.Fatalf("got %v; want OK", got)
	}
	got := make([]string, len(want))
	for _, e := range s.Entries() {
		var i int
		if _, err := fmt.Sscanf(e.Line[strings.Index(e.Line, "line "):], "line %d", &i); err != nil {
			t.Fatal(err)
		}
		got[i] = e.Tenant + " " + e.Labels
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tenant and labels (-want +got):\n%s", diff)
	}
	if n := p.Stats().Engine.Models; n != 3 {
		t.Errorf("got %d models; want ns-a, ns-b and the tag's", n)
	}
}

func TestAnotherTagIsAnotherModel(t *testing.T) {
	p, _ := start(t, sink.New(t), nil)
	p.Flush("one", lines(t, "x"))
	p.Flush("two", lines(t, "x"))
	if n := p.Stats().Engine.Models; n != 2 {
		t.Errorf("got %d models; want 2", n)
	}
}

func TestManyLabelSetsTakeBoundedMemory(t *testing.T) {
	s := sink.New(t)
	p, log := start(t, s, func(c *Config) {
		c.LabelSetsMax = 100
		c.Shape.Labels = []LabelSource{{Name: "request", Path: Path{"request"}}}
	})
	var w chunk.Writer
	at := time.Now().UnixNano() // old entries would each make a push of their own
	for i := range 10_000 {
		if err := w.AppendRecord(at+int64(i), chunk.Pairs{}, chunk.Pairs{"log", "served", "request", fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if got := p.Flush("app", w.Buf); got != OK || len(s.Entries()) != 10_000 {
		t.Fatalf("got %v, %d entries; want OK, 10000", got, len(s.Entries()))
	}
	if n := len(p.free[0].cache.labels); n > 100 {
		t.Errorf("got %d label sets held; want at most 100", n)
	}
	if n := p.Stats().LabelSetsForgotten; n != 9900 {
		t.Errorf("got %d forgotten; want 9900", n)
	}
	if n := strings.Count(log.String(), "more than 100 label sets (max_label_sets)"); n != 1 {
		t.Errorf("got %d warnings; want 1:\n%s", n, log)
	}
}

func TestLongLabelValuesTakeBoundedMemory(t *testing.T) {
	c := newCache()
	for i := range 1000 {
		c.makeRoom(LabelSetsMaxDefault)
		c.labels[fmt.Sprint(i)] = &labelSet{}
		c.bytes += 1 << 20
	}
	if len(c.labels) > 17 {
		t.Errorf("got %d label sets of 1 MB; want some 16", len(c.labels))
	}
	long := []byte(strings.Repeat("x", 10_000))
	if got := c.streamName(long); len(got) > streamKeyMax || got == c.streamName(append(long, 'y')) {
		t.Errorf("got a name of %d bytes; want at most %d, another one for another key", len(got), streamKeyMax)
	}
}

// TestMemoryOfEqualChunks: two chunks of the same bytes may be in flight at once.
func TestMemoryOfEqualChunks(t *testing.T) {
	m := newMemory(1 << 20)
	for range 3 {
		m.put(1, &pending{pushes: []loki.Push{{Body: make([]byte, 1000)}}})
	}
	if m.bytes != 1000+pendingBytes || m.waiting != 1 {
		t.Errorf("got %d bytes of %d chunks; want %d of 1", m.bytes, m.waiting, 1000+pendingBytes)
	}
	m.forget(1)
	if m.bytes != 0 || m.waiting != 0 {
		t.Errorf("got %d bytes of %d chunks; want none", m.bytes, m.waiting)
	}
}

// TestMisconfiguredTenantInTheSpoolHoldsUpNoOther: it is tried, but does not stand in the way for days.
func TestMisconfiguredTenantInTheSpoolHoldsUpNoOther(t *testing.T) {
	s := sink.New(t)
	var fixed atomic.Bool
	s.Answer = func(r *http.Request, _ int) (int, string, bool) {
		if r.Header.Get("X-Scope-OrgID") == "bad" && !fixed.Load() {
			return http.StatusForbidden, "", false
		}
		return 0, "", true
	}
	path := filepath.Join(t.TempDir(), "state")
	old, _ := start(t, s, func(c *Config) { c.StateFile = path; c.Loki.TenantID = "bad" })
	old.Reload()
	if got := old.Flush("app", lines(t, "one")); got != OK {
		t.Fatalf("in the reload: got %v; want OK, kept in the spool", got)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	p, _ := start(t, s, func(c *Config) { c.StateFile = path })
	if got := p.Flush("app", lines(t, "two")); got != OK {
		t.Errorf("got %v; want OK: the spool waits for another's rights", got)
	}
	if stats := p.Stats(); stats.SpoolChunks != 1 || stats.SpoolBytes == 0 {
		t.Errorf("got %d chunks of %d bytes in the spool; want 1", stats.SpoolChunks, stats.SpoolBytes)
	}
	fixed.Store(true)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	next, _ := start(t, s, func(c *Config) { c.StateFile = path })
	if got := next.Flush("app", lines(t, "three")); got != OK {
		t.Errorf("got %v; want OK", got)
	}
	if diff := cmp.Diff([]string{"two", "one", "three"}, texts(s.Entries())); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

// TestChunksQueueBehindTheSpool: while the first of them waits, each of the others would otherwise take its whole deadline.
func TestChunksQueueBehindTheSpool(t *testing.T) {
	s := sink.New(t)
	s.Answer = func(*http.Request, int) (int, string, bool) { return http.StatusServiceUnavailable, "", false }
	path := filepath.Join(t.TempDir(), "state")
	p, _ := start(t, s, func(c *Config) { c.StateFile = path; c.Loki.Backoff.MaxRetries = 1 })
	p.Reload()
	started := time.Now()
	for i := range 20 {
		if got := p.Flush("app", lines(t, fmt.Sprint("line ", i))); got != OK {
			t.Fatalf("got %v; want OK, kept in the spool", got)
		}
	}
	if took := time.Since(started); took > 10*time.Second {
		t.Errorf("20 chunks took %v; want about what the first takes, at most 1 s", took)
	}
	if n := p.Stats().SpoolChunks; n != 20 {
		t.Errorf("got %d chunks in the spool; want 20", n)
	}
}

func TestHealthFollowsTheLastDelivery(t *testing.T) {
	s := sink.New(t)
	down := true
	s.Answer = func(*http.Request, int) (int, string, bool) {
		if down {
			return http.StatusServiceUnavailable, "upstream is away", false
		}
		return 0, "", true
	}
	p, log := start(t, s, func(c *Config) { c.Loki.Backoff.MaxRetries = 1 })
	if h := p.Health(); h.Tried || h.Err != nil {
		t.Errorf("before: got %+v; want nothing tried", h)
	}
	data := lines(t, "x")
	p.Flush("app", data)
	first := p.Health()
	if first.Err == nil || !strings.Contains(first.Err.Error(), "upstream is away") {
		t.Errorf("down: got %+v; want Loki's words", first)
	}
	p.Flush("app", data)
	if h := p.Health(); h.Err == nil || !h.Since.Equal(first.Since) {
		t.Errorf("still down: got %+v; want since %v", h, first.Since)
	}
	down = false
	p.Flush("app", data)
	if h := p.Health(); h.Err != nil || !h.Tried || !strings.Contains(log.String(), "Loki takes entries again") {
		t.Errorf("up: got %+v and log %s; want it told", h, log)
	}
}

func TestCountsOfScoring(t *testing.T) {
	c := newCounts()
	c.scored([]engine.Verdict{
		{Score: 0}, {Score: 0.1}, {Score: 0.11}, {Score: 1}, {Score: 0.95, Anomaly: true, Reason: engine.ReasonNovelty},
		{Score: 0.95, Anomaly: true, Reason: codesMax + 7},
	}, []engine.Event{{Kind: engine.EventDrift}})
	want := [bucketsMax]uint64{0: 2, 1: 1, 9: 3}
	if diff := cmp.Diff(want, c.Scores.Counts); diff != "" || c.Scores.Count != 6 {
		t.Errorf("scores (-want +got):\n%s", diff)
	}
	if c.Anomalies[engine.ReasonNovelty] != 1 || c.Anomalies[codesMax-1] != 1 || c.Events[engine.EventDrift] != 1 {
		t.Errorf("got %v, %v; want one novelty, one of an unknown reason, one drift", c.Anomalies, c.Events)
	}
	block := make([]engine.Verdict, 1000)
	if n := testing.AllocsPerRun(10, func() { c.scored(block, nil) }); n != 0 {
		t.Errorf("got %v allocations for a block; want 0", n)
	}
}

func TestFaultInTheBackgroundIsTold(t *testing.T) {
	p, log := start(t, sink.New(t), nil)
	if !p.guarded("a test", func() { panic("boom") }) || p.guarded("a test", func() {}) {
		t.Error("got it wrong whether the work panicked")
	}
	if p.Stats().Panics != 1 || !strings.Contains(log.String(), "a test goes on: boom") {
		t.Errorf("got log %s; want the fault", log)
	}
}

// TestKeyThatStandsTwice: the last one holds, as in Fluent Bit's record accessor.
func TestKeyThatStandsTwice(t *testing.T) {
	s := sink.New(t)
	p, _ := start(t, s, func(c *Config) {
		c.Shape.Labels = []LabelSource{{Name: "level", Path: Path{"level"}}}
		c.Shape.Remove = []Path{{"level"}}
	})
	var w chunk.Writer
	for i, levels := range [][2]string{{"a", "b"}, {"c", "b"}, {"b", "a"}} {
		body := chunk.Pairs{"level", levels[0], "log", fmt.Sprint("line ", i), "level", levels[1]}
		if err := w.AppendRecord(base.UnixNano()+int64(i), chunk.Pairs{}, body); err != nil {
			t.Fatal(err)
		}
	}
	p.Flush("app", w.Buf)
	got := map[string]string{}
	for _, e := range s.Entries() {
		got[e.Line] = e.Labels
	}
	want := map[string]string{"line 0": `{level="b"}`, "line 1": `{level="b"}`, "line 2": `{level="a"}`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("labels by line (-want +got):\n%s", diff)
	}
}

func TestDeliveryGetsSomeTimeHoweverLongScoringTook(t *testing.T) {
	for _, tc := range []struct{ patience, left, want time.Duration }{
		{4 * time.Second, 4 * time.Second, 4 * time.Second},
		{4 * time.Second, time.Second, time.Second},
		{4 * time.Second, 100 * time.Millisecond, deliverTimeMin},
		{4 * time.Second, -time.Minute, deliverTimeMin},
		{100 * time.Millisecond, 0, 25 * time.Millisecond},
	} {
		if got := deliverUntil(base, base.Add(tc.left), tc.patience).Sub(base); got != tc.want {
			t.Errorf("%v of %v left: got %v; want %v", tc.left, tc.patience, got, tc.want)
		}
	}
}

// TestClosingIsNoTrouble: a delivery that Close ends is not told as one that failed.
func TestClosingIsNoTrouble(t *testing.T) {
	s := sink.New(t)
	asked := make(chan struct{}, 1)
	s.Answer = func(r *http.Request, _ int) (int, string, bool) {
		select {
		case asked <- struct{}{}:
		default:
		}
		<-r.Context().Done()
		return http.StatusServiceUnavailable, "", false
	}
	p, log := start(t, s, func(c *Config) { c.FlushTimeout = time.Minute })
	done := make(chan Code)
	go func() { done <- p.Flush("app", lines(t, "x")) }()
	<-asked
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got != Retry || strings.Contains(log.String(), "cannot deliver") {
		t.Errorf("got %v and log %q; want Retry, and no complaint", got, log)
	}
}

// TestAuditFindsWhatIsLost holds the one measure that must always be 0 to be no constant.
func TestAuditFindsWhatIsLost(t *testing.T) {
	p, log := start(t, sink.New(t), nil)
	p.audit(10, 2, &loki.Report{Accepted: 5, Refused: map[loki.Cause]int{loki.CauseTooOld: 3}})
	if n := p.Stats().Dropped; n != 0 {
		t.Errorf("got %d; want 0, all are accounted for", n)
	}
	p.audit(10, 2, &loki.Report{Accepted: 5})
	if n := p.Stats().Dropped; n != 3 || !strings.Contains(log.String(), "3 entries were neither taken") {
		t.Errorf("got %d and log %s; want 3, told", n, log)
	}
}
