package pipeline

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/logscope/logscope/engine"
)

// Limits of a mute file.
const (
	muteBytesMax = 1 << 20
	// mutesMax bounds the entries: each is compared with every finding, in some 5 ns.
	mutesMax = 2000
)

// Muting is one entry of a mute file.
type Muting struct {
	engine.Mute
	// Until is the first moment at which it does not hold any more.
	Until   time.Time
	Line    int
	Comment string
}

// ReadMutes reads a mute file:
//
//	mutes:
//	  - template: disk <*> is broken    # the text, or template_id: 16 hexadecimal digits
//	    namespace: shop                 # or stream: shop/cart, or shop/c*
//	    reason: novelty                 # all where it is missing
//	    until: 2026-12-31               # the whole day, UTC; or 2026-12-31T18:00:00+01:00
//	    comment: the disk is replaced on Friday, OPS-123
//
// An entry needs until and one of the others. All faults are reported at once,
// each with its line.
func ReadMutes(path string) ([]Muting, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read mute_file: %w", err)
	}
	defer func() { _ = in.Close() }() // only read from
	data, err := io.ReadAll(io.LimitReader(in, muteBytesMax+1))
	if err == nil && len(data) > muteBytesMax {
		err = fmt.Errorf("more than %d bytes", muteBytesMax)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read mute_file %q: %w", path, err)
	}
	return parseMutes(path, data)
}

// muteReader reads one mute file.
type muteReader struct {
	path string
	errs []error
}

func (r *muteReader) fail(node ast.Node, format string, args ...any) {
	where := ""
	if at := node.GetToken(); at != nil && at.Position != nil {
		where = fmt.Sprintf(", line %d", at.Position.Line)
	}
	r.errs = append(r.errs, fmt.Errorf("mute_file %q%s: %s", r.path, where, fmt.Sprintf(format, args...)))
}

func parseMutes(path string, data []byte) ([]Muting, error) {
	r := muteReader{path: path}
	tree, err := parser.ParseBytes(data, 0)
	if err != nil {
		var bad yaml.Error
		if errors.As(err, &bad) && bad.GetToken() != nil && bad.GetToken().Position != nil {
			return nil, fmt.Errorf("mute_file %q, line %d: %s", path, bad.GetToken().Position.Line, bad.GetMessage())
		}
		return nil, fmt.Errorf("mute_file %q: not YAML", path)
	}
	if len(tree.Docs) == 0 || tree.Docs[0].Body == nil {
		return nil, nil
	}
	if len(tree.Docs) > 1 && tree.Docs[1].Body != nil {
		r.fail(tree.Docs[1].Body, "one document is expected, not several")
	}
	mutes := r.file(tree.Docs[0].Body)
	if len(mutes) > mutesMax {
		r.errs = append(r.errs, fmt.Errorf("mute_file %q: got %d entries; want at most %d", path, len(mutes), mutesMax))
	}
	if err := errors.Join(r.errs...); err != nil {
		return nil, err
	}
	return mutes, nil
}

// file reads the whole of it.
func (r *muteReader) file(body ast.Node) (mutes []Muting) {
	if body.Type() == ast.NullType || body.Type() == ast.CommentType {
		return nil
	}
	top, ok := body.(ast.MapNode)
	if !ok {
		r.fail(body, "mutes: is expected, and beneath it a list of entries")
		return nil
	}
	for pairs := top.MapRange(); pairs.Next(); {
		if key := nodeText(pairs.Key()); key != "mutes" {
			r.fail(pairs.Key(), "unknown key %q; want mutes", key)
			continue
		}
		if pairs.Value().Type() == ast.NullType {
			continue
		}
		list, ok := pairs.Value().(*ast.SequenceNode)
		if !ok {
			r.fail(pairs.Value(), "a list of entries is expected beneath mutes:, each beginning with -")
			continue
		}
		for _, item := range list.Values {
			if m, ok := r.entry(item); ok {
				mutes = append(mutes, m)
			}
		}
	}
	return mutes
}

// muteKeys are those of an entry.
func muteKeys() []string {
	return []string{"template", "template_id", "namespace", "stream", "reason", "until", "comment"}
}

