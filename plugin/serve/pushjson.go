package serve

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/logscope/logscope/loki"
	"github.com/logscope/logscope/plugin/pipeline"
	"github.com/logscope/logscope/plugin/serve/jsonscan"
)

// rawFromJSON writes a push in Loki's JSON format as protobuf:
//
//	{"streams": [{"stream": {"job": "app"}, "values": [["1700000000000000000", "line", {"trace_id": "1"}]]}]}
//
// It takes what Loki takes. What is stricter here than there goes to Loki unscored.
func rawFromJSON(body []byte) ([]byte, error) {
	top, err := jsonscan.Only(body)
	if err != nil {
		return nil, errors.New("the body is not JSON")
	}
	if jsonscan.KindOf(top) != jsonscan.Object {
		return nil, errors.New("the body is no JSON object")
	}
	var p jsonPush
	for m := jsonscan.PairsOf(top); m.Next(); {
		if !jsonscan.Is(m.Key, "streams") {
			continue
		}
		if jsonscan.KindOf(m.Val) != jsonscan.Array {
			return nil, errors.New(`"streams" is no array`)
		}
		for e := jsonscan.ElementsOf(m.Val); e.Next(); {
			if err := p.stream(e.Val); err != nil {
				return nil, err
			}
		}
	}
	return p.raw.AppendTo(nil), nil
}

// jsonPush is a push being read.
type jsonPush struct {
	raw    loki.RawPush
	labels []loki.Label
	meta   []loki.Label
	text   []byte
	line   []byte

	streams, entries int
}

// tooMany says that a push is larger than is scored.
func tooMany(what string, max int) error {
	return fmt.Errorf("%w: more than %d %s", loki.ErrTooMany, max, what)
}

func (p *jsonPush) stream(obj []byte) error {
	if jsonscan.KindOf(obj) != jsonscan.Object {
		return errors.New("a stream is no JSON object")
	}
	if p.streams++; p.streams > pipeline.RelayStreamsMax {
		return tooMany("streams", pipeline.RelayStreamsMax)
	}
	p.labels = p.labels[:0]
	var values []byte
	for m := jsonscan.PairsOf(obj); m.Next(); {
		var err error
		switch {
		case jsonscan.Is(m.Key, "stream"):
			p.labels, err = appendPairs(p.labels, m.Val, "stream")
		case jsonscan.Is(m.Key, "values") && jsonscan.KindOf(m.Val) != jsonscan.Null:
			if values = m.Val; jsonscan.KindOf(values) != jsonscan.Array {
				err = errors.New(`"values" is no array`)
			}
		}
		if err != nil {
			return err
		}
	}
	p.text = loki.AppendLabelSet(p.text[:0], p.labels)
	s := p.raw.Stream(string(p.text))
	for e := jsonscan.ElementsOf(values); len(values) > 0 && e.Next(); {
		if jsonscan.KindOf(e.Val) == jsonscan.Null {
			continue
		}
		if err := p.entry(s, e.Val); err != nil {
			return err
		}
	}
	return nil
}

// entry reads ["<nanoseconds>", "<line>", {structured metadata}].
func (p *jsonPush) entry(s *loki.RawStream, array []byte) error {
	if jsonscan.KindOf(array) != jsonscan.Array {
		return errors.New("an entry is no array")
	}
	if p.entries++; p.entries > pipeline.RelayEntriesMax {
		return tooMany("entries", pipeline.RelayEntriesMax)
	}
	var timeNs int64
	var line []byte
	p.meta, p.line = p.meta[:0], p.line[:0]
	n := 0
	for e := jsonscan.ElementsOf(array); e.Next(); n++ {
		kind := jsonscan.KindOf(e.Val)
		var err error
		switch {
		case n < 2 && kind != jsonscan.String:
			return errors.New("time and line of an entry must be strings")
		case n == 0:
			timeNs, err = strconv.ParseInt(string(e.Val[1:len(e.Val)-1]), 10, 64)
		case n == 1:
			p.line, line = jsonscan.Text(p.line, e.Val)
		case n == 2:
			p.meta, err = appendPairs(p.meta, e.Val, "the structured metadata")
			slices.SortFunc(p.meta, func(a, b loki.Label) int { return cmp.Compare(a.Name, b.Name) })
		}
		if err != nil {
			return err
		}
	}
	if n < 2 {
		return errors.New("an entry has time and line")
	}
	s.Append(timeNs, line, p.meta)
	return nil
}

// appendPairs appends the members of a JSON object of texts.
func appendPairs(dst []loki.Label, object []byte, what string) ([]loki.Label, error) {
	if jsonscan.KindOf(object) != jsonscan.Object {
		return dst, fmt.Errorf("%s is no JSON object", what)
	}
	for m := jsonscan.PairsOf(object); m.Next(); {
		_, name := jsonscan.Text(nil, m.Key)
		value := m.Val
		switch jsonscan.KindOf(m.Val) {
		case jsonscan.String:
			_, value = jsonscan.Text(nil, m.Val)
		case jsonscan.Number:
		default:
			return dst, fmt.Errorf("%s: the value of %q is no string", what, name)
		}
		dst = append(dst, loki.Label{Name: string(name), Value: string(value)})
	}
	return dst, nil
}
