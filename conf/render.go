package conf

import (
	"fmt"
	"slices"
	"strings"
)

// EnvName is the environment variable of an option of the command.
func (r *Row) EnvName() string { return "LOGSCOPE_" + strings.ToUpper(r.Name) }

// FlagName is the command's flag for an option, without the dashes before it.
func (r *Row) FlagName() string { return strings.ReplaceAll(r.Name, "_", "-") }

// groups cuts the rows where their group changes.
func groups(rows []Row) [][]Row {
	var all [][]Row
	for i := range rows {
		at := slices.IndexFunc(all, func(group []Row) bool { return group[0].Group == rows[i].Group })
		if at < 0 {
			all = append(all, []Row{rows[i]})
			continue
		}
		all[at] = append(all[at], rows[i])
	}
	return all
}

// AppendReference appends the reference page of all options, in Markdown.
func AppendReference(dst []byte) []byte {
	const head = `# Options

<!-- Made from the table in conf/ by "make gen". Do not edit. -->

Names are taken as users of Fluent Bit's ` + "`loki` and of Grafana's `grafana-loki`" + ` output know them. Case does not matter, and
neither do underscores: ` + "`auto_kubernetes_labels`, `AutoKubernetesLabels` and `autoKubernetesLabels`" + ` are one option.

Scope **plugin** is the Fluent Bit output plugin, **scan**, **serve** and **pipe** are commands, where every option is a flag
(` + "`--max-models`" + `) and an environment variable (` + "`LOGSCOPE_MAX_MODELS`" + `). Options given there, or in Fluent Bit's own
configuration, go before those of ` + "`config_file`" + `, a YAML file with the same names.

Fluent Bit keeps some options for itself, so a plugin never sees them: ` + "`host`, `port`, `tls` and `tls.*`, `match`, `alias`," + `
` + "`log_level`, `retry_limit`, `workers`, `net.*` and `storage.total_limit_size`" + `. Loki's address is therefore ` + "`url`" + `, and TLS is
` + "`ca_file`, `cert_file`, `key_file` and `insecure_skip_verify`" + `.

| written as | means |
|---|---|
`
	dst = append(dst, head...)
	for kind := Bool; kind <= Layout; kind++ {
		if kind != Choice {
			dst = fmt.Appendf(dst, "| %v | %s |\n", kind, kind.allowed())
		}
	}
	dst = append(dst, "\nSizes count K, M and G in thousands, as Fluent Bit does, and Ki, Mi and Gi in 1024s.\n"...)
	for _, group := range groups(Rows(^Scope(0))) {
		dst = fmt.Appendf(dst, "\n## %s\n\n| option | type | default | scope | |\n|---|---|---|---|---|\n", group[0].Group)
		for _, row := range group {
			dst = fmt.Appendf(dst, "| `%s` | %s | %s | %v | %s%s |\n",
				row.Name, row.typeCell(), row.defaultCell(), row.Scopes, strings.ReplaceAll(row.Help, "|", `\|`), row.secretNote())
		}
	}
	return dst
}

func (r *Row) typeCell() string {
	switch {
	case r.Kind == Choice:
		return "`" + strings.Join(r.Choices, "`, `") + "`"
	case r.Min != "" && r.Max != "":
		return fmt.Sprintf("%v, %s to %s", r.Kind, r.Min, r.Max)
	}
	return r.Kind.String()
}

func (r *Row) defaultCell() string {
	switch {
	case r.Required:
		return "required"
	case r.Default == "":
		return ""
	}
	return "`" + r.Default + "`"
}

func (r *Row) secretNote() string {
	switch {
	case r.Secret:
		return " Never shown."
	case r.SecretParts:
		return " Shown without passwords."
	}
	return ""
}

// AppendText appends the options of some scopes as plain text of some 80 columns.
func AppendText(dst []byte, scopes Scope) []byte {
	for i, group := range groups(Rows(scopes)) {
		if i > 0 {
			dst = append(dst, '\n')
		}
		dst = fmt.Appendf(dst, "%s\n", strings.ToUpper(group[0].Group))
		for _, row := range group {
			dst = fmt.Appendf(dst, "\n  %s  (%s; %v)\n", row.Name, plain(row.typeCell()), row.Scopes)
			dst = appendWrapped(dst, plain(row.Help)+row.secretNote(), "      ", 80)
			switch {
			case row.Required:
				dst = append(dst, "      Required.\n"...)
			case row.Default != "":
				dst = fmt.Appendf(dst, "      Default: %s\n", row.Default)
			}
		}
	}
	return dst
}

// plain removes Markdown's code marks.
func plain(text string) string { return strings.ReplaceAll(text, "`", "") }

// appendWrapped appends text broken at blanks into indented lines of at most width columns.
func appendWrapped(dst []byte, text, indent string, width int) []byte {
	column := 0
	for word := range strings.FieldsSeq(text) {
		switch {
		case column == 0:
			dst = append(dst, indent...)
			column = len(indent)
		case column+1+len(word) > width:
			dst = append(dst, '\n')
			dst = append(dst, indent...)
			column = len(indent)
		default:
			dst = append(dst, ' ')
			column++
		}
		dst = append(dst, word...)
		column += len(word)
	}
	if column > 0 {
		dst = append(dst, '\n')
	}
	return dst
}
