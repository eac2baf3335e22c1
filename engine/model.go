package engine

import (
	"github.com/logscope/logscope/engine/detect"
	"github.com/logscope/logscope/engine/drain"
)

// model is what one stream has taught.
type model struct {
	stream string
	cfg    *Config
	miner  *drain.Miner
	clock  clock
	// seen counts records; last is the time of the last record that had one.
	seen uint64
	last int64

	templates []detect.Template // by Cluster.Index
	novelty   detect.Novelty
	params    detect.Params
	sessions  detect.Sessions
	odd       detect.Odd  // of the record being scored
	pace      detect.Gaps // of the whole stream
	// deadlines are the moments at which silences become news, by
	// Cluster.Index, 0 for none; due is the earliest look worth taking.
	deadlines []int64
	due       int64
	// names are the texts of templates, for silences of evicted clusters' sake.
	names []name

	line  drain.Line
	lines [][]byte // the block's lines until they are settled
	raw   bool
}

// name is what an event without a record says about its template.
type name struct {
	id   uint64
	text string
}

func newModel(stream string, cfg *Config) *model {
	// The miner may take half of the memory: the rest is for detectors.
	miner, err := drain.New(drain.Config{
		ClustersMax: cfg.TemplatesMax, TimeLayout: cfg.TimeLayout, BytesMax: cfg.MemoryMax / 2})
	if err != nil {
		panic("engine: Validate lets through what drain refuses: " + err.Error())
	}
	return &model{stream: cloneString(stream), cfg: cfg, miner: miner, sessions: detect.NewSessions()}
}

// hold keeps a line of the block for settling.
func (m *model) hold(line []byte, raw bool) {
	if len(m.lines) > 0 && raw != m.raw {
		m.settleHeld()
	}
	m.raw = raw
	m.lines = append(m.lines, line)
}

// settleHeld learns the templates of the lines held.
func (m *model) settleHeld() {
	m.miner.Settle(m.lines, m.raw)
	clear(m.lines) // they belong to the caller
	m.lines = m.lines[:0]
}

// score scores one record and learns from it.
func (m *model) score(e *Engine, v *Verdict, r *Record) {
	m.miner.Parse(&m.line, r.Line, r.Raw)
	t := r.Time
	if t == 0 {
		t = m.line.Time
	}
	if t != 0 {
		m.last = t
	}
	v.Time = m.last
	before := m.clock.now
	now := m.clock.advance(t)
	m.pause(e, before, now)
	if m.due != 0 && now >= m.due {
		m.silences(e, now)
	}
	if m.sessions.Due(now) {
		m.settleSessions(e, now, false)
	}
	m.seen++
	if m.line.Cluster == nil {
		return // the miner is full and knows no template for it
	}
	tmpl := m.template(m.line.Cluster, len(m.line.Params))
	f := m.test(tmpl, now)
	m.decide(v, tmpl, f, now)
	m.learn(e, tmpl, now)
	if v.Session == "" {
		v.Session = m.sessions.ID()
	}
}

// rescore scores one record against what is known and changes nothing.
func (m *model) rescore(e *Engine, v *Verdict, r *Record) {
	m.miner.Match(&m.line, r.Line, r.Raw)
	t := r.Time
	if t == 0 {
		t = m.line.Time
	}
	if v.Time = t; t == 0 {
		v.Time = m.last
	}
	c := m.line.Cluster
	if c == nil {
		f := detect.Finding{Code: detect.NewTemplate, Nats: m.noveltyNats()}
		m.fill(v, f)
		m.explain(v, nil, f)
		return
	}
	v.TemplateID, v.Template = c.ID, c.Text
	if c.Index >= len(m.templates) || m.templates[c.Index].Gen != c.Gen {
		return
	}
	tmpl := &m.templates[c.Index]
	f := m.test(tmpl, m.clock.at(t))
	if m.fill(v, f); v.Anomaly {
		m.explain(v, tmpl, f)
	}
}

// template returns the detectors' state of a cluster.
func (m *model) template(c *drain.Cluster, params int) *detect.Template {
	for c.Index >= len(m.templates) {
		m.templates = append(m.templates, detect.Template{})
		m.deadlines = append(m.deadlines, 0)
		m.names = append(m.names, name{})
	}
	t := &m.templates[c.Index]
	if t.Follow(c, params) {
		m.sessions.Forget(c.Index)
		m.deadlines[c.Index] = 0
	}
	if m.names[c.Index].id != c.ID {
		m.names[c.Index] = name{c.ID, c.Text}
	}
	return t
}

// test asks every detector and returns the most surprising finding.
func (m *model) test(t *detect.Template, now int64) detect.Finding {
	m.sessions.Look(m.line.Params, t)
	m.odd = m.sessions.Test(m.line.Cluster.Index, levelNats(m.line.Level), orderCut, scoreNats)
	f := m.odd.Finding
	if t.Count == 0 {
		return detect.Better(f, detect.Finding{Code: detect.NewTemplate, Nats: m.noveltyNats()})
	}
	if m.clock.timed {
		f = detect.Better(f, detect.Finding{Code: detect.Burst, Nats: t.Rate.Surprise(now) - testPenalty})
	}
	for i := range min(len(m.line.Params), len(t.Slots)) {
		if code, s := m.params.Test(&t.Slots[i], &m.line.Params[i]); s > 0 {
			f = detect.Better(f, detect.Finding{Code: code, Nats: s - testPenalty, Slot: i})
		}
	}
	if f.Nats < scoreNats/2 && t.Seconds <= 3 {
		// Rarer templates rank higher, but rarity alone is no anomaly.
		f = detect.Better(f, detect.Finding{Nats: min(m.novelty.Rare(t.Seconds), scoreNats*0.9)})
	}
	return f
}

// learn teaches every detector the record.
func (m *model) learn(e *Engine, t *detect.Template, now int64) {
	before := t.Seconds
	rollout := false
	if t.Tick(now) {
		rollout = m.novelty.Learn(before)
	}
	if rollout {
		m.rollout(e, now)
	}
	m.sessions.Learn(m.line.Cluster.Index, m.templates, levelNats(m.line.Level), now, e.seq)
	for i := range min(len(m.line.Params), len(t.Slots)) {
		m.params.Learn(&t.Slots[i], &m.line.Params[i])
	}
	if !m.clock.timed {
		return
	}
	t.Rate.Learn(now)
	t.Gaps.Learn(now)
	i := m.line.Cluster.Index
	m.deadlines[i] = t.Gaps.Deadline()
	if d := m.deadlines[i]; d != 0 && (m.due == 0 || d < m.due) {
		m.due = d
	}
}

// bytes is roughly what the model costs.
func (m *model) bytes() int64 {
	n := m.miner.Bytes() + int64(m.sessions.Bytes()) + 4096
	for i := range m.templates {
		n += int64(m.templates[i].Bytes()) + 40
	}
	return n
}
