package pipeline

import (
	"errors"
	"fmt"
	"os"
)

// A spool is found beside the state file. Where a reload gives the instance another one, or none, what
// the spool holds was acknowledged to Fluent Bit and would wait for ever. So an instance that ends
// says what it leaves, and another one of this process, to the same Loki, sends it.

// Left is a spool with chunks that an instance left behind when it was closed.
type Left struct {
	StateFile string
	Chunks    int

	url, tenant string // where they go
}

// Left returns what the instance leaves behind; nothing before Close.
func (p *Pipeline) Left() []Left {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.left
}

// adopted is a spool that another instance left.
type adopted struct {
	*spool
	lock *os.File
}

// Adopt sends what another instance left, unless that went to another Loki or tenant. It says whether
// l is dealt with: also where the instance that has its state file now sends it.
func (p *Pipeline) Adopt(l Left) bool {
	if p.ctx.Err() != nil || l.url != p.cfg.Loki.URL || l.tenant != p.cfg.Loki.TenantID {
		return false
	}
	if _, err := os.Stat(spoolDir(l.StateFile)); err != nil {
		return true // somebody has taken it away
	}
	lock, err := lockState(l.StateFile)
	if errors.Is(err, errInUse) {
		return true
	}
	var s *spool
	if err == nil {
		if s, err = openSpool(l.StateFile); err != nil {
			_ = lock.Close()
		}
	}
	if err != nil {
		p.log.Warn(fmt.Sprintf(msgSpoolRead, spoolDir(l.StateFile), err))
		return true
	}
	p.mu.Lock()
	p.adopted = append(p.adopted, adopted{s, lock})
	p.mu.Unlock()
	p.tellSpool(s)
	p.inBackground("sending the spool of another instance", func() { p.sendSpool(s) })
	return true
}

// tellSpool tells of what is about to be sent.
func (p *Pipeline) tellSpool(s *spool) {
	if chunks, _ := s.size(); chunks > 0 {
		p.log.Info(fmt.Sprintf(msgSpoolSend, chunks, s.dir))
	}
}

// closeSpools tells of what was not sent and lets others have it. Nothing is sent any more.
func (p *Pipeline) closeSpools() {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.adopted
	if p.spool != nil {
		all = append(all, adopted{spool: p.spool}) // whose lock is the state file's
	}
	for _, s := range all {
		if chunks, _ := s.size(); chunks > 0 {
			p.left = append(p.left, Left{s.stateFile, chunks, p.cfg.Loki.URL, p.cfg.Loki.TenantID})
			p.log.Warn(fmt.Sprintf(msgSpoolLeft, chunks, s.dir, s.stateFile))
		}
		if s.lock != nil {
			_ = s.lock.Close()
		}
	}
}
