package pipeline

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/google/renameio/v2"
)

// stateFile keeps the engine's learned state between runs. Whoever holds its
// lock owns the spool beside it, too.
type stateFile struct {
	path   string
	lock   *os.File
	failed bool // the last write failed, and that was told
}

// openState reads the state file and keeps writing it. Whatever is wrong with
// it is told once; the plugin ships and scores without it.
func (p *Pipeline) openState() {
	path := p.cfg.StateFile
	lock, err := lockState(path)
	if err != nil {
		p.log.Warn(fmt.Sprintf("state_file %q: %v; records are shipped and scored, but what is learned is not kept", path, err))
		return
	}
	p.state = &stateFile{path: path, lock: lock}
	if p.engine != nil {
		p.readState(path)
		p.background.Go(p.keepState)
	}
	if p.spool, err = openSpool(path + ".spool"); err != nil {
		p.log.Warn(fmt.Sprintf("cannot read the spool %q: %v; what an earlier instance left there is not sent", path+".spool", err))
		return
	}
	p.background.Go(p.sendSpool)
}

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
			return nil, errors.New("another instance or process uses it; give each its own")
		}
		return nil, fmt.Errorf("cannot lock it: %w", err)
	}
	return lock, nil
}

// readState restores the engine. A damaged or newer file is set aside, never overwritten.
func (p *Pipeline) readState(path string) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil {
		if err = p.engine.Restore(data); err == nil {
			return
		}
	}
	aside := path + ".bad"
	if renameErr := os.Rename(path, aside); renameErr != nil {
		err = errors.Join(err, renameErr)
	}
	p.log.Warn(fmt.Sprintf("cannot use state_file %q, set aside as %q, learning starts afresh: %v", path, aside, err))
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
	p.mu.Lock()
	data := p.engine.Snapshot(nil)
	p.mu.Unlock()
	err := renameio.WriteFile(p.state.path, data, 0o640, renameio.WithTempDir(filepath.Dir(p.state.path)))
	if err != nil && !p.state.failed {
		p.log.Warn(fmt.Sprintf("cannot write state_file %q, the one before stays: %v", p.state.path, err))
	}
	p.state.failed = err != nil
}

// closeState writes the file a last time and lets others have it.
func (p *Pipeline) closeState() error {
	if p.engine != nil {
		p.writeState()
	}
	return p.state.lock.Close()
}
