// Package genlog makes the logs of a shop that does not exist: five services
// that write as their like do, and faults in them whose place is known. The
// same Config gives the same records, byte for byte.
package genlog

import (
	"container/heap"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Config says what to make.
type Config struct {
	// Rate is how many lines a second there are on average, all services and faults together, more than 0.
	Rate float64
	// AnomalyRate is the share of lines that belong to faults, below 1.
	AnomalyRate float64
	// Kinds are the kinds of faults, names of Kinds. Empty: all.
	Kinds []string
	// Calm is how many records come before the first fault.
	Calm int
	Seed uint64
	// Start is the time of the first request.
	Start time.Time
}

// Limits of a Config. Above a million lines a second times would no longer differ in microseconds, which is
// what the services write at best.
const (
	rateMax        = 1e6
	anomalyRateMax = 0.5
)

// Record is what one service wrote at once: a line, or several where it writes a stack trace.
type Record struct {
	Time    time.Time
	Service string
	Text    string // without a line feed at the end; empty for a silence
	// Fault numbers the fault that the record belongs to, from 1; 0: none.
	Fault int
	// Kind is the kind of that fault.
	Kind string
	// Until ends a silence: from Time to Until the service writes nothing.
	Until time.Time
}

// Generator makes records without end.
type Generator struct {
	cfg     Config
	rand    *rand.Rand
	kinds   []*kind
	next    time.Time // of the next request
	gap     float64   // mean seconds between two requests
	pending queue
	pushed  int
	emitted int
	shop    shop

	// Faults are paid for with credit, which every record without one earns.
	credit, price float64
	fault         int
	chosen        *kind
	kind          string // of the fault that is being made
	silent        string // the service that writes nothing
	silentUntil   time.Time
}

// New returns a generator.
func New(cfg Config) (*Generator, error) {
	if !(cfg.Rate > 0) || cfg.Rate > rateMax {
		return nil, fmt.Errorf("got a rate of %v lines a second; want more than 0, at most %d", cfg.Rate, int(rateMax))
	}
	if !(cfg.AnomalyRate >= 0) || cfg.AnomalyRate > anomalyRateMax {
		return nil, fmt.Errorf("got an anomaly rate of %v; want 0 to %v", cfg.AnomalyRate, anomalyRateMax)
	}
	g := &Generator{cfg: cfg, rand: rand.New(rand.NewPCG(cfg.Seed, 0x6c6f6773636f7065)), next: cfg.Start.UTC()}
	all := faultKinds()
	for _, name := range cfg.Kinds {
		i := slices.IndexFunc(all, func(k kind) bool { return k.name == name })
		if i < 0 {
			return nil, fmt.Errorf("got the kind of fault %q; want one of %s", name, strings.Join(Kinds(), ", "))
		}
		g.kinds = append(g.kinds, &all[i])
	}
	if len(cfg.Kinds) == 0 {
		for i := range all {
			g.kinds = append(g.kinds, &all[i])
		}
	}
	if cfg.Calm < 0 {
		return nil, errors.New("got a negative number of records before the first fault; want 0 or more")
	}
	g.gap = linesPerRequest / (cfg.Rate * (1 - cfg.AnomalyRate))
	g.shop = newShop(g.rand)
	g.choose()
	return g, nil
}

// Services returns the names of the services, sorted.
func Services() []string { return []string{api, billing, db, web, worker} }

// Next returns the next record. Times never go back.
func (g *Generator) Next() Record {
	for {
		for len(g.pending) == 0 || g.pending[0].Time.After(g.next) {
			g.request()
		}
		r := heap.Pop(&g.pending).(item).Record
		if g.muted(&r) {
			continue
		}
		g.emitted++
		if r.Fault == 0 {
			g.earn(&r)
		}
		return r
	}
}

// muted says that a record is one that a silent service would have written.
func (g *Generator) muted(r *Record) bool {
	if r.Service != g.silent || r.Text == "" {
		return false
	}
	if r.Time.Before(g.silentUntil) {
		return true
	}
	g.silent = ""
	return false
}

// earn pays credit for a record without a fault, and buys a fault once there is enough.
func (g *Generator) earn(r *Record) {
	if g.cfg.AnomalyRate == 0 || g.emitted < g.cfg.Calm {
		return
	}
	g.credit += lines(r) * g.cfg.AnomalyRate / (1 - g.cfg.AnomalyRate)
	if g.credit < g.price {
		return
	}
	g.fault++
	g.kind = g.chosen.name
	g.chosen.make(g, r.Time.Add(g.millis(1, 50)))
	g.kind = ""
	g.choose()
}

// choose picks the next fault and its price. The price varies around zero, not
// around what the fault costs: its lines are paid for as they are made, so that
// their share comes out right however many there are.
func (g *Generator) choose() {
	g.chosen = g.kinds[g.rand.IntN(len(g.kinds))]
	g.price = 10 * g.rand.Float64()
}

// write has a service write a record at a time, which must not lie before the present.
func (g *Generator) write(service string, at time.Time, text string) {
	r := Record{Time: at.Truncate(time.Microsecond), Service: service, Text: text}
	if g.kind != "" {
		r.Fault, r.Kind = g.fault, g.kind
		g.credit -= lines(&r)
	}
	g.push(r)
}

func (g *Generator) push(r Record) {
	g.pushed++
	heap.Push(&g.pending, item{r, g.pushed})
}

func lines(r *Record) float64 { return float64(1 + strings.Count(r.Text, "\n")) }

// item is a record in the queue. Of records of one time, the one that was made first is written first.
type item struct {
	Record
	order int
}

// queue holds records by time, for container/heap.
type queue []item

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	if c := q[i].Time.Compare(q[j].Time); c != 0 {
		return c < 0
	}
	return q[i].order < q[j].order
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(item)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}
