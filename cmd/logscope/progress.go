package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// Limits of the progress bar.
const (
	progressEvery   = 100 * time.Millisecond
	progressColumns = 30
	widthDefault    = 80
)

// progress is a bar on standard error. A nil progress shows nothing.
type progress struct {
	out     io.Writer
	width   int
	size    int64
	started time.Time
	shownAt time.Time
	done    int64
	visible bool
}

func newProgress(out io.Writer, width int, size int64, started time.Time) *progress {
	return &progress{out: out, width: width, size: size, started: started}
}

// sofar is how many bytes have been read.
func (p *progress) sofar() int64 {
	if p == nil {
		return 0
	}
	return p.done
}

// show draws the bar, unless it has just been drawn.
func (p *progress) show(done int64, sum *summary) {
	if p == nil {
		return
	}
	p.done = done
	now := time.Now()
	if now.Sub(p.shownAt) < progressEvery && p.visible {
		return
	}
	p.shownAt, p.visible = now, true
	rate := float64(sum.lines) / max(now.Sub(p.started).Seconds(), 1e-3)
	fmt.Fprintf(p.out, "\r\x1b[K%s", p.text(sum, rate))
}

// text is the bar, within the width of the terminal.
func (p *progress) text(sum *summary, rate float64) string {
	share := min(1, float64(p.done)/float64(p.size))
	full := int(share * progressColumns)
	line := fmt.Sprintf("[%s%s] %3.0f%%  %s  %s  %s/s", strings.Repeat("=", full), strings.Repeat(" ", progressColumns-full),
		share*100, plural(sum.lines, "line"), plural(sum.anomalies, "anomaly"), grouped(uint64(rate)))
	return line[:min(len(line), max(p.width-1, 0))]
}

// clear removes the bar, so that something else can be written.
func (p *progress) clear() {
	if p == nil || !p.visible {
		return
	}
	p.visible = false
	fmt.Fprint(p.out, "\r\x1b[K")
}

func isTerminal(file *os.File) bool { return term.IsTerminal(int(file.Fd())) }

func widthOf(file *os.File) int {
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil || width <= 0 {
		return widthDefault
	}
	return width
}
