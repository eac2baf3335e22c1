package view

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logscope/logscope/engine"
	"github.com/logscope/logscope/plugin/pipeline"
)

// known is a source that knows one stream and one template.
type known struct {
	stream   string
	template uint64
	err      error // of what it knows
	keeps    bool  // the words although there is an error
	words    []engine.Feedback
}

func (k *known) Judge(stream string, _ []byte) (engine.Verdict, error) {
	if stream != k.stream {
		return engine.Verdict{}, pipeline.ErrNoModel
	}
	return engine.Verdict{Template: k.stream}, k.err
}

func (k *known) Teach(word engine.Feedback) ([]engine.Feedback, error) {
	if word.TemplateID != k.template {
		return nil, fmt.Errorf("cannot teach: %w", engine.ErrUnknownTemplate)
	}
	if k.err != nil && !k.keeps {
		return nil, k.err
	}
	k.words = append(k.words, word)
	return k.words, k.err
}

func TestTheSourceThatKnowsTheStreamIsAsked(t *testing.T) {
	a, b := &known{stream: "a"}, &known{stream: "b", err: errors.New("broken")}
	ask := ScoreBy(func() []Source { return []Source{a, b} })
	if v, err := ask(t.Context(), "a", nil); err != nil || v.Template != "a" {
		t.Errorf("got %+v, %v; want the verdict of a", v, err)
	}
	if _, err := ask(t.Context(), "b", nil); err == nil || err.Error() != "broken" {
		t.Errorf("got %v; want the error of b", err)
	}
	if _, err := ask(t.Context(), "c", nil); !errors.Is(err, pipeline.ErrNoModel) {
		t.Errorf("got %v; want ErrNoModel", err)
	}
	if _, err := ScoreBy(func() []Source { return nil })(t.Context(), "a", nil); !errors.Is(err, pipeline.ErrNoModel) {
		t.Errorf("got %v; want ErrNoModel without sources", err)
	}
}

func TestTheSourcesThatKnowTheTemplateAreTaught(t *testing.T) {
	anomaly := &Anomaly{Stream: "api", Verdict: engine.Verdict{
		TemplateID: 7, Template: "x <*>", Reason: engine.ReasonParameter, About: &engine.About{Slot: 2, Value: "v", Level: 3, Count: 9},
	}}
	for _, test := range []struct {
		name    string
		sources []*known
		said    string
		refused bool
		err     string
	}{
		{"one of two knows it", []*known{{template: 1}, {template: 7}}, "stays quiet in api", false, ""},
		{"nobody knows it", []*known{{template: 1}}, "", true, "no model knows this template"},
		{"no sources", nil, "", true, "no model knows this template"},
		{"it is unclear", []*known{{template: 7, err: fmt.Errorf("cannot teach: %w", engine.ErrUnclear)}}, "", true, "not clear"},
		{"score is off", []*known{{template: 7, err: pipeline.ErrNoScoring}}, "", true, "score is off"},
		{"a fault", []*known{{template: 7, err: errors.New("fault")}}, "", false, "fault"},
		{"it cannot be written", []*known{{template: 7, err: errors.New("disk full"), keeps: true}}, "with the next start: disk full", false, ""},
	} {
		said, err := TeachBy(func() (all []Source) {
			for _, s := range test.sources {
				all = append(all, s)
			}
			return all
		})(t.Context(), anomaly)
		if !strings.Contains(said, test.said) || (said == "") != (test.said == "") {
			t.Errorf("%s: got %q; want %q", test.name, said, test.said)
		}
		if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) || errors.Is(err, ErrRefused) != test.refused {
			t.Errorf("%s: got %v; want %q, refused %v", test.name, err, test.err, test.refused)
		}
	}
	k := &known{template: 7}
	if _, err := TeachBy(func() []Source { return []Source{k} })(t.Context(), anomaly); err != nil || len(k.words) != 1 {
		t.Fatalf("got %v and %d words", err, len(k.words))
	}
	word := k.words[0]
	if age := time.Since(time.Unix(0, word.At)); age < 0 || age > time.Minute {
		t.Errorf("got a word given %v ago; want now", age)
	}
	word.At = 0
	want := engine.Feedback{Stream: "api", TemplateID: 7, Text: "x <*>", Reason: engine.ReasonParameter, Slot: 2, Value: "v", Level: 3, Opinion: engine.Normal}
	if diff := cmp.Diff(want, word); diff != "" {
		t.Errorf("the word (-want +got):\n%s", diff)
	}
}
