package engine

import (
	"github.com/logscope/logscope/engine/detect"
	"github.com/logscope/logscope/engine/drain"
)

// model is what one stream has taught.
type model struct {
	stream string
	cfg    *Config
	book   *book // of the Engine
	miner  *drain.Miner
	clock  clock
	// seen counts records; last is the time of the last record that had one,
	// born the moment of the first.
	// faded is what seen was when the log last changed, 0 for never.
	seen  uint64
	last  int64
	born  int64
	faded uint64
	// prev is the template of the record before, by Cluster.Index, -1 for none.
	prev int32

	templates []detect.Template // by Cluster.Index
	novelty   detect.Novelty
	severity  detect.Severity
	params    detect.Params
	sessions  detect.Sessions
	odd       detect.Odd // of the record being scored
	access    detect.Access
	drift     detect.Drift
	order     detect.Order
	routes    detect.Novelty // of routes; those of an open site must not excuse new templates
	pace      detect.Gaps    // of the whole stream
	// deadlines are the moments at which silences become news, by
	// Cluster.Index, 0 for none; due is the earliest look worth taking.
	deadlines []int64
	due       int64
	loose     looseness
	told      ledger
	strange   strangeness
	budget    budget
	// names are the texts of templates, for silences of evicted clusters' sake.
	names []name

	// scratch of the record being scored: request says that it is one, asked what
	// it asks for, params are those tested, step is what it is to its session.
	line    drain.Line
	tested  []drain.Param
	request bool
	asked   detect.Finding
	step    int
	veto    []detect.Finding // must not be raised about it
	word    *Feedback        // that called it anomalous
	lines   [][]byte         // the block's lines until they are settled
	raw     bool
}

// name is what an event without a record says about its template.
type name struct {
	id   uint64
	text string
}

func newModel(stream string, cfg *Config, book *book) *model {
	// The miner may take half of the memory: the rest is for detectors.
	miner, err := drain.New(drain.Config{
		ClustersMax: cfg.TemplatesMax, TimeLayout: cfg.TimeLayout, BytesMax: cfg.MemoryMax / 2,
		Masks: cfg.Masks, Delimiters: cfg.Delimiters})
	if err != nil {
		panic("engine: Validate lets through what drain refuses: " + err.Error())
	}
	return &model{stream: cloneString(stream), cfg: cfg, book: book, miner: miner, prev: -1, sessions: detect.NewSessions()}
}

// hold keeps a line of the block until the block is scored.
func (m *model) hold(line []byte, raw bool) {
	if len(m.lines) > 0 && raw != m.raw && !m.loose.on {
		m.miner.Settle(m.lines, m.raw) // rare: one stream in two forms
		m.lines = m.release()
	}
	m.raw = raw
	m.lines = append(m.lines, line)
}

// begin announces the lines held: their templates are settled before the
// first line of a new one is answered.
func (m *model) begin(ahead *drain.Ahead) {
	if !m.loose.on || m.loose.probing {
		m.miner.Begin(m.lines, m.raw, ahead)
	}
}

// expect announces that the block begins with the lines held.
func (m *model) expect(ahead *drain.Ahead) {
	if !m.loose.on {
		m.miner.Expect(m.lines, m.raw, ahead)
	}
}

// release lets go of the lines held: they belong to the caller. What they were held in may serve another model.
func (m *model) release() [][]byte {
	m.miner.End()
	clear(m.lines)
	empty := m.lines[:0]
	m.lines = nil
	return empty
}

// score scores one record and learns from it.
func (m *model) score(e *Engine, v *Verdict, r *Record) {
	m.parse(e, r)
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
	if m.seen == 0 {
		m.born = now
	}
	m.pause(e, before, now)
	if m.due != 0 && now >= m.due {
		m.silences(e, now)
	}
	if m.sessions.Due(now) {
		m.settleSessions(e, now, false)
	}
	m.seen++
	if m.line.Cluster == nil {
		m.prev = -1
		return // the miner knows no template for it, and takes no more
	}
	tmpl := m.template(m.line.Cluster, len(m.line.Params))
	m.request = (tmpl.Request || tmpl.Count == 0) && m.access.Parse(r.Line)
	about, f := m.test(tmpl, now)
	m.decide(v, about, f, now)
	m.learn(e, tmpl, now)
	if risen, before, after := m.drift.Learn(f.Nats); risen {
		m.drifted(e, before, after)
	}
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
		m.word = nil
		f := detect.Finding{Code: detect.NewTemplate, Nats: m.noveltyNats(m.clock.at(t))}
		m.fill(v, f)
		m.explain(v, nil, f)
		return
	}
	v.TemplateID, v.Template = c.ID, c.Text
	if c.Index >= len(m.templates) || m.templates[c.Index].Gen != c.Gen {
		return
	}
	tmpl := &m.templates[c.Index]
	m.request = tmpl.Request && m.access.Parse(r.Line)
	about, f := m.test(tmpl, m.clock.at(t))
	if about, f = m.judge(v, about, f, m.clock.at(t), false); v.Anomaly {
		m.explain(v, about, f)
	}
	v.Session = m.sessions.ID()
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
		m.sessions.Forget(2 * c.Index)
		m.deadlines[c.Index] = 0
	}
	if m.names[c.Index].id != c.ID {
		if t.Count > 0 { // the text has changed
			m.book.follow(m.names[c.Index].id, c.ID)
		}
		m.names[c.Index] = name{c.ID, c.Text}
	}
	return t
}

// test asks the detectors. A web request that is no finding ranks by what it
// asks for: that a template or a value is a little rare says nothing there.
func (m *model) test(t *detect.Template, now int64) (*detect.Template, detect.Finding) {
	about, f := m.testAll(t, now)
	if m.request && f.Nats < scoreNats {
		f = m.asked
	}
	return about, f
}

