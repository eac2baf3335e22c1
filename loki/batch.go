package loki

import (
	"bytes"
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/klauspost/compress/s2"
)

// Batcher collects entries and cuts them into pushes. There is one per
// instance; several goroutines use it through a Batch each.
type Batcher struct {
	cfg    Config
	newest *newestTimes
	pool   sync.Pool // of *Batch
	seed   maphash.Seed
	now    func() time.Time

	truncated, dropped, mendedUTF8, metadataCut, apart, repeats atomic.Uint64
}

// Mended counts what a Batcher changed in entries, since it was made.
type Mended struct {
	Truncated   uint64 // lines cut to MaxLineSize
	Dropped     uint64 // lines longer than MaxLineSize, left out by MaxLineAction
	InvalidUTF8 uint64 // lines with bytes replaced
	MetadataCut uint64 // pairs of structured metadata left out: over Loki's limits, or no name
	Apart       uint64 // entries sent apart, since Loki may refuse them
	Repeats     uint64 // entries moved by nanoseconds, since Loki would take them for repeats
}

// NewBatcher returns a Batcher. cfg has been validated.
func NewBatcher(cfg Config) *Batcher {
	b := &Batcher{cfg: cfg, newest: newNewestTimes(cfg.MaxStreams), now: time.Now, seed: maphash.MakeSeed()}
	b.pool.New = func() any {
		return &Batch{b: b, streams: map[streamKey]*Stream{}, groups: map[string]*group{}}
	}
	return b
}

// Mended returns the counts so far.
func (b *Batcher) Mended() Mended {
	return Mended{
		Truncated: b.truncated.Load(), Dropped: b.dropped.Load(), InvalidUTF8: b.mendedUTF8.Load(),
		MetadataCut: b.metadataCut.Load(), Apart: b.apart.Load(), Repeats: b.repeats.Load(),
	}
}

// NewBatch returns an empty batch for one goroutine at a time. Close gives it back.
func (b *Batcher) NewBatch() *Batch {
	t := b.pool.Get().(*Batch)
	t.start(b.now().UnixNano())
	return t
}

// Origin is what the cut of a batch depends on beside the entries and their order: which of them
// Loki may refuse for their time. It is immutable.
type Origin struct {
	now    int64
	newest []int64 // of each stream, in order of appearance
}

// Bytes is what it costs in memory.
func (o *Origin) Bytes() int { return 32 + 8*len(o.newest) }

// NewBatchFrom returns an empty batch that makes, of the entries of another one that had this
// origin, the same pushes again. What it mends is not counted a second time.
func (b *Batcher) NewBatchFrom(o Origin) *Batch {
	t := b.pool.Get().(*Batch)
	t.start(o.now)
	t.again, t.known = true, o.newest
	return t
}

// Origin returns the batch's. It is to be called before Pushes.
func (t *Batch) Origin() Origin {
	o := Origin{now: t.now, newest: make([]int64, len(t.used))}
	for i, s := range t.used {
		o.newest[i] = s.since
	}
	return o
}

// Batch takes the entries of one chunk and makes pushes of them.
//
// Entries are encoded as they come, into one buffer per stream. When a tenant's
// buffers reach BatchSize, they are made into a push, so a batch holds no more
// than that uncompressed. Entries that Loki may refuse for their time are kept
// apart: of several streams in a push Loki reports the last one's error only,
// so these make pushes of one stream each, in which every refusal is seen.
type Batch struct {
	b       *Batcher
	streams map[streamKey]*Stream
	groups  map[string]*group // by tenant
	order   []*group          // groups in order of appearance
	used    []*Stream         // streams of this batch, in order of appearance
	free    []*Stream
	ready   []Push
	alone   []Push

	now            int64
	oldest, latest int64 // entries outside may be refused: Unix nanoseconds
	again          bool  // made by NewBatchFrom
	known          []int64
	raw, packed    []byte
	line           []byte  // a line with invalid UTF-8 replaced
	meta           []Label // metadata made valid
	count          Mended
}

type streamKey struct{ tenant, labels string }

// group is the open push of one tenant.
type group struct {
	tenant string
	open   []*Stream // streams with entries in the open push
	size   int       // bytes of them
}

func (t *Batch) start(now int64) {
	t.now, t.again, t.known = now, false, nil
	t.oldest, t.latest = now-int64(sampleAgeMax), now+int64(futureGrace)
}

