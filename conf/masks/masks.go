// Package masks reads the masks that users bring along: patterns of values
// that vary, from a file of their own or from an existing drain3.ini.
//
// Patterns are those of Python's re, as Drain3 takes them. Most are compiled
// by the standard library, whose time is bounded by the length of the line.
// What it does not know, lookaround above all, is left to regexp2, which
// backtracks: there a search has a time limit.
package masks

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/logscope/logscope/engine/drain"
)

// fileBytesMax bounds a file of masks; the longest seen in public has 6 KB.
const fileBytesMax = 1 << 20

// Rule is one mask as users write it. The keys are those of Drain3.
type Rule struct {
	Pattern string `yaml:"regex_pattern"`
	// Name is what values are called in explanations.
	Name string `yaml:"mask_with"`
}

// ReadFile reads a list of masks: YAML or JSON, each with regex_pattern and
// mask_with. All faults are reported, joined.
func ReadFile(path string) ([]drain.Mask, error) {
	data, err := read(path)
	if err != nil {
		return nil, err
	}
	var rules []Rule
	if err := yaml.UnmarshalWithOptions(data, &rules, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("no list of masks, each with regex_pattern and mask_with: %s", strings.TrimSpace(yaml.FormatError(err, false, false)))
	}
	if len(rules) == 0 {
		return nil, errors.New("holds no masks; expected is a list, each with regex_pattern and mask_with")
	}
	return compileAll("", rules)
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read from
	data, err := io.ReadAll(io.LimitReader(f, fileBytesMax+1))
	if err != nil {
		return nil, err
	}
	if len(data) > fileBytesMax {
		return nil, fmt.Errorf("has more than %d bytes", fileBytesMax)
	}
	return data, nil
}

// compileAll compiles the rules and names each that cannot be. where stands before each fault.
func compileAll(where string, rules []Rule) ([]drain.Mask, error) {
	if len(rules) > drain.MasksMax {
		return nil, fmt.Errorf("%sgot %d masks; want at most %d", where, len(rules), drain.MasksMax)
	}
	var masks []drain.Mask
	var errs []error
	for i, rule := range rules {
		mask, err := Compile(rule)
		if err != nil {
			errs = append(errs, fmt.Errorf("%smask %d of %d (%s), regex_pattern %q: %w", where, i+1, len(rules), nameOf(rule), rule.Pattern, err))
			continue
		}
		masks = append(masks, mask)
	}
	return masks, errors.Join(errs...)
}

func nameOf(rule Rule) string {
	if rule.Name == "" {
		return "no mask_with"
	}
	return "mask_with " + rule.Name
}
