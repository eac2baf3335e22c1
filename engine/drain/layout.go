package drain

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// layout finds a time that only the user's Go layout can read. Layouts that
// the grammar reads as well are left to it, which is faster.
type layout struct {
	text  string
	words int
	at    int // where the last line had it
}

func newLayout(text string) (layout, error) {
	if text == "" {
		return layout{}, nil
	}
	known := true
	for _, want := range []time.Time{
		time.Date(2021, 2, 3, 4, 5, 6, 789e6, time.UTC), time.Date(2022, 11, 28, 23, 59, 58, 0, time.UTC),
	} {
		sample := want.Format(text)
		got, err := time.Parse(text, sample)
		if err != nil || got.Equal(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)) {
			return layout{}, fmt.Errorf("drain: TimeLayout %q names no time: want a Go layout such as %q", text, "2006-01-02 15:04:05.000")
		}
		var t stamp
		end := readStamp([]byte(sample), 0, true, &t)
		if end != len(sample) || got.Year() != 0 && t.unixNanos(0) != got.UnixNano() || got.Year() == 0 && t.month != int(got.Month()) {
			known = false
		}
	}
	if known {
		return layout{}, nil
	}
	return layout{text: text, words: len(strings.Fields(text))}, nil
}

// find reads the layout's time in b, at its last place first.
func (l *layout) find(b []byte, t *stamp) (end int) {
	if l.at < len(b) {
		if end = l.read(b, l.at, t); end > 0 {
			return end
		}
	}
	for i, tries := 0, 0; i < len(b) && tries < fieldsMax; tries++ {
		i = skipSpaces(b, i)
		for i < len(b) && (b[i] == '[' || b[i] == '(' || b[i] == '"') {
			i++
		}
		if end = l.read(b, i, t); end > 0 {
			l.at = i
			return end
		}
		for i < len(b) && !isSpace(b[i]) {
			i++
		}
	}
	return 0
}

func (l *layout) read(b []byte, i int, t *stamp) int {
	end := i
	for n := 0; n < l.words; n++ {
		end = skipSpaces(b, end)
		for end < len(b) && !isSpace(b[end]) {
			end++
		}
	}
	text := bytes.TrimRight(b[i:end], "]),;:|\"")
	v, err := time.Parse(l.text, string(text))
	if err != nil {
		return 0
	}
	*t = stamp{epoch: true, unix: v.Unix(), nanos: v.Nanosecond()}
	if v.Year() == 0 {
		_, zone := v.Zone()
		*t = stamp{month: int(v.Month()), day: v.Day(), clock: true, secs: v.Hour()*3600 + v.Minute()*60 + v.Second(), nanos: v.Nanosecond(), zone: zone}
	}
	end = i + len(text)
	for end < len(b) && !isSpace(b[end]) {
		end++
	}
	return end
}