// Stream returns the stream with these labels, which are in canonical form
// (AppendLabels). An empty tenant stands for Config.TenantID. It is valid until
// Pushes. tenant and labels are copied where they are kept, so they may be
// views of a buffer of the caller's.
func (t *Batch) Stream(tenant, labels string) *Stream {
	if s := t.streams[streamKey{tenant, labels}]; s != nil {
		return s
	}
	valid := mendTenant(tenant)
	if valid == "" {
		valid = t.b.cfg.TenantID
	}
	e := t.b.newest.get(streamKey{valid, labels})
	s := t.streams[e.key]
	if s == nil {
		s = t.takeStream()
		s.entry, s.labels, s.since = e, e.key.labels, t.newestOf(e)
		s.newest = s.since
		s.group = t.group(e.key.tenant)
		t.streams[e.key] = s
		t.used = append(t.used, s)
	}
	if valid != tenant {
		t.streams[streamKey{strings.Clone(tenant), e.key.labels}] = s
	}
	return s
}

// newestOf is the newest time that the next stream of the batch begins with.
func (t *Batch) newestOf(e *newestTime) int64 {
	if n := len(t.used); n < len(t.known) {
		return t.known[n]
	}
	return e.newest.Load()
}

func (t *Batch) takeStream() *Stream {
	if n := len(t.free); n > 0 {
		s := t.free[n-1]
		t.free = t.free[:n-1]
		return s
	}
	return &Stream{t: t}
}

func (t *Batch) group(tenant string) *group {
	g := t.groups[tenant]
	if g == nil {
		g = &group{tenant: tenant}
		t.groups[tenant] = g
		t.order = append(t.order, g)
	}
	return g
}

// Stream collects the entries of one label set of a Batch.
type Stream struct {
	t      *Batch
	group  *group
	entry  *newestTime
	labels string
	newest int64 // of the entries so far, here and in the batches before
	since  int64 // of those in the batches before
	run    run

	buf     []byte // encoded entries of the open push
	entries int
	late    []byte // encoded entries that Loki may refuse
	lates   int
}

// Append adds an entry. It copies line and metadata; what Loki would refuse of
// them is mended, see Mended.
func (s *Stream) Append(timeNs int64, line []byte, metadata []Label) {
	t := s.t
	if !utf8.Valid(line) {
		t.line = appendValidUTF8(t.line[:0], line)
		line = t.line
		t.count.InvalidUTF8++
	}
	if limit := t.b.cfg.MaxLineSize; limit > 0 && len(line) > limit {
		if t.b.cfg.MaxLineAction == LineDrop {
			t.count.Dropped++
			return
		}
		t.line = appendTruncated(t.line, line, limit)
		line = t.line
		t.count.Truncated++
	}
	if len(metadata) > 0 {
		metadata = t.validMetadata(metadata)
	}
	if t.b.cfg.KeepRepeats {
		timeNs = s.shifted(timeNs, line)
	}
	size := entrySize(timeNs, len(line), metadata)
	if s.mayBeRefused(timeNs) {
		t.count.Apart++
		if s.lates > 0 && len(s.late)+fieldSize(size) > t.b.cfg.BatchSize {
			t.cutLate(s)
		}
		s.run.begin(&s.late)
		s.late = appendEntry(s.late, size, timeNs, line, metadata)
		s.lates++
		return
	}
	s.newest = max(s.newest, timeNs)
	s.reserve(fieldSize(size))
	s.run.begin(&s.buf)
	s.buf = appendEntry(s.buf, size, timeNs, line, metadata)
	s.entries++
}

// reserve makes room for n bytes in the open push of the stream's tenant.
func (s *Stream) reserve(n int) {
	g := s.group
	if g.size+n > s.t.b.cfg.BatchSize && g.size > 0 {
		s.t.cut(g)
	}
	if s.entries == 0 {
		g.open = append(g.open, s)
		g.size += stringSize(len(s.labels)) + 5
	}
	g.size += n
}

// mayBeRefused says that Loki may find the time too far behind its stream's
// newest, too old, or too far in the future.
func (s *Stream) mayBeRefused(timeNs int64) bool {
	if timeNs > s.t.latest || timeNs < s.t.oldest {
		return true
	}
	window := int64(s.t.b.cfg.OutOfOrderWindow)
	return window > 0 && s.newest != 0 && timeNs < s.newest-window
}

// appendTruncated returns in dst the line cut to limit bytes, at a rune. dst may
// be line's own buffer.
func appendTruncated(dst, line []byte, limit int) []byte {
	n := limit - len(truncatedSuffix)
	for n > 0 && !utf8.RuneStart(line[n]) {
		n--
	}
	dst = append(dst[:0], line[:n]...)
	return append(dst, truncatedSuffix...)
}

