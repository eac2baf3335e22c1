package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/logscope/logscope/engine"
	"github.com/logscope/logscope/plugin/pipeline"
)

// feedback is one call of the command.
type feedback struct {
	term                    terminal
	state, template, reason string
	value, stream           string
	variable                int
	engines                 []*engine.Engine // one, or of logscope serve one for each shard
	opinion                 engine.Opinion
	list                    bool
}

func newFeedback(term terminal) *cobra.Command {
	f := &feedback{term: term}
	cmd := &cobra.Command{
		Use:   "feedback --state FILE [--template-id ID [flags]] normal|anomalous|forget|list",
		Short: "Say of a finding that it is normal, or anomalous",
		Long: `Say of a finding that it is normal, or anomalous.

normal     It is not raised any more until it changes: another reason, variable or
           value, or a count or number twice as large, is another finding.
anomalous  It is raised again when it comes again, and counts for more.
forget     Takes back what was said of the template (and reason).
list       Shows the findings that are remembered, and what was said.

--state is the plugin's state_file. What you say goes to a file beside it,
FILE.feedback, one JSON object a line; neither the plugin nor a damaged state
takes it along. A plugin that runs takes it up with its next chunk, another one
when it starts. The template's id is logscope_template_id in Loki.

Without --variable and --value all findings about the template (and reason) that
are remembered are meant: the last 64 of each model.`,
		Example: `  logscope feedback --state /var/lib/logscope/state list
  logscope feedback --state /var/lib/logscope/state --template-id 93bb1b83e5cf8e2c --reason novelty normal`,
		Args: func(_ *cobra.Command, args []string) error { return f.parseArgs(args) },
		RunE: func(*cobra.Command, []string) error { return f.run(time.Now()) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.state, "state", "", "the plugin's state_file")
	flags.StringVar(&f.template, "template-id", "", "id of the template, 16 hexadecimal digits")
	flags.StringVar(&f.reason, "reason", "", "reason of the finding; all where it is not given")
	flags.IntVar(&f.variable, "variable", 0, "number of the variable that the finding is about, from 1")
	flags.StringVar(&f.value, "value", "", "value that the finding is about")
	flags.StringVar(&f.stream, "stream", "", "only in the model of this stream")
	return cmd
}

// parseArgs reads what is said.
func (f *feedback) parseArgs(args []string) error {
	said := strings.Join(args, " ")
	switch said {
	case "normal":
		f.opinion = engine.Normal
	case "anomalous":
		f.opinion = engine.Anomalous
	case "forget":
		f.opinion = engine.Forgotten
	case "list":
		f.list = true
	default:
		return fmt.Errorf("got %q; want one of normal, anomalous, forget and list", said)
	}
	if f.state == "" {
		return errors.New("--state is missing: give the plugin's state_file")
	}
	if !f.list && f.template == "" {
		return errors.New("--template-id is missing; list shows those of the findings remembered")
	}
	return nil
}

func (f *feedback) run(now time.Time) error {
	if err := f.open(); err != nil {
		return fmt.Errorf("%w; nothing was changed", err)
	}
	if f.list {
		return f.show()
	}
	word, err := f.word(now)
	if err != nil {
		return usageError(err)
	}
	words, err := f.teach(word)
	if err != nil {
		return fmt.Errorf("%w; see logscope feedback --state %s list. Nothing was changed", err, f.state)
	}
	if len(words) == 0 {
		fmt.Fprintln(f.term.out, "Nothing was said of it; nothing was changed.")
		return nil
	}
	if err := pipeline.AddFeedback(f.state, words); err != nil {
		return err
	}
	for i := range words {
		fmt.Fprintln(f.term.out, visible(told(&words[i]), false))
	}
	fmt.Fprintf(f.term.out, "Written to %s. A plugin that runs takes it up with its next chunk, another one when it starts.\n",
		visible(pipeline.FeedbackFile(f.state), false))
	return nil
}

// open reads the state and what was said of it before.
func (f *feedback) open() error {
	words, wordsErr := pipeline.ReadFeedback(f.state)
	for i, path := range append([]string{f.state}, pipeline.ShardFiles(f.state)...) {
		data, err := os.ReadFile(path)
		if i > 0 && errors.Is(err, fs.ErrNotExist) {
			continue // only logscope serve has these
		}
		if err != nil {
			return fmt.Errorf("cannot read the state %q: %w", path, cause(err))
		}
		e, err := engine.Open(data)
		if err != nil {
			return fmt.Errorf("cannot use the state %q: %w", path, err)
		}
		e.Merge(words)
		f.engines = append(f.engines, e)
	}
	return wordsErr
}

// teach returns the word as those engines enter it that know what it is about.
func (f *feedback) teach(word engine.Feedback) (words []engine.Feedback, err error) {
	known := false
	for _, e := range f.engines {
		more, failed := e.Teach(word)
		switch {
		case failed == nil:
			known = true
			words = append(words, more...)
		case err == nil || errors.Is(err, engine.ErrUnknownTemplate):
			err = failed // what is wrong is best told by one that knows the template
		}
	}
	if known {
		return engine.MergeFeedback(words), nil
	}
	return nil, err
}

// word is what the flags say.
func (f *feedback) word(now time.Time) (w engine.Feedback, err error) {
	w = engine.Feedback{Opinion: f.opinion, Slot: f.variable, Value: f.value, Stream: f.stream, At: now.UnixNano()}
	if w.TemplateID, err = strconv.ParseUint(f.template, 16, 64); err != nil || len(f.template) != 16 {
		return w, fmt.Errorf("--template-id %q: 16 hexadecimal digits are expected", f.template)
	}
	if f.reason != "" {
		var ok bool
		if w.Reason, ok = engine.ParseReason(f.reason); !ok {
			return w, fmt.Errorf("--reason %q: there is no such reason", f.reason)
		}
	}
	return w, w.Check()
}

// told says what a word does.
func told(w *engine.Feedback) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%016x %s: ", w.TemplateID, shown(w.Text))
	if w.Reason == engine.ReasonNone {
		b.WriteString("every reason")
	} else {
		b.WriteString(w.Reason.String())
	}
	if w.Slot > 0 {
		fmt.Fprintf(&b, ", variable %d", w.Slot)
	}
	if w.Value != "" {
		fmt.Fprintf(&b, ", %s", shown(w.Value))
	}
	if w.Level > 0 {
		fmt.Fprintf(&b, ", of %g", w.Level)
	}
	if w.Stream != "" {
		fmt.Fprintf(&b, ", in %s", shown(w.Stream))
	}
	switch w.Opinion {
	case engine.Normal:
		b.WriteString(" is normal, and quiet until it changes.")
	case engine.Anomalous:
		b.WriteString(" is anomalous, and raised whenever it comes.")
	default:
		b.WriteString(" is judged as if nothing had been said.")
	}
	return b.String()
}

