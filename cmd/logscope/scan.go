package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sort"
	"time"

	"github.com/spf13/cobra"

	"github.com/logscope/logscope/conf"
	"github.com/logscope/logscope/engine"
	"github.com/logscope/logscope/engine/drain"
	"github.com/logscope/logscope/plugin/pipeline"
)

// outBytes is the buffer of standard output.
const outBytes = 64 << 10

func newScan(term terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "scan [flags] FILE|DIRECTORY|PATTERN|-...",
		Short: "Read logs and print what is unusual in them",
		Long: `Read logs in order, learn from them as they pass, and print what is unusual.

Each file is a stream of its own, with a model of its own. Of a directory, every
file below it is read, sorted, without binary and hidden ones. Files compressed
with gzip are unpacked. - is standard input, which may be a pipe that stays open.

Every flag is also an environment variable (--max-models is LOGSCOPE_MAX_MODELS)
and a key of the YAML file that --config-file names (max_models).

Exit status: 0 done, 1 something could not be read, 2 wrong usage, 3 there was an
anomaly and --fail-on-anomaly is set.`,
		Example: `  logscope scan /var/log/syslog
  logscope scan --output ndjson --all app.log | jq 'select(.score > 0.3)'
  kubectl logs -f deploy/shop | logscope scan -`,
		Args: cobra.MinimumNArgs(1),
	}
	lookup := addFlags(cmd.Flags(), conf.Scan, term.env)
	if f := cmd.Flags().Lookup("without"); f != nil {
		f.Hidden = true // for evaluation only; the reference page has it
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		settings, err := conf.Load(conf.Scan, lookup)
		if err != nil {
			return usageError(err)
		}
		for _, warning := range settings.Warnings {
			fmt.Fprintf(term.err, "logscope: %s\n", visible(warning, true))
		}
		inputs, err := expand(args)
		if err != nil {
			return err
		}
		s, err := newScanner(settings, term, sizeOf(inputs))
		if err != nil {
			return err
		}
		return s.run(cmd.Context(), inputs)
	}
	return cmd
}

// printer writes verdicts in one of the forms of output. Lines are valid during the call only.
type printer interface {
	record(at place, line []byte, v *engine.Verdict)
	event(at place, ev *engine.Event)
	summary(s *summary)
}

// place says where a line stands.
type place struct {
	file string
	line uint64
}

// span says which records of the engine are which lines of a file.
type span struct {
	first uint64 // sequence number of the file's line 1
	file  string
}

// scanner scans inputs one after the other with one engine.
type scanner struct {
	settings conf.ScanSettings
	term     terminal
	engine   *engine.Engine
	masks    []drain.Mask
	out      *bufio.Writer
	print    printer
	progress *progress
	spans    []span
	sum      summary
	// failed says that an input could not be read whole; it has been told.
	failed bool

	// Reused from block to block.
	records  []engine.Record
	verdicts []engine.Verdict
	events   []engine.Event
}

func newScanner(settings *conf.Settings, term terminal, size int64) (*scanner, error) {
	cfg := settings.Pipeline.Engine
	if runtime.GOMAXPROCS(0) > 1 {
		cfg.Ahead = drain.NewAhead(func(work func()) { go work() }, nil)
	}
	e, err := engine.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("cannot start the engine: %w", err)
	}
	if path := settings.Pipeline.MuteFile; path != "" {
		mutes, err := pipeline.ReadMutes(path)
		if err != nil {
			return nil, usageError(err)
		}
		active, expired := pipeline.Mutes(mutes, time.Now())
		e.SetMutes(active)
		for _, entry := range expired {
			fmt.Fprintf(term.err, "logscope: mute_file %q: expired, not applied: %s\n", visible(path, true), visible(entry, true))
		}
	}
	s := &scanner{settings: settings.Scan, term: term, engine: e, masks: settings.Pipeline.Engine.Masks, out: bufio.NewWriterSize(term.out, outBytes)}
	s.sum.started = time.Now()
	if term.errTTY && size > 0 {
		s.progress = newProgress(term.err, term.width, size, s.sum.started)
	}
	if settings.Scan.Output == conf.OutputNDJSON {
		s.print = &ndjson{out: s.out, all: settings.Scan.All}
		return s, nil
	}
	s.print = &text{out: s.out, all: settings.Scan.All, paint: paint(useColor(settings.Scan.Color, term))}
	return s, nil
}

// useColor decides on colours; https://no-color.org says what NO_COLOR means.
func useColor(when conf.Color, term terminal) bool {
	noColor, _ := term.env("NO_COLOR")
	return when == conf.ColorAlways || when == conf.ColorAuto && term.outTTY && noColor == ""
}

