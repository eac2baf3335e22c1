package view

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/logscope/logscope/engine"
	"github.com/logscope/logscope/plugin/pipeline"
)

// Source judges lines and takes feedback. *pipeline.Pipeline is one.
type Source interface {
	Judge(stream string, line []byte) (engine.Verdict, error)
	// Teach returns the words as they were entered, also with an error that says why they will not last.
	Teach(word engine.Feedback) ([]engine.Feedback, error)
}

// ScoreBy is a Config.Score that asks sources, in their order, which one knows the stream.
func ScoreBy(sources func() []Source) func(context.Context, string, []byte) (engine.Verdict, error) {
	return func(_ context.Context, stream string, line []byte) (engine.Verdict, error) {
		err := error(pipeline.ErrNoModel)
		for _, s := range sources() {
			var v engine.Verdict
			if v, err = s.Judge(stream, line); !errors.Is(err, pipeline.ErrNoModel) {
				return v, err
			}
		}
		return engine.Verdict{}, err
	}
}

// TeachBy is a Config.Feedback that teaches the sources which know the anomaly's template.
func TeachBy(sources func() []Source) func(context.Context, *Anomaly) (string, error) {
	return func(_ context.Context, a *Anomaly) (string, error) {
		word := a.Normal(time.Now())
		said := fmt.Sprintf("Taken: this finding stays quiet in %s until it changes.", a.Stream)
		taught := false
		err := error(engine.ErrUnknownTemplate)
		for _, s := range sources() {
			words, why := s.Teach(word)
			taught = taught || len(words) > 0
			switch {
			case errors.Is(why, engine.ErrUnknownTemplate):
			case why != nil && len(words) > 0: // the engine has it, the file has not
				said += fmt.Sprintf(" It will be forgotten with the next start: %v.", why)
			case why != nil:
				err = why
			}
		}
		switch {
		case taught:
			return said, nil
		case errors.Is(err, engine.ErrUnknownTemplate), errors.Is(err, engine.ErrUnclear), errors.Is(err, engine.ErrFeedbackFull),
			errors.Is(err, pipeline.ErrNoScoring):
			return "", fmt.Errorf("%w: %w", ErrRefused, err)
		}
		return "", err
	}
}

// Normal is the word that this finding was normal, in its stream.
func (a *Anomaly) Normal(at time.Time) engine.Feedback {
	f := engine.Feedback{Stream: a.Stream, TemplateID: a.TemplateID, Text: a.Template, Reason: a.Reason, Opinion: engine.Normal, At: at.UnixNano()}
	if a.About != nil {
		f.Slot, f.Value, f.Level = a.About.Slot, a.About.Value, a.About.Level
	}
	return f
}