// show lists findings and words.
func (f *feedback) show() error {
	w := tabwriter.NewWriter(f.term.out, 0, 0, 2, ' ', 0)
	var findings []engine.Told
	for _, e := range f.engines {
		findings = append(findings, e.Told()...)
	}
	fmt.Fprintf(w, "%s remembered\n", plural(uint64(len(findings)), "finding"))
	if len(findings) > 0 {
		fmt.Fprintln(w, "TEMPLATE ID\tREASON\tVARIABLE\tVALUE\tTIMES\tFIRST\tLAST\tSTREAM\tTEMPLATE")
	}
	for i := range findings {
		t := &findings[i]
		fmt.Fprintf(w, "%016x\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\n", t.TemplateID, t.Reason, number(t.Slot), shown(t.Value),
			t.Count, timeText(t.First), timeText(t.Last), shown(t.Stream), shown(t.Text))
	}
	said := 0
	for _, word := range f.engines[0].Feedback() {
		if word.Opinion == engine.Forgotten {
			continue
		}
		if said++; said == 1 {
			fmt.Fprintln(w, "\nSAID ON\tWHAT")
		}
		fmt.Fprintf(w, "%s\t%s\n", timeText(word.At), told(&word))
	}
	if said == 0 {
		fmt.Fprintln(w, "\nNothing was said of any.")
	}
	return w.Flush()
}

// number writes a number, nothing for 0.
func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}
