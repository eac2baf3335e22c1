package pipeline

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/google/renameio/v2"

	"github.com/logscope/logscope/engine"
)

// stateFile keeps the engine's learned state between runs. Whoever holds its
// lock owns the spool beside it, too.
type stateFile struct {
	path   string
	lock   *os.File
	failed bool // the last write failed, and that was told
	// kept says that the file holds what could not be read, nor set aside: it must stay as it is.
	// Pipeline.scoring guards it.
	kept bool

	// heard is the file of feedback as it was last taken up. Pipeline.scoring guards it.
	heard stamp

	written atomic.Int64 // when, in Unix nanoseconds; 0: never, and nothing was read
	bytes   atomic.Int64
}

// note remembers that the file holds so many bytes since t.
func (s *stateFile) note(t time.Time, bytes int) {
	s.written.Store(t.UnixNano())
	s.bytes.Store(int64(bytes))
}

// last says when the file was written and how long it is; zero: there is none.
func (s *stateFile) last() (written time.Time, bytes int64) {
	if ns := s.written.Load(); ns != 0 {
		written = time.Unix(0, ns)
	}
	return written, s.bytes.Load()
}

// openState reads the state file and keeps writing it. Whatever is wrong with
// it is told once; the plugin ships and scores without it.
func (p *Pipeline) openState() {
	path := p.cfg.StateFile
	lock, err := lockState(path)
	if err != nil {
		p.log.Warn(fmt.Sprintf(msgStateUnusable, path, err))
		return
	}
	p.state = &stateFile{path: path, lock: lock}
	removeStale(path, time.Now())
	if p.cfg.Score {
		p.scoring.Lock()
		p.readState()
		p.mergeFeedback()
		p.scoring.Unlock()
		p.inBackground("writing the state file", p.keepState)
	}
	if p.spool, err = openSpool(path); err != nil {
		p.log.Warn(fmt.Sprintf(msgSpoolRead, spoolDir(path), err))
		return
	}
	p.tellSpool(p.spool)
	p.inBackground("sending the spool", func() { p.sendSpool(p.spool) })
}

// errInUse is of a state file that is locked.
var errInUse = errors.New("another instance or process uses it; give each its own")

// lockState makes sure that the directory can be written and that no other instance uses the file.
func lockState(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, fmt.Errorf("cannot make its directory: %w", err)
	}
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o640)
	if err != nil {
		return nil, fmt.Errorf("cannot write to its directory: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errInUse
		}
		return nil, fmt.Errorf("cannot lock it: %w", err)
	}
	return lock, nil
}

// staleAfter is the age from which a temporary file is one that a crash left. Another state file's
// may have a name that begins with this one's, and is written in a second or so.
const staleAfter = 10 * time.Minute

