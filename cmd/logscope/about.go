package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/logscope/logscope/conf"
)

func newVersion(term terminal) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version and what it was built from",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			info, _ := debug.ReadBuildInfo()
			_, err := fmt.Fprintln(term.out, versionText(version, info))
			return err
		},
	}
}

// versionText names the release, the revision and the compiler; info may be nil.
func versionText(release string, info *debug.BuildInfo) string {
	text := "logscope " + release
	if info == nil {
		return text
	}
	settings := make(map[string]string)
	for _, setting := range info.Settings {
		settings[setting.Key] = setting.Value
	}
	if revision := settings["vcs.revision"]; revision != "" {
		text += ", revision " + revision[:min(12, len(revision))]
		if settings["vcs.modified"] == "true" {
			text += " with changes"
		}
		if when := settings["vcs.time"]; when != "" {
			text += " of " + when
		}
	}
	return fmt.Sprintf("%s, %s %s/%s", text, info.GoVersion, runtime.GOOS, runtime.GOARCH)
}

func newOptions(term terminal) *cobra.Command {
	scopes := ^conf.Scope(0)
	cmd := &cobra.Command{
		Use:   "options",
		Short: "List every option of the plugin and of this command",
		Long: `List every option of the plugin and of this command, with type, default and help.

Options of scan, serve and pipe are flags (--max-models), environment variables (LOGSCOPE_MAX_MODELS)
and keys of the YAML file that --config-file names.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := term.out.Write(conf.AppendText(nil, scopes))
			return err
		},
	}
	cmd.Flags().Func("scope", "plugin, scan, serve or pipe; all where not given", func(name string) (err error) {
		scopes, err = conf.ParseScope(name)
		return err
	})
	return cmd
}
