package detect

import (
	"bytes"

	"github.com/cespare/xxhash/v2"
)

const (
	// partFree is what each part may surprise by for nothing, as they are many
	// and depend on each other, and partMax the most that one adds: none
	// decides alone where others are odd as well.
	partFree, partMax = 1.0, 12.0
	// statusMax bounds what the answer adds: it is the server's doing, and a
	// server that fails is told by how often it does.
	statusMax = 6.0
	// hintNats is the most that a kind of hint adds.
	hintNats = 5.0
	// headWeight is the weight of referrer and agent, in which other sites and
	// programs have their say, and signsWeight that of a path's signs, as people
	// name files as they like.
	headWeight, signsWeight = 0.7, 0.7
	// depthMax is how many folders of a path, and pairsMax how many parameters
	// of a query are looked at; what follows is one more.
	depthMax, pairsMax = 12, 16
	// spellTop is how many of a text's least expected characters are summed: an
	// attack has several, a long text has many that are a little rare.
	spellTop = 5
	// signsTop is how many of its rarest signs are.
	signsTop = 3
	// endingMax is the longest ending of a file's name that has a count of its own.
	endingMax = 9
)

// Part is what a request is made of.
type Part uint8

// The parts. Those of a path are there only where it is not known, those of a
// value where that is not.
const (
	PartPath     Part = iota // that there is a new name in a known folder
	PartEnding               // the ending of the name
	PartSpelling             // its characters in context
	PartSigns                // the signs in it
	PartMethod
	PartStatus
	PartQuery // that there is a query, or none
	PartKey   // the name of a parameter
	PartValue
	PartShape // how letters, digits and signs follow each other in the value
	PartText  // its characters in context
	PartChars // the signs in it
	PartReferrer
	PartAgent
	PartHints // strings that attacks are made of
	parts
)

// The spellings: kinds of texts with characters of their own, and scales.
const (
	spellPath = iota
	spellValue
	spellReferrer
	spellAgent
	scaleReferrer // of signs
	scaleAgent
	spellings
)

// Contexts of counts that all requests share.
const (
	contextEnding  = iota + 0x1000
	contextMethod  //
	contextStatus  // of all paths; then of unknown and of known ones
	contextUnknown //
	contextKnown   //
	contextQuery   //
	contextKey     //
	contextShape   //
	contextHints   // of paths and values; then of headers
	contextHeadHints
	contextClient //
	contextSigns  // one a spelling from here on
)

// Contexts of one path or parameter are mixed from its hash and these.
const (
	ofMethod = iota + 0x2000
	ofStatus
	ofQuery
	ofKey
	ofValue
	ofShape
	ofSigns
)

// sighting is a symbol in a context. A mark is one of several in a text, which
// itself is counted once, as keyTotal.
type sighting struct {
	context, symbol uint64
	part            Part
	mark            bool
}

// passage is a text whose characters were read, by its place in the buffer.
type passage struct {
	field    int
	from, to int
	part     Part
}

// sample is a sum for a scale.
type sample struct {
	field int
	sum   float64
}

// reading is what was read of a request: the surprise of each part, and what
// to learn of it. Its slices are those of the line and live as long.
type reading struct {
	nats   [parts]float64
	what   [parts][]byte // what surprised, as it stands in the line
	name   [parts][]byte // the name of its parameter
	sum    float64
	hinted float64 // how surprising the hints are
	signs  [signsTop]byte
	client uint64
	served bool // the server had it

	param    []byte // the name of the parameter being read
	seen     []sighting
	passages []passage
	samples  []sample
	heads    []uint64
	buf      []byte // path, names and values, decoded
}

