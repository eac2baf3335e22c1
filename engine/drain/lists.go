package drain

import (
	"bytes"
	"math"
)

// collapse makes one parameter of three and more values in a row: the length of a list must not decide the template.
func (s *scanner) collapse() {
	n := len(s.toks) - 1
	tok := &s.toks[n]
	if n < 1 || tok.par1-tok.par0 != 1 || !s.isValue(tok, false) && !s.isValue(tok, true) {
		return
	}
	last := &s.toks[n-1]
	comma := s.isValue(last, true)
	if !comma && !s.isValue(last, false) {
		return
	}
	long := 2
	kind := listKind(s.params[tok.par0].Kind)
	if kind == Number {
		// A row of numbers is a vector, which is worth more apart.
		long = vectorMax
	}
	first := last
	if !last.list {
		if n < long {
			return
		}
		for i := n - long; i < n; i++ {
			if !s.isValue(&s.toks[i], comma) || listKind(s.params[s.toks[i].par0].Kind) != kind {
				return
			}
		}
		first = &s.toks[n-long]
	}
	end := tok.line1
	trailing := s.skel[tok.skel1-1] == ','
	if trailing {
		end--
	}
	p := &s.params[first.par0]
	p.Value, p.Num = s.line[first.line0:end:end], math.NaN()
	if comma {
		p.Kind = Word
	}
	s.params = s.params[:first.par0+1]
	s.skel = append(s.skel[:first.skel0], mark)
	if trailing {
		s.skel = append(s.skel, ',')
	}
	first.line1, first.skel1, first.par1, first.list = tok.line1, uint32(len(s.skel)), first.par0+1, true
	if first != last {
		n -= long - 1
	}
	s.words -= len(s.toks) - n
	s.toks = s.toks[:n]
}

// listKind is the kind as far as lists care.
func listKind(k Kind) Kind {
	if k == Hex || k == UUID {
		return ID
	}
	return k
}

// isValue says that the token is one masked value, with a comma behind it if comma is set.
func (s *scanner) isValue(t *token, comma bool) bool {
	n := t.skel1 - t.skel0
	if n == 0 || s.skel[t.skel0] != mark {
		return false
	}
	if n == 1 {
		return !comma
	}
	return n == 2 && s.skel[t.skel0+1] == ','
}

// joinPiped makes one parameter of the values of a token that are written
// value|word|value: the parts of one key.
func (s *scanner) joinPiped(t *token) {
	text := s.skel[t.skel0:]
	first, last := bytes.IndexByte(text, mark), bytes.LastIndexByte(text, mark)
	pipes := 0
	for i := first + 1; i < last; i++ {
		switch c := text[i]; {
		case c == '|':
			pipes++
		case c != mark && classes[c] == 0:
			return
		}
	}
	if pipes < 2 {
		return
	}
	// What stands before the first value and behind the last one is usually in the skeleton as it is in the line.
	from, to := int(t.line0)+first, int(t.line1)-(len(text)-1-last)
	if from > to || string(s.line[t.line0:from]) != string(text[:first]) || string(s.line[to:t.line1]) != string(text[last+1:]) {
		return
	}
	p := &s.params[t.par0]
	p.Value, p.Kind, p.Num = s.line[from:to:to], ID, math.NaN()
	s.params = s.params[:t.par0+1]
	s.skel = append(s.skel[:int(t.skel0)+first+1], text[last+1:]...)
	t.skel1, t.par1 = uint32(len(s.skel)), t.par0+1
}

// list masks the elements of [a, b, c]: how many there are must not decide the template.
func (s *scanner) list(b []byte, i int) int {
	commas, last := 0, byte(',')
	for j := i + 1; j < len(b) && j < i+tokenMax; j++ {
		switch c := b[j]; {
		case c == ']':
			if commas == 0 || last == ',' {
				return s.empty(b, i)
			}
			s.mask(i+1, j, Word, math.NaN())
			return j
		case c == ',':
			if last == ',' {
				return s.empty(b, i)
			}
			commas++
			last = c
		case c == ' ':
			if last != ',' {
				return s.empty(b, i) // words, not elements
			}
		case c == '"':
			end := closing(b, j)
			if end == 0 || s.unclosed || last != ',' {
				return s.empty(b, i)
			}
			j, last = end-1, c
		case c <= ' ' || c == '[' || c == '{' || c == '(' || c == '=':
			return s.empty(b, i)
		default:
			last = c
		}
	}
	return s.empty(b, i)
}
