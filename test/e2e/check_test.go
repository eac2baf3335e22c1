package e2e

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logscope/logscope/test/demo/shoplog"
	"github.com/logscope/logscope/test/lokitest"
)

// line is what must be the same in the file and in Loki.
type line struct {
	Service, Text string
	Micros        int64
}

// micros rounds a time to the microseconds that the recording has: Fluent Bit's
// parser reads a fraction into a double, which is off by a nanosecond at times.
func micros(ns int64) int64 { return (ns + 500) / 1000 }

// checkLines demands that Loki has each of the recorded lines once, and no other.
func checkLines(t *testing.T, logs []shoplog.Log, got []lokitest.Entry) {
	t.Helper()
	want := map[line]int{}
	total := 0
	for _, log := range logs {
		for _, l := range log.Lines {
			want[line{log.Name, l.Text, micros(l.Time.UnixNano())}]++
			total++
		}
	}
	if len(got) != total {
		t.Errorf("got %d lines in Loki; want %d", len(got), total)
	}
	for _, e := range got {
		want[line{e.Stream["service"], e.Line, micros(e.Time)}]--
	}
	faults := 0
	for l, n := range want {
		if n == 0 {
			continue
		}
		if faults++; faults > 5 {
			break
		}
		what := "is missing"
		if n < 0 {
			what = fmt.Sprintf("is there %d times more than written", -n)
		}
		t.Errorf("%s %s: %q", l.Service, what, time.UnixMicro(l.Micros).UTC().Format(time.RFC3339Nano)+" "+l.Text)
	}
}

// reasons is the closed set of the label reason.
func reasons() []string {
	return []string{"novelty", "frequency", "silence", "parameter", "sequence", "incomplete", "access", "drift", "fleet"}
}

// checkAnnotation demands of each entry that it carries all of a verdict, or nothing of one.
func checkAnnotation(t *testing.T, run string, lines, findings []lokitest.Entry) (anomalies []lokitest.Entry) {
	t.Helper()
	faults := 0
	for _, e := range slices.Concat(lines, findings) {
		var fault string
		if e.Stream["anomaly"] != "" || e.Stream["source"] != "" {
			anomalies = append(anomalies, e)
			fault = anomalyFault(e)
		} else {
			fault = normalFault(e, run)
		}
		if fault != "" {
			if faults++; faults <= 5 {
				t.Errorf("%s: labels %v, metadata %v, line %q", fault, e.Stream, e.Metadata, e.Line)
			}
		}
	}
	return anomalies
}

// normalFault says what is wrong with the labels of an entry that is no anomaly.
func normalFault(e lokitest.Entry, run string) string {
	// service_name is what Loki itself derives from the label service.
	want := map[string]string{"job": "e2e", "run": run, "service": e.Stream["service"], "service_name": e.Stream["service"]}
	if diff := cmp.Diff(want, e.Stream); diff != "" {
		return "the stream of a normal line (-want +got):\n" + diff
	}
	for name := range e.Metadata {
		if name != "detected_level" { // Loki's own
			return "a normal line with metadata " + name
		}
	}
	return ""
}

// anomalyFault says what is wrong with the annotation of an anomaly.
func anomalyFault(e lokitest.Entry) string {
	bucket, err := strconv.ParseFloat(e.Stream["score_bucket"], 64)
	score, err2 := strconv.ParseFloat(e.Metadata["logscope_score"], 64)
	switch {
	case e.Stream["anomaly"] != "true":
		return `no anomaly="true"`
	case !slices.Contains(reasons(), e.Stream["reason"]):
		return "a reason outside the closed set"
	case err != nil || !regexp.MustCompile(`^0\.[0-9]$`).MatchString(e.Stream["score_bucket"]):
		return "a score_bucket that is none"
	case err2 != nil || !regexp.MustCompile(`^[01]\.[0-9]{2}$`).MatchString(e.Metadata["logscope_score"]):
		return "a logscope_score without two decimals"
	case math.Abs(min(score, 0.999)-(bucket+0.05)) > 0.056: // 0.598 is in the bucket 0.5 and is written 0.60
		return "a score outside its bucket"
	case !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(e.Metadata["logscope_template_id"]):
		return "a logscope_template_id that is none"
	case e.Metadata["logscope_explanation"] == "":
		return "no logscope_explanation"
	case e.Metadata["logscope_template"] == "" && e.Stream["source"] == "":
		return "no logscope_template"
	}
	return ""
}

// checkHeatmap demands that the heatmap's query answers with exactly the anomalies.
func checkHeatmap(t *testing.T, r *rig, run string, anomalies []lokitest.Entry) {
	t.Helper()
	query := fmt.Sprintf(`sum by (score_bucket) (count_over_time({anomaly="true", run=%q}[1m]))`, run)
	from, to := r.window()
	from, to = from.Truncate(time.Minute), to.Truncate(time.Minute).Add(time.Minute)
	series, err := r.loki.Range(t.Context(), query, from, to, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	type cell struct {
		Bucket string
		Minute int64 // it ends
	}
	want, got := map[cell]int{}, map[cell]int{}
	for _, e := range anomalies {
		// A minute is open at its begin and closed at its end.
		end := time.Unix(0, e.Time-1).Truncate(time.Minute).Add(time.Minute)
		want[cell{e.Stream["score_bucket"], end.Unix()}]++
	}
	for _, s := range series {
		for _, p := range s.Points {
			got[cell{s.Metric["score_bucket"], p.Time.Unix()}] += int(p.Value)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", query, diff)
	}
}
