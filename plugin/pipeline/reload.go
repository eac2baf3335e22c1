package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/logscope/logscope/loki"
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

// toSpool moves what Loki has not answered for to the spool, and says whether that worked.
func (p *Pipeline) toSpool(key uint64, pd *pending) bool {
	if len(pd.pushes) == 0 {
		return true
	}
	if err := p.spool.put(key, pd.pushes, time.Now()); err != nil {
		if p.warns.allow("spool", time.Now()) {
			p.log.Warn(fmt.Sprintf(msgSpoolFull, err))
		}
		return false
	}
	pd.pushes = nil
	p.count(func(c *Counts) { c.Spooled++ })
	return true
}

// sendSpool sends a spool's chunks, oldest first, until the pipeline is closed.
func (p *Pipeline) sendSpool(s *spool) {
	for {
		for p.sendSpooled(s) {
		}
		select {
		case <-p.ctx.Done():
			return
		case <-s.kick:
		}
	}
}

// sendSpooled sends the oldest chunk and says whether to go on with the next.
// One that waits for a setting to be put right holds up no other.
func (p *Pipeline) sendSpooled(s *spool) bool {
	name, pushes, err := s.first()
	if err != nil {
		p.count(func(c *Counts) { c.SpoolSetAside++ })
		p.log.Error(fmt.Sprintf(msgSpoolAside, err))
		s.drop()
		return true
	}
	if name == "" {
		return false
	}
	for len(pushes) > 0 {
		ctx, cancel := context.WithTimeout(p.ctx, p.cfg.FlushTimeout)
		pushes, err = p.deliver(ctx, pushes)
		cancel()
		if len(pushes) == 0 {
			break
		}
		var why *loki.Error
		stuck := errors.As(err, &why) && why.Config
		s.setStuck(stuck)
		select {
		case <-p.ctx.Done():
			return false
		case <-time.After(spoolRetryEvery):
		}
		if stuck {
			return true
		}
	}
	s.setStuck(false)
	if err := s.done(); err != nil {
		p.log.Warn(fmt.Sprintf(msgSpoolRemove, name, err))
	}
	return true
}
