// Command logscope scores logs: scan reads files and prints what is unusual in
// them, serve stands in front of Loki, pipe in the middle of any pipeline;
// generate writes logs to try it on.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit statuses.
const (
	exitOK      = 0
	exitError   = 1
	exitUsage   = 2
	exitAnomaly = 3   // with --fail-on-anomaly
	exitSignal  = 130 // as a shell reports an interrupt
)

// version is set by the build: -ldflags "-X main.version=v1.2.3".
var version = "dev"

func main() {
	os.Exit(run(os.Args[1:], terminal{
		in: os.Stdin, out: os.Stdout, err: os.Stderr, env: os.LookupEnv,
		outTTY: isTerminal(os.Stdout), errTTY: isTerminal(os.Stderr), width: widthOf(os.Stderr),
	}))
}

// terminal is all of the outside world that a command sees.
type terminal struct {
	in             io.Reader
	out, err       io.Writer
	env            func(name string) (string, bool)
	outTTY, errTTY bool
	width          int
}

// statusError ends the command with an exit status. Without a cause, all has been said already.
type statusError struct {
	status int
	cause  error
}

func (e *statusError) Error() string {
	if e.cause == nil {
		return fmt.Sprintf("exit status %d", e.status)
	}
	return e.cause.Error()
}

func (e *statusError) Unwrap() error { return e.cause }

func usageError(err error) error { return &statusError{exitUsage, err} }

// run executes one command line and returns the exit status.
func run(args []string, term terminal) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends a command that does not stop
	root := newRoot(term)
	root.SetArgs(args)
	return report(term, root.ExecuteContext(ctx))
}

// report prints what went wrong and returns the exit status.
func report(term terminal, err error) int {
	var status *statusError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, syscall.EPIPE):
		return exitOK // the reader, such as head, has had enough
	case errors.As(err, &status):
		if status.cause != nil {
			fmt.Fprintf(term.err, "logscope: %s\n", visible(err.Error(), true))
		}
		if status.status == exitUsage {
			fmt.Fprintln(term.err, `See "logscope --help" and "logscope options".`)
		}
		return status.status
	}
	fmt.Fprintf(term.err, "logscope: %s\n", visible(err.Error(), true))
	return exitError
}

func newRoot(term terminal) *cobra.Command {
	root := &cobra.Command{
		Use:           "logscope",
		Short:         "Find what is unusual in logs, without rules and without training",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(term.in)
	root.SetOut(term.out)
	root.SetErr(term.err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError(err) })
	root.AddCommand(newScan(term), newServe(term), newPipe(term), newFeedback(term), newGenerate(term), newHealth(term), newOptions(term), newVersion(term))
	for _, cmd := range append(root.Commands(), root) {
		if check := cmd.Args; check != nil {
			cmd.Args = func(cmd *cobra.Command, args []string) error {
				if err := check(cmd, args); err != nil {
					return usageError(err)
				}
				return nil
			}
		}
	}
	return root
}
