// Package serve runs logscope serve between real senders and a real Loki.
package serve

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/logscope/logscope/test/child"
	"github.com/logscope/logscope/test/fluentbit"
	"github.com/logscope/logscope/test/lokitest"
)

// deadline bounds every wait for something that should come within seconds.
const deadline = 60 * time.Second

// rig is a Loki and the command.
type rig struct {
	loki   *lokitest.Server
	binary string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	if testing.Short() {
		t.Skip("end to end: the first time it takes minutes to build Loki; run make e2e")
	}
	root, err := lokitest.Root()
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{binary: filepath.Join(t.TempDir(), "logscope")}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-C", root, "-o", r.binary, "./cmd/logscope")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cannot build the command: %v\n%s", err, text)
	}
	if r.loki, err = lokitest.Start(t.Context(), lokitest.Options{Progress: os.Stderr}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.loki.Stop)
	t.Logf("using %s", r.loki.Origin)
	return r
}

// serve starts logscope serve in front of the Loki and returns its address.
func (r *rig) serve(t *testing.T, args ...string) (url string, stop func() string) {
	t.Helper()
	port, err := lokitest.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	p, err := child.Start(exec.Command(r.binary, append([]string{"serve", "--url", r.loki.URL, "--listen", addr}, args...)...))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if err := p.WaitLog(ctx, "listening on "+addr, 1); err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop = func() string {
		if !stopped {
			stopped = true
			if err := p.Stop(deadline); err != nil {
				t.Error(err)
			}
		}
		return p.Log()
	}
	t.Cleanup(func() { stop() })
	return "http://" + addr, stop
}

// post sends a request; want is the status that it must have.
func post(t *testing.T, url string, want int, body []byte, header ...string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != want {
		t.Fatalf("POST %s: got %d %s; want %d", url, resp.StatusCode, text, want)
	}
	return string(text)
}

// line is the i-th of a service that does three things.
func line(i int) string {
	switch i % 3 {
	case 0:
		return fmt.Sprintf("request %d served in %d ms", i, 10+i%7)
	case 1:
		return fmt.Sprintf("connection from 10.0.0.%d accepted", 1+i%9)
	}
	return fmt.Sprintf("cache hit for key user:%d", i%50)
}

const odd = "FATAL out of memory: killed process 4711 (java) total-vm:8G"

