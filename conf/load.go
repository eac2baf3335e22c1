package conf

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/logscope/logscope/loki"
	"github.com/logscope/logscope/plugin/pipeline"
)

// Options that the parser itself knows.
const (
	optionURL        = "url"
	optionConfigFile = "config_file"
)

const secretMask = "********"

// raw is the value of an option before it is parsed. A config_file may give
// items or pairs where other sources have only text.
type raw struct {
	text  string
	items []string
	pairs [][2]string
}

func (r raw) empty() bool { return r.text == "" && len(r.items) == 0 && len(r.pairs) == 0 }

// Error is one fault in the configuration.
type Error struct {
	// Option is the option's canonical name, Given its value as shown to people.
	Option, Given string
	// Allowed says what may be given instead.
	Allowed string
	// Origin says where the value stands, empty for the place options usually stand at.
	Origin string
	Err    error
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "option %s %q", e.Option, e.Given)
	if e.Origin != "" {
		fmt.Fprintf(&b, " (%s)", e.Origin)
	}
	fmt.Fprintf(&b, ": %v", e.Err)
	if e.Allowed != "" {
		fmt.Fprintf(&b, "; allowed: %s", e.Allowed)
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// Load reads the options of one scope. lookup returns the value of an option
// by its name; it is asked for several spellings of each, all in lower case,
// so it may, but need not, ignore case. A value that is empty or blank counts as
// not given. The options of a config_file come after those that lookup has.
//
// All faults are reported at once, joined. No fault shows a secret.
func Load(scope Scope, lookup func(name string) (string, bool)) (*Settings, error) {
	l := loader{
		lookup: lookup,
		s: &Settings{
			Pipeline: pipeline.DefaultConfig(),
			scope:    scope,
			rows:     Rows(scope),
			given:    make(map[string]given),
		},
	}
	l.collect()
	l.fromFile()
	l.masking()
	for i := range l.s.rows {
		l.apply(&l.s.rows[i])
	}
	l.foreign()
	l.errs = append(l.errs, l.s.finish())
	if err := errors.Join(l.errs...); err != nil {
		return nil, err
	}
	return l.s, nil
}

type loader struct {
	lookup func(name string) (string, bool)
	s      *Settings
	errs   []error
}

// find looks a name up in all its spellings.
func (l *loader) find(name string) (text, spelling string) {
	for _, spelling := range spellings(name) {
		if text, ok := l.lookup(spelling); ok {
			if text = strings.TrimSpace(text); text != "" {
				return text, spelling
			}
		}
	}
	return "", ""
}

// collect asks for every option. Two spellings of one option must agree.
func (l *loader) collect() {
	for _, row := range l.s.rows {
		text, spelling := l.find(row.Name)
		if text == "" {
			continue
		}
		for _, other := range spellings(row.Name) {
			if value, ok := l.lookup(other); ok && strings.TrimSpace(value) != "" && strings.TrimSpace(value) != text {
				l.errs = append(l.errs, fmt.Errorf("option %s is given twice, as %s and as %s, with different values; remove one", row.Name, spelling, other))
			}
		}
		l.s.given[row.Name] = given{raw: raw{text: text}}
	}
}

// fromFile adds the options of config_file that are not given otherwise.
func (l *loader) fromFile() {
	file, ok := l.s.given[optionConfigFile]
	if !ok {
		return
	}
	fromFile, err := readFile(file.raw.text, l.s.scope, l.s.rows)
	if err != nil {
		l.errs = append(l.errs, err)
		l.s.fileBroken = true
	}
	for name, value := range fromFile {
		if _, ok := l.s.given[name]; !ok {
			l.s.given[name] = value
		}
	}
}

// apply parses the value of a row, or its default, and stores it.
func (l *loader) apply(row *Row) {
	in, ok := l.s.given[row.Name]
	if !ok {
		if row.Default == "" {
			return
		}
		in.raw.text = row.Default
	}
	value, err := row.parseRaw(in.raw)
	if err != nil {
		l.errs = append(l.errs, &Error{
			Option: row.Name, Given: row.showRaw(in.raw), Allowed: row.Allowed(), Origin: in.origin, Err: row.hide(err),
		})
		// The default stands in, so that comparing options does not find the same fault again.
		if value, err = row.parse(row.Default); row.Default == "" || err != nil {
			return
		}
	}
	row.set(l.s, value)
}

// parseRaw parses items and pairs one by one, so that they need no quoting.
func (r *Row) parseRaw(in raw) (Value, error) {
	var all Value
	switch {
	case len(in.pairs) > 0 && r.Kind == Labels:
		for _, pair := range in.pairs {
			source, err := labelOfPair(pair[0], pair[1])
			if err != nil {
				return all, err
			}
			all.Sources = append(all.Sources, source)
		}
		return all, nil
	case len(in.pairs) > 0:
		for _, pair := range in.pairs {
			in.items = append(in.items, pair[0]+": "+pair[1])
		}
	case len(in.items) == 0:
		return r.parse(in.text)
	}
	for _, item := range in.items {
		v, err := r.parse(strings.TrimSpace(item))
		if err != nil {
			return all, err
		}
		all.Paths = append(all.Paths, v.Paths...)
		all.Sources = append(all.Sources, v.Sources...)
		all.Headers = append(all.Headers, v.Headers...)
	}
	return all, nil
}

// labelOfPair reads one pair of a YAML mapping: a value that begins with $ is an accessor.
func labelOfPair(name, value string) (pipeline.LabelSource, error) {
	if !strings.HasPrefix(value, "$") {
		if value == "" {
			return pipeline.LabelSource{}, fmt.Errorf("the value of label %q is empty; Loki knows no empty label", name)
		}
		return pipeline.LabelSource{Name: name, Literal: value}, nil
	}
	s := scanner{text: value}
	path, err := s.accessor()
	if err == nil && !s.done() {
		err = s.fail(s.pos, "nothing may follow the accessor")
	}
	return pipeline.LabelSource{Name: name, Path: path}, err
}

// String writes the value as it would stand in one line.
func (r raw) String() string {
	switch {
	case len(r.pairs) > 0:
		var parts []string
		for _, pair := range r.pairs {
			parts = append(parts, pair[0]+"="+pair[1])
		}
		return strings.Join(parts, ", ")
	case len(r.items) > 0:
		return strings.Join(r.items, ", ")
	}
	return r.text
}

// checkRequired reports required options that are not given.
func (s *Settings) checkRequired() error {
	var errs []error
	for _, row := range s.rows {
		if _, ok := s.given[row.Name]; ok || !row.Required || s.fileBroken {
			continue
		}
		if row.Name == optionURL && s.scope == Serve {
			errs = append(errs, errors.New("option url is missing: give Loki's address, such as --url http://loki:3100"))
			continue
		}
		if row.Name == optionURL {
			errs = append(errs, errors.New("option url is missing: give Loki's address, such as url http://loki:3100"+
				" (Fluent Bit keeps host, port and tls for itself: if they are set, logscope cannot see them)"))
			continue
		}
		errs = append(errs, fmt.Errorf("option %s is missing", row.Name))
	}
	return errors.Join(errs...)
}

// finish derives what depends on several options and checks the whole.
func (s *Settings) finish() error {
	if s.scope&(Plugin|Serve) == 0 {
		return s.Pipeline.Engine.Validate()
	}
	errs := []error{s.checkRequired()}
	if s.Metrics.Pprof && s.Metrics.Listen == "" {
		errs = append(errs, errors.New("option metrics_pprof is on but metrics_listen is not given: profiles need an address, such as metrics_listen 2021"))
	}
	errs = append(errs, s.checkView()...)
	errs = append(errs, s.finishLabels()...)
	for name := range s.Pipeline.Loki.Headers {
		if _, basic := s.given["http_user"]; strings.EqualFold(name, "Authorization") && basic {
			errs = append(errs, errors.New("options header and http_user: both say how to authenticate; remove one"))
		}
	}
	check := s.Pipeline
	if backoff := &check.Loki.Backoff; backoff.MinBackoff > backoff.MaxBackoff {
		errs = append(errs, fmt.Errorf("option min_backoff %s: must not be above max_backoff, which is %s",
			formatDuration(backoff.MinBackoff), formatDuration(backoff.MaxBackoff)))
		backoff.MaxBackoff = backoff.MinBackoff
	}
	if check.Loki.URL == "" {
		check.Loki.URL = "http://loki" // its absence is told above, in better words
	}
	errs = append(errs, check.Validate())
	return errors.Join(errs...)
}

// finishLabels builds the sources of labels and metadata, and the keys to remove.
func (s *Settings) finishLabels() (errs []error) {
	shape := &s.Pipeline.Shape
	shape.Labels = slices.Clone(s.labels)
	for _, path := range s.labelKeys {
		shape.Labels = append(shape.Labels, pipeline.LabelSource{Name: nameOfPath(path), Path: path})
	}
	if s.labelMapPath != "" {
		var err error
		if shape.LabelMap, err = readLabelMap(s.labelMapPath); err != nil {
			errs = append(errs, &Error{Option: "label_map_path", Given: s.labelMapPath, Err: err})
		}
	}
	shape.Metadata = slices.Clone(s.metadata)
	s.mendNames("labels", shape.Labels)
	s.mendNames("label_map_path", shape.LabelMap)
	s.mendNames("structured_metadata", shape.Metadata)
	all := slices.Concat(shape.Labels, shape.LabelMap)
	errs = append(errs, checkNames("labels, label_keys and label_map_path", all)...)
	errs = append(errs, checkNames("structured_metadata", shape.Metadata)...)
	errs = append(errs, s.checkReserved(all)...)
	s.removals()
	s.warnDots(slices.Concat(all, shape.Metadata))
	return errs
}

// mendNames makes names valid, and says so.
func (s *Settings) mendNames(option string, sources []pipeline.LabelSource) {
	for i, source := range sources {
		name := loki.MendLabelName(source.Name)
		if name == source.Name {
			continue
		}
		s.Warnings = append(s.Warnings, fmt.Sprintf("option %s: Loki takes letters, digits and _ in a name, so %q becomes %q", option, source.Name, name))
		sources[i].Name = name
	}
}

func checkNames(options string, sources []pipeline.LabelSource) (errs []error) {
	seen := make(map[string]bool)
	for _, source := range sources {
		if seen[source.Name] {
			errs = append(errs, fmt.Errorf("options %s: the name %q is given twice; write other=$key to give one of them another", options, source.Name))
		}
		seen[source.Name] = true
	}
	return errs
}

// checkReserved keeps the names free that anomalous entries get from logscope.
func (s *Settings) checkReserved(sources []pipeline.LabelSource) (errs []error) {
	if !s.Pipeline.Score || s.Pipeline.Annotate != pipeline.AnnotateLabels {
		return nil
	}
	for _, source := range sources {
		if slices.Contains([]string{"anomaly", "reason", "score_bucket"}, source.Name) {
			errs = append(errs, fmt.Errorf("option labels: logscope itself sets the label %q on anomalous entries; give yours another name (log_%[1]s=...), or set annotate to line or off", source.Name))
		}
	}
	return errs
}

// removals collects the keys that are left out of the line: as in Fluent Bit's
// loki, those removed by name and those that labels and metadata take.
func (s *Settings) removals() {
	paths := slices.Clone(s.removeKeys)
	for _, source := range slices.Concat(s.Pipeline.Shape.Labels, s.Pipeline.Shape.Metadata) {
		if source.Path != nil {
			paths = append(paths, source.Path)
		}
	}
	s.Pipeline.Shape.Remove = nil
	for _, path := range paths {
		if !slices.ContainsFunc(s.Pipeline.Shape.Remove, func(p pipeline.Path) bool { return slices.Equal(p, path) }) {
			s.Pipeline.Shape.Remove = append(s.Pipeline.Shape.Remove, path)
		}
	}
}

// warnDots finds $kubernetes.pod_name, which Fluent Bit takes for one key with a dot in its name.
func (s *Settings) warnDots(sources []pipeline.LabelSource) {
	for _, source := range sources {
		if len(source.Path) == 1 && strings.HasPrefix(source.Path[0], "kubernetes.") {
			nested := formatPath(strings.Split(source.Path[0], "."))
			s.Warnings = append(s.Warnings, fmt.Sprintf("$%s is one key with dots in its name; the nested one is written %s", source.Path[0], nested))
		}
	}
}
