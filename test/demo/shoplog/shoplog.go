// Package shoplog holds the recorded logs of a small shop: six services of one
// machine, with faults that really happened in the run. ../README.md says how
// they were recorded and when what happened.
package shoplog

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	_ "embed" // the recording
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/logscope/logscope/plugin/chunk"
	"github.com/logscope/logscope/test/fluentbit"
	"github.com/logscope/logscope/test/host/chunkfile"
)

//go:embed shop-logs.tar.gz
var recording []byte

// Service says how one service writes its log.
type Service struct {
	Name, File string
	// Regex finds the time at the beginning of a line, as Fluent Bit's parsers want it: the groups log (the whole
	// line) and time.
	Regex string
	// Strptime is the time's format for Fluent Bit.
	Strptime string
	// layout is the same for Go; Go reads fractions of seconds without being told.
	layout string
}

// Services returns the services of the recording.
func Services() []Service {
	return []Service{
		{"postgres", "postgres.log", `^(?<log>(?<time>\d+-\d+-\d+ [\d:.]+) UTC .*)$`, "%Y-%m-%d %H:%M:%S.%L", time.DateTime},
		{"orders", "orders.log", `^(?<log>(?<time>\d+-\d+-\d+ [\d:,]+) .*)$`, "%Y-%m-%d %H:%M:%S,%L", time.DateTime},
		{"nginx", "nginx-access.log", `^(?<log>[^ ]+ [^ ]+ [^ ]+ \[(?<time>[^\]]+)\] .*)$`, "%d/%b/%Y:%H:%M:%S %z", "02/Jan/2006:15:04:05 -0700"},
		{"nginx-error", "nginx-error.log", `^(?<log>(?<time>\d+/\d+/\d+ [\d:]+) .*)$`, "%Y/%m/%d %H:%M:%S", "2006/01/02 15:04:05"},
		{"redis", "redis.log", `^(?<log>\d+:[A-Z] (?<time>\d+ [A-Z][a-z]+ \d+ [\d:.]+) .*)$`, "%d %b %Y %H:%M:%S.%L", "02 Jan 2006 15:04:05"},
		{"syslog", "syslog.log", `^(?<log>(?<time>\d+-\d+-\d+T[\d:.]+\+00:00) .*)$`, "%Y-%m-%dT%H:%M:%S.%L%z", time.RFC3339},
	}
}

// Log is what one service wrote.
type Log struct {
	Service
	Lines []Line
}

// Line is one line with the time it says.
type Line struct {
	Time time.Time
	Text string
}

// Event is something that was done to the machine while it was recorded.
type Event struct {
	Time time.Time
	Text string
}

// Recording is all that was recorded.
type Recording struct {
	Logs   []Log
	Events []Event
}

// Load reads the recording, with every time in it moved by shift, which is
// rounded to whole seconds. Zero: as it was recorded.
func Load(shift time.Duration) (*Recording, error) {
	files, err := unpack(recording)
	if err != nil {
		return nil, fmt.Errorf("cannot unpack the recorded logs: %w", err)
	}
	shift = shift.Round(time.Second)
	rec := &Recording{}
	for _, service := range Services() {
		log, err := read(service, files[service.File], shift)
		if err != nil {
			return nil, err
		}
		rec.Logs = append(rec.Logs, log)
	}
	for text := range strings.Lines(files["events.txt"]) {
		at, what, _ := strings.Cut(strings.TrimSpace(text), " ")
		t, err := time.Parse(time.RFC3339, at)
		if err != nil {
			return nil, fmt.Errorf("cannot read events.txt: %w", err)
		}
		rec.Events = append(rec.Events, Event{t.Add(shift), what})
	}
	return rec, nil
}

// LoadEndingAt reads the recording as if it had ended at end.
func LoadEndingAt(end time.Time) (*Recording, error) {
	rec, err := Load(0)
	if err != nil {
		return nil, err
	}
	_, last := rec.Span()
	return Load(end.Truncate(time.Second).Sub(last.Truncate(time.Second)))
}

// Count returns how many lines there are.
func (r *Recording) Count() int {
	n := 0
	for _, log := range r.Logs {
		n += len(log.Lines)
	}
	return n
}

