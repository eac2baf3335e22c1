package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/logscope/logscope/plugin/chunk"
	"github.com/logscope/logscope/test/child"
	"github.com/logscope/logscope/test/demo/shoplog"
	"github.com/logscope/logscope/test/host/chunkfile"
	"github.com/logscope/logscope/test/host/hosttest"
	"github.com/logscope/logscope/test/sink"
)

const million = 1_000_000

// TestMillion sends a million lines through the host into a counting sink: no
// line is lost and none comes twice. It prints what that costs.
func TestMillion(t *testing.T) {
	r := newRig(t, false)
	path := filepath.Join(t.TempDir(), "million.chunks")
	bytes := writeMillion(t, r.rec, path)
	for _, test := range []struct {
		name    string
		options []string
	}{
		{"scored", nil},
		{"scored, 4 workers", []string{"workers=4"}},
		{"not scored", []string{"score=off"}},
	} {
		t.Run(test.name, func(t *testing.T) { r.shipMillion(t, test.name, path, bytes, test.options) })
	}
}

// writeMillion repeats the recording, later each time, until there are a
// million lines, each with a number of its own. It returns the bytes of the lines.
func writeMillion(t *testing.T, rec *shoplog.Recording, path string) (lineBytes int) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	out := bufio.NewWriterSize(file, 1<<20)
	first, last := rec.Span()
	period := last.Sub(first) + time.Second
	id := 0
	for repeat := 0; id < million; repeat++ {
		for _, log := range rec.Logs {
			var w chunk.Writer
			for i, line := range log.Lines {
				if id < million {
					at := line.Time.Add(time.Duration(repeat) * period).UnixNano()
					if err := w.AppendRecord(at, nil, chunk.Pairs{"log", line.Text, "id", strconv.Itoa(id)}); err != nil {
						t.Fatal(err)
					}
					lineBytes += len(line.Text)
					id++
				}
				if len(w.Buf) > 0 && (len(w.Buf) >= shoplog.ChunkBytes || i == len(log.Lines)-1) {
					if err := chunkfile.Write(out, log.Name, w.Buf); err != nil {
						t.Fatal(err)
					}
					w.Buf = w.Buf[:0]
				}
			}
		}
	}
	if err := errors.Join(out.Flush(), file.Close()); err != nil {
		t.Fatal(err)
	}
	return lineBytes
}

func (r *rig) shipMillion(t *testing.T, name, path string, lineBytes int, more []string) {
	seen := make([]uint8, million)
	findings, anomalies, strange := 0, 0, ""
	s := sink.New(t)
	s.Keep = func(e sink.Entry) {
		if strings.Contains(e.Labels, `source="logscope"`) {
			findings++
			return
		}
		if strings.Contains(e.Labels, `anomaly="true"`) {
			anomalies++
		}
		id, err := strconv.Atoi(e.Metadata["id"])
		if err != nil || id < 0 || id >= million || seen[id] == 255 {
			strange = fmt.Sprintf("%v", e)
			return
		}
		seen[id]++
	}
	var stats bytes.Buffer
	args := []string{"--stats", "--plugin", r.plugin, "--chunks", path, "--instance",
		"-p", "url=" + s.URL, "-p", "labels=job=million", "-p", "structured_metadata=id=$id", "-p", "retry_limit=no_limits"}
	for _, option := range more {
		args = append(args, "-p", option)
	}
	cmd := exec.Command(r.host, args...)
	cmd.Stdout = &stats
	p, err := child.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	<-p.Ended()
	wait(t, p, 0)

	missing, twice := 0, 0
	for _, n := range seen {
		if n == 0 {
			missing++
		} else if n > 1 {
			twice++
		}
	}
	if missing > 0 || twice > 0 || strange != "" || len(s.Faults()) > 0 {
		t.Errorf("got %d lines lost, %d twice, faults %v, and this: %s; want each of %d lines once", missing, twice, s.Faults(), strange, million)
	}
	var used hosttest.Stats
	if err := json.Unmarshal(stats.Bytes(), &used); err != nil {
		t.Fatalf("cannot read the host's figures: %v", err)
	}
	requests, sent := s.Requests()
	cpu := float64(used.UserMs+used.SysMs) / 1000
	t.Logf("%s: %d lines (%d MB) in %.1f s; %.1f CPU seconds (%.2f us a line, %.1f MB/s a core); peak memory %d MB; "+
		"%d pushes, %d MB sent; %d anomalies, %d findings",
		name, million, lineBytes>>20, float64(used.WallMs)/1000, cpu, cpu*1e6/million, float64(lineBytes>>20)/cpu,
		used.MaxRSSKB>>10, requests, sent>>20, anomalies, findings)
}
