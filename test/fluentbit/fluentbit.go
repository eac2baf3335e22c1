// Package fluentbit runs a real Fluent Bit with logscope's plugin.
package fluentbit

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/logscope/logscope/test/child"
)

// StopWithin is Fluent Bit's grace period of 5 s, and time for a busy machine.
const StopWithin = 20 * time.Second

// Fluentbit is an installed Fluent Bit.
type Fluentbit struct {
	Path, Version string
}

// Find looks for fluent-bit on PATH.
func Find(ctx context.Context) (Fluentbit, bool) {
	path, err := exec.LookPath("fluent-bit")
	if err != nil {
		return Fluentbit{}, false
	}
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return Fluentbit{}, false
	}
	version, _, _ := strings.Cut(string(out), "\n")
	return Fluentbit{path, version}, true
}

// Start starts Fluent Bit with the plugin and the configuration, which is
// written into dir as fluent-bit.conf and parsers.conf.
func (f Fluentbit) Start(plugin, dir string, config *Config) (*child.Process, error) {
	for name, text := range map[string]string{"fluent-bit.conf": config.Text(), "parsers.conf": config.Parsers()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	cmd := exec.Command(f.Path, "-e", plugin, "-c", filepath.Join(dir, "fluent-bit.conf"))
	cmd.Dir = dir
	return child.Start(cmd)
}

// Command returns a command that runs it.
func (f Fluentbit) Command(args ...string) *exec.Cmd { return exec.Command(f.Path, args...) }
