package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/logscope/logscope/test/lokitest"
)

// selector finds this run's entries; more are label filters, with a comma before each.
func (d *demo) selector(more string) string {
	return fmt.Sprintf(`{job="demo", run=%q%s}`, d.id, more)
}

// window is the time of the recording, with a minute at its ends.
func (d *demo) window() (from, to time.Time) {
	first, last := d.rec.Span()
	return first.Add(-time.Minute), last.Add(time.Minute)
}

// count returns how many lines Loki has; findings of logscope's own are none.
func (d *demo) count(ctx context.Context) (int, error) {
	from, to := d.window()
	return d.loki.Count(ctx, d.selector(`, source!="logscope"`), from, to)
}

// report reads back what Loki has and prints it.
func (d *demo) report(ctx context.Context) error {
	from, to := d.window()
	found, err := d.loki.Entries(ctx, d.selector(`, anomaly="true"`), from, to)
	if err != nil {
		return err
	}
	if err := d.printCounts(ctx, len(found)); err != nil {
		return err
	}
	d.printAnomalies(found)
	if err := d.printHeatmap(ctx); err != nil {
		return err
	}
	d.printNext()
	if len(found) == 0 {
		return errors.New("no anomalies in Loki, though the recording has faults")
	}
	return nil
}

// printCounts compares the lines sent with the lines in Loki, by service.
func (d *demo) printCounts(ctx context.Context, anomalies int) error {
	from, to := d.window()
	window := strconv.FormatInt(to.Sub(from).Milliseconds(), 10) + "ms"
	byService := func(more string) (map[string]int, error) {
		series, err := d.loki.Instant(ctx, "sum by (service) (count_over_time("+d.selector(more)+" ["+window+"]))", to)
		counts := map[string]int{}
		for _, s := range series {
			counts[s.Metric["service"]] = int(s.Points[0].Value)
		}
		return counts, err
	}
	lines, err := byService(`, source!="logscope"`)
	if err != nil {
		return err
	}
	strange, err := byService(`, anomaly="true"`)
	if err != nil {
		return err
	}
	d.step("read back with LogQL: %d anomalies", anomalies)
	fmt.Fprintf(d.out, "\n   %-12s %10s %10s %10s\n", "service", "sent", "in Loki", "anomalies")
	differ := false
	for _, log := range d.rec.Logs {
		mark := ""
		if lines[log.Name] != len(log.Lines) {
			mark, differ = "  <- differs", true
		}
		fmt.Fprintf(d.out, "   %-12s %10d %10d %10d%s\n", log.Name, len(log.Lines), lines[log.Name], strange[log.Name], mark)
	}
	if differ {
		return errCounts
	}
	return nil
}

// kind is a group of anomalies of one service with the same template and reason.
type kind struct {
	first  lokitest.Entry
	last   int64
	count  int
	score  float64
	sample lokitest.Entry // the one with the highest score
}

// kinds groups anomalies, the highest score first and the most frequent among equals.
func kinds(found []lokitest.Entry) []*kind {
	groups := map[[3]string]*kind{}
	var order []*kind
	for _, e := range found {
		key := [3]string{e.Stream["service"], e.Stream["reason"], e.Metadata["logscope_template_id"]}
		score, _ := strconv.ParseFloat(e.Metadata["logscope_score"], 64)
		k := groups[key]
		if k == nil {
			k = &kind{first: e, sample: e, score: score}
			groups[key] = k
			order = append(order, k)
		}
		k.count++
		k.last = e.Time
		if score > k.score {
			k.sample, k.score = e, score
		}
	}
	slices.SortStableFunc(order, func(a, b *kind) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(b.count, a.count))
	})
	return order
}

// printAnomalies prints the highest kinds of anomalies by time.
func (d *demo) printAnomalies(found []lokitest.Entry) {
	all := kinds(found)
	shown := slices.Clone(all[:min(d.show, len(all))])
	slices.SortStableFunc(shown, func(a, b *kind) int { return cmp.Compare(a.first.Time, b.first.Time) })
	fmt.Fprintf(d.out, "\nAnomalies: %d lines of %d kinds; the %d highest, by time\n", len(found), len(all), len(shown))
	events := d.rec.Events
	for _, k := range shown {
		for len(events) > 0 && events[0].Time.UnixNano() <= k.first.Time {
			d.printEvent(events[0].Time, events[0].Text)
			events = events[1:]
		}
		times := ""
		if k.count > 1 {
			times = fmt.Sprintf("   %d times until %s", k.count, clock(k.last))
		}
		fmt.Fprintf(d.out, "\n  %s  %-11s %s  score %.2f%s\n", clock(k.first.Time), k.first.Stream["service"], k.first.Stream["reason"], k.score, times)
		fmt.Fprintf(d.out, "    why   %s\n", clean(k.sample.Metadata["logscope_explanation"]))
		fmt.Fprintf(d.out, "    line  %s\n", shorten(k.sample.Line))
	}
	for _, e := range events {
		d.printEvent(e.Time, e.Text)
	}
}

// printEvent prints what was really done to the machine: nothing of that is known to logscope.
func (d *demo) printEvent(at time.Time, text string) {
	fmt.Fprintf(d.out, "\n  %s  ---- in truth: %s\n", at.Local().Format(time.TimeOnly), text)
}

func clock(ns int64) string { return time.Unix(0, ns).Format(time.TimeOnly) }

// shorten makes a line fit on one row of a terminal.
func shorten(line string) string {
	const width = 150
	runes := []rune(clean(line))
	if len(runes) <= width {
		return string(runes)
	}
	return string(runes[:width-1]) + "…"
}

// clean takes control characters away: a stranger's line must not drive the terminal.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case unicode.IsControl(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}

// printNext says where to go from here.
func (d *demo) printNext() {
	fmt.Fprintf(d.out, `
The queries, for Grafana's Explore or curl -G %[1]s/loki/api/v1/query_range --data-urlencode query=...
  %[2]s
  %[3]s | logscope_score >= 0.6
  %[4]s

Next
  your own Fluent Bit   conf/fluent-bit.conf: fluent-bit -e bin/out_logscope.so -c conf/fluent-bit.conf
  every option          bin/logscope options
  a file, without Loki  bin/logscope scan /var/log/syslog
  this Loki for longer  go run ./test/demo -stay 1h, then point Grafana at it
  what was recorded     test/demo/README.md
`, d.loki.URL, d.selector(`, anomaly="true"`), d.selector(`, anomaly="true", service="postgres"`), d.heatQuery("1m"))
}
