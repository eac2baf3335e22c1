package conf

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// fileBytesMax bounds a config_file: with every option set it has some 4 KB.
const fileBytesMax = 1 << 20

// file reads one config_file: a YAML mapping from options to values.
type file struct {
	path  string
	lines []string
	rows  []Row
	scope Scope
	found map[string]given
	// spelt is how each option found was written, to tell of repetitions.
	spelt map[string]string
	errs  []error
}

// readFile returns the options that a config_file gives. Options of another
// scope are skipped, so that one file can serve the plugin and the command.
func readFile(path string, scope Scope, rows []Row) (map[string]given, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read config_file: %w", err)
	}
	defer func() { _ = in.Close() }() // only read from
	data, err := io.ReadAll(io.LimitReader(in, fileBytesMax+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read config_file %q: %w", path, err)
	}
	if len(data) > fileBytesMax {
		return nil, fmt.Errorf("cannot read config_file %q: more than %d bytes", path, fileBytesMax)
	}
	return parseFile(path, data, scope, rows)
}

func parseFile(path string, data []byte, scope Scope, rows []Row) (found map[string]given, err error) {
	f := file{
		path: path, lines: strings.Split(string(data), "\n"), scope: scope, rows: rows,
		found: make(map[string]given), spelt: make(map[string]string),
	}
	tree, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, f.syntaxError(err)
	}
	switch {
	case len(tree.Docs) > 1 && tree.Docs[1].Body != nil:
		return nil, f.fail(tree.Docs[1].Body.GetToken(), noLine, "one document is expected, not several")
	case len(tree.Docs) == 0 || tree.Docs[0].Body == nil:
		return nil, nil
	}
	body := tree.Docs[0].Body
	mapping, ok := body.(ast.MapNode)
	if !ok {
		if body.Type() == ast.NullType || body.Type() == ast.CommentType {
			return nil, nil
		}
		return nil, f.fail(body.GetToken(), noLine, "options are expected, one a line: name: value")
	}
	for pairs := mapping.MapRange(); pairs.Next(); {
		f.option(pairs.Key(), pairs.Value())
	}
	return f.found, errors.Join(f.errs...)
}

// excerpt says how much of a line an error may show: never a secret.
type excerpt uint8

const (
	noLine excerpt = iota
	keyOnly
	wholeLine
)

// excerptOf is what may be shown of the line that sets an option.
func excerptOf(row *Row) excerpt {
	if row.Secret || row.SecretParts {
		return noLine
	}
	return wholeLine
}

// fail makes an error with the line concerned and a mark under the column.
func (f *file) fail(at *token.Token, show excerpt, format string, args ...any) error {
	message := fmt.Sprintf(format, args...)
	if at == nil || at.Position == nil {
		return fmt.Errorf("config_file %q: %s", f.path, message)
	}
	line, column := at.Position.Line, at.Position.Column
	text := fmt.Sprintf("config_file %q, line %d, column %d: %s", f.path, line, column, message)
	if show == noLine || line < 1 || line > len(f.lines) {
		return errors.New(text)
	}
	key, value, isPair := strings.Cut(f.lines[line-1], ":")
	if show == keyOnly && !isPair {
		return errors.New(text)
	}
	shown := f.lines[line-1]
	if show == keyOnly && strings.TrimSpace(value) != "" {
		shown = key + ": " + secretMask
	}
	source := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, shown)
	return fmt.Errorf("%s\n%5d | %s\n      | %s^", text, line, source, strings.Repeat(" ", max(0, column-1)))
}

// syntaxError tells what the YAML parser could not read. The line is shown only
// if it sets an option that is known to hold no secret.
func (f *file) syntaxError(err error) error {
	var yamlErr yaml.Error
	if !errors.As(err, &yamlErr) {
		return fmt.Errorf("config_file %q: not YAML: the file cannot be read", f.path)
	}
	at := yamlErr.GetToken()
	show := noLine
	if at != nil && at.Position != nil && at.Position.Line >= 1 && at.Position.Line <= len(f.lines) {
		name, _, found := strings.Cut(f.lines[at.Position.Line-1], ":")
		row := f.row(strings.TrimSpace(name), Rows(^Scope(0)))
		if found && row != nil && excerptOf(row) == wholeLine {
			show = wholeLine
		}
	}
	message := yamlErr.GetMessage()
	if show == noLine && strings.ContainsAny(message, "\"'`") {
		message = "not YAML" // the parser's own words quote the file
	}
	return f.fail(at, show, "%s", message)
}