// removeStale removes the temporary files of path that a crash left, of tens of MB each.
func removeStale(path string, now time.Time) {
	dir, prefix := filepath.Dir(path), "."+filepath.Base(path)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // what is wrong with the directory is told where it is needed
	}
	for _, e := range entries {
		random, ok := strings.CutPrefix(e.Name(), prefix)
		if _, err := strconv.ParseUint(random, 10, 63); !ok || err != nil {
			continue
		}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && now.Sub(info.ModTime()) > staleAfter {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// readState restores the engine and says whether there was something to restore. A file that the
// engine refuses, damaged or newer, is set aside; one that cannot be read may be a good one, and
// stays. The caller holds scoring.
func (p *Pipeline) readState() bool {
	path := p.state.path
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	if err != nil {
		p.state.kept = true
		p.log.Warn(fmt.Sprintf(msgStateUnread, path, err))
		return false
	}
	if err = p.restore(data); err != nil {
		p.setStateAside(err)
		return false
	}
	written := time.Now()
	if info, err := os.Stat(path); err == nil {
		written = info.ModTime()
	}
	p.state.note(written, len(data))
	return true
}

// restoresMax is after how many panics in a row, with what the state file holds restored before each
// but the first, the file is taken to be their cause.
const restoresMax = 3

// replaceEngine makes a new engine after scoring panicked, with what the state file holds: a fault
// that one record sets off costs what was learned since the last write. Until scoring works again
// the file is not written. The caller holds scoring.
func (p *Pipeline) replaceEngine(why error) {
	p.panics++
	mutes, words := p.engine.Mutes(), p.engine.Feedback()
	p.engine, _ = engine.New(p.cfg.Engine) // the configuration was valid before
	defer func() {                         // whatever is restored
		p.engine.SetMutes(mutes)
		p.engine.Merge(words)
	}()
	next := "learning starts afresh"
	switch {
	case p.state == nil || p.state.kept || p.panics > restoresMax+1:
	case p.panics == restoresMax+1:
		if _, err := os.Stat(p.state.path); err == nil {
			p.setStateAside(fmt.Errorf("scoring failed %d times in a row with it", restoresMax))
		}
	case p.readState():
		next = "learning goes on from the state file"
	}
	if p.warns.allow("panic", time.Now()) {
		p.log.Error(fmt.Sprintf(msgScorePanic, next, why))
	}
}

// asideMax is how many state files set aside stay: beyond it the last of them is replaced.
const asideMax = 10

// setStateAside renames a state file that is of no use, to .bad, .bad.2, and so on.
func (p *Pipeline) setStateAside(why error) {
	path := p.state.path
	aside := path + ".bad"
	for n := 2; n <= asideMax; n++ {
		if _, err := os.Lstat(aside); err != nil {
			break
		}
		aside = fmt.Sprintf("%s.bad.%d", path, n)
	}
	if err := os.Rename(path, aside); err != nil {
		p.state.kept = true
		p.log.Warn(fmt.Sprintf(msgStateUnread, path, errors.Join(why, err)))
		return
	}
	p.log.Warn(fmt.Sprintf(msgStateAside, path, aside, why))
}

// restore gives the engine what a file holds. Whatever the bytes are, it does not panic. The caller
// holds scoring.
func (p *Pipeline) restore(data []byte) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
			p.engine, _ = engine.New(p.cfg.Engine) // the configuration was valid before
		}
	}()
	return p.engine.Restore(data)
}

// keepState writes the file every StateInterval until Close.
func (p *Pipeline) keepState() {
	tick := time.NewTicker(p.cfg.StateInterval)
	defer tick.Stop()
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-tick.C:
			p.writeState()
		}
	}
}

// writeState replaces the file atomically. Only the first of several failures is told.
func (p *Pipeline) writeState() {
	data, err := p.snapshot()
	if errors.Is(err, errLeftOut) {
		p.count(func(c *Counts) { c.StateFailures++ })
		return
	}
	if err == nil {
		err = renameio.WriteFile(p.state.path, data, 0o640, renameio.WithTempDir(filepath.Dir(p.state.path)))
	}
	failed := p.state.failed
	p.state.failed = err != nil
	if err != nil {
		p.count(func(c *Counts) { c.StateFailures++ })
		if !failed {
			p.log.Warn(fmt.Sprintf(msgStateWrite, p.state.path, err))
		}
		return
	}
	p.state.note(time.Now(), len(data))
	if failed {
		p.log.Info(fmt.Sprintf(msgStateWritten, p.state.path))
	}
}

// errLeftOut is of a snapshot that must not replace the file there, as was told already.
var errLeftOut = errors.New("left out")

// snapshot returns the engine's state as bytes. Scoring waits meanwhile.
func (p *Pipeline) snapshot() (data []byte, err error) {
	p.scoring.Lock()
	defer p.scoring.Unlock()
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	p.mergeFeedback() // first, so that it is in the snapshot
	if p.state.kept || p.panics > 0 {
		return nil, errLeftOut
	}
	return p.engine.Snapshot(nil), nil
}

// closeState writes the file a last time and lets others have it.
func (p *Pipeline) closeState() error {
	if p.cfg.Score {
		p.writeState()
	}
	return p.state.lock.Close()
}
