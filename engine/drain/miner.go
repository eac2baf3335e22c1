package drain

import (
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
	cfg   Config
	scan  scanner
	head  header
	dates dates

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

	guides *guides

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
	m := &Miner{cfg: cfg, dates: d}
	m.clear()
	return m, nil
}

func (m *Miner) clear() {
	*m = Miner{cfg: m.cfg, dates: m.dates, first: none, last: none,
		head: header{old: outlines{credit: outlineCredit * outlineEvery}}, scan: scanner{user: newUserMasks(&m.cfg)}, known: map[string]int32{}, forms: map[uint64]int32{}, near: map[uint64]int32{}, sets: map[int][]*wildSet{}}
	m.dates.forget()
}

// Parse learns the line and counts it.
func (m *Miner) Parse(out *Line, line []byte, raw bool) {
	m.read(out, line, raw)
	if !raw || m.scan.timed {
		out.Time = m.dates.settle(out.Time)
	}
	m.advance(line)
	at, ok := m.lookup(out.Message)
	var c *cluster
	if ok {
		s := &m.skeletons[at]
		s.used = true
		c = m.clusters[s.cluster]
		m.touch(c)
	} else {
		c = m.learnNow(out, line, raw)
	}
	out.New = c.Count == 0
	c.Count++
	m.finish(out, c)
}

// lookup finds the skeleton that was scanned: the guessed one, or by its text.
func (m *Miner) lookup(message []byte) (at int32, ok bool) {
	s := &m.scan
	if !s.plain {
		at, ok = m.known[string(s.skel)]
		return at, ok
	}
	if s.guides != nil {
		if g := &s.guides[s.way]; g.text == string(s.skel) && len(s.skel) > 0 && m.skeletons[g.at].text == g.text {
			m.guides.trial.note(true)
			return g.at, true
		}
	}
	if at, ok = m.known[string(s.skel)]; ok {
		m.guide(message, at)
		m.guides.trial.note(false)
	}
	return at, ok
}

// learnNow learns the scanned line, whose skeleton is not known, and with it
// what is left of the block if it founds a template.
func (m *Miner) learnNow(out *Line, line []byte, raw bool) *cluster {
	m.batch++
	m.learn(m.scan.skel)
	if len(m.fresh) > 0 && len(m.block) > 0 {
		rest := m.block
		m.block = nil
		m.settleLines(rest, m.blockRaw)
		message, level, when := out.Message, out.Level, out.Time
		m.read(out, line, raw)
		out.Message, out.Level, out.Time = message, level, when
	} else {
		m.settle(true)
	}
	if at, ok := m.known[string(m.scan.skel)]; ok {
		return m.clusters[m.skeletons[at].cluster]
	}
	// The rest of the block drove it out again.
	m.batch++
	c := m.learn(m.scan.skel)
	m.settle(true)
	if !c.live {
		c = m.clusters[m.skeletons[m.known[string(m.scan.skel)]].cluster]
	}
	return c
}

// Begin is Settle put off: nothing is read twice unless it must be. When a
// line of the block founds a template, the rest of the block is settled before
// that line is answered; a block of known templates is parsed in one pass. The
// lines are to be parsed next and in order, and must not change until then;
// the Miner keeps no reference to them after the last, or after a Parse of
// another line.
func (m *Miner) Begin(lines [][]byte, raw bool) { m.block, m.blockRaw = lines, raw }

// advance takes the line off the block.
func (m *Miner) advance(line []byte) {
	if len(m.block) == 0 {
		return
	}
	next := m.block[0]
	if len(next) != len(line) || len(line) > 0 && &next[0] != &line[0] {
		m.block = nil
		return
	}
	if m.block = m.block[1:]; len(m.block) == 0 {
		m.block = nil
	}
}

// Match parses the line and learns nothing; Cluster is nil where no template fits.
func (m *Miner) Match(out *Line, line []byte, raw bool) {
	hosts, hostN, timeAt := m.head.hosts, m.head.hostN, m.head.timeAt
	m.read(out, line, raw)
	if m.head.hostN != hostN {
		m.head.old.all = m.head.old.all[:0]
	}
	m.head.hosts, m.head.hostN, m.head.timeAt = hosts, hostN, timeAt
	if at, ok := m.known[string(m.scan.skel)]; ok {
		m.finish(out, m.clusters[m.skeletons[at].cluster])
		return
	}
	m.work.set(m.scan.skel)
	if c := m.find(&m.work); c != nil {
		m.finish(out, c)
		return
	}
	out.Params = m.scan.params
}

// Settle learns the templates of a block before its lines are parsed; it
// counts nothing. The clusters do not depend on the order of the lines as long
// as the block's new templates fit into the limits.
func (m *Miner) Settle(lines [][]byte, raw bool) {
	m.batch++
	m.block = nil
	m.settleLines(lines, raw)
}

func (m *Miner) settleLines(lines [][]byte, raw bool) {
	var out Line
	for _, line := range lines {
		m.read(&out, line, raw)
		if at, ok := m.known[string(m.scan.skel)]; ok {
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
		m.learn(m.scan.skel)
	}
	m.settle(false)
}

// read recognises the header and scans the message.
func (m *Miner) read(out *Line, line []byte, raw bool) {
	*out = Line{Message: line}
	forced := 0
	if !raw {
		m.head.read(line, &m.dates.layout)
		out.Message, out.Level, forced = line[m.head.end:], m.head.level, m.head.forced
		if m.head.timed {
			out.Time = m.dates.resolve(&m.head.stamp)
		}
	}
	s := &m.scan
	s.scan(out.Message, forced, m.guides)
	if s.level != NoLevel {
		out.Level = s.level
	}
	if s.timed {
		out.Time = m.dates.resolve(&s.time)
	}
	if s.texted {
		out.Message = out.Message[s.text0:s.text1]
	}
}

// finish fills in the cluster and the values at its wild positions.
func (m *Miner) finish(out *Line, c *cluster) {
	out.Cluster, out.Params = &c.Cluster, m.scan.params
	if len(c.wild) == 0 {
		return
	}
	s := &m.scan
	params, from := m.params[:0], 0
	for _, w := range c.wild {
		t := &s.toks[w]
		params = append(params, s.params[from:t.par0]...)
		from = int(t.par1)
		params = append(params, s.wildParam(t))
	}
	m.params = append(params, s.params[from:]...)
	out.Params = m.params
}

// wildParam is the value of a token that varies as a whole.
func (s *scanner) wildParam(t *token) Param {
	text := s.skel[t.skel0:t.skel1]
	pre, suf := shapeOf(text)
	if t.par1-t.par0 == 1 && len(text)-pre-suf == 1 && text[pre] == mark {
		return s.params[t.par0]
	}
	v := s.line[t.line0:t.line1]
	v = v[pre : len(v)-suf : len(v)-suf]
	kind, num := kindOf(v)
	p := Param{Value: v, Kind: kind, Num: num}
	if pre > 1 && (text[pre-1] == '=' || text[pre-1] == ':') {
		p.Key = s.line[t.line0 : int(t.line0)+pre-1]
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
