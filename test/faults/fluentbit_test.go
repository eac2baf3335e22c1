package faults

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/logscope/logscope/test/lokitest"
)

// bit is a real Fluent Bit in a directory of its own, with buffers on disk.
type bit struct {
	r     *rig
	dir   string
	state string
	file  *os.File // what it tails
	lines int      // written to the file
	text  string   // its configuration
}

// newBit writes a configuration: a file is tailed, buffers are on disk, and
// more are sections besides. Its output goes to url with the label run.
func (r *rig) newBit(t *testing.T, url, run string, more string, output ...string) *bit {
	t.Helper()
	if !r.hasFB {
		t.Skip("no fluent-bit on PATH")
	}
	b := &bit{r: r, dir: t.TempDir()}
	b.state = filepath.Join(b.dir, "state")
	var err error
	if b.file, err = os.Create(filepath.Join(b.dir, "app.log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.file.Close() })
	b.text = fmt.Sprintf(`
[SERVICE]
    flush 0.2
    grace 3
    hot_reload on
    scheduler.base 1
    scheduler.cap 2
    coro_stack_size 196608
    storage.path %[1]s/storage
    storage.backlog.mem_limit 50M
[INPUT]
    name tail
    tag app
    path %[1]s/app.log
    db %[1]s/tail.db
    read_from_head on
    refresh_interval 1
    storage.type filesystem
%[2]s
[OUTPUT]
    name logscope
    match app
    retry_limit no_limits
`, b.dir, more)
	for _, option := range append(options(url, run, "state_file="+b.state, "state_interval=1s"), output...) {
		b.text += "    " + strings.Replace(option, "=", " ", 1) + "\n"
	}
	return b
}

// endReloads has a hot reload end after the grace period, as a shutdown does. By
// default it waits for all chunks, also for those that Fluent Bit 5.1.1 does not
// touch any more: the ones on disk that were not read before it began.
func (b *bit) endReloads() {
	b.text = strings.Replace(b.text, "hot_reload on\n", "hot_reload on\n    hot_reload.ensure_thread_safety off\n", 1)
}

// write appends n lines to the file that is tailed.
func (b *bit) write(t *testing.T, n int) {
	t.Helper()
	var text strings.Builder
	for range n {
		text.WriteString(lineText(b.lines) + "\n")
		b.lines++
	}
	if _, err := b.file.WriteString(text.String()); err != nil {
		t.Fatal(err)
	}
}

func (b *bit) start(t *testing.T) *process {
	t.Helper()
	path := filepath.Join(b.dir, "fluent-bit.conf")
	if err := os.WriteFile(path, []byte(b.text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(b.r.fb.Path, "-e", b.r.plugin, "-c", path)
	cmd.Dir = b.dir
	return start(t, cmd)
}

// delivered waits until Loki has all lines written so far.
func (b *bit) delivered(t *testing.T, p *process, loki *lokitest.Server, run string) {
	t.Helper()
	until(t, fmt.Sprintf("all %d lines in Loki", b.lines), p, func() (bool, string) {
		got := len(fromLoki(t, loki, run))
		return got >= b.lines, fmt.Sprint(got)
	})
}

// stop asks for the end and demands it within the grace period, the flush that
// may then begin (timeout), and a second for each of Fluent Bit's own steps.
func (p *process) stop(t *testing.T, timeout time.Duration) {
	t.Helper()
	const grace = 3 * time.Second
	p.signal(t, syscall.SIGTERM)
	p.endsWithin(t, grace+timeout+3*time.Second)
}

// TestFluentBit shares one Loki among the faults shown in a real Fluent Bit.
func TestFluentBit(t *testing.T) {
	r := newRig(t)
	if !r.hasFB {
		t.Skip("no fluent-bit on PATH")
	}
	loki := startLoki(t)
	t.Run("faults", func(t *testing.T) { testBitFaults(t, r, loki) })
	t.Run("hang", func(t *testing.T) { testBitHang(t, r, loki) })
	t.Run("reload", func(t *testing.T) { testBitReload(t, r, loki) })
	t.Run("reload with a backlog", func(t *testing.T) { testBitReloadBacklog(t, r, loki) })
	t.Run("reload then SIGTERM", func(t *testing.T) { testBitReloadTerm(t, r, loki) })
	t.Run("SIGTERM in retry", func(t *testing.T) { testBitTerm(t, r, loki) })
	t.Run("instances", func(t *testing.T) { testBitInstances(t, r, loki) })
	t.Run("OTLP", func(t *testing.T) { testBitOTLP(t, r, loki) })
	t.Run("metrics", func(t *testing.T) { testBitMetrics(t, r, loki) })
	t.Run("kill", func(t *testing.T) { testBitKill(t, r, loki) })
}

// testBitFaults: one fault after the other, and in the end each line once.
func testBitFaults(t *testing.T, r *rig, loki *lokitest.Server) {
	faults := []fault{
		{status: 500}, {status: 503}, {status: 429, header: "Retry-After: 1"}, {reset: true}, {lose: true},
		{status: 401, body: "no org id"}, {status: 403}, {status: 404},
	}
	p := newProxy(t, loki.URL, func(push int, _ []byte) fault {
		if i := push / 3; i < len(faults) && push%3 != 2 {
			return faults[i]
		}
		return fault{}
	}).open(t)
	run := newRun(t)
	b := r.newBit(t, p.url, run, "", "workers=2", "timeout=1s", "max_retries=1")
	h := b.start(t)
	for range 30 {
		b.write(t, 100)
		until(t, "the next push", h, func() (bool, string) { return p.count() >= b.lines/100, fmt.Sprint(p.count()) })
	}
	b.delivered(t, h, loki, run)
	h.stop(t, time.Second)
	fromLoki(t, loki, run).check(t, b.lines, false)
	checkScored(t, b.state, b.lines)
	h.checkTold(t, 1, "cannot deliver", "401", "tenant_id")
	h.checkTold(t, 1, "cannot deliver", "403", "permissions")
}

// testBitHang: while Loki hangs, another output goes on; SIGTERM ends the process; nothing is lost.
func testBitHang(t *testing.T, r *rig, loki *lokitest.Server) {
	p := newProxy(t, loki.URL, always(fault{hang: true})).open(t)
	run := newRun(t)
	dir := t.TempDir()
	other := fmt.Sprintf("[OUTPUT]\n    name file\n    match app\n    path %s\n    file other.out\n    format plain\n", dir)
	b := r.newBit(t, p.url, run, other, "workers=1", "timeout=2s")
	b.write(t, 1000)
	h := b.start(t)
	until(t, "a push that hangs", h, func() (bool, string) { return p.count() > 0, "" })
	for range 5 {
		b.write(t, 1000)
		until(t, "the other output", h, func() (bool, string) {
			text, err := os.ReadFile(filepath.Join(dir, "other.out"))
			n := bytes.Count(text, []byte("id="))
			return n >= b.lines, fmt.Sprint(n, err)
		})
	}
	if got := countInLoki(t, loki, run); got != 0 {
		t.Errorf("got %d lines in Loki while it hangs; want none", got)
	}
	h.stop(t, 2*time.Second)
	p.heal()
	h = b.start(t)
	b.delivered(t, h, loki, run)
	h.stop(t, 2*time.Second)
	fromLoki(t, loki, run).check(t, b.lines, false)
}

// testBitReload: a hot reload ends within 10 s though Loki is away and chunks are in retry.
func testBitReload(t *testing.T, r *rig, loki *lokitest.Server) {
	for name, f := range map[string]fault{"refusing": {}, "hanging": {hang: true}} {
		t.Run("Loki "+name, func(t *testing.T) {
			p := newProxy(t, loki.URL, always(f))
			if name == "hanging" {
				p.open(t)
			}
			run := newRun(t)
			b := r.newBit(t, p.url, run, "", "workers=1", "timeout=2s")
			h := b.start(t)
			b.inRetry(t, h, 5)
			begin := time.Now()
			h.signal(t, syscall.SIGHUP)
			h.waitLog(t, "[output:logscope:logscope.0] version", 2)
			if took := time.Since(begin); took > 10*time.Second {
				t.Errorf("the reload took %v; want at most 10 s", took)
			} else {
				t.Logf("the reload took %v, %d chunks in the spool", took.Round(10*time.Millisecond), len(spooled(t, b.state)))
			}
			if len(spooled(t, b.state)) == 0 {
				t.Error("got an empty spool; want the chunks that were in retry")
			}
			b.write(t, 500)
			p.heal()
			if name == "refusing" {
				p.open(t)
			}
			b.delivered(t, h, loki, run)
			until(t, "an empty spool", h, func() (bool, string) { return len(spooled(t, b.state)) == 0, "" })
			h.stop(t, 2*time.Second)
			fromLoki(t, loki, run).check(t, b.lines, false)
			checkScored(t, b.state, b.lines)
		})
	}
}

// inRetry writes lines until Fluent Bit has n chunks in retry.
func (b *bit) inRetry(t *testing.T, p *process, n int) {
	t.Helper()
	for i := range n {
		b.write(t, 200)
		until(t, "chunks in retry", p, func() (bool, string) {
			tasks := map[string]bool{}
			for _, line := range linesWith(p.Log(), "failed to flush chunk", "logscope") {
				_, rest, _ := strings.Cut(line, "failed to flush chunk '")
				name, _, _ := strings.Cut(rest, "'")
				tasks[name] = true
			}
			return len(tasks) > i, fmt.Sprint(len(tasks))
		})
	}
}

// testBitReloadBacklog: a Fluent Bit that finds chunks of another one on disk is
// reloaded before it has read them.
func testBitReloadBacklog(t *testing.T, r *rig, loki *lokitest.Server) {
	p := newProxy(t, loki.URL, nil)
	run := newRun(t)
	b := r.newBit(t, p.url, run, "", "workers=1", "timeout=1s")
	b.endReloads()
	h := b.start(t)
	b.inRetry(t, h, 3)
	h.Kill()
	h = b.start(t)
	const started = "[output:logscope:logscope.0] version"
	h.waitLog(t, "inotify_fs_add", 1)
	begin := time.Now()
	h.signal(t, syscall.SIGHUP)
	h.waitLog(t, started, 2)
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("the reload took %v; want at most 10 s", took)
	} else {
		t.Logf("the reload took %v, %d chunks in the spool", took.Round(10*time.Millisecond), len(spooled(t, b.state)))
	}
	p.open(t)
	b.delivered(t, h, loki, run)
	h.stop(t, time.Second)
	fromLoki(t, loki, run).check(t, b.lines, false)
}

// testBitReloadTerm: SIGTERM in the middle of a reload ends the process, too.
func testBitReloadTerm(t *testing.T, r *rig, loki *lokitest.Server) {
	p := newProxy(t, loki.URL, nil)
	run := newRun(t)
	b := r.newBit(t, p.url, run, "", "workers=1", "timeout=2s")
	h := b.start(t)
	b.inRetry(t, h, 3)
	h.signal(t, syscall.SIGHUP)
	h.waitLog(t, "reloading instance", 1)
	h.signal(t, syscall.SIGTERM)
	h.endsWithin(t, 15*time.Second) // 10 s to reload, 3 s of grace, and a little
	p.open(t)
	h = b.start(t)
	b.delivered(t, h, loki, run)
	h.stop(t, 2*time.Second)
	fromLoki(t, loki, run).check(t, b.lines, false)
}

// testBitTerm: SIGTERM with chunks in retry ends the process within its grace; the chunks are on disk, and come again.
func testBitTerm(t *testing.T, r *rig, loki *lokitest.Server) {
	p := newProxy(t, loki.URL, nil)
	run := newRun(t)
	b := r.newBit(t, p.url, run, "", "workers=1", "timeout=2s")
	h := b.start(t)
	b.inRetry(t, h, 5)
	h.stop(t, 2*time.Second)
	p.open(t)
	h = b.start(t)
	b.delivered(t, h, loki, run)
	h.stop(t, 2*time.Second)
	fromLoki(t, loki, run).check(t, b.lines, false)
}

// testBitInstances: one of two outputs cannot start.
func testBitInstances(t *testing.T, r *rig, loki *lokitest.Server) {
	bad := fmt.Sprintf("[OUTPUT]\n    name logscope\n    match app\n    url %s\n    threshold high\n", loki.URL)
	b := r.newBit(t, loki.URL, newRun(t), bad)
	h := b.start(t)
	h.endsWithin(t, 10*time.Second)
	if status, err := h.Wait(t.Context()); status <= 0 || err != nil {
		t.Errorf("exit status: got %d, %v; want a failure that is no crash; the log:\n%s", status, err, h.Log())
	}
	h.checkTold(t, 1, "threshold", "high", "error", "logscope")
}

// testBitOTLP sends what an OpenTelemetry SDK sends to Fluent Bit's own input.
func testBitOTLP(t *testing.T, r *rig, loki *lokitest.Server) {
	port, err := lokitest.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	input := fmt.Sprintf("[INPUT]\n    name opentelemetry\n    listen 127.0.0.1\n    port %d\n    tag app\n", port)
	run := newRun(t)
	b := r.newBit(t, loki.URL, run, input, "workers=1")
	h := b.start(t)
	nanos := time.Now().UnixNano()
	logs := fmt.Sprintf(`{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}},{"key":"host.name","value":{"stringValue":"n1"}}]},
		"scopeLogs":[{"scope":{"name":"cart","version":"1.2"},"logRecords":[
		{"timeUnixNano":"%d","severityNumber":17,"severityText":"ERROR","body":{"stringValue":%q},
		 "attributes":[{"key":"http.method","value":{"stringValue":"GET"}}],"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174"},
		{"timeUnixNano":"%d","body":{"stringValue":%q}}]}]}]}`, nanos, lineText(0), nanos+1, lineText(1))
	until(t, "an answer of the input", h, func() (bool, string) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("http://127.0.0.1:%d/v1/logs", port), strings.NewReader(logs))
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false, err.Error()
		}
		resp.Body.Close()
		return resp.StatusCode/100 == 2, resp.Status
	})
	b.lines = 2
	b.delivered(t, h, loki, run)
	h.stop(t, 4*time.Second)
	got := entries(t, loki, run)
	if len(got) != 2 {
		t.Errorf("got %d entries; want 2, and none of a marker: %v", len(got), got)
	}
	want := map[string]string{
		"host_name": "n1", "scope_name": "cart", "scope_version": "1.2", "http_method": "GET",
		"severity_text": "ERROR", "severity_number": "17",
		"trace_id": "5b8efff798038103d269b633813fc60c", "span_id": "eee19b7ec3c1b174",
	}
	for _, e := range got {
		if e.Line != lineText(0) && e.Line != lineText(1) {
			t.Errorf("line: got %q; want the body as it is", e.Line)
		}
		for name, value := range want {
			if e.Metadata[name] != value && (e.Line == lineText(0) || name == "host_name" || name == "scope_name") {
				t.Errorf("%q: metadata %s: got %q; want %q; all: %v", e.Line, name, e.Metadata[name], value, e.Metadata)
			}
		}
		if at := time.Unix(0, e.Time); e.Time != nanos && e.Time != nanos+1 {
			t.Errorf("%q: got the time %v; want that of the record", e.Line, at)
		}
	}
}

// testBitMetrics: metrics that match the output do not reach it, and logs do.
func testBitMetrics(t *testing.T, r *rig, loki *lokitest.Server) {
	input := "[INPUT]\n    name fluentbit_metrics\n    tag app\n    scrape_interval 1\n    scrape_on_start true\n"
	run := newRun(t)
	b := r.newBit(t, loki.URL, run, input, "workers=1")
	h := b.start(t)
	b.write(t, 500)
	b.delivered(t, h, loki, run)
	until(t, "two scrapes", h, func() (bool, string) { b.write(t, 50); b.delivered(t, h, loki, run); return b.lines >= 1000, "" })
	h.stop(t, 4*time.Second)
	fromLoki(t, loki, run).check(t, b.lines, false)
	h.checkTold(t, 0, "damaged chunk")
}
