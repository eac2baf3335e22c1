package lokitest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

// lokiCommand is the package that test/loki pins as a tool.
const lokiCommand = "github.com/grafana/loki/v3/cmd/loki"

// progressEvery is how often a build of several minutes says that it goes on.
const progressEvery = 15 * time.Second

// module is the nested module test/loki.
type module struct {
	dir     string
	version string // of Loki
	sums    []byte // hash of go.mod and go.sum
}

// Root returns the directory of the clone of logscope that the working directory is in.
func Root() (string, error) {
	m, err := findModule()
	if err != nil {
		return "", err
	}
	return filepath.Dir(filepath.Dir(m.dir)), nil
}

// findModule looks for test/loki from the working directory upwards.
func findModule() (*module, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	for {
		found, err := readModule(filepath.Join(dir, "test", "loki"))
		if err == nil {
			return found, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return nil, errors.New("cannot find test/loki/go.mod above the working directory: run this inside a clone of logscope")
		}
		dir = parent
	}
}

func readModule(dir string) (*module, error) {
	gomod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return nil, err
	}
	gosum, err := os.ReadFile(filepath.Join(dir, "go.sum"))
	if err != nil {
		return nil, err
	}
	version := regexp.MustCompile(`github\.com/grafana/loki/v3 (v[0-9.]+)`).FindSubmatch(gomod)
	if version == nil {
		return nil, fmt.Errorf("cannot find the version of github.com/grafana/loki/v3 in %s/go.mod", dir)
	}
	sum := sha256.Sum256(append(gomod, gosum...))
	return &module{dir: dir, version: string(version[1]), sums: sum[:4]}, nil
}

// Build returns the path of the pinned Loki's binary, built if need be.
// progress gets lines for people.
func Build(ctx context.Context, progress io.Writer) (string, error) {
	m, err := findModule()
	if err != nil {
		return "", err
	}
	return m.build(ctx, progress)
}

// build returns the path of the Loki binary: from the user's cache directory,
// where it is kept by version, else built, which takes minutes.
func (m *module) build(ctx context.Context, progress io.Writer) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	dir := filepath.Join(cache, "logscope")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	binary := filepath.Join(dir, fmt.Sprintf("loki-%s-%x", m.version, m.sums))
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	unlock, err := lock(binary + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(binary); err == nil { // somebody else built it meanwhile
		return binary, nil
	}
	fmt.Fprintf(progress, "building Loki %s from source, once; 5 to 15 minutes on two cores (set LOKI_URL to use a Loki that runs)\n", m.version)
	if err := m.compile(ctx, binary, progress); err != nil {
		return "", err
	}
	return binary, nil
}

// compile builds to a name beside binary first: a build that is cut short leaves nothing that looks whole.
func (m *module) compile(ctx context.Context, binary string, progress io.Writer) error {
	begin := time.Now()
	part := binary + ".part"
	defer os.Remove(part)
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", "build", "-C", m.dir, "-ldflags", "-s -w", "-o", part, lokiCommand)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} // a test that is killed takes it along
	done := make(chan error, 1)
	go func() { done <- cmd.Run() }()
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			if err != nil {
				return fmt.Errorf("cannot build Loki %s: %w\n%s", m.version, err, out.Bytes())
			}
			fmt.Fprintf(progress, "built Loki %s in %v\n", m.version, time.Since(begin).Round(time.Second))
			return os.Rename(part, binary)
		case <-tick.C:
			fmt.Fprintf(progress, "building Loki %s ... %v\n", m.version, time.Since(begin).Round(time.Second))
		}
	}
}

// lock takes a lock among processes: packages are tested in parallel.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot lock %q: %w", path, err)
	}
	return func() { f.Close() }, nil
}
