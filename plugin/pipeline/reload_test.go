package pipeline

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/logscope/logscope/loki"
	"github.com/logscope/logscope/test/sink"
)

func TestReloadWhileLokiIsDownLosesNothing(t *testing.T) {
	s := sink.New(t)
	var down atomic.Bool
	down.Store(true)
	s.Answer = func(*http.Request, int) (int, string, bool) {
		if down.Load() {
			return http.StatusServiceUnavailable, "", false
		}
		return 0, "", true
	}
	path := filepath.Join(t.TempDir(), "state")
	withState := func(c *Config) { c.StateFile = path; c.Loki.Backoff.MaxRetries = 1 }
	old, _ := start(t, s, withState)
	first, second := lines(t, "one", "two"), lines(t, "three", "four")
	if got := old.Flush("app", first); got != Retry {
		t.Fatalf("before the reload: got %v; want Retry", got)
	}
	old.Reload()
	for _, data := range [][]byte{first, second} {
		if got := old.Flush("app", data); got != OK {
			t.Fatalf("in the reload: got %v; want OK, kept in the spool", got)
		}
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	if len(s.Entries()) != 0 {
		t.Fatalf("got %v; want nothing while Loki is down", texts(s.Entries()))
	}

	down.Store(false)
	next, _ := start(t, s, withState)
	if got := next.Flush("app", lines(t, "five")); got != OK {
		t.Fatalf("after the reload: got %v; want OK", got)
	}
	if diff := cmp.Diff([]string{"one", "two", "three", "four", "five"}, texts(s.Entries())); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	if left, _ := filepath.Glob(filepath.Join(path+".spool", "*")); len(left) != 0 {
		t.Errorf("got %v left in the spool; want nothing", left)
	}
}

func TestDamagedSpoolFileIsSetAside(t *testing.T) {
	s := sink.New(t)
	path := filepath.Join(t.TempDir(), "state")
	if err := os.MkdirAll(path+".spool", 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(path+".spool", "00000000000000000001-00"+spoolExt)
	whole := encodeSpool([]loki.Push{{Body: []byte("body"), Entries: 1}})
	if err := os.WriteFile(file, whole[:len(whole)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	p, log := start(t, s, func(c *Config) { c.StateFile = path })
	if got := p.Flush("app", lines(t, "x")); got != OK {
		t.Fatalf("got %v; want OK", got)
	}
	if _, err := os.Stat(file + ".bad"); err != nil || !strings.Contains(log.String(), "damaged or cut short") {
		t.Errorf("got %v and log %s; want the file set aside and told", err, log)
	}
}

func FuzzDecodeSpool(f *testing.F) {
	f.Add(encodeSpool(nil))
	f.Add(encodeSpool([]loki.Push{{Tenant: "a", Body: []byte("body"), Entries: 3, RawBytes: 9, Alone: true}, {Body: []byte("x")}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		pushes, err := decodeSpool(data)
		if err != nil {
			return
		}
		again, err := decodeSpool(encodeSpool(pushes))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(pushes, again, cmpopts.IgnoreUnexported(loki.Push{})); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
