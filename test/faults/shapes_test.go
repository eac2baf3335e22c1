package faults

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/logscope/logscope/plugin/chunk"
	"github.com/logscope/logscope/test/sink"
)

// TestShapes: whatever a chunk holds, it gets a clear answer and never a crash.
func TestShapes(t *testing.T) {
	r := newRig(t)
	t.Run("sizes", func(t *testing.T) { testSizes(t, r) })
	t.Run("garbage", func(t *testing.T) { testGarbage(t, r) })
	t.Run("depth and UTF-8", func(t *testing.T) { testOddRecords(t, r) })
	t.Run("label sets", func(t *testing.T) { testLabelSets(t, r) })
}

// testSizes: a chunk of 1 record, of 500,000, and of 64 MB.
func testSizes(t *testing.T, r *rig) {
	begin := time.Now()
	f := newChunkFile(t)
	n := 0
	add := func(records, pad int) {
		text := strings.Repeat(" pad", pad/4)
		for range records {
			f.w.AppendLine(begin.Add(-time.Minute+time.Duration(n)*time.Microsecond).UnixNano(), "log", lineText(n)+text)
			n++
		}
		f.flush("app")
	}
	add(1, 0)
	add(500_000, 0)
	add(65_536, 1000)
	s := sink.New(t)
	got := ids{}
	s.Keep = func(e sink.Entry) { // the lines alone, or they would fill the memory
		if !strings.Contains(e.Labels, `source="logscope"`) {
			got.add(e.Line)
		}
	}
	h := r.startHost(t, []string{"--chunks", f.close(), "--retries", "-1"}, options(s.URL, "x", "workers=1", "timeout=60s"))
	stats := h.wait(t, 0)
	if stats.Flushes != 3 || stats.OK != 3 {
		t.Errorf("got %d flushes, %d ok; want 3 and 3", stats.Flushes, stats.OK)
	}
	got.check(t, n, false)
	t.Logf("%d records, %d MB in 3 chunks: %d ms the longest flush, %d MB of memory at most", n, stats.Bytes>>20, stats.FlushUsMax/1000, stats.MaxRSSKB>>10)
	if got := stats.MaxRSSKB >> 10; got > 400 {
		t.Errorf("memory: got %d MB; want at most 400: the host holds the chunk of 68 MB twice", got)
	}
}

// testGarbage: bytes that are no records are skipped and told; whole records
// before, between and behind them arrive. So are metrics and traces.
func testGarbage(t *testing.T, r *rig) {
	random := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 100_000)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	f := newChunkFile(t)
	id := 0
	add := func() {
		f.w.AppendLine(time.Now().UnixNano(), "log", lineText(id))
		id++
	}
	// What cmetrics encodes: a map, with no time.
	metrics := func() {
		if err := f.w.AppendValue(chunk.Pairs{"meta", chunk.Pairs{"ver", 2}, "metrics", []any{chunk.Pairs{"values", []any{1.5}}}}); err != nil {
			t.Fatal(err)
		}
	}
	chunks := 0
	flush := func() { f.flush("app"); chunks++ }

	f.w.Buf = append(f.w.Buf, noise...)
	flush()
	add()
	f.w.Buf = append(f.w.Buf, noise[:5000]...)
	add()
	flush()
	f.w.Buf = append(f.w.Buf, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"...)
	flush()
	metrics()
	flush()
	add()
	metrics()
	add()
	flush()
	for _, value := range []byte{0xc0, 0xc1, 0xc3, 0x00, 0xff, 0xdf, 0xdd, 0xc9, 0x92, 0xd7} {
		f.w.Buf = append(f.w.Buf, value) // a value alone, or its head
		flush()
	}
	f.w.Buf = append(f.w.Buf, 0xdf, 0xff, 0xff, 0xff, 0xff) // a map of four milliards of pairs
	flush()
	flush() // an empty chunk
	add()
	flush()

	s := sink.New(t)
	h := r.startHost(t, []string{"--chunks", f.close(), "--retries", "-1", "--guard"}, options(s.URL, "x", "workers=2"))
	stats := h.wait(t, 3) // Fluent Bit would keep the damaged chunks aside
	if stats.Retry != 0 || stats.OK != 2 || stats.Error != int64(chunks-2) {
		t.Errorf("of %d chunks got %d taken, %d refused, %d to retry; want 2 taken (an empty one is), the others refused", chunks, stats.OK, stats.Error, stats.Retry)
	}
	h.checkTold(t, 1, "damaged chunk with tag \"app\"")
	got := fromSink(s)
	delete(got, -1) // noise may hold what is a record by chance
	got.check(t, id, true)
}

