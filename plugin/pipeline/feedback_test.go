package pipeline

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logscope/logscope/engine"
	"github.com/logscope/logscope/test/sink"
)

// fault is a line that a trained pipeline flags as new.
const fault = "ERROR disk sdb1 is broken"

// trained returns a pipeline that has seen enough to flag a new line in the streams app and app2.
func trained(t *testing.T, s *sink.Sink, change func(*Config)) (*Pipeline, *logBuffer) {
	t.Helper()
	p, log := start(t, s, change)
	for _, tag := range []string{"app", "app2"} {
		if got := p.Flush(tag, lines(t, normal(3000)...)); got != OK {
			t.Fatalf("got %v; want OK", got)
		}
	}
	return p, log
}

// flagged flushes one line and returns how many anomalies that made.
func flagOf(t *testing.T, p *Pipeline, tag, line string) uint64 {
	t.Helper()
	before := total(p)
	if got := p.Flush(tag, lines(t, line)); got != OK {
		t.Fatalf("got %v; want OK", got)
	}
	return total(p) - before
}

func total(p *Pipeline) (n uint64) {
	counts := p.Stats().Counts
	for _, k := range counts.Anomalies {
		n += k
	}
	return n
}

// TestFeedbackOutlivesTheRunningPlugin: what is said while the plugin runs is
// taken up by its next flush, and neither its exit nor a lost state takes it along.
func TestFeedbackOutlivesTheRunningPlugin(t *testing.T) {
	s := sink.New(t)
	path := filepath.Join(t.TempDir(), "state")
	withState := func(c *Config) { c.StateFile = path }
	first, log := trained(t, s, withState)
	if flagOf(t, first, "app", fault) != 1 {
		t.Fatal("the fault is not found to begin with")
	}
	said := first.Told()
	if len(said) != 1 {
		t.Fatalf("got %+v; want one finding", said)
	}
	word := engine.Feedback{TemplateID: said[0].TemplateID, Reason: engine.ReasonNovelty, Opinion: engine.Normal, At: 1}
	if err := AddFeedback(path, []engine.Feedback{word}); err != nil {
		t.Fatal(err)
	}
	first.listed.looked = first.listed.looked.Add(-lookEvery)
	if n := flagOf(t, first, "app2", fault); n != 0 || !strings.Contains(log.String(), "took up 1 words") {
		t.Errorf("got %d anomalies, log %s; want the word taken up by the next flush", n, log)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"restart", "lost state"} {
		if what == "lost state" {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
		next, _ := trained(t, s, withState)
		if diff := cmp.Diff([]engine.Feedback{word}, next.Feedback()); diff != "" {
			t.Errorf("%s: the word is not there any more:\n%s", what, diff)
		}
		if n := flagOf(t, next, what, fault); n != 0 {
			t.Errorf("%s: got %d anomalies; want it quiet", what, n)
		}
		if err := next.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTeachIsKept: what the running pipeline is told reaches its file.
func TestTeachIsKept(t *testing.T) {
	s := sink.New(t)
	path := filepath.Join(t.TempDir(), "state")
	p, _ := trained(t, s, func(c *Config) { c.StateFile = path })
	flagOf(t, p, "app", fault)
	words, err := p.Teach(engine.Feedback{TemplateID: p.Told()[0].TemplateID, Opinion: engine.Anomalous})
	if err != nil || len(words) != 1 || words[0].At == 0 {
		t.Fatalf("got %+v, %v; want one word with its time", words, err)
	}
	kept, err := ReadFeedback(path)
	if diff := cmp.Diff(words, kept); diff != "" || err != nil {
		t.Errorf("got %v from the file:\n%s", err, diff)
	}
	if n := flagOf(t, p, "app", fault); n != 1 {
		t.Errorf("got %d anomalies; want what was called anomalous told again", n)
	}
}

func TestDamagedFeedbackIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	word := engine.Feedback{TemplateID: 7, Reason: engine.ReasonFrequency, Opinion: engine.Normal, At: 1, Level: 40, Value: "\u00fc \"x\""}
	if err := AddFeedback(path, []engine.Feedback{word}); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(FeedbackFile(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{
		"{", "null x", `{"template_id":"7"}`, `{"template_id":"0000000000000007","opinion":"maybe"}`,
		`{"template_id":"0000000000000007","opinion":"normal","reason":"mood"}`, `{"template_id":"0000000000000007","opinion":"normal","slot":1}`,
		`{"template_id":"0000000000000007","opinion":"normal","level":-1}`,
	} {
		if err := os.WriteFile(FeedbackFile(path), append(good[:len(good):len(good)], bad...), 0o600); err != nil {
			t.Fatal(err)
		}
		words, err := ReadFeedback(path)
		if err == nil || !strings.Contains(err.Error(), "line 2") || len(words) != 1 {
			t.Errorf("%s: got %v, %v; want the first word and an error that names line 2", bad, words, err)
		}
		if err := AddFeedback(path, []engine.Feedback{word}); err == nil || !strings.Contains(err.Error(), "nothing was changed") {
			t.Errorf("%s: got %v; want the file left alone", bad, err)
		}
	}
}

// FuzzFeedback: what is read is written so that it reads back the same.
func FuzzFeedback(f *testing.F) {
	f.Add([]byte(`{"at":"2026-03-01T12:00:00Z","opinion":"normal","template_id":"0000000000000007","reason":"frequency","level":40,"value":"x"}` + "\n\n{"))
	f.Fuzz(func(t *testing.T, data []byte) {
		words, _ := parseFeedback("f", data)
		out, err := formatFeedback(words)
		if err != nil {
			t.Skip() // a year beyond 9999
		}
		again, err := parseFeedback("f", out)
		if err != nil {
			t.Fatalf("cannot read what was written: %v\n%s", err, out)
		}
		if diff := cmp.Diff(words, again); diff != "" {
			t.Fatalf("reads back otherwise:\n%s", diff)
		}
	})
}

// TestMuteFile is read, read again when it changes, and survives a bad edit.
func TestMuteFile(t *testing.T) {
	s := sink.New(t)
	path := filepath.Join(t.TempDir(), "mutes.yaml")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("mutes:\n  - template: disk <*> is broken\n    until: 2020-01-01\n    comment: long ago\n")
	p, log := trained(t, s, func(c *Config) { c.MuteFile = path })
	if !strings.Contains(log.String(), "1 entries have expired") || !strings.Contains(log.String(), "line 2 (until 2020-01-01, long ago)") {
		t.Errorf("got %s; want the expired entry told", log)
	}
	if n := flagOf(t, p, "app", fault); n != 1 {
		t.Errorf("got %d anomalies; want an expired entry not applied", n)
	}
	look := func() { p.listed.looked = p.listed.looked.Add(-lookEvery) }
	write("mutes:\n  - template: disk <*> is broken\n    stream: app*\n    until: 2999-12-31\n")
	look()
	if n := flagOf(t, p, "app2", fault); n != 0 || p.Stats().Mutes != 1 || p.Stats().Engine.Muted[engine.ReasonNovelty] != 1 {
		t.Errorf("got %d anomalies, %d mutes, %d muted; want it muted and counted", n, p.Stats().Mutes, p.Stats().Engine.Muted)
	}
	write("mutes:\n  - template: x\n    untill: 2999-12-31\n")
	look()
	p.Flush("app", lines(t, normal(1)...))
	look()
	p.Flush("app", lines(t, normal(1)...))
	if n := strings.Count(log.String(), "level=ERROR"); n != 1 || !strings.Contains(log.String(), "line 3: unknown key") || p.Stats().Mutes != 1 {
		t.Errorf("got %d errors, %d mutes, log %s; want the fault told once and the list before it in force", n, p.Stats().Mutes, log)
	}
	if n := strings.Count(log.String(), "have expired"); n != 1 {
		t.Errorf("got %d messages about expiry; want 1", n)
	}
}

func TestMuteFileFaults(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"", ""},
		{"mutes:\n", ""},
		{"# nothing\n", ""},
		{"mutes:\n  - {namespace: shop, until: 2999-01-01T00:00:00+02:00, comment: x}\n", ""},
		{"mutes:\n  - {template_id: \"00000000000000ff\", reason: novelty, until: 2999-01-01}\n", ""},
		{"- template: x\n", "line 1: mutes: is expected"},
		{"mute:\n", `line 1: unknown key "mute"`},
		{"mutes: all\n", "line 1: a list of entries"},
		{"mutes:\n  - all\n", "line 2: an entry is expected"},
		{"mutes:\n  - template: x\n", "line 2: until is missing"},
		{"mutes:\n  - until: 2999-01-01\n", "line 2: the entry would mute everything"},
		{"mutes:\n  - until: soon\n    template: x\n", `line 2: until "soon"`},
		{"mutes:\n  - until: 2999-01-01\n    reason: mood\n", "line 3: reason \"mood\""},
		{"mutes:\n  - until: 2999-01-01\n    template_id: 12\n", "line 3: template_id"},
		{"mutes:\n  - until: 2999-01-01\n    stream: '*'\n", "line 3: stream"},
		{"mutes:\n  - until: 2999-01-01\n    namespace: a/b\n", "line 3: namespace"},
		{"mutes:\n  - until: 2999-01-01\n    namespace: a\n    stream: b\n", "both given"},
		{"mutes:\n  - until: 2999-01-01\n    template: [a]\n", "not a plain one"},
		{"mutes:\n  - until: 2999-01-01\n   template: x\n", "line 3"},
		{"mutes: []\n---\nmutes: []\n", "one document"},
	} {
		got, err := parseMutes("m.yaml", []byte(tc.text))
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: got %v, %v; want %q", tc.text, got, err, tc.want)
		}
	}
	var many strings.Builder
	many.WriteString("mutes:\n")
	for i := range mutesMax + 1 {
		fmt.Fprintf(&many, "  - {until: 2999-01-01, stream: s%d}\n", i)
	}
	if _, err := parseMutes("m.yaml", []byte(many.String())); err == nil || !strings.Contains(err.Error(), "at most 2000") {
		t.Errorf("got %v; want too many entries refused", err)
	}
}

// FuzzMutes: any bytes are read or refused.
func FuzzMutes(f *testing.F) {
	f.Add([]byte("mutes:\n  - template: a <*> b\n    until: 2999-12-31\n    comment: |\n      long\n"))
	f.Add([]byte("mutes:\n  - &a {until: 2999-12-31, reason: novelty}\n  - *a\n  - <<: *a\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		mutes, err := parseMutes("m.yaml", data)
		if err != nil {
			return
		}
		for _, m := range mutes {
			if m.Until.IsZero() || m.TemplateID == 0 && m.Stream == "" && m.Reason == engine.ReasonNone {
				t.Fatalf("got %+v; want an entry that ends and names something", m)
			}
		}
	})
}
