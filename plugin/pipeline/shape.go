package pipeline

import (
	"encoding/binary"
	"slices"
	"strings"
	"unsafe"

	"github.com/logscope/logscope/loki"
	"github.com/logscope/logscope/plugin/chunk"
)

// shaper turns records into entries: which model, which labels, which line. It is immutable.
type shaper struct {
	cfg    *Config
	remove *node
	roots  []string // first keys of what decides a record's labels, tenant and model
	limits loki.LabelLimits
	// unlabelled is for an event whose stream's labels are not known any more.
	unlabelled *labelSet
}

// node is a tree of keys: the paths of Shape.Remove. Its children are few, so a list is faster than a map.
type node struct {
	key      string
	leaf     bool
	children []*node
}

// child returns the node below n with this key, or nil.
func (n *node) child(key []byte) *node {
	for _, c := range n.children {
		if c.key == string(key) {
			return c
		}
	}
	return nil
}

func newShaper(cfg *Config) *shaper {
	s := &shaper{cfg: cfg, roots: rootsOf(cfg), limits: cfg.Loki.LabelLimits(), unlabelled: &labelSet{tenant: cfg.Loki.TenantID}}
	for _, path := range cfg.Shape.Remove {
		if s.remove == nil {
			s.remove = &node{}
		}
		s.remove.add(path)
	}
	return s
}

func (n *node) add(path Path) {
	for _, key := range path {
		next := n.child([]byte(key))
		if next == nil {
			next = &node{key: key}
			n.children = append(n.children, next)
		}
		n = next
	}
	n.leaf = true
}

// fill finds out whose record it is and what is to be scored.
func (s *shaper) fill(w *work, it *item, tag string) {
	l := &w.cache.last
	if v, ok := it.rec.Body.Behind(l.begin); ok {
		it.kept, it.single, it.labels, it.stream = 1, v, l.labels, l.stream
		if l.message && v.Kind() == chunk.Str {
			it.message = v.Bytes()
			return
		}
	} else {
		if !s.scan(l, it) {
			l.labels = s.labelsOf(w, &it.rec)
			if s.cfg.Score {
				l.stream = s.stream(w, &it.rec, tag)
			}
		}
		s.alone(l, it)
		it.labels, it.stream = l.labels, l.stream
	}
	if s.cfg.Score {
		s.fillMessage(w, it)
	}
}

// beginMax bounds what is remembered of a record's beginning: a key's usual length, and more.
const beginMax = 256

// alone remembers the record's beginning if it has one key, which decides
// nothing: one that begins alike has the same labels and the same model.
func (s *shaper) alone(l *last, it *item) {
	l.begin = l.begin[:0]
	if it.rec.Body.Len() != 1 || it.kept != 1 {
		return
	}
	for _, raw := range l.now {
		if raw != nil {
			return
		}
	}
	raw := it.rec.Body.Raw()
	n := len(raw) - len(it.single.Raw())
	if n > beginMax {
		return
	}
	l.begin = append(l.begin, raw[:n]...)
	l.message = false
	for _, path := range s.cfg.MessageKeys {
		if len(path) == 1 && s.cfg.Score {
			_, ok := it.rec.Body.Get(path[0])
			l.message = l.message || ok
		}
	}
}

// fillMessage finds what is to be scored: a message key's value, else the whole line.
func (s *shaper) fillMessage(w *work, it *item) {
	for _, path := range s.cfg.MessageKeys {
		if v, ok := it.rec.Body.Lookup(path); ok && v.Kind() == chunk.Str {
			it.message = v.Bytes()
			return
		}
	}
	start := len(w.arena)
	var alias []byte
	w.arena, alias = s.appendLine(w.arena, it)
	if it.line = alias; alias == nil {
		it.line = w.arena[start:len(w.arena):len(w.arena)]
	}
	it.message = it.line
}

// stream is the key of the record's model: ModelKey, else Kubernetes namespace and container, else the tag.
func (s *shaper) stream(w *work, rec *chunk.Record, tag string) string {
	key := w.cache.key[:0]
	if s.cfg.ModelKey != nil {
		if v, ok := rec.Body.Lookup(s.cfg.ModelKey); ok {
			key = v.AppendText(key)
		}
	} else if k8s, ok := rec.Body.Get(kubernetesKey); ok && k8s.Kind() == chunk.Map {
		if ns, ok := k8s.Get("namespace_name"); ok {
			key = ns.AppendText(key)
			if c, ok := k8s.Get("container_name"); ok {
				key = append(key, '/')
				key = c.AppendText(key)
			}
		}
	}
	w.cache.key = key
	if len(key) == 0 {
		return tag
	}
	return w.cache.streamName(key)
}

