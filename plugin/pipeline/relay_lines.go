package pipeline

import (
	"errors"
	"fmt"
	"io"

	"github.com/logscope/logscope/loki"
)

// LineShaper makes entries of records as the plugin does: labels, line and
// structured metadata as the options say. It is safe for use by several goroutines.
type LineShaper struct {
	cfg    Config
	shaper *shaper
	free   chan *work
}

// shapersKept bounds the idle workers of a LineShaper, each with its cache of label sets.
const shapersKept = 4

// NewLineShaper returns a LineShaper for cfg, of which only Shape, Loki and LabelSetsMax matter.
func NewLineShaper(cfg *Config) *LineShaper {
	s := &LineShaper{cfg: *cfg, free: make(chan *work, shapersKept)}
	s.cfg.Score, s.cfg.ModelKey = false, nil // the model is named after the labels
	s.shaper = newShaper(&s.cfg)
	return s
}

// Push makes a push, as protobuf, of the records of a chunk. Tenants in records are not looked at.
func (s *LineShaper) Push(data []byte) ([]byte, error) {
	var w *work
	select {
	case w = <-s.free:
	default:
		w = &work{cache: newCache()}
	}
	raw, err := s.push(w, data)
	w.reader.Reset(nil)
	w.release()
	select {
	case s.free <- w:
	default:
	}
	return raw, err
}

func (s *LineShaper) push(w *work, data []byte) ([]byte, error) {
	w.begin(data)
	var push loki.RawPush
	for {
		w.items = append(w.items[:0], item{})
		it := &w.items[0]
		if err := w.reader.Next(&it.rec); errors.Is(err, io.EOF) {
			return push.AppendTo(nil), nil
		} else if err != nil {
			return nil, fmt.Errorf("cannot read a record: %w", err)
		}
		w.arena = w.arena[:0]
		s.shaper.fill(w, it, "")
		s.append(w, it, &push)
	}
}

func (s *LineShaper) append(w *work, it *item, push *loki.RawPush) {
	line, alias := s.shaper.appendLine(w.line[:0], it)
	w.line = line
	if alias != nil {
		line = alias
	}
	meta := append(s.shaper.appendMeta(w, &it.rec), it.labels.more...)
	for i := range meta {
		meta[i].Name = loki.MendLabelName(meta[i].Name)
	}
	push.Stream(it.labels.text).Append(it.rec.Time, line, meta)
	w.meta = meta
}
