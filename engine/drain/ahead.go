package drain

import "fmt"

const (
	// aheadLines is how many lines make a stretch, aheadStretches how many there
	// are: some 2,000 lines of 0.9 KB are in memory.
	aheadLines, aheadStretches = 128, 16
	// aheadLeast is the block that is worth it.
	aheadLeast = 1024
	// stretchToks, stretchParams and stretchSkel are what a stretch may hold before its last line: twice what
	// many logs have. A dump of values has 40 times as much, and is read when it is asked for.
	stretchToks, stretchParams, stretchSkel = 48 * aheadLines, 24 * aheadLines, 256 * aheadLines
)

// Ahead reads a block's lines while those before them are looked up. Reading is
// the larger half of the work and needs nothing of the other: what a line's
// reading depends on are the lines before it. One Ahead serves any number of
// Miners, one block at a time.
type Ahead struct {
	// Stack, if it is not nil, tells where a panic in reading comes from (debug.Stack).
	Stack func() []byte

	start     func(work func())
	meanwhile func() bool
	stretches [aheadStretches]stretch

	// What follows is of the block at hand.
	todo [][]byte // lines not looked up yet
	rest [][]byte // those among them not handed to a stretch
	more bool     // the block may grow
	raw  bool
	idle []*stretch
	at   *stretch // being looked up
	used int      // of its readings

	free  chan *stretch
	full  chan *stretch
	ended bool // free is closed
}

