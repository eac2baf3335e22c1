// Command ablation measures what each detector contributes: the evaluation kit's
// figures with all detectors, then with each one left out, as a Markdown table.
//
//	go run ./test/ablation -eval path/to/eval -logscope bin/logscope
//
// One seed of each evaluation; a detector takes two minutes or so on two cores.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/logscope/logscope/engine"
)

// figures are what is read of the kit's reports.
type figures struct {
	Sets map[string]struct {
		Default          struct{ F1 float64 }
		AveragePrecision float64 `json:"average_precision"`
	}
	Alerts struct {
		FalseLines float64 `json:"false_lines_per_100k"`
	}
	Scanner, Requests struct {
		AveragePrecision float64 `json:"average_precision"`
	}
	Combined struct {
		MeanRecall  float64 `json:"mean_recall"`
		FalseAlerts struct {
			Per100k float64 `json:"per_100k_lines"`
		} `json:"false_alerts"`
		Kinds map[string]struct{ Total, Detected int }
	}
}

const header = `| without | HDFS F1 | HDFS AP | HDFS false lines | OpenStack 3% F1 | scanner AP | requests AP | injected, mean recall | false per 100k | found less of |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---|
`

func main() {
	eval := flag.String("eval", "", "directory of the evaluation kit")
	bin := flag.String("logscope", "bin/logscope", "the command to measure")
	only := flag.String("only", "", "detectors to leave out, separated by commas; default: none, then each one")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := ablate(ctx, os.Stdout, *eval, *bin, *only); err != nil {
		fmt.Fprintf(os.Stderr, "ablation: %v\n", err)
		os.Exit(1)
	}
}

// ablate writes the table, a row as soon as it is measured.
func ablate(ctx context.Context, out io.Writer, eval, bin, only string) error {
	if _, err := os.Stat(filepath.Join(eval, "injected.py")); err != nil {
		return fmt.Errorf("cannot find the evaluation kit in %q: give its directory as -eval (make eval-ablation EVAL=DIR)", eval)
	}
	dir, err := os.MkdirTemp("", "logscope-ablation")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Fprint(out, header)
	var all *figures
	for _, d := range engine.Detectors() {
		if only != "" && d != engine.NoDetector && !strings.Contains(","+only+",", ","+d.String()+",") {
			continue
		}
		f, err := measure(ctx, eval, bin, d, filepath.Join(dir, "figures.json"))
		if err != nil {
			return fmt.Errorf("without %v: %w", d, err)
		}
		if all == nil {
			all = f
		}
		fmt.Fprintln(out, row(d, f, all))
	}
	return nil
}

// measure runs the evaluations without one detector.
func measure(ctx context.Context, eval, bin string, without engine.Detector, file string) (*figures, error) {
	var f figures
	run := func(into *figures, args ...string) error {
		args[0] = filepath.Join(eval, args[0])
		args = append(args, "--logscope", bin, "--scan-arg=--without="+without.String(), "--json", file)
		if msg, err := exec.CommandContext(ctx, "python3", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("python3 %s: %w\n%s", strings.Join(args, " "), err, msg)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		return json.Unmarshal(data, into)
	}
	var stack figures
	for _, r := range []struct {
		into *figures
		args []string
	}{
		{&f, []string{"sessions.py", "hdfs"}},
		{&stack, []string{"sessions.py", "openstack", "--prevalence", "0.03"}},
		{&f, []string{"access.py"}},
		{&f, []string{"injected.py", "--seed", "1"}},
	} {
		if err := run(r.into, r.args...); err != nil {
			return nil, err
		}
	}
	f.Sets["openstack"] = stack.Sets["after 10%"]
	return &f, nil
}

// row writes the figures, and what was found with all detectors and is not now.
func row(d engine.Detector, f, all *figures) string {
	var less []string
	for _, kind := range []string{"unseen template", "rare category", "numeric outlier", "new ip", "spike", "silence", "wrong order", "missing step", "drift"} {
		now, before := f.Combined.Kinds[kind], all.Combined.Kinds[kind]
		if now.Detected < before.Detected {
			less = append(less, fmt.Sprintf("%s %d of %d, was %d", kind, now.Detected, now.Total, before.Detected))
		}
	}
	hdfs := f.Sets["after 10%"]
	return fmt.Sprintf("| %v | %.3f | %.3f | %.0f | %.3f | %.3f | %.3f | %.3f | %.0f | %s |", d,
		hdfs.Default.F1, hdfs.AveragePrecision, f.Alerts.FalseLines, f.Sets["openstack"].Default.F1,
		f.Scanner.AveragePrecision, f.Requests.AveragePrecision,
		f.Combined.MeanRecall, f.Combined.FalseAlerts.Per100k, strings.Join(less, "; "))
}
