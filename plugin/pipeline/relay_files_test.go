package pipeline

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/logscope/logscope/engine"
	"github.com/logscope/logscope/test/sink"
)

// oneOfEach returns label sets whose models are in shards 0, 1, 2 and 3.
func oneOfEach(prefix string) (labels [relayShards]string) {
	for i, found := 0, 0; found < relayShards; i++ {
		name := fmt.Sprint(prefix, i)
		if shard := shardOf(name); labels[shard] == "" {
			labels[shard] = fmt.Sprintf(`{app="%s"}`, name)
			found++
		}
	}
	return labels
}

// lookAgain lets the next push look at the files.
func lookAgain(r *Relay) {
	for _, p := range r.shards {
		p.listed.looked = p.listed.looked.Add(-lookEvery)
	}
}

// raised sends a line to each stream and returns how many anomalies that made.
func raised(t *testing.T, r *Relay, labels [relayShards]string, at int, line string) uint64 {
	t.Helper()
	before := r.Stats().Engine.Anomalies
	for _, set := range labels {
		relayed(t, r, set, at, line)
	}
	return r.Stats().Engine.Anomalies - before
}

// TestRelayTakesUpFiles: what is muted or said while it runs holds in all shards with the next push.
func TestRelayTakesUpFiles(t *testing.T) {
	for _, what := range []string{"mute", "feedback"} {
		t.Run(what, func(t *testing.T) {
			s := sink.New(t)
			dir := t.TempDir()
			mutes, state := filepath.Join(dir, "mutes.yaml"), filepath.Join(dir, "state")
			if err := os.WriteFile(mutes, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			r, log := startRelay(t, s, func(c *Config) { c.MuteFile, c.StateFile = mutes, state })
			labels, others := oneOfEach("app"), oneOfEach("other")
			for i := range labels {
				relayed(t, r, labels[i], 0, normal(900)...)
				relayed(t, r, others[i], 0, normal(900)...)
			}
			if n := raised(t, r, labels, 900, fault); n != relayShards {
				t.Fatalf("got %d anomalies to begin with; want %d", n, relayShards)
			}
			told := "1 entries are in force"
			var err error
			if what == "mute" {
				err = os.WriteFile(mutes, []byte("mutes:\n  - template: disk <*> is broken\n    until: 2999-12-31\n  - stream: shop*\n    reason: novelty\n    until: 2999-12-31\n"), 0o600)
				told = "2 entries are in force"
			} else {
				var words []engine.Feedback
				for _, p := range r.shards {
					for _, f := range p.Told() {
						words = append(words, engine.Feedback{TemplateID: f.TemplateID, Reason: f.Reason, Opinion: engine.Normal, At: 1})
					}
				}
				err = AddFeedback(state, words)
				told = "of feedback from"
			}
			if err != nil {
				t.Fatal(err)
			}
			lookAgain(r)
			before := r.Stats().Engine.Muted
			if n := raised(t, r, others, 900, fault); n != 0 {
				t.Errorf("got %d anomalies; want all quiet", n)
			}
			if r.Stats().Engine.Muted == before || strings.Count(log.String(), told) != 1 {
				t.Errorf("got %d muted, log %s; want them counted and the file told once", r.Stats().Engine.Muted, log)
			}
			if what == "feedback" && r.Stats().Engine.Feedback != 1 {
				t.Errorf("got %d words; want the one, whatever the shards", r.Stats().Engine.Feedback)
			}
		})
	}
}

// TestRelayTeaches: a word about one shard's stream, and one about all, are kept in the one file.
func TestRelayTeaches(t *testing.T) {
	s := sink.New(t)
	state := filepath.Join(t.TempDir(), "state")
	r, _ := startRelay(t, s, func(c *Config) { c.StateFile = state })
	labels := oneOfEach("app")
	for _, set := range labels[2:] {
		relayed(t, r, set, 0, append(normal(900), fault)...)
	}
	id := r.shards[3].Told()[0].TemplateID
	if words, err := r.Teach(engine.Feedback{TemplateID: id, Opinion: engine.Normal}); err != nil || len(words) != 2 || words[0].At != words[1].At {
		t.Errorf("got %+v, %v; want a word of each shard that knows it", words, err)
	}
	if words, err := ReadFeedback(state); err != nil || len(words) != 1 {
		t.Errorf("got %+v, %v; want one word in the file", words, err)
	}
	lookAgain(r)
	if relayed(t, r, labels[0], 0, "x"); len(r.shards[0].Feedback()) != 1 {
		t.Error("a shard that does not know the template yet has no word on it")
	}
}

// TestStatsAddLeavesNothingOut: every number of engine.Stats depends on both shards.
func TestStatsAddLeavesNothingOut(t *testing.T) {
	fields := reflect.TypeFor[engine.Stats]()
	for i := range fields.NumField() {
		name := fields.Field(i).Name
		sum, other := engine.Stats{Models: 3}, engine.Stats{Models: 3}
		setNumber(t, name, reflect.ValueOf(&other).Elem().Field(i))
		without := engine.Stats{Models: 3}
		addEngine(&without, &engine.Stats{Models: 3})
		addEngine(&sum, &other)
		if reflect.DeepEqual(reflect.ValueOf(sum).Field(i).Interface(), reflect.ValueOf(without).Field(i).Interface()) {
			t.Errorf("%s is not added", name)
		}
	}
	a := engine.Stats{Models: 1, Confidence: 1}
	addEngine(&a, &engine.Stats{Models: 3, Confidence: 0.2})
	if a.Confidence < 0.399 || a.Confidence > 0.401 {
		t.Errorf("got confidence %v; want 0.4, by models", a.Confidence)
	}
}

// setNumber makes v, or its last element, 7.
func setNumber(t *testing.T, name string, v reflect.Value) {
	t.Helper()
	switch {
	case v.Kind() == reflect.Array:
		setNumber(t, name, v.Index(v.Len()-1))
	case v.CanInt():
		v.SetInt(7)
	case v.CanUint():
		v.SetUint(7)
	case v.CanFloat():
		v.SetFloat(7)
	default:
		t.Fatalf("%s is a %s: say here how it is added", name, v.Kind())
	}
}
