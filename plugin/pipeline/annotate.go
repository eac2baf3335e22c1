package pipeline

import (
	"fmt"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/logscope/logscope/engine"
	"github.com/logscope/logscope/loki"
)

// Labels and structured metadata that an anomaly gets. The labels' values are
// closed sets, so that Loki's streams stay few.
const (
	labelAnomaly = "anomaly"
	labelReason  = "reason"
	labelBucket  = "score_bucket"
	labelSource  = "source" // source="logscope": an entry with no log line behind it
	labelEvent   = "event"

	metaScore       = "logscope_score"
	metaTemplateID  = "logscope_template_id"
	metaTemplate    = "logscope_template"
	metaExplanation = "logscope_explanation"
	metaExpected    = "logscope_expected"
	metaObserved    = "logscope_observed"
	metaSession     = "logscope_session"
	metaConfidence  = "logscope_confidence"
	metaVariable    = "logscope_variable"
	metaCount       = "logscope_count"
	metaFirst       = "logscope_first"
	metaLast        = "logscope_last"
	metaStream      = "logscope_stream"
	metaWeight      = "logscope_weight"

	// ownLabelsMax is how many labels logscope adds at most: three for an anomaly, two more for an event.
	ownLabelsMax = 5

	// metaTextMax bounds one text in structured metadata. Loki refuses an entry with more than 64 KB of it in all.
	metaTextMax = 1024
)

// variant names a label set made from another one for anomalies.
type variant struct {
	set    *labelSet
	reason engine.Reason
	bucket uint8 // tenths of the score, 0..9
	event  uint8 // 0: a record; else 1 + engine.EventKind
}

// bucketOf is the score in tenths, rounded down; 1.0 counts as 0.9.
func bucketOf(score float64) uint8 {
	return uint8(min(max(int(score*10+1e-9), 0), 9))
}

// annotated returns set with the anomaly's labels added, from the cache where it can.
func (s *shaper) annotated(w *work, v variant) *labelSet {
	if known, ok := w.cache.variants[v]; ok {
		return known
	}
	own := []loki.Label{
		{Name: labelAnomaly, Value: "true"},
		{Name: labelReason, Value: v.reason.String()},
		{Name: labelBucket, Value: fmt.Sprintf("0.%d", v.bucket)},
	}
	if v.event > 0 {
		own = append(own, loki.Label{Name: labelSource, Value: "logscope"},
			loki.Label{Name: labelEvent, Value: engine.EventKind(v.event - 1).String()})
	}
	made := &labelSet{tenant: v.set.tenant, more: v.set.more}
	for _, l := range v.set.base {
		if !slices.ContainsFunc(own, func(o loki.Label) bool { return o.Name == l.Name }) {
			made.base = append(made.base, l)
		}
	}
	made.cap(s.limits.Count - len(own))
	made.base = append(made.base, own...)
	made.text = string(s.limits.Append(nil, made.base))
	w.cache.makeRoom(s.cfg.LabelSetsMax)
	w.cache.variants[v] = made
	w.cache.bytes += labelSetBytes + 2*len(made.text)
	return made
}

// encode appends the block's entries, and those of its events, to the batch.
func (p *Pipeline) encode(w *work, batch *loki.Batch) {
	w.passed = 0
	for i := range w.items {
		it := &w.items[i]
		var v *engine.Verdict
		if i < len(w.verdicts) {
			v = &w.verdicts[i]
		}
		weight, ok := p.forwards(w, i, v)
		if !ok {
			w.notForwarded++
			continue
		}
		p.encodeRecord(w, batch, it, v, weight)
	}
	p.encodeEvents(w, batch)
}

// encodeEvents appends the entries of the block's events to the batch.
func (p *Pipeline) encodeEvents(w *work, batch *loki.Batch) {
	for i := range w.events {
		p.encodeEvent(w, batch, &w.events[i], w.eventLabels[i])
	}
}

func (p *Pipeline) encodeRecord(w *work, batch *loki.Batch, it *item, v *engine.Verdict, weight int) {
	line := it.line
	if line == nil {
		var alias []byte
		w.line, alias = p.shaper.appendLine(w.line[:0], it)
		if line = w.line; alias != nil {
			line = alias
		}
	}
	set := it.labels
	meta := p.shaper.appendMeta(w, &it.rec)
	anomalous := v != nil && v.Anomaly && !w.untagged
	if anomalous && p.cfg.Annotate == AnnotateLine {
		w.line = appendToLine(append(w.line[:0], line...), v)
		line = w.line
	}
	if anomalous && p.cfg.Annotate == AnnotateLabels {
		set = p.shaper.annotated(w, variant{set: set, reason: v.Reason, bucket: bucketOf(v.Score)})
		meta = appendVerdict(meta, v)
	}
	meta = append(meta, set.more...)
	if weight > 1 {
		meta = append(meta, loki.Label{Name: metaWeight, Value: strconv.Itoa(weight)})
	}
	l := &w.cache.last
	if l.set != set {
		l.set, l.target = set, batch.Stream(set.tenant, set.text)
	}
	l.target.Append(it.rec.Time, line, meta)
	w.meta = meta
}

