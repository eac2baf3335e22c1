package drain

import (
	"bytes"
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

func hashOf(b []byte) uint64 { return xxhash.Sum64(b) }

// form is a skeleton taken apart for comparing: its tokens, and for each what
// stays of it when the value inside is taken for variable.
type form struct {
	text   []byte
	parts  []part
	sum    uint64 // of all tokens; changing one token changes it by a subtraction and an addition
	words  int    // tokens that are constant words
	shapes []byte // what parts' shapes are slices of
}

type part struct {
	text  []byte
	shape []byte // nil where nothing is left to vary
	token uint64
	gap   uint64
	word  bool
	// weight is how strongly this token, varied, speaks for a variable.
	weight int
}

// Weights of the values that make a position variable together with others: 3
// values that look like data, 5 plain words. A fixed K of 3 for words merges
// "started", "stopped" and "failed", and merging is the costlier error.
const (
	weightEnough = 60
	weightData   = 20
	weightWord   = 12
	weightKeyed  = 19 // a word behind key=: with one value it is enough, of words alone it takes four
	weightMasked = 41
)

// set takes a skeleton apart. The form keeps slices of it.
func (f *form) set(skeleton []byte) {
	f.text, f.parts, f.shapes = skeleton, f.parts[:0], f.shapes[:0]
	f.sum, f.words = 0, 0
	if cap(f.shapes) < 2*len(skeleton)+tokensMax+1 {
		f.shapes = make([]byte, 0, 2*len(skeleton)+tokensMax+1) // grows no more, so shapes may be slices of it
	}
	for start := 0; start <= len(skeleton); {
		end := bytes.IndexByte(skeleton[start:], ' ')
		if end < 0 {
			end = len(skeleton)
		} else {
			end += start
		}
		f.add(skeleton[start:end])
		start = end + 1
	}
}

func (f *form) add(text []byte) {
	i := len(f.parts)
	p := part{text: text, token: mix(hashOf(text), i)}
	pre, suf := shapeOf(text)
	core := text[pre : len(text)-suf]
	switch {
	case len(core) == 0:
	case len(core) == 1 && core[0] == mark:
		p.shape, p.gap, p.weight = text, p.token, weightMasked
	default:
		start := len(f.shapes)
		f.shapes = append(append(append(f.shapes, text[:pre]...), mark), text[len(text)-suf:]...)
		p.shape = f.shapes[start:len(f.shapes):len(f.shapes)]
		p.gap = mix(hashOf(p.shape), i)
		p.weight = weightOf(core, isKeyed(text, pre))
	}
	p.word = isConstant(core)
	if p.word {
		f.words++
	}
	if isKeyed(text, pre) {
		f.words++ // its key is one, whatever the value
	}
	f.sum += p.token
	f.parts = append(f.parts, p)
}

// mix makes a token's hash one of its position.
func mix(h uint64, i int) uint64 {
	h ^= uint64(i+1) * 0x9E3779B97F4A7C15
	hi, lo := bits.Mul64(h, 0xD6E8FEB86659FD93)
	return hi ^ lo
}

// sufMax bounds the punctuation that is told from a value; more is noise, and
// its brackets would be matched in quadratic time.
const sufMax = 8

// shapeOf finds what of a token stays when its value varies: brackets, quotes
// and key= in front, punctuation behind.
func shapeOf(text []byte) (pre, suf int) {
	stop := bytes.IndexByte(text, mark)
	if stop < 0 {
		stop = len(text)
	}
	for i := 0; i < stop && i+1 < len(text); i++ {
		switch text[i] {
		case '=':
			pre = i + 1
		case ':':
			if isKey(text[pre:i]) {
				pre = i + 1
			}
		default:
			if isOpening(text[i]) && (pre == i || stop == len(text)) {
				pre = i + 1
			}
		}
	}
	if pre == len(text) {
		return pre, 0
	}
	// A bracket that the core opens is closed by it, too: LOCAL(0), is one value and a comma.
	for suf < min(len(text)-pre, sufMax) && isClosing(text[len(text)-1-suf]) {
		suf++
	}
	for suf > 0 && opens(text[pre:len(text)-suf]) {
		suf--
	}
	if pre > 1 && text[pre-1] == ':' && len(text)-pre-suf == 1 && text[pre] == mark {
		// name:5, where the value is masked: what may vary still is the name (libssl:amd64).
		for pre = 0; pre < len(text) && isOpening(text[pre]); pre++ {
		}
	}
	return pre, suf
}

func opens(core []byte) bool {
	depth := 0
	for _, c := range core {
		switch c {
		case '(', '[', '{', '<':
			depth++
		case ')', ']', '}', '>':
			depth--
		}
	}
	return depth > 0
}

// isKey tells the name in name:value from the a in a-1:b, which is part of the value.
func isKey(w []byte) bool {
	for _, c := range w {
		if !isAlpha(c) && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

func isOpening(c byte) bool {
	switch c {
	case '(', '[', '{', '<', '"', '\'', '`':
		return true
	}
	return false
}

func isClosing(c byte) bool {
	switch c {
	case ',', '.', ';', ':', ')', ']', '}', '>', '"', '\'', '`', '!', '?':
		return true
	}
	return false
}

// isKeyed says that what stands in front of a token's value is its name.
func isKeyed(text []byte, pre int) bool { return pre > 1 && text[pre-1] == '=' }

func weightOf(core []byte, keyed bool) int {
	for _, c := range core {
		if !isAlpha(c) && c < 0x80 && c != '-' {
			return weightData
		}
	}
	if keyed {
		return weightKeyed
	}
	return weightWord
}

// isConstant says that the token is a word which makes a template recognisable.
func isConstant(core []byte) bool {
	letters := 0
	for _, c := range core {
		if c == mark {
			return false
		}
		if isAlpha(c) || c >= 0x80 {
			letters++
		}
	}
	return letters >= 2
}

// weigh is the weight of a token's core at position i. A name follows "for
// user" and "on host"; the first word of a message seldom varies.
func (f *form) weigh(i, weight int) int {
	switch {
	case weight == weightMasked:
		return weight
	case i == 0:
		return weight / 2
	case i >= 2 && isPreposition(f.parts[i-2].text) && isNoun(f.parts[i-1].text):
		return weightData
	}
	return weight
}

func isPreposition(w []byte) bool {
	switch string(w) {
	case "for", "of", "by", "on", "in", "from", "to", "with", "at", "as", "For", "On", "In", "From", "via", "into":
		return true
	}
	return false
}

// isNoun knows what programs name things by: what follows is the name. State,
// status and type are none: their few values tell events apart.
func isNoun(w []byte) bool {
	switch string(w) {
	case "user", "group", "account", "role", "tenant", "customer", "host", "node", "server", "client", "peer", "device", "interface", "disk",
		"volume", "partition", "service", "daemon", "process", "thread", "job", "task", "worker", "queue", "topic", "channel", "table", "database",
		"schema", "column", "index", "file", "directory", "module", "driver", "package", "class", "method", "function", "plugin", "container", "pod",
		"image", "namespace", "cluster", "instance", "domain", "zone", "region", "session", "bucket", "key", "unit":
		return true
	}
	return false
}

// key names the neighbourhood of the forms that differ from f at position i only.
func (f *form) key(i int) uint64 {
	return (f.sum - f.parts[i].token + f.parts[i].gap) ^ uint64(i+1)*0xA24BAED4963EE407
}

// mayVary says that enough of the form stays recognisable without position i:
// a fifth of its tokens, and one at least, are constant words.
func (f *form) mayVary(i int) bool {
	words := f.words
	if f.parts[i].word {
		words--
	}
	return words >= 1 && words*5 >= len(f.parts)
}

// appendVaried appends the form with the given positions varied.
func (f *form) appendVaried(dst []byte, positions []uint16) []byte {
	for i := range f.parts {
		if i > 0 {
			dst = append(dst, ' ')
		}
		if len(positions) > 0 && int(positions[0]) == i {
			positions = positions[1:]
			dst = append(dst, f.parts[i].shape...)
			continue
		}
		dst = append(dst, f.parts[i].text...)
	}
	return dst
}
