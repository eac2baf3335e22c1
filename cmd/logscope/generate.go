package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/logscope/logscope/cmd/logscope/internal/genlog"
)

// spacingRate is how many lines a second there are in log time where nobody waits for them.
const spacingRate = 10

// generateFlags are the flags of generate as they are given.
type generateFlags struct {
	cfg      genlog.Config
	start    string
	duration time.Duration
	lines    int64
	format   string
	output   string
	tcp      string
	truth    string
	services []string
}

func newGenerate(term terminal) *cobra.Command {
	var kinds strings.Builder
	for _, name := range genlog.Kinds() {
		fmt.Fprintf(&kinds, "  %-12s %s\n", name, genlog.Help(name))
	}
	cmd := &cobra.Command{
		Use:   "generate [flags]",
		Short: "Write realistic logs of several services, with faults whose place is known",
		Long: `Write the logs of a shop that does not exist: a web proxy's access log (web), an
API that logs JSON (api), PostgreSQL's log (db), a worker that logs logfmt
(worker) and a Java service with stack traces (billing). A share of the lines
belongs to faults of these kinds:

` + kinds.String() + `
Lines are written when their time comes; those whose time has passed, at once:
with --start -15m a quarter of an hour is there from the beginning. The same
flags, seed and start give the same bytes.

A file is appended to. In a directory (which exists, or ends in /) every
service gets a file of its own. Over TCP, a connection that breaks is made anew,
for ever; the last lines before may be missing or come twice.

--format json writes each record as an object with time, service and log; a
stack trace is then one record, and a line of its own otherwise.

--truth writes a JSON object for each record that belongs to a fault: fault
(number), kind, service, time, file and line_no as "logscope scan" names them,
lines, text; for a silence, time and until instead. Lines are counted from the start of
this run.

It runs until it is interrupted, unless --lines or --duration is set.`,
		Example: `  logscope generate --rate 50
  logscope generate --rate 0 --lines 20000 --output logs/ --truth truth.ndjson
  logscope generate --tcp 127.0.0.1:5170 --format json --start -15m`,
		Args: cobra.NoArgs,
	}
	f := &generateFlags{}
	f.add(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		w, err := f.writer(term, time.Now())
		if err != nil {
			return err
		}
		return w.run(cmd.Context())
	}
	return cmd
}

func (f *generateFlags) add(flags *pflag.FlagSet) {
	flags.SortFlags = false
	flags.Float64Var(&f.cfg.Rate, "rate", 10, fmt.Sprintf("lines a second; 0: as fast as possible, with times as at %d", spacingRate))
	flags.Float64Var(&f.cfg.AnomalyRate, "anomaly-rate", 0.02, "share of lines that belong to faults, 0 to 0.5")
	flags.StringSliceVar(&f.cfg.Kinds, "kinds", nil, "kinds of faults, separated by commas (default: all)")
	flags.IntVar(&f.cfg.Calm, "calm", 0, "records before the first fault")
	flags.StringSliceVar(&f.services, "services", nil, "write only these services' lines, separated by commas (default: all)")
	flags.Uint64Var(&f.cfg.Seed, "seed", 1, "other seeds make other logs")
	flags.StringVar(&f.start, "start", "now", "time of the first line: 2026-01-02T15:04:05Z, now, or a time from now such as -15m")
	flags.DurationVar(&f.duration, "duration", 0, "ends when so much log time has been written")
	flags.Int64Var(&f.lines, "lines", 0, "ends after so many lines; a stack trace is not cut")
	flags.StringVar(&f.format, "format", "lines", "lines or json")
	flags.StringVar(&f.output, "output", "-", "file, directory, or - for standard output")
	flags.StringVar(&f.tcp, "tcp", "", "host:port to send to instead")
	flags.StringVar(&f.truth, "truth", "", "file for the truth about faults, replaced if it exists")
}

// writer checks the flags, opens what they name and returns what does the work.
func (f *generateFlags) writer(term terminal, now time.Time) (*logWriter, error) {
	w := &logWriter{linesMax: f.lines, json: f.format == "json", pace: f.cfg.Rate != 0, term: term}
	cfg := f.cfg
	if !w.pace {
		cfg.Rate = spacingRate
	}
	var err error
	if cfg.Start, err = parseStart(f.start, now); err != nil {
		return nil, usageError(err)
	}
	if f.duration > 0 {
		w.end = cfg.Start.Add(f.duration)
	}
	if w.gen, err = genlog.New(cfg); err != nil {
		return nil, usageError(err)
	}
	for _, name := range f.services {
		if !slices.Contains(genlog.Services(), name) {
			return nil, usageError(fmt.Errorf("got the service %q; want one of %s", name, strings.Join(genlog.Services(), ", ")))
		}
	}
	w.services = f.services
	switch {
	case f.format != "lines" && f.format != "json":
		return nil, usageError(fmt.Errorf("got the format %q; want lines or json", f.format))
	case f.lines < 0 || f.duration < 0:
		return nil, usageError(errors.New("--lines and --duration must not be negative; 0 means without end"))
	case !w.pace && f.lines == 0 && f.duration == 0:
		return nil, usageError(errors.New("--rate 0 without --lines or --duration would fill the disk: set one of them, or a rate"))
	case f.tcp != "" && f.output != "-":
		return nil, usageError(errors.New("--tcp and --output exclude each other"))
	}
	if w.out, err = openLogOut(f.output, f.tcp, term); err != nil {
		return nil, err
	}
	if f.truth != "" {
		if w.truth, err = createTruth(f.truth); err != nil {
			return nil, errors.Join(err, w.out.close())
		}
	}
	return w, nil
}

