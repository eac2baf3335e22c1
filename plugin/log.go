package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
)

// Levels as Fluent Bit numbers them.
const (
	levelError = 1
	levelWarn  = 2
	levelInfo  = 3
	levelDebug = 4
)

const (
	// logQueueMax bounds the lines waiting for a call of Fluent Bit's to print them, 4 MB at worst;
	// more are counted and dropped.
	logQueueMax = 1024
	// logLineMax keeps a line within the host's own buffer.
	logLineMax = 4000
)

// logQueue is a slog.Handler that keeps lines until Fluent Bit calls: its log
// can only be written from its own threads.
type logQueue struct {
	prefix string
	max    int // highest level that the host prints

	mu      sync.Mutex
	lines   []logLine
	dropped int
}

type logLine struct {
	level int
	text  string
}

// Enabled says whether the host prints the level.
func (q *logQueue) Enabled(_ context.Context, level slog.Level) bool {
	return hostLevel(level) <= q.max
}

// Handle queues one line.
func (q *logQueue) Handle(_ context.Context, r slog.Record) error {
	text := q.prefix + r.Message
	r.Attrs(func(a slog.Attr) bool {
		text += fmt.Sprintf(" %s=%v", a.Key, a.Value)
		return true
	})
	if len(text) > logLineMax {
		text = strings.ToValidUTF8(text[:logLineMax], "") + "..."
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.lines) >= logQueueMax {
		q.dropped++
		return nil
	}
	q.lines = append(q.lines, logLine{hostLevel(r.Level), text})
	return nil
}

// WithAttrs and WithGroup are not used: messages are whole sentences.
func (q *logQueue) WithAttrs([]slog.Attr) slog.Handler { return q }

// WithGroup returns q.
func (q *logQueue) WithGroup(string) slog.Handler { return q }

// take returns the lines queued since the last call.
func (q *logQueue) take() []logLine {
	q.mu.Lock()
	defer q.mu.Unlock()
	lines := q.lines
	q.lines = nil
	if q.dropped > 0 {
		lines = append(lines, logLine{levelWarn, q.prefix + fmt.Sprintf(msgLines, q.dropped)})
		q.dropped = 0
	}
	return lines
}

func hostLevel(level slog.Level) int {
	switch {
	case level >= slog.LevelError:
		return levelError
	case level >= slog.LevelWarn:
		return levelWarn
	case level >= slog.LevelInfo:
		return levelInfo
	}
	return levelDebug
}
