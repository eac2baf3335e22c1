package drain

// lexer reads lines: it knows how a stream writes them, and nothing of its
// templates but how their constant words go, which is a guess.
type lexer struct {
	scan   scanner
	head   header
	dates  dates
	guides *guides
}

func newLexer(cfg *Config, d dates) lexer {
	d.forget()
	return lexer{head: header{old: outlines{credit: outlineCredit * outlineEvery}}, scan: scanner{user: newUserMasks(cfg)}, dates: d}
}

// reading is what a line gave: all that there is to say of it before its
// template is looked up.
type reading struct {
	line    []byte // what was scanned
	message []byte
	time    int64
	level   Level
	skel    []byte
	toks    []token
	params  []Param
	// guess is the text of the guide that the skeleton is, whose place was at; empty: of none.
	guess string
	at    int32
	set   int32 // where a guide for it belongs
	plain bool  // it may have one
}

// forget drops the references to the line.
func (r *reading) forget() {
	clear(r.params[:cap(r.params)])
	r.line, r.message, r.params = nil, nil, r.params[:0]
}

// tell fills in what the header and a structured line's own fields say.
func (r *reading) tell(out *Line) {
	*out = Line{Message: r.message, Level: r.level, Time: r.time}
}

// read recognises the header and scans the message.
func (l *lexer) read(r *reading, line []byte, raw bool) {
	message, h := line, (*header)(nil)
	r.level, r.time = NoLevel, 0
	if !raw {
		h = &l.head
		h.read(line, &l.dates.layout)
		message, r.level = line[h.end:], h.level
		if h.timed {
			r.time = l.dates.resolve(&h.stamp)
		}
	}
	s := &l.scan
	s.skel, s.toks, s.params = r.skel, r.toks, r.params
	s.scan(message, h, l.guides)
	r.skel, r.toks, r.params = s.skel, s.toks, s.params
	r.line, r.message = message, message
	if s.level != NoLevel {
		r.level = s.level
	}
	if s.timed {
		r.time = l.dates.resolve(&s.time)
	}
	if !raw || s.timed {
		l.dates.settle(r.time)
	}
	if s.texted {
		r.message = message[s.text0:s.text1]
	}
	r.guess, r.plain, r.set = "", s.plain, int32(s.set)
	if s.guides != nil && s.plain {
		if g := &s.guides[s.way]; len(r.skel) > 0 && g.text == string(r.skel) {
			r.guess, r.at = g.text, g.at
		}
	}
}

// forget drops the references to the line read last.
func (l *lexer) forget() {
	s := &l.scan
	s.line, s.key, s.params, l.head.b = nil, nil, nil, nil
}

// lexerState is what earlier lines have taught of how to read the next one.
type lexerState struct {
	hosts  [8]uint64
	hostN  int
	timeAt [8]int
	last   int64
	layout int // where the last line had the time of the user's layout
}

func (l *lexer) state() lexerState {
	return lexerState{l.head.hosts, l.head.hostN, l.head.timeAt, l.dates.last, l.dates.layout.at}
}

// restore makes the lexer forget the lines read since.
func (l *lexer) restore(s *lexerState) {
	if l.head.hostN != s.hostN {
		l.head.old.all = l.head.old.all[:0] // they may know of a host that is none yet
	}
	l.head.hosts, l.head.hostN, l.head.timeAt = s.hosts, s.hostN, s.timeAt
	l.dates.last, l.dates.layout.at = s.last, s.layout
}

// notes are what looking readings up tells the lexer: how good its guesses were, and what to guess.
type notes struct {
	right uint32
	asks  []ask
}

// ask is a known skeleton that was not guessed.
type ask struct {
	text string
	at   int32
	set  int32
}

func (n *notes) ask(r *reading, text string, at int32) {
	set := r.set
	if i := skipSpaces(r.line, 0); i+8 > len(r.line) || len(text) < 8 || string(r.line[i:i+8]) != text[:8] {
		set = 0 // it starts with a value
	}
	n.asks = append(n.asks, ask{text, at, set})
}

// heed learns what to guess.
func (l *lexer) heed(n *notes) {
	if n.right > 0 && l.guides != nil {
		for range n.right {
			l.guides.trial.note(true)
		}
	}
	n.right = 0
	if len(n.asks) == 0 {
		return
	}
	if l.guides == nil {
		l.guides = &guides{credit: guideCredit * guideEvery}
	}
	for i := range n.asks {
		l.guides.learn(&n.asks[i])
		l.guides.trial.note(false)
	}
	clear(n.asks)
	n.asks = n.asks[:0]
}