// read reads a request.
func (l *reading) read(s *site, r *request) {
	s.ready()
	*l = reading{seen: l.seen[:0], passages: l.passages[:0], samples: l.samples[:0], heads: l.heads[:0], buf: l.buf[:0]}
	path, query, has := bytes.Cut(r.url[:min(len(r.url), urlMax)], []byte{'?'})
	whole, known := l.path(s, path)
	l.answer(s, r, whole, known)
	l.query(s, query, has && len(query) > 0, whole)
	l.header(s, PartReferrer, spellReferrer, r.referrer)
	l.header(s, PartAgent, spellAgent, r.agent)
	l.note(PartHints, contextHints, keyTotal)
	l.note(PartHints, contextHeadHints, keyTotal)
	l.client = xxhash.Sum64(r.client)
	l.nats[PartStatus] = min(l.nats[PartStatus], statusMax)
	for _, v := range l.nats {
		l.sum += min(max(0, v-partFree), partMax)
	}
}

// note notes a sighting for learning.
func (l *reading) note(p Part, context, symbol uint64) {
	l.seen = append(l.seen, sighting{context: context, symbol: symbol, part: p})
}

// found raises the surprise of a part, if it is the highest, and tells whether it is.
func (l *reading) found(p Part, nats float64, what []byte) bool {
	if nats <= l.nats[p] {
		return false
	}
	l.nats[p], l.what[p], l.name[p] = nats, what, l.param
	return true
}

// path reads the path and returns its hash, and whether it is known.
func (l *reading) path(s *site, raw []byte) (whole uint64, known bool) {
	l.buf = decode(l.buf, raw, false)
	b := l.buf
	context, known := uint64(mixA), true
	at, rest := 0, len(b)
	for depth := 0; at < len(b); depth++ {
		end := bytes.IndexByte(b[at+1:], '/')
		if end += at + 1; end == at || depth == depthMax {
			end = len(b)
		}
		symbol := symbolOf(b[at:end])
		l.note(PartPath, context, symbol)
		if known && !s.knows(context, symbol) {
			known, rest = false, at
			l.found(PartPath, nats(s.escape(context)), raw)
		}
		context = mix(context, symbol)
		at = end
	}
	if known && !s.knows(context, keyEnd) {
		known = false
		l.found(PartPath, nats(s.escape(context)), raw)
	}
	l.note(PartPath, context, keyEnd)
	if !known {
		l.unknown(s, raw, rest)
	}
	return context, known
}

// unknown reads what is not known of the path, from rest on.
func (l *reading) unknown(s *site, raw []byte, rest int) {
	ending := uint64(0)
	name := l.buf[bytes.LastIndexByte(l.buf, '/')+1:]
	if dot := bytes.LastIndexByte(name, '.'); dot >= 0 && len(name)-dot <= endingMax {
		ending = symbolOf(name[dot:])
	} else if dot >= 0 {
		ending = 1
	}
	l.note(PartEnding, contextEnding, ending)
	l.found(PartEnding, nats(s.predict(contextEnding, ending, 1)), raw)
	t := passage{spellPath, rest, len(l.buf), PartSpelling}
	l.found(PartSpelling, l.spell(s, t), raw)
	t.part = PartSigns
	sum, signs := l.signsOf(s, t, 0)
	if l.found(PartSigns, signsWeight*sum, raw) {
		l.signs = signs
	}
	l.found(PartHints, l.hints(s, t, contextHints), raw)
}

// spell reads the characters of a text in context and returns how surprising
// they are among the texts of its kind.
func (l *reading) spell(s *site, t passage) float64 {
	if t.from == t.to {
		return 0
	}
	sum := s.spelling(t.field, l.buf[t.from:t.to])
	l.passages = append(l.passages, t)
	l.samples = append(l.samples, sample{t.field, sum})
	return s.scales[t.field].nats(sum)
}

