package drain

const (
	// aheadLines is how many lines make a stretch, aheadStretches how many there
	// are: some 500 lines of 1 KB are in memory beside those at work.
	aheadLines, aheadStretches = 128, 16
	// aheadLeast is the block that is worth it.
	aheadLeast = 1024
	// keepToks, keepParams and keepSkel are what a reading of an Ahead may keep
	// between blocks: a few lines with all that a line can hold must not stay.
	keepToks, keepParams, keepSkel = 32, 16, 512
)

// Ahead reads a block's lines while those before them are looked up. Reading is
// the larger half of the work and needs nothing of the other: what a line's
// reading depends on are the lines before it. One Ahead serves any number of
// Miners, one block at a time.
type Ahead struct {
	start     func(work func())
	meanwhile func() bool
	stretches [aheadStretches]stretch

	// What follows is of the block at hand.
	todo [][]byte // lines not looked up yet
	rest [][]byte // those among them not handed to a stretch
	raw  bool
	at   *stretch // being looked up
	used int      // of its readings
	held int      // stretches that are here, at among them
	free chan *stretch
	full chan *stretch
}

// stretch is some lines of a block, on their way to the goroutine that reads them and back.
type stretch struct {
	lines    [][]byte
	before   lexerState
	readings [aheadLines]reading
	n        int // of readings
	notes    notes
	panicked any
}

// NewAhead returns an Ahead. start must run the function that it is given on
// another goroutine; that ends with the block. meanwhile, unless it is nil, is
// called instead of waiting for a line: it does a little other work, and says
// whether there was any.
func NewAhead(start func(work func()), meanwhile func() bool) *Ahead {
	if meanwhile == nil {
		meanwhile = func() bool { return false }
	}
	return &Ahead{start: start, meanwhile: meanwhile}
}

// begin has the lines read ahead, if that is worth it.
func (m *Miner) begin(lines [][]byte) {
	a := m.lent
	if a == nil || len(lines) < aheadLeast {
		return
	}
	m.ahead = a
	a.todo, a.rest, a.raw, a.at, a.held = lines, lines, m.blockRaw, nil, aheadStretches
	// There is room for all stretches, so that only who has none waits.
	a.free, a.full = make(chan *stretch, aheadStretches), make(chan *stretch, aheadStretches)
	for i := 0; i < aheadStretches && len(a.rest) > 0; i++ {
		a.hand(&a.stretches[i])
	}
	l, free, full, raw := &m.lexer, a.free, a.full, a.raw
	a.start(func() {
		for p := range free {
			l.readStretch(p, raw)
			full <- p
		}
	})
}

// hand gives the stretch away with the next lines to read; with the last of them, it says so.
func (a *Ahead) hand(p *stretch) {
	n := min(len(a.rest), aheadLines)
	p.lines, a.rest = a.rest[:n], a.rest[n:]
	a.held--
	a.free <- p
	if len(a.rest) == 0 {
		close(a.free)
	}
}

// readStretch reads the lines of a stretch. A panic is kept for the one who looks up the line that causes it.
func (l *lexer) readStretch(p *stretch, raw bool) {
	p.n = 0
	defer func() { p.panicked = recover() }()
	l.heed(&p.notes)
	p.before = l.state()
	for i, line := range p.lines {
		l.read(&p.readings[i], line, raw)
		p.n++
	}
}

// expects says that the line is the next one of the block.
func (a *Ahead) expects(line []byte, raw bool) bool {
	return len(a.todo) > 0 && same(a.todo[0], line) && a.raw == raw
}

// next is the next line's reading. Notes of those before go with the stretch that is given back.
func (a *Ahead) next(n *notes) *reading {
	if a.at != nil && a.used == len(a.at.lines) {
		if len(a.rest) > 0 {
			a.at.notes, *n = *n, a.at.notes
			a.hand(a.at)
		}
		a.at = nil
	}
	if a.at == nil {
		a.at, a.used = a.wait(), 0
		a.held++
	}
	if a.used >= a.at.n {
		panic(a.at.panicked)
	}
	r := &a.at.readings[a.used]
	a.used++
	a.todo = a.todo[1:]
	return r
}

// wait waits for the next stretch.
func (a *Ahead) wait() *stretch {
	for {
		select {
		case s := <-a.full:
			return s
		default:
		}
		if !a.meanwhile() {
			return <-a.full
		}
	}
}

// halt ends reading ahead. The lexer is then as it was after the last line that was looked up.
func (m *Miner) halt() {
	a := m.ahead
	if a == nil {
		return
	}
	m.ahead = nil
	first, beyond := a.at, false
	for a.held < aheadStretches {
		select {
		case _, ok := <-a.free: // not begun
			if ok {
				a.held++
				continue
			}
		default:
		}
		p := <-a.full
		a.held++
		if beyond = true; first == nil {
			first, a.used = p, 0
		}
	}
	if len(a.rest) > 0 {
		close(a.free)
	}
	for i := range a.stretches {
		m.heed(&a.stretches[i].notes)
	}
	if first == nil || !beyond && a.used == len(first.lines) {
		return
	}
	m.restore(&first.before)
	for _, line := range first.lines[:a.used] {
		m.read(&m.own, line, a.raw)
	}
}

// forget drops the references to lines, and what an unusual line has taken.
func (a *Ahead) forget() {
	a.todo, a.rest, a.at = nil, nil, nil
	for i := range a.stretches {
		p := &a.stretches[i]
		for k := range p.readings {
			r := &p.readings[k]
			r.forget()
			if cap(r.toks) > keepToks || cap(r.params) > keepParams || cap(r.skel) > keepSkel {
				*r = reading{}
			}
		}
		p.lines, p.n, p.panicked = nil, 0, nil
	}
}
