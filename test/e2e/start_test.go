package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/logscope/logscope/plugin/chunk"
	"github.com/logscope/logscope/test/demo/shoplog"
	"github.com/logscope/logscope/test/fluentbit"
	"github.com/logscope/logscope/test/host/chunkfile"
)

// TestRefusedStart: what is wrong with the configuration stops the start, and
// one line of the log says which option, which value and what is allowed.
func TestRefusedStart(t *testing.T) {
	r := newRig(t, false)
	missing := filepath.Join(t.TempDir(), "missing.pem")
	garbage := filepath.Join(t.TempDir(), "garbage.pem")
	if err := os.WriteFile(garbage, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	const url = "url=http://127.0.0.1:3100"
	for name, test := range map[string]struct {
		options []string
		want    []string // all in one line
	}{
		"a choice":           {[]string{url, "forward=sometimes"}, []string{"forward", "sometimes", "all", "anomalies", "sampled"}},
		"a number":           {[]string{url, "threshold=1.5"}, []string{"threshold", "1.5", "0", "1"}},
		"not a number":       {[]string{url, "threshold=high"}, []string{"threshold", "high"}},
		"a duration":         {[]string{url, "timeout=4 lightyears"}, []string{"timeout", "4 lightyears"}},
		"a size":             {[]string{url, "batch_size=huge"}, []string{"batch_size", "huge"}},
		"an accessor":        {[]string{url, "labels=x=$kubernetes['pod"}, []string{"labels", "$kubernetes['pod"}},
		"no url":             {[]string{"host=loki.example"}, []string{"url", "host"}},
		"a url":              {[]string{"url=loki:3100"}, []string{"url", "loki:3100", "http"}},
		"a missing CA file":  {[]string{"url=https://127.0.0.1:3100", "ca_file=" + missing}, []string{"ca_file", missing, "no such file"}},
		"a CA file of text":  {[]string{"url=https://127.0.0.1:3100", "ca_file=" + garbage}, []string{"ca_file", garbage, "PEM"}},
		"a missing key file": {[]string{"url=https://127.0.0.1:3100", "cert_file=" + missing, "key_file=" + missing}, []string{"cert_file", missing}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Run("host", func(t *testing.T) {
				p := r.startHost(t, nil, test.options)
				wait(t, p, 1)
				checkRefusal(t, p.Log(), test.want)
			})
			t.Run("fluent-bit", func(t *testing.T) {
				dir := t.TempDir()
				tail := fluentbit.Tail{Tag: "x", Path: filepath.Join(dir, "x.log"), Regex: "^(?<log>.*)$", Strptime: "%s"}
				p := r.startFluentBit(t, dir, fluentbit.Config{Tails: []fluentbit.Tail{tail}}, test.options)
				<-p.Ended()
				if status, err := p.Wait(t.Context()); status == 0 || err != nil {
					t.Errorf("exit status: got %d, %v; want a failure", status, err)
				}
				checkRefusal(t, p.Log(), test.want)
			})
		})
	}
}

// checkRefusal demands one error line of logscope's that has all the words.
func checkRefusal(t *testing.T, log string, want []string) {
	t.Helper()
	var own []string
	for line := range strings.Lines(log) {
		if strings.Contains(line, "[output:logscope") && strings.Contains(line, "error") {
			own = append(own, line)
		}
	}
	if len(own) != 1 {
		t.Errorf("got %d error lines of logscope; want one:\n%s", len(own), log)
		return
	}
	for _, word := range want {
		if !strings.Contains(own[0], word) {
			t.Errorf("got %q; want %q in it", own[0], word)
		}
	}
}

// testCorruptChunk: damage in a chunk costs the damaged record alone.
func testCorruptChunk(t *testing.T, r *rig) {
	run := newRun(t)
	log := r.rec.Logs[0]
	log.Lines = log.Lines[:1000]
	var file bytes.Buffer
	for part := range 4 {
		var w chunk.Writer
		for i, l := range log.Lines[part*250 : (part+1)*250] {
			if part == 2 && i == 100 {
				w.Buf = append(w.Buf, 0x92, 0xd7, 0x00, 1, 2, 3, 0xc1, 0xc1, 0xc1, 0xff) // cut short, and never valid
			}
			if err := w.AppendRecord(l.Time.UnixNano(), nil, chunk.Pairs{"log", l.Text, "service", log.Name}); err != nil {
				t.Fatal(err)
			}
		}
		if err := chunkfile.Write(&file, log.Name, w.Buf); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "damaged.chunks")
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	p := r.startHost(t, []string{"--chunks", path, "--guard"}, options(r.loki.URL, run))
	wait(t, p, 3) // Fluent Bit would keep the damaged chunk aside
	if n := strings.Count(p.Log(), "damaged chunk"); n != 1 || !strings.Contains(p.Log(), fmt.Sprintf("%q", log.Name)) {
		t.Errorf("got %d lines about the damage; want one that names the tag:\n%s", n, p.Log())
	}
	lines, findings := r.entries(t, run)
	checkLines(t, []shoplog.Log{log}, lines)
	checkAnnotation(t, run, lines, findings)
}

// testReadOnlyState: without a place for its state logscope says so once, and scores and ships all the same.
func testReadOnlyState(t *testing.T, r *rig) {
	run := newRun(t)
	const state = "/proc/logscope/state" // no user can create a file there
	p := r.startHost(t, []string{"--chunks", r.chunkFile(t, shoplog.ChunkBytes)}, options(r.loki.URL, run, "state_file="+state, "state_interval=1s"))
	wait(t, p, 0)
	n := 0
	for line := range strings.Lines(p.Log()) {
		if strings.Contains(line, state) && (strings.Contains(line, "warn") || strings.Contains(line, "error")) {
			n++
		}
	}
	if n != 1 {
		t.Errorf("got %d lines about the state file; want one:\n%s", n, p.Log())
	}
	lines, findings := r.entries(t, run)
	checkLines(t, r.rec.Logs, lines)
	if anomalies := checkAnnotation(t, run, lines, findings); len(anomalies) == 0 {
		t.Error("got no anomalies; want the same as with a state file")
	}
}

// testLearnedState: what one run learned, the next one knows; a damaged state is set aside with one line.
func testLearnedState(t *testing.T, r *rig) {
	dir := t.TempDir()
	state := filepath.Join(dir, "state")
	chunks := r.chunkFile(t, shoplog.ChunkBytes)
	ship := func(run string) string {
		p := r.startHost(t, []string{"--chunks", chunks}, options(r.loki.URL, run, "state_file="+state))
		wait(t, p, 0)
		return p.Log()
	}
	ship(newRun(t))
	if info, err := os.Stat(state); err != nil || info.Size() < 1000 {
		t.Fatalf("the state file: got %v, %v; want the learned state", info, err)
	}
	data, err := os.ReadFile(state)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 0xff
	if err := os.WriteFile(state, data, 0o600); err != nil {
		t.Fatal(err)
	}
	run := newRun(t)
	log := ship(run)
	if n := strings.Count(log, state); n < 1 || !strings.Contains(log, "checksum") {
		t.Errorf("got %d lines about the damaged state; want one that says so:\n%s", n, log)
	}
	lines, findings := r.entries(t, run)
	checkLines(t, r.rec.Logs, lines)
	checkAnnotation(t, run, lines, findings)
}
