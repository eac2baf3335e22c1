package engine

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the expected part of the scenarios")

// TestScenarios plays the scripts under testdata/scenarios. A script is lines
// of
//
//	at 2026-03-02T10:00:00Z          the time goes to a moment
//	after 5s                         the time goes on
//	line TEXT                        one record
//	repeat 300 every 2s TEXT         so many records
//
// where {i} in TEXT is the number of the repetition and {i*7%13+2} arithmetic
// with it, from left to right. Behind "----" stand the anomalies and events
// that come of it; -update writes them.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.txt")
	if err != nil || len(files) < 5 {
		t.Fatalf("got %d scenarios, error %v; want 5 or more", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			script, want, _ := strings.Cut(string(data), "----\n")
			got := play(t, script)
			if *update {
				if err := os.WriteFile(file, []byte(script+"----\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// play runs a script and writes what was found.
func play(t *testing.T, script string) string {
	t.Helper()
	var recs []Record
	now := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	add := func(text string, i int) {
		recs = append(recs, Record{Stream: "s", Time: now.UnixNano(), Line: []byte(expand(t, text, i))})
	}
	for _, line := range strings.Split(script, "\n") {
		verb, rest, _ := strings.Cut(line, " ")
		switch verb {
		case "", "#":
		case "at":
			at, err := time.Parse(time.RFC3339, rest)
			if err != nil {
				t.Fatal(err)
			}
			now = at
		case "after":
			now = now.Add(duration(t, rest))
		case "line":
			add(rest, 0)
		case "repeat":
			f := strings.SplitN(rest, " ", 4)
			n, err := strconv.Atoi(f[0])
			if err != nil || len(f) < 4 || f[1] != "every" {
				t.Fatalf("cannot read %q", line)
			}
			for i := range n {
				for _, text := range strings.Split(f[3], " | ") {
					add(text, i)
				}
				now = now.Add(duration(t, f[2]))
			}
		default:
			t.Fatalf("cannot read %q", line)
		}
	}
	return report(run(t, newEngine(t), recs, 200, nil), recs)
}

func duration(t *testing.T, s string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// expand computes the {...} of a text.
func expand(t *testing.T, text string, i int) string {
	t.Helper()
	for {
		from := strings.IndexByte(text, '{')
		to := strings.IndexByte(text, '}')
		if from < 0 || to < from || text[from+1] != 'i' {
			return text
		}
		v, expr := i, text[from+2:to]
		for len(expr) > 0 {
			end := 1
			for end < len(expr) && expr[end] >= '0' && expr[end] <= '9' {
				end++
			}
			n, err := strconv.Atoi(expr[1:end])
			if err != nil {
				t.Fatal(err)
			}
			switch expr[0] {
			case '*':
				v *= n
			case '%':
				v %= n
			case '+':
				v += n
			}
			expr = expr[end:]
		}
		text = text[:from] + strconv.Itoa(v) + text[to+1:]
	}
}

// report writes anomalies and events, in the order of their records.
func report(out outcome, recs []Record) string {
	var b bytes.Buffer
	j := 0
	event := func() {
		ev := out.Events[j]
		fmt.Fprintf(&b, "%s %s %.2f at record %d\n    %s\n", ev.Kind, ev.Reason, ev.Score, ev.Seq+1, ev.Explanation)
		j++
	}
	for i, v := range out.Verdicts {
		if v.Anomaly {
			fmt.Fprintf(&b, "%s %.2f at record %d: %s\n    %s\n    want %s; got %s\n", v.Reason, v.Score, i+1, recs[i].Line, v.Explanation, v.Expected, v.Observed)
		}
		for j < len(out.Events) && out.Events[j].Seq <= uint64(i) {
			event()
		}
	}
	for j < len(out.Events) {
		event()
	}
	return b.String()
}
