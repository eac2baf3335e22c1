package loki

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func decodeAll(t testing.TB, pushes []Push) (out []entry) {
	t.Helper()
	for _, p := range pushes {
		es := decodeEntries(t, p.Tenant, p.Body)
		if len(es) != p.Entries {
			t.Errorf("push says %d entries; it has %d", p.Entries, len(es))
		}
		out = append(out, es...)
	}
	return out
}

func TestBatchKeepsEntriesAsTheyAre(t *testing.T) {
	b := newTestBatcher(nil).NewBatch()
	now := testNow.UnixNano()
	b.Stream("", streamA).Append(now, []byte("one"), []Label{{"trace_id", "x"}, {"span", "y"}})
	b.Stream("", streamB).Append(now+1, nil, nil)
	b.Stream("", streamA).Append(now+1e9, []byte("zwei \u00e4"), nil)
	want := []entry{
		{Labels: streamA, TimeNs: now, Line: "one", Metadata: []Label{{"trace_id", "x"}, {"span", "y"}}},
		{Labels: streamA, TimeNs: now + 1e9, Line: "zwei \u00e4"},
		{Labels: streamB, TimeNs: now + 1},
	}
	pushes := b.Pushes(nil)
	if len(pushes) != 1 || pushes[0].Alone {
		t.Fatalf("got %d pushes; want one", len(pushes))
	}
	if diff := cmp.Diff(want, decodeAll(t, pushes)); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if again := b.Pushes(nil); again != nil {
		t.Errorf("an empty batch gave %d pushes", len(again))
	}
}

func TestBatchCutsBySizeAndTenant(t *testing.T) {
	b := newTestBatcher(func(c *Config) { c.BatchSize = 10_000; c.TenantID = "default" }).NewBatch()
	line := bytes.Repeat([]byte("x"), 1000)
	for i := range 100 {
		b.Stream("", streamA).Append(testNow.UnixNano()+int64(i), line, nil)
		b.Stream("other", streamA).Append(testNow.UnixNano()+int64(i), line, nil)
		b.Stream("default", streamB).Append(testNow.UnixNano()+int64(i), line, nil)
	}
	b.Stream("", streamC).Append(testNow.UnixNano(), bytes.Repeat(line, 50), nil) // larger than a push
	entries := map[string]int{}
	for _, p := range b.Pushes(nil) {
		if p.RawBytes > 10_000 && p.Entries > 1 {
			t.Errorf("push of %d bytes, %d entries; limit 10,000", p.RawBytes, p.Entries)
		}
		entries[p.Tenant] += p.Entries
		seen := map[string]bool{}
		streams, err := decodePush(p.Body)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range streams {
			if seen[string(s.labels)] {
				t.Errorf("stream %s stands twice in one push", s.labels)
			}
			seen[string(s.labels)] = true
		}
	}
	if diff := cmp.Diff(map[string]int{"default": 201, "other": 100}, entries); diff != "" {
		t.Errorf("entries by tenant (-want +got):\n%s", diff)
	}
}