// validMetadata returns the pairs as Loki takes them: names and UTF-8 valid, no
// more and no larger than its limits. A name without a letter or digit, which
// makes Loki answer 500 for the whole push, goes.
func (t *Batch) validMetadata(metadata []Label) []Label {
	t.meta = t.meta[:0]
	bytes := 0
	for _, l := range metadata {
		if l.Value == "" {
			continue
		}
		l.Name = MendLabelName(l.Name)
		if !utf8.ValidString(l.Value) {
			l.Value = strings.ToValidUTF8(l.Value, "?") // Loki would take U+FFFD out
		}
		bytes += len(l.Name) + len(l.Value)
		if len(t.meta) == metadataPairsMax || bytes > metadataBytesMax || strings.Trim(l.Name, "_") == "" {
			bytes -= len(l.Name) + len(l.Value)
			t.count.MetadataCut++
			continue
		}
		t.meta = append(t.meta, l)
	}
	return t.meta
}

// Pushes appends the pushes of the batch to dst and leaves the batch empty, for
// use again. Pushes that are Alone come last.
func (t *Batch) Pushes(dst []Push) []Push {
	t.Cut()
	for _, s := range t.used {
		t.cutLate(s)
		s.entry.raise(s.newest)
	}
	dst = append(dst, t.ready...)
	dst = append(dst, t.alone...)
	t.reset()
	return dst
}

// Cut compresses what Pushes would, ahead of it. If more entries come after all, the pushes are others
// than without, so the batch must begin anew.
func (t *Batch) Cut() {
	for _, g := range t.order {
		t.cut(g)
	}
}

// cut makes a push of the entries that wait for one tenant.
func (t *Batch) cut(g *group) {
	if len(g.open) == 0 {
		return
	}
	t.raw = t.raw[:0]
	entries := 0
	for _, s := range g.open {
		t.raw = appendStream(t.raw, s.labels, s.buf)
		entries += s.entries
		s.hashFirst()
		s.buf, s.entries = s.buf[:0], 0
	}
	clear(g.open)
	g.open, g.size = g.open[:0], 0
	t.ready = append(t.ready, t.pack(g.tenant, entries, false))
}

// cutLate makes a push of the entries of s that Loki may refuse.
func (t *Batch) cutLate(s *Stream) {
	if s.lates == 0 {
		return
	}
	t.raw = appendStream(t.raw[:0], s.labels, s.late)
	t.alone = append(t.alone, t.pack(s.group.tenant, s.lates, true))
	s.hashFirst()
	s.late, s.lates = s.late[:0], 0
}

// pack compresses t.raw. The body is the only allocation: it outlives the batch.
func (t *Batch) pack(tenant string, entries int, alone bool) Push {
	t.packed = s2.EncodeSnappy(t.packed[:cap(t.packed)], t.raw)
	return Push{Tenant: tenant, Body: bytes.Clone(t.packed), Entries: entries, RawBytes: len(t.raw), Alone: alone}
}

// reset empties the batch and keeps a bounded part of its memory.
func (t *Batch) reset() {
	b := t.b
	if t.again {
		t.count = Mended{}
	}
	b.truncated.Add(t.count.Truncated)
	b.dropped.Add(t.count.Dropped)
	b.mendedUTF8.Add(t.count.InvalidUTF8)
	b.metadataCut.Add(t.count.MetadataCut)
	b.apart.Add(t.count.Apart)
	b.repeats.Add(t.count.Repeats)
	t.count = Mended{}

	kept := 0
	for _, s := range t.free {
		kept += cap(s.buf) + cap(s.late)
	}
	for _, s := range t.used {
		if kept += cap(s.buf) + cap(s.late); len(t.free) < keptStreams && kept <= keptBytes {
			*s = Stream{t: t, buf: s.buf, late: s.late, run: run{seen: s.run.emptied()}}
			t.free = append(t.free, s)
		}
	}
	if len(t.streams) > 4*keptStreams {
		t.streams = map[streamKey]*Stream{}
	}
	clear(t.streams)
	clear(t.groups)
	clear(t.used)
	clear(t.ready)
	clear(t.alone)
	clear(t.meta[:cap(t.meta)])
	t.order, t.used, t.meta = t.order[:0], t.used[:0], t.meta[:0]
	t.ready, t.alone = t.ready[:0], t.alone[:0]
	if cap(t.raw) > 2*keptBytes {
		t.raw, t.packed = nil, nil
	}
	t.start(b.now().UnixNano())
}

// Restart drops the entries of a batch that NewBatch made, as if they had never been appended.
func (t *Batch) Restart() {
	for _, s := range t.used {
		s.buf, s.late = s.buf[:0], s.late[:0]
	}
	t.count = Mended{}
	t.reset()
}

// Close gives the batch back for use by NewBatch. Entries it still holds are lost.
func (t *Batch) Close() {
	if len(t.used) > 0 {
		for _, s := range t.used {
			s.buf, s.late = s.buf[:0], s.late[:0]
		}
		t.reset()
	}
	t.b.pool.Put(t)
}
