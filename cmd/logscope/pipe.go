package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/logscope/logscope/conf"
	"github.com/logscope/logscope/plugin/serve"
)

func newPipe(term terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pipe [flags]",
		Short: "Score NDJSON from standard input to standard output",
		Long: `Read one JSON object a line, add the member "logscope" and write the line, in
order and as soon as it is scored:

  {"message":"...","logscope":{"score":0.93,"anomaly":true,"reason":"novelty",
   "explanation":"...","template_id":"5f0c2b7d9e41a386"}}

Lines that are no JSON objects go through as they are, and are counted. With
--listen-tcp or --listen-unix, lines come from connections there, not from
standard input. Standard error has a summary at the end.

Every flag is also an environment variable (--max-models is LOGSCOPE_MAX_MODELS)
and a key of the YAML file that --config-file names (max_models).`,
		Example: `  kubectl logs -f deploy/shop | logscope pipe | jq -c 'select(.logscope.anomaly)'
  logscope pipe --listen-unix /run/logscope.sock >> scored.ndjson`,
		Args: cobra.NoArgs,
	}
	lookup := addFlags(cmd.Flags(), conf.Pipe, term.env)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		settings, err := conf.Load(conf.Pipe, lookup)
		if err != nil {
			return usageError(err)
		}
		for _, warning := range settings.Warnings {
			term.say(warning)
		}
		return runPipe(cmd.Context(), settings, term)
	}
	return cmd
}

// say writes a message on standard error.
func (t terminal) say(text string) { fmt.Fprintf(t.err, "logscope: %s\n", visible(text, true)) }

func runPipe(ctx context.Context, settings *conf.Settings, term terminal) error {
	p, err := serve.NewPipe(settings.Pipeline.Engine, settings.Pipeline.ModelKey, settings.Serve.LineBytesMax, term.out, term.say)
	if err != nil {
		return usageError(err)
	}
	if settings.Serve.ListenTCP == "" && settings.Serve.ListenUnix == "" {
		err = pipeInput(ctx, p, term)
	} else {
		err = pipeSockets(ctx, p, settings, term)
	}
	s := p.Stats()
	term.say(fmt.Sprintf("%d records, %d anomalies; %d lines that are no JSON objects and %d longer than max_line went through unscored", s.Records, s.Anomalies, s.Invalid, s.Long))
	if err != nil {
		return fmt.Errorf("cannot go on: %w", err)
	}
	return nil
}

// pipeInput takes standard input through. A read that blocks for ever does not hold the command up.
func pipeInput(ctx context.Context, p *serve.Pipe, term terminal) error {
	done := make(chan error, 1)
	go func() { done <- p.Copy(term.in) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return &statusError{status: exitSignal}
	}
}

// pipeStopWithin is how long what has come may take to be written when the process stops.
const pipeStopWithin = 10 * time.Second

// pipeSockets takes lines from connections until it is told to stop, or the output ends.
func pipeSockets(ctx context.Context, p *serve.Pipe, settings *conf.Settings, term terminal) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	sockets := serve.Sockets{
		TCP: settings.Serve.ListenTCP, Unix: settings.Serve.ListenUnix, Max: settings.Serve.ConnectionsMax,
		Full: func() {},
		Handle: func(ctx context.Context, conn net.Conn) {
			err := p.Copy(conn)
			var network net.Error
			var cut *serve.CutError
			switch {
			case err == nil, ctx.Err() != nil && !errors.As(err, &cut):
			case errors.As(err, &network):
				term.say(fmt.Sprintf("connection from %v ended: %v", conn.RemoteAddr(), err))
			default:
				cancel(err)
			}
		},
	}
	if err := sockets.Open(ctx); err != nil {
		return err
	}
	for _, addr := range sockets.Addrs() {
		term.say(fmt.Sprintf("listening on %v", addr))
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		sockets.Serve(ctx)
	}()
	<-ctx.Done()
	select {
	case <-served:
	case <-time.After(pipeStopWithin): // nobody reads the output
		term.say(fmt.Sprintf("the output took no more within %v of the stop: what connections had sent by then is lost", pipeStopWithin))
		return &statusError{status: exitSignal}
	}
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}
