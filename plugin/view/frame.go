package view

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/logscope/logscope/engine"
)

const (
	// frameAnomaliesMax bounds the anomalies of one frame, some 700 bytes each; the next frame has more.
	frameAnomaliesMax = 100
	// frameBytesMax bounds their texts; JSON may write six bytes for one.
	frameBytesMax = 128 << 10
	// shownLineMax bounds a line in a frame: a browser is to draw it.
	shownLineMax = 2000
	// streamsEvery is how often counts by stream are sent.
	streamsEvery = time.Second
)

// frame is one message to a browser. What it counts is counted from the start of the hub, so that a
// frame makes up for those that were never sent.
type frame struct {
	Hello *hello `json:"hello,omitempty"` // in the first frame
	// Now is the server's time in Unix milliseconds.
	Now int64 `json:"now"`
	// Records and Anomalies are those of all streams.
	Records   uint64 `json:"records"`
	Anomalies uint64 `json:"anomalies"`
	// Grid says whose the columns are. Whole: they are all there are.
	Grid  uint32 `json:"grid"`
	Whole bool   `json:"whole,omitempty"`
	// Columns are [number, anomalies, records by row...], each as it is now.
	Columns [][]int64       `json:"columns,omitempty"`
	Streams []streamShown   `json:"streams,omitempty"`
	New     []*anomalyShown `json:"new,omitempty"`
	// Lost counts the anomalies that this browser was too slow for.
	Lost uint64 `json:"lost,omitempty"`
}

// hello says what the page needs to know once.
type hello struct {
	Columns       int      `json:"columns"`
	ColumnSeconds int      `json:"columnSeconds"`
	Rows          int      `json:"rows"`
	Threshold     float64  `json:"threshold"`
	Keep          int      `json:"keep"`
	Reasons       []string `json:"reasons"`
	CanScore      bool     `json:"canScore"`
	CanTeach      bool     `json:"canTeach"`
}

type streamShown struct {
	ID        uint32 `json:"id"`
	Name      string `json:"name"`
	Records   uint64 `json:"records"`
	Anomalies uint64 `json:"anomalies"`
}

type anomalyShown struct {
	ID          uint64  `json:"id"`
	Grid        uint32  `json:"grid"`
	Stream      string  `json:"stream"`
	Time        int64   `json:"time"` // Unix milliseconds; 0: the record has none
	Arrived     int64   `json:"arrived"`
	Score       float64 `json:"score"`
	Reason      string  `json:"reason"`
	Event       string  `json:"event,omitempty"`
	Line        string  `json:"line,omitempty"`
	Cut         int     `json:"cut,omitempty"` // bytes of the line that are not shown
	TemplateID  string  `json:"templateId,omitempty"`
	Template    string  `json:"template,omitempty"`
	Explanation string  `json:"explanation,omitempty"`
	Expected    string  `json:"expected,omitempty"`
	Observed    string  `json:"observed,omitempty"`
	Session     string  `json:"session,omitempty"`
	// Times is how often the finding was made since First, Unix milliseconds; 0: not known.
	Times uint64 `json:"times,omitempty"`
	First int64  `json:"first,omitempty"`
}

func (h *Hub) hello() *hello {
	w := &hello{
		Columns: columnsMax, ColumnSeconds: int(columnTime / time.Second), Rows: rowsMax,
		Threshold: h.cfg.Threshold, Keep: recentMax,
		CanScore: h.cfg.Score != nil, CanTeach: h.cfg.Feedback != nil,
	}
	for r := engine.ReasonNovelty; r.String() != ""; r++ {
		w.Reasons = append(w.Reasons, r.String())
	}
	return w
}

func show(a *Anomaly) *anomalyShown {
	line := a.Line
	if len(line) > shownLineMax {
		line = cut(line, shownLineMax)
	}
	shown := &anomalyShown{
		ID: a.ID, Grid: a.grid, Stream: a.Stream, Time: millis(a.Time), Arrived: millis(a.Arrived),
		Score: a.Score, Reason: a.Reason.String(), Event: a.Event,
		Line: line, Cut: a.Cut + len(a.Line) - len(line),
		TemplateID: templateID(a.TemplateID), Template: a.Template,
		Explanation: a.Explanation, Expected: a.Expected, Observed: a.Observed, Session: a.Session,
	}
	if a.About != nil {
		shown.Times, shown.First = a.About.Count, millis(a.About.First)
	}
	return shown
}

func millis(ns int64) int64 { return ns / int64(time.Millisecond) }

// templateID writes an id as everywhere: 16 hexadecimal digits.
// Findings about a whole stream have none.
func templateID(id uint64) string {
	if id == 0 {
		return ""
	}
	return fmt.Sprintf("%016x", id)
}

// draft is what of a frame must be copied under the lock.
type draft struct {
	frame     frame
	columns   []column
	anomalies []*Anomaly
}

// draw fills d with what c has not been told yet.
func (h *Hub) draw(c *client, d *draft) {
	now := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	at := h.grids.turn(now)
	g := h.grids.byID(c.watch.Load())
	whole := !c.greeted || g.id != c.watching || at < c.column
	from := c.column
	if whole {
		from = 0
	}
	c.watching, c.column = g.id, at
	d.columns = g.appendSince(d.columns[:0], from, at)
	d.frame = frame{
		Now: millis(now.UnixNano()), Records: h.grids.all.records, Anomalies: h.grids.all.anomalies,
		Grid: g.id, Whole: whole,
	}
	if c.changed != h.grids.changed || now.Sub(c.listed) >= streamsEvery || now.Before(c.listed) {
		c.changed, c.listed = h.grids.changed, now
		d.frame.Streams = h.grids.list()
	}
	if first := h.recent.first(); c.next < first {
		c.lost += first - c.next
		c.next = first
	}
	d.frame.Lost = c.lost
	d.anomalies = d.anomalies[:0]
	for size := 0; c.next <= h.recent.last && len(d.anomalies) < frameAnomaliesMax && size < frameBytesMax; c.next++ {
		a := h.recent.at(c.next)
		size += a.bytes() - max(len(a.Line)-shownLineMax, 0)
		d.anomalies = append(d.anomalies, a)
	}
	c.behind = c.next <= h.recent.last
}

// list returns the streams by name.
func (s *grids) list() []streamShown {
	all := make([]streamShown, 0, len(s.byName)+1)
	for _, g := range s.byName {
		all = append(all, streamShown{g.id, g.name, g.records, g.anomalies})
	}
	slices.SortFunc(all, func(a, b streamShown) int { return strings.Compare(a.Name, b.Name) })
	if o := s.others; o.records > 0 || o.anomalies > 0 {
		all = append(all, streamShown{o.id, o.name, o.records, o.anomalies})
	}
	return all
}

// encode writes the frame as JSON.
func (d *draft) encode() ([]byte, error) {
	for i := range d.columns {
		c := &d.columns[i]
		row := make([]int64, 0, 2+rowsMax)
		row = append(row, c.at, int64(c.anomalies))
		for _, n := range c.records {
			row = append(row, int64(n))
		}
		d.frame.Columns = append(d.frame.Columns, row)
	}
	for _, a := range d.anomalies {
		d.frame.New = append(d.frame.New, show(a))
	}
	clear(d.anomalies)
	return json.Marshal(&d.frame)
}