// jsonPush is lines from..to of a run in Loki's JSON format, one a second up to now; the odd one stands where odd says.
func jsonPush(t *testing.T, run string, start time.Time, from, to, oddAt int) []byte {
	t.Helper()
	values := [][]any{}
	for i := from; i < to; i++ {
		text := line(i)
		if i == oddAt {
			text = odd
		}
		values = append(values, []any{strconv.FormatInt(start.Add(time.Duration(i)*time.Second).UnixNano(), 10), text, map[string]string{"n": strconv.Itoa(i)}})
	}
	body, err := json.Marshal(map[string]any{"streams": []any{map[string]any{"stream": map[string]string{"run": run, "app": "shop"}, "values": values}}})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// entries waits until Loki has n entries of a run, without logscope's own.
func (r *rig) entries(t *testing.T, run string, n int) []lokitest.Entry {
	t.Helper()
	query := fmt.Sprintf(`{run=%q, source!="logscope"}`, run)
	end := time.Now().Add(deadline)
	for {
		got, err := r.loki.Entries(t.Context(), query, time.Now().Add(-3*time.Hour), time.Now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		if len(got) >= n || time.Now().After(end) {
			if len(got) != n {
				t.Fatalf("%s: got %d entries; want %d", run, len(got), n)
			}
			return got
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
}

// TestServe: pushes, OTLP logs and NDJSON get into a real Loki, with what is odd marked so that LogQL finds it.
func TestServe(t *testing.T) {
	r := newRig(t)
	state := filepath.Join(t.TempDir(), "state")
	t.Run("push", func(t *testing.T) {
		run := fmt.Sprintf("push-%d", time.Now().UnixNano())
		start := time.Now().Add(-1000 * time.Second)
		url, stop := r.serve(t, "--state-file", state)
		post(t, url+"/loki/api/v1/push", 204, jsonPush(t, run, start, 0, 900, -1), "Content-Type", "application/json")
		stop()
		url, _ = r.serve(t, "--state-file", state) // what was learned is there after a restart
		again := jsonPush(t, run, start, 900, 960, 930)
		post(t, url+"/loki/api/v1/push", 204, again, "Content-Type", "application/json")
		post(t, url+"/loki/api/v1/push", 204, again, "Content-Type", "application/json") // Loki drops what it has
		got := r.entries(t, run, 960)
		for i, e := range got {
			want := line(i)
			if i == 930 {
				want = odd
			}
			if e.Line != want || e.Time != start.Add(time.Duration(i)*time.Second).UnixNano() {
				t.Fatalf("entry %d: got %q at %v; want %q", i, e.Line, e.Time, want)
			}
			if marked := e.Stream["anomaly"] == "true"; marked != (i == 930) {
				t.Errorf("entry %d: got marked %v", i, marked)
			}
		}
		found, err := r.loki.Entries(t.Context(), fmt.Sprintf(`{run=%q, anomaly="true", reason="novelty"} | logscope_score >= 0.5`, run), start, time.Now())
		if err != nil || len(found) != 1 || found[0].Line != odd {
			t.Errorf("got %v, %v; want the odd one by its labels and its score", found, err)
		}
		if text := post(t, url+"/loki/api/v1/push", 400, []byte(`{"streams": [{"stream": {"a-b": "c"}, "values": [["1", "x"]]}]}`), "Content-Type", "application/json"); !strings.Contains(text, "couldn't parse labels") {
			t.Errorf("got %q; want Loki's own words", text)
		}
	})
	t.Run("otlp", func(t *testing.T) {
		run := fmt.Sprintf("otlp-%d", time.Now().UnixNano())
		url, _ := r.serve(t)
		body := fmt.Sprintf(`{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":%q}},{"key":"host.name","value":{"stringValue":"n1"}}]},
			"scopeLogs":[{"logRecords":[{"timeUnixNano":"%d","body":{"stringValue":"hello"},"traceId":"5b8efff798038103d269b633813fc60c"}]}]}]}`, run, time.Now().UnixNano())
		post(t, url+"/otlp/v1/logs", 200, []byte(body), "Content-Type", "application/json")
		post(t, r.loki.URL+"/otlp/v1/logs", 204, []byte(strings.Replace(body, run, run+"-direct", 1)), "Content-Type", "application/json")
		both := [2]lokitest.Entry{}
		for i, name := range []string{run, run + "-direct"} {
			got, err := r.loki.Entries(t.Context(), fmt.Sprintf(`{service_name=%q}`, name), time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
			if err != nil || len(got) != 1 {
				t.Fatalf("%s: got %v, %v; want one entry", name, got, err)
			}
			both[i] = got[0]
			delete(both[i].Stream, "service_name")
		}
		if a, b := fmt.Sprint(both[0].Line, both[0].Stream, both[0].Metadata), fmt.Sprint(both[1].Line, both[1].Stream, both[1].Metadata); a != b {
			t.Errorf("through serve: got %s; want it as Loki itself makes it: %s", a, b)
		}
	})
	t.Run("ndjson", func(t *testing.T) {
		run := fmt.Sprintf("ndjson-%d", time.Now().UnixNano())
		socket := filepath.Join(t.TempDir(), "s")
		url, stop := r.serve(t, "--labels", "job=app, run="+run, "--listen-unix", socket)
		post(t, url+"/ingest", 204, []byte("{\"message\":\"one\"}\nplain text\n"))
		cmd := exec.CommandContext(t.Context(), "sh", "-c", `printf 'from a socket\n' | python3 -c 'import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(sys.stdin.buffer.read())' "$0"`, socket)
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Skipf("no python3 to write to the socket: %s", text)
		}
		r.entries(t, run, 3)
		if log := stop(); strings.Contains(log, "level=WARN") || strings.Contains(log, "level=ERROR") {
			t.Errorf("got\n%s\nwant no complaint", log)
		}
	})
	t.Run("live view", func(t *testing.T) {
		users := filepath.Join(t.TempDir(), "users")
		if err := os.WriteFile(users, []byte("me:s3cret\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		url, _ := r.serve(t, "--basic-auth-file", users)
		ctx, cancel := context.WithTimeout(t.Context(), deadline)
		defer cancel()
		if _, _, err := websocket.Dial(ctx, url+"/ws", nil); err == nil {
			t.Error("the live view was shown without credentials")
		}
		header := http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte("me:s3cret"))}}
		conn, _, err := websocket.Dial(ctx, url+"/ws", &websocket.DialOptions{HTTPHeader: header})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.CloseNow() }()
		if _, frame, err := conn.Read(ctx); err != nil || len(frame) == 0 {
			t.Errorf("got %q, %v; want a frame", frame, err)
		}
	})
	t.Run("fluent-bit", r.fluentBit)
}

// fluentBit sends with Fluent Bit's own loki output.
func (r *rig) fluentBit(t *testing.T) {
	fb, ok := fluentbit.Find(t.Context())
	if !ok {
		t.Skip("no fluent-bit on PATH")
	}
	run := fmt.Sprintf("fb-%d", time.Now().UnixNano())
	url, _ := r.serve(t)
	host, port, _ := strings.Cut(strings.TrimPrefix(url, "http://"), ":")
	dir := t.TempDir()
	const n = 2000
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "%d %s\n", i, line(i))
	}
	if err := os.WriteFile(filepath.Join(dir, "app.log"), []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf(`[SERVICE]
    flush 0.2
    log_level info
[INPUT]
    name tail
    path %s/app.log
    read_from_head on
[OUTPUT]
    name loki
    match *
    host %s
    port %s
    labels job=fluent-bit, run=%s
    line_format key_value
    drop_single_key raw
    compress gzip
    retry_limit no_limits
`, dir, host, port, run)
	if err := os.WriteFile(filepath.Join(dir, "fb.conf"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := child.Start(exec.Command(fb.Path, "-c", filepath.Join(dir, "fb.conf")))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Signal(syscall.SIGKILL) }()
	seen := map[string]bool{}
	for _, e := range r.entries(t, run, n) {
		seen[e.Line] = true
	}
	for _, want := range strings.Split(strings.TrimSpace(text.String()), "\n") {
		if !seen[want] {
			t.Fatalf("a line is missing: %q\n%s", want, p.Log())
		}
	}
	_ = p.Stop(fluentbit.StopWithin)
}
