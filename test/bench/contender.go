package main

import (
	"github.com/grafana/loki/v3/pkg/pattern/drain"

	"github.com/logscope/logscope/engine"
	own "github.com/logscope/logscope/engine/drain"
)

const (
	// blockLines is what the pipeline scores at a time: a chunk of 2 MB.
	blockLines = 16384
	// lineTime is the time between two records.
	lineTime = 1e6
	// firstTime is that of the first record, 2024-01-01 in Unix nanoseconds.
	firstTime = 1704067200e9
)

// contender takes lines of a set, in order.
type contender interface {
	// take is given lines from up to to; the lines before it were taken.
	take(s *set, from, to int)
	templates() int
	// without is how many lines were given no template.
	without() int
}

// scorer is the engine as the pipeline uses it: records with their time and
// stream in blocks, verdicts and events out.
type scorer struct {
	engine   *engine.Engine
	recs     []engine.Record
	verdicts []engine.Verdict
	events   []engine.Event
	missed   int
}

func newScorer() contender {
	e, err := engine.New(engine.DefaultConfig())
	if err != nil {
		panic(err)
	}
	return &scorer{engine: e}
}

func (c *scorer) take(s *set, from, to int) {
	c.recs = c.recs[:0]
	for i := from; i < to; i++ {
		c.recs = append(c.recs, engine.Record{Stream: s.streams[i], Time: firstTime + int64(i)*lineTime, Line: s.lines[i]})
	}
	c.verdicts = c.engine.Score(c.verdicts[:0], c.recs)
	c.events = c.engine.Events(c.events[:0])
	for i := range c.verdicts {
		if c.verdicts[i].Template == "" {
			c.missed++
		}
	}
}

func (c *scorer) templates() int { return c.engine.Stats().Templates }

func (c *scorer) without() int { return c.missed }

// parser is the engine's first step alone, templates and parameters, which is
// all that Loki's drain does.
type parser struct {
	miners map[string]*own.Miner
	held   map[string][][]byte
	out    own.Line
	missed int
}

func newParser() contender {
	return &parser{miners: map[string]*own.Miner{}, held: map[string][][]byte{}}
}

func (c *parser) take(s *set, from, to int) {
	for i := from; i < to; i++ {
		c.held[s.streams[i]] = append(c.held[s.streams[i]], s.lines[i])
	}
	for stream, lines := range c.held {
		c.miner(stream).Begin(lines, false, nil)
	}
	for i := from; i < to; i++ {
		if c.miners[s.streams[i]].Parse(&c.out, s.lines[i], false); c.out.Cluster == nil {
			c.missed++
		}
	}
	for stream, lines := range c.held {
		c.miners[stream].End()
		c.held[stream] = lines[:0]
	}
}

func (c *parser) miner(stream string) *own.Miner {
	m := c.miners[stream]
	if m == nil {
		cfg := engine.DefaultConfig()
		var err error
		m, err = own.New(own.Config{ClustersMax: cfg.TemplatesMax, BytesMax: cfg.MemoryMax / 2})
		if err != nil {
			panic(err)
		}
		c.miners[stream] = m
	}
	return m
}

func (c *parser) templates() (n int) {
	for _, m := range c.miners {
		n += m.Len()
	}
	return n
}

func (c *parser) without() int { return c.missed }

// lokiDrain is Loki's pattern miner with Loki's own defaults, one a stream, as
// its pattern ingester keeps them; the ingester's split by level is left out,
// which would cost it a look for the level.
type lokiDrain struct {
	drains  map[string]*drain.Drain
	skipped int
}

func newLokiDrain() contender { return &lokiDrain{drains: map[string]*drain.Drain{}} }

func (c *lokiDrain) take(s *set, from, to int) {
	for i := from; i < to; i++ {
		d := c.drains[s.streams[i]]
		if d == nil {
			d = drain.New("", drain.DefaultConfig(), jsonFields{}, drain.DetectLogFormat(s.text(i)), nil)
			c.drains[s.streams[i]] = d
		}
		if d.Train(s.text(i), firstTime+int64(i)*lineTime) == nil {
			c.skipped++
		}
	}
}

func (c *lokiDrain) templates() (n int) {
	for _, d := range c.drains {
		n += len(d.Clusters())
	}
	return n
}

func (c *lokiDrain) without() int { return c.skipped }

// jsonFields are the fields of JSON lines that Loki tokenises by default.
type jsonFields struct{}

func (jsonFields) PatternIngesterTokenizableJSONFields(string) []string {
	return []string{"log", "message", "msg", "msg_", "_msg", "content"}
}
