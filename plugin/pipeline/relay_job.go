package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/logscope/logscope/engine"
	"github.com/logscope/logscope/loki"
	"github.com/logscope/logscope/plugin/chunk"
)

// Bounds of a push that is scored. One with more goes on as it came, where Loki can read it.
const (
	// RelayEntriesMax is twice what Vector sends at most; 20 MB while it is scored.
	RelayEntriesMax = 200_000
	// RelayStreamsMax is four times the streams that one Loki tenant may have by default; 10 MB.
	RelayStreamsMax = 20_000
)

// eventAgeMax is how far a finding without a line may lie behind the push that it goes with.
const eventAgeMax = int64(10 * time.Minute)

// relayJob is one push on its way.
type relayJob struct {
	r     *Relay
	push  *RelayPush
	told  *relayTold
	first bool // nobody has said anything of it yet
	said  bool // told.ready is closed

	of      sender
	decoded loki.Decoded
	sets    []*relaySet // by stream
}

// close says that all is said.
func (j *relayJob) close() {
	if j.first && !j.said {
		j.said = true
		close(j.told.ready)
	}
}

// asItCame says that the push goes on without a look at it.
func (j *relayJob) asItCame() bool {
	return j.push.Verbatim && !j.first && j.told.clean()
}

// read takes the push apart.
func (j *relayJob) read() error {
	j.of = sender{cmp.Or(j.push.Send.Tenant, j.r.cfg.Loki.TenantID), j.push.Owner}
	if j.asItCame() {
		return nil
	}
	raw, timeless, err := j.push.Raw(j.told.now)
	if err == nil {
		j.decoded.StreamsMax, j.decoded.EntriesMax = RelayStreamsMax, RelayEntriesMax
		err = j.decoded.Read(raw)
	}
	if err != nil {
		return err
	}
	switch {
	case j.first:
		j.told.timeless, j.told.records = timeless, len(j.decoded.Entries)
	case j.told.records != len(j.decoded.Entries): // two pushes with one hash
		return errors.New("another push is known by the same hash")
	}
	j.sets = make([]*relaySet, len(j.decoded.Streams))
	for i := range j.decoded.Streams {
		set, forgotten := j.r.sets.get(j.of.tenant, j.of.owner, view(j.decoded.Streams[i].Labels), j.r.cfg.ModelKey)
		j.sets[i] = set
		if forgotten > 0 {
			j.r.count(func(c *Counts) { c.LabelSetsForgotten += uint64(forgotten) })
			if j.r.warns("label sets") {
				j.r.log.Warn(fmt.Sprintf(msgLabelSets, j.r.cfg.LabelSetsMax))
			}
		}
	}
	return nil
}

// score has every entry scored, and remembers what is to be said of them.
func (j *relayJob) score() {
	defer j.close()
	j.r.senders.note(j.of)
	var todo [relayShards]bool
	for _, set := range j.sets {
		todo[set.shard] = true
	}
	for shard, any := range todo {
		if any && j.r.cfg.Score {
			j.scoreShard(shard)
		}
	}
	if j.told.records > 0 {
		for _, w := range j.r.senders.take(j.of) {
			j.tell(w.event, w.set, j.decoded.Entries[j.told.records-1].TimeNs)
		}
	}
	slices.SortFunc(j.told.marks, func(a, b relayMark) int { return cmp.Compare(a.index, b.index) })
	dropped := 0
	for i := range j.told.records {
		if j.told.isDropped(i) {
			dropped++
		}
	}
	j.r.count(func(c *Counts) {
		c.Chunks++
		c.Records += uint64(j.told.records)
		c.BytesIn += uint64(len(j.push.Identity))
		c.NotForwarded += uint64(dropped)
	})
}

// scoreShard scores the entries whose models are in one shard, in blocks.
func (j *relayJob) scoreShard(shard int) {
	p := j.r.shards[shard]
	w := p.takeWork()
	defer p.returnWork(w)
	w.cache.begin()
	indexes := make([]int32, 0, min(len(j.decoded.Entries), blockRecords))
	for i, set := range j.sets {
		if set.shard != shard {
			continue
		}
		for n := j.decoded.Streams[i].First; n < j.decoded.Streams[i].End; n++ {
			e := &j.decoded.Entries[n]
			w.items = append(w.items, item{rec: chunk.Record{Time: e.TimeNs}, message: e.Line, stream: set.model, labels: set.set})
			indexes = append(indexes, int32(n))
			if len(indexes) == blockRecords {
				j.scoreBlock(p, w, indexes)
				indexes = indexes[:0]
			}
		}
	}
	j.scoreBlock(p, w, indexes)
}