// testOddRecords: maps in maps, and strings that are not UTF-8, which Loki would refuse.
func testOddRecords(t *testing.T, r *rig) {
	f := newChunkFile(t)
	nested := func(depth int) chunk.Pairs {
		value := any("end")
		for range depth / 2 {
			value = chunk.Pairs{"k", []any{value}}
		}
		return chunk.Pairs{"deep", value}
	}
	f.record(time.Now(), nil, nested(60))
	f.flush("deep")
	f.record(time.Now(), nil, nested(200)) // told and left out: nobody can read 200 levels
	f.record(time.Now(), nil, chunk.Pairs{"log", "behind it"})
	f.w.Buf = append(f.w.Buf, []byte(strings.Repeat("\x91", 100_000))...)
	f.flush("deeper")
	f.record(time.Now(), nil, chunk.Pairs{"log", "bad \xff\xfe utf-8", "job\xff", "x", "svc", "a\xffb"})
	f.record(time.Now(), nil, chunk.Pairs{"log", "cut \xe2\x82", "svc", "\xff\xff"})
	f.flush("utf8")

	s := sink.New(t)
	h := r.startHost(t, []string{"--chunks", f.close(), "--guard"}, append(options(s.URL, "x", "workers=1", "score=off"), "label_keys=$svc"))
	if stats := h.wait(t, 3); stats.Error != 1 || stats.OK != 2 {
		t.Errorf("got %d chunks refused, %d taken; want 1 and 2", stats.Error, stats.OK)
	}
	h.checkTold(t, 1, "damaged chunk", "\"deeper\"", "nested deeper than 64")
	var lines []string
	for _, e := range s.Entries() {
		if !utf8.ValidString(e.Line) || !utf8.ValidString(e.Labels) {
			t.Errorf("got invalid UTF-8: %+v", e)
		}
		lines = append(lines, e.Line)
	}
	if len(lines) != 4 || !strings.Contains(lines[0], `"end"`) || lines[1] != "behind it" {
		t.Errorf("got %d lines; want the map in maps, what is behind one too deep, and two mended: %.300q", len(lines), lines)
		return
	}
	want := []string{`{"log":"bad �� utf-8","job�":"x"}`, "cut ��"}
	if diff := cmp.Diff(want, lines[2:]); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

// testLabelSets: ten thousand label sets, three times, cost bounded memory, and
// where they are more than the option allows, one line says its name.
func testLabelSets(t *testing.T, r *rig) {
	const sets, n = 10_000, 30_000
	f := newChunkFile(t)
	begin := time.Now()
	for id := range n {
		f.record(lineTime(begin, id, n), nil, chunk.Pairs{"log", lineText(id), "pod", fmt.Sprintf("web-%d", id%sets)})
		if id%5000 == 4999 {
			f.flush("app")
		}
	}
	path := f.close()
	for _, test := range []struct{ option, told int }{{10_000, 0}, {500, 1}} {
		t.Run(fmt.Sprintf("max_label_sets %d", test.option), func(t *testing.T) {
			s := sink.New(t)
			h := r.startHost(t, []string{"--chunks", path, "--retries", "-1"},
				append(options(s.URL, "x", "workers=1", fmt.Sprintf("max_label_sets=%d", test.option)), "label_keys=$pod"))
			stats := h.wait(t, 0)
			fromSink(s).check(t, n, false)
			h.checkTold(t, test.told, "max_label_sets", "warn")
			t.Logf("%d MB of memory at most", stats.MaxRSSKB>>10)
			if stats.MaxRSSKB>>10 > 100 {
				t.Errorf("memory: got %d MB; want at most 100", stats.MaxRSSKB>>10)
			}
		})
	}
}

// TestState: without a place for its state logscope says so once, and ships and scores on.
func TestState(t *testing.T) {
	r := newRig(t)
	t.Run("disk full", func(t *testing.T) {
		dir := mountTmpfs(t, "size=64k")
		fill, err := os.Create(filepath.Join(dir, "fill"))
		if err != nil {
			t.Fatal(err)
		}
		defer fill.Close()
		for block := make([]byte, 1024); err == nil; {
			_, err = fill.Write(block)
		}
		r.testNoState(t, filepath.Join(dir, "state"), "no space left on device")
	})
	t.Run("read-only", func(t *testing.T) {
		r.testNoState(t, "/proc/logscope/state", "no such file or directory")
	})
	t.Run("full and free again", func(t *testing.T) { r.testStateHeals(t) })
}

// mountTmpfs mounts a file system of a few KB, where the test may.
func mountTmpfs(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := mount(dir, options); err != nil {
		t.Skipf("needs root, to mount a file system that is soon full: %v", err)
	}
	t.Cleanup(func() {
		if err := unmount(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func (r *rig) testNoState(t *testing.T, state, words string) {
	const n = 4000
	s := sink.New(t)
	h := r.startHost(t, []string{"--chunks", writeChunks(t, n, 200), "--interval", "200"}, options(s.URL, "x", "state_file="+state, "state_interval=1s"))
	h.wait(t, 0)
	h.checkTold(t, 1, state, words)
	if got := linesWith(h.Log(), state, "warn"); len(got) != 1 {
		t.Errorf("got %d warnings; want one:\n%s", len(got), h.Log())
	}
	fromSink(s).check(t, n, false)
}

// testStateHeals: when there is room again, the state is written, and nothing of the failure is left.
func (r *rig) testStateHeals(t *testing.T) {
	dir := mountTmpfs(t, "size=4m")
	fill := filepath.Join(dir, "fill")
	f, err := os.Create(fill)
	if err != nil {
		t.Fatal(err)
	}
	for block := make([]byte, 4096); err == nil; {
		_, err = f.Write(block)
	}
	f.Close()
	const n = 4000
	state := filepath.Join(dir, "state")
	s := sink.New(t)
	h := r.startHost(t, []string{"--chunks", writeChunks(t, n, 200), "--hold"}, options(s.URL, "x", "state_file="+state, "state_interval=1s"))
	until(t, "all lines", h, func() (bool, string) { got := len(fromSink(s)); return got >= n, fmt.Sprint(got) })
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	until(t, "a state file", h, func() (bool, string) { _, err := os.Stat(state); return err == nil, fmt.Sprint(err) })
	if err := h.Stop(10 * time.Second); err != nil {
		t.Error(err)
	}
	checkScored(t, state, n)
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range left {
		if e.Name() != "state" && e.Name() != "state.lock" {
			t.Errorf("left behind: %s", e.Name())
		}
	}
}
