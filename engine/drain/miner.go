package drain

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/cespare/xxhash/v2"
)

const (
	clustersMin = 16
	bytesMin    = 16 << 10
	// chainMax bounds the clusters of one neighbourhood; 5 suffice to decide.
	chainMax = 16
	// setsMax bounds the sets of variable positions tried for one token count.
	setsMax = 64
	// aliasesMax bounds the remembered ids of merged and renamed templates, 40 bytes each.
	aliasesMax = 1024
	// skeletonsPerCluster bounds the cache of known skeletons. A template whose
	// variable words are open has a skeleton for each of their values.
	skeletonsPerCluster = 4
)

// Estimated bytes of the learned objects beside their texts: struct, map
// entries at their usual load, slice headers.
const (
	clusterBytes  = 320
	tokenBytes    = 4 + 24
	skeletonBytes = 16 + 16 + 28
)

const (
	none     = -1
	unlinked = -2
)

// cluster is a Cluster with what the Miner needs to find it.
type cluster struct {
	Cluster
	form string // the template with mark for <*>
	sum  uint64
	// wild are the positions that vary though nothing is masked there.
	wild []uint16
	// near links the clusters of each position's neighbourhood.
	near []int32
	// skeletons heads the list of known skeletons.
	skeletons int32
	prev, nxt int32 // in order of use
	live      bool
	batch     uint64 // the settling that it was founded or used in
}

type skeleton struct {
	text    string
	cluster int32
	next    int32 // of the same cluster
	prev    int32
	used    bool
}

// Miner learns the templates of one stream.
type Miner struct {
	cfg Config
	lexer
	own   reading // of a line that was not read ahead
	notes notes
	lent  *Ahead // of Begin
	ahead *Ahead // reads the block at hand; nil: nobody does

	known     map[string]int32 // skeleton text to skeletons
	skeletons []skeleton
	freeSkels []int32
	hand      int

	clusters []*cluster // by Index
	free     []int32
	live     int
	first    int32 // most recently used
	last     int32
	forms    map[uint64]int32   // form sum to cluster
	near     map[uint64]int32   // neighbourhood to its first cluster
	sets     map[int][]*wildSet // token count to the sets of variable positions in use
	aliases  aliases

	block    [][]byte // of Begin, what is left of it
	blockRaw bool

	bytes   int64
	evicted uint64
	batch   uint64
	fresh   []int32
	fired   []firing
	touched []int32
	work    form
	other   form
	gone    form
	buf     []byte
	params  []Param
}

type wildSet struct {
	positions []uint16
	refs      int
}

// firing is a neighbourhood whose position became variable.
type firing struct {
	cluster int32
	at      int
}

