package pipeline

import (
	"strconv"
	"unicode/utf8"

	"github.com/logscope/logscope/plugin/chunk"
)

// appendLine makes the line to ship of a record: what is left after Remove, in
// the LineFormat, or a single key's value alone. Where that value stands in
// the chunk as it is, alias is it and dst is unchanged. The item has been scanned.
func (s *shaper) appendLine(dst []byte, it *item) (out, alias []byte) {
	body := it.rec.Body
	switch {
	case body.Kind() != chunk.Map:
		return body.AppendJSON(dst), nil
	case s.cfg.Shape.DropSingleKey != DropSingleKeyOff && it.kept == 1:
		return s.appendSingle(dst, it.single)
	case s.cfg.Shape.LineFormat == LineKeyValue:
		return s.appendKeyValue(dst, body), nil
	case s.remove == nil:
		return body.AppendJSON(dst), nil
	}
	return appendJSONWithout(dst, body, s.remove), nil
}

// removes says whether a record's own key is left out of the line.
func (s *shaper) removes(key []byte) bool {
	if s.remove == nil {
		return false
	}
	n := s.remove.child(key)
	return n != nil && n.leaf
}

func (s *shaper) appendSingle(dst []byte, v chunk.Value) (out, alias []byte) {
	raw := s.cfg.Shape.DropSingleKey == DropSingleKeyRaw || s.cfg.Shape.LineFormat == LineKeyValue
	if raw && v.Kind() == chunk.Str {
		return dst, v.Bytes()
	}
	return v.AppendJSON(dst), nil
}

// appendJSONWithout writes a map as JSON, leaving out what n names.
func appendJSONWithout(dst []byte, m chunk.Value, n *node) []byte {
	dst = append(dst, '{')
	first := true
	for it := m.Pairs(); it.Next(); {
		var next *node
		if it.Key.Kind() == chunk.Str {
			next = n.child(it.Key.Bytes())
		}
		if next != nil && next.leaf {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = appendJSONKey(dst, it.Key)
		dst = append(dst, ':')
		if next != nil && it.Value.Kind() == chunk.Map {
			dst = appendJSONWithout(dst, it.Value, next)
		} else {
			dst = it.Value.AppendJSON(dst)
		}
	}
	return append(dst, '}')
}

// appendJSONKey writes a map key: JSON knows only strings.
func appendJSONKey(dst []byte, key chunk.Value) []byte {
	if key.Kind() == chunk.Str {
		return key.AppendJSON(dst)
	}
	return strconv.AppendQuote(dst, string(key.AppendText(nil)))
}

// appendKeyValue writes a record as key=value pairs, quoted where logfmt needs it.
func (s *shaper) appendKeyValue(dst []byte, body chunk.Value) []byte {
	start := len(dst)
	for it := body.Pairs(); it.Next(); {
		if it.Key.Kind() == chunk.Str && s.removes(it.Key.Bytes()) {
			continue
		}
		if len(dst) > start {
			dst = append(dst, ' ')
		}
		dst = it.Key.AppendText(dst)
		dst = append(dst, '=')
		at := len(dst)
		dst = it.Value.AppendText(dst)
		dst = quoteFrom(dst, at)
	}
	return dst
}

// quoteFrom quotes dst[at:] in place of itself where it holds anything but plain text.
func quoteFrom(dst []byte, at int) []byte {
	plain := len(dst) > at
	for _, c := range dst[at:] {
		if c <= ' ' || c == '=' || c == '"' || c == '\\' || c >= utf8.RuneSelf || c == 0x7f {
			plain = false
			break
		}
	}
	if plain {
		return dst
	}
	text := string(dst[at:])
	return strconv.AppendQuote(dst[:at], text)
}