// encodeEvent writes a finding that has no line of its own. Its line is the explanation.
func (p *Pipeline) encodeEvent(w *work, batch *loki.Batch, e *engine.Event, set *labelSet) {
	if p.cfg.Annotate == AnnotateOff {
		return
	}
	if set == nil {
		set = p.shaper.unlabelled
	}
	kind := variant{set: set, reason: e.Reason, bucket: bucketOf(e.Score), event: 1 + uint8(e.Kind)}
	made := p.shaper.annotated(w, kind)
	meta := appendVerdict(w.meta[:0], &e.Verdict)
	if e.Stream != "" { // a finding about the fleet is of none
		meta = append(meta, loki.Label{Name: metaStream, Value: capText(e.Stream)})
	}
	meta = append(meta, made.more...)
	if p.cfg.Annotate == AnnotateLine {
		w.line = appendToLine(append(w.line[:0], e.Explanation...), &e.Verdict)
	} else {
		w.line = append(w.line[:0], e.Explanation...)
	}
	at := e.Time
	if at == 0 && len(w.items) > 0 {
		at = w.items[len(w.items)-1].rec.Time
	}
	batch.Stream(made.tenant, made.text).Append(at, w.line, meta)
	w.meta = meta
}

// appendVerdict appends what is known of an anomaly; empty texts are left out.
func appendVerdict(dst []loki.Label, v *engine.Verdict) []loki.Label {
	dst = append(dst,
		loki.Label{Name: metaScore, Value: strconv.FormatFloat(v.Score, 'f', 2, 64)},
		loki.Label{Name: metaTemplateID, Value: templateID(v.TemplateID)})
	for _, l := range [...]loki.Label{
		{Name: metaTemplate, Value: v.Template},
		{Name: metaExplanation, Value: v.Explanation},
		{Name: metaExpected, Value: v.Expected},
		{Name: metaObserved, Value: v.Observed},
		{Name: metaSession, Value: v.Session},
	} {
		if l.Value != "" {
			l.Value = capText(l.Value)
			dst = append(dst, l)
		}
	}
	if v.Confidence > 0 {
		dst = append(dst, loki.Label{Name: metaConfidence, Value: strconv.FormatFloat(v.Confidence, 'f', 2, 64)})
	}
	return appendAbout(dst, v.About)
}

// appendAbout appends which variable a finding is about, and how often it came, if it came before.
func appendAbout(dst []loki.Label, a *engine.About) []loki.Label {
	if a == nil {
		return dst
	}
	if a.Slot > 0 {
		dst = append(dst, loki.Label{Name: metaVariable, Value: strconv.Itoa(a.Slot)})
	}
	if a.Count > 1 {
		dst = append(dst,
			loki.Label{Name: metaCount, Value: strconv.FormatUint(a.Count, 10)},
			loki.Label{Name: metaFirst, Value: time.Unix(0, a.First).UTC().Format(time.RFC3339)},
			loki.Label{Name: metaLast, Value: time.Unix(0, a.Last).UTC().Format(time.RFC3339)})
	}
	return dst
}

// templateID writes an id as everywhere: 16 hexadecimal digits.
func templateID(id uint64) string {
	return fmt.Sprintf("%016x", id)
}

// capText cuts s to metaTextMax bytes at a rune's boundary and says so.
func capText(s string) string {
	if len(s) <= metaTextMax {
		return s
	}
	cut := metaTextMax - len("…")
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// appendToLine adds the verdict to the line itself: into a JSON object, else as key=value pairs behind it.
func appendToLine(line []byte, v *engine.Verdict) []byte {
	pairs := appendVerdict([]loki.Label{
		{Name: "logscope_anomaly", Value: "true"},
		{Name: "logscope_reason", Value: v.Reason.String()},
	}, v)
	if n := len(line); n >= 2 && line[0] == '{' && line[n-1] == '}' {
		line = line[:n-1]
		for i, l := range pairs {
			if i > 0 || n > 2 {
				line = append(line, ',')
			}
			line = appendJSONString(line, l.Name)
			line = append(line, ':')
			line = appendJSONString(line, l.Value)
		}
		return append(line, '}')
	}
	for _, l := range pairs {
		line = append(line, ' ')
		line = append(line, l.Name...)
		line = append(line, '=')
		at := len(line)
		line = append(line, l.Value...)
		line = quoteFrom(line, at)
	}
	return line
}
