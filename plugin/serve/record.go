package serve

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/logscope/logscope/plugin/chunk"
	"github.com/logscope/logscope/plugin/pipeline"
	"github.com/logscope/logscope/plugin/serve/jsonscan"
)

// textKey is the key that a line gets which is no JSON object: one of the plugin's default message keys.
const textKey = "log"

// recordWriter makes a Fluent Bit chunk of NDJSON, so that one code makes labels and lines of both.
type recordWriter struct {
	chunk    chunk.Writer
	text     []byte
	now      int64
	timeless bool // a record had no time of its own
	records  int
}

// chunkFromJSON makes a chunk of a body of NDJSON, or of one JSON array. now
// stands for the time of records that have none; timeless says that there were such.
func chunkFromJSON(body []byte, now int64) (data []byte, timeless bool, err error) {
	w := recordWriter{now: now}
	if array, err := jsonscan.Only(body); err == nil && jsonscan.KindOf(array) == jsonscan.Array {
		for e := jsonscan.ElementsOf(array); e.Next(); {
			if w.record(e.Val); w.records > pipeline.RelayEntriesMax {
				return nil, false, tooMany("records", pipeline.RelayEntriesMax)
			}
		}
		return w.chunk.Buf, w.timeless, nil
	}
	for len(body) > 0 {
		line, rest, _ := bytes.Cut(body, []byte{'\n'})
		if w.line(line); w.records > pipeline.RelayEntriesMax {
			return nil, false, tooMany("records", pipeline.RelayEntriesMax)
		}
		body = rest
	}
	return w.chunk.Buf, w.timeless, nil
}

// line writes the record of one line; blank lines are none.
func (w *recordWriter) line(line []byte) {
	if line = bytes.TrimSuffix(line, []byte{'\r'}); len(bytes.TrimSpace(line)) == 0 {
		return
	}
	if value, err := jsonscan.Only(line); err == nil {
		line = value
	}
	w.record(line)
}

// record writes one record: a JSON object, else text.
func (w *recordWriter) record(value []byte) {
	if jsonscan.KindOf(value) == jsonscan.Object && jsonscan.Value(value, 0) == len(value) {
		at, ok := timeOf(value)
		w.begin(at, ok)
		w.value(value)
		return
	}
	w.begin(0, false)
	if jsonscan.KindOf(value) == jsonscan.String && jsonscan.Value(value, 0) == len(value) {
		_, value = jsonscan.Text(nil, value)
	}
	w.chunk.AppendMapLen(1)
	w.chunk.AppendStr(textKey)
	w.string(value)
}

func (w *recordWriter) begin(at int64, ok bool) {
	w.records++
	if !ok {
		at, w.timeless = w.now, true
	}
	w.chunk.Buf = append(w.chunk.Buf, 0x92, 0x92)
	w.chunk.AppendEventTime(at)
	w.chunk.AppendMapLen(0)
}

// value writes a JSON value as msgpack.
func (w *recordWriter) value(v []byte) {
	switch jsonscan.KindOf(v) {
	case jsonscan.Object:
		at := w.open(0xdf)
		n := uint32(0)
		for m := jsonscan.PairsOf(v); m.Next(); n++ {
			w.quoted(m.Key)
			w.value(m.Val)
		}
		binary.BigEndian.PutUint32(w.chunk.Buf[at:], n)
	case jsonscan.Array:
		at := w.open(0xdd)
		n := uint32(0)
		for e := jsonscan.ElementsOf(v); e.Next(); n++ {
			w.value(e.Val)
		}
		binary.BigEndian.PutUint32(w.chunk.Buf[at:], n)
	case jsonscan.String:
		w.quoted(v)
	case jsonscan.Number:
		w.number(v)
	case jsonscan.Bool:
		w.chunk.Buf = append(w.chunk.Buf, map[byte]byte{'t': 0xc3, 'f': 0xc2}[v[0]])
	default:
		w.chunk.Buf = append(w.chunk.Buf, 0xc0)
	}
}

// open writes the code of a container whose length comes later, and says where that goes.
func (w *recordWriter) open(code byte) (at int) {
	w.chunk.Buf = append(w.chunk.Buf, code, 0, 0, 0, 0)
	return len(w.chunk.Buf) - 4
}

func (w *recordWriter) quoted(s []byte) {
	var text []byte
	w.text, text = jsonscan.Text(w.text[:0], s)
	w.string(text)
}

// string writes text; Loki takes no entry with bytes that are not UTF-8.
func (w *recordWriter) string(text []byte) {
	if !utf8.Valid(text) {
		text = bytes.ToValidUTF8(text, []byte("\uFFFD"))
	}
	w.chunk.AppendStr(string(text))
}

// number writes a number as an integer where it is one, else as a float.
func (w *recordWriter) number(v []byte) {
	if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
		w.chunk.Buf = binary.BigEndian.AppendUint64(append(w.chunk.Buf, 0xd3), uint64(n))
		return
	}
	if n, err := strconv.ParseUint(string(v), 10, 64); err == nil {
		w.chunk.Buf = binary.BigEndian.AppendUint64(append(w.chunk.Buf, 0xcf), n)
		return
	}
	f, err := strconv.ParseFloat(string(v), 64)
	if err != nil { // out of range: no float has it
		w.string(v)
		return
	}
	w.chunk.Buf = binary.BigEndian.AppendUint64(append(w.chunk.Buf, 0xcb), math.Float64bits(f))
}

// timeOf finds the time of a record: the first of the keys that loggers use for it which can be read.
func timeOf(object []byte) (unixNanos int64, ok bool) {
	for m := jsonscan.PairsOf(object); m.Next(); {
		if !isTimeKey(m.Key[1 : len(m.Key)-1]) {
			continue
		}
		if unixNanos, ok = parseTime(m.Val); ok {
			return unixNanos, true
		}
	}
	return 0, false
}

// isTimeKey knows the names that scan knows for the time of a line.
func isTimeKey(key []byte) bool {
	switch string(bytes.ToLower(key[:min(len(key), 16)])) {
	case "ts", "time", "timestamp", "@timestamp", "t", "datetime", "date", "eventtime", "@t":
		return true
	}
	return false
}

// timeLayouts are those of times written as text; fractions of a second may follow the seconds in all.
var timeLayouts = [...]string{time.RFC3339, "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02 15:04:05 Z0700",
	"2006-01-02T15:04:05", "2006-01-02 15:04:05"}

// parseTime reads a time: as text, or as a number of seconds, milli-, micro- or nanoseconds since 1970.
func parseTime(v []byte) (unixNanos int64, ok bool) {
	text := string(v)
	switch jsonscan.KindOf(v) {
	case jsonscan.String:
		_, t := jsonscan.Text(nil, v)
		text = string(t)
		for _, layout := range timeLayouts {
			if at, err := time.Parse(layout, text); err == nil && at.Year() > 1970 && at.Year() < 2262 {
				return at.UnixNano(), true
			}
		}
	case jsonscan.Number:
	default:
		return 0, false
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		for _, unit := range [...]int64{1e9, 1e6, 1e3, 1} {
			if at := n * unit; n > 0 && at/unit == n && at >= timeLeast && at < timeMost {
				return at, true
			}
		}
		return 0, false
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f*1e9 < timeLeast || f*1e9 >= timeMost {
		return 0, false
	}
	return int64(math.Round(f*1e6)) * 1e3, true // a float64 has no more than microseconds
}

// Times before 1990 and after 2100 are counters or durations, not times.
const (
	timeLeast = 631152000 * 1e9
	timeMost  = 4102444800 * 1e9
)
