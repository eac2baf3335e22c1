// Package conf holds the one option table of logscope. Each row is an option:
// its name, type, default, bounds and help. The parser, the command's flags,
// the environment variables, the YAML config_file, the reference page, the
// sample configurations and the start-up dump are all made from the rows.
package conf

import (
	"fmt"
	"strings"
	"time"

	"github.com/logscope/logscope/plugin/pipeline"
)

//go:generate go test -run ^TestGenerated$ -count=1 . -update

// Scope says where an option can be used; scopes may be combined.
type Scope uint8

// Scopes.
const (
	Plugin Scope = 1 << iota // the Fluent Bit output plugin
	Scan                     // logscope scan
	Serve                    // logscope serve
	Pipe                     // logscope pipe
)

// String names the scopes in s.
func (s Scope) String() string {
	var names []string
	for i, name := range []string{"plugin", "scan", "serve", "pipe"} {
		if s&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// ParseScope reads the name of one scope.
func ParseScope(name string) (Scope, error) {
	for _, scope := range []Scope{Plugin, Scan, Serve, Pipe} {
		if strings.EqualFold(name, scope.String()) {
			return scope, nil
		}
	}
	return 0, fmt.Errorf("scope %q: allowed are %v", name, Plugin|Scan|Serve|Pipe)
}

// Row is one option.
type Row struct {
	// Name is the option's name in its canonical spelling: lower case, words joined by _.
	Name string
	Kind Kind
	// Default is the default as a user would write it; empty where there is none.
	Default string
	// Min and Max bound numbers; empty where there is no bound.
	Min, Max string
	// Choices are the values allowed for Choice.
	Choices []string
	// Required says that the option must be given.
	Required bool
	// Secret says that the value is never shown; SecretParts, that it may hold
	// a password (a URL, headers) and is shown without it.
	Secret, SecretParts bool
	Scopes              Scope
	Group               string
	// Help is what the option does, in Markdown without line breaks.
	Help string
	// Sample is a value to show in the sample configurations; empty: the default, commented out.
	Sample string

	set func(*Settings, Value)
}

// Settings is a whole configuration, checked.
type Settings struct {
	// Pipeline configures the plugin and serve. With scopes Scan and Pipe only its Engine is filled.
	Pipeline pipeline.Config
	// Metrics is where the plugin shows itself.
	Metrics MetricsSettings
	// View is where the plugin shows the live view.
	View ViewSettings
	// Scan configures logscope scan, Serve logscope serve and pipe.
	Scan  ScanSettings
	Serve ServeSettings
	// Warnings are for the operator: the configuration works, but not as it may be thought to.
	Warnings []string

	scope        Scope
	rows         []Row
	given        map[string]given
	fileBroken   bool // what is not given may stand in the part of config_file that was not read
	labels       []pipeline.LabelSource
	labelKeys    []pipeline.Path
	labelMapPath string
	metadata     []pipeline.LabelSource
	removeKeys   []pipeline.Path
}

// MetricsSettings say where the plugin serves its metrics.
type MetricsSettings struct {
	// Listen is a host and port; empty: nowhere.
	Listen string
	Pprof  bool
}

// ViewSettings say where the plugin serves the live view, and under which names.
type ViewSettings struct {
	// Listen is a host and port; empty: nowhere.
	Listen  string
	Origins []string
}

// Output is the form of what logscope scan prints.
type Output uint8

// Outputs.
const (
	OutputText Output = iota
	OutputNDJSON
)

// Color says when text output is coloured.
type Color uint8

// Values of Color.
const (
	ColorAuto Color = iota
	ColorAlways
	ColorNever
)

// ScanSettings are the options of logscope scan that concern no engine.
type ScanSettings struct {
	// All prints every line, not only anomalies.
	All    bool
	Output Output
	// Raw says that the whole line is message, with no header to look for.
	Raw           bool
	Color         Color
	FailOnAnomaly bool
}

// ServeSettings are the options of logscope serve that concern no pipeline. Of
// them pipe has the two for sockets and the length of a line.
type ServeSettings struct {
	// Listen, ListenTCP and ListenUnix are where to listen: a host and port, or a path; empty: not.
	Listen, ListenTCP, ListenUnix string
	TLSCertFile, TLSKeyFile       string
	BasicAuthFile, AuthTokenFile  string
	AllowedOrigins                []string
	BodyBytesMax, DecodedBytesMax int64
	InflightMax, LineBytesMax     int64
	ConnectionsMax                int
	HeaderTimeout, BodyTimeout    time.Duration
	IdleTimeout                   time.Duration
}

// given is an option as it was written, and where.
type given struct {
	raw    raw
	origin string
}