// scoreBlock scores the items of w; indexes are those of their entries.
func (j *relayJob) scoreBlock(p *Pipeline, w *work, indexes []int32) {
	p.score(w, false, nil)
	t := j.told
	for i := range w.verdicts {
		v := &w.verdicts[i]
		weight, ok := p.forwards(w, i, v)
		switch {
		case !ok:
			t.drop(int(indexes[i]), t.records)
		case v.Anomaly && p.cfg.Annotate != AnnotateOff:
			t.marks = append(t.marks, relayMark{index: indexes[i], weight: 1, anomalous: true, verdict: ownVerdict(*v)})
		case weight > 1:
			t.marks = append(t.marks, relayMark{index: indexes[i], weight: int32(weight)})
		}
	}
	if p.cfg.Annotate != AnnotateOff {
		for i := range w.events {
			j.event(w.events[i], w.eventLabels[i], w.items[len(w.items)-1].rec.Time)
		}
	}
	w.release()
}

// event sees to a finding without a line that came up while the push was
// scored: set is what its stream carries, nil where that is not known, and
// latest the time of an entry. Only its own sender must read of it.
func (j *relayJob) event(e engine.Event, set *labelSet, latest int64) {
	e.Stream, e.Verdict = strings.Clone(e.Stream), ownVerdict(e.Verdict)
	switch {
	case e.Kind == engine.EventFleet:
		if j.r.senders.alone() && e.Time >= j.r.fleetFrom {
			j.tell(e, j.r.shards[0].shaper.unlabelled, latest)
		} else if j.r.warns("fleet") {
			j.r.log.Warn(fmt.Sprintf(msgFleet, e.Explanation))
		}
	case set == nil:
		j.r.senders.drop()
	case j.of == sender{set.tenant, set.owner}:
		j.tell(e, set, latest)
	default:
		j.r.senders.keep(sender{set.tenant, set.owner}, e, set)
	}
}

// tell lets a finding without a line go with the push.
func (j *relayJob) tell(e engine.Event, set *labelSet, latest int64) {
	// Loki would refuse one that is far behind, and the sender would hear of it.
	e.Time = max(e.Time, latest-eventAgeMax)
	j.told.events = append(j.told.events, e)
	j.told.eventSets = append(j.told.eventSets, set)
}

// ownVerdict is v with strings that live as long as it.
func ownVerdict(v engine.Verdict) engine.Verdict {
	for _, s := range [...]*string{&v.Template, &v.Explanation, &v.Expected, &v.Observed, &v.Session} {
		*s = strings.Clone(*s)
	}
	return v
}

// send sends the push with what is told of it and returns Loki's answer.
func (j *relayJob) send(ctx context.Context) loki.Answer {
	f := j.push.Send
	f.Entries = j.told.records
	if j.told.untagged {
		j.r.count(func(c *Counts) { c.Untagged++ })
	}
	if j.told.clean() && j.push.Verbatim {
		return j.r.forward(ctx, &f)
	}
	f.ContentType, f.ContentEncoding = "", ""
	plain := j.r.senders.isPlain(j.of, time.Now())
	raw, added := j.encode(plain)
	if len(raw) == 0 {
		return loki.Answer{Status: http.StatusNoContent} // forward leaves all of it out
	}
	f.Body = loki.Compress(raw)
	answer := j.r.forward(ctx, &f)
	if !answer.NoMetadata || plain || added == 0 {
		return answer
	}
	// The lines matter more. Those that Loki has already it drops as repeats.
	j.r.senders.setPlain(j.of, time.Now())
	j.r.count(func(c *Counts) { c.Stripped += uint64(added) })
	if j.r.warns("stripped") {
		j.r.log.Warn(msgStripped)
	}
	raw, _ = j.encode(true)
	f.Body = loki.Compress(raw)
	return j.r.forward(ctx, &f)
}

// relayWriter writes a push anew.
type relayWriter struct {
	j       *relayJob
	p       *Pipeline // whose shaper and work are used
	w       *work
	plain   bool // without structured metadata of ours
	raw     []byte
	entries []byte         // of the stream at hand
	extra   []*relayStream // streams that are not the sender's, in order of appearance
	meta    []loki.Label
	added   int // entries with structured metadata of ours
}

type relayStream struct {
	labels  string
	entries []byte
}

