package pipeline

import (
	"bytes"
	"strconv"

	"github.com/cespare/xxhash/v2"

	"github.com/logscope/logscope/loki"
	"github.com/logscope/logscope/plugin/chunk"
)

const (
	// cacheBytesMax bounds the label sets that one flush worker remembers in bytes, as
	// Config.LabelSetsMax does in number: values may be long. Reached, all are forgotten and built
	// anew as they come, 1 us each.
	cacheBytesMax = 16 << 20
	// labelSetBytes is what a label set costs beside its key: strings of three labels, two structs, map entry.
	labelSetBytes = 512
	// streamKeyMax bounds the name of a model. A longer one is cut and ends in its hash.
	streamKeyMax = 256
	// streamsMax bounds the model names that a worker remembers, 300 bytes each.
	streamsMax = 4096
)

// labelSet is one set of labels as records have it. It is immutable.
type labelSet struct {
	tenant string
	owner  string // of a sender's: see RelayPush
	// base holds at most Loki.MaxLabels labels; what a record has beyond them is in more.
	base, more []loki.Label
	text       string // canonical form of base
}

// cache spares building a string for each record.
type cache struct {
	labels   map[string]*labelSet // by the bytes of all sources
	variants map[variant]*labelSet
	bytes    int // of labels and variants, about
	streams  map[string]string
	sampled  map[uint64]uint32 // records by template, for forward=sampled
	key      []byte
	last     last
	// forgotten counts the label sets dropped since the worker last told.
	forgotten int
}

// last is the record before: what most often is true of the next one, too.
type last struct {
	roots [][]byte // what the record had at the shaper's roots, encoded; nil: nothing there
	now   [][]byte // those of the record at hand, in the chunk
	known bool
	// begin is how the record before began, up to its value, if it had one key; message says that its value is what is scored.
	begin   []byte
	message bool
	labels  *labelSet
	stream  string
	// target is where labels lead in the batch under way.
	target *loki.Stream
	set    *labelSet // of target
}

func newCache() cache {
	return cache{
		labels:   map[string]*labelSet{},
		variants: map[variant]*labelSet{},
		streams:  map[string]string{},
		sampled:  map[uint64]uint32{},
	}
}

// begin starts a chunk: with another tag the same record may have another model.
func (c *cache) begin() {
	c.last.known, c.last.begin = false, c.last.begin[:0]
	c.last.target, c.last.set = nil, nil
}

// makeRoom forgets all label sets when there are max of them, or too many bytes.
func (c *cache) makeRoom(max int) {
	if len(c.labels) < max && len(c.variants) < max && c.bytes < cacheBytesMax {
		return
	}
	c.forgotten += len(c.labels)
	clear(c.labels)
	clear(c.variants)
	c.bytes = 0
}

// scan walks once over the record's own keys. It finds the value that stands
// alone when Shape.Remove is done, and says whether the record has at all roots
// what the record before had: then it has the same labels and the same model,
// with nothing to look up in nested maps. It remembers the record's roots.
func (s *shaper) scan(l *last, it *item) (same bool) {
	if len(l.roots) < len(s.roots) {
		l.roots, l.now, l.known = make([][]byte, len(s.roots)), make([][]byte, len(s.roots)), false
	}
	clear(l.now)
	it.kept = 0
	for p := it.rec.Body.Pairs(); p.Next(); {
		removed := false
		if p.Key.Kind() == chunk.Str {
			key := p.Key.Bytes()
			for i, root := range s.roots {
				if root == string(key) {
					l.now[i] = p.Value.Raw() // of several, the last one holds
				}
			}
			removed = s.removes(key)
		}
		if !removed {
			it.kept++
			it.single = p.Value
			if it.kept > 1 && len(s.roots) == 0 {
				break
			}
		}
	}
	same = l.known
	for i, raw := range l.now {
		if !same || !bytes.Equal(raw, l.roots[i]) {
			same = false
			l.roots[i] = append(l.roots[i][:0], raw...)
		}
	}
	l.known = true
	return same
}

// streamName returns key as a string, from the cache where it can.
func (c *cache) streamName(key []byte) string {
	key = cutStreamKey(key)
	if known, ok := c.streams[string(key)]; ok {
		return known
	}
	if len(c.streams) >= streamsMax {
		clear(c.streams)
	}
	name := string(key)
	c.streams[name] = name
	return name
}

// cutStreamKey cuts a key that is too long; it then ends in its hash. It writes into key.
func cutStreamKey(key []byte) []byte {
	if len(key) <= streamKeyMax {
		return key
	}
	sum := xxhash.Sum64(key)
	return strconv.AppendUint(append(key[:streamKeyMax-17], '#'), sum, 16)
}
