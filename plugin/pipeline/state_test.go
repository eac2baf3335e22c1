package pipeline

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/renameio/v2"

	"github.com/logscope/logscope/test/sink"
)

func TestStateFileKeepsWhatWasLearned(t *testing.T) {
	s := sink.New(t)
	path := filepath.Join(t.TempDir(), "sub", "state")
	withState := func(c *Config) { c.StateFile = path }
	first, _ := start(t, s, withState)
	first.Flush("app", lines(t, normal(3000)...))
	before := first.Stats().Engine
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, log := start(t, s, withState)
	after := second.Stats().Engine
	if after.Templates != before.Templates || after.Models != 1 || before.Templates == 0 {
		t.Errorf("got %d templates in %d models; want the %d of before in 1; log %s", after.Templates, after.Models, before.Templates, log)
	}
}

func TestStateFileTroubleStopsNothing(t *testing.T) {
	for _, tc := range []struct {
		name string
		path func(t *testing.T) string
		want string
	}{
		{"damaged", func(t *testing.T) string {
			path := filepath.Join(t.TempDir(), "state")
			if err := os.WriteFile(path, []byte("not a state file"), 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}, "learning starts afresh"},
		{"directory cannot be made", func(t *testing.T) string {
			file := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			return filepath.Join(file, "state")
		}, "cannot make its directory"},
		{"read-only directory", func(t *testing.T) string {
			return "/proc/logscope-state" // /proc takes no files, whoever asks
		}, "cannot write to its directory"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := sink.New(t)
			p, log := start(t, s, func(c *Config) { c.StateFile = tc.path(t) })
			if got := p.Flush("app", lines(t, normal(30)...)); got != OK || len(s.Entries()) != 30 {
				t.Errorf("got %v and %d entries; want OK and 30", got, len(s.Entries()))
			}
			if n := strings.Count(log.String(), "level=WARN"); n != 1 || !strings.Contains(log.String(), tc.want) {
				t.Errorf("got %d warnings; want one with %q:\n%s", n, tc.want, log)
			}
		})
	}
}

func TestDamagedStateFileIsSetAside(t *testing.T) {
	s := sink.New(t)
	path := filepath.Join(t.TempDir(), "state")
	if err := os.WriteFile(path, []byte("not a state file"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, _ := start(t, s, func(c *Config) { c.StateFile = path })
	p.Flush("app", lines(t, normal(30)...))
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(path + ".bad"); err != nil || string(data) != "not a state file" {
		t.Errorf("got %q, %v; want the damaged file as it was", data, err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("got %v; want a new state file", err)
	}
}

func TestTwoInstancesDoNotShareAStateFile(t *testing.T) {
	s := sink.New(t)
	path := filepath.Join(t.TempDir(), "state")
	withState := func(c *Config) { c.StateFile = path }
	start(t, s, withState)
	p, log := start(t, s, withState)
	if !strings.Contains(log.String(), "another instance or process uses it") {
		t.Errorf("got log %q; want it to say that the file is in use", log)
	}
	if got := p.Flush("app", lines(t, "x")); got != OK {
		t.Errorf("got %v; want OK", got)
	}
}

// TestStateFileThatCannotBeReadStays: it may be a good one.
func TestStateFileThatCannotBeReadStays(t *testing.T) {
	s := sink.New(t)
	path := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(path, 0o700); err != nil { // reads fail with EISDIR, for root too
		t.Fatal(err)
	}
	p, log := start(t, s, func(c *Config) { c.StateFile = path })
	if got := p.Flush("app", lines(t, normal(30)...)); got != OK {
		t.Errorf("got %v; want OK", got)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		t.Errorf("got %v, %v; want what was there", info, err)
	}
	if bad, _ := filepath.Glob(path + ".bad*"); len(bad) != 0 {
		t.Errorf("got %v; want nothing set aside", bad)
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 1 || !strings.Contains(log.String(), "it stays as it is") {
		t.Errorf("got %d warnings; want one that says so:\n%s", n, log)
	}
	if n := p.Stats().StateFailures; n == 0 {
		t.Error("got no failures counted; want the writes that were left out")
	}
}

func TestStateFilesSetAsideStay(t *testing.T) {
	s := sink.New(t)
	path := filepath.Join(t.TempDir(), "state")
	for _, text := range []string{"first", "second", "third"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		p, _ := start(t, s, func(c *Config) { c.StateFile = path })
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{".bad": "first", ".bad.2": "second", ".bad.3": "third"} {
		if got, err := os.ReadFile(path + name); err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v; want %q", name, got, err, want)
		}
	}
}

// TestTemporaryFilesOfACrashAreRemoved, and no others.
func TestTemporaryFilesOfACrashAreRemoved(t *testing.T) {
	s := sink.New(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "state")
	if err := os.Mkdir(path+".spool", 0o700); err != nil {
		t.Fatal(err)
	}
	crash := func(target string, age time.Duration) string { // a write that did not come to its rename
		f, err := renameio.TempFile(filepath.Dir(target), target)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(f.Name(), time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Cleanup() })
		return f.Name()
	}
	gone := []string{
		crash(filepath.Join(path+".spool", "00000000000000000001-0000000000000001"+spoolExt), 0),
		crash(path, time.Hour),
	}
	stay := []string{crash(path, 0), crash(filepath.Join(dir, "state-of-another"), time.Hour)}
	start(t, s, func(c *Config) { c.StateFile = path })
	var left []string
	for _, name := range append(gone, stay...) {
		if _, err := os.Stat(name); err == nil {
			left = append(left, name)
		}
	}
	if diff := cmp.Diff(stay, left); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

// TestPanicInScoringKeepsWhatTheStateFileHolds: one fault must not wipe months of learning, nor the file.
func TestPanicInScoringKeepsWhatTheStateFileHolds(t *testing.T) {
	s := sink.New(t)
	path := filepath.Join(t.TempDir(), "state")
	withState := func(c *Config) { c.StateFile = path }
	first, _ := start(t, s, withState)
	first.Flush("app", lines(t, normal(3000)...))
	templates := first.Stats().Engine.Templates
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p, log := start(t, s, withState)
	fail := func() {
		p.beforeScore = func() { panic("test") }
		if got := p.Flush("app", lines(t, normal(30)...)); got != OK {
			t.Fatalf("got %v; want OK", got)
		}
		p.beforeScore = nil
	}
	fail()
	if got := p.Stats().Engine.Templates; got != templates || !strings.Contains(log.String(), "goes on from the state file") {
		t.Errorf("got %d templates; want the %d of the state file, told:\n%s", got, templates, log)
	}
	p.writeState()
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("got %d bytes, %v; want the file as it was until scoring works", len(after), err)
	}
	p.Flush("app", lines(t, normal(300)...))
	p.writeState()
	if after, err := os.ReadFile(path); err != nil || string(after) == string(before) {
		t.Errorf("got %d bytes, %v; want it written, as scoring works", len(after), err)
	}

	for range restoresMax + 1 {
		fail()
	}
	if got := p.Stats().Engine.Templates; got != 0 {
		t.Errorf("got %d templates; want none, as the file must be the cause", got)
	}
	if _, err := os.Stat(path + ".bad"); err != nil {
		t.Errorf("got %v; want the file set aside", err)
	}
}
