package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/logscope/logscope/test/demo/shoplog"
	"github.com/logscope/logscope/test/fluentbit"
)

// shipWithin bounds the shipping; a run takes some 5 s.
const shipWithin = 3 * time.Minute

// ship takes the logs to Loki, in Fluent Bit where there is one.
func (d *demo) ship(ctx context.Context) error {
	if fb, ok := fluentbit.Find(ctx); ok && !d.useHost {
		d.step("%s (%s) tails the files, %s ships them", fb.Version, fb.Path, filepath.Base(d.plugin))
		return d.shipFluentBit(ctx, fb)
	}
	d.step("no fluent-bit is used: the test host %s loads %s as Fluent Bit does", d.host, filepath.Base(d.plugin))
	return d.shipHost(ctx)
}

// options are the plugin's, in both cases.
func (d *demo) options() [][2]string {
	return [][2]string{
		{"url", d.loki.URL},
		{"labels", "job=demo, run=" + d.id + ", service=$service"},
		{"workers", "1"},
		{"retry_limit", "no_limits"},
	}
}

func (d *demo) shipFluentBit(ctx context.Context, fb fluentbit.Fluentbit) error {
	var output []string
	for _, option := range d.options() {
		output = append(output, option[0]+" "+option[1])
	}
	process, err := fb.Start(d.plugin, d.dir, &fluentbit.Config{
		StorageDir: filepath.Join(d.dir, "storage"),
		Tails:      d.rec.Tails(d.dir),
		Outputs:    [][]string{output},
	})
	if err != nil {
		return err
	}
	begin := time.Now()
	err = d.waitForLines(ctx, process.Ended())
	if stopErr := process.Stop(fluentbit.StopWithin); err == nil {
		err = stopErr
	}
	if err != nil {
		return fmt.Errorf("%w\nFluent Bit said:\n%s", err, process.Log())
	}
	d.step("all lines are in Loki after %.1f s", time.Since(begin).Seconds())
	return nil
}

// waitForLines polls Loki until it has as many lines as were written, or Fluent Bit ends.
func (d *demo) waitForLines(ctx context.Context, ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, shipWithin)
	defer cancel()
	poll := time.NewTicker(250 * time.Millisecond)
	defer poll.Stop()
	for {
		got, err := d.count(ctx)
		if err == nil && got >= d.rec.Count() {
			return nil
		}
		select {
		case <-ended:
			return errors.New("the process of Fluent Bit ended before all lines were delivered")
		case <-ctx.Done():
			return fmt.Errorf("%w after %v: got %d; want %d (%v)", errCounts, shipWithin, got, d.rec.Count(), err)
		case <-poll.C:
		}
	}
}

func (d *demo) shipHost(ctx context.Context) error {
	path := filepath.Join(d.dir, "shop.chunks")
	var chunks bytes.Buffer
	if err := d.rec.WriteChunks(&chunks, shoplog.ChunkBytes); err != nil {
		return err
	}
	if err := os.WriteFile(path, chunks.Bytes(), 0o644); err != nil {
		return err
	}
	args := []string{"--plugin", d.plugin, "--chunks", path, "--instance"}
	for _, option := range d.options() {
		args = append(args, "-p", option[0]+"="+option[1])
	}
	begin := time.Now()
	ctx, cancel := context.WithTimeout(ctx, shipWithin)
	defer cancel()
	if said, err := exec.CommandContext(ctx, d.host, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("the test host failed: %w\n%s", err, said)
	}
	d.step("all chunks are delivered after %.1f s", time.Since(begin).Seconds())
	return nil
}