// labelsOf returns the record's label set, from the cache where the same values came before.
func (s *shaper) labelsOf(w *work, rec *chunk.Record) *labelSet {
	key := w.cache.key[:0]
	for i := range s.cfg.Shape.Labels {
		key = appendKeyPart(key, rec.Body, s.cfg.Shape.Labels[i].Path)
	}
	for i := range s.cfg.Shape.LabelMap {
		key = appendKeyPart(key, rec.Body, s.cfg.Shape.LabelMap[i].Path)
	}
	if s.cfg.Shape.AutoKubernetesLabels {
		key = appendKeyPart(key, rec.Body, kubernetesLabels)
	}
	key = appendKeyPart(key, rec.Body, s.cfg.Shape.TenantID)
	w.cache.key = key
	if set, ok := w.cache.labels[string(key)]; ok {
		return set
	}
	w.cache.makeRoom(s.cfg.LabelSetsMax)
	set := s.buildLabels(rec.Body)
	w.cache.labels[string(key)] = set
	w.cache.bytes += labelSetBytes + 3*len(key)
	return set
}

// rootsOf lists the first keys of all paths that labels, tenant and model are read from.
func rootsOf(cfg *Config) []string {
	paths := []Path{cfg.Shape.TenantID, cfg.ModelKey}
	for _, sources := range [][]LabelSource{cfg.Shape.Labels, cfg.Shape.LabelMap} {
		for i := range sources {
			paths = append(paths, sources[i].Path)
		}
	}
	if cfg.Shape.AutoKubernetesLabels || cfg.Score && cfg.ModelKey == nil {
		paths = append(paths, Path{kubernetesKey})
	}
	var roots []string
	for _, path := range paths {
		if len(path) > 0 && !slices.Contains(roots, path[0]) {
			roots = append(roots, path[0])
		}
	}
	return roots
}

const kubernetesKey = "kubernetes"

var kubernetesLabels = Path{kubernetesKey, "labels"}

// appendKeyPart appends the encoded value at path, so that equal keys mean equal values.
func appendKeyPart(key []byte, body chunk.Value, path Path) []byte {
	if path == nil {
		return key
	}
	v, ok := body.Lookup(path)
	if !ok {
		return append(key, 0)
	}
	raw := v.Raw()
	key = binary.AppendUvarint(key, uint64(len(raw))+1)
	return append(key, raw...)
}

func (s *shaper) buildLabels(body chunk.Value) *labelSet {
	set := &labelSet{tenant: s.cfg.Loki.TenantID}
	for _, sources := range [][]LabelSource{s.cfg.Shape.Labels, s.cfg.Shape.LabelMap} {
		for i := range sources {
			if text := sourceText(&sources[i], body); text != "" {
				set.base = append(set.base, loki.Label{Name: sources[i].Name, Value: text})
			}
		}
	}
	if s.cfg.Shape.AutoKubernetesLabels {
		if labels, ok := body.Lookup(kubernetesLabels); ok && labels.Kind() == chunk.Map {
			set.base = appendMap(set.base, labels)
		}
	}
	if s.cfg.Shape.TenantID != nil {
		if v, ok := body.Lookup(s.cfg.Shape.TenantID); ok {
			if text := string(v.AppendText(nil)); text != "" {
				set.tenant = text
			}
		}
	}
	set.cap(s.limits.Count)
	for i := range set.base {
		// Longer values are cut anyway, but need not be held until then: invalid bytes may shrink first.
		if max := 4 * s.limits.ValueBytes; len(set.base[i].Value) > max {
			set.base[i].Value = strings.Clone(set.base[i].Value[:max])
		}
	}
	set.text = string(s.limits.Append(nil, set.base))
	return set
}

// cap moves what is beyond max labels to structured metadata, where Loki has room for it.
func (set *labelSet) cap(max int) {
	if len(set.base) > max {
		set.more = append(slices.Clone(set.base[max:]), set.more...)
		set.base = set.base[:max:max]
	}
}

func sourceText(src *LabelSource, body chunk.Value) string {
	if src.Path == nil {
		return src.Literal
	}
	v, ok := body.Lookup(src.Path)
	if !ok || v.Kind() == chunk.Nil {
		return ""
	}
	return string(v.AppendText(nil))
}

// appendMap appends a map's pairs as labels named by their keys.
func appendMap(dst []loki.Label, m chunk.Value) []loki.Label {
	for it := m.Pairs(); it.Next(); {
		if it.Key.Kind() == chunk.Str && it.Value.Kind() != chunk.Nil {
			dst = append(dst, loki.Label{Name: string(it.Key.Bytes()), Value: string(it.Value.AppendText(nil))})
		}
	}
	return dst
}

// view is b as a string that shares its memory: valid only while b's bytes do not change.
func view(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b))
}
