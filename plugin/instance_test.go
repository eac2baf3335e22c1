package main

import (
	"encoding/binary"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/logscope/logscope/plugin/pipeline"
	"github.com/logscope/logscope/test/sink"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// engineThread is the thread that stands for Fluent Bit's engine.
const engineThread = 1

// startInstance does what Fluent Bit's call of Init comes to.
func startInstance(r *registry, options map[string]string) (*instance, *logQueue, bool) {
	log := &logQueue{max: levelDebug}
	inst, ok := newInstance(r, &hostLog{logQueue: log}, engineThread, func(key string) string { return options[key] })
	return inst, log, ok
}

// stop does what FLBPluginExitCtx comes to.
func stop(r *registry, inst *instance) {
	r.leave(inst)
	inst.close()
}

// moody is a Loki that is away until it is up.
func moody(t *testing.T) (s *sink.Sink, up *atomic.Bool) {
	s, up = sink.New(t), &atomic.Bool{}
	s.Answer = func(*http.Request, int) (int, string, bool) {
		if !up.Load() {
			return http.StatusServiceUnavailable, "", false
		}
		return 0, "", true
	}
	return s, up
}

// lines makes a chunk as Fluent Bit does: [[time, {}], {"log": text}] for each, a nanosecond apart.
func lines(texts ...string) (data []byte) { return linesApart(1, texts...) }

// linesApart makes a chunk whose lines are so many nanoseconds apart.
func linesApart(ns int64, texts ...string) (data []byte) {
	first := time.Now().Truncate(time.Second).UnixNano() - ns*int64(len(texts))
	for i, text := range texts {
		at := first + ns*int64(i)
		data = append(data, 0x92, 0x92, 0xd7, 0)
		data = binary.BigEndian.AppendUint32(data, uint32(at/1e9))
		data = binary.BigEndian.AppendUint32(data, uint32(at%1e9))
		data = append(data, "\x80\x81\xa3log\xda"...)
		data = binary.BigEndian.AppendUint16(data, uint16(len(text)))
		data = append(data, text...)
	}
	return data
}

func shipped(s *sink.Sink) (lines []string) {
	for _, e := range s.Entries() {
		lines = append(lines, e.Line)
	}
	slices.Sort(lines)
	return lines
}

// said joins the queued lines at a level.
func said(q *logQueue, level int) string {
	var b strings.Builder
	for _, l := range q.take() {
		if l.level == level {
			b.WriteString(l.text + "\n")
		}
	}
	return b.String()
}

func TestInstancesAreNumberedAsFluentBitDoes(t *testing.T) {
	s, up := moody(t)
	up.Store(true)
	var r registry
	for range 2 { // the second time after a reload
		r.preRegister(false)
		for i := range 2 {
			inst, log, ok := startInstance(&r, map[string]string{"url": s.URL})
			if !ok {
				t.Fatal(said(log, levelError))
			}
			want := fmt.Sprintf("[output:logscope:logscope.%d] version dev: ", i)
			if got := said(log, levelInfo); !strings.HasPrefix(got, want) {
				t.Errorf("got %q; want it to begin with %q", got, want)
			}
			stop(&r, inst)
		}
	}
}

func TestWrongOptionsAreEachNamed(t *testing.T) {
	var r registry
	_, log, ok := startInstance(&r, map[string]string{"url": "http://127.0.0.1:1", "score": "perhaps", "annotate": "x"})
	got := said(log, levelError)
	if ok || strings.Count(got, "\n") != 2 || !strings.Contains(got, "score") || !strings.Contains(got, "annotate") {
		t.Errorf("got %v and\n%s\nwant no instance and a line for each of the two", ok, got)
	}
	if len(r.live) != 0 {
		t.Errorf("got %d live instances; want none", len(r.live))
	}
}

func TestOptionsAreLoggedWithoutSecrets(t *testing.T) {
	var r registry
	inst, log, ok := startInstance(&r, map[string]string{"url": "http://127.0.0.1:1", "http_user": "u", "http_passwd": "hunter2"})
	if !ok {
		t.Fatal(said(log, levelError))
	}
	defer stop(&r, inst)
	all := log.take()
	var set, every string
	for _, l := range all {
		if strings.Contains(l.text, "hunter2") {
			t.Errorf("got the password in %q", l.text)
		}
		switch l.level {
		case levelInfo:
			set += l.text
		case levelDebug:
			every += l.text
		}
	}
	if !strings.Contains(set, `http_user="u"`) || strings.Contains(set, "(default)") || !strings.Contains(every, "(default)") {
		t.Errorf("got\n%s\nand\n%s\nwant what is set, and on debug all", set, every)
	}
}

// TestReloadOrder: announced to the old instances while they run; then they end, then the new ones
// start, under the same names. Chunks kept meanwhile are sent by whoever has the state file, else by
// another instance to the same Loki.
func TestReloadOrder(t *testing.T) {
	s, up := moody(t)
	taken := make(chan struct{}, 100)
	answer := s.Answer
	s.Answer = func(r *http.Request, n int) (int, string, bool) {
		status, text, keep := answer(r, n)
		if keep {
			taken <- struct{}{}
		}
		return status, text, keep
	}
	dir := t.TempDir()
	options := func(state string) map[string]string {
		o := map[string]string{"url": s.URL, "max_retries": "1"}
		if state != "" {
			o["state_file"] = filepath.Join(dir, state)
		}
		return o
	}
	var r registry
	r.preRegister(false)
	var old []*instance
	for _, state := range []string{"a", "b"} {
		inst, log, ok := startInstance(&r, options(state))
		if !ok {
			t.Fatal(said(log, levelError))
		}
		old = append(old, inst)
	}
	first := lines("before the reload")
	if got := old[0].flush("app", first, 2); got != pipeline.Retry {
		t.Fatalf("got %v; want Retry, as no reload is under way", got)
	}
	r.preRegister(true)
	for i, data := range [][]byte{first, lines("in the reload")} {
		if got := old[i].flush("app", data, 2); got != pipeline.OK {
			t.Fatalf("instance %d: got %v; want OK, in the spool", i, got)
		}
	}
	for _, inst := range old {
		stop(&r, inst)
	}
	if len(r.live) != 0 || len(r.left) != 2 {
		t.Fatalf("got %d live instances, %d spools left; want 0, 2", len(r.live), len(r.left))
	}

	up.Store(true)
	var next []*instance
	for _, state := range []string{"", "b"} { // the first has no state file now; the second must get its own
		inst, log, ok := startInstance(&r, options(state))
		if !ok || strings.Contains(said(log, levelWarn), "uses it") {
			t.Fatal("the state file is not to be had")
		}
		next = append(next, inst)
	}
	for i, inst := range next {
		if got := inst.flush("app", lines(fmt.Sprint("after ", i)), 2); got != pipeline.OK {
			t.Errorf("instance %d: got %v; want OK", i, got)
		}
	}
	if len(r.left) != 0 {
		t.Errorf("got %v left; want all taken", r.left)
	}
	for range 4 {
		select {
		case <-taken:
		case <-time.After(10 * time.Second):
			t.Fatal("the spools were not sent within 10 s")
		}
	}
	for _, inst := range next {
		stop(&r, inst)
	}
	if diff := cmp.Diff([]string{"after 0", "after 1", "before the reload", "in the reload"}, shipped(s)); diff != "" {
		t.Errorf("lines, each once (-want +got):\n%s", diff)
	}
}

func TestFlushOnTheEngineThreadIsToldOnce(t *testing.T) {
	s, up := moody(t)
	up.Store(true)
	var r registry
	inst, log, ok := startInstance(&r, map[string]string{"url": s.URL})
	if !ok {
		t.Fatal(said(log, levelError))
	}
	defer stop(&r, inst)
	inst.flush("app", lines("x"), 2)
	if got := said(log, levelWarn); got != "" {
		t.Errorf("on a worker's thread: got %q; want no word", got)
	}
	inst.flush("app", lines("y"), engineThread)
	inst.flush("app", lines("z"), engineThread)
	if got := said(log, levelWarn); strings.Count(got, "Workers 1") != 1 {
		t.Errorf("got %q; want it told once", got)
	}
}

// TestPanicStaysInside: of a flush, and of the way out.
func TestPanicStaysInside(t *testing.T) {
	s, up := moody(t)
	up.Store(true)
	var r registry
	inst, log, ok := startInstance(&r, map[string]string{"url": s.URL})
	if !ok {
		t.Fatal(said(log, levelError))
	}
	pipe := inst.pipe
	inst.host = nil // the flush meets it
	if got := inst.flush("app", lines("x"), 2); got != pipeline.Retry {
		t.Errorf("got %v; want Retry", got)
	}
	if got := said(log, levelError); !strings.Contains(got, `the chunk with tag "app" stays with Fluent Bit`) || pipe.Stats().Panics != 1 {
		t.Errorf("got %q and %d counted; want it told and counted", got, pipe.Stats().Panics)
	}
	inst.close() // meets it too, behind the pipeline's own Close
	if got := said(log, levelError); !strings.Contains(got, "a fault in logscope") {
		t.Errorf("got %q; want it told", got)
	}
}

func TestRegistryOfManyGoroutines(t *testing.T) {
	s, up := moody(t)
	up.Store(true)
	var r registry
	var mu sync.Mutex
	names := map[string]bool{}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			inst, log, ok := startInstance(&r, map[string]string{"url": s.URL})
			if !ok {
				t.Error(said(log, levelError))
				return
			}
			mu.Lock()
			names[log.prefix] = true
			mu.Unlock()
			r.inherit(inst.pipe.Left())
			inst.flush("app", lines(fmt.Sprint("line ", i)), 2)
			r.preRegister(true)
			stop(&r, inst)
		})
	}
	wg.Wait()
	if len(s.Entries()) != 8 || len(r.live) != 0 {
		t.Errorf("got %d entries, %d live; want 8, 0", len(s.Entries()), len(r.live))
	}
	for name := range maps.Keys(names) {
		if !strings.HasPrefix(name, "[output:logscope:logscope.") {
			t.Errorf("got the name %q", name)
		}
	}
}