// parseStart reads --start.
func parseStart(text string, now time.Time) (time.Time, error) {
	if text == "now" {
		return now.UTC().Truncate(time.Microsecond), nil
	}
	if d, err := time.ParseDuration(text); err == nil {
		return now.UTC().Truncate(time.Microsecond).Add(d), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || t.Year() < 1970 || t.Year() > 9000 {
		return time.Time{}, fmt.Errorf("got --start %q; want a time such as 2026-01-02T15:04:05Z, now, or a time from now such as -15m", text)
	}
	return t.UTC().Truncate(time.Microsecond), nil
}

// logWriter writes records of a generator where they are wanted, when their time comes.
type logWriter struct {
	gen      *genlog.Generator
	out      logOut
	truth    *truthFile
	services []string // empty: all
	json     bool
	pace     bool
	linesMax int64     // 0: no limit
	end      time.Time // zero: none
	term     terminal
	written  int64
	buf      []byte
}

// run writes until the limits are reached or the context ends, which is no error:
// without limits it is how it always ends.
func (w *logWriter) run(ctx context.Context) error {
	err := w.loop(ctx)
	if err == nil {
		err = w.out.flush(ctx)
	}
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	err = errors.Join(err, w.out.close())
	if w.truth != nil {
		err = errors.Join(err, w.truth.close())
	}
	return err
}

func (w *logWriter) loop(ctx context.Context) error {
	for w.linesMax == 0 || w.written < w.linesMax {
		r := w.gen.Next()
		if !w.end.IsZero() && r.Time.After(w.end) {
			return nil
		}
		if len(w.services) > 0 && !slices.Contains(w.services, r.Service) {
			continue
		}
		if err := w.waitFor(ctx, r.Time); err != nil {
			return err
		}
		if err := w.write(ctx, &r); err != nil {
			return err
		}
	}
	return nil
}

// waitFor waits until a time has come; what has been written is seen meanwhile.
func (w *logWriter) waitFor(ctx context.Context, at time.Time) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !w.pace {
		return nil
	}
	d := time.Until(at)
	if d <= 0 {
		return nil
	}
	if err := w.out.flush(ctx); err != nil {
		return err
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func (w *logWriter) write(ctx context.Context, r *genlog.Record) error {
	at := place{}
	if r.Text != "" {
		w.buf = w.buf[:0]
		if w.json {
			w.buf = appendRecord(w.buf, r)
		} else {
			w.buf = append(append(w.buf, r.Text...), '\n')
		}
		var err error
		if at, err = w.out.write(ctx, r.Service, w.buf); err != nil {
			return err
		}
		w.written += int64(lineFeeds(w.buf))
	}
	if w.truth == nil || r.Fault == 0 {
		return nil
	}
	return w.truth.write(r, at, lineFeeds(w.buf))
}

// appendRecord appends a record as an object.
func appendRecord(dst []byte, r *genlog.Record) []byte {
	dst = append(dst, `{"time":"`...)
	dst = r.Time.AppendFormat(dst, "2006-01-02T15:04:05.000000Z")
	dst = append(dst, `","service":"`...)
	dst = append(dst, r.Service...)
	dst = append(dst, `","log":`...)
	dst = appendString(dst, r.Text)
	return append(dst, '}', '\n')
}

// truthFile is what --truth names.
type truthFile struct {
	encoder *json.Encoder
	file    io.WriteCloser
}

// truthRecord is one line of the truth.
type truthRecord struct {
	Fault   int        `json:"fault"`
	Kind    string     `json:"kind"`
	Service string     `json:"service"`
	Time    time.Time  `json:"time"`
	Until   *time.Time `json:"until,omitempty"`
	File    string     `json:"file,omitempty"`
	LineNo  uint64     `json:"line_no,omitempty"`
	Lines   int        `json:"lines,omitempty"`
	Text    string     `json:"text,omitempty"`
}

func (t *truthFile) write(r *genlog.Record, at place, lines int) error {
	line := truthRecord{Fault: r.Fault, Kind: r.Kind, Service: r.Service, Time: r.Time}
	if r.Text == "" {
		line.Until = &r.Until
	} else {
		line.File, line.LineNo, line.Lines, line.Text = at.file, at.line, lines, r.Text
	}
	if err := t.encoder.Encode(line); err != nil {
		return fmt.Errorf("cannot write the truth: %w", cause(err))
	}
	return nil
}

func (t *truthFile) close() error {
	if err := t.file.Close(); err != nil {
		return fmt.Errorf("cannot write the truth: %w", cause(err))
	}
	return nil
}
