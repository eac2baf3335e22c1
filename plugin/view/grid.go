package view

import (
	"strings"
	"time"
)

const (
	// columnsMax times columnTime is what the heatmap shows: the last hour.
	columnsMax = 360
	columnTime = 10 * time.Second
	// rowsMax are the score's tenths, as the label score_bucket has them in Loki.
	rowsMax = 10
	// gridsMax bounds the streams with a heatmap of their own, 20 KB each. Beyond it they are
	// counted together, until one has been silent for an hour.
	gridsMax = 64
	// clockSlack is how far the clock may be set back before the heatmap begins anew: until it has
	// caught up, records count in the newest column.
	clockSlack = time.Minute
)

// Ids of grids that are always there.
const (
	allID    = 0
	othersID = 1
)

// column counts the records of columnTime by score. Its number is its Unix time in units of columnTime.
type column struct {
	at        int64
	records   [rowsMax]uint32
	anomalies uint32 // records and findings
}

// grid is the heatmap of one stream.
type grid struct {
	id                 uint32
	name               string
	newest             int64 // column
	records, anomalies uint64
	columns            [columnsMax]column
}

// column returns the column for counting.
func (g *grid) column(at int64) *column {
	g.newest = at
	c := &g.columns[at%columnsMax]
	if c.at != at {
		*c = column{at: at}
	}
	return c
}

// add counts records of one column.
func (g *grid) add(at int64, sum *column, records int) {
	c := g.column(at)
	for row, n := range &sum.records {
		c.records[row] += n
	}
	c.anomalies += sum.anomalies
	g.records += uint64(records)
	g.anomalies += uint64(sum.anomalies)
}

// appendSince appends the columns from a number on that hold something.
func (g *grid) appendSince(dst []column, from, now int64) []column {
	for at := max(from, now-columnsMax+1); at <= now; at++ {
		if c := &g.columns[at%columnsMax]; c.at == at {
			dst = append(dst, *c)
		}
	}
	return dst
}

// grids are the heatmaps of all streams.
type grids struct {
	all, others *grid
	byName      map[string]*grid
	lastID      uint32
	changed     uint64 // grows whenever a stream comes or goes
	at          int64  // newest column
	sought      int64  // column in which no silent stream was found
}

func newGrids() grids {
	return grids{
		all:    &grid{id: allID, name: "all services"},
		others: &grid{id: othersID, name: "other services"},
		byName: map[string]*grid{},
		lastID: othersID,
	}
}

// turn returns the column of now. The clock may be set back.
func (s *grids) turn(now time.Time) int64 {
	at := now.UnixNano() / int64(columnTime)
	if s.at-at > int64(clockSlack/columnTime) {
		changed, last := s.changed, s.lastID
		*s = newGrids()
		s.changed, s.lastID = changed+1, last
	}
	s.at = max(s.at, at)
	return s.at
}

// of returns the grid of a stream, a new one where there is none and room for it.
func (s *grids) of(stream string, at int64) *grid {
	if g := s.byName[stream]; g != nil {
		return g
	}
	if len(s.byName) >= gridsMax && !s.dropSilent(at) {
		return s.others
	}
	s.lastID++
	s.changed++
	g := &grid{id: s.lastID, name: strings.Clone(stream), newest: at}
	s.byName[g.name] = g
	return g
}

// dropSilent drops the stream that has been silent longest, if that is an hour.
func (s *grids) dropSilent(at int64) bool {
	if s.sought == at {
		return false
	}
	var silent *grid
	for _, g := range s.byName {
		if silent == nil || g.newest < silent.newest || g.newest == silent.newest && g.id < silent.id {
			silent = g
		}
	}
	if silent == nil || at-silent.newest < columnsMax {
		s.sought = at
		return false
	}
	s.changed++
	delete(s.byName, silent.name)
	return true
}

// byID returns a grid; that of all streams where there is none.
func (s *grids) byID(id uint32) *grid {
	if id == othersID {
		return s.others
	}
	for _, g := range s.byName {
		if g.id == id {
			return g
		}
	}
	return s.all
}

// rowOf is the score in tenths, rounded down; 1.0 counts as 0.9.
func rowOf(score float64) int {
	return min(max(int(score*rowsMax+1e-9), 0), rowsMax-1)
}
