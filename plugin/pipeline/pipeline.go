// Package pipeline takes Fluent Bit chunks to Loki: it decodes, scores,
// annotates, batches and delivers them. It is the one place that knows the
// engine and the sender.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/logscope/logscope/engine"
	"github.com/logscope/logscope/engine/drain"
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

	// scoring guards the engine, panics and labelsOf; it is held while a block is scored. mu guards memory,
	// counts, free, adopted and left, and is held for moments only. Neither is taken while the other is held.
	scoring sync.Mutex
	engine  *engine.Engine
	panics  int // of scoring, in a row
	// labelsOf is the label set that a model's records had last: its events carry it.
	labelsOf map[string]*labelSet
	// meanwhile is what there is to do for the flush whose block is scored.
	meanwhile atomic.Pointer[encoding]

	mu     sync.Mutex
	memory *memory
	counts Counts
	free   []*work

	holdback holdback
	listed   listed
	// wordsOf is the state file whose feedback is taken up: its own, or of shards the first one's.
	wordsOf string
	// second says that another shard tells of the mute file, which all read.
	second bool

	healthMu sync.Mutex
	health   Health

	state *stateFile // nil: none is kept
	spool *spool     // nil: no directory to keep one in
	// adopted are spools that other instances left, left what this one left.
	adopted []adopted
	left    []Left
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
	return newShard(cfg, log, cfg.StateFile, false)
}

// newShard makes a Pipeline with the feedback of the state file wordsOf.
func newShard(cfg Config, log *slog.Logger, wordsOf string, second bool) (*Pipeline, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.Loki.MaxStreams = cfg.LabelSetsMax
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
		counts:  newCounts(),

		labelsOf: map[string]*labelSet{},
		wordsOf:  wordsOf,
		second:   second,
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	if runtime.GOMAXPROCS(0) > 1 {
		p.cfg.Engine.Ahead = drain.NewAhead(p.readAhead, func() bool { return p.meanwhile.Load().tryStep() })
		p.cfg.Engine.Ahead.Stack = debug.Stack
	}
	if cfg.Score {
		if p.engine, err = engine.New(p.cfg.Engine); err != nil {
			return nil, fmt.Errorf("cannot start the engine: %w", err)
		}
	}
	if cfg.StateFile != "" {
		p.openState()
	}
	p.lookAtFiles(time.Now())
	return p, nil
}

// readAhead runs work, which reads lines, on another goroutine, and when it is done what is to be done meanwhile.
func (p *Pipeline) readAhead(work func()) {
	go func() {
		work()
		for p.meanwhile.Load().step() {
		}
	}()
}

// Flush takes one chunk to Loki and says what became of it. It returns within
// cfg.FlushTimeout, whatever Loki does; a chunk that took so long to score that
// little of it is left gets deliverTimeMin more. It keeps no reference to data.
func (p *Pipeline) Flush(tag string, data []byte) Code {
	started := time.Now()
	code := Retry
	p.lookAtFiles(started)
	patience := p.flushTimeout()
	if !p.reloading() { // then what fails goes to the spool, and the next ones behind it at once
		patience = p.holdback.patience(patience, started)
	}
	if patience > 0 {
		code = p.flush(tag, data, started, patience)
	}
	took := time.Since(started).Seconds()
	p.count(func(c *Counts) {
		c.FlushSeconds.Observe(took)
		if code == Retry {
			c.Retries++
		}
	})
	return code
}

// deliverTimeMin is what a delivery gets at least, however long scoring took, up to a quarter of the
// flush's own time: else a chunk whose pushes the budget cannot hold would be scored each time and never sent.
const deliverTimeMin = 500 * time.Millisecond

// deliverUntil is the deadline of a delivery that begins now, in a flush that has patience until deadline.
func deliverUntil(now, deadline time.Time, patience time.Duration) time.Time {
	least := now.Add(min(deliverTimeMin, patience/4))
	if deadline.Before(least) {
		return least
	}
	return deadline
}

// afterSpool waits until Loki has what is in the spool; false when it has not by the deadline.
func (p *Pipeline) afterSpool(deadline time.Time) bool {
	if p.spool == nil || p.spool.isClear() {
		return true
	}
	ctx, cancel := context.WithDeadline(p.ctx, deadline)
	defer cancel()
	return p.spool.wait(ctx)
}

