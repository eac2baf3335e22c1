package pipeline

import (
	"context"
	"fmt"
	"time"
)

// Reload announces that Fluent Bit is about to replace this instance. From
// then on a chunk that Loki does not take goes to the spool, where there is one.
func (p *Pipeline) Reload() {
	p.reloadUntil.Store(time.Now().Add(reloadLasts).UnixNano())
}

func (p *Pipeline) reloading() bool {
	return p.spool != nil && time.Now().UnixNano() < p.reloadUntil.Load()
}

// flushTimeout is the deadline of a flush that begins now.
func (p *Pipeline) flushTimeout() time.Duration {
	if p.reloading() {
		return min(p.cfg.FlushTimeout, reloadTimeout)
	}
	return p.cfg.FlushTimeout
}

// toSpool writes what Loki has not answered for to the spool, and says whether that worked.
func (p *Pipeline) toSpool(key uint64, pd *pending) bool {
	err := p.spool.put(key, pd.pushes, time.Now())
	if err != nil {
		if p.warns.allow("spool", time.Now()) {
			p.log.Warn(fmt.Sprintf("cannot keep a chunk across the reload, it stays with Fluent Bit: %v", err))
		}
		return false
	}
	p.count(func(c *Counts) { c.Spooled++ })
	return true
}

// sendSpool sends the spool's chunks, oldest first, until the pipeline is closed.
func (p *Pipeline) sendSpool() {
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-p.spool.kick:
		}
		for p.sendSpooled() {
		}
	}
}

// sendSpooled sends the oldest chunk and says whether to go on with the next.
func (p *Pipeline) sendSpooled() bool {
	name, pushes, err := p.spool.first()
	if err != nil {
		p.log.Error(fmt.Sprintf("%v; set aside", err))
		return true
	}
	for len(pushes) > 0 {
		ctx, cancel := context.WithTimeout(p.ctx, p.cfg.FlushTimeout)
		left, rep := p.client.Deliver(ctx, pushes)
		cancel()
		p.report(&rep, len(left))
		if pushes = left; len(pushes) == 0 {
			break
		}
		select {
		case <-p.ctx.Done():
			return false
		case <-time.After(spoolRetryEvery):
		}
	}
	if name == "" {
		return false
	}
	if err := p.spool.done(); err != nil {
		p.log.Warn(fmt.Sprintf("delivered, but cannot remove spool file %q: %v; it will be sent again, and Loki drops what it has", name, err))
	}
	return true
}
