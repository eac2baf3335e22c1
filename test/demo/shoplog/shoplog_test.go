package shoplog

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestRecording checks what the demo and the end-to-end tests rely on.
func TestRecording(t *testing.T) {
	rec, err := Load(0)
	if err != nil {
		t.Fatal(err)
	}
	if n := rec.Count(); n < 20000 {
		t.Errorf("got %d lines; want 20000 or more", n)
	}
	first, last := rec.Span()
	if span := last.Sub(first); span < 20*time.Minute || span > time.Hour {
		t.Errorf("got lines over %v; want about 25 min: Loki takes an hour out of order", span)
	}
	if len(rec.Events) < 5 {
		t.Errorf("got %d events; want all that was done", len(rec.Events))
	}
	for _, log := range rec.Logs {
		// Loki keeps one of two entries of a stream with the same time and line.
		seen := map[Line]bool{}
		for _, line := range log.Lines {
			if seen[line] {
				t.Errorf("%s: got %q twice", log.Name, line.Text)
			}
			seen[line] = true
		}
	}
}

// TestShift: every time in every line moves by the same, and nothing else changes.
func TestShift(t *testing.T) {
	was, err := Load(0)
	if err != nil {
		t.Fatal(err)
	}
	const shift = 400*24*time.Hour + 3*time.Hour + 7*time.Second
	is, err := Load(shift)
	if err != nil {
		t.Fatal(err)
	}
	back := newMover(-shift)
	for i, log := range is.Logs {
		for j, line := range log.Lines {
			old := was.Logs[i].Lines[j]
			if got := line.Time.Sub(old.Time); got != shift {
				t.Fatalf("%s: got a line %v later; want %v: %q", log.Name, got, shift, line.Text)
			}
			if got := back.line(line.Text); got != old.Text {
				t.Fatalf("%s: got %q after moving there and back; want %q", log.Name, got, old.Text)
			}
		}
	}
	if got := is.Events[0].Time.Sub(was.Events[0].Time); got != shift {
		t.Errorf("got an event %v later; want %v", got, shift)
	}
}

func TestMover(t *testing.T) {
	m := newMover(24*time.Hour + time.Second)
	for was, want := range map[string]string{
		"2026-11-30T23:59:59.123+00:00 dpkg 2026-11-30 23:59:58": "2026-12-02T00:00:00.123+00:00 dpkg 2026-12-01 23:59:59",
		"[30/Nov/2026:00:00:00 +0000] x":                         "[01/Dec/2026:00:00:01 +0000] x",
		"12:M 05 Nov 2026 01:02:03.004 * y":                      "12:M 06 Nov 2026 01:02:04.004 * y",
		"2026/11/05 01:02:03 [info]":                             "2026/11/06 01:02:04 [info]",
		"not a time: 2026-13-45 99:99:99, 12:30":                 "not a time: 2026-13-45 99:99:99, 12:30",
	} {
		if got := m.line(was); got != want {
			t.Errorf("got %q; want %q", got, want)
		}
	}
}

func TestWrite(t *testing.T) {
	rec, err := LoadEndingAt(time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	if _, last := rec.Span(); last.Truncate(time.Second) != time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC) {
		t.Errorf("got the last line at %v; want 2030-01-01 12:00", last)
	}
	dir := t.TempDir()
	if err := rec.Write(dir); err != nil {
		t.Fatal(err)
	}
	for _, log := range rec.Logs {
		data, err := os.ReadFile(filepath.Join(dir, log.File))
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, line := range log.Lines {
			want = append(want, line.Text)
		}
		if diff := cmp.Diff(want, strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")); diff != "" {
			t.Errorf("%s differs (-want +got):\n%.500s", log.File, diff)
		}
	}
}
