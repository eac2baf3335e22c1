package pipeline

import (
	"errors"

	"github.com/logscope/logscope/engine"
)

// Seen is one scored block of records, as an Observer is shown it. Its slices, and the bytes of the
// lines, are valid during the call only.
type Seen struct {
	// Records and Verdicts belong together, one by one.
	Records  []engine.Record
	Verdicts []engine.Verdict
	Events   []engine.Event
}

// Observer is shown what is scored, each record once however often its chunk comes. The flush waits
// for it, so it must neither block nor fail; flushes call it at the same time.
type Observer interface {
	Observe(s Seen)
}

// observe shows the block at hand, which was just scored, to the Observer. A fault there costs no record.
func (p *Pipeline) observe(w *work) {
	if p.cfg.Observer == nil {
		return
	}
	p.guarded("showing what is scored", func() {
		p.cfg.Observer.Observe(Seen{Records: w.recs, Verdicts: w.verdicts, Events: w.events})
	})
}

// Why a single line cannot be judged.
var (
	ErrNoScoring = errors.New("nothing is scored here: the option score is off")
	ErrNoModel   = errors.New("nothing was learned of this stream yet")
)

// Judge says what the model of a stream would make of a line now, and learns nothing from it. It waits
// for a block that is being scored.
func (p *Pipeline) Judge(stream string, line []byte) (engine.Verdict, error) {
	if !p.cfg.Score {
		return engine.Verdict{}, ErrNoScoring
	}
	w := &work{recs: []engine.Record{{Stream: stream, Line: line}}}
	if _, err := p.scoreBlock(w, true, nil); err != nil {
		p.count(func(c *Counts) { c.Panics++ })
		return engine.Verdict{}, err
	}
	v := w.verdicts[0]
	if v.Template == "" && v.Score == 0 && v.Reason == engine.ReasonNone {
		return v, ErrNoModel
	}
	return v, nil
}
