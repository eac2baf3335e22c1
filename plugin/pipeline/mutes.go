package pipeline

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

const (
	// lookEvery is how often flushes look whether the mute file or feedback has changed.
	lookEvery = time.Second
	// expiredShown is how many expired entries a message names.
	expiredShown = 5
)

// listed is what is known of the mute file.
type listed struct {
	mu     sync.Mutex
	looked time.Time // when it was last looked at
	seen   stamp
	all    []Muting
	active int
	told   int // expired entries that were told
	failed bool
}

// lookAtFiles takes up what has changed in the mute file and in what people
// said, at most once in lookEvery. Flushes call it: there is no watcher.
func (p *Pipeline) lookAtFiles(now time.Time) {
	if !p.cfg.Score || p.cfg.MuteFile == "" && p.state == nil {
		return
	}
	l := &p.listed
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.looked) < lookEvery && now.After(l.looked) {
		return
	}
	l.looked = now
	if p.cfg.MuteFile != "" {
		p.readMutes(now)
	}
	p.scoring.Lock()
	defer p.scoring.Unlock()
	p.mergeFeedback()
}

// readMutes reads the mute file where it has changed, and sets those that hold
// at now. A file with faults leaves the list before it in force. The caller holds listed.
func (p *Pipeline) readMutes(now time.Time) {
	l := &p.listed
	changed := false
	if seen := stampOf(p.cfg.MuteFile); seen != l.seen || seen == (stamp{}) && !l.failed {
		all, err := ReadMutes(p.cfg.MuteFile)
		l.seen, l.failed = seen, err != nil
		if err != nil {
			if !p.second {
				p.log.Error(fmt.Sprintf(msgMuteFile, err, l.active))
			}
			return
		}
		l.all, l.told, changed = all, 0, true
	}
	active, expired := Mutes(l.all, now)
	if !changed && len(active) == l.active {
		return
	}
	l.active = len(active)
	p.scoring.Lock()
	p.engine.SetMutes(active)
	p.scoring.Unlock()
	if len(expired) > l.told && !p.second {
		more := ""
		if n := len(expired) - expiredShown; n > 0 {
			more = fmt.Sprintf(" and %d more", n)
		}
		p.log.Warn(fmt.Sprintf(msgMuteExpired, p.cfg.MuteFile, len(expired), strings.Join(expired[:min(len(expired), expiredShown)], ", ")+more))
	}
	l.told = len(expired)
	if changed && !p.second {
		p.log.Info(fmt.Sprintf(msgMutes, p.cfg.MuteFile, len(active)))
	}
}

// mutes is the number of entries in force.
func (p *Pipeline) mutes() int {
	p.listed.mu.Lock()
	defer p.listed.mu.Unlock()
	return p.listed.active
}
