package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/logscope/logscope/engine"
	"github.com/logscope/logscope/test/demo/shoplog"
)

//go:generate go test -run ^TestPage$ -count=1 . -update

var update = flag.Bool("update", false, "rewrite the examples and the picture of docs/reading-an-anomaly.md")

const (
	page    = "../../docs/reading-an-anomaly.md"
	picture = "../../docs/images/anomalies.svg"
)

// found is an anomaly of the recording: a record, or a finding without a line.
type found struct {
	service, line, event string
	engine.Verdict
}

// scored scores the recording as it was recorded, minute by minute.
func scored(t *testing.T) (*shoplog.Recording, []found) {
	t.Helper()
	rec, err := shoplog.Load(0)
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(engine.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	var all []found
	next := make([]int, len(rec.Logs))
	first, last := rec.Span()
	for end := first; !end.After(last.Add(time.Minute)); end = end.Add(time.Minute) {
		for l := range rec.Logs {
			log := &rec.Logs[l]
			var recs []engine.Record
			for i := next[l]; i < len(log.Lines) && log.Lines[i].Time.Before(end); i++ {
				recs = append(recs, engine.Record{Stream: log.Name, Time: log.Lines[i].Time.UnixNano(), Line: []byte(log.Lines[i].Text)})
			}
			next[l] += len(recs)
			for i, v := range e.Score(nil, recs) {
				if v.Anomaly {
					all = append(all, found{service: log.Name, line: string(recs[i].Line), Verdict: v})
				}
			}
			for _, ev := range e.Events(nil) {
				if ev.Anomaly {
					all = append(all, found{service: ev.Stream, event: ev.Kind.String(), Verdict: ev.Verdict})
				}
			}
		}
	}
	slices.SortStableFunc(all, func(a, b found) int { return cmp.Compare(a.Time, b.Time) })
	return rec, all
}

// TestPage: the examples of docs/reading-an-anomaly.md are what the engine says of the recording, and the
// picture shows it. "make gen" rewrites both. Numbers, and so single cells, may be those of an engine a few
// changes ago: what is said must be the same, or each change of a rate would be one of the docs.
func TestPage(t *testing.T) {
	rec, all := scored(t)
	old, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile("(?ms)^<!-- example: (\\S+) (\\S+) -->\n```text\n.*?^```$")
	n := 0
	made := example.ReplaceAllStringFunc(string(old), func(block string) string {
		n++
		m := example.FindStringSubmatch(block)
		f := highest(all, m[1], m[2])
		if f == nil {
			t.Errorf("%s: nothing was found in %s for the reason %s", page, m[1], m[2])
			return block
		}
		return fmt.Sprintf("<!-- example: %s %s -->\n```text\n%s```", m[1], m[2], f.text())
	})
	if n < 5 {
		t.Errorf("got %d examples; want 5 or more", n)
	}
	check(t, page, string(old), made)
	before, err := os.ReadFile(picture)
	if err != nil && !*update {
		t.Fatal(err)
	}
	check(t, picture, string(before), draw(rec, all))
}

func check(t *testing.T, path, old, made string) {
	t.Helper()
	switch {
	case *update:
		if err := os.WriteFile(path, []byte(made), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		if diff := gocmp.Diff(wordsOf(old), wordsOf(made)); diff != "" {
			t.Errorf("%s is stale, run make gen:\n%.3000s", path, diff)
		}
	}
}

// wordsOf is a page, or a picture, without its numbers, cells and line ends.
func wordsOf(text string) []string {
	text = regexp.MustCompile(`<rect [^>]*>`).ReplaceAllString(text, "")
	text = regexp.MustCompile(`[0-9][0-9,.]*`).ReplaceAllString(text, "#")
	return strings.Fields(text)
}

// highest returns the anomaly of a service and a reason with the highest score, the first among equals.
func highest(all []found, service, reason string) *found {
	var best *found
	for i := range all {
		f := &all[i]
		if f.service == service && f.Reason.String() == reason && (best == nil || f.Score > best.Score) {
			best = f
		}
	}
	return best
}

// text is an example as the page shows it: the fields that Loki has.
func (f *found) text() string {
	var b strings.Builder
	row := func(name, value string) {
		if value == "" {
			return
		}
		const width = 118
		words := strings.Fields(clean(value))
		lines := []string{""}
		for _, w := range words {
			at := len(lines) - 1
			switch {
			case lines[at] == "":
				lines[at] = w
			case len(lines[at])+1+len(w) > width:
				lines = append(lines, w)
			default:
				lines[at] += " " + w
			}
		}
		fmt.Fprintf(&b, "%-21s %s\n", name, strings.Join(lines, "\n"+strings.Repeat(" ", 22)))
	}
	row("time", time.Unix(0, f.Time).UTC().Format(time.TimeOnly))
	row("line", f.line)
	if f.event != "" {
		row("event", f.event+" (a finding without a line: the line in Loki is the explanation)")
	}
	row("reason", f.Reason.String())
	row("logscope_score", fmt.Sprintf("%.2f", f.Score))
	row("logscope_explanation", f.Explanation)
	row("logscope_expected", f.Expected)
	row("logscope_observed", f.Observed)
	row("logscope_template", f.Template)
	row("logscope_session", f.Session)
	return b.String()
}
