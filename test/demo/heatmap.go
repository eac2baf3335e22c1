package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/logscope/logscope/test/lokitest"
)

// heatStep is the time of one column of the heatmap.
const heatStep = 30 * time.Second

func (d *demo) heatQuery(step string) string {
	return "sum by (score_bucket) (count_over_time(" + d.selector(`, anomaly="true"`) + " [" + step + "]))"
}

// printHeatmap prints what Grafana would draw: score by time, the shade is how many.
func (d *demo) printHeatmap(ctx context.Context) error {
	from, to := d.rec.Span()
	from, to = from.Truncate(heatStep).Add(heatStep), to.Truncate(heatStep).Add(heatStep)
	series, err := d.loki.Range(ctx, d.heatQuery("30s"), from, to, heatStep)
	if err != nil {
		return err
	}
	fmt.Fprint(d.out, "\n", heatmap(series, from, to, heatStep, d.marks(from)))
	return nil
}

// marks are the columns in which something was done to the machine.
func (d *demo) marks(from time.Time) map[int]bool {
	marks := map[int]bool{}
	for _, e := range d.rec.Events {
		marks[int(e.Time.Sub(from.Add(-heatStep))/heatStep)] = true
	}
	return marks
}

// heatmap draws series, one row for each score_bucket, the highest first.
func heatmap(series []lokitest.Series, from, to time.Time, step time.Duration, marks map[int]bool) string {
	columns := int(to.Sub(from)/step) + 1
	rows := map[string][]float64{}
	for _, s := range series {
		row := make([]float64, columns)
		for _, p := range s.Points {
			if i := int(p.Time.Sub(from) / step); i >= 0 && i < columns {
				row[i] = p.Value
			}
		}
		rows[s.Metric["score_bucket"]] = row
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Heatmap of anomalies, a column is %v:  . 1+  ░ 4+  ▒ 16+  ▓ 64+  █ 256+\n\n  score\n", step)
	for _, bucket := range slices.Backward(slices.Sorted(maps.Keys(rows))) {
		fmt.Fprintf(&b, "  %5s │", bucket)
		for _, n := range rows[bucket] {
			b.WriteString(shade(n))
		}
		b.WriteString("│\n")
	}
	b.WriteString("        └")
	for i := range columns {
		if marks[i] {
			b.WriteString("▲")
		} else {
			b.WriteString("─")
		}
	}
	begin, end := from.Add(-step).Local().Format("15:04"), to.Local().Format("15:04")
	fmt.Fprintf(&b, "┘  ▲ something was done to the machine\n         %s%*s\n", begin, columns-len(begin), end)
	return b.String()
}

func shade(n float64) string {
	switch {
	case n >= 256:
		return "█"
	case n >= 64:
		return "▓"
	case n >= 16:
		return "▒"
	case n >= 4:
		return "░"
	case n >= 1:
		return "."
	}
	return " "
}