// encode writes the push with what is told of it. It depends on nothing else.
func (j *relayJob) encode(plain bool) (raw []byte, added int) {
	p := j.r.shards[0]
	w := p.takeWork()
	defer p.returnWork(w)
	e := relayWriter{j: j, p: p, w: w, plain: plain}
	mark := 0
	for i := range j.decoded.Streams {
		mark = e.stream(i, mark)
	}
	for i := range j.told.events {
		e.event(&j.told.events[i], j.told.eventSets[i])
	}
	for _, s := range e.extra {
		e.raw = loki.AppendStreamOf(e.raw, s.labels, s.entries)
	}
	return e.raw, e.added
}

// stream writes one stream of the sender. mark is the first mark that is not before it.
func (e *relayWriter) stream(i, mark int) (next int) {
	d, t := &e.j.decoded, e.j.told
	s := &d.Streams[i]
	if next = mark; t.dropped == nil && (mark == len(t.marks) || int(t.marks[mark].index) >= s.End) {
		e.raw = d.AppendStream(e.raw, i)
		return next
	}
	e.entries = e.entries[:0]
	for n := s.First; n < s.End; n++ {
		var m *relayMark
		if next < len(t.marks) && int(t.marks[next].index) == n {
			m = &t.marks[next]
			next++
		}
		switch entry := &d.Entries[n]; {
		case t.isDropped(n):
		case m == nil:
			e.entries = entry.AppendEntry(e.entries, nil, nil)
		default:
			e.marked(entry, m, e.j.sets[i])
		}
	}
	if len(e.entries) > 0 {
		e.raw = d.AppendStreamOf(e.raw, i, e.entries)
	}
	return next
}

// marked writes an entry that does not go as it came.
func (e *relayWriter) marked(entry *loki.DecodedEntry, m *relayMark, set *relaySet) {
	meta := e.meta[:0]
	into := &e.entries
	var line []byte
	switch {
	case !m.anomalous:
	case e.p.cfg.Annotate == AnnotateLine:
		e.w.line = appendToLine(append(e.w.line[:0], entry.Line...), &m.verdict)
		line = e.w.line
	default:
		meta = appendVerdict(meta, &m.verdict)
		if !set.opaque {
			made := e.p.shaper.annotated(e.w, variant{set: set.set, reason: m.verdict.Reason, bucket: bucketOf(m.verdict.Score)})
			meta = append(meta, made.more...)
			into = &e.streamOf(made.text).entries
		}
	}
	if m.weight > 1 {
		meta = append(meta, loki.Label{Name: metaWeight, Value: strconv.Itoa(int(m.weight))})
	}
	*into = entry.AppendEntry(*into, line, e.fitting(meta, entry))
	e.meta = meta
}

// streamOf returns the stream with these labels that is not the sender's.
func (e *relayWriter) streamOf(labels string) *relayStream {
	for _, s := range e.extra {
		if s.labels == labels {
			return s
		}
	}
	s := &relayStream{labels: labels}
	e.extra = append(e.extra, s)
	return s
}

// Loki's defaults for the structured metadata of an entry: with more it would refuse the entry, for our sake.
const (
	relayPairsMax     = 128
	relayMetaBytesMax = 64 << 10
)

// fitting returns as much of meta as the entry has room for, valid.
func (e *relayWriter) fitting(meta []loki.Label, entry *loki.DecodedEntry) []loki.Label {
	if e.plain {
		return nil
	}
	pairs, bytes := relayPairsMax-entry.Pairs, relayMetaBytesMax-entry.MetadataBytes()
	for i := range meta {
		meta[i].Value = strings.ToValidUTF8(meta[i].Value, "?")
		if bytes -= len(meta[i].Name) + len(meta[i].Value); i >= pairs || bytes < 0 {
			meta = meta[:i]
			break
		}
	}
	if len(meta) > 0 {
		e.added++
	}
	return meta
}

// event writes a finding that has no line of its own.
func (e *relayWriter) event(ev *engine.Event, set *labelSet) {
	made := e.p.shaper.annotated(e.w, variant{set: set, reason: ev.Reason, bucket: bucketOf(ev.Score), event: 1 + uint8(ev.Kind)})
	meta := appendVerdict(e.meta[:0], &ev.Verdict)
	meta = append(meta, loki.Label{Name: metaStream, Value: capText(ev.Stream)})
	meta = append(meta, made.more...)
	e.w.line = append(e.w.line[:0], strings.ToValidUTF8(ev.Explanation, "?")...)
	if e.p.cfg.Annotate == AnnotateLine {
		e.w.line = appendToLine(e.w.line, &ev.Verdict)
	}
	s := e.streamOf(made.text)
	s.entries = loki.AppendNewEntry(s.entries, ev.Time, e.w.line, e.fitting(meta, &loki.DecodedEntry{}))
	e.meta = meta
}
