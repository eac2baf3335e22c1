package pipeline

import (
	"encoding/hex"
	"encoding/json"
	"strconv"

	"github.com/logscope/logscope/engine"
	"github.com/logscope/logscope/loki"
	"github.com/logscope/logscope/plugin/chunk"
)

// metaPairsMax bounds the structured metadata of one entry; Loki's own default limit is 128 pairs.
// What logscope adds itself (at most 14) must fit besides.
const metaPairsMax = 110

// appendMeta collects a record's structured metadata in w.meta: the configured
// pairs and maps, and what OpenTelemetry says of the record, its scope and its
// resource. The values are views into the chunk or w.arena, valid until the block ends.
func (s *shaper) appendMeta(w *work, rec *chunk.Record) []loki.Label {
	meta := w.meta[:0]
	for i := range s.cfg.Shape.Metadata {
		src := &s.cfg.Shape.Metadata[i]
		if src.Path == nil {
			meta = append(meta, loki.Label{Name: src.Name, Value: src.Literal})
		} else if v, ok := rec.Body.Lookup(src.Path); ok {
			meta = w.appendPair(meta, src.Name, v)
		}
	}
	for _, path := range s.cfg.Shape.MetadataMaps {
		if m, ok := rec.Body.Lookup(path); ok {
			meta = w.appendPairs(meta, m)
		}
	}
	if rec.Group != nil {
		meta = w.appendGroup(meta, rec.Group)
	}
	if rec.Metadata.Kind() == chunk.Map {
		if otlp, ok := rec.Metadata.Get("otlp"); ok {
			meta = w.appendOTLP(meta, otlp)
		}
	}
	w.meta = meta
	return meta
}

// appendPair appends name and v's text, unless v is nothing or the entry is full.
func (w *work) appendPair(meta []loki.Label, name string, v chunk.Value) []loki.Label {
	if v.Kind() == chunk.Nil || len(meta) >= metaPairsMax {
		return meta
	}
	if v.Kind() == chunk.Str {
		if b := v.Bytes(); len(b) > 0 {
			meta = append(meta, loki.Label{Name: name, Value: view(b)})
		}
		return meta
	}
	at := len(w.arena)
	w.arena = v.AppendText(w.arena)
	return append(meta, loki.Label{Name: name, Value: view(w.arena[at:])})
}

// appendPairs appends all pairs of a map; keys become names.
func (w *work) appendPairs(meta []loki.Label, m chunk.Value) []loki.Label {
	if m.Kind() != chunk.Map {
		return meta
	}
	for it := m.Pairs(); it.Next(); {
		if it.Key.Kind() == chunk.Str {
			meta = w.appendPair(meta, view(it.Key.Bytes()), it.Value)
		}
	}
	return meta
}

// appendGroup appends the attributes of the resource and the scope, named as Loki's own OTLP endpoint names them.
func (w *work) appendGroup(meta []loki.Label, g *chunk.Group) []loki.Label {
	if g.Body.Kind() != chunk.Map {
		return meta
	}
	if attrs, ok := g.Body.Lookup(resourceAttributes); ok {
		meta = w.appendPairs(meta, attrs)
	}
	scope, ok := g.Body.Get("scope")
	if !ok || scope.Kind() != chunk.Map {
		return meta
	}
	for it := scope.Pairs(); it.Next(); {
		switch view(it.Key.Bytes()) {
		case "name":
			meta = w.appendPair(meta, "scope_name", it.Value)
		case "version":
			meta = w.appendPair(meta, "scope_version", it.Value)
		case "attributes":
			meta = w.appendPairs(meta, it.Value)
		}
	}
	return meta
}

var resourceAttributes = Path{"resource", "attributes"}

// appendOTLP appends a log record's own OpenTelemetry fields.
func (w *work) appendOTLP(meta []loki.Label, otlp chunk.Value) []loki.Label {
	if otlp.Kind() != chunk.Map {
		return meta
	}
	for it := otlp.Pairs(); it.Next(); {
		switch name := view(it.Key.Bytes()); name {
		case "attributes":
			meta = w.appendPairs(meta, it.Value)
		case "trace_id", "span_id":
			meta = w.appendID(meta, name, it.Value)
		case "severity_text", "severity_number", "observed_timestamp", "trace_flags", "event_name":
			meta = w.appendPair(meta, name, it.Value)
		}
	}
	return meta
}

// appendID appends a trace or span id, in hexadecimal where it comes as bytes.
func (w *work) appendID(meta []loki.Label, name string, v chunk.Value) []loki.Label {
	b := v.Bytes()
	binary := name == "trace_id" && len(b) == 16 || name == "span_id" && len(b) == 8
	if !binary || len(meta) >= metaPairsMax {
		return w.appendPair(meta, name, v)
	}
	at := len(w.arena)
	w.arena = hex.AppendEncode(w.arena, b)
	return append(meta, loki.Label{Name: name, Value: view(w.arena[at:])})
}

// appendJSONString writes s as a JSON string.
func appendJSONString(dst []byte, s string) []byte {
	quoted, err := json.Marshal(s)
	if err != nil { // a string always marshals
		return strconv.AppendQuote(dst, s)
	}
	return append(dst, quoted...)
}

// sampleTemplatesMax bounds the templates counted for forward=sampled, per flush worker: 24 bytes each.
const sampleTemplatesMax = 1 << 16

// forwards says whether the i-th record of the block is shipped, and for how many it stands.
func (p *Pipeline) forwards(w *work, i int, v *engine.Verdict) (weight int, ok bool) {
	if p.cfg.Forward == ForwardAll || v == nil || v.Anomaly {
		return 1, true
	}
	if p.cfg.Forward == ForwardAnomalies {
		return 0, false
	}
	if w.before != nil { // the same ones as then
		if w.passed == len(w.sampled) || w.sampled[w.passed].index != int32(i) {
			return 0, false
		}
		w.passed++
		return int(w.sampled[w.passed-1].weight), true
	}
	if weight = p.sample(w, v.TemplateID); weight == 0 {
		return 0, false
	}
	w.sampled = append(w.sampled, sampled{int32(i), int32(weight)})
	return weight, true
}

// sample counts a normal record of a template and says for how many it stands; 0: it is left out.
func (p *Pipeline) sample(w *work, template uint64) (weight int) {
	if len(w.cache.sampled) >= sampleTemplatesMax {
		clear(w.cache.sampled)
	}
	n := w.cache.sampled[template]
	w.cache.sampled[template] = n + 1
	switch {
	case n == 0:
		return 1
	case n%uint32(p.cfg.SampleEvery) == 0:
		return p.cfg.SampleEvery
	}
	return 0
}
