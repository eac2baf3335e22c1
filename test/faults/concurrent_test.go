package faults

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/logscope/logscope/plugin/pipeline"
	"github.com/logscope/logscope/test/host/chunkfile"
	"github.com/logscope/logscope/test/sink"
)

// TestConcurrent is four workers of one instance in one process of Go, through
// faults and a reload: what the race detector can look at.
func TestConcurrent(t *testing.T) {
	const n, workers = 4000, 4
	s := sink.New(t)
	p := newProxy(t, s.URL, func(push int, _ []byte) fault {
		switch push % 4 {
		case 1:
			return fault{status: 503}
		case 2:
			return fault{reset: true}
		}
		return fault{}
	}).open(t)
	chunks := readChunks(t, writeChunks(t, n, 50))
	cfg := pipeline.DefaultConfig()
	cfg.Loki.URL, cfg.StateFile, cfg.StateInterval = p.url, filepath.Join(t.TempDir(), "state"), time.Second
	cfg.Loki.Backoff.MinBackoff, cfg.Loki.Backoff.MaxBackoff = 5*time.Millisecond, 20*time.Millisecond
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	for half := range 2 { // the second instance sends what the first one spooled
		pipe, err := pipeline.New(cfg, log)
		if err != nil {
			t.Fatal(err)
		}
		mine := chunks[half*len(chunks)/2 : (half+1)*len(chunks)/2]
		var wg sync.WaitGroup
		for worker := range workers {
			wg.Go(func() {
				for i := worker; i < len(mine); i += workers {
					for pipe.Flush("app", mine[i]) == pipeline.Retry {
						_, _ = pipe.Stats(), pipe.Health()
					}
					if half == 0 && i > len(mine)/2 {
						pipe.Reload()
					}
				}
			})
		}
		wg.Wait()
		if err := pipe.Close(); err != nil {
			t.Error(err)
		}
	}
	fromSink(s).check(t, n, true) // the sink drops no repeats, as Loki does
	checkScored(t, cfg.StateFile, n)
}

// readChunks returns the chunks of a chunk file.
func readChunks(t *testing.T, path string) (chunks [][]byte) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for {
		_, data, err := chunkfile.Read(f)
		if errors.Is(err, io.EOF) {
			return chunks
		}
		if err != nil {
			t.Fatal(err)
		}
		chunks = append(chunks, data)
	}
}
