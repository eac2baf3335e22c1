package faults

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/logscope/logscope/plugin/chunk"
	"github.com/logscope/logscope/test/lokitest"
)

// mixed writes n lines in chunks of 100, of which every tenth is bad in some
// way, and returns how many are.
func mixed(t *testing.T, n int, bad func(at time.Time, line string) (time.Time, chunk.Pairs)) (path string, refused int) {
	t.Helper()
	begin := time.Now()
	f := newChunkFile(t)
	for id := range n {
		at, body := lineTime(begin, id, n), chunk.Pairs{"log", lineText(id)}
		if id%10 == 9 {
			at, body = bad(at, lineText(id))
			refused++
		}
		f.record(at, nil, body)
		if id%100 == 99 {
			f.flush("app")
		}
	}
	return f.close(), refused
}

// TestRefused: what Loki refuses for good is counted by its cause, with Loki's
// words in the log; the rest is in Loki; nothing comes again.
func TestRefused(t *testing.T) {
	r := newRig(t)
	loki := startLoki(t, "-validation.reject-old-samples=true", "-limits.max-structured-metadata-size=1KB")
	for name, test := range map[string]struct {
		bad     func(time.Time, string) (time.Time, chunk.Pairs)
		options []string
		want    []string // in one line of the log
	}{
		"too old": {
			func(at time.Time, line string) (time.Time, chunk.Pairs) {
				return at.Add(-8 * 24 * time.Hour), chunk.Pairs{"log", line}
			},
			nil, []string{"greater_than_max_sample_age:10", "has timestamp too old"},
		},
		"too new": {
			func(at time.Time, line string) (time.Time, chunk.Pairs) {
				return at.Add(24 * time.Hour), chunk.Pairs{"log", line}
			},
			nil, []string{"too_far_in_future:10", "has timestamp too new"},
		},
		"too long": {
			func(at time.Time, line string) (time.Time, chunk.Pairs) {
				return at, chunk.Pairs{"log", line + strings.Repeat(" word", 60_000)}
			},
			[]string{"max_line_size=0"}, []string{"line_too_long:10", "max entry size"},
		},
		"too many labels": {
			func(at time.Time, line string) (time.Time, chunk.Pairs) {
				body := chunk.Pairs{"log", line}
				for i := range 18 {
					body = append(body, fmt.Sprintf("k%d", i), "v")
				}
				return at, body
			},
			[]string{"max_labels=30", "label_keys=$k0,$k1,$k2,$k3,$k4,$k5,$k6,$k7,$k8,$k9,$k10,$k11,$k12,$k13,$k14,$k15,$k16,$k17"},
			[]string{"max_label_names_per_series:10", "label names; limit 15"},
		},
		"too much metadata": {
			func(at time.Time, line string) (time.Time, chunk.Pairs) {
				return at, chunk.Pairs{"log", line, "trace", strings.Repeat("x", 2000)}
			},
			[]string{"structured_metadata=$trace"}, []string{"structured_metadata_too_large:10", "structured metadata too large"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			const n = 2000
			path, refused := mixed(t, n, test.bad)
			run := newRun(t)
			h := r.startHost(t, []string{"--chunks", path, "--retries", "-1", "--guard"}, options(loki.URL, run, append(test.options, "workers=1", "score=off")...))
			if stats := h.wait(t, 0); stats.Retry != 0 || stats.Error != 0 || stats.Flushes != n/100 {
				t.Errorf("got %d flushes, %d retries, %d errors; want %d, none, none", stats.Flushes, stats.Retry, stats.Error, n/100)
			}
			h.checkTold(t, 1, append(test.want, "refused 10 entries for good")...)
			checkWithout(t, loki, run, n, refused)
		})
	}
}

// checkWithout demands all lines once but every tenth.
func checkWithout(t *testing.T, loki *lokitest.Server, run string, n, refused int) {
	t.Helper()
	got := fromLoki(t, loki, run)
	for id := range n {
		want := 1
		if id%10 == 9 {
			want = 0
		}
		if got[id] != want {
			t.Fatalf("line %d: got it %d times in Loki; want %d; %d lines in all, want %d", id, got[id], want, len(got), n-refused)
		}
	}
}

// testTooFarBehind: Loki answers 204 for a push of several streams of which the
// last is fine, and drops what is too far behind in the others without a word.
// So that is sent apart, and counted.
func testTooFarBehind(t *testing.T, r *rig, loki *lokitest.Server) {
	begin := time.Now()
	f := newChunkFile(t)
	add := func(id int, service string, ago time.Duration) {
		f.record(begin.Add(-ago).Add(time.Duration(id)), nil, chunk.Pairs{"log", lineText(id), "service", service})
	}
	for id := range 100 {
		add(id, "a", time.Minute)
	}
	f.flush("app")
	for id := 100; id < 110; id++ { // hours behind the newest of its stream
		add(id, "a", 5*time.Hour)
	}
	for id := 110; id < 200; id++ {
		add(id, "b", time.Minute)
	}
	f.flush("app")
	run := newRun(t)
	opts := append(options(loki.URL, run, "workers=1", "score=off"), "label_keys=$service")
	h := r.startHost(t, []string{"--chunks", f.close()}, opts)
	if stats := h.wait(t, 0); stats.Retry != 0 || stats.Error != 0 {
		t.Errorf("got %d retries, %d errors; want none", stats.Retry, stats.Error)
	}
	h.checkTold(t, 1, "refused 10 entries", "too_far_behind:10", "entry too far behind")
	got := fromLoki(t, loki, run)
	for id := range 200 {
		want := 1
		if id >= 100 && id < 110 {
			want = 0
		}
		if got[id] != want {
			t.Errorf("line %d: got it %d times in Loki; want %d", id, got[id], want)
		}
	}
}
