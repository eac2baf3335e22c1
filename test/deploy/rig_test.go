// Package deploy checks what teams deploy: the image, docker/compose.yaml, conf/kubernetes, and the commands and
// configurations in the docs. Nothing here needs a container engine or a cluster: every file is decoded strictly by
// the libraries of those who read it, and every configuration of Fluent Bit is run by a real one where it is on PATH.
package deploy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/logscope/logscope/test/child"
	"github.com/logscope/logscope/test/fluentbit"
	"github.com/logscope/logscope/test/sink"
)

// root is the top of the project, as tests run in their own directory.
const root = "../.."

// within bounds every wait for something that should come within seconds.
const within = 60 * time.Second

func read(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// built are the plugin and the command, built once for all tests.
var built struct {
	sync.Once
	dir string
	err error
}

func TestMain(m *testing.M) {
	status := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(status)
}

// build builds the plugin and the command, or takes those that $LOGSCOPE_PLUGIN and $LOGSCOPE_COMMAND name.
func build(t testing.TB) (plugin, command string) {
	t.Helper()
	if plugin, command = os.Getenv("LOGSCOPE_PLUGIN"), os.Getenv("LOGSCOPE_COMMAND"); plugin != "" && command != "" {
		return plugin, command
	}
	built.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "logscope-deploy-"); built.err != nil {
			return
		}
		for _, args := range [][]string{
			{"-buildmode=c-shared", "-o", filepath.Join(built.dir, "out_logscope.so"), "./plugin"},
			{"-o", filepath.Join(built.dir, "logscope"), "./cmd/logscope"},
		} {
			cmd := exec.Command("go", append([]string{"build", "-C", root}, args...)...)
			if text, err := cmd.CombinedOutput(); err != nil {
				built.err = fmt.Errorf("cannot build: %w\n%s", err, text)
				return
			}
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, "out_logscope.so"), filepath.Join(built.dir, "logscope")
}

// bit is a Fluent Bit with a configuration of the project, whose paths and addresses are moved into the test.
type bit struct {
	dir   string // where /var/lib/... of the configuration lies
	ports map[string]int
	moved *strings.Replacer
	// Metrics is the address of metrics_listen.
	metrics string
}

func newBit(t *testing.T) *bit {
	t.Helper()
	b := &bit{dir: t.TempDir(), ports: map[string]int{}}
	b.metrics = fmt.Sprintf("127.0.0.1:%d", freePort(t))
	moves := []string{
		"/var/lib/fluent-bit", filepath.Join(b.dir, "fluent-bit"),
		"/var/lib/logscope", filepath.Join(b.dir, "logscope"),
		"0.0.0.0:2021", b.metrics,
		"0.0.0.0", "127.0.0.1",
	}
	for _, dir := range []string{"fluent-bit", "logscope"} {
		if err := os.Mkdir(filepath.Join(b.dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	b.moved = strings.NewReplacer(moves...)
	return b
}

var portLine = regexp.MustCompile(`(?im)^(\s+(?:http_)?port\s+)(\d+)$`)

// move returns the text of a configuration, moved into the test.
func (b *bit) move(t *testing.T, text string) string {
	t.Helper()
	text = b.moved.Replace(text)
	return portLine.ReplaceAllStringFunc(text, func(line string) string {
		found := portLine.FindStringSubmatch(line)
		if b.ports[found[2]] == 0 {
			b.ports[found[2]] = freePort(t)
		}
		return fmt.Sprintf("%s%d", found[1], b.ports[found[2]])
	})
}

// start writes files, moved, and starts Fluent Bit with the first of them. It skips the test where there is no Fluent Bit.
func (b *bit) start(t *testing.T, main string, files map[string]string, env ...string) *child.Process {
	t.Helper()
	fb, ok := fluentbit.Find(t.Context())
	if !ok {
		t.Skip("no fluent-bit on PATH")
	}
	for name, text := range files {
		write(t, filepath.Join(b.dir, name), b.move(t, text))
	}
	plugin, _ := build(t)
	cmd := exec.Command(fb.Path, "-e", plugin, "-c", filepath.Join(b.dir, main))
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(), env...)
	p, err := child.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

// stop ends Fluent Bit, which must end well.
func stop(t *testing.T, p *child.Process) {
	t.Helper()
	if err := p.Stop(fluentbit.StopWithin); err != nil {
		t.Fatal(err)
	}
	if status, err := p.Wait(t.Context()); status != 0 || err != nil {
		t.Errorf("got the exit status %d, %v; want 0; the log:\n%s", status, err, p.Log())
	}
	for line := range strings.Lines(p.Log()) {
		if strings.Contains(line, "[error]") || strings.Contains(line, "[ warn]") && strings.Contains(line, "logscope") {
			t.Errorf("got a complaint in the log: %s", line)
		}
	}
}

// loki takes what logscope sends. Findings of its own, which have no line of a log, are kept apart.
type loki struct {
	*sink.Sink
	mu       sync.Mutex
	entries  []sink.Entry
	findings []sink.Entry
	n        int           // of entries, or of their lines
	lines    bool          // counts the lines of entries rather than entries
	came     chan struct{} // has room for one: something came
}

func newLoki(t *testing.T) *loki {
	t.Helper()
	l := &loki{Sink: sink.New(t), came: make(chan struct{}, 1)}
	l.Keep = func(e sink.Entry) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if strings.Contains(e.Labels, `source="logscope"`) {
			l.findings = append(l.findings, e)
		} else {
			l.entries = append(l.entries, e)
			l.n++
			if l.lines {
				l.n += strings.Count(strings.TrimSuffix(e.Line, "\n"), "\n")
			}
		}
		select {
		case l.came <- struct{}{}:
		default:
		}
	}
	return l
}

func (l *loki) all() ([]sink.Entry, int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]sink.Entry(nil), l.entries...), l.n
}

// wait waits for n entries, or lines.
func (l *loki) wait(t *testing.T, n int, p *child.Process) []sink.Entry {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	for {
		all, came := l.all()
		if came >= n {
			return all
		}
		select {
		case <-l.came:
		case <-p.Ended():
			t.Fatalf("it ended with %d entries sent; want %d; the log:\n%s", came, n, p.Log())
		case <-ctx.Done():
			t.Fatalf("got %d entries; want %d; the log:\n%s", came, n, p.Log())
		}
	}
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// logscope runs the command and returns its standard output.
func logscope(t testing.TB, args ...string) string {
	t.Helper()
	_, command := build(t)
	var errs strings.Builder
	cmd := exec.CommandContext(t.Context(), command, args...)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("logscope %s: %v\n%s", strings.Join(args, " "), err, errs.String())
	}
	return string(out)
}

// withoutVerdict takes the labels of an anomaly away: what is left is the stream that a line has without logscope.
func withoutVerdict(labels string) string {
	return strings.ReplaceAll(verdictLabels.ReplaceAllString(labels, ""), ", }", "}")
}

// verdictLabels are those, with what separates each from the next label.
var verdictLabels = regexp.MustCompile(`\b(anomaly|reason|score_bucket)="[^"]*"(, )?`)