// stretch is some lines of a block, on their way to the goroutine that reads them and back.
type stretch struct {
	lines    [][]byte
	before   lexerState
	readings [aheadLines]reading
	n        int // of readings
	// Their parts lie one behind the other, so that processors fetch them from one another before they are asked for.
	skels    []byte
	toks     []token
	params   []Param
	skel     []byte // scratch
	notes    notes
	panicked *readPanic
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

// begin has the lines read ahead, if that is worth it. more says that there may be more of them.
func (m *Miner) begin(lines [][]byte, more bool) {
	a := m.lent
	if a == nil || len(lines) < aheadLeast {
		return
	}
	m.ahead = a
	a.todo, a.rest, a.raw, a.more, a.at, a.idle = lines, lines, m.blockRaw, more, nil, a.idle[:0]
	for i := range a.stretches {
		a.idle = append(a.idle, &a.stretches[i])
	}
	// There is room for all stretches, so that only who has none waits.
	a.free, a.full, a.ended = make(chan *stretch, aheadStretches), make(chan *stretch, aheadStretches), false
	l, free, full, raw, stack := &m.lexer, a.free, a.full, a.raw, a.Stack
	a.start(func() {
		for p := range free {
			on := l.readStretch(p, raw, stack)
			full <- p
			if !on {
				return
			}
		}
	})
	a.deal()
}

// extend has more lines read. None was looked up yet.
func (a *Ahead) extend(lines [][]byte, more bool) {
	a.todo, a.rest, a.more = lines, lines[len(a.todo)-len(a.rest):], more
	a.deal()
}

// deal gives idle stretches away with the next lines to read, and says so when those are all.
func (a *Ahead) deal() {
	for n := len(a.idle); n > 0 && (len(a.rest) >= aheadLines || len(a.rest) > 0 && !a.more); n-- {
		p := a.idle[n-1]
		a.idle = a.idle[:n-1]
		k := min(len(a.rest), aheadLines)
		p.lines, a.rest = a.rest[:k], a.rest[k:]
		a.free <- p
	}
	if len(a.rest) == 0 && !a.more {
		a.end()
	}
}

// end says that no stretch will be given away any more.
func (a *Ahead) end() {
	if !a.ended {
		a.ended = true
		close(a.free)
	}
}

// readStretch reads the lines of a stretch and says whether to go on. A panic is kept for the one who
// looks up the line that causes it; where the stretch would hold too much, it is left at that.
func (l *lexer) readStretch(p *stretch, raw bool, stack func() []byte) (on bool) {
	p.n, p.panicked = 0, nil
	defer func() {
		if cause := recover(); cause != nil {
			if p.panicked = (&readPanic{cause: cause}); stack != nil {
				p.panicked.stack = stack()
			}
		}
	}()
	l.heed(&p.notes)
	p.before = l.state()
	p.skels, p.toks, p.params = p.skels[:0], p.toks[:0], p.params[:0]
	for i, line := range p.lines {
		if len(p.toks) > stretchToks || len(p.params) > stretchParams || len(p.skels) > stretchSkel {
			return false
		}
		r := &p.readings[i]
		r.skel, r.toks, r.params = p.skel, room(&p.toks, tokensMax+2), room(&p.params, paramsMax)
		l.read(r, line, raw)
		p.skel = r.skel
		n := len(p.skels)
		p.skels = append(p.skels, r.skel...)
		r.skel = p.skels[n:]
		p.toks, p.params = taken(p.toks, len(r.toks)), taken(p.params, len(r.params))
		p.n++
	}
	return true
}

// readPanic is a panic in reading, with where it came from.
type readPanic struct {
	cause any
	stack []byte
}

func (p *readPanic) String() string {
	return fmt.Sprintf("%v, in reading a line:\n%s", p.cause, p.stack)
}

// room returns the part of v behind its elements, n of them at least.
func room[T any](v *[]T, n int) []T {
	if cap(*v)-len(*v) < n {
		*v = make([]T, 0, 2*cap(*v)+n)
	}
	return (*v)[len(*v):]
}

// taken is v with n elements more, if they were put into its room and not elsewhere, for want of more.
func taken[T any](v []T, n int) []T {
	if len(v)+n > cap(v) {
		return v
	}
	return v[:len(v)+n]
}

// expects says that the line is the next one of the block.
func (a *Ahead) expects(line []byte, raw bool) bool {
	return len(a.todo) > 0 && same(a.todo[0], line) && a.raw == raw
}

// next is the next line's reading; nil if it was not read. Notes of those before go with the stretch that is given back.
func (a *Ahead) next(n *notes) *reading {
	if a.at != nil && a.used == len(a.at.lines) {
		if len(a.rest) > 0 {
			a.at.notes, *n = *n, a.at.notes
		}
		a.idle, a.at = append(a.idle, a.at), nil
		a.deal()
	}
	if a.at == nil {
		a.at, a.used = a.wait(), 0
	}
	if a.used == a.at.n {
		if a.at.panicked != nil {
			panic(a.at.panicked)
		}
		return nil
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
	first, beyond, away := a.at, false, aheadStretches-len(a.idle)
	if first != nil {
		away--
	}
	for ; away > 0; away-- {
		select {
		case p, ok := <-a.free: // not begun
			if ok {
				p.n = 0
				continue
			}
		default:
		}
		p := <-a.full
		if beyond = true; first == nil {
			first, a.used = p, 0
		}
	}
	a.end()
	for i := range a.stretches {
		m.heed(&a.stretches[i].notes)
	}
	if first == nil || !beyond && a.used == first.n {
		return
	}
	m.restore(&first.before)
	for _, line := range first.lines[:a.used] {
		m.read(&m.own, line, a.raw)
	}
}

// forget drops the references to lines, and what an unusual line has taken.
func (a *Ahead) forget() {
	a.todo, a.rest, a.at, a.more = nil, nil, nil, false
	for i := range a.stretches {
		p := &a.stretches[i]
		clear(p.readings[:])
		clear(p.params[:cap(p.params)])
		if cap(p.toks) > 2*stretchToks || cap(p.params) > 2*stretchParams || cap(p.skels) > 2*stretchSkel {
			p.toks, p.params, p.skels = nil, nil, nil
		}
		p.lines, p.n, p.panicked = nil, 0, nil
	}
}
