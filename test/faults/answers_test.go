package faults

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/logscope/logscope/test/lokitest"
)

// TestHost shares one Loki among the faults that the C host shows.
func TestHost(t *testing.T) {
	r := newRig(t)
	loki := startLoki(t)
	t.Run("server errors", func(t *testing.T) { testServerErrors(t, r, loki) })
	t.Run("connections", func(t *testing.T) { testConnections(t, r, loki) })
	t.Run("DNS failure", func(t *testing.T) { testDNS(t, r, loki) })
	t.Run("hang", func(t *testing.T) { testHang(t, r, loki) })
	t.Run("not allowed", func(t *testing.T) { testNotAllowed(t, r, loki) })
	t.Run("policy", func(t *testing.T) { testPolicy(t, r, loki) })
	t.Run("too far behind", func(t *testing.T) { testTooFarBehind(t, r, loki) })
	t.Run("reload", func(t *testing.T) { testReload(t, r, loki) })
	t.Run("OTLP", func(t *testing.T) { testOTLP(t, r, loki) })
	t.Run("kill", func(t *testing.T) { testKill(t, r, loki) })
}

// ship runs a host to its end that sends n lines to url with unlimited
// retries, and demands each line once in Loki, scored once.
func (r *rig) ship(t *testing.T, loki *lokitest.Server, url string, n int, more ...string) *process {
	t.Helper()
	run := newRun(t)
	state := filepath.Join(t.TempDir(), "state")
	p := r.startHost(t, []string{"--chunks", writeChunks(t, n, n/20), "--guard", "--retries", "-1", "--retry-wait", "50"},
		options(url, run, append([]string{"workers=2", "state_file=" + state}, more...)...))
	p.wait(t, 0)
	fromLoki(t, loki, run).check(t, n, false)
	checkScored(t, state, n)
	return p
}

// testServerErrors: all lines once, scored once, and one line in the log.
func testServerErrors(t *testing.T, r *rig, loki *lokitest.Server) {
	for name, f := range map[string]fault{
		"500":                 {status: 500, body: "empty ring"},
		"503":                 {status: 503, body: "no healthy upstream"},
		"429 and Retry-After": {status: 429, header: "Retry-After: 1", body: "Maximum active stream limit exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			p := newProxy(t, loki.URL, nil).open(t)
			p.plan = func(int, []byte) fault { // for 3 s, and then for one push of five
				if time.Since(begin) < 3*time.Second || p.pushes%5 == 0 {
					return f
				}
				return fault{}
			}
			r.ship(t, loki, p.url, 4000, "timeout=1s").checkTold(t, 1, "cannot deliver", fmt.Sprint(f.status), f.body)
		})
	}
}

// testConnections: whatever happens to a connection, the same body comes again and Loki drops what it has.
func testConnections(t *testing.T, r *rig, loki *lokitest.Server) {
	t.Run("refused", func(t *testing.T) {
		p := newProxy(t, loki.URL, nil)
		open := time.AfterFunc(2*time.Second, func() { p.open(t) })
		defer open.Stop()
		r.ship(t, loki, p.url, 4000, "timeout=500ms").checkTold(t, 1, "cannot deliver", p.address, "connection refused")
	})
	for name, f := range map[string]fault{"reset in the body": {reset: true}, "answer lost": {lose: true}} {
		t.Run(name, func(t *testing.T) {
			p := newProxy(t, loki.URL, func(push int, _ []byte) fault {
				if push%3 != 0 {
					return f
				}
				return fault{}
			}).open(t)
			r.ship(t, loki, p.url, 4000, "max_retries=1", "batch_size=4KiB")
			if got := p.count(); got < 60 {
				t.Errorf("got %d pushes; want two faults for each of 20 chunks and more", got)
			}
		})
	}
}