// signsOf reads which signs a text holds, all that are neither letters nor
// digits: each is as surprising as texts with it are rare. Those of a
// parameter's values are looked for among its own, given by its hash, backed
// by all values.
func (l *reading) signsOf(s *site, t passage, name uint64) (sum float64, signs [signsTop]byte) {
	var met [2]uint64
	var top [signsTop]float64
	all, own := uint64(contextSigns+t.field), mix(name, ofSigns)
	for _, c := range l.buf[t.from:t.to] {
		if c >= 'a' && c <= 'z' || c == '0' || met[c>>6&1]>>(c&63)&1 == 1 {
			continue
		}
		met[c>>6&1] |= 1 << (c & 63)
		mark := keyMarks + uint64(c)
		p := s.presence(all, mark, 0.5, 1)
		l.seen = append(l.seen, sighting{all, mark, t.part, true})
		if name != 0 {
			p = s.presence(own, mark, p, 2)
			l.seen = append(l.seen, sighting{own, mark, t.part, true})
		}
		v := nats(p)
		for j := range top {
			if v > top[j] {
				top[j], signs[j], v, c = v, c, top[j], signs[j]
			}
		}
	}
	l.note(t.part, all, keyTotal)
	if name != 0 {
		l.note(t.part, own, keyTotal)
	}
	for i, v := range top {
		if sum += v; i > 0 && v < partUsual {
			signs[i] = 0
		}
	}
	return sum, signs
}

// hints looks for what attacks are made of, as surprising as requests with it
// are rare. The two rarest kinds count.
func (l *reading) hints(s *site, t passage, context uint64) float64 {
	first, second := 0.0, 0.0
	for found, i := hintsOf(l.buf[t.from:t.to]), 0; found>>i > 0; i++ {
		if found>>i&1 == 0 {
			continue
		}
		mark := keyMarks + uint64(i)
		l.seen = append(l.seen, sighting{context, mark, PartHints, true})
		switch v := min(hintNats, nats(s.presence(context, mark, 0.5, 1))); {
		case v > first:
			first, second = v, first
		case v > second:
			second = v
		}
	}
	l.hinted = max(l.hinted, first+second)
	return first + second
}

// answer reads method and status. What the path at hand had counts most.
func (l *reading) answer(s *site, r *request, path uint64, known bool) {
	symbol, own := symbolOf(r.method), mix(path, ofMethod)
	p := s.predict(contextMethod, symbol, 0.5)
	if !safe(r.method) {
		p = s.predict(own, symbol, p)
	}
	l.found(PartMethod, nats(p), r.method)
	l.note(PartMethod, contextMethod, symbol)
	l.note(PartMethod, own, symbol)

	code, text := r.status()
	switch code {
	case 0:
		return
	case 206, 304: // a part of it, or unchanged: what a client has already is its own affair
		code = 200
	}
	l.served = code < statusLeast
	class := uint64(contextUnknown)
	if known {
		class = contextKnown
	}
	symbol, own = keyMarks+uint64(code), mix(path, ofStatus)
	p = s.predict(contextStatus, symbol, 0.5)
	p = s.predict(class, symbol, p)
	l.found(PartStatus, nats(s.predict(own, symbol, p)), text)
	l.note(PartStatus, contextStatus, symbol)
	l.note(PartStatus, class, symbol)
	l.note(PartStatus, own, symbol)
}

// safe tells whether a method only reads (RFC 9110, 9.2.1): which of these is
// used for a path is the client's affair.
func safe(method []byte) bool {
	switch string(method) {
	case "GET", "HEAD", "OPTIONS":
		return true
	}
	return false
}

// query reads the parameters of a query.
func (l *reading) query(s *site, raw []byte, has bool, path uint64) {
	symbol, own := uint64(keyMarks), mix(path, ofQuery)
	if has {
		symbol++
	}
	p := s.predict(contextQuery, symbol, 0.5)
	l.found(PartQuery, nats(s.predict(own, symbol, p)), raw)
	l.note(PartQuery, contextQuery, symbol)
	l.note(PartQuery, own, symbol)
	for n := 0; len(raw) > 0; n++ {
		pair, rest, _ := bytes.Cut(raw, []byte{'&'})
		if n == pairsMax {
			pair, rest = raw, nil
		}
		l.pair(s, pair, path)
		raw = rest
	}
	l.param = nil
}

