package masks

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/logscope/logscope/engine/drain"
)

// Drain3 is what logscope takes from a drain3.ini.
type Drain3 struct {
	Masks []drain.Mask
	// Delimiters are extra_delimiters.
	Delimiters []string
	// TemplatesMax is max_clusters, 0 where it is not given.
	TemplatesMax int
	// Warnings say which settings have no meaning here, and why.
	Warnings []string
}

// ReadDrain3 reads a drain3.ini as Drain3 does. All faults are reported, joined.
func ReadDrain3(path string) (*Drain3, error) {
	data, err := read(path)
	if err != nil {
		return nil, err
	}
	entries, err := parseINI(string(data))
	if err != nil {
		return nil, err
	}
	d := &Drain3{}
	if err := d.take(entries); err != nil {
		return nil, err
	}
	for i, warning := range d.Warnings {
		d.Warnings[i] = fmt.Sprintf("%s: %s", path, warning)
	}
	return d, nil
}

// Why settings of Drain3 are not used.
const (
	noTree    = "lines are compared by the words they differ in, not by similarity in a tree (docs/templates.md)"
	noMarks   = "a template shows <*> for every value; mask_with names it in explanations"
	noSnap    = "state_file and state_interval keep the state"
	noProfile = "metrics_listen shows times and counts"
	unknown   = "Drain3 has no such setting"
	noCache   = "values are taken while a line is read"
)

// unused lists the settings of Drain3 that mean nothing here.
func unused() map[string]string {
	return map[string]string{
		"DRAIN engine": noTree, "DRAIN sim_th": noTree, "DRAIN depth": noTree, "DRAIN max_children": noTree,
		"DRAIN parametrize_numeric_tokens": "words with digits are always values",
		"MASKING mask_prefix":              noMarks, "MASKING mask_suffix": noMarks,
		"MASKING parameter_extraction_cache_capacity": noCache,
		"SNAPSHOT snapshot_interval_minutes":          noSnap, "SNAPSHOT compress_state": noSnap,
		"PROFILING enabled": noProfile, "PROFILING report_sec": noProfile,
	}
}

func (d *Drain3) take(entries []entry) error {
	var errs []error
	why := unused()
	seen, left := map[string]int{}, map[string][]string{}
	for _, e := range entries {
		name := e.section + " " + e.key
		if line, again := seen[name]; again {
			errs = append(errs, fmt.Errorf("line %d: %s is given before, on line %d", e.line, e.name(), line))
			continue
		}
		seen[name] = e.line
		switch reason, known := why[name]; {
		case known:
			left[reason] = append(left[reason], e.name())
		case name == keyMasking:
			var err error
			d.Masks, err = d.masking(e)
			errs = append(errs, err)
		default:
			errs = append(errs, d.set(e, name, left))
		}
	}
	if len(entries) == 0 {
		errs = append(errs, errors.New("holds no settings; expected are [MASKING] masking and those of [DRAIN]"))
	}
	for reason, names := range left {
		d.Warnings = append(d.Warnings, fmt.Sprintf("%s: not used: %s", strings.Join(names, ", "), reason))
	}
	slices.Sort(d.Warnings)
	return errors.Join(errs...)
}

const keyMasking = "MASKING masking"

// set takes a setting of [DRAIN] that has a meaning here; others go to left.
func (d *Drain3) set(e entry, name string, left map[string][]string) (err error) {
	switch name {
	case "DRAIN max_clusters":
		if d.TemplatesMax, err = strconv.Atoi(e.value); err != nil || d.TemplatesMax < 1 {
			err = fmt.Errorf("got %q; want a number above 0", e.value)
		}
	case "DRAIN extra_delimiters":
		d.Delimiters, err = pythonList(e.value)
		if err == nil && len(d.Delimiters) > drain.DelimitersMax {
			err = fmt.Errorf("got %d; want at most %d", len(d.Delimiters), drain.DelimitersMax)
		}
	default:
		left[unknown] = append(left[unknown], e.name())
	}
	if err != nil {
		return fmt.Errorf("line %d: %s: %w", e.line, e.name(), err)
	}
	return nil
}

// masking reads the JSON list of masks.
func (d *Drain3) masking(e entry) ([]drain.Mask, error) {
	where := fmt.Sprintf("%s: ", e.name())
	var list []map[string]any
	if err := json.Unmarshal([]byte(e.value), &list); err != nil {
		return nil, fmt.Errorf("%s%w", where, jsonFault(e, err))
	}
	rules := make([]Rule, len(list))
	for i, item := range list {
		var ok, named bool
		rules[i].Pattern, ok = item["regex_pattern"].(string)
		rules[i].Name, named = item["mask_with"].(string)
		if !ok || !named {
			return nil, fmt.Errorf("%smask %d of %d: got %v; want the texts regex_pattern and mask_with", where, i+1, len(list), item)
		}
		for key := range item {
			if key != "regex_pattern" && key != "mask_with" {
				d.Warnings = append(d.Warnings, fmt.Sprintf("%smask %d of %d: %q: not used: %s", where, i+1, len(list), key, unknown))
			}
		}
	}
	return compileAll(where, rules)
}

// jsonFault says where in the list it is no JSON.
func jsonFault(e entry, err error) error {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return fmt.Errorf("not a JSON list of masks: %w", err)
	}
	before := e.value[:min(int(syntax.Offset), len(e.value))]
	return fmt.Errorf("not JSON behind %q: %w", tail(before), err)
}

func tail(s string) string { return s[max(len(s)-40, 0):] }

// pythonList reads a list or tuple of Python strings: ["_", ':'].
func pythonList(s string) (items []string, err error) {
	fault := fmt.Errorf(`got %s; want a list of texts, as in ["_", ":"]`, s)
	if len(s) < 2 || !strings.Contains("[] ()", s[:1]+s[len(s)-1:]) {
		return nil, fault
	}
	rest := strings.TrimSpace(s[1 : len(s)-1])
	for rest != "" {
		var item string
		if item, rest, err = pythonString(rest); err != nil {
			return nil, fault
		}
		if item != "" {
			items = append(items, item)
		}
		rest = strings.TrimSpace(rest)
		if rest != "" && rest[0] != ',' {
			return nil, fault
		}
		rest = strings.TrimSpace(strings.TrimPrefix(rest, ","))
	}
	return items, nil
}

// pythonString reads the quoted text at the start of s.
func pythonString(s string) (text, rest string, err error) {
	quote := s[0]
	if quote != '"' && quote != '\'' {
		return "", "", errors.New("no quote")
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == quote:
			return b.String(), s[i+1:], nil
		case c == '\\' && i+1 < len(s):
			i++
			switch s[i] {
			case 't':
				b.WriteByte('\t')
			case 'n':
				b.WriteByte('\n')
			default:
				b.WriteByte(s[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", "", errors.New("the quote is not closed")
}