func (p *Pipeline) flush(tag string, data []byte, started time.Time, patience time.Duration) Code {
	deadline := started.Add(patience)
	full := patience == p.cfg.FlushTimeout
	queue := p.reloading() && !p.spool.isClear() // behind what is in the spool already
	if !queue && !p.afterSpool(deadline) {
		p.holdback.note(true, full, time.Since(started), time.Now())
		return Retry // what came before it is not with Loki yet
	}

	key := chunkKey(tag, data)
	pending, before, seen := p.recall(key)
	if seen {
		p.count(func(c *Counts) { c.Redelivered++ })
	}
	if pending == nil {
		pending = p.prepare(tag, data, seen, before)
	}
	if queue && p.toSpool(key, pending) {
		return p.settle(key, pending)
	}
	ctx, cancel := context.WithDeadline(p.ctx, deliverUntil(time.Now(), deadline, patience))
	defer cancel()
	entries := entriesOf(pending.pushes)
	var why error
	pending.pushes, why = p.deliver(ctx, pending.pushes)
	p.holdback.note(isDown(why) && entriesOf(pending.pushes) == entries, full, time.Since(started), time.Now())
	if len(pending.pushes) > 0 && p.reloading() {
		p.toSpool(key, pending)
	}
	return p.settle(key, pending)
}

// deliver sends pushes and returns those that Loki has not answered for, and why.
func (p *Pipeline) deliver(ctx context.Context, pushes []loki.Push) (left []loki.Push, why error) {
	if len(pushes) == 0 {
		return nil, nil
	}
	left, rep := p.client.Deliver(ctx, pushes)
	p.report(&rep, len(left))
	p.audit(entriesOf(pushes), entriesOf(left), &rep)
	return left, rep.Err
}

// audit holds the delivery contract against what happened: each entry is with Loki, refused by it, or left.
func (p *Pipeline) audit(given, left int, rep *loki.Report) {
	lost := given - left - rep.Accepted
	for _, n := range rep.Refused {
		lost -= n
	}
	if lost <= 0 {
		return
	}
	p.count(func(c *Counts) { c.Dropped += uint64(lost) })
	if p.warns.allow("dropped", time.Now()) {
		p.log.Error(fmt.Sprintf(msgDropped, lost))
	}
}

func entriesOf(pushes []loki.Push) (n int) {
	for i := range pushes {
		n += pushes[i].Entries
	}
	return n
}

// Close writes the state file and frees what the instance holds; once. Flushes
// under way end early and answer Retry.
func (p *Pipeline) Close() error {
	p.closing.Do(func() {
		p.cancel()
		p.background.Wait()
		p.client.Close()
		p.closeSpools()
		if p.state != nil {
			p.closed = p.closeState()
		}
	})
	return p.closed
}

// recall looks a chunk up among those that came before and were not delivered.
func (p *Pipeline) recall(key uint64) (pending *pending, before *told, seen bool) {
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
	p.count(func(c *Counts) { c.delivered(rep) })
	now := time.Now()
	var err error
	if left > 0 {
		if err = rep.Err; err == nil {
			err = context.DeadlineExceeded
		}
	}
	if failed := p.noteDelivery(err, now); failed > 0 {
		p.log.Info(fmt.Sprintf(msgRecovered, failed.Round(time.Second)))
	}
	refused := 0
	for _, n := range rep.Refused {
		refused += n
	}
	if refused > 0 && p.warns.allow("refused", now) {
		p.log.Warn(fmt.Sprintf(msgRefused, refused, rep.Refused, rep.Sample))
	}
	if rep.Stripped > 0 && p.warns.allow("stripped", now) {
		p.log.Warn(msgStripped)
	}
	// That the instance closes is no trouble.
	if left > 0 && rep.Err != nil && p.ctx.Err() == nil && p.warns.allow(deliverKey(rep.Err), now) {
		p.log.Error(fmt.Sprintf(msgDeliver, rep.Err))
	}
}

// deliverKey names the message about err for the limiter: what a person must set
// right is told at once, though an outage was told of a moment before.
func deliverKey(err error) string {
	var e *loki.Error
	if errors.As(err, &e) && e.Config {
		return fmt.Sprintf("deliver %d", e.Status)
	}
	return "deliver"
}

// CountPanic counts a fault that was caught outside.
func (p *Pipeline) CountPanic() { p.count(func(c *Counts) { c.Panics++ }) }

func (p *Pipeline) count(f func(*Counts)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(&p.counts)
}

// inBackground runs work until Close, however often it panics: a fault in it
// must not end Fluent Bit, nor the work.
func (p *Pipeline) inBackground(what string, work func()) {
	p.background.Go(func() {
		for p.ctx.Err() == nil && p.guarded(what, work) {
			select {
			case <-p.ctx.Done():
			case <-time.After(backgroundPause):
			}
		}
	})
}

// backgroundPause keeps background work that panics at once from spinning.
const backgroundPause = time.Second

// guarded runs work and says whether it panicked.
func (p *Pipeline) guarded(what string, work func()) (panicked bool) {
	defer func() {
		if r := recover(); r != nil {
			panicked = true
			p.count(func(c *Counts) { c.Panics++ })
			if p.warns.allow(what, time.Now()) {
				p.log.Error(fmt.Sprintf(msgBackground, what, fmt.Sprintf("%v\n%s", r, debug.Stack())))
			}
		}
	}()
	work()
	return false
}
