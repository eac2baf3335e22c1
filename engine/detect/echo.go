package detect

import (
	"github.com/logscope/logscope/engine/drain"
	"github.com/logscope/logscope/engine/sketch"
)

// echoesMax is how many such values a model remembers, 8 bytes each: a
// deployment brings a few, each in many messages.
const echoesMax = 32

// echoes are the values that came with a change of the log: new in a vocabulary
// that looked closed. The same value in another slot of the same name, however
// much later its message comes, is the same news.
type echoes struct {
	seen [echoesMax]uint64
	at   uint8
}

// echo is what stands for a value; 0 where it has no name and is a number, of
// which the same one may come anywhere.
func echo(p *drain.Param, hash uint64) uint64 {
	if len(p.Key) == 0 && p.Kind == drain.Number {
		return 0
	}
	return hash*0x9E3779B97F4A7C15 ^ keyOf(p) | 1
}

func (e *echoes) has(p *drain.Param, hash uint64) bool {
	v := echo(p, hash)
	if v == 0 {
		return false
	}
	for _, known := range e.seen {
		if known == v {
			return true
		}
	}
	return false
}

// add notes a new value.
func (e *echoes) add(p *drain.Param, hash uint64) {
	if v := echo(p, hash); v != 0 && !e.has(p, hash) {
		e.seen[e.at%echoesMax] = v
		e.at = (e.at + 1) % echoesMax
	}
}

// sync passes the state through c.
func (e *echoes) sync(c *sketch.Codec) {
	for i := range e.seen {
		c.U64(&e.seen[i])
	}
	c.U8(&e.at)
}
