package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logscope/logscope/plugin/pipeline"
)

// TestIngest: each form of NDJSON becomes the entries that the options say.
func TestIngest(t *testing.T) {
	when := base.UnixNano()
	for name, test := range map[string]struct {
		body string
		want []entry
	}{
		"objects, a line each": {
			`{"timestamp":"2026-03-01T12:00:00Z","message":"one","app":"a"}` + "\r\n\n" + `{"ts":1772366400,"message":"two","app":"b"}`,
			[]entry{
				{Labels: `{app="a", job="logscope"}`, Line: `{"timestamp":"2026-03-01T12:00:00Z","message":"one"}`, TimeNs: when},
				{Labels: `{app="b", job="logscope"}`, Line: `{"ts":1772366400,"message":"two"}`, TimeNs: when},
			},
		},
		"an array": {
			` [{"time":1772366400000,"log":"one"}, {"t":"1772366400000000000","log":"two"}] `,
			[]entry{
				{Labels: `{job="logscope"}`, Line: `{"time":1772366400000,"log":"one"}`, TimeNs: when},
				{Labels: `{job="logscope"}`, Line: `{"t":"1772366400000000000","log":"two"}`, TimeNs: when},
			},
		},
		"text": {
			"[12:00] plain \xff text\n{\"broken\n\"quoted\"",
			[]entry{
				{Labels: `{job="logscope"}`, Line: "[12:00] plain \uFFFD text"},
				{Labels: `{job="logscope"}`, Line: "{\"broken"},
				{Labels: `{job="logscope"}`, Line: "quoted"},
			},
		},
		"metadata": {
			`{"@timestamp":"2026-03-01T12:00:00.000Z","log":"x","trace":"t1","n":1.5}`,
			[]entry{{Labels: `{job="logscope"}`, Line: `{"@timestamp":"2026-03-01T12:00:00.000Z","log":"x","n":1.5}`, TimeNs: when, Metadata: map[string]string{"trace_id": "t1"}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(c *Config) {
				shape := &c.Pipeline.Shape
				shape.Labels = []pipeline.LabelSource{{Name: "job", Literal: "logscope"}, {Name: "app", Path: pipeline.Path{"app"}}}
				shape.Metadata = []pipeline.LabelSource{{Name: "trace_id", Path: pipeline.Path{"trace"}}}
				shape.Remove = []pipeline.Path{{"app"}, {"trace"}}
			})
			started := time.Now().UnixNano()
			if status, text, _ := r.post(pathIngest, []byte(test.body)); status != http.StatusNoContent {
				t.Fatal(status, text)
			}
			got := r.loki.entries()
			for i := range got {
				if i < len(test.want) && test.want[i].TimeNs == 0 && got[i].TimeNs >= started && got[i].TimeNs <= time.Now().UnixNano() {
					got[i].TimeNs = 0 // it had none and got the present
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestIngestWithoutTimesIsRepeatedWhole: a body that failed is the same push when it comes again; one that
// was taken is a new one.
func TestIngestWithoutTimesIsRepeatedWhole(t *testing.T) {
	r := newRig(t, nil)
	r.loki.setAnswer(func(w http.ResponseWriter, n int) {
		if n == 1 {
			http.Error(w, "away", http.StatusServiceUnavailable)
		}
	})
	for i, want := range []int{503, 200, 200} {
		if status, text, _ := r.post(pathIngest, []byte("a line\n")); status != want {
			t.Fatalf("attempt %d: got %d %q; want %d", i, status, text, want)
		}
	}
	got := r.loki.entries()
	if got[0].TimeNs != got[1].TimeNs || got[2].TimeNs == got[1].TimeNs {
		t.Errorf("got times %d, %d, %d; want the first two the same", got[0].TimeNs, got[1].TimeNs, got[2].TimeNs)
	}
	if n := r.Relay().Stats().Records; n != 2 {
		t.Errorf("got %d records; want 2", n)
	}
}

// TestSockets: lines by TCP and Unix socket get to Loki, also when it is away for a moment.
func TestSockets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lines.sock")
	r := newRig(t, func(c *Config) { c.ListenTCP, c.ListenUnix = "127.0.0.1:0", path })
	r.loki.setAnswer(func(w http.ResponseWriter, n int) {
		if n == 1 {
			http.Error(w, "away", http.StatusServiceUnavailable)
		}
	})
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != socketMode {
		t.Errorf("got %v, %v; want a socket for this user alone", info.Mode(), err)
	}
	want := map[string]bool{}
	for _, addr := range r.sockets.Addrs() {
		conn, err := net.Dial(addr.Network(), addr.String())
		if err != nil {
			t.Fatal(err)
		}
		for i := range 50 {
			line := fmt.Sprintf("%s line %d", addr.Network(), i)
			want[line] = true
			if _, err := fmt.Fprintln(conn, line); err != nil {
				t.Fatal(err)
			}
		}
		_ = conn.Close()
	}
	waitFor(t, func() bool {
		seen := map[string]bool{}
		for _, e := range r.loki.entries()[min(1, len(r.loki.entries())):] {
			seen[e.Line] = true
		}
		return len(seen) == len(want) || len(seen) > len(want)
	})
	for _, e := range r.loki.entries() {
		if !want[e.Line] {
			t.Errorf("got a line that was not sent: %q", e.Line)
		}
	}
}

// TestSocketBlocks: more lines than a push may have become several, and a line that could never be taken is a fault of the settings.
func TestSocketBlocks(t *testing.T) {
	r := newRig(t, nil)
	const n = pipeline.RelayEntriesMax + 10
	if err := r.sendLines(context.Background(), "test", bytes.Repeat([]byte("x\n"), n)); err != nil {
		t.Fatal(err)
	}
	if got := len(r.loki.entries()); got != n || len(r.loki.got()) != 2 {
		t.Errorf("got %d entries in %d pushes; want %d in 2", got, len(r.loki.got()), n)
	}
	cfg := DefaultConfig()
	cfg.Pipeline.Loki.URL, cfg.LineBytesMax = r.loki.URL, cfg.InflightMax/lineClaim+1
	if err := cfg.Validate(); err != nil {
		t.Errorf("without sockets: got %v; want none", err)
	}
	cfg.ListenTCP = "127.0.0.1:0"
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "max_line") {
		t.Errorf("got %v; want an error that names max_line", err)
	}
	cfg.LineBytesMax--
	if err := cfg.Validate(); err != nil {
		t.Errorf("at the limit: got %v; want none", err)
	}
}

// TestSocketsAreDrained: what a sender had written before the stop is taken, however slow Loki is, and a line that
// the stop cuts is told.
func TestSocketsAreDrained(t *testing.T) {
	u := newUpstream(t)
	reached, release := make(chan struct{}), make(chan struct{})
	u.setAnswer(func(w http.ResponseWriter, n int) {
		if n == 1 {
			close(reached)
			<-release
		}
		w.WriteHeader(http.StatusNoContent)
	})
	cfg, log := DefaultConfig(), &logBuffer{}
	cfg.Listen, cfg.ListenTCP, cfg.Pipeline.Loki.URL = "127.0.0.1:0", "127.0.0.1:0", u.URL
	s, err := New(cfg, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	l, err := s.Listen(ctx)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	conn, err := net.Dial("tcp", s.sockets.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() // open until after the stop
	_, err = io.WriteString(conn, "line 0\n")
	<-reached
	var rest strings.Builder
	for i := range 5_000 {
		fmt.Fprintf(&rest, "line %d\n", i+1)
	}
	_, err2 := io.WriteString(conn, rest.String()+"cut")
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	stop()
	time.AfterFunc(drainFor+drainFor/4, func() { close(release) }) // the deadline of the stop is over by then
	if err := errors.Join(<-served, s.Close()); err != nil {
		t.Error(err)
	}
	got := u.entries()
	for i, e := range got[:len(got)-1] {
		if want := fmt.Sprintf("line %d", i); e.Line != want {
			t.Fatalf("entry %d: got %q; want %q", i, e.Line, want)
		}
	}
	if n := len(got); n != 5_002 || got[n-1].Line != "cut" || !strings.Contains(log.String(), "its last line was cut, 3 bytes were taken") {
		t.Errorf("got %d entries, the last one %q; want 5002 and the one cut, told: %s", n, got[n-1].Line, log)
	}
	http.DefaultClient.CloseIdleConnections()
}

// TestLineBuffers grow with what comes and shrink after it.
func TestLineBuffers(t *testing.T) {
	size := blockStart
	for range 10 {
		size = nextSize(size, size, 1<<20)
	}
	if size != blockFull {
		t.Errorf("busy: got %d; want %d", size, blockFull)
	}
	for size = 1 << 20; ; {
		next := nextSize(100, size, 1<<20)
		if next == size {
			break
		}
		size = next
	}
	if size != blockStart {
		t.Errorf("after a long line: got %d; want %d", size, blockStart)
	}
	if got := nextSize(5000, 5000, 5001); got != 5001 {
		t.Errorf("near the limit: got %d; want 5001", got)
	}
	if got := nextSize(64, 64, 64); got != 64 {
		t.Errorf("at the limit: got %d; want 64", got)
	}
}

// waitFor waits until something is so, at most 10 s.
func waitFor(t testing.TB, is func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(10 * time.Second); !is(); {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("it did not come to that within 10 s")
		}
	}
}

// TestStaleSocketIsReplaced, but neither one in use nor a file.
func TestStaleSocketIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	left.SetUnlinkOnClose(false)
	open := func() error {
		s := Sockets{Unix: path, Max: 1}
		err := s.Open(context.Background())
		s.close()
		return err
	}
	if err := open(); err == nil || !strings.Contains(err.Error(), "listen_unix") {
		t.Errorf("in use: got %v; want an error that names listen_unix", err)
	}
	_ = left.Close()
	if err := open(); err != nil {
		t.Errorf("stale: got %v; want none", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := open(); err == nil {
		t.Error("a file was taken for a socket")
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		t.Error("the file is gone")
	}
}

// TestParseTime reads times as loggers write them.
func TestParseTime(t *testing.T) {
	for text, want := range map[string]string{
		`"2026-03-01T12:00:00.5Z"`:   "2026-03-01T12:00:00.5Z",
		`"2026-03-01 12:00:00,5"`:    "2026-03-01T12:00:00.5Z",
		`"2026-03-01T13:00:00+0100"`: "2026-03-01T12:00:00Z",
		`1772366400`:                 "2026-03-01T12:00:00Z",
		`1772366400.25`:              "2026-03-01T12:00:00.25Z",
		`1772366400250`:              "2026-03-01T12:00:00.25Z",
		`1772366400000001`:           "2026-03-01T12:00:00.000001Z",
		`"1772366400000000001"`:      "2026-03-01T12:00:00.000000001Z",
		`17`:                         "",
		`"yesterday"`:                "",
		`-1`:                         "",
		`1e400`:                      "",
		`null`:                       "",
		`{"a":1}`:                    "",
		`"0001-01-01T00:00:00Z"`:     "",
		`"9999-12-31T00:00:00Z"`:     "",
		`99999999999999999999999`:    "",
	} {
		got := ""
		if ns, ok := parseTime([]byte(text)); ok {
			got = time.Unix(0, ns).UTC().Format(time.RFC3339Nano)
		}
		if got != want {
			t.Errorf("%s: got %q; want %q", text, got, want)
		}
	}
}

// FuzzIngest: every line is an entry, and what reaches Loki can be read.
func FuzzIngest(f *testing.F) {
	f.Add([]byte("{\"a\":{\"b\":[1,2.5,\"\\u0000\"]},\"ts\":1}\nx\n[1]"))
	f.Add([]byte(`[{"a":1},2,"x",null]`))
	shaperConfig := pipeline.DefaultConfig()
	shaper := pipeline.NewLineShaper(&shaperConfig)
	f.Fuzz(func(t *testing.T, in []byte) {
		data, _, err := chunkFromJSON(in, 1)
		if err != nil {
			return
		}
		raw, err := shaper.Push(data)
		if err != nil {
			t.Fatalf("%q: %v", in, err)
		}
		if entries := decodeRaw(t, raw); len(entries) == 0 && len(strings.TrimSpace(string(in))) > 0 && string(in[0]) != "[" {
			t.Errorf("%q: got no entry", in)
		}
	})
}
