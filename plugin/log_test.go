package main

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestLogQueueKeepsLinesInOrder(t *testing.T) {
	q := &logQueue{prefix: "[x] ", max: levelInfo}
	log := slog.New(q)
	log.Error("one")
	log.Warn("two", "key", "value")
	log.Debug("not printed by this host")
	log.Info("three")
	want := []logLine{{levelError, "[x] one"}, {levelWarn, "[x] two key=value"}, {levelInfo, "[x] three"}}
	if diff := cmp.Diff(want, q.take(), cmp.AllowUnexported(logLine{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := q.take(); len(got) != 0 {
		t.Errorf("got %v a second time; want nothing", got)
	}
}

func TestLogQueueIsBounded(t *testing.T) {
	q := &logQueue{max: levelDebug}
	log := slog.New(q)
	for i := range logQueueMax + 7 {
		log.Info(fmt.Sprint(i))
	}
	got := q.take()
	if len(got) != logQueueMax+1 || got[0].text != "0" {
		t.Fatalf("got %d lines from %q on; want the first %d and one about the rest", len(got), got[0].text, logQueueMax)
	}
	if last := got[len(got)-1]; last.level != levelWarn || last.text != "7 more log lines dropped" {
		t.Errorf("got %v; want 7 lines told as dropped", last)
	}
	if got := q.take(); len(got) != 0 {
		t.Errorf("got %v; want them told once", got)
	}
}

func TestLongLinesAreCutAtARune(t *testing.T) {
	q := &logQueue{max: levelDebug}
	for shift := range 3 {
		slog.New(q).Info(strings.Repeat("x", shift) + strings.Repeat("€", logLineMax))
	}
	for _, l := range q.take() {
		if len(l.text) > logLineMax+len("...") || !utf8.ValidString(l.text) || !strings.HasSuffix(l.text, "...") {
			t.Errorf("got %d bytes, ...%q; want at most %d, whole runes and ...", len(l.text), l.text[len(l.text)-9:], logLineMax)
		}
	}
}

func TestLogQueueOfManyGoroutines(t *testing.T) {
	q := &logQueue{max: levelDebug}
	log := slog.New(q)
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := 0
	for range 8 {
		wg.Go(func() {
			for range 100 {
				log.Info("line")
			}
			n := len(q.take())
			mu.Lock()
			got += n
			mu.Unlock()
		})
	}
	wg.Wait()
	if got += len(q.take()); got != 800 {
		t.Errorf("got %d lines; want 800", got)
	}
}
