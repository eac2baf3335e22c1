package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/logscope/logscope/test/child"
	"github.com/logscope/logscope/test/demo/shoplog"
	"github.com/logscope/logscope/test/fluentbit"
	"github.com/logscope/logscope/test/lokitest"
)

// faultTime is when the database was killed.
func faultTime(rec *shoplog.Recording) (time.Time, bool) {
	for _, e := range rec.Events {
		if strings.Contains(e.Text, "kill -9") {
			return e.Time, true
		}
	}
	return time.Time{}, false
}

// door is an address of Loki at which nobody listens until it is opened.
type door struct {
	url, address, behind string
}

func newDoor(t *testing.T, loki string) *door {
	t.Helper()
	port, err := lokitest.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	behind, err := url.Parse(loki)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	return &door{url: "http://" + address, address: address, behind: behind.Host}
}

// open forwards connections to Loki from now on.
func (d *door) open(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", d.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", d.behind)
			if err != nil {
				in.Close()
				continue
			}
			for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
				go func() {
					_, _ = io.Copy(way[0], way[1]) // it ends when either side closes
					way[0].Close()
				}()
			}
		}
	}()
}

const cannotDeliver = "cannot deliver"

// checkOutageLog demands that an outage of seconds is told in few lines that name the address.
func checkOutageLog(t *testing.T, log, address string) {
	t.Helper()
	n := 0
	for line := range strings.Lines(log) {
		if !strings.Contains(line, cannotDeliver) {
			continue
		}
		n++
		if !strings.Contains(line, address) || !strings.Contains(line, "refused") {
			t.Errorf("got %q; want the address %s and why", line, address)
		}
	}
	if n < 1 || n > 2 {
		t.Errorf("got %d lines about the outage; want one, and one a minute later:\n%s", n, log)
	}
}

func testUnreachableHost(t *testing.T, r *rig) {
	run := newRun(t)
	door := newDoor(t, r.loki.URL)
	p := r.startHost(t,
		[]string{"--chunks", r.chunkFile(t, 500<<10), "--retries", "-1", "--guard"},
		options(door.url, run, "timeout=2s", "workers=2"))
	waitLog(t, p, cannotDeliver)
	door.open(t)
	wait(t, p, 0)
	checkOutageLog(t, p.Log(), door.address)
	lines, findings := r.entries(t, run)
	checkLines(t, r.rec.Logs, lines)
	checkHeatmap(t, r, run, checkAnnotation(t, run, lines, findings))
}

// testUnreachableFluentBit: Loki is down at the start, Fluent Bit is killed
// meanwhile, and the next one finds its chunks on disk.
func testUnreachableFluentBit(t *testing.T, r *rig) {
	run := newRun(t)
	door := newDoor(t, r.loki.URL)
	dir := t.TempDir()
	if err := r.rec.Write(dir); err != nil {
		t.Fatal(err)
	}
	config := fluentbit.Config{StorageDir: filepath.Join(dir, "storage"), Tails: withDB(r.rec.Tails(dir), dir)}
	port, err := lokitest.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	config.Service = []string{"http_server on", "http_listen 127.0.0.1", fmt.Sprintf("http_port %d", port), "storage.max_chunks_up 32"}
	out := options(door.url, run, "timeout=2s", "workers=1")
	p := r.startFluentBit(t, dir, config, out)
	waitLog(t, p, cannotDeliver)
	until(t, p, "all lines read", func(ctx context.Context) (bool, string) {
		n, err := recordsRead(ctx, port)
		return n >= r.rec.Count(), fmt.Sprint(n, err)
	})
	checkOutageLog(t, p.Log(), door.address)
	p.Kill()

	door.open(t)
	p = r.startFluentBit(t, dir, config, out)
	r.untilDelivered(t, p, run, r.rec.Count())
	if err := p.Stop(fluentbit.StopWithin); err != nil {
		t.Errorf("%v\n%s", err, p.Log())
	}
	lines, findings := r.entries(t, run)
	checkLines(t, r.rec.Logs, lines)
	checkAnnotation(t, run, lines, findings)
}

func withDB(tails []fluentbit.Tail, dir string) []fluentbit.Tail {
	for i := range tails {
		tails[i].DB = filepath.Join(dir, tails[i].Tag+".db")
	}
	return tails
}

// recordsRead asks Fluent Bit how many records its tail inputs have made.
func recordsRead(ctx context.Context, port int) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/api/v1/metrics", port), nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var metrics struct {
		Input map[string]struct {
			Records int `json:"records"`
		} `json:"input"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&metrics); err != nil {
		return 0, err
	}
	n := 0
	for name, input := range metrics.Input {
		if strings.HasPrefix(name, "tail.") {
			n += input.Records
		}
	}
	return n, nil
}

// testReloadFluentBit: lines keep coming while Fluent Bit is reloaded, twice.
// It has no Workers: for a Go output Fluent Bit 5.1.1 starts the workers twice
// (flb_plugin_proxy.c and flb_output.c) and stops them once, so that after a
// reload the forgotten ones read the freed configuration and end the process.
func testReloadFluentBit(t *testing.T, r *rig) {
	run := newRun(t)
	dir := t.TempDir()
	log := r.rec.Logs[0]
	const pieces = 20
	const pieceLines = 100
	log.Lines = log.Lines[:pieces*pieceLines]
	rec := &shoplog.Recording{Logs: []shoplog.Log{log}}
	file, err := os.Create(filepath.Join(dir, log.File))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	config := fluentbit.Config{
		StorageDir: filepath.Join(dir, "storage"),
		Service:    []string{"hot_reload on"},
		Tails:      withDB(rec.Tails(dir), dir),
	}
	state := filepath.Join(dir, "state")
	p := r.startFluentBit(t, dir, config, options(r.loki.URL, run, "state_file="+state))
	for i := range pieces {
		var text strings.Builder
		for _, l := range log.Lines[i*pieceLines : (i+1)*pieceLines] {
			text.WriteString(l.Text + "\n")
		}
		if _, err := file.WriteString(text.String()); err != nil {
			t.Fatal(err)
		}
		if i == 6 || i == 13 {
			reload(t, p, 1+i/7)
		}
		if i%5 == 4 {
			r.untilDelivered(t, p, run, (i+1)*pieceLines)
		}
	}
	r.untilDelivered(t, p, run, len(log.Lines))
	if err := p.Stop(fluentbit.StopWithin); err != nil {
		t.Errorf("%v\n%s", err, p.Log())
	}
	lines, findings := r.entries(t, run)
	checkLines(t, rec.Logs, lines)
	checkAnnotation(t, run, lines, findings)
	if _, err := os.Stat(state); err != nil {
		t.Errorf("no state file after reloads and a shutdown: %v\n%s", err, p.Log())
	}
}

// reload sends SIGHUP and waits until the plugin was started for the n+1st time.
func reload(t *testing.T, p *child.Process, n int) {
	t.Helper()
	if err := p.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if err := p.WaitLog(ctx, "[output:logscope:logscope.0] version", n+1); err != nil {
		t.Fatal(err)
	}
}
