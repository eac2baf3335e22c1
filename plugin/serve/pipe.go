package serve

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"sync"

	"github.com/logscope/logscope/engine"
	"github.com/logscope/logscope/plugin/serve/jsonscan"
)

// field is the member that a record gets; one that is there already is replaced.
const field = "logscope"

// Pipe scores NDJSON on its way from one program to another. Records come out
// in the order in which they went in, with one member more; what is no JSON
// object comes out as it went in.
type Pipe struct {
	cfg      engine.Config
	modelKey []string
	lineMax  int64
	log      func(text string)

	mu     sync.Mutex // one block at a time
	engine *engine.Engine
	out    io.Writer
	stats  PipeStats
	copies uint64 // inputs so far
	within uint64 // the input in whose line the output stands; 0: it stands at the start of one

	lines    []pipeLine
	recs     []engine.Record
	verdicts []engine.Verdict
	buf      []byte
	models   map[string]string
	key      []byte

	toldMu sync.Mutex // not mu, which is held for as long as the output does not take a block
	told   PipeStats  // stats as of the last block written
}

// PipeStats counts what went through.
type PipeStats struct {
	Records, Anomalies uint64
	// Invalid lines were no JSON objects, Long ones longer than the limit; both went through unscored,
	// as did the Unscored ones, after a fault.
	Invalid, Long, Unscored uint64
}

// pipeLine is one line of the block at hand.
type pipeLine struct {
	text   []byte // with its line feed, where it has one
	object []byte // the record; nil: it is none
	record int    // its number among the records
}

// modelsMax bounds the names of models that are remembered, some 100 bytes each.
const modelsMax = 4096

// NewPipe returns a Pipe that writes to out. modelKey is where a record's
// model stands; nil: Kubernetes namespace and container, else one for all. log
// is told of faults.
func NewPipe(cfg engine.Config, modelKey []string, lineMax int64, out io.Writer, log func(string)) (*Pipe, error) {
	e, err := engine.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("cannot start the engine: %w", err)
	}
	return &Pipe{cfg: cfg, modelKey: modelKey, lineMax: lineMax, log: log, engine: e, out: out, models: map[string]string{}}, nil
}

// Copy takes the lines of r through until its end. Several may run at once:
// their blocks of lines take turns, and none writes into a line that another
// has left without its end. An error of the output ends it.
func (p *Pipe) Copy(r io.Reader) error {
	p.mu.Lock()
	p.copies++
	input := p.copies
	p.mu.Unlock()
	return readLines(r, p.lineMax, func(block []byte, long bool) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		if long {
			if block[len(block)-1] == '\n' {
				p.stats.Long++
			}
			p.buf = append(p.buf[:0], block...)
		} else {
			p.block(block)
		}
		return p.write(input)
	})
}

// write writes the block of an input.
func (p *Pipe) write(input uint64) error {
	if p.within != 0 && p.within != input {
		p.buf = slices.Insert(p.buf, 0, '\n')
	}
	p.within = input
	if p.buf[len(p.buf)-1] == '\n' {
		p.within = 0
	}
	if _, err := p.out.Write(p.buf); err != nil {
		return err
	}
	p.toldMu.Lock()
	defer p.toldMu.Unlock()
	p.told = p.stats
	return nil
}

// Stats returns the counts of what has been written so far. It does not wait for the output.
func (p *Pipe) Stats() PipeStats {
	p.toldMu.Lock()
	defer p.toldMu.Unlock()
	return p.told
}

// block scores a block of whole lines and puts what is to be written into p.buf.
func (p *Pipe) block(block []byte) {
	p.lines, p.recs, p.buf = p.lines[:0], p.recs[:0], p.buf[:0]
	for len(block) > 0 {
		end := bytes.IndexByte(block, '\n') + 1
		if end == 0 {
			end = len(block)
		}
		p.line(block[:end:end])
		block = block[end:]
	}
	scored := p.score()
	for i := range p.lines {
		l := &p.lines[i]
		if l.object == nil || !scored {
			p.buf = append(p.buf, l.text...)
			continue
		}
		p.buf = appendRecord(p.buf, l.object, &p.verdicts[l.record])
		if l.text[len(l.text)-1] == '\n' {
			p.buf = append(p.buf, '\n')
		}
	}
}

// line takes one line in.
func (p *Pipe) line(text []byte) {
	l := pipeLine{text: text, record: len(p.recs)}
	value, err := jsonscan.Only(text)
	switch {
	case err == nil && jsonscan.KindOf(value) == jsonscan.Object:
		l.object = value
		p.recs = append(p.recs, engine.Record{Stream: p.model(value), Line: value})
	case len(bytes.TrimSpace(text)) > 0:
		p.stats.Invalid++
	}
	p.lines = append(p.lines, l)
}