// New returns an empty Miner, or an error that names every bad field of cfg.
func New(cfg Config) (*Miner, error) {
	var errs []error
	if cfg.ClustersMax < clustersMin {
		errs = append(errs, fmt.Errorf("drain: ClustersMax is %d; want at least %d", cfg.ClustersMax, clustersMin))
	}
	if cfg.BytesMax < bytesMin {
		errs = append(errs, fmt.Errorf("drain: BytesMax is %d; want at least %d", cfg.BytesMax, bytesMin))
	}
	if len(cfg.Masks) > MasksMax {
		errs = append(errs, fmt.Errorf("drain: there are %d Masks; want at most %d", len(cfg.Masks), MasksMax))
	}
	if len(cfg.Delimiters) > DelimitersMax {
		errs = append(errs, fmt.Errorf("drain: there are %d Delimiters; want at most %d", len(cfg.Delimiters), DelimitersMax))
	}
	d, err := newDates(cfg.TimeLayout, cfg.BaseYear)
	if err != nil {
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	m := &Miner{cfg: cfg, lexer: lexer{dates: d}}
	m.clear()
	return m, nil
}

func (m *Miner) clear() {
	*m = Miner{cfg: m.cfg, lexer: newLexer(&m.cfg, m.dates), first: none, last: none,
		known: map[string]int32{}, forms: map[uint64]int32{}, near: map[uint64]int32{}, sets: map[int][]*wildSet{}}
}

// Parse learns the line and counts it.
func (m *Miner) Parse(out *Line, line []byte, raw bool) {
	r := m.next(line, raw)
	r.tell(out)
	at, ok := m.lookup(r)
	var c *cluster
	if ok {
		s := &m.skeletons[at]
		s.used = true
		c = m.clusters[s.cluster]
		m.touch(c)
	} else {
		r, c = m.learnNow(r, line, raw)
	}
	if m.ahead == nil {
		m.heed(&m.notes)
	}
	out.New = c.Count == 0
	c.Count++
	m.finish(out, c, r)
}

// next is what the line gave: of those read ahead, or read now.
func (m *Miner) next(line []byte, raw bool) *reading {
	m.advance(line)
	if m.ahead != nil {
		if m.ahead.expects(line, raw) {
			if r := m.ahead.next(&m.notes); r != nil {
				return r
			}
		}
		m.halt()
	}
	m.read(&m.own, line, raw)
	return &m.own
}

// lookup finds the skeleton that was read: the guessed one, or by its text.
func (m *Miner) lookup(r *reading) (at int32, ok bool) {
	if r.guess != "" && m.skeletons[r.at].text == r.guess {
		m.notes.right++
		return r.at, true
	}
	if at, ok = m.known[string(r.skel)]; ok && r.plain {
		m.notes.ask(r, m.skeletons[at].text, at)
	}
	return at, ok
}

// learnNow learns the line, whose skeleton is not known, and with it what is
// left of the block if it founds a template. Then the line is read again, as
// more is known of its header.
func (m *Miner) learnNow(r *reading, line []byte, raw bool) (*reading, *cluster) {
	m.batch++
	m.learn(r.skel)
	if len(m.fresh) > 0 && len(m.block) > 0 {
		rest := m.block
		m.block = nil
		m.halt()
		m.settleLines(rest, m.blockRaw)
		r = &m.own
		m.read(r, line, raw)
		m.begin(rest, false)
	} else {
		m.settle(true)
	}
	if at, ok := m.known[string(r.skel)]; ok {
		return r, m.clusters[m.skeletons[at].cluster]
	}
	// The rest of the block drove it out again.
	m.batch++
	c := m.learn(r.skel)
	m.settle(true)
	if !c.live {
		c = m.clusters[m.skeletons[m.known[string(r.skel)]].cluster]
	}
	return r, c
}

// Begin is Settle put off: nothing is read twice unless it must be. When a
// line of the block founds a template, the rest of the block is settled before
// that line is answered; a block of known templates is parsed in one pass. The
// lines are to be parsed next and in order, and must not change until End. A
// long block is read by ahead, unless that is nil; what Parse finds is the same.
func (m *Miner) Begin(lines [][]byte, raw bool, ahead *Ahead) {
	if len(lines) > 0 && m.expects(lines, raw, ahead) {
		m.block = lines
		m.ahead.extend(lines, false)
		return
	}
	m.End()
	m.block, m.blockRaw = lines, raw
	m.lend(ahead, lines, false)
}

// Expect tells with what lines the next block will begin, so that they are read
// already; again, with more lines, as they become known. Begin must follow
// with the same ahead, and all the lines.
func (m *Miner) Expect(lines [][]byte, raw bool, ahead *Ahead) {
	if len(lines) == 0 {
		return
	}
	if m.expects(lines, raw, ahead) {
		m.ahead.extend(lines, true)
		return
	}
	m.End()
	m.blockRaw = raw
	m.lend(ahead, lines, true)
}

// lend gives the block the Ahead, unless it is too short for it: then there is nothing to forget at its end.
func (m *Miner) lend(ahead *Ahead, lines [][]byte, more bool) {
	m.lent = ahead
	if m.begin(lines, more); m.ahead == nil {
		m.lent = nil
	}
}

// expects says that the lines begin with those of the last Expect.
func (m *Miner) expects(lines [][]byte, raw bool, ahead *Ahead) bool {
	return m.ahead != nil && m.ahead == ahead && ahead.more && raw == m.blockRaw && len(lines) >= len(ahead.todo) && same(lines[0], ahead.todo[0])
}

// End ends the block of Begin, however far it was parsed. Neither the Miner nor
// its Ahead keep a reference to the lines.
func (m *Miner) End() {
	m.halt()
	m.heed(&m.notes)
	if m.lent != nil {
		m.lent.forget()
	}
	m.lent, m.block = nil, nil
	m.own.forget()
	clear(m.params[:cap(m.params)])
	m.lexer.forget()
}

// advance takes the line off the block.
func (m *Miner) advance(line []byte) {
	if len(m.block) > 0 && same(m.block[0], line) {
		m.block = m.block[1:]
	} else {
		m.block = nil
	}
}

// same says that a and b are the same bytes in memory.
func same(a, b []byte) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// Match parses the line and learns nothing; Cluster is nil where no template fits.
func (m *Miner) Match(out *Line, line []byte, raw bool) {
	m.halt()
	before := m.state()
	r := &m.own
	m.read(r, line, raw)
	m.restore(&before)
	r.tell(out)
	if at, ok := m.known[string(r.skel)]; ok {
		m.finish(out, m.clusters[m.skeletons[at].cluster], r)
		return
	}
	m.work.set(r.skel)
	if c := m.find(&m.work); c != nil {
		m.finish(out, c, r)
		return
	}
	out.Params = r.params
}

// Settle learns the templates of a block before its lines are parsed; it
// counts nothing. The clusters do not depend on the order of the lines as long
// as the block's new templates fit into the limits.
func (m *Miner) Settle(lines [][]byte, raw bool) {
	m.End()
	m.batch++
	m.settleLines(lines, raw)
}

func (m *Miner) settleLines(lines [][]byte, raw bool) {
	last := m.dates.last // is told by lines that are parsed
	for _, line := range lines {
		r := &m.own
		m.read(r, line, raw)
		if at, ok := m.known[string(r.skel)]; ok {
			m.skeletons[at].used = true
			c := m.clusters[m.skeletons[at].cluster]
			c.batch = m.batch
			m.touch(c)
			continue
		}
		if m.full() && m.clusters[m.last].batch == m.batch {
			m.settle(false)
			m.batch++
		}
		m.learn(r.skel)
	}
	m.dates.last = last
	m.settle(false)
}

// finish fills in the cluster and the values at its wild positions.
func (m *Miner) finish(out *Line, c *cluster, r *reading) {
	out.Cluster, out.Params = &c.Cluster, r.params
	if len(c.wild) == 0 {
		return
	}
	params, from := m.params[:0], 0
	toks, words := r.toks, 0
	for _, w := range c.wild {
		for words+int(toks[0].words) <= int(w) {
			words += int(toks[0].words)
			toks = toks[1:]
		}
		t := toks[0]
		if t.words > 1 {
			t = r.wordOf(t, int(w)-words)
		}
		params = append(params, r.params[from:t.par0]...)
		from = int(t.par1)
		params = append(params, r.wildParam(&t))
	}
	m.params = append(params, r.params[from:]...)
	out.Params = m.params
}

// wordOf is the n-th word of a run.
func (r *reading) wordOf(t token, n int) token {
	from := 0
	text := r.skel[t.skel0:t.skel1]
	for ; n > 0; n-- {
		from += bytes.IndexByte(text[from:], ' ') + 1
	}
	to := len(text)
	if i := bytes.IndexByte(text[from:], ' '); i >= 0 {
		to = from + i
	}
	line, skel := t.line0, t.skel0
	t.line0, t.line1, t.skel0, t.skel1, t.words = line+uint32(from), line+uint32(to), skel+uint32(from), skel+uint32(to), 1
	return t
}

// wildParam is the value of a token that varies as a whole.
func (r *reading) wildParam(t *token) Param {
	text := r.skel[t.skel0:t.skel1]
	pre, suf := shapeOf(text)
	if t.par1-t.par0 == 1 && len(text)-pre-suf == 1 && text[pre] == mark {
		return r.params[t.par0]
	}
	v := r.line[t.line0:t.line1]
	v = v[pre : len(v)-suf : len(v)-suf]
	kind, num := kindOf(v)
	p := Param{Value: v, Kind: kind, Num: num}
	if pre > 1 && (text[pre-1] == '=' || text[pre-1] == ':') {
		p.Key = r.line[t.line0 : int(t.line0)+pre-1]
	}
	if math.IsNaN(num) && len(v) == 0 {
		p.Kind = Word
	}
	return p
}

// Len is the number of live clusters.
func (m *Miner) Len() int { return m.live }

// Bytes is the size of the learned state.
func (m *Miner) Bytes() int64 { return m.bytes }

// Evicted counts the clusters that were evicted.
func (m *Miner) Evicted() uint64 { return m.evicted }

// Resolve finds the live cluster that has the id, or had it before its text
// became more general or it was merged into another. Of the former ids the
// latest 1,024 are known.
func (m *Miner) Resolve(id uint64) (c *Cluster, ok bool) {
	if at, gen, ok := m.aliases.find(id); ok && m.clusters[at].live && m.clusters[at].Gen == gen {
		return &m.clusters[at].Cluster, true
	}
	for _, c := range m.clusters {
		if c.live && c.ID == id {
			return &c.Cluster, true
		}
	}
	return nil, false
}

// textOf writes a form for people.
func textOf(f string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(f, string(rune(mark)), "<*>"), "\uFFFD")
}

func (m *Miner) rename(c *cluster, f string, wild []uint16) {
	c.form, c.wild = f, wild
	c.Text = textOf(f)
	c.ID = xxhash.Sum64String(c.Text)
	c.Slots = strings.Count(f, string(rune(mark)))
}
