package loki

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	streamA = `{job="a"}`
	streamB = `{job="b"}`
	streamC = `{job="c"}`
)

func always(r reply) func(int, []entry) reply {
	return func(int, []entry) reply { return r }
}

// then answers with the replies in turn, and 204 after them.
func then(rs ...reply) func(int, []entry) reply {
	return func(n int, _ []entry) reply {
		if n < len(rs) {
			return rs[n]
		}
		return reply{}
	}
}

func TestDeliverStoresOnceAfterFailures(t *testing.T) {
	for name, r := range map[string]reply{
		"500":              {status: 500, body: "empty ring"},
		"503":              {status: 503},
		"429":              {status: 429, body: "slow down"},
		"408":              {status: 408},
		"reset":            {abort: true},
		"reset in answer":  {status: 500, body: "half an ans", halfway: true},
		"ingester timeout": {status: 504},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSink(t, then(r, r))
			c, waits := newTestClient(t, s.URL, nil)
			p := makePush(t, 10, streamA)
			left, rep := c.Deliver(t.Context(), []Push{p})
			if left != nil || rep.Err != nil || rep.Accepted != 10 || rep.Attempts != 3 || rep.Refused != nil {
				t.Fatalf("got left %d, report %+v; want all 10 accepted in 3 attempts", len(left), rep)
			}
			wantOnce(t, s, streamA, 0, 10)
			if s.bodies[0] != s.bodies[1] || s.bodies[1] != s.bodies[2] {
				t.Error("a retry sent other bytes")
			}
			if len(*waits) != 2 || (*waits)[0] < 100*time.Millisecond || (*waits)[1] < (*waits)[0]/2 {
				t.Errorf("waited %v; want two growing waits", *waits)
			}
		})
	}
}

func TestDeliverAnswerLostAfterStored(t *testing.T) {
	s := newSink(t, then(reply{abort: true, store: true}))
	c, _ := newTestClient(t, s.URL, nil)
	left, rep := c.Deliver(t.Context(), []Push{makePush(t, 5, streamA)})
	if left != nil || rep.Accepted != 5 || s.bodies[0] != s.bodies[1] {
		t.Fatalf("got left %v, report %+v; want the same body again, accepted once", left, rep)
	}
}

func TestDeliverHonoursRetryAfter(t *testing.T) {
	s := newSink(t, then(reply{status: 429, header: map[string]string{"Retry-After": "10"}}))
	c, waits := newTestClient(t, s.URL, nil)
	left, rep := c.Deliver(t.Context(), []Push{makePush(t, 5, streamA)})
	if left != nil || rep.Accepted != 5 {
		t.Fatalf("got left %v, report %+v", left, rep)
	}
	if diff := cmp.Diff([]time.Duration{10 * time.Second}, *waits); diff != "" {
		t.Errorf("waits (-want +got):\n%s", diff)
	}
}

