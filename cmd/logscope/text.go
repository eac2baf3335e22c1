package main

import (
	"bufio"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/logscope/logscope/engine"
)

// textRunesMax is how much of a line, a template or an explanation text output shows.
const textRunesMax = 300

// text writes for people: each anomaly as a short block, and with --all the
// other lines as they are, with their score before them.
type text struct {
	out   *bufio.Writer
	all   bool
	paint paint
}

func (p *text) record(at place, line []byte, v *engine.Verdict) {
	if !v.Anomaly {
		fmt.Fprintf(p.out, "%s %s\n", p.paint.dim(fmt.Sprintf("%5.3f", v.Score)), shown(string(line[:min(len(line), lineShownMax)])))
		return
	}
	p.head(at, v.Reason.String(), v)
	p.row("line", string(line[:min(len(line), lineShownMax)]))
	p.space()
}

func (p *text) event(at place, ev *engine.Event) {
	kind := strings.ReplaceAll(ev.Kind.String(), "_", " ")
	if !ev.Anomaly {
		fmt.Fprintf(p.out, "%s %s\n", p.paint.dim(fmt.Sprintf("%5.3f", ev.Score)), p.paint.dim(kind+" "+shown(ev.Session)))
		return
	}
	if reason := ev.Reason.String(); reason != kind {
		kind = strings.TrimSpace(reason + " (" + kind + ")")
	}
	p.head(at, kind, &ev.Verdict)
	p.space()
}

// head writes what every anomaly has.
func (p *text) head(at place, reason string, v *engine.Verdict) {
	fmt.Fprintf(p.out, "%s  %s  %s  %s\n", timeText(v.Time), p.paint.score(v.Score), p.paint.bold(reason),
		p.paint.dim(shown(at.file)+":"+strconv.FormatUint(at.line, 10)))
	if v.Explanation != "" {
		fmt.Fprintf(p.out, "    %s\n", shown(v.Explanation))
	}
	p.row("session", v.Session)
	p.row("template", v.Template)
}

func (p *text) row(name, value string) {
	if value != "" {
		fmt.Fprintf(p.out, "    %s %s\n", p.paint.dim(fmt.Sprintf("%-8s", name)), shown(value))
	}
}

// space sets anomalies apart.
func (p *text) space() { _ = p.out.WriteByte('\n') } // the buffer keeps the error

func timeText(ns int64) string {
	if ns == 0 {
		return "time unknown       "
	}
	return time.Unix(0, ns).UTC().Format("2006-01-02 15:04:05")
}

// shown is text from a log as it may go to a terminal: on one line, without
// control characters, and not longer than it is of use.
func shown(s string) string {
	s = visible(s, false)
	runes := 0
	for i := range s {
		if runes == textRunesMax {
			return s[:i] + "…"
		}
		runes++
	}
	return s
}

// visible escapes what a terminal would act upon or not show: control
// characters (escape sequences begin with one), marks that reverse the
// direction of writing, and bytes that are not UTF-8. Line feeds may stay.
func visible(s string, lines bool) string {
	clean := true
	for i := 0; i < len(s) && clean; i++ {
		clean = s[i] >= ' ' && s[i] < 0x7f || lines && s[i] == '\n'
	}
	if clean {
		return s
	}
	b := make([]byte, 0, len(s)+16)
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b = fmt.Appendf(b, `\x%02x`, s[i])
		case r == '\t':
			b = append(b, "    "...)
		case lines && r == '\n', strconv.IsPrint(r):
			b = append(b, s[i:i+size]...)
		default:
			quoted := strconv.QuoteRuneToASCII(r)
			b = append(b, quoted[1:len(quoted)-1]...)
		}
		i += size
	}
	return string(b)
}

// paint says whether to use colours.
type paint bool

func (p paint) wrap(code, s string) string {
	if !p {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p paint) dim(s string) string  { return p.wrap("2", s) }
func (p paint) bold(s string) string { return p.wrap("1", s) }

// score writes a score with two decimals, in red or yellow by how rare it is.
func (p paint) score(score float64) string {
	code := "33"
	if score >= 0.9 {
		code = "1;31"
	}
	return p.wrap(code, strconv.FormatFloat(score, 'f', 2, 64))
}
