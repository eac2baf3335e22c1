package conf

import (
	"errors"
	"fmt"
	"strings"

	"github.com/logscope/logscope/loki"
)

// Allowed says in words what the option takes.
func (r *Row) Allowed() string {
	if r.Kind == Choice {
		last := len(r.Choices) - 1
		return strings.Join(r.Choices[:last], ", ") + " or " + r.Choices[last]
	}
	allowed := r.Kind.allowed()
	switch {
	case r.Min != "" && r.Max != "":
		allowed += fmt.Sprintf(", from %s to %s", r.Min, r.Max)
	case r.Min != "":
		allowed += fmt.Sprintf(", at least %s", r.Min)
	}
	return allowed
}

// Show returns the value of an option as it may be printed: without secrets.
func (r *Row) Show(text string) string {
	switch {
	case text == "":
		return ""
	case r.Secret:
		return secretMask
	case r.SecretParts && r.Kind == Headers:
		return showHeaders(text)
	case r.SecretParts:
		return loki.MaskURL(text)
	}
	return text
}

// hide keeps the cause of an error back where it would repeat a secret.
func (r *Row) hide(err error) error {
	var syntax *SyntaxError
	if (r.Secret || r.SecretParts) && errors.As(err, &syntax) {
		return errNotAllowed
	}
	return err
}

// showHeaders shows the names of headers only: any value may be a key.
func showHeaders(text string) string {
	var shown []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		end := strings.IndexAny(line, ":= \t")
		switch {
		case line == "":
		case end <= 0:
			shown = append(shown, secretMask)
		default:
			shown = append(shown, line[:end]+": "+secretMask)
		}
	}
	return strings.Join(shown, ", ")
}

// Dump returns the configuration in force, one option an element, without
// secrets: for the log at start-up, where a misspelt option shows by its absence.
func (s *Settings) Dump() []string {
	var lines []string
	for i := range s.rows {
		row := &s.rows[i]
		in, ok := s.given[row.Name]
		origin := ""
		switch {
		case !ok && row.Default == "":
			continue
		case !ok:
			in.raw.text, origin = row.Default, " (default)"
		case in.origin != "":
			origin = " (" + in.origin + ")"
		}
		lines = append(lines, fmt.Sprintf("%s=%q%s", row.Name, row.showRaw(in.raw), origin))
	}
	return lines
}

// showRaw is Show for a value that may have parts.
func (r *Row) showRaw(in raw) string {
	if r.Kind != Headers {
		return r.Show(in.String())
	}
	var lines []string
	for _, pair := range in.pairs {
		lines = append(lines, pair[0]+": "+pair[1])
	}
	lines = append(lines, in.items...)
	if in.text != "" {
		lines = append(lines, in.text)
	}
	return r.Show(strings.Join(lines, "\n"))
}