// pair reads one parameter. One without a name is the value of a nameless one,
// if it is not known as a name.
func (l *reading) pair(s *site, raw []byte, path uint64) {
	name, value, named := bytes.Cut(raw, []byte{'='})
	from := len(l.buf)
	l.buf = decode(l.buf, name, true)
	at := len(l.buf)
	symbol := symbolOf(l.buf[from:at])
	if !named && !s.knows(contextKey, symbol) {
		at, symbol, name, value = from, mixB, nil, name
	} else {
		l.buf = decode(l.buf, value, true)
	}
	l.param = name
	own := mix(path, ofKey)
	p := s.predict(contextKey, symbol, 0.1)
	l.found(PartKey, nats(s.predict(own, symbol, p)), name)
	l.note(PartKey, contextKey, symbol)
	l.note(PartKey, own, symbol)
	l.value(s, symbol, value, at)
}

// value reads the value of a parameter, decoded from at on.
func (l *reading) value(s *site, name uint64, raw []byte, at int) {
	text := l.buf[at:]
	context, symbol := mix(name, ofValue), symbolOf(text)
	l.note(PartValue, context, symbol)
	if s.knows(context, symbol) {
		return
	}
	l.found(PartValue, nats(s.escape(context)), raw)
	shape, own := shapeOf(text), mix(name, ofShape)
	p := s.predict(contextShape, shape, 0.1)
	l.found(PartShape, nats(s.predict(own, shape, p)), raw)
	l.note(PartShape, contextShape, shape)
	l.note(PartShape, own, shape)
	t := passage{spellValue, at, len(l.buf), PartText}
	l.found(PartText, l.spell(s, t), raw)
	t.part = PartChars
	sum, signs := l.signsOf(s, t, name)
	if l.found(PartChars, sum, raw) {
		l.signs = signs
	}
	l.found(PartHints, l.hints(s, t, contextHints), raw)
}

// header reads referrer or agent: one that came before is not odd. Of an
// address only what follows the host counts, as anyone may link here.
func (l *reading) header(s *site, p Part, field int, raw []byte) {
	hash, known := s.head(field, raw)
	if known {
		return
	}
	l.heads = append(l.heads, hash)
	from := len(l.buf)
	l.buf = decode(l.buf, afterHost(raw), true)
	t := passage{field, from, len(l.buf), p}
	if t.from == t.to {
		return
	}
	spelled := l.spell(s, t)
	sum, _ := l.signsOf(s, t, 0)
	scale := field - spellReferrer + scaleReferrer
	l.samples = append(l.samples, sample{scale, sum})
	l.found(p, headWeight*max(spelled, s.scales[scale].nats(sum)), raw)
	l.found(PartHints, l.hints(s, t, contextHeadHints), raw)
}

// afterHost returns what follows the host of an address.
func afterHost(b []byte) []byte {
	i := bytes.Index(b[:min(len(b), 10)], []byte("://"))
	if i < 0 {
		return b
	}
	if j := bytes.IndexByte(b[i+3:], '/'); j >= 0 {
		return b[i+3+j:]
	}
	return nil
}

// subjects groups the parts by what they are about.
var subjects = [parts]uint8{
	PartPath: 0, PartEnding: 0, PartSpelling: 0, PartSigns: 0,
	PartMethod: 1, PartStatus: 2, PartQuery: 3, PartKey: 3,
	PartValue: 4, PartShape: 4, PartText: 4, PartChars: 4,
	PartReferrer: 5, PartAgent: 6, PartHints: 7,
}

// oddest returns the part that surprises most, and the one that does of those
// that are about something else. Signs say more than what else is odd about a text.
func (l *reading) oddest() (first, second Part) {
	for p := range parts {
		if l.nats[p] > l.nats[first] {
			first = p
		}
	}
	second = PartMethod
	if first == PartMethod {
		second = PartPath
	}
	for p := range parts {
		if subjects[p] != subjects[first] && l.nats[p] > l.nats[second] {
			second = p
		}
	}
	return l.telling(first), l.telling(second)
}

// telling returns the part of the same subject that tells most.
func (l *reading) telling(p Part) Part {
	switch {
	case subjects[p] == subjects[PartSigns] && l.nats[PartSigns] > partUsual:
		return PartSigns
	case subjects[p] == subjects[PartChars] && l.nats[PartChars] > partUsual:
		return PartChars
	}
	return p
}