// entry reads one entry; not ok: it has faults, which are noted.
func (r *muteReader) entry(node ast.Node) (m Muting, ok bool) {
	pairs, isMap := node.(ast.MapNode)
	if !isMap {
		r.fail(node, "an entry is expected, such as: - template: disk <*> is broken")
		return m, false
	}
	faults := len(r.errs)
	given := map[string]bool{}
	for it := pairs.MapRange(); it.Next(); {
		key, value := nodeText(it.Key()), it.Value()
		if m.Line == 0 && it.Key().GetToken() != nil {
			m.Line = it.Key().GetToken().Position.Line
		}
		switch text := nodeText(value); {
		case !slices.Contains(muteKeys(), key):
			r.fail(it.Key(), "unknown key %q; want one of %s", key, strings.Join(muteKeys(), ", "))
		case given[key]:
			r.fail(it.Key(), "%s is given twice", key)
		case text == "":
			r.fail(it.Key(), "%s has no value, or not a plain one", key)
		default:
			if err := m.set(key, text); err != nil {
				r.fail(value, "%s %q: %v", key, text, err)
			}
		}
		given[key] = true
	}
	for _, two := range [][2]string{{"template", "template_id"}, {"namespace", "stream"}} {
		if given[two[0]] && given[two[1]] {
			r.fail(node, "%s and %s are both given; remove one", two[0], two[1])
		}
	}
	if !given["until"] {
		r.fail(node, "until is missing: every mute ends; give a date, such as until: 2026-12-31")
	}
	if !given["template"] && !given["template_id"] && !given["namespace"] && !given["stream"] && !given["reason"] {
		r.fail(node, "the entry would mute everything: give template, template_id, namespace, stream or reason")
	}
	return m, len(r.errs) == faults
}

// set takes the value of a key.
func (m *Muting) set(key, text string) (err error) {
	switch key {
	case "template":
		m.TemplateID = engine.TemplateID(text)
	case "template_id":
		if m.TemplateID, err = strconv.ParseUint(text, 16, 64); err != nil || len(text) != 16 || m.TemplateID == 0 {
			return errors.New("16 hexadecimal digits are expected, in quotes")
		}
	case "namespace":
		if strings.ContainsAny(text, "/*") {
			return errors.New("a name without / and * is expected; for part of a namespace give stream")
		}
		m.Stream = text + "/*"
	case "stream":
		if i := strings.IndexByte(text, '*'); i == 0 || i > 0 && i < len(text)-1 {
			return errors.New("* can only stand at the end, behind something")
		}
		m.Stream = text
	case "reason":
		var ok bool
		if m.Reason, ok = engine.ParseReason(text); !ok {
			return errors.New("there is no such reason")
		}
	case "until":
		m.Until, err = parseUntil(text)
	case "comment":
		m.Comment = text
	}
	return err
}

// parseUntil reads a date, whose whole day counts, or a moment.
func parseUntil(text string) (time.Time, error) {
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return day.AddDate(0, 0, 1), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, errors.New("a date such as 2026-12-31, or a moment such as 2026-12-31T18:00:00Z, is expected")
	}
	return t, nil
}

// nodeText is the text of a scalar as it stands in the file, empty where it is none.
func nodeText(node ast.Node) string {
	switch node := node.(type) {
	case *ast.StringNode:
		return node.Value
	case *ast.LiteralNode:
		return strings.TrimRight(node.Value.Value, "\n")
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return node.GetToken().Value
	}
	return ""
}

// Mutes returns the entries that hold at now, and describes those that have expired.
func Mutes(all []Muting, now time.Time) (active []engine.Mute, expired []string) {
	for i := range all {
		m := &all[i]
		if now.Before(m.Until) {
			active = append(active, m.Mute)
			continue
		}
		text := fmt.Sprintf("line %d (until %s", m.Line, m.Until.UTC().Add(-time.Nanosecond).Format(time.DateOnly))
		if m.Comment != "" {
			text += ", " + m.Comment
		}
		expired = append(expired, text+")")
	}
	return active, expired
}
