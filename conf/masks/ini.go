package masks

import (
	"fmt"
	"strings"
)

// entry is one key of an INI file.
type entry struct {
	section, key, value string
	line                int
}

func (e *entry) name() string { return "[" + e.section + "] " + e.key }

// parseINI reads what Python's configparser reads with its defaults, which no
// INI library for Go does whole: a value goes on in lines that are indented
// deeper than its key, a comment has a line of its own, and %% is a percent sign.
func parseINI(text string) ([]entry, error) {
	var entries []entry
	section, indent, open := "", 0, false // open: the last entry's value may go on
	text = strings.TrimPrefix(text, "\uFEFF")
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimRight(line, " \t\r\f\v")
		value := strings.TrimLeft(line, " \t\f\v")
		at := len(line) - len(value)
		switch {
		case value == "":
			if open {
				entries[len(entries)-1].value += "\n"
			}
			continue
		case value[0] == '#' || value[0] == ';':
			continue
		case open && at > indent:
			entries[len(entries)-1].value += "\n" + value
			continue
		case value[0] == '[' && strings.IndexByte(value, ']') > 1:
			section, open, indent = value[1:strings.LastIndexByte(value, ']')], false, at
			continue
		}
		sign := strings.IndexAny(value, "=:")
		if sign <= 0 || section == "" {
			return nil, fmt.Errorf("line %d: got %q; want [section], key = value, or an indented line that goes on with a value", n+1, value)
		}
		entries = append(entries, entry{
			section: section, key: strings.ToLower(strings.TrimSpace(value[:sign])), value: strings.TrimSpace(value[sign+1:]), line: n + 1})
		indent, open = at, true
	}
	for i := range entries {
		entries[i].value = strings.ReplaceAll(strings.TrimSpace(entries[i].value), "%%", "%")
	}
	return entries, nil
}
