package pipeline

import (
	"strings"
	"unsafe"

	"github.com/logscope/logscope/engine"
	"github.com/logscope/logscope/loki"
)

// told is what the encoding of a chunk depends on beside its bytes: what scoring said of it, and how
// its batch began. With it a chunk whose pushes were evicted makes the same pushes again, byte for
// byte: the engine, which has learned the chunk, would say something else now. It is immutable.
type told struct {
	origin loki.Origin
	blocks []toldBlock
	// untagged says that nothing was known of the verdicts any more, see work.untagged.
	untagged bool
	size     int64
}

// toldBlock is one block of records.
type toldBlock struct {
	unscored    bool // scoring failed
	flagged     []flagged
	events      []engine.Event
	eventLabels []*labelSet
	sampled     []sampled
}

// flagged is an anomalous record, by its number in the block.
type flagged struct {
	index   int32
	verdict engine.Verdict
}

// sampled is a normal record that forward=sampled let pass, and for how many it stands.
type sampled struct {
	index, weight int32
}

// bytes is what it costs in memory, about; that of no told is 0.
func (t *told) bytes() int64 {
	if t == nil {
		return 0
	}
	return t.size
}

// add takes what the work at hand says of its block, which has been encoded.
func (t *told) add(w *work) {
	b := toldBlock{unscored: len(w.verdicts) == 0, sampled: append([]sampled(nil), w.sampled...)}
	t.size += int64(unsafe.Sizeof(b)) + int64(len(b.sampled))*int64(unsafe.Sizeof(sampled{}))
	for i := range w.verdicts {
		if v := &w.verdicts[i]; v.Anomaly {
			b.flagged = append(b.flagged, flagged{int32(i), t.own(*v)})
		}
	}
	for i := range w.events {
		e := w.events[i]
		e.Stream = strings.Clone(e.Stream)
		e.Verdict = t.own(e.Verdict)
		t.size += int64(unsafe.Sizeof(e)) + int64(len(e.Stream))
		b.events = append(b.events, e)
		b.eventLabels = append(b.eventLabels, w.eventLabels[i])
	}
	t.blocks = append(t.blocks, b)
}

// own is v with strings that live as long as it.
func (t *told) own(v engine.Verdict) engine.Verdict {
	for _, s := range [...]*string{&v.Template, &v.Explanation, &v.Expected, &v.Observed, &v.Session} {
		*s = strings.Clone(*s)
		t.size += int64(len(*s))
	}
	t.size += int64(unsafe.Sizeof(flagged{}))
	if v.About != nil { // nobody writes to it any more
		t.size += int64(unsafe.Sizeof(engine.About{})) + int64(len(v.About.Value))
	}
	return v
}

// recite fills w as scoring its block did.
func (b *toldBlock) recite(w *work) {
	w.sampled = append(w.sampled[:0], b.sampled...)
	if b.unscored {
		return
	}
	for range w.items {
		w.verdicts = append(w.verdicts, engine.Verdict{})
	}
	for i := range b.flagged {
		w.verdicts[b.flagged[i].index] = b.flagged[i].verdict
	}
	w.events = append(w.events, b.events...)
	w.eventLabels = append(w.eventLabels, b.eventLabels...)
}
