package main

import (
	"strings"

	"github.com/spf13/pflag"

	"github.com/logscope/logscope/conf"
)

// flag is one option of the table as a flag. Its value is checked by conf, with all others.
type flag struct {
	row  conf.Row
	text string
}

func (f *flag) String() string { return f.text }

func (f *flag) Set(text string) error {
	f.text = text
	return nil
}

func (f *flag) Type() string {
	switch f.row.Kind {
	case conf.Choice:
		return strings.Join(f.row.Choices, "|")
	case conf.Text, conf.Key, conf.KeyList, conf.Labels, conf.Headers, conf.Layout:
		return "text"
	case conf.Bool:
		return "" // pflag writes a type behind the default of an optional value, which misleads
	}
	return f.row.Kind.String()
}

// addFlags makes a flag of every option of a scope. The lookup that it returns
// finds an option on the command line, else in the environment.
func addFlags(flags *pflag.FlagSet, scope conf.Scope, env func(string) (string, bool)) func(string) (string, bool) {
	flags.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		return pflag.NormalizedName(strings.ReplaceAll(name, "_", "-"))
	})
	for _, row := range conf.Rows(scope) {
		added := flags.VarPF(&flag{row: row, text: row.Default}, row.FlagName(), "", strings.ReplaceAll(row.Help, "`", ""))
		if row.Kind == conf.Bool {
			added.NoOptDefVal, added.DefValue = "on", ""
		}
	}
	return func(name string) (string, bool) {
		if found := flags.Lookup(name); found != nil && found.Changed {
			return found.Value.String(), true
		}
		return env("LOGSCOPE_" + strings.ToUpper(name))
	}
}