// testAll asks every detector and returns the most surprising finding and the
// state that it is about: the template's, or the route's of a web request.
func (m *model) testAll(t *detect.Template, now int64) (*detect.Template, detect.Finding) {
	m.tested, m.step = m.line.Params, 2*m.line.Cluster.Index
	about := t
	var f detect.Finding
	if m.request {
		m.tested = m.access.Params()
		route, at, room := m.access.Route()
		f = m.better(f, detect.Finding{Code: detect.Request, Nats: scoreNats * m.access.Test()})
		m.asked = f
		if route != nil {
			about, m.step = route, 2*at+1
		} else if room && t.Count > 0 {
			// Where routes are few, that it is new says more than its letters.
			if n := m.routes.Surprise(); n >= scoreNats && !m.vetoed(detect.NewRoute, 0) && !m.left(detect.NewRoute) {
				f = detect.Finding{Code: detect.NewRoute, Nats: max(n, f.Nats)}
			}
		}
	}
	if m.request && m.clock.timed {
		f = m.better(f, detect.Finding{Code: detect.Failing, Nats: m.access.TestStatus(now) - testPenalty})
	}
	m.sessions.Look(m.line.Params, t)
	m.odd = m.sessions.Test(m.step, m.levelNats(m.line.Level), m.orderCut(), scoreNats, now)
	f = m.better(f, m.odd.Finding)
	if t.Count == 0 {
		return t, m.better(f, detect.Finding{Code: detect.NewTemplate, Nats: m.noveltyNats(now)})
	}
	if m.request && about == t {
		return t, f
	}
	if m.prev >= 0 && !m.sessions.Named() {
		s := m.order.Surprise(&m.templates[m.prev].Next, m.line.Cluster.Index, m.share(t), now)
		f = m.better(f, detect.Finding{Code: detect.Transition, Nats: s - chainPenalty})
	}
	if m.clock.timed {
		f = m.better(f, detect.Finding{Code: detect.Burst, Nats: about.Rate.Surprise(now) - testPenalty})
	}
	for i := range min(len(m.tested), len(about.Slots)) {
		if code, s := m.params.Test(&about.Slots[i], &m.tested[i]); s > 0 {
			f = m.better(f, detect.Finding{Code: code, Nats: s - testPenalty, Slot: i})
		}
	}
	if t.Joint != nil && !m.request {
		f = m.testJoint(t, f)
	}
	if f.Nats < scoreNats/2 && t.Seconds <= 3 {
		// Rarer templates rank higher, but rarity alone is no anomaly.
		f = m.better(f, detect.Finding{Nats: min(m.novelty.Rare(t.Seconds), scoreNats*0.9)})
	}
	return about, f
}

// share is that of a template among the stream's records.
func (m *model) share(t *detect.Template) float64 { return float64(t.Count) / float64(m.seen) }

// learn teaches every detector the record.
func (m *model) learn(e *Engine, t *detect.Template, now int64) {
	index := m.line.Cluster.Index
	if m.prev >= 0 {
		m.order.Learn(&m.templates[m.prev].Next, index, m.share(t), now)
	}
	m.prev = int32(index)
	if t.Count == 0 {
		// A flood of a new error is one from the first minute on; other new lines
		// may simply be frequent.
		if t.Grave = m.severity.Learn(m.line.Level, m.line.Message); t.Grave && m.clock.timed {
			t.Rate.Born(now, now-m.born)
		}
	}
	if before := t.Seconds; t.Tick(now) && m.novelty.Learn(before, now) {
		m.rollout(e)
	}
	m.sessions.Learn(index, m.step, m.templates, m.levelNats(m.line.Level), now, e.seq)
	if m.request {
		t.Request = true
		if m.learnRoute(now) {
			return
		}
	}
	m.params.Settling = m.settling()
	for i := range min(len(m.line.Params), len(t.Slots)) {
		m.params.Learn(&t.Slots[i], &m.line.Params[i], scoreNats)
	}
	if len(t.Slots) > 1 && !m.request {
		m.learnJoint(t)
	}
	if !m.clock.timed {
		return
	}
	t.Rate.Learn(now)
	t.Gaps.Learn(now)
	m.deadlines[index] = t.Gaps.Deadline()
	if d := m.deadlines[index]; d != 0 && (m.due == 0 || d < m.due) {
		m.due = d
	}
}

// learnRoute teaches the route of a web request and tells whether there is one.
func (m *model) learnRoute(now int64) bool {
	if m.clock.timed {
		m.access.LearnStatus(now, now-m.born)
	}
	route := m.access.Learn()
	if route == nil {
		return false
	}
	if before := route.Seconds; route.Tick(now) {
		m.routes.Learn(before, now)
	}
	params := m.access.Params()
	m.params.Settling = m.settling()
	route.Widen(len(params))
	for i := range min(len(params), len(route.Slots)) {
		m.params.Learn(&route.Slots[i], &params[i], scoreNats)
	}
	if m.clock.timed {
		route.Rate.Learn(now)
	}
	return true
}

// stepText names a step of a session: a template, or the route of a request.
func (m *model) stepText(step int) string {
	switch at := step / 2; {
	case step < 0:
	case step%2 == 1 && at < m.access.Len():
		return m.access.Text(at)
	case step%2 == 0 && at < len(m.names):
		return m.names[at].text
	}
	return "?"
}

// bytes is roughly what the model costs.
func (m *model) bytes() int64 {
	n := m.miner.Bytes() + int64(m.sessions.Bytes()+m.access.Bytes()) + drain.Overhead + 4096
	for i := range m.templates {
		n += int64(m.templates[i].Bytes()) + 40
	}
	return n
}
