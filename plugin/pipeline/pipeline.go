// Package pipeline takes Fluent Bit chunks to Loki: it decodes, scores,
// annotates, batches and delivers them. It is the one place that knows the
// engine and the sender.
package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/logscope/logscope/engine"
	"github.com/logscope/logscope/loki"
)

// Code is the answer to one flush, in Fluent Bit's own numbers.
type Code int

// Answers to a flush.
const (
	Error Code = 0 // not deliverable whole: Fluent Bit keeps it aside (storage.keep.rejected) or drops it
	OK    Code = 1 // Loki has every entry, or refused some for good (counted)
	Retry Code = 2 // some entries are not with Loki yet: the same chunk must come again
)

// Pipeline is one output instance. Flush may be called from several
// goroutines at once.
type Pipeline struct {
	cfg     Config
	log     *slog.Logger
	client  *loki.Client
	batcher *loki.Batcher
	shaper  *shaper
	warns   limiter

	ctx     context.Context
	cancel  context.CancelFunc
	closing sync.Once
	closed  error // what Close came to

	mu     sync.Mutex // guards what follows
	engine *engine.Engine
	memory *memory
	counts Counts
	free   []*work
	// labelsOf is the label set that a model's records had last: its events carry it.
	labelsOf map[string]*labelSet

	state *stateFile // nil: none is kept
	spool *spool     // nil: no directory to keep one in
	// reloadUntil is when an announced hot reload is over, in Unix nanoseconds.
	reloadUntil atomic.Int64
	background  sync.WaitGroup

	// beforeScore is called before each block is scored; tests make it panic.
	beforeScore func()
}

// New makes a Pipeline. It opens no connection: an unreachable Loki is no
// reason not to start. A state file that cannot be read or written is told
// once and done without.
func New(cfg Config, log *slog.Logger) (*Pipeline, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	client, err := loki.NewClient(cfg.Loki)
	if err != nil {
		return nil, err
	}
	p := &Pipeline{
		cfg:     cfg,
		log:     log,
		client:  client,
		batcher: loki.NewBatcher(cfg.Loki),
		shaper:  newShaper(&cfg),
		warns:   limiter{every: warnEvery},
		memory:  newMemory(cfg.RetryBufferBytes),

		labelsOf: map[string]*labelSet{},
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	if cfg.Score {
		if p.engine, err = engine.New(cfg.Engine); err != nil {
			return nil, fmt.Errorf("cannot start the engine: %w", err)
		}
	}
	if cfg.StateFile != "" {
		p.openState()
	}
	return p, nil
}

// Flush takes one chunk to Loki and says what became of it. It returns within
// cfg.FlushTimeout, whatever Loki does. It keeps no reference to data.
func (p *Pipeline) Flush(tag string, data []byte) Code {
	ctx, cancel := context.WithTimeout(p.ctx, p.flushTimeout())
	defer cancel()
	started := time.Now()
	if p.spool != nil && !p.spool.wait(ctx) && !p.reloading() {
		return Retry // what came before it is not with Loki yet
	}

	key := chunkKey(tag, data)
	pending, seen := p.recall(key)
	if pending == nil {
		pending = p.prepare(tag, data, seen)
	} else {
		p.count(func(c *Counts) { c.Redelivered++ })
	}

	var rep loki.Report
	pending.pushes, rep = p.client.Deliver(ctx, pending.pushes)
	p.report(&rep, len(pending.pushes))
	if len(pending.pushes) > 0 && p.reloading() && p.toSpool(key, pending) {
		pending.pushes = nil
	}
	code := p.settle(key, pending)
	p.count(func(c *Counts) { c.FlushSeconds += time.Since(started).Seconds() })
	return code
}

// Close writes the state file and frees what the instance holds; once. Flushes
// under way end early and answer Retry.
func (p *Pipeline) Close() error {
	p.closing.Do(func() {
		p.cancel()
		p.background.Wait()
		p.client.Close()
		if p.state != nil {
			p.closed = p.closeState()
		}
	})
	return p.closed
}

// recall looks a chunk up among those that came before and were not delivered.
func (p *Pipeline) recall(key uint64) (pending *pending, seen bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.memory.take(key)
}

// settle remembers what Loki has not answered for, and forgets the chunk when nothing is left.
func (p *Pipeline) settle(key uint64, pd *pending) Code {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(pd.pushes) > 0 {
		p.counts.PushesEvicted += uint64(p.memory.put(key, pd))
		p.counts.Retries++
		return Retry
	}
	p.memory.forget(key)
	if pd.damaged {
		p.counts.ChunksDamaged++
		return Error
	}
	return OK
}

// report counts what one Deliver call came to, and says what a person should know.
func (p *Pipeline) report(rep *loki.Report, left int) {
	refused := 0
	for _, n := range rep.Refused {
		refused += n
	}
	p.count(func(c *Counts) {
		c.Accepted += uint64(rep.Accepted)
		c.Attempts += uint64(rep.Attempts)
		c.BytesSent += uint64(rep.Bytes)
		for cause, n := range rep.Refused {
			c.refuse(string(cause), n)
		}
	})
	if refused > 0 && p.warns.allow("refused", time.Now()) {
		p.log.Warn(fmt.Sprintf("Loki refused %d entries for good: %v; for example: %s", refused, rep.Refused, rep.Sample))
	}
	if rep.Stripped > 0 && p.warns.allow("stripped", time.Now()) {
		p.log.Warn("this Loki takes no structured metadata, entries go without: set allow_structured_metadata in its limits_config, or annotate line here")
	}
	if left > 0 && rep.Err != nil && p.warns.allow("deliver", time.Now()) {
		p.log.Error(fmt.Sprintf("cannot deliver, Fluent Bit keeps the chunk and will try again: %v", rep.Err))
	}
}

func (p *Pipeline) count(f func(*Counts)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(&p.counts)
}
