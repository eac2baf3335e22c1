package faults

import (
	"context"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/logscope/logscope/test/lokitest"
)

// testBitKill: a Fluent Bit under load, with four workers, is killed, ended and
// reloaded at random moments, while pushes fail. In the end Loki has every line.
func testBitKill(t *testing.T, r *rig, loki *lokitest.Server) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	p := newProxy(t, loki.URL, func(push int, _ []byte) fault {
		switch push % 5 {
		case 1:
			return fault{status: 503}
		case 2:
			return fault{lose: true}
		}
		return fault{}
	}).open(t)
	run := newRun(t)
	b := r.newBit(t, p.url, run, "", "workers=4", "timeout=1s")
	b.endReloads()
	wait := func(ms int) { // keeps writing
		for range ms / 50 {
			b.write(t, 40)
			<-time.After(50 * time.Millisecond)
		}
	}
	const started = "[output:logscope:logscope.0] version"
	for round := range 6 {
		h := b.start(t)
		h.waitLog(t, started, 1)
		wait(200 + random.IntN(1500))
		if round%3 == 1 {
			_ = h.Signal(syscall.SIGHUP)
			wait(random.IntN(2000))
		}
		if round%2 == 0 {
			h.Kill()
			continue
		}
		_ = h.Signal(syscall.SIGTERM)
		wait(200)
		h.endsWithin(t, 20*time.Second)
	}
	h := b.start(t)
	for reload := 0; reload < 3; reload++ {
		h.waitLog(t, started, 1+reload)
		wait(1000)
		if !h.reload(t, 1+reload) {
			h, reload = b.start(t), 2 // on disk is what the one before had
		}
	}
	p.heal()
	b.delivered(t, h, loki, run)
	h.stop(t, time.Second)
	fromLoki(t, loki, run).check(t, b.lines, true)
	if got := scored(t, b.state); got == 0 {
		t.Error("got a state file that has seen no record")
	}
}

// reload does the n-th hot reload of a process. It returns false where Fluent
// Bit has crashed in it: up to 5.1.1 it starts the workers of a Go output twice
// (flb_output_init_all and flb_proxy_output_cb_init) and forgets the first ones,
// which then touch what the reload has freed. A plugin of 200 lines of C, with no
// Go in it, shows the same. The C host does hundreds of reloads without a crash.
func (p *process) reload(t *testing.T, n int) bool {
	t.Helper()
	_ = p.Signal(syscall.SIGHUP)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	err := p.WaitLog(ctx, "successful reload done", n)
	if err == nil {
		return true
	}
	if strings.Contains(p.Log(), "reloading instance") && strings.Contains(p.Log(), "caught signal (SIGSEGV)") {
		t.Log("Fluent Bit itself crashed in a hot reload, as it does with any Go output that has workers")
		return false
	}
	t.Fatal(err)
	return false
}
