package pipeline

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/google/renameio/v2"

	"github.com/logscope/logscope/loki"
)

// Fluent Bit's hot reload waits for every chunk that is in retry, for ever if
// Loki stays away, and a SIGTERM does not end that. So once a reload was
// announced, a chunk that cannot be delivered is written to the spool and
// acknowledged; the next instance sends the spool before anything else.
//
// A spool file is one chunk's encoded pushes:
//
//	8 bytes   "LSSPOOL1"
//	then for each push, numbers as unsigned varints:
//	          tenant length, tenant, entries, raw bytes, alone (0 or 1), body length, body
//	8 bytes   xxhash64 of all that, little endian
const spoolMagic = "LSSPOOL1"

const (
	// spoolBytesMax bounds the spool on disk. Fluent Bit holds 128 chunks of 2 MB in memory by
	// default, which come to some 100 MB encoded. Beyond it chunks stay in retry.
	spoolBytesMax = 512 << 20
	// reloadLasts is how long after its announcement a reload is taken to be under way; one that
	// was refused for a bad configuration is never called off.
	reloadLasts = time.Minute
	// reloadTimeout is the deadline of a flush meanwhile: a reload should end within seconds.
	reloadTimeout = time.Second
	// spoolRetryEvery is how long the spool waits between attempts.
	spoolRetryEvery = 2 * time.Second
)

// spool keeps chunks across a hot reload.
type spool struct {
	stateFile string // its lock is the spool's, too
	dir       string
	kick      chan struct{} // has a value when there is something new to send

	mu    sync.Mutex
	files []spoolFile // oldest first
	bytes int64
	stuck bool          // what it holds waits for a setting to be put right, which may take days
	clear chan struct{} // closed while flushes need not wait: it is empty, or stuck
	open  bool          // clear is closed
}

type spoolFile struct {
	name  string // without the directory
	bytes int64
}

// openSpool finds what an earlier instance left beside a state file. The caller holds its lock: a
// temporary file in the spool is one that a crash left half written, and is removed.
func openSpool(stateFile string) (*spool, error) {
	dir := spoolDir(stateFile)
	s := &spool{stateFile: stateFile, dir: dir, clear: make(chan struct{}), kick: make(chan struct{}, 1)}
	entries, err := os.ReadDir(dir) // sorted by name, which begins with the time
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") && strings.Contains(e.Name(), spoolExt) {
			_ = os.Remove(filepath.Join(dir, e.Name())) // tried again by the next instance
			continue
		}
		if filepath.Ext(e.Name()) != spoolExt {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		s.files = append(s.files, spoolFile{e.Name(), info.Size()})
		s.bytes += info.Size()
	}
	s.update()
	return s, nil
}

const spoolExt = ".pushes"

func spoolDir(stateFile string) string { return stateFile + ".spool" }

// update opens or closes the way for flushes. The caller holds mu.
func (s *spool) update() {
	open := len(s.files) == 0 || s.stuck
	if open && !s.open {
		close(s.clear)
	}
	if !open && s.open {
		s.clear = make(chan struct{})
	}
	s.open = open
}

// put writes a chunk's pushes; when it returns they survive a crash.
func (s *spool) put(key uint64, pushes []loki.Push, now time.Time) error {
	data := encodeSpool(pushes)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bytes+int64(len(data)) > spoolBytesMax {
		return fmt.Errorf("the spool %q is full (%d MB)", s.dir, spoolBytesMax>>20)
	}
	if err := os.MkdirAll(s.dir, 0o750); err != nil {
		return err
	}
	name := fmt.Sprintf("%020d-%016x%s", now.UnixNano(), key, spoolExt)
	if err := renameio.WriteFile(filepath.Join(s.dir, name), data, 0o640, renameio.WithTempDir(s.dir)); err != nil {
		return err
	}
	if err := syncDir(s.dir); err != nil {
		return errors.Join(err, os.Remove(filepath.Join(s.dir, name)))
	}
	s.files = append(s.files, spoolFile{name, int64(len(data))})
	s.bytes += int64(len(data))
	s.update()
	select {
	case s.kick <- struct{}{}:
	default:
	}
	return nil
}