func TestDeliverLeavesWhenRetryAfterIsBeyondDeadline(t *testing.T) {
	s := newSink(t, always(reply{status: 429, header: map[string]string{"Retry-After": "10"}}))
	c, waits := newTestClient(t, s.URL, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	p := makePush(t, 5, streamA)
	left, rep := c.Deliver(ctx, []Push{p})
	if len(left) != 1 || string(left[0].Body) != string(p.Body) || len(*waits) != 0 || rep.Attempts != 1 {
		t.Fatalf("got %d left after %d attempts and waits %v; want 1, 1, none", len(left), rep.Attempts, *waits)
	}
	if e := asError(t, rep.Err); e.Status != 429 || e.Config {
		t.Errorf("got %+v; want a 429 that heals by itself", e)
	}
}

func TestDeliverHang(t *testing.T) {
	s := newSink(t, always(reply{hang: true}))
	c, _ := newTestClient(t, s.URL, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	left, rep := c.Deliver(ctx, []Push{makePush(t, 5, streamA), makePush(t, 5, streamB)})
	if took := time.Since(start); took > time.Second {
		t.Errorf("took %v; want about the 50 ms of the context", took)
	}
	if len(left) != 2 || rep.Attempts != 1 || rep.Status[0] != 1 {
		t.Errorf("got %d left, %+v; want both pushes left after one attempt", len(left), rep)
	}
	if e := asError(t, rep.Err); e.Status != 0 || !strings.Contains(e.Error(), "no answer in time") {
		t.Errorf("got %v; want a timeout", e)
	}
}

func TestDeliverHangOfOneAttempt(t *testing.T) {
	s := newSink(t, then(reply{hang: true}))
	c, _ := newTestClient(t, s.URL, func(cfg *Config) { cfg.Timeout = 50 * time.Millisecond })
	left, rep := c.Deliver(t.Context(), []Push{makePush(t, 5, streamA), makePush(t, 5, streamB)})
	if left != nil || rep.Accepted != 10 || rep.Attempts != 3 {
		t.Fatalf("got %d left, %+v; want all accepted in 3 attempts", len(left), rep)
	}
}

func TestDeliverUnreachableDoesNotTryEach(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	c, _ := newTestClient(t, "http://"+l.Addr().String(), func(cfg *Config) { cfg.Backoff.MaxRetries = 3 })
	pushes := []Push{makePush(t, 1, streamA), makePush(t, 1, streamB), makePush(t, 1, streamC)}
	left, rep := c.Deliver(t.Context(), pushes)
	if len(left) != 3 || rep.Attempts != 4 {
		t.Fatalf("got %d left after %d attempts; want 3 after 4", len(left), rep.Attempts)
	}
	for i := range left {
		if string(left[i].Body) != string(pushes[i].Body) {
			t.Errorf("left[%d] is another push", i)
		}
	}
	if e := asError(t, rep.Err); !strings.Contains(e.Error(), "connection refused") {
		t.Errorf("got %v; want connection refused", e)
	}
}

func TestDeliverCancelled(t *testing.T) {
	s := newSink(t, nil)
	c, _ := newTestClient(t, s.URL, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	left, rep := c.Deliver(ctx, []Push{makePush(t, 1, streamA)})
	if len(left) != 1 || rep.Attempts != 0 || rep.Err == nil {
		t.Fatalf("got %d left, %+v; want the push left, untried, with an error", len(left), rep)
	}
}

func TestDeliverOneStuckPushHoldsUpNoOther(t *testing.T) {
	s := newSink(t, func(_ int, es []entry) reply {
		if es[0].Labels == streamA {
			return reply{status: 500, body: "this one only"}
		}
		return reply{}
	})
	c, _ := newTestClient(t, s.URL, nil)
	left, rep := c.Deliver(t.Context(), []Push{makePush(t, 1, streamA), makePush(t, 2, streamB), makePush(t, 3, streamC)})
	if len(left) != 1 || rep.Accepted != 5 {
		t.Fatalf("got %d left, %+v; want 1 left and 5 accepted", len(left), rep)
	}
}

func TestDeliverConfigurationErrors(t *testing.T) {
	for name, tc := range map[string]struct {
		reply reply
		want  string
	}{
		"401":             {reply{status: 401, body: "no org id"}, "set tenant_id"},
		"401 credentials": {reply{status: 401}, "http_user"},
		"403":             {reply{status: 403}, "permissions"},
		"404":             {reply{status: 404, body: "404 page not found"}, "check url"},
		"405":             {reply{status: 405}, "check url"},
		"redirect":        {reply{status: 308, header: map[string]string{"Location": "https://other/"}}, "https://other/"},
		"web page":        {reply{status: 200, header: map[string]string{"Content-Type": "text/html; charset=utf-8"}, body: "<html>login"}, "check url"},
		"tenant":          {reply{status: 400, body: "tenant ID 'a b' contains unsupported character ' '"}, "tenant_id"},
		"http to https":   {reply{status: 400, body: "Client sent an HTTP request to an HTTPS server.\n"}, "https://"},
		"nginx":           {reply{status: 400, body: "<html><head><title>400 Bad Request</title>"}, "check url"},
		"unknown words":   {reply{status: 400, body: "computer says no"}, "check url"},
		"mangled":         {reply{status: 400, body: "snappy: corrupt input"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSink(t, always(tc.reply))
			c, _ := newTestClient(t, s.URL, nil)
			p, q := makePush(t, 4, streamA, streamB), makePush(t, 4, streamC)
			left, rep := c.Deliver(t.Context(), []Push{p, q})
			if len(left) != 2 || string(left[0].Body) != string(p.Body) || rep.Refused != nil || rep.Accepted != 0 {
				t.Fatalf("got %d left, %+v; want both pushes left as they were", len(left), rep)
			}
			e := asError(t, rep.Err)
			if !e.Config || !strings.Contains(e.Advice, tc.want) {
				t.Errorf("got %+v; want advice with %q", e, tc.want)
			}
			// It heals without a new client.
			s.mu.Lock()
			s.script = always(reply{})
			s.mu.Unlock()
			if left, rep := c.Deliver(t.Context(), left); left != nil || rep.Accepted != 12 {
				t.Errorf("after healing: got %d left, %+v", len(left), rep)
			}
		})
	}
}

func TestDeliverBlockedTenantOnly(t *testing.T) {
	s := newSink(t, func(_ int, es []entry) reply {
		if es[0].Tenant == "bad" {
			return reply{status: 403}
		}
		return reply{}
	})
	c, _ := newTestClient(t, s.URL, nil)
	bad, good := makePush(t, 1, streamA), makePush(t, 2, streamB)
	bad.Tenant, good.Tenant = "bad", "good"
	left, rep := c.Deliver(t.Context(), []Push{bad, bad, good})
	if len(left) != 2 || rep.Accepted != 2 || rep.Attempts != 2 {
		t.Fatalf("got %d left, %+v; want the bad tenant's two left after one attempt", len(left), rep)
	}
}

// tooLarge answers status where a push has more than max entries or holds bad.
func tooLarge(status int, body string, max int, bad string) func(int, []entry) reply {
	return func(_ int, es []entry) reply {
		for _, e := range es {
			if len(es) > max || e.Line == bad {
				return reply{status: status, body: body}
			}
		}
		return reply{}
	}
}

func TestDeliverHalvesTooLarge(t *testing.T) {
	s := newSink(t, tooLarge(413, "request body too large", 3, streamB+" 7"))
	c, _ := newTestClient(t, s.URL, nil)
	left, rep := c.Deliver(t.Context(), []Push{makePush(t, 20, streamA, streamB)})
	if left != nil || rep.Accepted != 39 {
		t.Fatalf("got %d left, %+v; want 39 accepted", len(left), rep)
	}
	if diff := cmp.Diff(map[Cause]int{CauseBodyTooLarge: 1}, rep.Refused); diff != "" {
		t.Errorf("refused (-want +got):\n%s", diff)
	}
	wantOnce(t, s, streamA, 0, 20)
	wantOnce(t, s, streamB, 8, 20)
}

func TestDeliverHalvesOverBurst(t *testing.T) {
	s := newSink(t, func(_ int, es []entry) reply {
		if len(es) > 1 || es[0].Line == streamA+" 3" {
			return reply{status: 429, body: fmt.Sprintf("ingestion rate limit exceeded for user fake (limit: 90 bytes/sec) while attempting to ingest '%d' lines totaling '%d' bytes, reduce log volume", len(es), 1000*len(es))}
		}
		return reply{}
	})
	c, _ := newTestClient(t, s.URL, nil)
	left, rep := c.Deliver(t.Context(), []Push{makePush(t, 8, streamA)})
	if left != nil || rep.Accepted != 7 {
		t.Fatalf("got %d left, %+v; want 7 accepted", len(left), rep)
	}
	if diff := cmp.Diff(map[Cause]int{CauseRateLimited: 1}, rep.Refused); diff != "" {
		t.Errorf("refused (-want +got):\n%s", diff)
	}
}

func TestDeliverKeepsEntryThatTheBurstMayTake(t *testing.T) {
	s := newSink(t, always(reply{status: 429, body: "ingestion rate limit exceeded for user fake (limit: 100 bytes/sec) while attempting to ingest '1' lines totaling '150' bytes, reduce log volume"}))
	c, _ := newTestClient(t, s.URL, nil)
	left, rep := c.Deliver(t.Context(), []Push{makePush(t, 1, streamA)})
	if len(left) != 1 || rep.Refused != nil {
		t.Fatalf("got %d left, %+v; want the push left", len(left), rep)
	}
}

// A stream's own burst is not named in Loki's answer, so a push that meets 429
// again and again is halved, over several Deliver calls if need be.
func TestDeliverHalvesWhatIsThrottledAgainAndAgain(t *testing.T) {
	const burst = 300 << 10
	s := newSink(t, func(_ int, es []entry) reply {
		total := 0
		for _, e := range es {
			total += len(e.Line)
		}
		if total > burst {
			return reply{status: 429, body: "entry with timestamp 2026-05-04 12:00:00 +0000 UTC ignored, reason: 'Per stream rate limit exceeded (limit: 3MB/sec) while attempting to ingest for stream '{job=\"a\"}' totaling 1kB, consider splitting a stream via additional labels or contact your Loki administrator to see if the limit can be increased',\nuser 'fake', total ignored: 4 out of 4 for stream: {job=\"a\"}"}
		}
		return reply{}
	})
	c, _ := newTestClient(t, s.URL, func(cfg *Config) { cfg.Backoff.MaxRetries = 1 })
	b := newTestBatcher(nil).NewBatch()
	for i := range 10 {
		b.Stream("", streamA).Append(testNow.UnixNano()+int64(i), []byte(strings.Repeat("x", 100<<10)), nil)
	}
	left := b.Pushes(nil)
	accepted := 0
	for calls := 0; len(left) > 0; calls++ {
		if calls > 10 {
			t.Fatalf("still %d pushes left", len(left))
		}
		var rep Report
		left, rep = c.Deliver(t.Context(), left)
		accepted += rep.Accepted
	}
	if accepted != 10 {
		t.Errorf("accepted %d; want 10", accepted)
	}
}

// Where the stream's rate is named and small, down to one entry.
func TestDeliverHalvesOverStreamBurst(t *testing.T) {
	s := newSink(t, func(_ int, es []entry) reply {
		if len(es) > 1 || es[0].Line == streamA+" 3" {
			return reply{status: 429, body: "entry with timestamp x ignored, reason: 'Per stream rate limit exceeded (limit: 1B/sec) while attempting to ingest for stream '{job=\"a\"}' totaling 14B, consider ...',\nuser 'fake', total ignored: 8 out of 8 for stream: {job=\"a\"}"}
		}
		return reply{}
	})
	c, _ := newTestClient(t, s.URL, nil)
	left, accepted, refused := []Push{makePush(t, 8, streamA)}, 0, map[Cause]int{}
	for calls := 0; len(left) > 0; calls++ {
		if calls > 20 {
			t.Fatalf("still %d pushes left", len(left))
		}
		var rep Report
		left, rep = c.Deliver(t.Context(), left)
		accepted += rep.Accepted
		for cause, n := range rep.Refused {
			refused[cause] += n
		}
	}
	if diff := cmp.Diff(map[Cause]int{CauseRateLimited: 1}, refused); diff != "" || accepted != 7 {
		t.Errorf("accepted %d; want 7; refused (-want +got):\n%s", accepted, diff)
	}
}

func TestStreamRate(t *testing.T) {
	for in, want := range map[string]int{"3MB": 3 << 20, "1.5KB": 1536, "10B": 10, "x": 0, "9999999999GB": 0, "1..B": 0} {
		if got := streamRate("Per stream rate limit exceeded (limit: " + in + "/sec)"); got != want {
			t.Errorf("%s: got %d; want %d", in, got, want)
		}
	}
}

func TestDeliverPartialRefusal(t *testing.T) {
	const tail = "\nuser 'fake', total ignored: 3 out of 10 for stream: {job=\"a\", service_name=\"a\"}"
	behind := "entry with timestamp 2026-05-04 10:00:00 +0000 UTC ignored, reason: 'entry too far behind, entry timestamp is: 2026-05-04T10:00:00Z, oldest acceptable timestamp is: 2026-05-04T11:00:00Z',"
	for name, tc := range map[string]struct {
		body string
		want map[Cause]int
	}{
		"too far behind": {behind + "\n" + behind + "\n" + behind + tail, map[Cause]int{CauseTooFarBehind: 3}},
		"one":            {"entry for stream '{job=\"a\"}' has timestamp too old: 2020-01-01T00:00:00Z, oldest acceptable timestamp is: 2026-04-27T12:00:00Z", map[Cause]int{CauseTooOld: 1}},
		"grouped": {`2 errors like: max entry size '262144' bytes exceeded for stream '{job="a"}' while adding an entry with length '300000' bytes; 1 errors like: entry for stream '{job="a"}' has timestamp too new: 2106-01-01T00:00:00Z`,
			map[Cause]int{CauseLineTooLong: 2, CauseTooNew: 1}},
		"metadata":          {`3 errors like: stream '{job="a"}' has structured metadata too large: '70000' bytes, limit: '65536' bytes. Please see ...`, map[Cause]int{CauseMetadataTooLarge: 3}},
		"labels of b":       {`entry for stream '{job="b", service_name="b"}' has 16 label names; limit 15`, map[Cause]int{CauseTooManyLabels: 10}},
		"name of b":         {`stream '{job="b", service_name="b"}' has label name too long: 'x'`, map[Cause]int{CauseLabelNameLong: 10}},
		"hostile labels":    {`entry for stream '{job="; 9000 errors like: entry too far behind"}' has timestamp too new: x`, map[Cause]int{CauseTooFarBehind: 1}},
		"hostile count":     {`90 errors like: max entry size '1' bytes exceeded`, map[Cause]int{CauseLineTooLong: 20}},
		"hostile web page":  {`2 errors like: entry for stream '{job="<html>no org id"}' has timestamp too new: x`, map[Cause]int{CauseTooNew: 2}},
		"hostile rate":      {behind + "\nuser 'fake', total ignored: 2 out of 10 for stream: {job=\"reason: 'Per stream rate limit exceeded\"}", map[Cause]int{CauseTooFarBehind: 2}},
		"missing":           {`missing required labels 'team' for user 'fake' for stream '{job="a"}' (policy: '')`, map[Cause]int{CauseMissingLabels: 10}},
		"invalid utf-8 etc": {"entry for stream '\xff\x00' has timestamp too old: x", map[Cause]int{CauseTooOld: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSink(t, always(reply{status: 400, body: tc.body + "\n", store: true}))
			c, _ := newTestClient(t, s.URL, nil)
			left, rep := c.Deliver(t.Context(), []Push{makePush(t, 10, streamA, streamB)})
			refused := 0
			for _, n := range tc.want {
				refused += n
			}
			if left != nil || rep.Attempts != 1 || rep.Accepted != 20-refused || rep.Err != nil {
				t.Fatalf("got %d left, %+v; want %d accepted in one attempt", len(left), rep, 20-refused)
			}
			if diff := cmp.Diff(tc.want, rep.Refused); diff != "" {
				t.Errorf("refused (-want +got):\n%s", diff)
			}
			if rep.Sample == "" || strings.ContainsAny(rep.Sample, "\n\x00") {
				t.Errorf("sample %q; want Loki's words on one line", rep.Sample)
			}
		})
	}
}

// Of a mixed answer the entries over the rate are not refused for good.
func TestDeliverRateLimitedAmongRefused(t *testing.T) {
	s := newSink(t, then(reply{status: 400, body: "entry with timestamp x ignored, reason: 'Per stream rate limit exceeded (limit: 3MB/sec) while ...',\nentry with timestamp x ignored, reason: 'entry too far behind, entry timestamp is: x',\nuser 'fake', total ignored: 2 out of 10 for stream: {job=\"a\"}"}))
	c, _ := newTestClient(t, s.URL, nil)
	left, rep := c.Deliver(t.Context(), []Push{makePush(t, 10, streamA)})
	if left != nil || rep.Attempts != 2 || rep.Accepted != 10 {
		t.Fatalf("got %d left, %+v; want it sent again", len(left), rep)
	}
}

func TestDeliverIsolatesBadStream(t *testing.T) {
	s := newSink(t, func(_ int, es []entry) reply {
		for _, e := range es {
			if e.Labels == streamB {
				return reply{status: 400, body: "couldn't parse labels: 1:2: parse error: unexpected character: '\\ufeff'"}
			}
		}
		return reply{}
	})
	c, _ := newTestClient(t, s.URL, nil)
	left, rep := c.Deliver(t.Context(), []Push{makePush(t, 50, streamA, streamB, streamC)})
	if left != nil || rep.Accepted != 100 || rep.Attempts > 6 {
		t.Fatalf("got %d left, %+v; want 100 accepted in a few attempts", len(left), rep)
	}
	if diff := cmp.Diff(map[Cause]int{CauseInvalidLabels: 50}, rep.Refused); diff != "" {
		t.Errorf("refused (-want +got):\n%s", diff)
	}
	wantOnce(t, s, streamA, 0, 50)
	wantOnce(t, s, streamC, 0, 50)
}

// Words that logscope does not know are believed where Loki takes other entries.
func TestDeliverIsolatesBadEntryOnceProven(t *testing.T) {
	s := newSink(t, tooLarge(400, "computer says no", 1000, streamA+" 77"))
	c, _ := newTestClient(t, s.URL, nil)
	left, rep := c.Deliver(t.Context(), []Push{makePush(t, 500, streamA), makePush(t, 1, streamB)})
	if left != nil || rep.Accepted != 500 {
		t.Fatalf("got %d left, %+v; want 500 accepted", len(left), rep)
	}
	if diff := cmp.Diff(map[Cause]int{CauseOther: 1}, rep.Refused); diff != "" {
		t.Errorf("refused (-want +got):\n%s", diff)
	}
}

// A chunk that is one push meets nothing else in its own call: what others get through is the proof.
func TestDeliverIsolatesBadEntryOnceOthersPass(t *testing.T) {
	s := newSink(t, tooLarge(400, "computer says no", 1000, streamA+" 77"))
	c, _ := newTestClient(t, s.URL, func(cfg *Config) { cfg.Backoff.MaxRetries = 1 })
	deliver := func(p ...Push) ([]Push, Report) { return c.Deliver(t.Context(), p) }
	deliver(makePush(t, 1, streamB)) // before: gateways break
	left, rep := deliver(makePush(t, 500, streamA))
	for range 3 { // nobody else gets anything through
		if len(left) != 1 || rep.Accepted != 0 || rep.Refused != nil || !asError(t, rep.Err).Config {
			t.Fatalf("got %d left, %+v; want all of it left, for someone to look at", len(left), rep)
		}
		left, rep = deliver(left...)
	}
	other := makePush(t, 1, streamC)
	other.Tenant = "other"
	deliver(other)
	if left, rep = deliver(left...); len(left) != 1 {
		t.Fatalf("got %+v; want it left: another tenant proves nothing of this one", rep)
	}
	deliver(makePush(t, 1, streamC))
	left, rep = deliver(left...)
	if left != nil || rep.Accepted != 499 {
		t.Fatalf("got %d left, %+v; want 499 accepted", len(left), rep)
	}
	if diff := cmp.Diff(map[Cause]int{CauseOther: 1}, rep.Refused); diff != "" {
		t.Errorf("refused (-want +got):\n%s", diff)
	}
}

func TestTakenTimesAreBounded(t *testing.T) {
	var k takenTimes
	for i := range 2*takenTenantsMax + 10 {
		k.note(fmt.Sprint(i), testNow)
	}
	if len(k.last) > takenTenantsMax {
		t.Errorf("got %d tenants; want at most %d", len(k.last), takenTenantsMax)
	}
	last := fmt.Sprint(2*takenTenantsMax + 9)
	if !k.since(last, testNow.Add(-1)) || k.since(last, testNow) || k.since("x", testNow) {
		t.Error("got it wrong when Loki took something")
	}
}

func TestDeliverIsolationIsBounded(t *testing.T) {
	s := newSink(t, func(_ int, es []entry) reply {
		if es[0].Labels == streamB {
			return reply{}
		}
		return reply{status: 400, body: "computer says no"}
	})
	c, _ := newTestClient(t, s.URL, nil)
	left, rep := c.Deliver(t.Context(), []Push{makePush(t, 1, streamB), makePush(t, 5000, streamA)})
	entries := rep.Accepted + rep.Refused[CauseOther]
	for _, p := range left {
		entries += p.Entries
	}
	if rep.Attempts > isolateMax+20 || entries != 5001 {
		t.Errorf("got %d attempts, %d entries accounted for; want at most %d, 5001", rep.Attempts, entries, isolateMax+20)
	}
}

func TestDeliverPolicy260(t *testing.T) {
	s := newSink(t, always(reply{status: 260, body: "ingestion blocked for user 'fake' until '2030-01-01T00:00:00Z' with status code '260'"}))
	c, _ := newTestClient(t, s.URL, nil)
	left, rep := c.Deliver(t.Context(), []Push{makePush(t, 10, streamA)})
	if left != nil || rep.Attempts != 1 || rep.Accepted != 0 {
		t.Fatalf("got %d left, %+v; want it counted and not sent again", len(left), rep)
	}
	if diff := cmp.Diff(map[Cause]int{CauseBlocked: 10}, rep.Refused); diff != "" {
		t.Errorf("refused (-want +got):\n%s", diff)
	}
}

func TestDeliverPolicy260OfOneStream(t *testing.T) {
	s := newSink(t, func(_ int, es []entry) reply {
		for _, e := range es {
			if e.Labels == streamB {
				return reply{status: 260, body: "ingestion blocked for user 'fake' (policy: 'b') until '2030-01-01T00:00:00Z' with status code '260'"}
			}
		}
		return reply{}
	})
	c, _ := newTestClient(t, s.URL, nil)
	left, rep := c.Deliver(t.Context(), []Push{makePush(t, 10, streamA, streamB)})
	if left != nil || rep.Accepted != 10 {
		t.Fatalf("got %d left, %+v; want stream a accepted", len(left), rep)
	}
	if diff := cmp.Diff(map[Cause]int{CauseBlocked: 10}, rep.Refused); diff != "" {
		t.Errorf("refused (-want +got):\n%s", diff)
	}
}

func TestDeliverWithoutStructuredMetadata(t *testing.T) {
	s := newSink(t, func(_ int, es []entry) reply {
		for _, e := range es {
			if e.Metadata != nil {
				return reply{status: 400, body: "stream '{job=\"a\"}' includes structured metadata, but this feature is disallowed. Please see `limits_config.allow_structured_metadata` or contact your Loki administrator to enable it"}
			}
		}
		return reply{}
	})
	b := newTestBatcher(nil).NewBatch()
	for i := range 10 {
		var meta []Label
		if i%2 == 0 {
			meta = []Label{{"logscope_score", "0.97"}}
		}
		b.Stream("", streamA).Append(testNow.UnixNano()+int64(i), fmt.Appendf(nil, "%s %d", streamA, i), meta)
	}
	c, _ := newTestClient(t, s.URL, nil)
	left, rep := c.Deliver(t.Context(), b.Pushes(nil))
	if left != nil || rep.Accepted != 10 || rep.Stripped != 5 || rep.Refused != nil {
		t.Fatalf("got %d left, %+v; want 10 accepted, 5 of them stripped", len(left), rep)
	}
	wantOnce(t, s, streamA, 0, 10)
}

func TestDeliverDamagedBody(t *testing.T) {
	s := newSink(t, nil)
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(413) })
	c, _ := newTestClient(t, s.URL, nil)
	left, rep := c.Deliver(t.Context(), []Push{{Body: []byte("not snappy"), Entries: 3}})
	if left != nil || rep.Refused[CauseMalformed] != 3 {
		t.Fatalf("got %d left, %+v; want 3 malformed", len(left), rep)
	}
}

func TestDeliverHugeAnswerIsBounded(t *testing.T) {
	s := newSink(t, then(reply{status: 500, body: strings.Repeat("x", 4<<20)}))
	c, _ := newTestClient(t, s.URL, func(cfg *Config) { cfg.Backoff.MaxRetries = 1 })
	a := c.post(t.Context(), &Push{Body: makePush(t, 1, streamA).Body})
	if len(a.body) != answerBytesMax {
		t.Errorf("read %d bytes of the answer; want %d", len(a.body), answerBytesMax)
	}
}

func TestJudgeErrors(t *testing.T) {
	for name, tc := range map[string]struct {
		err    error
		action action
		words  string
	}{
		"unknown host": {&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "loki", IsNotFound: true}}, actUnreachable, "check the host in url"},
		"DNS is down":  {&net.OpError{Op: "dial", Err: &net.DNSError{Err: "server misbehaving", Name: "loki", IsTemporary: true}}, actUnreachable, "server misbehaving"},
		"time is up":   {context.DeadlineExceeded, actUnreachable, "no answer in time"},
		"cut off":      {errors.New("Post \"https://loki\": http2: client conn could not be established"), actUnreachable, "cert_file"},
		"token file":   {&Error{Err: errWire, Config: true}, actBlock, "not a push"},
	} {
		v := judgeError(tc.err)
		if v.action != tc.action || !strings.Contains(v.err.Error(), tc.words) {
			t.Errorf("%s: got action %d, %v; want %d and %q", name, v.action, v.err, tc.action, tc.words)
		}
	}
}
