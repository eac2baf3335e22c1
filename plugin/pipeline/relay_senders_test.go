package pipeline

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/logscope/logscope/engine"
	"github.com/logscope/logscope/loki"
	"github.com/logscope/logscope/test/sink"
)

// relayedBy sends one line through r, of a sender.
func relayedBy(t *testing.T, r *Relay, who sender, at int, line string) {
	t.Helper()
	var p loki.RawPush
	p.Stream(`{job="a"}`).Append(base.UnixNano()+int64(at)*1e9, []byte(line), nil)
	raw := p.AppendTo(nil)
	push := RelayPush{Send: loki.Forward{Body: loki.Compress(raw), Tenant: who.tenant}, Verbatim: true, Owner: who.owner}
	push.Identity = push.Send.Body
	push.Raw = func(int64) ([]byte, bool, error) { return raw, false, nil }
	answer, err := r.Push(context.Background(), &push)
	if err != nil || answer.Status != 204 {
		t.Fatalf("got %d %s, %v; want 204", answer.Status, answer.Body, err)
	}
}

// silence is a finding without a line, about the stream of a sender, and its labels.
func silence(r *Relay, who sender, n int) (engine.Event, *labelSet) {
	set, _ := r.sets.get(who.tenant, who.owner, `{job="a"}`, nil)
	return engine.Event{Kind: engine.EventSilence, Stream: set.model,
		Verdict: engine.Verdict{Time: base.UnixNano(), Reason: engine.ReasonSilence, Explanation: fmt.Sprint("silence ", n)}}, set.set
}

// TestRelayEventsGoToTheirSender: a finding that comes up while another sender
// pushes waits for its own one, whether tenants or credentials tell them apart.
func TestRelayEventsGoToTheirSender(t *testing.T) {
	for _, two := range [][2]sender{{{"a", ""}, {"b", ""}}, {{"", "ann"}, {"", "bob"}}, {{"t", "ann"}, {"t", "bob"}}} {
		s := sink.New(t)
		r, _ := startRelay(t, s, nil)
		job := relayJob{r: r, told: &relayTold{}, of: two[1]}
		e, set := silence(r, two[0], 1)
		job.event(e, set, base.UnixNano())
		if len(job.told.events) != 0 {
			t.Errorf("%+v: got the finding of %+v told", two[1], two[0])
		}
		relayedBy(t, r, two[1], 1, "x")
		if n := len(s.Entries()); n != 1 {
			t.Errorf("%+v: got %d entries; want the line alone", two[1], n)
		}
		relayedBy(t, r, two[0], 2, "y")
		relayedBy(t, r, two[0], 3, "z")
		entries, told := s.Entries(), 0
		for i, entry := range entries {
			if entry.Line == "silence 1" && i > 0 && i < 3 && entry.Tenant == two[0].tenant {
				told++
			}
		}
		if len(entries) != 4 || told != 1 || r.Stats().Engine.EventsDropped != 0 {
			t.Errorf("%+v: got %+v; want the finding with its first push", two[0], entries)
		}
	}
}

// TestRelayWaitingEventsAreBounded: what goes is counted, and one sender does not drive out the others.
func TestRelayWaitingEventsAreBounded(t *testing.T) {
	s := sink.New(t)
	r, _ := startRelay(t, s, nil)
	job := relayJob{r: r, told: &relayTold{}, of: sender{"z", ""}}
	quiet := sender{"quiet", ""}
	e, set := silence(r, quiet, 0)
	job.event(e, set, 0)
	for i := range 3 * waitingEach {
		e, set := silence(r, sender{"loud", ""}, i)
		job.event(e, set, 0)
	}
	if n := r.Stats().Engine.EventsDropped; n != 2*waitingEach {
		t.Errorf("got %d lost; want %d", n, 2*waitingEach)
	}
	if got := r.senders.take(quiet); len(got) != 1 {
		t.Errorf("got %d findings of the quiet sender; want 1", len(got))
	}
	got := r.senders.take(sender{"loud", ""})
	if want := fmt.Sprint("silence ", 3*waitingEach-1); len(got) != waitingEach || got[len(got)-1].event.Explanation != want {
		t.Errorf("got %d; want the newest %d, in order", len(got), waitingEach)
	}
	for i := range 2 * waitingMax {
		e, set := silence(r, sender{fmt.Sprint(i), ""}, i)
		job.event(e, set, 0)
	}
	if len(r.senders.waiting) != waitingMax {
		t.Errorf("got %d waiting; want at most %d", len(r.senders.waiting), waitingMax)
	}
	lost := r.Stats().Engine.EventsDropped
	if job.event(e, nil, 0); r.Stats().Engine.EventsDropped != lost+1 {
		t.Error("a finding whose labels are not known any more is not counted")
	}
}

