package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/logscope/logscope/engine"
)

// reasonsMax is the number of reasons there are, with ReasonNone.
const reasonsMax = int(engine.ReasonFleet) + 1

// summary counts what a scan has seen.
type summary struct {
	lines, anomalies uint64
	files, cut       int
	byReason         [reasonsMax]uint64
	// first and last are the earliest and the latest time in the logs, zero where none is known.
	first, last int64
	started     time.Time
	elapsed     time.Duration
	stats       engine.Stats
}

func (s *summary) add(v *engine.Verdict) {
	if v.Time != 0 {
		if s.first == 0 || v.Time < s.first {
			s.first = v.Time
		}
		s.last = max(s.last, v.Time)
	}
	s.count(v)
}

func (s *summary) addEvent(ev *engine.Event) { s.count(&ev.Verdict) }

func (s *summary) count(v *engine.Verdict) {
	if v.Anomaly {
		s.anomalies++
		s.byReason[min(int(v.Reason), reasonsMax-1)]++
	}
}

func (s *summary) finish(stats engine.Stats) {
	s.stats = stats
	s.elapsed = time.Since(s.started)
}

func (p *text) summary(s *summary) {
	fmt.Fprintf(p.out, "%s in %s, %s", plural(s.lines, "line"), plural(uint64(s.files), "file"), plural(uint64(s.stats.Templates), "template"))
	if s.first != 0 {
		fmt.Fprintf(p.out, ", from %s to %s", timeText(s.first), timeText(s.last))
	}
	fmt.Fprintf(p.out, "\n%s", p.paint.bold(plural(s.anomalies, "anomaly")))
	if s.anomalies > 0 {
		fmt.Fprintf(p.out, ": %s", s.reasons())
	}
	seconds := s.elapsed.Seconds()
	fmt.Fprintf(p.out, "\n%.1f s, %s a second\n", seconds, plural(uint64(float64(s.lines)/max(seconds, 1e-6)), "line"))
	if s.cut > 0 {
		fmt.Fprintf(p.out, "of %s only the first %d bytes were scored\n", plural(uint64(s.cut), "line"), lineBytesMax)
	}
	if s.stats.Models > 0 {
		fmt.Fprintf(p.out, "confidence %.2f in %s", s.stats.Confidence, plural(uint64(s.stats.Models), "model"))
		if s.stats.Cold > 0 {
			fmt.Fprintf(p.out, "; %d saw too few lines to raise anything (--warmup)", s.stats.Cold)
		}
		if s.stats.Unstructured > 0 {
			fmt.Fprintf(p.out, "; %d of lines that fall into no templates", s.stats.Unstructured)
		}
		fmt.Fprintln(p.out)
	}
	if s.stats.Held > 0 {
		fmt.Fprintf(p.out, "%s held back by --alert-budget\n", plural(s.stats.Held, "finding"))
	}
	if s.stats.ModelsEvicted > 0 {
		fmt.Fprintf(p.out, "%s forgotten to keep within --max-models and --memory-limit\n", plural(s.stats.ModelsEvicted, "model"))
	}
}

// reasons lists the anomalies by reason, the most frequent first.
func (s *summary) reasons() string {
	order := make([]engine.Reason, 0, reasonsMax)
	for reason := range s.byReason {
		if s.byReason[reason] > 0 {
			order = append(order, engine.Reason(reason))
		}
	}
	slices.SortStableFunc(order, func(a, b engine.Reason) int {
		return int(min(s.byReason[b], 1<<31)) - int(min(s.byReason[a], 1<<31))
	})
	parts := make([]string, 0, len(order))
	for _, reason := range order {
		name := reason.String()
		if name == "" {
			name = "other"
		}
		parts = append(parts, fmt.Sprintf("%s %s", grouped(s.byReason[reason]), name))
	}
	return strings.Join(parts, ", ")
}

// plural counts things in English.
func plural(n uint64, thing string) string {
	switch {
	case n == 1:
	case strings.HasSuffix(thing, "y"):
		thing = strings.TrimSuffix(thing, "y") + "ies"
	default:
		thing += "s"
	}
	return grouped(n) + " " + thing
}

// grouped writes a number with commas between its thousands.
func grouped(n uint64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