func (f *file) row(name string, rows []Row) *Row {
	folded := fold(name)
	i := slices.IndexFunc(rows, func(row Row) bool { return fold(row.Name) == folded })
	if i < 0 {
		return nil
	}
	return &rows[i]
}

// option reads one pair of the file's mapping.
func (f *file) option(key ast.MapKeyNode, value ast.Node) {
	at := key.GetToken()
	name, ok := key.(*ast.StringNode)
	if !ok {
		f.errs = append(f.errs, f.fail(at, noLine, "the name of an option is expected"))
		return
	}
	row := f.row(name.Value, f.rows)
	if row == nil {
		if f.row(name.Value, Rows(^Scope(0))) == nil {
			f.unknown(at, name.Value)
		}
		return
	}
	if row.Name == optionConfigFile {
		f.errs = append(f.errs, f.fail(at, wholeLine, "config_file cannot name another config_file"))
		return
	}
	if other, ok := f.spelt[row.Name]; ok {
		f.errs = append(f.errs, f.fail(at, keyOnly, "option %s is given twice, as %s and as %s; remove one", row.Name, other, name.Value))
		return
	}
	f.spelt[row.Name] = name.Value
	in, problem := readValue(row, value)
	if problem != "" {
		f.errs = append(f.errs, f.fail(value.GetToken(), excerptOf(row), "option %s: %s; allowed: %s", row.Name, problem, row.Allowed()))
		return
	}
	if in.empty() {
		return
	}
	origin := fmt.Sprintf("config_file %q, line %d", f.path, at.Position.Line)
	f.found[row.Name] = given{raw: in, origin: origin}
}

func (f *file) unknown(at *token.Token, name string) {
	use, why := Nearest(name, f.rows)
	switch {
	case why != "":
		f.errs = append(f.errs, f.fail(at, keyOnly, "option %s does not exist: %s; remove it", name, why))
	case use != "":
		f.errs = append(f.errs, f.fail(at, keyOnly, "unknown option %q: did you mean %s?", name, use))
	default:
		f.errs = append(f.errs, f.fail(at, keyOnly, "unknown option %q; logscope options lists those there are", name))
	}
}

// readValue reads a scalar, a list or a mapping, as far as the row takes them.
func readValue(row *Row, node ast.Node) (in raw, problem string) {
	if text, ok := scalar(node); ok {
		in.text = strings.TrimSpace(text)
		return in, ""
	}
	switch node := node.(type) {
	case *ast.SequenceNode:
		if row.Kind != KeyList && row.Kind != Labels && row.Kind != Headers {
			return in, "one value is expected, not a list"
		}
		for _, item := range node.Values {
			text, ok := scalar(item)
			if !ok {
				return in, "a list of texts is expected"
			}
			in.items = append(in.items, text)
		}
		return in, ""
	case ast.MapNode:
		if row.Kind != Labels && row.Kind != Headers {
			return in, "one value is expected, not a mapping"
		}
		for pairs := node.MapRange(); pairs.Next(); {
			name, isName := scalar(pairs.Key())
			value, isValue := scalar(pairs.Value())
			if !isName || !isValue {
				return in, "a mapping from names to texts is expected"
			}
			in.pairs = append(in.pairs, [2]string{name, value})
		}
		return in, ""
	}
	return in, "a plain value is expected, without anchors, aliases and tags"
}

// scalar returns the text of a scalar as it stands in the file: on stays on, 007 stays 007.
func scalar(node ast.Node) (string, bool) {
	switch node := node.(type) {
	case *ast.StringNode:
		return node.Value, true
	case *ast.LiteralNode:
		return node.Value.Value, true
	case *ast.NullNode:
		return "", true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return node.GetToken().Value, true
	}
	return "", false
}
