package pipeline

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/logscope/logscope/loki"
	"github.com/logscope/logscope/plugin/chunk"
	"github.com/logscope/logscope/test/demo/shoplog"
)

// benchRecords makes a chunk of about 2 MB, as Fluent Bit cuts them.
const benchRecords = 13_000

// benchLine is some 147 bytes, the median of real logs.
func benchLine(i int) string {
	return fmt.Sprintf(`2026-03-01T12:%02d:%02d.%03dZ INFO [http-%d] served GET /api/v1/orders/%d for 10.1.%d.%d in %d ms, status 200, %d bytes sent to the client`,
		i/60%60, i%60, i%1000, i%16, i*7919%1000003, i%256, i*31%256, i*17%900, i*131%65536)
}

// benchChunk makes records with one key, or as the kubernetes filter leaves them.
func benchChunk(b *testing.B, kubernetes bool) []byte {
	var w chunk.Writer
	at := time.Now().Add(-time.Minute).UnixNano()
	for i := range benchRecords {
		at += int64(time.Millisecond)
		if !kubernetes {
			w.AppendLine(at, "log", benchLine(i))
			continue
		}
		body := chunk.Pairs{"log", benchLine(i), "stream", "stdout", "kubernetes", chunk.Pairs{
			"pod_name", "orders-5d8f7c9b6-x2x9q", "namespace_name", "shop", "container_name", "orders",
			"labels", chunk.Pairs{"app", "orders", "tier", "backend"}, "host", "node-7"}}
		if err := w.AppendRecord(at, chunk.Pairs{}, body); err != nil {
			b.Fatal(err)
		}
	}
	return w.Buf
}

// BenchmarkFlush takes chunks to a server that reads and forgets them.
func BenchmarkFlush(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	labels := []LabelSource{
		{Name: "namespace", Path: Path{"kubernetes", "namespace_name"}},
		{Name: "pod", Path: Path{"kubernetes", "pod_name"}},
		{Name: "stream", Path: Path{"stream"}},
	}
	for _, tc := range []struct {
		name       string
		kubernetes bool
		score      bool
	}{
		{"raw/score=off", false, false},
		{"raw/score=on", false, true},
		{"kubernetes/score=off", true, false},
		{"kubernetes/score=on", true, true},
	} {
		b.Run(tc.name, func(b *testing.B) {
			cfg := DefaultConfig()
			cfg.Loki.URL = server.URL
			cfg.Score = tc.score
			if tc.kubernetes {
				cfg.Shape.Labels = labels
				cfg.Shape.Remove = []Path{{"kubernetes"}, {"stream"}}
			}
			p, err := New(cfg, slog.New(slog.DiscardHandler))
			if err != nil {
				b.Fatal(err)
			}
			defer p.Close()
			data := benchChunk(b, tc.kubernetes)
			run := func() {
				if code := p.Flush("bench", data); code != OK {
					b.Fatalf("got %v; want OK", code)
				}
			}
			run()
			perRecord(b, run)
		})
	}
}

// BenchmarkFlushRecording flushes the recording of test/demo, which is of many kinds of logs, a chunk of each in turn.
func BenchmarkFlushRecording(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	cfg := DefaultConfig()
	cfg.Loki.URL = server.URL
	p, err := New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	rec, err := shoplog.Load(0)
	if err != nil {
		b.Fatal(err)
	}
	first, last := rec.Span()
	n := 0
	for shift := time.Duration(0); b.Loop(); shift += last.Sub(first) + time.Second {
		b.StopTimer()
		moved, err := shoplog.Load(shift)
		if err != nil {
			b.Fatal(err)
		}
		for i := range moved.Logs {
			var w chunk.Writer
			for _, line := range moved.Logs[i].Lines {
				w.AppendLine(line.Time.UnixNano(), "log", line.Text)
			}
			n += len(moved.Logs[i].Lines)
			b.StartTimer()
			if code := p.Flush(moved.Logs[i].Name, w.Buf); code != OK {
				b.Fatalf("got %v; want OK", code)
			}
			b.StopTimer()
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/record")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkFlushWithoutPush is what a flush of a chunk of 2 MB costs besides the push: it should end
// within 20 ms. The templates are known.
func BenchmarkFlushWithoutPush(b *testing.B) {
	const lines = 12_000 // of 147 bytes, with their msgpack
	for _, score := range []bool{false, true} {
		b.Run(fmt.Sprintf("score=%v", score), func(b *testing.B) {
			cfg := DefaultConfig()
			cfg.Loki.URL = "http://127.0.0.1:1"
			cfg.Score = score
			p, err := New(cfg, slog.New(slog.DiscardHandler))
			if err != nil {
				b.Fatal(err)
			}
			defer p.Close()
			var w chunk.Writer
			at := time.Now().Add(-time.Minute).UnixNano()
			for i := range lines {
				w.AppendLine(at+int64(i)*int64(time.Millisecond), "log", benchLine(i))
			}
			prepare := func() {
				_ = chunkKey("bench", w.Buf)
				if pd := p.prepare("bench", w.Buf, false, nil); entriesOf(pd.pushes) < lines {
					b.Fatalf("got %d entries; want at least %d", entriesOf(pd.pushes), lines)
				}
			}
			prepare()
			cpu := cpuTime(b)
			for b.Loop() {
				prepare()
			}
			cpu = cpuTime(b) - cpu
			b.ReportMetric(b.Elapsed().Seconds()*1e3/float64(b.N), "ms/flush")
			b.ReportMetric(cpu.Seconds()*1e3/float64(b.N), "cpu-ms/flush")
			b.ReportMetric(float64(len(w.Buf))/1e6, "MB/chunk")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkEncode is the part of BenchmarkFlush that is the batch's: entries appended, compressed.
func BenchmarkEncode(b *testing.B) {
	cfg := DefaultConfig()
	batcher := loki.NewBatcher(cfg.Loki)
	lines := make([][]byte, benchRecords)
	for i := range lines {
		lines[i] = []byte(benchLine(i))
	}
	at := time.Now().Add(-time.Minute).UnixNano()
	perRecord(b, func() {
		batch := batcher.NewBatch()
		for i, line := range lines {
			batch.Stream("", `{job="fluent-bit"}`).Append(at+int64(i)*1e6, line, nil)
		}
		batch.Pushes(nil)
		batch.Close()
	})
}

// perRecord reports the costs of run, which handles benchRecords records, per record.
func perRecord(b *testing.B, run func()) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu := cpuTime(b)
	for b.Loop() {
		run()
	}
	cpu = cpuTime(b) - cpu
	runtime.ReadMemStats(&after)
	n := float64(b.N) * benchRecords
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/n, "ns/record")
	b.ReportMetric(float64(cpu.Nanoseconds())/n, "cpu-ns/record")
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/n, "B/record")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/n, "allocs/record")
	b.ReportMetric(0, "ns/op")
}

// cpuTime is the processor time that the process has used: unlike the time that passed, it means
// something on a busy machine. The test's own server is in it.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
