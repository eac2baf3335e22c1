package faults

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/logscope/logscope/engine"
	"github.com/logscope/logscope/plugin/chunk"
	"github.com/logscope/logscope/test/host/chunkfile"
	"github.com/logscope/logscope/test/lokitest"
	"github.com/logscope/logscope/test/sink"
)

// window is how far back the lines' times go.
const window = 10 * time.Minute

// lineText is the line with an id: a few templates, and now and then one that is new.
func lineText(id int) string {
	switch {
	case id%997 == 996:
		return fmt.Sprintf("id=%d ERROR disk %c%d: read of block %d failed, remapping", id, 'a'+id%7, id%13, id*7919)
	case id%3 == 0:
		return fmt.Sprintf("id=%d GET /cart/%d 200 %d ms", id, id%89, 5+id%17)
	case id%3 == 1:
		return fmt.Sprintf("id=%d worker %d took job of queue mail, %d waiting", id, id%4, id%23)
	}
	return fmt.Sprintf("id=%d session opened for user%d from 10.0.%d.%d", id, id%31, id%5, id%251)
}

// lineTime gives each line a time of its own, all of them within the window before begin.
func lineTime(begin time.Time, id, n int) time.Time {
	return begin.Add(-window).Add(time.Duration(id) * (window / time.Duration(n)))
}

// writeChunks writes n lines with ids as a chunk file, in chunks of some records.
func writeChunks(t *testing.T, n, perChunk int) string {
	t.Helper()
	begin := time.Now()
	f := newChunkFile(t)
	for id := range n {
		f.w.AppendLine(lineTime(begin, id, n).UnixNano(), "log", lineText(id))
		if (id+1)%perChunk == 0 || id == n-1 {
			f.flush("app")
		}
	}
	return f.close()
}

// chunkFile is a chunk file that is being written.
type chunkFile struct {
	t    *testing.T
	file *os.File
	w    chunk.Writer
}

func newChunkFile(t *testing.T) *chunkFile {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "chunks"))
	if err != nil {
		t.Fatal(err)
	}
	return &chunkFile{t: t, file: file}
}

func (f *chunkFile) record(at time.Time, metadata, body any) {
	f.t.Helper()
	if err := f.w.AppendRecord(at.UnixNano(), metadata, body); err != nil {
		f.t.Fatal(err)
	}
}

// flush ends a chunk.
func (f *chunkFile) flush(tag string) {
	f.t.Helper()
	if err := chunkfile.Write(f.file, tag, f.w.Buf); err != nil {
		f.t.Fatal(err)
	}
	f.w.Buf = f.w.Buf[:0]
}

func (f *chunkFile) close() string {
	f.t.Helper()
	if err := f.file.Close(); err != nil {
		f.t.Fatal(err)
	}
	return f.file.Name()
}

// ids counts the lines by id.
type ids map[int]int

func (c ids) add(line string) {
	m := regexp.MustCompile(`^id=(\d+) `).FindStringSubmatch(line)
	if m == nil {
		c[-1]++
		return
	}
	id, _ := strconv.Atoi(m[1])
	c[id]++
}

// fromLoki counts the lines of a run; logscope's own findings are left out.
func fromLoki(t *testing.T, loki *lokitest.Server, run string) ids {
	t.Helper()
	got := ids{}
	for _, e := range entries(t, loki, run) {
		got.add(e.Line)
	}
	return got
}

// entries returns the lines of a run, without logscope's own findings.
func entries(t *testing.T, loki *lokitest.Server, run string) []lokitest.Entry {
	t.Helper()
	now := time.Now()
	all, err := loki.Entries(t.Context(), fmt.Sprintf(`{run=%q, source!="logscope"}`, run), now.Add(-10*24*time.Hour), now.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// countInLoki returns how many lines Loki has of a run.
func countInLoki(t *testing.T, loki *lokitest.Server, run string) int {
	t.Helper()
	now := time.Now()
	n, err := loki.Count(t.Context(), fmt.Sprintf(`{run=%q, source!="logscope"}`, run), now.Add(-2*time.Hour), now.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func fromSink(s *sink.Sink) ids {
	got := ids{}
	for _, e := range s.Entries() {
		if !regexp.MustCompile(`source="logscope"`).MatchString(e.Labels) {
			got.add(e.Line)
		}
	}
	return got
}

// check demands the ids 0 to n-1: each once, or with again at least once.
func (c ids) check(t *testing.T, n int, again bool) {
	t.Helper()
	missing, twice, strange := 0, 0, 0
	firstMissing, firstTwice := -1, -1
	for id := range n {
		switch got := c[id]; {
		case got == 0:
			if missing++; firstMissing < 0 {
				firstMissing = id
			}
		case got > 1:
			if twice++; firstTwice < 0 {
				firstTwice = id
			}
		}
	}
	for id := range c {
		if id < 0 || id >= n {
			strange++
		}
	}
	if missing > 0 || strange > 0 || twice > 0 && !again {
		t.Errorf("of %d lines got %d missing (the first: %d), %d more than once (the first: %d), %d that nobody sent", n, missing, firstMissing, twice, firstTwice, strange)
	}
	if again && twice > 0 {
		t.Logf("%d of %d lines came more than once", twice, n)
	}
}

// checkScored demands a state file that is intact and says that n records were scored.
func checkScored(t *testing.T, path string, n int) {
	t.Helper()
	if got := scored(t, path); got != uint64(n) {
		t.Errorf("the engine's record counter: got %d; want %d", got, n)
	}
}

// scored returns the record counter of a state file, which must be intact.
func scored(t *testing.T, path string) uint64 {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(engine.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Restore(data); err != nil {
		t.Errorf("the state file: %v", err)
	}
	if _, err := os.Stat(path + ".bad"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a state file was set aside: %v", err)
	}
	return binary.LittleEndian.Uint64(data[20:]) // see the format in engine/snapshot.go
}