// Span returns the times of the first and of the last line.
func (r *Recording) Span() (first, last time.Time) {
	for _, log := range r.Logs {
		for _, line := range log.Lines {
			if first.IsZero() || line.Time.Before(first) {
				first = line.Time
			}
			if line.Time.After(last) {
				last = line.Time
			}
		}
	}
	return first, last
}

// Write writes the logs into dir, one file for each service.
func (r *Recording) Write(dir string) error {
	for _, log := range r.Logs {
		var text bytes.Buffer
		for _, line := range log.Lines {
			text.WriteString(line.Text)
			text.WriteByte('\n')
		}
		if err := os.WriteFile(filepath.Join(dir, log.File), text.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// ChunkBytes is where Fluent Bit closes a chunk.
const ChunkBytes = 2 << 20

// WriteChunks writes a chunk file for the test host: the same records that Fluent Bit makes of the
// files when it tails them, {"log": line, "service": name}, tagged with the service's name. A chunk is closed at
// chunkBytes, ChunkBytes in Fluent Bit.
func (r *Recording) WriteChunks(w io.Writer, chunkBytes int) error {
	for _, log := range r.Logs {
		var chunks chunk.Writer
		for i, line := range log.Lines {
			if err := chunks.AppendRecord(line.Time.UnixNano(), nil, chunk.Pairs{"log", line.Text, "service", log.Name}); err != nil {
				return err
			}
			if len(chunks.Buf) < chunkBytes && i < len(log.Lines)-1 {
				continue
			}
			if err := chunkfile.Write(w, log.Name, chunks.Buf); err != nil {
				return err
			}
			chunks.Buf = chunks.Buf[:0]
		}
	}
	return nil
}

// Tails returns how Fluent Bit reads the files that Write wrote into dir.
func (r *Recording) Tails(dir string) []fluentbit.Tail {
	var tails []fluentbit.Tail
	for _, log := range r.Logs {
		tails = append(tails, fluentbit.Tail{
			Tag: log.Name, Path: filepath.Join(dir, log.File), Add: "service " + log.Name,
			Regex: log.Regex, Strptime: log.Strptime,
		})
	}
	return tails
}

func read(service Service, text string, shift time.Duration) (Log, error) {
	log := Log{Service: service}
	pattern, err := regexp.Compile(service.Regex)
	if err != nil {
		return log, err
	}
	group := pattern.SubexpIndex("time")
	move := newMover(shift)
	for line := range strings.Lines(text) {
		line = move.line(strings.TrimSuffix(line, "\n"))
		found := pattern.FindStringSubmatch(line)
		if found == nil {
			return log, fmt.Errorf("cannot find the time in a line of %s: %q", service.File, line)
		}
		at, err := time.Parse(service.layout, found[group])
		if err != nil {
			return log, fmt.Errorf("cannot read the time of a line of %s: %w", service.File, err)
		}
		log.Lines = append(log.Lines, Line{at.UTC(), line})
	}
	if len(log.Lines) == 0 {
		return log, errors.New("no lines of " + service.File)
	}
	return log, nil
}

// mover moves the times in a line, wherever they stand.
type mover struct {
	shift   time.Duration
	pattern *regexp.Regexp
	layouts []string
}

func newMover(shift time.Duration) *mover {
	return &mover{
		shift:   shift,
		pattern: regexp.MustCompile(`\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d|\d{4}/\d\d/\d\d \d\d:\d\d:\d\d|\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d|\d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d`),
		layouts: []string{time.DateTime, "2006-01-02T15:04:05", "2006/01/02 15:04:05", "02/Jan/2006:15:04:05", "02 Jan 2006 15:04:05"},
	}
}

func (m *mover) line(text string) string {
	if m.shift == 0 {
		return text
	}
	return m.pattern.ReplaceAllStringFunc(text, func(old string) string {
		for _, layout := range m.layouts {
			if t, err := time.Parse(layout, old); err == nil {
				return t.Add(m.shift).Format(layout)
			}
		}
		return old
	})
}

func unpack(data []byte) (map[string]string, error) {
	unzipped, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for archive := tar.NewReader(unzipped); ; {
		head, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			return nil, err
		}
		files[filepath.Base(head.Name)] = string(text)
	}
}
