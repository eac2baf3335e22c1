package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logscope/logscope/test/lokitest"
)

func TestHeatmap(t *testing.T) {
	from := time.Date(2030, 1, 1, 10, 1, 0, 0, time.Local)
	at := func(column int) time.Time { return from.Add(time.Duration(column) * time.Minute) }
	series := []lokitest.Series{
		{Metric: map[string]string{"score_bucket": "0.5"}, Points: []lokitest.Point{{Time: at(0), Value: 1}, {Time: at(1), Value: 4}, {Time: at(2), Value: 16}, {Time: at(9), Value: 3}}},
		{Metric: map[string]string{"score_bucket": "0.9"}, Points: []lokitest.Point{{Time: at(2), Value: 64}, {Time: at(3), Value: 256}, {Time: at(40), Value: 9}}},
	}
	got := heatmap(series, from, at(13), time.Minute, map[int]bool{2: true})
	want := `Heatmap of anomalies, a column is 1m0s:  . 1+  ░ 4+  ▒ 16+  ▓ 64+  █ 256+

  score
    0.9 │  ▓█          │
    0.5 │.░▒      .    │
        └──▲───────────┘  ▲ something was done to the machine
         10:00    10:14
`
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("heatmap (-want +got):\n%s", diff)
	}
}

func TestKinds(t *testing.T) {
	entry := func(at int64, service, template, score string) lokitest.Entry {
		return lokitest.Entry{
			Time: at, Stream: map[string]string{"service": service, "reason": "novelty"},
			Metadata: map[string]string{"logscope_template_id": template, "logscope_score": score},
		}
	}
	found := []lokitest.Entry{
		entry(1, "a", "x", "0.60"), entry(2, "a", "y", "0.90"), entry(3, "a", "x", "0.70"), entry(4, "b", "x", "0.70"), entry(5, "a", "x", "0.65"),
	}
	type summary struct {
		Service, Template  string
		First, Last, Shown int64
		Count              int
	}
	var got []summary
	for _, k := range kinds(found) {
		got = append(got, summary{k.first.Stream["service"], k.first.Metadata["logscope_template_id"], k.first.Time, k.last, k.sample.Time, k.count})
	}
	want := []summary{{"a", "y", 2, 2, 2, 1}, {"a", "x", 1, 5, 3, 3}, {"b", "x", 4, 4, 4, 1}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
}

func TestShorten(t *testing.T) {
	for line, want := range map[string]string{
		"short":                   "short",
		"bad \xff byte":           "bad ? byte",
		strings.Repeat("ä", 151):  strings.Repeat("ä", 149) + "…",
		strings.Repeat("ä", 150):  strings.Repeat("ä", 150),
		"tab\tand \x1b[31mescape": "tab and [31mescape",
	} {
		if got := shorten(line); got != want {
			t.Errorf("got %q; want %q", got, want)
		}
	}
}
