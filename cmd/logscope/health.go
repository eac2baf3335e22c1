package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// Bounds of a health check: it is asked every few seconds, by containers that have no other command for it.
const (
	healthTimeout  = 2 * time.Second
	healthBytesMax = 4 << 10 // of what is wrong
)

func newHealth(term terminal) *cobra.Command {
	return &cobra.Command{
		Use:   "health URL",
		Short: "Ask whether logscope is well, as a container's health check",
		Long: `Ask the plugin's health endpoint (option metrics_listen): exit status 0 if it
answers 200, else 1 with what it says. Use /live for a check that restarts, and
/ready for one that only tells.`,
		Example: `  logscope health http://127.0.0.1:2021/live`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !strings.HasPrefix(args[0], "http://") && !strings.HasPrefix(args[0], "https://") {
				return usageError(fmt.Errorf("got %q; want a URL such as http://127.0.0.1:2021/live", args[0]))
			}
			return health(cmd.Context(), args[0], term.out)
		},
	}
}

func health(ctx context.Context, url string, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return usageError(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // only read from
	body, err := io.ReadAll(io.LimitReader(resp.Body, healthBytesMax))
	if err != nil {
		return fmt.Errorf("cannot read the answer of %s: %w", url, err)
	}
	text := strings.TrimSpace(string(body))
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s: %s", url, resp.Status, text)
	}
	_, err = fmt.Fprintln(out, visible(text, true))
	return err
}