func TestBatchMendsWhatLokiRefuses(t *testing.T) {
	batcher := newTestBatcher(func(c *Config) { c.MaxLineSize = 100 })
	b := batcher.NewBatch()
	s := b.Stream("bad tenant\r\n", streamA)
	if s != b.Stream("bad_tenant__", streamA) {
		t.Error("one tenant has two streams in a batch")
	}
	var many []Label
	for i := range 200 {
		many = append(many, Label{fmt.Sprint("k", i), "v"})
	}
	now := testNow.UnixNano()
	s.Append(now, []byte("bad \xff\xfe utf-8"), []Label{{"a\xffb.c", "\xff"}, {"---", "x"}, {"", "x"}, {"empty", ""}})
	s.Append(now, bytes.Repeat([]byte("ä"), 100), nil)
	s.Append(now, []byte("many"), many)
	s.Append(now, []byte("large"), []Label{{"big", strings.Repeat("x", metadataBytesMax)}, {"small", "y"}})
	got := decodeAll(t, b.Pushes(nil))
	if diff := cmp.Diff([]Label{{"a_b_c", "?"}}, got[0].Metadata); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
	if want := "bad \uFFFD\uFFFD utf-8"; got[0].Line != want {
		t.Errorf("got line %q; want %q", got[0].Line, want)
	}
	if want := strings.Repeat("ä", 43) + truncatedSuffix; got[1].Line != want {
		t.Errorf("got line %q; want %q", got[1].Line, want)
	}
	if len(got[2].Metadata) != metadataPairsMax {
		t.Errorf("got %d pairs; want %d", len(got[2].Metadata), metadataPairsMax)
	}
	if diff := cmp.Diff([]Label{{"small", "y"}}, got[3].Metadata); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
	want := Mended{Truncated: 1, InvalidUTF8: 1, MetadataCut: 2 + 72 + 1}
	if diff := cmp.Diff(want, batcher.Mended()); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

func TestBatchDropsLongLinesIfTold(t *testing.T) {
	batcher := newTestBatcher(func(c *Config) { c.MaxLineSize, c.MaxLineAction = 100, LineDrop })
	b := batcher.NewBatch()
	b.Stream("", streamA).Append(testNow.UnixNano(), bytes.Repeat([]byte("x"), 101), nil)
	b.Stream("", streamA).Append(testNow.UnixNano(), bytes.Repeat([]byte("x"), 100), nil)
	if got := decodeAll(t, b.Pushes(nil)); len(got) != 1 || batcher.Mended().Dropped != 1 {
		t.Errorf("got %d entries, %+v; want one kept, one dropped", len(got), batcher.Mended())
	}
}

func TestBatchSendsApartWhatLokiMayRefuse(t *testing.T) {
	batcher := newTestBatcher(nil)
	now := testNow
	send := func(labels string, at ...time.Time) (alone []time.Duration) {
		t.Helper()
		b := batcher.NewBatch()
		defer b.Close()
		for _, at := range at {
			b.Stream("", labels).Append(at.UnixNano(), []byte("x"), nil)
			b.Stream("", streamC).Append(now.UnixNano(), []byte("other"), nil)
		}
		for _, p := range b.Pushes(nil) {
			if !p.Alone {
				continue
			}
			for _, e := range decodeEntries(t, p.Tenant, p.Body) {
				if e.Labels != labels {
					t.Errorf("stream %s travels with %s", e.Labels, labels)
				}
				alone = append(alone, time.Unix(0, e.TimeNs).Sub(now))
			}
		}
		return alone
	}
	check := func(what string, got []time.Duration, want ...time.Duration) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	check("old entries of a new stream", send(streamA, now.Add(-5*time.Hour), now.Add(-4*time.Hour), now.Add(-5*time.Hour)))
	check("within the window", send(streamA, now, now.Add(-time.Hour)))
	check("behind the newest of the batch", send(streamA, now.Add(-time.Hour-1)), -time.Hour-1)
	check("behind the newest of batches before", send(streamA, now.Add(-2*time.Hour), now), -2*time.Hour)
	check("another stream's own time", send(streamB, now.Add(-2*time.Hour)))
	check("far future", send(streamB, now.Add(80*365*24*time.Hour), now.Add(-2*time.Hour)), 80*365*24*time.Hour)
	check("too old for most", send(streamB, now.Add(-8*24*time.Hour)), -8*24*time.Hour)
	if got := batcher.Mended().Apart; got != 4 {
		t.Errorf("counted %d; want 4", got)
	}
}

// TestBatchFromOriginIsTheSame: whatever the Batcher saw since, and however late it is.
func TestBatchFromOriginIsTheSame(t *testing.T) {
	b := newTestBatcher(nil)
	now := testNow
	b.now = func() time.Time { return now }
	fill := func(batch *Batch) {
		for i, l := range []string{streamB, streamA, streamC, streamA} {
			batch.Stream("", l).Append(testNow.Add(time.Duration(-i)*time.Hour).UnixNano(), []byte("line"), nil)
			batch.Stream("", l).Append(testNow.UnixNano(), []byte("a line that is here twice"), nil)
		}
	}
	batch := b.NewBatch()
	fill(batch)
	origin := batch.Origin()
	want := batch.Pushes(nil)
	batch.Close()
	mended := b.Mended()

	now = now.Add(30 * 24 * time.Hour)
	later := b.NewBatch()
	later.Stream("", streamC).Append(now.UnixNano(), []byte("y"), nil)
	later.Pushes(nil)
	later.Close()
	again := b.NewBatchFrom(origin)
	defer again.Close()
	fill(again)
	if diff := cmp.Diff(want, again.Pushes(nil), cmpopts.IgnoreUnexported(Push{})); diff != "" {
		t.Errorf("pushes (-want +got):\n%s", diff)
	}
	if got := b.Mended(); got != mended {
		t.Errorf("got %+v; want %+v: nothing counted twice", got, mended)
	}
	fill(again)
	if got := again.Pushes(nil); len(got) == len(want) {
		t.Errorf("got %d pushes without the origin, too; this shows nothing", len(got))
	}
}

func TestBatchRestartsAsNew(t *testing.T) {
	fill := func(batch *Batch) {
		for i := range 5000 {
			batch.Stream("", streamA).Append(testNow.UnixNano()+int64(i/7), []byte("a line\xff"), nil)
			batch.Stream("", streamB).Append(testNow.Add(time.Duration(-i)*time.Second).UnixNano(), []byte("a line"), nil)
		}
	}
	plain := newTestBatcher(func(c *Config) { c.BatchSize = 10_000 })
	batch := plain.NewBatch()
	fill(batch)
	want := batch.Pushes(nil)

	b := newTestBatcher(func(c *Config) { c.BatchSize = 10_000 })
	batch = b.NewBatch()
	defer batch.Close()
	batch.Stream("", streamC).Append(testNow.Add(time.Minute).UnixNano(), []byte("not wanted"), nil)
	fill(batch)
	batch.Stream("", streamB).Append(testNow.Add(time.Hour).UnixNano(), []byte("nor this"), nil)
	batch.Restart()
	fill(batch)
	if diff := cmp.Diff(want, batch.Pushes(nil), cmpopts.IgnoreUnexported(Push{})); diff != "" {
		t.Errorf("pushes (-want +got):\n%s", diff)
	}
	if got, want := b.Mended(), plain.Mended(); got != want || want.Repeats == 0 {
		t.Errorf("got %+v; want %+v", got, want)
	}
}

func TestBatchCutsLateEntriesToo(t *testing.T) {
	b := newTestBatcher(func(c *Config) { c.BatchSize = 5000 }).NewBatch()
	for i := range 20 {
		b.Stream("", streamA).Append(int64(i), bytes.Repeat([]byte("x"), 1000), nil)
	}
	pushes := b.Pushes(nil)
	entries := 0
	for _, p := range pushes {
		entries += p.Entries
		if !p.Alone || p.RawBytes > 5100 {
			t.Errorf("push Alone %v of %d bytes", p.Alone, p.RawBytes)
		}
	}
	if entries != 20 || len(pushes) != 5 {
		t.Errorf("got %d entries in %d pushes; want 20 in 5", entries, len(pushes))
	}
}

func TestNewestTimesAreBounded(t *testing.T) {
	batcher := newTestBatcher(func(c *Config) { c.MaxStreams = 100 })
	for i := range 10 {
		b := batcher.NewBatch()
		for j := range 1000 {
			b.Stream("", fmt.Sprintf(`{n="%d"}`, i*1000+j)).Append(testNow.UnixNano(), []byte("x"), nil)
		}
		if got := len(decodeAll(t, b.Pushes(nil))); got != 1000 {
			t.Fatalf("got %d entries; want 1000", got)
		}
		if len(b.free) > keptStreams {
			t.Errorf("the batch keeps %d streams; limit %d", len(b.free), keptStreams)
		}
		b.Close()
	}
	if got := batcher.newest.lru.Len(); got != 100 {
		t.Errorf("remembers %d streams; limit 100", got)
	}
}

func TestClosedBatchForgetsItsEntries(t *testing.T) {
	batcher := newTestBatcher(nil)
	b := batcher.NewBatch()
	b.Stream("", streamA).Append(testNow.UnixNano(), []byte("lost"), nil)
	b.Stream("", streamA).Append(0, []byte("lost too"), nil)
	b.Close()
	for range 3 { // whichever the pool gives
		b = batcher.NewBatch()
		if got := b.Pushes(nil); got != nil {
			t.Errorf("a new batch holds %d pushes", len(got))
		}
	}
}

// The labels given may be a view of memory that changes.
func TestBatchCopiesItsKeys(t *testing.T) {
	b := newTestBatcher(nil).NewBatch()
	buf := []byte(streamA)
	b.Stream(unsafeString(buf), unsafeString(buf)).Append(testNow.UnixNano(), []byte("x"), nil)
	copy(buf, strings.Repeat("#", len(buf)))
	got := decodeAll(t, b.Pushes(nil))
	if got[0].Labels != streamA || got[0].Tenant != "_job__a__" {
		t.Errorf("got %+v", got[0])
	}
}

func TestBatchesOfSeveralGoroutines(t *testing.T) {
	batcher := newTestBatcher(nil)
	var wg sync.WaitGroup
	total := make([]int, 4)
	for w := range 4 {
		wg.Go(func() {
			for i := range 50 {
				b := batcher.NewBatch()
				for j := range 20 {
					b.Stream("", fmt.Sprintf(`{n="%d"}`, j)).Append(testNow.UnixNano()-int64(i)*int64(time.Hour), []byte("x"), nil)
				}
				for _, p := range b.Pushes(nil) {
					total[w] += p.Entries
				}
				b.Close()
			}
		})
	}
	wg.Wait()
	for _, n := range total {
		if n != 1000 {
			t.Errorf("got %d entries; want 1000", n)
		}
	}
}

func BenchmarkBatch(b *testing.B) {
	line := []byte(`2026-05-04T12:00:00.123456Z INFO dfs.DataNode$PacketResponder: Received block blk_-1608999687919862906 of size 91178 from /10.250.10.6 terminating`)
	for name, meta := range map[string][]Label{
		"lines":    nil,
		"metadata": {{"logscope_score", "0.97"}, {"trace_id", "4bf92f3577b34da6a3ce929d0e0e4736"}},
	} {
		b.Run(name, func(b *testing.B) {
			batch := newTestBatcher(nil).NewBatch()
			var pushes []Push
			now := testNow.UnixNano()
			b.SetBytes(int64(len(line)))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				batch.Stream("", streamA).Append(now+int64(i), line, meta)
				if i%14_000 == 13_999 { // a chunk of 2 MB
					pushes = batch.Pushes(pushes[:0])
				}
			}
		})
	}
}

func BenchmarkAppendLabels(b *testing.B) {
	in := []Label{{"job", "fluent-bit"}, {"namespace", "default"}, {"container", "api"}, {"pod", "api-7f5c9d7b9-x2x4k"}}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendLabels(dst[:0], in)
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	batch := newTestBatcher(nil).NewBatch()
	line := bytes.Repeat([]byte("0123456789 "), 13)
	bad := append(bytes.Clone(line), 0xff)
	meta := []Label{{"logscope_score", "0.97"}}
	var pushes []Push
	chunk := func() {
		for i := range 10_000 {
			s := batch.Stream("", streamA)
			s.Append(testNow.UnixNano()+int64(i), line, meta)
			batch.Stream("", streamB).Append(testNow.UnixNano(), bad, nil)
		}
		pushes = batch.Pushes(pushes[:0])
	}
	chunk()
	// Per chunk: a body for each push, and the tenant's group. Nothing per record.
	if n, limit := testing.AllocsPerRun(10, chunk), float64(len(pushes)+10); n > limit {
		t.Errorf("got %v allocations for 20,000 entries in %d pushes; want at most %v", n, len(pushes), limit)
	}
}
