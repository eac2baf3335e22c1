package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/logscope/logscope/engine"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"logscope": main})
}

// TestScripts runs the command as users do; each script in testdata/script is a session of theirs.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"gzip": gzipFile, "binary": binaryFile, "lines": countLines, "truncate": truncateFile, "state": stateFile,
		},
	})
}

// gzipFile is "gzip FROM TO".
func gzipFile(ts *testscript.TestScript, _ bool, args []string) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := io.WriteString(w, ts.ReadFile(args[0]))
	ts.Check(errors.Join(err, w.Close()))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), packed.Bytes(), 0o600))
}

// binaryFile is "binary FILE": it writes what no log holds, and terminal escapes for good measure.
func binaryFile(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte("\x7fELF\x00\x00\x1b[31m\n"), 0o600))
}

// truncateFile is "truncate FROM BYTES TO".
func truncateFile(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(ts.ReadFile(args[0])[:n]), 0o600))
}

// stateFile is "state FILE": a snapshot of an engine that has met one new line, and a copy of it.
func stateFile(ts *testscript.TestScript, _ bool, args []string) {
	e, err := engine.New(engine.DefaultConfig())
	ts.Check(err)
	var recs []engine.Record
	for i := range int64(2000) {
		recs = append(recs, engine.Record{Stream: "app", Time: (i + 1) * 1e9, Line: []byte("INFO all is well")})
	}
	e.Score(nil, append(recs, engine.Record{Stream: "app", Time: 2001e9, Line: []byte("ERROR disk sdb1 is broken")}))
	for _, name := range []string{args[0], args[0] + ".before"} {
		ts.Check(os.WriteFile(ts.MkAbs(name), e.Snapshot(nil), 0o600))
	}
	empty, err := engine.New(engine.DefaultConfig())
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".empty"), empty.Snapshot(nil), 0o600))
}

// countLines is "lines FILE N".
func countLines(ts *testscript.TestScript, _ bool, args []string) {
	if got := fmt.Sprint(strings.Count(ts.ReadFile(args[0]), "\n")); got != args[1] {
		ts.Fatalf("%s: got %s lines; want %s", args[0], got, args[1])
	}
}

// term returns a terminal of buffers with the given environment.
func testTerminal(in string, env ...string) (terminal, *bytes.Buffer, *bytes.Buffer) {
	var out, errs bytes.Buffer
	return terminal{
		in: strings.NewReader(in), out: &out, err: &errs, width: 80,
		env: func(name string) (string, bool) {
			for _, pair := range env {
				if key, value, _ := strings.Cut(pair, "="); key == name {
					return value, true
				}
			}
			return "", false
		},
	}, &out, &errs
}

// hostile holds what attacks a terminal, in a log line.
const hostile = "evil \x1b[31mred \x1b]0;title\x07 \u202ebidi \x9b1m \xff \x00 end"

// TestHostileText: nothing of a line, a file name or a setting reaches the terminal as a control sequence.
func TestHostileText(t *testing.T) {
	dir := t.TempDir()
	name := dir + "/\x1b[2Jname.log"
	if err := os.WriteFile(name, []byte(strings.Repeat("all is well\n", 20)+hostile+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"scan", "--all", "--threshold", "0", "--warmup", "0", name},
		{"scan", dir + "/\x1b[2Jmissing.log"},
		{"scan", "--max-models", hostile, name},
		{"scan", "--\x1b[2J", name},
		{"\x1b[2J"},
	} {
		term, out, errs := testTerminal("")
		run(args, term)
		if out.Len()+errs.Len() == 0 {
			t.Errorf("%q: got no output", args)
		}
		for _, r := range out.String() + errs.String() {
			if r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 || r == 0x202e {
				t.Errorf("%q: the output has %q: %q %q", args, r, out, errs)
				break
			}
		}
	}
}

// TestColors: colours come only where they are wanted.
func TestColors(t *testing.T) {
	for _, test := range []struct {
		tty  bool
		args string
		env  string
		want bool
	}{
		{false, "", "", false},
		{true, "", "", true},
		{true, "", "NO_COLOR=1", false},
		{true, "", "NO_COLOR=", true},
		{true, "--color=never", "", false},
		{false, "--color=always", "NO_COLOR=1", true},
		{true, "", "LOGSCOPE_COLOR=never", false},
		{true, "--color=auto", "LOGSCOPE_COLOR=never", true},
	} {
		term, out, _ := testTerminal("a line\n", test.env)
		term.outTTY = test.tty
		if status := run(append(strings.Fields("scan --all - "+test.args), []string{}...), term); status != exitOK {
			t.Errorf("%+v: got status %d; want 0", test, status)
		}
		if got := strings.Contains(out.String(), "\x1b["); got != test.want {
			t.Errorf("%+v: got colours %v", test, got)
		}
	}
}

// brokenWriter fails as a closed pipe or a full disk does.
type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

func TestOutputFails(t *testing.T) {
	for _, test := range []struct {
		err    error
		status int
		want   string
	}{
		{&os.PathError{Op: "write", Path: "stdout", Err: syscall.EPIPE}, exitOK, ""},
		{syscall.ENOSPC, exitError, "logscope: cannot write the output: no space left on device\n"},
	} {
		term, _, errs := testTerminal(strings.Repeat("a line\n", 100_000))
		term.out = brokenWriter{test.err}
		if status := run([]string{"scan", "--all", "-"}, term); status != test.status || errs.String() != test.want {
			t.Errorf("%v: got status %d and %q; want %d and %q", test.err, status, errs, test.status, test.want)
		}
	}
}

// failingReader gives some lines and then fails.
type failingReader struct{ from io.Reader }

func (r failingReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	if errors.Is(err, io.EOF) {
		err = syscall.EIO
	}
	return n, err
}

// TestInputFails: what was read before a fault is scored and shown, and the fault is told.
func TestInputFails(t *testing.T) {
	term, out, errs := testTerminal("")
	term.in = failingReader{strings.NewReader("one\ntwo\nthr")}
	status := run([]string{"scan", "--all", "--output", "ndjson", "-"}, term)
	if got := strings.Count(out.String(), "\n"); got != 3 || status != exitError {
		t.Errorf("got %d lines and status %d; want 3 and 1", got, status)
	}
	if want := `logscope: cannot read "-" beyond line 3: input/output error` + "\n"; errs.String() != want {
		t.Errorf("got %q; want %q", errs, want)
	}
}

func TestVersionText(t *testing.T) {
	info := &debug.BuildInfo{GoVersion: "go1.26.0", Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.modified", Value: "true"}, {Key: "vcs.time", Value: "2026-01-02T03:04:05Z"},
	}}
	got := versionText("v1.2.3", info)
	if want := "logscope v1.2.3, revision 0123456789ab with changes of 2026-01-02T03:04:05Z, go1.26.0 "; !strings.HasPrefix(got, want) {
		t.Errorf("got %q; want it to begin with %q", got, want)
	}
	if got := versionText("dev", nil); got != "logscope dev" {
		t.Errorf("got %q; want logscope dev", got)
	}
}

// BenchmarkNDJSON measures the writer alone: one record with a template and no explanation.
func BenchmarkNDJSON(b *testing.B) {
	p := &ndjson{out: bufio.NewWriterSize(io.Discard, outBytes)}
	v := usualVerdict()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		p.record(place{"/var/log/app/service.log", uint64(i)}, nil, &v)
	}
}