func (s *scanner) run(ctx context.Context, inputs []input) error {
	for _, in := range inputs {
		if err := s.scan(ctx, in); err != nil {
			return err
		}
		if ctx.Err() != nil {
			break
		}
	}
	s.engine.Finish()
	s.progress.clear()
	s.events = s.engine.Events(s.events[:0])
	s.printEvents(s.events)
	s.sum.finish(s.engine.Stats())
	for _, mask := range s.masks {
		if n := mask.GaveUp(); n > 0 {
			s.tell("the mask %q takes more than 0.1 s on a line and was left out %s: take nested repetition such as (a+)+ out of the pattern", mask.Pattern(), plural(n, "time"))
		}
	}
	s.print.summary(&s.sum)
	if err := s.flush(); err != nil {
		return err
	}
	switch {
	case ctx.Err() != nil:
		return &statusError{status: exitSignal}
	case s.failed:
		return &statusError{status: exitError}
	case s.settings.FailOnAnomaly && s.sum.anomalies > 0:
		return &statusError{status: exitAnomaly}
	}
	return nil
}

// scan scans one input. What is wrong with the input is told and does not keep
// the others from being scanned; an error is one of the output.
func (s *scanner) scan(ctx context.Context, in input) error {
	src, err := open(in, s.term.in)
	if errors.Is(err, errBinary) {
		s.tell("skipping %q: %v", in.name, err)
		return nil
	}
	if err != nil {
		s.fail("cannot read %q: %v", in.name, err)
		return nil
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer func() { _ = src.close() }() // only read from
	s.sum.files++
	s.spans = append(s.spans, span{first: s.sum.lines, file: in.name})
	before := s.progress.sofar()
	reader := newBlockReader(ctx, src)
	for line := uint64(0); ; {
		b := reader.next(ctx)
		if b == nil {
			return nil // interrupted: what has been scored stands
		}
		s.sum.cut += b.cut
		s.lines(in.name, line, b.lines)
		line += uint64(len(b.lines))
		if src.live || s.progress != nil {
			if err := s.flush(); err != nil {
				return err
			}
		}
		s.progress.show(before+b.read, &s.sum) // after what it must not stand before
		if err := s.outError(); err != nil {
			return err
		}
		if b.err != nil {
			if !ended(b.err) && ctx.Err() == nil {
				s.fail("cannot read %q beyond line %d: %v", in.name, line, cause(b.err))
			}
			return nil
		}
		reader.recycle(b)
	}
}

// lines scores and prints lines of a file; before is how many it had before them.
func (s *scanner) lines(file string, before uint64, lines [][]byte) {
	s.records = s.records[:0]
	for _, text := range lines {
		s.records = append(s.records, engine.Record{Stream: file, Line: text, Raw: s.settings.Raw})
	}
	s.verdicts = s.engine.Score(s.verdicts[:0], s.records)
	s.events = s.engine.Events(s.events[:0])
	first, next := s.sum.lines, 0
	s.sum.lines += uint64(len(lines))
	if s.needsClear() {
		s.progress.clear()
	}
	for i := range s.verdicts {
		v := &s.verdicts[i]
		s.sum.add(v)
		if s.settings.All || v.Anomaly {
			s.print.record(place{file, before + uint64(i) + 1}, lines[i], v)
		}
		// A finding stands where it was raised: it may be about a record far above.
		from := next
		for next < len(s.events) && s.events[next].At <= first+uint64(i) {
			next++
		}
		s.printEvents(s.events[from:next])
	}
	s.printEvents(s.events[next:])
}

// needsClear says that the output shares the terminal with the progress bar.
func (s *scanner) needsClear() bool { return s.progress != nil && s.term.outTTY }

// printEvents prints the findings that belong to no single line.
func (s *scanner) printEvents(events []engine.Event) {
	for i := range events {
		ev := &events[i]
		s.sum.addEvent(ev)
		if ev.Kind == engine.EventUnstructured {
			s.tell("%q: %s", ev.Stream, ev.Explanation)
		}
		if s.settings.All || ev.Anomaly {
			s.print.event(s.placeOf(ev.Seq), ev)
		}
	}
}

// placeOf finds the line of a record by its number in the engine.
func (s *scanner) placeOf(seq uint64) place {
	i := sort.Search(len(s.spans), func(i int) bool { return s.spans[i].first > seq }) - 1
	if i < 0 {
		return place{}
	}
	return place{s.spans[i].file, seq - s.spans[i].first + 1}
}

func (s *scanner) flush() error {
	if err := s.out.Flush(); err != nil {
		return fmt.Errorf("cannot write the output: %w", err)
	}
	return nil
}

// outError returns the error that a write has met; the buffer keeps it.
func (s *scanner) outError() error {
	if _, err := s.out.Write(nil); err != nil {
		return fmt.Errorf("cannot write the output: %w", err)
	}
	return nil
}

func (s *scanner) fail(format string, args ...any) {
	s.failed = true
	s.tell(format, args...)
}

// tell prints a message on standard error, above the progress bar.
func (s *scanner) tell(format string, args ...any) {
	s.progress.clear()
	fmt.Fprintf(s.term.err, "logscope: %s\n", visible(fmt.Sprintf(format, args...), true))
}