// TestRelayFleet: a finding about many streams goes to Loki only where they are all one sender's.
func TestRelayFleet(t *testing.T) {
	fleet := engine.Event{Kind: engine.EventFleet, Verdict: engine.Verdict{Time: base.UnixNano(), Reason: engine.ReasonFleet, Explanation: "3 of 4 models"}}
	for _, tc := range []struct {
		name     string
		others   []sender
		restored bool
		want     int
	}{
		{"one sender", []sender{{"a", ""}}, false, 1},
		{"two tenants", []sender{{"a", ""}, {"b", ""}}, false, 0},
		{"two users", []sender{{"a", ""}, {"a", "ann"}}, false, 0},
		{"an earlier run's", []sender{{"a", ""}}, true, 0},
	} {
		s := sink.New(t)
		r, log := startRelay(t, s, nil)
		if tc.restored {
			r.fleetFrom = base.UnixNano() + 1
		}
		for i, who := range tc.others {
			relayedBy(t, r, who, i, "x")
		}
		job := relayJob{r: r, told: &relayTold{}, of: sender{"a", ""}}
		job.event(fleet, nil, base.UnixNano())
		job.event(fleet, nil, base.UnixNano())
		if n := len(job.told.events); n != 2*tc.want {
			t.Errorf("%s: got %d told; want %d", tc.name, n, 2*tc.want)
		}
		if n := strings.Count(log.String(), "3 of 4 models"); n != 1-tc.want {
			t.Errorf("%s: got it logged %d times; want %d", tc.name, n, 1-tc.want)
		}
		raw, _ := job.encode(false)
		var d loki.Decoded
		if err := d.Read(raw); err != nil || len(d.Entries) != 2*tc.want {
			t.Errorf("%s: got %d entries, %v; want %d", tc.name, len(d.Entries), err, 2*tc.want)
		}
	}
}

// TestRelayNotesRestoredModels: with models of an earlier run, findings about the fleet may be about other senders.
func TestRelayNotesRestoredModels(t *testing.T) {
	s := sink.New(t)
	state := t.TempDir() + "/state"
	r, _ := startRelay(t, s, func(c *Config) { c.StateFile = state })
	relayed(t, r, `{job="a"}`, 0, normal(5)...)
	if r.fleetFrom != 0 {
		t.Error("want nothing held back in a first run")
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if r, _ = startRelay(t, s, func(c *Config) { c.StateFile = state }); r.fleetFrom == 0 {
		t.Error("want what may be about an earlier run held back")
	}
}

// TestRelayPlainIsPerSender: one tenant without structured metadata does not cost the others theirs.
func TestRelayPlainIsPerSender(t *testing.T) {
	now := time.Unix(1000, 0)
	var s relaySenders
	s.setPlain(sender{"plain", ""}, now)
	if !s.isPlain(sender{"plain", ""}, now) || s.isPlain(sender{"other", ""}, now) || s.isPlain(sender{"plain", "ann"}, now) || s.isPlain(sender{"plain", ""}, now.Add(plainFor)) {
		t.Error("want it plain for its own time, and nobody else")
	}
	for i := range 2 * plainSendersMax {
		s.setPlain(sender{fmt.Sprint(i), ""}, now.Add(time.Duration(i+1)))
	}
	if last := (sender{fmt.Sprint(2*plainSendersMax - 1), ""}); len(s.plain) != plainSendersMax || !s.isPlain(last, now) {
		t.Errorf("got %d senders; want the latest %d", len(s.plain), plainSendersMax)
	}
}

// TestRelayStripsForOneSenderOnly: the pushes of others keep their metadata.
func TestRelayStripsForOneSenderOnly(t *testing.T) {
	s := sink.New(t)
	r, _ := startRelay(t, s, nil)
	plain, other := sender{"plain", ""}, sender{"other", ""}
	s.Answer = func(_ *http.Request, request int) (int, string, bool) {
		if request > 1 {
			return 0, "", true
		}
		return http.StatusBadRequest, "stream '{}' includes structured metadata, but this feature is disallowed. Please see `limits_config.allow_structured_metadata` or contact your Loki administrator to enable it", false
	}
	for i, who := range []sender{plain, other, plain} {
		e, set := silence(r, who, i)
		r.senders.keep(who, e, set)
		relayedBy(t, r, who, i, "x")
	}
	got := map[string]int{}
	for _, entry := range s.Entries() {
		if strings.HasPrefix(entry.Line, "silence") {
			got[entry.Tenant] += min(len(entry.Metadata), 1)
		}
	}
	if n, _ := s.Requests(); n != 4 || got["plain"] != 0 || got["other"] != 1 || r.Stats().Stripped != 1 {
		t.Errorf("got %d requests, metadata %v, %d stripped; want 4, that of the other sender, 1", n, got, r.Stats().Stripped)
	}
}
