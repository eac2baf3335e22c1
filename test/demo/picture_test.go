package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/logscope/logscope/test/demo/shoplog"
)

// Measures of the picture, in pixels.
const (
	cellWidth, cellHeight = 13, 22
	leftWidth, topHeight  = 110, 40
	betweenHeight         = 46
	pictureStep           = 30 * time.Second
)

// shades are those of the dashboards' heatmaps, from few to many.
func shades() []string {
	return []string{"#fdd0a2", "#fdae6b", "#fd8d3c", "#e6550d", "#a63603"}
}

// draw draws what the overview's two heatmaps show of the recording, as SVG, with what was done to the machine.
func draw(rec *shoplog.Recording, all []found) string {
	first, last := rec.Span()
	first = first.Truncate(pictureStep)
	columns := int(last.Sub(first)/pictureStep) + 1
	services := []string{}
	for _, log := range rec.Logs {
		services = append(services, log.Name)
	}
	scores := []string{"0.9", "0.8", "0.7", "0.6", "0.5"}
	counts := map[string][]int{}
	for _, name := range append(append([]string{}, services...), scores...) {
		counts[name] = make([]int, columns)
	}
	for _, f := range all {
		at := int(time.Unix(0, f.Time).Sub(first) / pictureStep)
		for _, row := range []string{f.service, fmt.Sprintf("0.%d", min(int(f.Score*10+1e-9), 9))} {
			if counts[row] != nil && at >= 0 && at < columns {
				counts[row][at]++
			}
		}
	}
	height := topHeight + (len(scores)+len(services))*cellHeight + betweenHeight + 38 + 17*len(rec.Events)
	width := leftWidth + columns*cellWidth + 20
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	bottom := drawRows(&b, "Anomalies by score", topHeight, scores, counts)
	bottom = drawRows(&b, "Anomalies by service", bottom+betweenHeight, services, counts)
	drawTimes(&b, first, columns, bottom)
	drawMarks(&b, rec.Events, first, bottom)
	b.WriteString("</svg>\n")
	return b.String()
}

// drawRows draws one heatmap from y on, and returns where it ends.
func drawRows(b *strings.Builder, title string, y int, rows []string, counts map[string][]int) int {
	fmt.Fprintf(b, `<text x="%d" y="%d" font-weight="bold" fill="#222222">%s</text>`+"\n", 8, y-10, title)
	for i, name := range rows {
		top := y + i*cellHeight
		fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end" fill="#222222">%s</text>`+"\n", leftWidth-8, top+15, name)
		for column, n := range counts[name] {
			color := "#f4f4f4"
			if n > 0 {
				color = shade5(n)
			}
			fmt.Fprintf(b, `<rect x="%d" y="%d" width="%d" height="%d" fill="%s"/>`, leftWidth+column*cellWidth, top, cellWidth-1, cellHeight-1, color)
		}
		b.WriteString("\n")
	}
	return y + len(rows)*cellHeight
}

// shade5 is the colour of a cell: 1, 2, 3 to 4, 5 to 8, more.
func shade5(n int) string {
	for i, most := range []int{1, 2, 4, 8} {
		if n <= most {
			return shades()[i]
		}
	}
	return shades()[4]
}

func drawTimes(b *strings.Builder, first time.Time, columns, y int) {
	for column := range columns {
		if at := first.Add(time.Duration(column) * pictureStep).UTC(); at.Second() == 0 && at.Minute()%5 == 0 {
			fmt.Fprintf(b, `<text x="%d" y="%d" fill="#222222">%s</text>`+"\n", leftWidth+column*cellWidth, y+16, at.Format("15:04"))
		}
	}
}

// drawMarks draws a line where something was done, with its number, and says below what.
func drawMarks(b *strings.Builder, events []shoplog.Event, first time.Time, y int) {
	for i, e := range events {
		x := leftWidth + int(float64(cellWidth)*e.Time.Sub(first).Seconds()/pictureStep.Seconds())
		fmt.Fprintf(b, `<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="#2166ac" stroke-dasharray="3 3"/>`, x, topHeight-6, x, y+2)
		fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="middle" fill="#2166ac">%d</text>`+"\n", x, topHeight-10, i+1)
		text := strings.NewReplacer("&", "&amp;", "<", "&lt;").Replace(fmt.Sprintf("%d  %s", i+1, e.Text))
		fmt.Fprintf(b, `<text x="%d" y="%d" fill="#2166ac">%s</text>`+"\n", leftWidth, y+38+i*17, text)
	}
}