// syncDir makes a new name in dir survive a loss of power.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// first returns the oldest file's name and pushes; no name: there is none. A
// file that cannot be read is set aside, not deleted; the caller drops it.
func (s *spool) first() (name string, pushes []loki.Push, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.files) == 0 {
		return "", nil, nil
	}
	name = s.files[0].name
	path := filepath.Join(s.dir, name)
	data, err := os.ReadFile(path)
	if err == nil {
		pushes, err = decodeSpool(data)
	}
	if err != nil {
		return name, nil, errors.Join(fmt.Errorf("cannot read spool file %q: %w", path, err), os.Rename(path, path+".bad"))
	}
	return name, pushes, nil
}

// done removes the oldest file: Loki has its entries.
func (s *spool) done() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := os.Remove(filepath.Join(s.dir, s.files[0].name))
	s.dropFirst() // whatever came of it: it is not sent twice by this run
	return err
}

// drop forgets the oldest file, which was set aside.
func (s *spool) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropFirst()
}

func (s *spool) dropFirst() {
	s.bytes -= s.files[0].bytes
	s.files = s.files[1:]
	s.update()
}

// setStuck says whether the oldest file waits for a setting to be put right. If so it goes last.
func (s *spool) setStuck(stuck bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stuck = stuck; stuck {
		s.files = append(s.files[1:], s.files[0])
	}
	s.update()
}

// size says what waits.
func (s *spool) size() (chunks int, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.files), s.bytes
}

// isClear says that flushes need not wait.
func (s *spool) isClear() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

// wait returns when flushes may go on; false when ctx ended before.
func (s *spool) wait(ctx context.Context) bool {
	s.mu.Lock()
	clear := s.clear
	s.mu.Unlock()
	select {
	case <-clear:
		return true
	case <-ctx.Done():
		return false
	}
}

func encodeSpool(pushes []loki.Push) []byte {
	data := []byte(spoolMagic)
	for i := range pushes {
		p := &pushes[i]
		data = binary.AppendUvarint(data, uint64(len(p.Tenant)))
		data = append(data, p.Tenant...)
		data = binary.AppendUvarint(data, uint64(p.Entries))
		data = binary.AppendUvarint(data, uint64(p.RawBytes))
		alone := uint64(0)
		if p.Alone {
			alone = 1
		}
		data = binary.AppendUvarint(data, alone)
		data = binary.AppendUvarint(data, uint64(len(p.Body)))
		data = append(data, p.Body...)
	}
	return binary.LittleEndian.AppendUint64(data, xxhash.Sum64(data))
}

func decodeSpool(data []byte) ([]loki.Push, error) {
	if len(data) < len(spoolMagic)+8 || string(data[:len(spoolMagic)]) != spoolMagic {
		return nil, errors.New("not a spool file of this version")
	}
	body, sum := data[:len(data)-8], binary.LittleEndian.Uint64(data[len(data)-8:])
	if xxhash.Sum64(body) != sum {
		return nil, errors.New("its checksum does not fit: damaged or cut short")
	}
	r := spoolReader{rest: body[len(spoolMagic):]}
	var pushes []loki.Push
	for len(r.rest) > 0 && !r.bad {
		p := loki.Push{Tenant: string(r.bytes()), Entries: int(r.number()), RawBytes: int(r.number()), Alone: r.number() == 1}
		p.Body = r.bytes()
		pushes = append(pushes, p)
	}
	if r.bad {
		return nil, errors.New("its lengths do not fit")
	}
	return pushes, nil
}

// spoolReader reads numbers and strings; bad once anything did not fit.
type spoolReader struct {
	rest []byte
	bad  bool
}

func (r *spoolReader) number() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.bad, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *spoolReader) bytes() []byte {
	n := r.number()
	if n > uint64(len(r.rest)) {
		r.bad, r.rest = true, nil
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}
