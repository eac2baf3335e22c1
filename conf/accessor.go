package conf

import (
	"fmt"
	"strings"

	"github.com/logscope/logscope/plugin/pipeline"
)

// accessorDepthMax bounds the levels of one accessor: deeper records are
// refused by Fluent Bit's own packers long before.
const accessorDepthMax = 32

// SyntaxError says where an accessor or a label list cannot be read.
type SyntaxError struct {
	// Input is the whole text.
	Input string
	// Offset is the byte at which reading stopped.
	Offset int
	// Problem says what is wrong there, and what was expected.
	Problem string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("column %d of %q: %s", e.Offset+1, e.Input, e.Problem)
}

// scanner walks over the text of an option.
type scanner struct {
	text string
	pos  int
}

func (s *scanner) fail(at int, format string, args ...any) error {
	return &SyntaxError{Input: s.text, Offset: at, Problem: fmt.Sprintf(format, args...)}
}

func (s *scanner) done() bool { return s.pos >= len(s.text) }

// peek returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	if s.done() {
		return 0
	}
	return s.text[s.pos]
}

func (s *scanner) skipBlank() {
	for !s.done() && isBlank(s.text[s.pos]) {
		s.pos++
	}
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func isLetter(c byte) bool { return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isKeyByte says whether c may stand in the first key of an accessor, after its first byte.
func isKeyByte(c byte) bool {
	return isLetter(c) || isDigit(c) || c == '.' || c == '-' || c == '/'
}

// accessor reads $key['sub']["sub"]; the scanner stands on the $.
func (s *scanner) accessor() (pipeline.Path, error) {
	start := s.pos
	s.pos++
	first := s.pos
	if !isLetter(s.peek()) {
		return nil, s.fail(first, "a key must follow $, beginning with a letter or _")
	}
	for !s.done() && isKeyByte(s.text[s.pos]) {
		s.pos++
	}
	return s.subkeys(start, s.text[first:s.pos])
}

// subkeys reads what follows the first key of an accessor that began at start.
func (s *scanner) subkeys(start int, first string) (pipeline.Path, error) {
	path := pipeline.Path{first}
	for s.peek() == '[' {
		if len(path) == accessorDepthMax {
			return nil, s.fail(start, "more than %d levels", accessorDepthMax)
		}
		key, err := s.subkey()
		if err != nil {
			return nil, err
		}
		path = append(path, key)
	}
	return path, nil
}

// subkey reads ['sub'] or ["sub"]; the scanner stands on the [.
func (s *scanner) subkey() (string, error) {
	s.pos++
	s.skipBlank()
	at := s.pos
	switch c := s.peek(); {
	case c == '\'' || c == '"':
	case isDigit(c):
		return "", s.fail(at, "an index into an array is not supported, only ['key']")
	default:
		return "", s.fail(at, "a quoted key must follow [, as in ['key']")
	}
	key, err := s.quoted()
	if err != nil {
		return "", err
	}
	if key == "" {
		return "", s.fail(at, "the key is empty")
	}
	s.skipBlank()
	if s.peek() != ']' {
		return "", s.fail(s.pos, "] expected")
	}
	s.pos++
	return key, nil
}

// quoted reads text in single or double quotes. A quote inside is doubled, or
// follows a backslash; \\ is a backslash, any other backslash stands for itself.
func (s *scanner) quoted() (string, error) {
	start := s.pos
	quote := s.text[s.pos]
	s.pos++
	var b strings.Builder
	for !s.done() {
		c := s.text[s.pos]
		next := byte(0)
		if s.pos+1 < len(s.text) {
			next = s.text[s.pos+1]
		}
		switch {
		case c == quote && next == quote, c == '\\' && (next == quote || next == '\\'):
			b.WriteByte(next)
			s.pos += 2
		case c == quote:
			s.pos++
			return b.String(), nil
		default:
			b.WriteByte(c)
			s.pos++
		}
	}
	return "", s.fail(start, "the quote is not closed")
}

// key reads an accessor, or a bare key up to the next comma.
func (s *scanner) key() (pipeline.Path, error) {
	switch s.peek() {
	case '$':
		return s.accessor()
	case '\'', '"':
		at := s.pos
		key, err := s.quoted()
		if err != nil {
			return nil, err
		}
		if key == "" {
			return nil, s.fail(at, "the key is empty")
		}
		return s.subkeys(at, key)
	}
	start := s.pos
	for !s.done() && s.text[s.pos] != ',' {
		if strings.IndexByte("[]'\"$={}", s.text[s.pos]) >= 0 {
			return nil, s.fail(s.pos, "%q cannot stand in a bare key; a nested key is written $key['sub']", s.text[s.pos])
		}
		s.pos++
	}
	key := strings.TrimRight(s.text[start:s.pos], " \t\r\n")
	if key == "" {
		return nil, s.fail(start, "a key is expected")
	}
	return pipeline.Path{key}, nil
}

// comma reads what separates two elements of a list. A comma at the very end is allowed.
func (s *scanner) comma() error {
	s.skipBlank()
	if s.done() {
		return nil
	}
	if s.peek() != ',' {
		return s.fail(s.pos, "a comma or the end is expected")
	}
	s.pos++
	s.skipBlank()
	return nil
}

// ParseKeys reads a comma-separated list of keys: $kubernetes['labels']['app'], $key, key or 'any key'.
func ParseKeys(text string) ([]pipeline.Path, error) {
	s := scanner{text: text}
	var paths []pipeline.Path
	for s.skipBlank(); !s.done(); {
		path, err := s.key()
		if err != nil {
			return nil, err
		}
		if err := s.comma(); err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// formatPath writes a path so that ParseKeys reads it back.
func formatPath(path pipeline.Path) string {
	var b strings.Builder
	first := scanner{text: "$" + path[0]}
	if parsed, err := first.accessor(); err == nil && first.done() && len(parsed) == 1 {
		b.WriteString(first.text)
	} else {
		b.WriteString(quote(path[0]))
	}
	for _, key := range path[1:] {
		b.WriteByte('[')
		b.WriteString(quote(key))
		b.WriteByte(']')
	}
	return b.String()
}

func quote(text string) string {
	text = strings.ReplaceAll(text, `\`, `\\`)
	return "'" + strings.ReplaceAll(text, "'", "''") + "'"
}
