package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/logscope/logscope/conf"
	"github.com/logscope/logscope/plugin/metrics"
	"github.com/logscope/logscope/plugin/serve"
	"github.com/logscope/logscope/plugin/view"
)

// heapTarget is how much memory the garbage collector lets pile up at most,
// within the 200 MB that serve should not exceed. It is no limit: what is needed is had.
const heapTarget = 160 << 20

// goodbyeTime is what browsers that watch have to answer the goodbye.
const goodbyeTime = 500 * time.Millisecond

func newServe(term terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve --url URL [flags]",
		Short: "Stand in front of Loki, score what is pushed and send it on",
		Long: `Take what senders push to Loki, score it, mark what is unusual, send it on to
Loki and answer what Loki answers. Nothing is kept: a sender's own retries work
as they do without logscope.

Senders change their URL only: POST /loki/api/v1/push (protobuf and JSON),
POST /otlp/v1/logs (OpenTelemetry) and POST /ingest (NDJSON); GET /ready for
health checks.

Every flag is also an environment variable (--max-models is LOGSCOPE_MAX_MODELS)
and a key of the YAML file that --config-file names (max_models).`,
		Example: `  logscope serve --url http://loki:3100
  logscope serve --listen 0.0.0.0:3101 --basic-auth-file /etc/logscope/users --url https://logs.example.com --state-file /var/lib/logscope/serve`,
		Args: cobra.NoArgs,
	}
	lookup := addFlags(cmd.Flags(), conf.Serve, term.env)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		settings, err := conf.Load(conf.Serve, lookup)
		if err != nil {
			return usageError(err)
		}
		return runServe(cmd.Context(), settings, term)
	}
	return cmd
}

// serveConfig is what the settings come to.
func serveConfig(settings *conf.Settings) serve.Config {
	in := &settings.Serve
	cfg := serve.Config{
		Pipeline: settings.Pipeline,
		Listen:   in.Listen, ListenTCP: in.ListenTCP, ListenUnix: in.ListenUnix,
		TLSCertFile: in.TLSCertFile, TLSKeyFile: in.TLSKeyFile,
		BasicAuthFile: in.BasicAuthFile, BearerTokenFile: in.AuthTokenFile,
		AllowedOrigins: in.AllowedOrigins,
		BodyBytesMax:   in.BodyBytesMax, DecodedBytesMax: in.DecodedBytesMax, InflightMax: in.InflightMax,
		LineBytesMax: in.LineBytesMax, ConnectionsMax: in.ConnectionsMax,
		HeaderTimeout: in.HeaderTimeout, BodyTimeout: in.BodyTimeout, IdleTimeout: in.IdleTimeout,
	}
	cfg.Pipeline.Loki.UserAgent = "logscope/" + version
	return cfg
}

func runServe(ctx context.Context, settings *conf.Settings, term terminal) (err error) {
	log := slog.New(slog.NewTextHandler(term.err, nil))
	for _, warning := range settings.Warnings {
		log.Warn(warning)
	}
	set := slices.DeleteFunc(settings.Dump(), func(s string) bool { return strings.HasSuffix(s, "(default)") })
	log.Info(fmt.Sprintf("logscope %s serve: %s", version, strings.Join(set, " ")))
	if _, set := term.env("GOMEMLIMIT"); !set {
		debug.SetMemoryLimit(heapTarget)
	}
	cfg := serveConfig(settings)
	var server *serve.Server
	relay := func() []view.Source { return []view.Source{server.Relay()} }
	hub, err := view.New(view.Config{
		Threshold: cfg.Pipeline.Engine.Threshold, Origins: cfg.AllowedOrigins, AnyHost: cfg.Authenticated(), Log: log,
		Score: view.ScoreBy(relay), Feedback: view.TeachBy(relay),
	})
	if err != nil {
		return usageError(err)
	}
	cfg.View, cfg.Pipeline.Observer = hub.Handler(), hub
	if server, err = serve.New(cfg, log); err != nil {
		return usageError(err)
	}
	defer func() {
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbyeTime)
		defer cancel()
		_ = hub.Close(within) // whoever does not answer is cut off
	}()
	defer func() {
		if closed := server.Close(); closed != nil {
			err = errors.Join(err, fmt.Errorf("cannot close: %w", closed))
		}
	}()
	l, err := server.Listen(ctx)
	if err != nil {
		return err
	}
	if m := settings.Metrics; m.Listen != "" {
		var servers metrics.Servers
		defer servers.Join(metrics.Options{Listen: m.Listen, Pprof: m.Pprof, Version: version}, "serve", server.Relay(), log)()
	}
	return server.Serve(ctx, l)
}