// testDNS: the name of Loki is unknown for a while. The host gets an /etc/hosts of its own.
func testDNS(t *testing.T, r *rig, loki *lokitest.Server) {
	if err := exec.Command("unshare", "-m", "true").Run(); err != nil {
		t.Skip("needs root and unshare, to give the host an /etc/hosts of its own")
	}
	dir := t.TempDir()
	hosts, resolv := filepath.Join(dir, "hosts"), filepath.Join(dir, "resolv.conf")
	for path, text := range map[string]string{hosts: "127.0.0.1 localhost\n", resolv: "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const name, n = "loki.invalid", 4000
	p := newProxy(t, loki.URL, nil).open(t)
	url := "http://" + name + p.address[strings.LastIndexByte(p.address, ':'):]
	run := newRun(t)
	args := r.hostArgs([]string{"--chunks", writeChunks(t, n, 200), "--retries", "-1"}, options(url, run, "timeout=500ms", "workers=2"))
	script := fmt.Sprintf("mount --bind %s /etc/hosts && mount --bind %s /etc/resolv.conf && exec \"$@\"", hosts, resolv)
	h := start(t, exec.Command("unshare", append([]string{"-m", "sh", "-c", script, "sh", r.host.Path}, args...)...))
	h.waitLog(t, "cannot deliver", 1)
	if err := os.WriteFile(hosts, []byte("127.0.0.1 localhost "+name+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	h.wait(t, 0)
	h.checkTold(t, 1, "cannot deliver", name)
	fromLoki(t, loki, run).check(t, n, false)
}

// testHang: a flush comes back within its timeout, and SIGTERM ends the process.
func testHang(t *testing.T, r *rig, loki *lokitest.Server) {
	const timeout, n = 700 * time.Millisecond, 4000
	path := writeChunks(t, n, 200)
	p := newProxy(t, loki.URL, always(fault{hang: true})).open(t)
	run := newRun(t)
	args := []string{"--chunks", path, "--retries", "-1", "--grace", "1000"}
	h := r.startHost(t, args, options(p.url, run, "timeout=700ms", "workers=2"))
	until(t, "ten pushes", h, func() (bool, string) { return p.count() >= 10, fmt.Sprint(p.count()) })
	h.checkTold(t, 1, "cannot deliver", "no answer in time")
	h.signal(t, syscall.SIGTERM)
	h.endsWithin(t, 5*time.Second) // 1 s of grace, and the flushes that then run
	stats := h.wait(t, 3)
	if got := time.Duration(stats.FlushUsMax) * time.Microsecond; got > timeout+500*time.Millisecond {
		t.Errorf("the longest flush: got %v; want at most %v and the time to score", got, timeout)
	}
	p.heal()
	h = r.startHost(t, args, options(p.url, run, "timeout=700ms", "workers=2"))
	h.wait(t, 0)
	fromLoki(t, loki, run).check(t, n, false)
}

// testNotAllowed: the data stay, one line says what to set right, and it heals without a restart.
func testNotAllowed(t *testing.T, r *rig, loki *lokitest.Server) {
	for name, test := range map[string]struct {
		fault fault
		want  []string
	}{
		"401 of Loki":    {fault{status: 401, body: "no org id"}, []string{"401", "tenant_id"}},
		"401 of a proxy": {fault{status: 401, body: "Unauthorized"}, []string{"401", "http_user", "bearer_token"}},
		"403":            {fault{status: 403, body: "forbidden"}, []string{"403", "permissions"}},
		"404":            {fault{status: 404, body: "404 page not found"}, []string{"404", "url"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProxy(t, loki.URL, first(30, test.fault)).open(t)
			h := r.ship(t, loki, p.url, 4000)
			h.checkTold(t, 1, append(test.want, "cannot deliver", "error")...)
		})
	}
	t.Run("after an outage", func(t *testing.T) {
		// The outage's line must not keep the one that matters from the log.
		p := newProxy(t, loki.URL, func(push int, _ []byte) fault {
			switch {
			case push <= 20:
				return fault{status: 503}
			case push <= 40:
				return fault{status: 401, body: "no org id"}
			}
			return fault{}
		}).open(t)
		h := r.ship(t, loki, p.url, 4000, "max_retries=1")
		h.checkTold(t, 1, "cannot deliver", "503")
		h.checkTold(t, 1, "cannot deliver", "401", "tenant_id")
	})
}

// testPolicy: a push that Loki's policy blocks is counted and does not come again.
func testPolicy(t *testing.T, r *rig, loki *lokitest.Server) {
	blocked := &atomic.Int64{}
	p := newProxy(t, loki.URL, func(push int, _ []byte) fault {
		if push == 3 || push == 5 {
			blocked.Add(1)
			return fault{status: 260, body: "ingestion blocked for user fake until '2027-01-01T00:00:00Z' with status code '260'"}
		}
		return fault{}
	}).open(t)
	const n = 4000
	run := newRun(t)
	h := r.startHost(t, []string{"--chunks", writeChunks(t, n, 200), "--retries", "-1"}, options(p.url, run, "workers=1"))
	stats := h.wait(t, 0)
	if stats.Retry != 0 || stats.Error != 0 || p.count() != 20 {
		t.Errorf("got %d retries, %d errors, %d pushes; want none, none, and 20", stats.Retry, stats.Error, p.count())
	}
	h.checkTold(t, 1, "blocked_ingestion:", "ingestion blocked for user fake")
	if got := len(fromLoki(t, loki, run)); got != n-400 {
		t.Errorf("got %d lines in Loki; want %d", got, n-400)
	}
}

// TestPolicyOfLoki is the same with the policy in Loki itself.
func TestPolicyOfLoki(t *testing.T) {
	r := newRig(t)
	until := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	loki := startLoki(t, "-limits.block-ingestion-until="+until, "-limits.block-ingestion-status-code=260")
	h := r.startHost(t, []string{"--chunks", writeChunks(t, 400, 100), "--retries", "-1"}, options(loki.URL, newRun(t), "workers=1"))
	if stats := h.wait(t, 0); stats.Retry != 0 || stats.Error != 0 || stats.Flushes != 4 {
		t.Errorf("got %d flushes, %d retries, %d errors; want 4 flushes and no more", stats.Flushes, stats.Retry, stats.Error)
	}
	h.checkTold(t, 1, "blocked_ingestion:100", "ingestion blocked")
}

// TestTooLarge: pushes that are too large for what stands before Loki, or for
// its rate's burst, are halved as often as need be, down to one entry.
func TestTooLarge(t *testing.T) {
	r := newRig(t)
	t.Run("413", func(t *testing.T) {
		loki := startLoki(t)
		p := newProxy(t, loki.URL, func(_ int, half []byte) fault {
			if len(half) > 100 { // of 20,000: hardly more than one entry passes
				return fault{status: http.StatusRequestEntityTooLarge, body: "<html>413 Request Entity Too Large</html>"}
			}
			return fault{}
		}).open(t)
		r.ship(t, loki, p.url, 600)
	})
	t.Run("413 of Loki", func(t *testing.T) {
		loki := startLoki(t, "-distributor.max-recv-msg-size=2000")
		r.ship(t, loki, loki.URL, 4000)
	})
	t.Run("429 over the burst", func(t *testing.T) {
		// 1 MB/s with a burst of 30 kB; a chunk of 1,000 lines has some 42.
		loki := startLoki(t, "-distributor.ingestion-rate-limit-mb=1", "-distributor.ingestion-burst-size-mb=0.03")
		r.ship(t, loki, loki.URL, 20000)
	})
}