// score scores the records of the block. After a fault these go through as
// they came, and learning starts afresh.
func (p *Pipe) score() (ok bool) {
	defer func() {
		if r := recover(); r != nil {
			ok = false
			p.stats.Unscored += uint64(len(p.recs))
			p.engine, _ = engine.New(p.cfg) // the configuration was valid before
			p.log(fmt.Sprintf("a fault in logscope, please report it; %d records go through unscored, learning starts afresh: %v", len(p.recs), r))
		}
	}()
	p.verdicts = p.engine.Score(p.verdicts[:0], p.recs)
	p.engine.Events(nil) // findings without a line have no place here
	p.stats.Records += uint64(len(p.recs))
	for i := range p.verdicts {
		if p.verdicts[i].Anomaly {
			p.stats.Anomalies++
		}
	}
	return true
}

// model names the model of a record.
func (p *Pipe) model(object []byte) string {
	p.key = p.key[:0]
	if p.modelKey != nil {
		p.key = appendValue(p.key, lookup(object, p.modelKey...))
	} else if k8s := lookup(object, "kubernetes"); jsonscan.KindOf(k8s) == jsonscan.Object {
		space := lookup(k8s, "namespace_name") // Fluent Bit's name, and Vector's
		if space == nil {
			space = lookup(k8s, "pod_namespace")
		}
		p.key = append(appendValue(p.key, space), '/')
		p.key = appendValue(p.key, lookup(k8s, "container_name"))
	}
	if name, ok := p.models[string(p.key)]; ok {
		return name
	}
	if len(p.models) >= modelsMax {
		clear(p.models)
	}
	name := string(p.key)
	if name == "" {
		name = "-"
	}
	p.models[string(p.key)] = name
	return name
}

// lookup returns the value at a path of an object; nil: there is none.
func lookup(value []byte, path ...string) []byte {
	for _, key := range path {
		if jsonscan.KindOf(value) != jsonscan.Object {
			return nil
		}
		var found []byte
		for m := jsonscan.PairsOf(value); m.Next(); {
			if jsonscan.Is(m.Key, key) {
				found = m.Val
				break
			}
		}
		value = found
	}
	return value
}

// appendValue appends a value as text: a string without its quotes.
func appendValue(dst, value []byte) []byte {
	if jsonscan.KindOf(value) == jsonscan.String {
		return jsonscan.AppendText(dst, value[1:len(value)-1])
	}
	return append(dst, value...)
}

// appendRecord appends the record with its verdict as last member.
func appendRecord(dst, object []byte, v *engine.Verdict) []byte {
	start := len(dst)
	dst = appendWithout(dst, object, field)
	dst = bytes.TrimRight(dst[:len(dst)-1], " \t\r\n")
	if len(dst) > start+1 {
		dst = append(dst, ',')
	}
	dst = append(dst, `"`+field+`":{"score":`...)
	score := v.Score
	if math.IsNaN(score) || score < 0 {
		score = 0
	}
	dst = strconv.AppendFloat(dst, min(score, 1), 'f', 4, 64)
	dst = append(dst, `,"anomaly":`...)
	dst = strconv.AppendBool(dst, v.Anomaly)
	dst = append(append(append(dst, `,"reason":"`...), v.Reason.String()...), `","explanation":`...)
	if v.Explanation == "" {
		dst = append(dst, `""`...)
	} else {
		dst = append(dst, jsonText(v.Explanation)...)
	}
	dst = append(dst, `,"template_id":"`...)
	dst = appendHex(dst, v.TemplateID)
	return append(dst, `"}}`...)
}

// appendWithout appends object without the members named name.
func appendWithout(dst, object []byte, name string) []byte {
	from := 0
	for m := jsonscan.PairsOf(object); m.Next(); {
		if !jsonscan.Is(m.Key, name) {
			continue
		}
		head := bytes.TrimRight(object[from:m.From], " \t\r\n")
		from = m.To
		if bytes.HasSuffix(head, []byte{','}) {
			head = head[:len(head)-1]
		} else if next := jsonscan.Space(object, from); next < len(object) && object[next] == ',' {
			from = next + 1 // it was the first one
		}
		dst = append(dst, head...)
	}
	return append(dst, object[from:]...)
}

// appendHex appends a template's id as everywhere: 16 hexadecimal digits.
func appendHex(dst []byte, id uint64) []byte {
	const digits = "0123456789abcdef"
	for shift := 60; shift >= 0; shift -= 4 {
		dst = append(dst, digits[id>>shift&15])
	}
	return dst
}
