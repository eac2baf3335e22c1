package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logscope/logscope/test/demo/shoplog"
	"github.com/logscope/logscope/test/fluentbit"
	"github.com/logscope/logscope/test/lokitest"
)

// TestEndToEnd shares one Loki among all tests that need a real one.
func TestEndToEnd(t *testing.T) {
	r := newRig(t, true)
	t.Run("shop in the host", func(t *testing.T) { testShop(t, r, r.shipByHost) })
	t.Run("shop in Fluent Bit", func(t *testing.T) { testShop(t, r, r.shipByFluentBit) })
	t.Run("instances, workers and reloads in the host", func(t *testing.T) { testInstances(t, r) })
	t.Run("instances and workers in Fluent Bit", func(t *testing.T) { testInstancesFluentBit(t, r) })
	t.Run("unreachable Loki in the host", func(t *testing.T) { testUnreachableHost(t, r) })
	t.Run("unreachable Loki in Fluent Bit", func(t *testing.T) { testUnreachableFluentBit(t, r) })
	t.Run("hot reload in Fluent Bit", func(t *testing.T) { testReloadFluentBit(t, r) })
	t.Run("corrupt chunk", func(t *testing.T) { testCorruptChunk(t, r) })
	t.Run("read-only state directory", func(t *testing.T) { testReadOnlyState(t, r) })
	t.Run("learned state", func(t *testing.T) { testLearnedState(t, r) })
}

// shipByHost takes the whole recording to Loki in the C host.
func (r *rig) shipByHost(t *testing.T, run string, more ...string) {
	p := r.startHost(t, []string{"--chunks", r.chunkFile(t, shoplog.ChunkBytes), "--guard", "--retries", "-1"}, options(r.loki.URL, run, more...))
	wait(t, p, 0)
}

// shipByFluentBit takes it there in a real Fluent Bit that tails the files.
func (r *rig) shipByFluentBit(t *testing.T, run string, more ...string) {
	dir := t.TempDir()
	if err := r.rec.Write(dir); err != nil {
		t.Fatal(err)
	}
	config := fluentbit.Config{StorageDir: filepath.Join(dir, "storage"), Tails: r.rec.Tails(dir)}
	p := r.startFluentBit(t, dir, config, options(r.loki.URL, run, append(more, "workers=1")...))
	r.untilDelivered(t, p, run, r.rec.Count())
	if err := p.Stop(fluentbit.StopWithin); err != nil {
		t.Errorf("%v\n%s", err, p.Log())
	}
}

func testShop(t *testing.T, r *rig, ship func(*testing.T, string, ...string)) {
	run := newRun(t)
	ship(t, run)
	lines, findings := r.entries(t, run)
	checkLines(t, r.rec.Logs, lines)
	anomalies := checkAnnotation(t, run, lines, findings)
	checkHeatmap(t, r, run, anomalies)
	checkFault(t, r.rec, anomalies)
	t.Logf("%d lines, %d anomalies among them, %d findings of logscope's own", len(lines), len(anomalies)-len(findings), len(findings))

	// The same without scoring: only the anomalies stood in other streams.
	plain := newRun(t)
	ship(t, plain, "score=off")
	unscored, none := r.entries(t, plain)
	if len(none) > 0 {
		t.Errorf("score off: got %d findings; want none", len(none))
	}
	if diff := cmp.Diff(streams(unscored, true), streams(lines, false)); diff != "" {
		t.Errorf("streams without scoring and with it (-without +with):\n%.2000s", diff)
	}
}

// streams counts lines by stream, without the label run. Of anomalies the labels that logscope added are taken away.
func streams(lines []lokitest.Entry, unscored bool) map[string]int {
	counts := map[string]int{}
	for _, e := range lines {
		labels := map[string]string{}
		for name, value := range e.Stream {
			own := name == "anomaly" || name == "reason" || name == "score_bucket"
			if name != "run" && (unscored || !own) {
				labels[name] = value
			}
		}
		counts[fmt.Sprint(labels)]++
	}
	return counts
}

// checkFault demands that the killed database is seen: by some anomaly of the
// services concerned, from the kill until two minutes after the restart.
func checkFault(t *testing.T, rec *shoplog.Recording, anomalies []lokitest.Entry) {
	t.Helper()
	kill, ok := faultTime(rec)
	if !ok {
		t.Fatal("the recording has no kill -9 in its events")
	}
	for _, e := range anomalies {
		service := e.Stream["service"]
		at := time.Unix(0, e.Time)
		if (service == "postgres" || service == "orders") && at.After(kill) && at.Before(kill.Add(3*time.Minute)) {
			return
		}
	}
	t.Errorf("got %d anomalies, none of postgres or orders in the three minutes after the kill at %v", len(anomalies), kill)
}

func testInstances(t *testing.T, r *rig) {
	runs := []string{newRun(t) + "-a", newRun(t) + "-b"}
	const chunkBytes = 100 << 10 // some 50 chunks
	p := r.startHost(t,
		[]string{"--chunks", r.chunkFile(t, chunkBytes), "--guard", "--retries", "-1", "--reload-every", "12"},
		options(r.loki.URL, runs[0], "workers=4", "batch_size=64KiB"),
		options(r.loki.URL, runs[1], "workers=4"))
	wait(t, p, 0)
	for _, run := range runs {
		lines, findings := r.entries(t, run)
		checkLines(t, r.rec.Logs, lines)
		checkHeatmap(t, r, run, checkAnnotation(t, run, lines, findings))
	}
}

func testInstancesFluentBit(t *testing.T, r *rig) {
	runs := []string{newRun(t) + "-a", newRun(t) + "-b"}
	dir := t.TempDir()
	if err := r.rec.Write(dir); err != nil {
		t.Fatal(err)
	}
	config := fluentbit.Config{StorageDir: filepath.Join(dir, "storage"), Tails: r.rec.Tails(dir)}
	p := r.startFluentBit(t, dir, config,
		options(r.loki.URL, runs[0], "workers=4", "batch_size=64KiB"),
		options(r.loki.URL, runs[1])) // no workers: on Fluent Bit's own thread
	for _, run := range runs {
		r.untilDelivered(t, p, run, r.rec.Count())
	}
	if err := p.Stop(fluentbit.StopWithin); err != nil {
		t.Errorf("%v\n%s", err, p.Log())
	}
	for _, run := range runs {
		lines, findings := r.entries(t, run)
		checkLines(t, r.rec.Logs, lines)
		checkHeatmap(t, r, run, checkAnnotation(t, run, lines, findings))
	}
	if n := strings.Count(p.Log(), "engine thread"); n != 1 {
		t.Errorf("got %d warnings about the instance without workers; want one:\n%s", n, p.Log())
	}
}
