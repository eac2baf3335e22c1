package conf

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/logscope/logscope/loki"
	"github.com/logscope/logscope/plugin/pipeline"
)

// labelMapBytesMax bounds a label map file: a real one has a dozen lines.
const labelMapBytesMax = 1 << 20

// ParseLabels reads labels in both spellings that Loki users know:
//
//	job=fluentbit, env=$env, team='a, b', $sub['stream']
//	{job="fluentbit", env="prod"}
//
// A bare accessor gives a label named after its keys: $sub['stream'] is
// sub_stream. In braces every value is literal, as in LogQL.
func ParseLabels(text string) ([]pipeline.LabelSource, error) {
	s := scanner{text: text}
	s.skipBlank()
	if s.peek() == '{' {
		return s.selector()
	}
	var sources []pipeline.LabelSource
	for !s.done() {
		source, err := s.label()
		if err != nil {
			return nil, err
		}
		if err := s.comma(); err != nil {
			return nil, err
		}
		sources = append(sources, source)
	}
	return sources, nil
}

// label reads name=value or a bare accessor.
func (s *scanner) label() (pipeline.LabelSource, error) {
	if s.peek() == '$' {
		at := s.pos
		path, err := s.accessor()
		if err != nil {
			return pipeline.LabelSource{}, err
		}
		if s.skipBlank(); s.peek() == '=' {
			return pipeline.LabelSource{}, s.fail(at, "an accessor cannot be a label's name; name=$key is the other way round")
		}
		return pipeline.LabelSource{Name: nameOfPath(path), Path: path}, nil
	}
	name, err := s.labelName()
	if err != nil {
		return pipeline.LabelSource{}, err
	}
	return s.labelValue(name)
}

// labelName reads up to and over the =.
func (s *scanner) labelName() (string, error) {
	start := s.pos
	for !s.done() && strings.IndexByte("=,!~{}\"'$", s.text[s.pos]) < 0 {
		s.pos++
	}
	name := strings.TrimSpace(s.text[start:s.pos])
	if name == "" {
		return "", s.fail(start, "a label is written name=value, name=$key or $key")
	}
	switch c := s.peek(); c {
	case '=':
	case '!', '~':
		return "", s.fail(s.pos, "only = can be used, labels are set and not matched")
	default:
		return "", s.fail(s.pos, "= expected after the label name %q; to use a key of the record write $%s", name, name)
	}
	s.pos++
	if s.peek() == '~' {
		return "", s.fail(s.pos, "only = can be used, labels are set and not matched")
	}
	return name, nil
}

func (s *scanner) labelValue(name string) (pipeline.LabelSource, error) {
	s.skipBlank()
	start := s.pos
	switch s.peek() {
	case '$':
		path, err := s.accessor()
		return pipeline.LabelSource{Name: name, Path: path}, err
	case '\'', '"':
		value, err := s.quoted()
		if err == nil && value == "" {
			err = s.fail(start, "the value of label %q is empty; Loki knows no empty label", name)
		}
		return pipeline.LabelSource{Name: name, Literal: value}, err
	}
	for !s.done() && s.text[s.pos] != ',' {
		s.pos++
	}
	value := strings.TrimSpace(s.text[start:s.pos])
	if value == "" {
		return pipeline.LabelSource{}, s.fail(start, "the value of label %q is empty; Loki knows no empty label", name)
	}
	return pipeline.LabelSource{Name: name, Literal: value}, nil
}

// selector reads {name="value", ...}; the scanner stands on the {.
func (s *scanner) selector() ([]pipeline.LabelSource, error) {
	open := s.pos
	s.pos++
	var sources []pipeline.LabelSource
	for s.skipBlank(); s.peek() != '}'; s.skipBlank() {
		if s.done() {
			return nil, s.fail(open, "the brace is not closed")
		}
		name, err := s.labelName()
		if err != nil {
			return nil, err
		}
		value, err := s.selectorValue(name)
		if err != nil {
			return nil, err
		}
		sources = append(sources, pipeline.LabelSource{Name: name, Literal: value})
		if s.skipBlank(); s.peek() == ',' {
			s.pos++
		} else if s.peek() != '}' && !s.done() {
			return nil, s.fail(s.pos, "a comma or } is expected")
		}
	}
	s.pos++
	if s.skipBlank(); !s.done() {
		return nil, s.fail(s.pos, "nothing may follow the closing brace")
	}
	return sources, nil
}

func (s *scanner) selectorValue(name string) (string, error) {
	s.skipBlank()
	start := s.pos
	switch s.peek() {
	case '"', '\'', '`':
	case '$':
		return "", s.fail(start, "values in braces are quoted text; without braces, %s=$key takes a key of the record", name)
	default:
		return "", s.fail(start, "a quoted value is expected, as in {job=\"fluent-bit\"}")
	}
	value, err := s.quoted()
	if err == nil && value == "" {
		err = s.fail(start, "the value of label %q is empty; Loki knows no empty label", name)
	}
	return value, err
}

// nameOfPath is the label name of a bare accessor: its keys joined by _.
func nameOfPath(path pipeline.Path) string {
	return loki.MendLabelName(strings.Join(path, "_"))
}

// readLabelMap reads a label map file: nested JSON objects that follow the
// record, with the name of a label at each leaf. Sources are sorted by path.
func readLabelMap(path string) ([]pipeline.LabelSource, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read label map: %w", err)
	}
	defer func() { _ = file.Close() }() // only read from
	data, err := io.ReadAll(io.LimitReader(file, labelMapBytesMax+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read label map: %w", err)
	}
	if len(data) > labelMapBytesMax {
		return nil, fmt.Errorf("label map %q has more than %d bytes", path, labelMapBytesMax)
	}
	sources, err := parseLabelMap(data)
	if err != nil {
		return nil, fmt.Errorf("label map %q: %w", path, err)
	}
	return sources, nil
}

func parseLabelMap(data []byte) ([]pipeline.LabelSource, error) {
	var root map[string]any
	if err := json.Unmarshal(data, &root); err != nil {
		return nil, fmt.Errorf("not a JSON object: %w", err)
	}
	if len(root) == 0 {
		return nil, errors.New(`no labels in it; expected is e.g. {"kubernetes": {"namespace_name": "namespace"}}`)
	}
	var sources []pipeline.LabelSource
	err := walkLabelMap(nil, root, &sources)
	return sources, err
}

func walkLabelMap(path pipeline.Path, node map[string]any, sources *[]pipeline.LabelSource) error {
	keys := make([]string, 0, len(node))
	for key := range node {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	var errs []error
	for _, key := range keys {
		at := append(slices.Clone(path), key)
		switch value := node[key].(type) {
		case string:
			if value == "" {
				errs = append(errs, fmt.Errorf("%s: the label name is empty", formatPath(at)))
				continue
			}
			*sources = append(*sources, pipeline.LabelSource{Name: value, Path: at})
		case map[string]any:
			if len(at) == accessorDepthMax {
				errs = append(errs, fmt.Errorf("%s: more than %d levels", formatPath(at), accessorDepthMax))
				continue
			}
			errs = append(errs, walkLabelMap(at, value, sources))
		default:
			errs = append(errs, fmt.Errorf("%s: got %v; want the name of a label or an object", formatPath(at), value))
		}
	}
	return errors.Join(errs...)
}
