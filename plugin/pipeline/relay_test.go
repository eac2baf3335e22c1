package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/logscope/logscope/engine"
	"github.com/logscope/logscope/loki"
	"github.com/logscope/logscope/test/sink"
)

// startRelay makes a relay into s.
func startRelay(t *testing.T, s *sink.Sink, change func(*Config)) (*Relay, *logBuffer) {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Loki.URL = s.URL
	if change != nil {
		change(&cfg)
	}
	log := &logBuffer{}
	r, err := NewRelay(cfg, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r, log
}

// relayed sends lines through r as a push of one stream, one second apart.
func relayed(t *testing.T, r *Relay, labels string, from int, lines ...string) (body []byte) {
	t.Helper()
	var p loki.RawPush
	for i, line := range lines {
		p.Stream(labels).Append(base.UnixNano()+int64(from+i)*1e9, []byte(line), nil)
	}
	raw := p.AppendTo(nil)
	push := RelayPush{Send: loki.Forward{Body: loki.Compress(raw)}, Verbatim: true}
	push.Identity = push.Send.Body
	push.Raw = func(int64) ([]byte, bool, error) { return raw, false, nil }
	answer, err := r.Push(context.Background(), &push)
	if err != nil || answer.Status != 204 {
		t.Fatalf("got %d %s, %v; want 204", answer.Status, answer.Body, err)
	}
	return push.Send.Body
}

const strange = "FATAL out of memory: killed process 4711 (java)"

// TestRelayScoringFault: the lines go on untagged, and scoring goes on with the next push.
func TestRelayScoringFault(t *testing.T) {
	s := sink.New(t)
	r, log := startRelay(t, s, nil)
	fault := true
	for _, p := range r.shards {
		p.beforeScore = func() {
			if fault {
				panic("boom")
			}
		}
	}
	relayed(t, r, `{job="a"}`, 0, normal(30)...)
	fault = false
	relayed(t, r, `{job="a"}`, 30, normal(30)...)
	if got := len(s.Entries()); got != 60 {
		t.Errorf("got %d entries; want 60", got)
	}
	stats := r.Stats()
	if stats.Unscored != 30 || stats.Panics != 1 || stats.Records != 60 || stats.Accepted != 60 {
		t.Errorf("got %d unscored, %d panics, %d records, %d accepted; want 30, 1, 60, 60", stats.Unscored, stats.Panics, stats.Records, stats.Accepted)
	}
	if !strings.Contains(log.String(), "scoring failed") {
		t.Errorf("it was not told: %s", log)
	}
}

// TestRelayKeepsWhatItLearned: all shards' state files are read again.
func TestRelayKeepsWhatItLearned(t *testing.T) {
	s := sink.New(t)
	state := filepath.Join(t.TempDir(), "state")
	withState := func(c *Config) { c.StateFile = state }
	r, _ := startRelay(t, s, withState)
	streams := 0
	var seen [relayShards]bool
	for ; seen != [relayShards]bool{true, true, true, true}; streams++ {
		labels := fmt.Sprintf(`{app="%d"}`, streams)
		seen[shardOf(fmt.Sprint(streams))] = true
		relayed(t, r, labels, 0, normal(900)...)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r, log := startRelay(t, s, withState)
	for i := range streams {
		relayed(t, r, fmt.Sprintf(`{app="%d"}`, i), 900, strange)
	}
	if got := r.Stats().Engine.Anomalies; got != uint64(streams) {
		t.Errorf("got %d anomalies after the restart; want one in each of %d streams: %s", got, streams, log)
	}
}

// TestRelaySampled: of normal entries few go, with their weight; the same ones when the push comes again.
func TestRelaySampled(t *testing.T) {
	s := sink.New(t)
	r, _ := startRelay(t, s, func(c *Config) { c.Forward, c.SampleEvery = ForwardSampled, 10 })
	lines := normal(300)
	relayed(t, r, `{job="a"}`, 0, lines...)
	first := s.Entries()
	relayed(t, r, `{job="a"}`, 0, lines...)
	again := s.Entries()[len(first):]
	total := 0
	for i, e := range first {
		weight := 1
		if text := e.Metadata["logscope_weight"]; text != "" {
			_, _ = fmt.Sscan(text, &weight)
		}
		total += weight
		if i >= len(again) || again[i].Line != e.Line || !again[i].Time.Equal(e.Time) {
			t.Fatalf("entry %d was another one the second time", i)
		}
	}
	if len(first) > 60 || total < 270 || total > 330 {
		t.Errorf("got %d entries that stand for %d; want some 30 for 300", len(first), total)
	}
	if n := r.Stats().NotForwarded; n != uint64(300-len(first)) {
		t.Errorf("got %d not forwarded; want %d", n, 300-len(first))
	}
}

// TestRelayMemoryIsBounded: what was told is forgotten before that it was scored.
func TestRelayMemoryIsBounded(t *testing.T) {
	m := newRelayMemory()
	for key := range uint64(3 * relayKnownMax) {
		told, first := m.enter(key)
		if !first {
			t.Fatalf("push %d: got it known", key)
		}
		told.marks = []relayMark{{anomalous: true, verdict: engine.Verdict{Explanation: strings.Repeat("x", 1000)}}}
		close(told.ready)
		m.settle(key, told, key%2 == 0)
	}
	if m.bytes > toldBytesMax || len(m.known) > 2*relayKnownMax || m.waiting.Len() > relayKnownMax || m.done.Len() > relayKnownMax {
		t.Errorf("got %d bytes, %d pushes, %d waiting, %d done", m.bytes, len(m.known), m.waiting.Len(), m.done.Len())
	}
	newest := uint64(3*relayKnownMax - 1)
	if told, first := m.enter(newest); first || told.untagged || len(told.marks) != 1 {
		t.Errorf("the newest push that waits: got first %v, untagged %v; want it known whole", first, told.untagged)
	}
	if told, first := m.enter(newest - 1 - 2*1000 - relayKnownMax); first || !told.untagged {
		t.Errorf("an older one: got first %v; want it known as scored only", first)
	}
}

// TestModelNames: streams are told apart by what writes them, not by where it runs.
func TestModelNames(t *testing.T) {
	for labels, want := range map[string]string{
		`{namespace="shop", container="web", pod="web-7f", stream="stderr"}`:          "shop/web",
		`{k8s_namespace_name="shop", k8s_container_name="web", k8s_pod_name="web-1"}`: "shop/web",
		`{namespace="shop", app="web", pod="web-7f"}`:                                 "shop/web",
		`{service_name="checkout", service_instance_id="a1"}`:                         "checkout",
		`{job="varlogs", filename="/var/log/syslog", host="n1"}`:                      "varlogs /var/log/syslog",
		`{job="fluent-bit"}`:     "fluent-bit",
		`{host="n1", zone="eu"}`: `{host="n1", zone="eu"}`,
		`{`:                      `{`,
		`{app=""}`:               `{app=""}`,
	} {
		if got := newRelaySet(relaySetKey{labels: labels}, nil).model; got != want {
			t.Errorf("%s: got %s; want %s", labels, got, want)
		}
	}
	if got := newRelaySet(relaySetKey{tenant: "t", labels: `{app="a", team="x"}`}, Path{"team"}).model; got != "[t] x" {
		t.Errorf("got %s; want [t] x", got)
	}
	if got := newRelaySet(relaySetKey{labels: `{app="[t] x"}`}, nil).model; got == "[t] x" {
		t.Error("a label can pass for another tenant")
	}
	if got := newRelaySet(relaySetKey{labels: `{app="` + strings.Repeat("x", 1000) + `"}`}, nil).model; len(got) > streamKeyMax+3 {
		t.Errorf("got a name of %d bytes", len(got))
	}
}

// TestRelayMarksWithinLokisLimits: an entry that has all the metadata that Loki takes gets no more.
func TestRelayMarksWithinLokisLimits(t *testing.T) {
	e := relayWriter{}
	var p loki.RawPush
	var full []loki.Label
	for i := range relayPairsMax - 1 {
		full = append(full, loki.Label{Name: fmt.Sprintf("n%d", i), Value: "v"})
	}
	p.Stream("{}").Append(1, []byte("x"), full)
	p.Stream("{}").Append(1, []byte("x"), []loki.Label{{Name: "n", Value: strings.Repeat("v", relayMetaBytesMax-20)}})
	var d loki.Decoded
	if err := d.Read(p.AppendTo(nil)); err != nil {
		t.Fatal(err)
	}
	more := []loki.Label{{Name: "a", Value: "1"}, {Name: "b", Value: "2\xff"}, {Name: "c", Value: strings.Repeat("3", 30)}}
	if got := e.fitting(slices.Clone(more), &d.Entries[0]); len(got) != 1 {
		t.Errorf("got %d pairs more; want 1", len(got))
	}
	if got := e.fitting(slices.Clone(more), &d.Entries[1]); len(got) > 2 || len(got) > 1 && got[1].Value != "2?" {
		t.Errorf("got %v; want at most two, valid", got)
	}
}
