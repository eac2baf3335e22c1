// Command lokibuild builds the Loki that test/loki pins, unless it is built
// already, and prints its path. Run before the tests it shows how the build
// goes on, which go test would keep to itself.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/logscope/logscope/test/lokitest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if url := os.Getenv("LOKI_URL"); url != "" {
		fmt.Println("the Loki at $LOKI_URL,", url)
		return
	}
	binary, err := lokitest.Build(ctx, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(binary)
}
