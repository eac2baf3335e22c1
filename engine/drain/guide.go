package drain

import (
	"encoding/binary"
	"math/bits"
	"strings"
)

const (
	// guideSets and guideWays bound the guides of a Miner.
	guideSets, guideWays = 32, 4
	// Overhead is what a Miner takes at most beside its learned state, in bytes:
	// 128 guides of about 160 each.
	Overhead = guideSets * guideWays * 160
	// guideCredit is how many guides are made without delay; later ones cost 64 lines each, so that a log of
	// ever new skeletons does not pay for guides that are of no use to it.
	guideCredit, guideEvery = 256, 64
)

const (
	// Guesses that were wrong cost more than none: where fewer than trialLeast of
	// trialLines were right, the next trialRest lines go without.
	trialLines, trialLeast, trialRest = 256, 160, 4096
)

// trial is whether guessing pays on a log.
type trial struct {
	tried, right, rest uint16
}

// on says whether to guess for the next line.
func (t *trial) on() bool {
	if t.rest > 0 {
		t.rest--
		return false
	}
	return true
}

// note counts a guess.
func (t *trial) note(right bool) {
	if right {
		t.right++
	}
	if t.tried++; t.tried < trialLines {
		return
	}
	if t.right < trialLeast {
		t.rest = trialRest
	}
	t.tried, t.right = 0, 0
}

// guides remember how known skeletons go on, so that the constant words of a
// line are compared with those of a guessed skeleton in one piece and not read
// byte by byte. A scan finds the same with guides and without: a run of words
// is taken from a guide only if reading it could give nothing but itself. They
// are no learned state: a restored Miner finds them anew.
type guides struct {
	sets   [guideSets][guideWays]guide
	credit int
	trial  trial
	reader scanner // reads the runs of a new guide
	line   []byte  // what it reads
}

// guide is a skeleton taken apart into runs of constant tokens.
type guide struct {
	text string
	at   int32 // the skeleton's place when the guide was made
	runs []run
}

// run is a row of constant tokens, text[from:to] of its skeleton.
type run struct {
	tok, toks int32
	from, to  uint16
	// text[key0:key1] is the name that a value behind the run belongs to.
	key0, key1 uint16
}

// guideSet is the set for guides of messages that go on like b[i:]. Those that start with no word share one.
func guideSet(b []byte, i int) int {
	if i+8 > len(b) || !isAlpha(b[i]) {
		return 0
	}
	const odd = 0x9E3779B97F4A7C15
	return 1 + int(bits.RotateLeft64(binary.LittleEndian.Uint64(b[i:])*odd, 32)%(guideSets-1))
}

// guided takes the run of constant tokens that a guide expects at line[i:] and
// returns its end; 0 where there is none.
func (s *scanner) guided(b []byte, i int) int {
	t := int32(s.words)
	if g := &s.guides[s.way]; s.next < len(g.runs) {
		r := &g.runs[s.next]
		if r.tok > t {
			return 0 // a value is expected
		}
		if end := r.end(g, b, i); end > 0 && r.tok == t {
			s.next++
			return s.take(g, r, i, end)
		}
	} else if len(g.runs) > 0 {
		return 0
	}
	for n := range guideWays {
		g := &s.guides[n]
		for k := range g.runs {
			r := &g.runs[k]
			if r.tok < t || n == s.way {
				continue
			}
			if end := r.end(g, b, i); end > 0 && r.tok == t {
				s.way, s.next = n, k+1
				return s.take(g, r, i, end)
			}
			break
		}
	}
	s.guides = nil
	return 0
}

// end is where the run ends that stands at b[i:]; 0 if it does not.
func (r *run) end(g *guide, b []byte, i int) int {
	end := i + int(r.to-r.from)
	if end > len(b) || end < len(b) && b[end] != ' ' || string(b[i:end]) != g.text[r.from:r.to] {
		return 0
	}
	return end
}

