package detect

import (
	"unicode"
	"unicode/utf8"

	"github.com/logscope/logscope/engine/drain"
	"github.com/logscope/logscope/engine/sketch"
)

const (
	// alikeLeast is how often a value must have come for one beside it to be
	// taken for a slip of it.
	alikeLeast = 100
	// alikeLetters is how long a value must be for one letter to be a slip, and
	// alikeLong for two: GET and SET are different words.
	alikeLetters, alikeLong = 4, 8
	// alikeMost bounds what nearness adds to the surprise of a new value.
	alikeMost = 1.5
)

// Alike returns the most frequent value that text looks like, how often that
// came and by how many letters they differ: one, two from eight letters on, 0
// where only letters of the same look were exchanged. known is empty where text
// looks like none, or where another known value does: then they are a series
// (rack-a, rack-b) and the next of it is no slip.
func (k *Category) Alike(text []byte) (known string, count uint32, edits int) {
	if len(text) >= categoryTextMax {
		return "", 0, 0 // the known ones are cut there
	}
	for i := range k.vals {
		v := &k.vals[i]
		if v.n < alikeLeast {
			break
		}
		d := slip(v.text, text)
		if d < 0 {
			continue
		}
		for j := range k.vals {
			if j != i && k.vals[j].n >= categoryFew && slip(v.text, []byte(k.vals[j].text)) >= 0 {
				return "", 0, 0
			}
		}
		return v.text, v.n, d
	}
	return "", 0, 0
}

// alike is what it adds to the surprise of a new value that it looks like a
// known one: none of the n known values does, so about one in n may.
func (k *Category) alike(p *drain.Param) float64 {
	if p.Kind != drain.Word && p.Kind != drain.ID && p.Kind != drain.Host && p.Kind != drain.Quoted {
		return 0
	}
	if known, _, _ := k.Alike(p.Value); known == "" {
		return 0
	}
	return min(alikeMost, sketch.Ln(float64(len(k.vals))))
}

// slip returns by how many letters text differs from a known value, -1 where
// that is more than a slip.
func slip(known string, text []byte) int {
	if len(known) >= categoryTextMax {
		return -1 // it is cut
	}
	var a, b [categoryTextMax]rune
	x, y := runes(a[:0], []byte(known)), runes(b[:0], text)
	if len(x) < alikeLetters {
		return -1
	}
	limit := 1
	if len(x) >= alikeLong {
		limit = 2
	}
	if sameLook(x, y) {
		return 0
	}
	if d := distance(x, y, limit); d <= limit {
		return d
	}
	return -1
}

func runes(dst []rune, s []byte) []rune {
	for len(s) > 0 {
		r, n := utf8.DecodeRune(s)
		dst, s = append(dst, r), s[n:]
	}
	return dst
}

// distance is Levenshtein's of a and b, limit+1 where it is more than limit.
// Digits are not letters: values that differ in them are numbered, and adding,
// leaving out or exchanging one for another costs more than any limit. Only the
// band of the table within limit of its diagonal is computed (Ukkonen,
// Information and Control 1985).
func distance(a, b []rune, limit int) int {
	const far = categoryTextMax + 1
	if len(a)-len(b) > limit || len(b)-len(a) > limit {
		return limit + 1
	}
	var row [categoryTextMax + 2]int
	for j := range b[:min(len(b), limit+1)] { // what is beyond is outside of the band of the first row
		row[j+1] = min(far, row[j]+editCost(b[j], 0))
	}
	for i := range a {
		from, to := max(0, i-limit), min(len(b), i+1+limit)
		diagonal := row[from]
		switch {
		case from == 0:
			row[0] = min(far, row[0]+editCost(a[i], 0))
		default:
			row[from] = far
		}
		if to == i+1+limit {
			row[to] = far // outside of the band of the row above
		}
		least := row[from]
		for j := from; j < to; j++ {
			best := min(row[j+1]+editCost(a[i], 0), row[j]+editCost(b[j], 0), diagonal+editCost(a[i], b[j]), far)
			diagonal, row[j+1] = row[j+1], best
			least = min(least, best)
		}
		if least > limit {
			return limit + 1
		}
	}
	return min(row[len(b)], limit+1)
}

// editCost is the cost of exchanging two letters, or of adding one where the
// other is 0.
func editCost(x, y rune) int {
	switch {
	case x == y:
		return 0
	case unicode.IsDigit(x) && (y == 0 || unicode.IsDigit(y)):
		return categoryTextMax
	}
	return 1
}

// sameLook tells whether a and b are letter by letter of the same look.
func sameLook(a, b []rune) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] && look(a[i]) != look(b[i]) {
			return false
		}
	}
	return true
}

// look is the ASCII letter that others are mistaken for: digits, and letters of
// other scripts that are drawn the same in most fonts (of the prototypes in
// Unicode's confusables.txt, UTS 39, those of single lower case letters).
func look(r rune) rune {
	switch {
	case r < utf8.RuneSelf:
		switch r {
		case '0', 'O':
			return 'o'
		case '1', 'I', '|':
			return 'l'
		}
		return r
	case r >= 0xFF21 && r <= 0xFF3A || r >= 0xFF41 && r <= 0xFF5A: // full width
		return look(r - 0xFEE0)
	}
	switch r {
	case 'а', 'α', 'ɑ':
		return 'a'
	case 'с', 'ϲ':
		return 'c'
	case 'ԁ':
		return 'd'
	case 'е', 'ҽ', 'ё':
		return 'e'
	case 'ɡ':
		return 'g'
	case 'һ':
		return 'h'
	case 'і', 'ι', 'ı', 'ɩ':
		return 'i'
	case 'ј':
		return 'j'
	case 'к', 'κ':
		return 'k'
	case 'ӏ', 'І', 'Ӏ', 'Ι', 'ǀ':
		return 'l'
	case 'п', 'ո':
		return 'n'
	case 'о', 'О', 'ο', 'Ο', 'օ', 'σ':
		return 'o'
	case 'р', 'ρ':
		return 'p'
	case 'ѕ':
		return 's'
	case 'т', 'τ':
		return 't'
	case 'υ', 'ս', 'ʋ':
		return 'u'
	case 'ν', 'ѵ':
		return 'v'
	case 'ԝ', 'ѡ':
		return 'w'
	case 'х', 'χ':
		return 'x'
	case 'у', 'γ', 'ү':
		return 'y'
	}
	return r
}