// take enters a run that stands at line[i:end], and returns its end; 0 if the
// line has too many words.
func (s *scanner) take(g *guide, r *run, i, end int) int {
	if s.words+int(r.toks) > tokensMax || len(s.skel)+end-i >= skelMax {
		s.guides = nil
		return 0
	}
	if len(s.skel) > 0 {
		s.skel = append(s.skel, ' ')
	}
	skel, from, par := len(s.skel), int(r.from), uint16(len(s.params))
	s.skel = append(s.skel, g.text[from:r.to]...)
	s.toks = grow(s.toks)
	t := &s.toks[len(s.toks)-1]
	t.line0, t.line1, t.skel0, t.skel1 = uint32(i), uint32(end), uint32(skel), uint32(len(s.skel))
	t.par0, t.par1, t.words, t.list = par, par, uint8(r.toks), false
	s.words += int(r.toks)
	s.copied = end
	if r.key1 > 0 {
		s.key, s.keyEnd = s.line[i+int(r.key0)-from:i+int(r.key1)-from], end+1
	}
	return end
}

// learn enters a guide for a skeleton.
func (gs *guides) learn(a *ask) {
	if gs.credit++; gs.credit < guideEvery {
		return
	}
	set := &gs.sets[a.set]
	for k := range set {
		if set[k].text == a.text {
			set[k].at = a.at
			return
		}
	}
	gs.credit -= guideEvery
	last := set[guideWays-1]
	copy(set[1:], set[:guideWays-1])
	last.at = a.at
	gs.build(&last, a.text)
	set[0] = last
}

// build takes a skeleton apart.
func (gs *guides) build(g *guide, text string) {
	g.text, g.runs = text, g.runs[:0]
	open, tok := false, int32(0)
	for from := 0; from <= len(text); tok++ {
		to := len(text)
		if n := strings.IndexByte(text[from:], ' '); n >= 0 {
			to = from + n
		}
		if !isInert(text[from:to]) {
			open = false
		} else if n := len(g.runs) - 1; open && gs.proves(text, run{tok: g.runs[n].tok, toks: tok - g.runs[n].tok + 1, from: g.runs[n].from, to: uint16(to)}, &g.runs[n]) {
			// the run goes on
		} else {
			var r run
			if open = gs.proves(text, run{tok: tok, toks: 1, from: uint16(from), to: uint16(to)}, &r); open {
				g.runs = append(g.runs, r)
			}
		}
		from = to + 1
	}
}

// isInert says that a token has nothing in it whose reading depends on what
// follows it: no value, no quote, no start of a list, no name of a month or day.
func isInert(tok string) bool {
	if tok == byteWord {
		return false // what follows may say the size again
	}
	word := 0
	for i := 0; i <= len(tok); i++ {
		if i < len(tok) && isAlpha(tok[i]) {
			word++
			continue
		}
		if word == 3 {
			if b := []byte(tok[i-3 : i]); monthAt(b, 0) > 0 || weekdayAt(b, 0) {
				return false
			}
		}
		word = 0
		if i == len(tok) {
			break
		}
		switch c := tok[i]; {
		case c <= ' ' || isDigit(c) || c == '"' || c == '\'' || c == '`' || c == '\\' || c == '{' || c == '[' || c == '<':
			return false
		}
	}
	return len(tok) > 0
}

// proves reads a run alone and reports whether it gives nothing but itself.
func (gs *guides) proves(text string, r run, out *run) bool {
	words := text[r.from:r.to]
	gs.line = append(append(gs.line[:0], words...), " 7"...)
	s := &gs.reader
	s.reset(gs.line)
	s.text(0, len(gs.line))
	n := len(words)
	if len(s.toks) != int(r.toks)+1 || len(s.params) != 1 || string(s.params[0].Value) != "7" ||
		len(s.skel) != n+2 || string(s.skel[:n]) != words || int(s.toks[r.toks].line0) != n+1 {
		return false
	}
	if key := s.params[0].Key; len(key) > 0 {
		at := cap(gs.line) - cap(key)
		r.key0, r.key1 = r.from+uint16(at), r.from+uint16(at+len(key))
	}
	*out = r
	return true
}
