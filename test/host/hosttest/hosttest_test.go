package hosttest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logscope/logscope/plugin/chunk"
	"github.com/logscope/logscope/test/host/chunkfile"
)

// rig is a host, the echo plugin and the file it writes its calls to.
type rig struct {
	host           Host
	plugin, record string
}

func newRig(t *testing.T, asan bool) rig {
	t.Helper()
	return rig{
		host:   Build(t, asan),
		plugin: BuildPlugin(t, filepath.Join(sourceDir(t), "testdata", "echo.c"), asan),
		record: filepath.Join(t.TempDir(), "calls"),
	}
}

func (r rig) env() []string { return []string{"ECHO_RECORD=" + r.record} }

// run runs the host and returns the plugin's calls.
func (r rig) run(t *testing.T, env []string, args ...string) (Result, []string) {
	t.Helper()
	if err := os.RemoveAll(r.record); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	res, err := r.host.Run(ctx, append(r.env(), env...), append([]string{"--plugin", r.plugin}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	calls, err := os.ReadFile(r.record)
	if err != nil {
		t.Fatalf("%v; the host said:\n%s", err, res.Log)
	}
	return res, strings.Split(strings.TrimSpace(string(calls)), "\n")
}

// chunkFile writes chunks of 1, 2, ... records and returns the file and how the
// echo plugin will note each of them.
func chunkFile(t *testing.T, tags ...string) (string, []string) {
	t.Helper()
	var file bytes.Buffer
	var notes []string
	for i, tag := range tags {
		var w chunk.Writer
		for j := range i + 1 {
			w.AppendLine(int64(j)*1e9, "log", strings.Repeat("x", 100+i))
		}
		if i == 0 { // a group is no record
			if err := w.AppendGroupOpen(nil, nil); err != nil {
				t.Fatal(err)
			}
			w.AppendGroupClose()
		}
		if err := chunkfile.Write(&file, tag, w.Buf); err != nil {
			t.Fatal(err)
		}
		var sum uint32
		for _, b := range w.Buf {
			sum = sum*31 + uint32(b)
		}
		if tag == "" {
			tag = "default"
		}
		notes = append(notes, fmt.Sprintf("%s %d %08x", tag, len(w.Buf), sum))
	}
	path := filepath.Join(t.TempDir(), "chunks")
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, notes
}

func initNote(id string) string {
	return "Init " + id + " on engine: url=- URL=- host=- workers=- net.x=-"
}

func expect(t *testing.T, res Result, status int, want, got []string) {
	t.Helper()
	if res.Status != status {
		t.Errorf("exit status: got %d; want %d; the host said:\n%s", res.Status, status, res.Log)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// The same tests in the plain host and in that with AddressSanitizer, which also
// tells of memory that nobody freed.
func TestHost(t *testing.T) {
	for _, asan := range []bool{false, true} {
		t.Run(map[bool]string{false: "plain", true: "asan"}[asan], func(t *testing.T) {
			r := newRig(t, asan)
			for name, test := range map[string]func(*testing.T, rig){
				"order": testOrderOfCalls, "options": testOptions, "workers": testWorkers, "retry": testRetry,
				"reload": testReload, "reload waits for retries": testReloadWaitsForRetries, "failing init": testFailingInit,
				"kept bytes": testKeptBytes, "old definition": testOldDefinition, "foreign log": testForeignLog,
				"coroutine stack": testCoroutineStack, "hold": testHold, "records": testRecords, "bad arguments": testBadArguments,
			} {
				t.Run(name, func(t *testing.T) { test(t, r) })
			}
		})
	}
}

func testOrderOfCalls(t *testing.T, r rig) {
	file, notes := chunkFile(t, "a", "")
	res, calls := r.run(t, nil, "--chunks", file, "--tag", "default", "--instance", "id=one", "--instance", "-p", "id=two")
	expect(t, res, Delivered, []string{
		"PreRegister 0", "Register", initNote("one"), initNote("two"), "PreRun 0", "PreRun 0",
		"Flush one on engine: " + notes[0], "Flush two on engine: " + notes[0],
		"Flush one on engine: " + notes[1], "Flush two on engine: " + notes[1],
		"PreExit 0", "ExitCtx one", "PreExit 0", "ExitCtx two", "Unregister",
	}, calls)
	got := res.Stats
	want := Stats{Chunks: 2, Records: 3, Flushes: 4, OK: 4}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	want.Bytes = info.Size() - 2*6 - 1
	if got.MaxRSSKB == 0 || got.StackUsedMax == 0 || got.StackUsedMax > 24576 {
		t.Errorf("got %d kB, %d bytes of stack; want figures", got.MaxRSSKB, got.StackUsedMax)
	}
	got.FlushUsMax, got.StackUsedMax, got.WallMs, got.UserMs, got.SysMs, got.MaxRSSKB = 0, 0, 0, 0, 0, 0
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("figures (-want +got):\n%s", diff)
	}
}

func testOptions(t *testing.T, r rig) {
	res, calls := r.run(t, nil, "-p", "ID=x", "-p", "Url=first", "-p", "url=second", "-p", "Host=h", "-p", "workers=1", "-p", "net.x=1")
	want := "Init x on engine: url=first URL=first host=- workers=- net.x=-"
	if res.Status != Delivered || !slices.Contains(calls, want) {
		t.Errorf("got status %d, %q; want %q", res.Status, calls, want)
	}
	const line = "[ info] [echo] x has 8 options\n"
	if !strings.Contains(res.Log, line) {
		t.Errorf("log: got %q; want %q", res.Log, line)
	}
	if res, _ := r.run(t, nil, "--log-level", "warn", "-p", "id=x"); strings.Contains(res.Log, line) {
		t.Errorf("log at level warn: got %q; want none", res.Log)
	}
}

// The host counts what the plugin's own reader counts, up to the first damage.
func testRecords(t *testing.T, r rig) {
	var w chunk.Writer
	values := chunk.Pairs{
		"nil", nil, "bool", true, "uint8", 200, "uint16", 60000, "uint32", 1 << 31, "uint64", uint64(1 << 63), "int8", -100, "int16", -1000,
		"int32", -100_000, "int64", -1 << 40, "float32", float32(1.5), "float64", 2.5, "bin", make([]byte, 70_000), "bin8", []byte{1},
		"str8", strings.Repeat("x", 200), "str16", strings.Repeat("x", 60_000), "str32", strings.Repeat("x", 70_000),
		"array", make([]any, 20), "array32", make([]any, 70_000), "map", map[string]int{"a": 1}, "map16", map[int]int{1: 1, 2: 2},
		"wide", chunk.Pairs{1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 15, 16, 16},
	}
	for range 3 {
		if err := w.AppendRecord(1, values, values); err != nil {
			t.Fatal(err)
		}
		if err := w.AppendRecordV1(1, values); err != nil {
			t.Fatal(err)
		}
	}
	w.Buf = append(w.Buf, "\x92\xc7\x08\x00TIMETIME\x82\xd4\x01x\xc0\xd8\x020123456789abcdef\xc9\x00\x00\x00\x01\x03e"...)
	count := 0
	var rec chunk.Record
	reader := chunk.NewReader(w.Buf)
	for reader.Next(&rec) == nil {
		count++
	}
	w.Buf = append(w.Buf, 0x92, 0xd7, 0x00, 1, 2, 3)
	var file bytes.Buffer
	if err := chunkfile.Write(&file, "t", w.Buf); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "chunks")
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if res, _ := r.run(t, nil, "--chunks", path); res.Stats.Records != int64(count) || count != 7 {
		t.Errorf("got %d records; the reader has %d, want 7", res.Stats.Records, count)
	}
}

func testWorkers(t *testing.T, r rig) {
	file, notes := chunkFile(t, "a", "b", "c", "d")
	res, calls := r.run(t, nil, "--chunks", file, "--repeat", "25", "--workers", "3", "-p", "id=x")
	if res.Status != Delivered || res.Stats.OK != 100 || res.Stats.Records != 25*10 {
		t.Errorf("got status %d, %+v; want 100 chunks\n%s", res.Status, res.Stats, res.Log)
	}
	for _, note := range notes {
		n := 0
		for _, call := range calls {
			if call == "Flush x on worker: "+note {
				n++
			}
		}
		if n != 25 {
			t.Errorf("%s: got %d flushes on workers; want 25", note, n)
		}
	}
	if got := calls[len(calls)-3:]; !slices.Equal(got, []string{"PreExit 0", "ExitCtx x", "Unregister"}) {
		t.Errorf("got %q at the end; want no flush after PreExit", got)
	}
}

func testRetry(t *testing.T, r rig) {
	file, notes := chunkFile(t, "a")
	base := []string{"PreRegister 0", "Register", initNote("x"), "PreRun 0"}
	flush := "Flush x on engine: " + notes[0]
	end := []string{"PreExit 0", "ExitCtx x", "Unregister"}
	tests := []struct {
		args    string
		flushes int
		status  int
	}{
		{"-p retry_first=2 --retries 2", 3, Delivered},
		{"-p retry_first=2 --retries 1", 2, Undelivered},
		{"-p retry_first=9 --retries -1", 10, Delivered},
		{"-p retry_first=9 -p retry_limit=no_limits", 10, Delivered},
		{"-p retry_first=9 -p Retry_Limit=4", 5, Undelivered},
		{"-p answer=0 --retries 9", 1, Undelivered},
		{"-p answer=2 --retries 0", 1, Undelivered},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			args := append([]string{"--chunks", file, "--retry-wait", "1", "-p", "id=x"}, strings.Fields(tt.args)...)
			res, calls := r.run(t, nil, args...)
			expect(t, res, tt.status, slices.Concat(base, slices.Repeat([]string{flush}, tt.flushes), end), calls)
		})
	}
}

func testReload(t *testing.T, r rig) {
	file, notes := chunkFile(t, "a", "b", "c")
	res, calls := r.run(t, nil, "--chunks", file, "--reload-every", "2", "-p", "id=x")
	expect(t, res, Delivered, []string{
		"PreRegister 0", "Register", initNote("x"), "PreRun 0",
		"Flush x on engine: " + notes[0], "Flush x on engine: " + notes[1],
		"PreRegister 1", "Register", "PreExit 1", "ExitCtx x", "Unregister", initNote("x"), "PreRun 1",
		"Flush x on engine: " + notes[2],
		"PreExit 0", "ExitCtx x", "Unregister",
	}, calls)
	if res.Stats.Reloads != 1 {
		t.Errorf("got %d reloads; want 1", res.Stats.Reloads)
	}
}

// A chunk in retry holds up a reload until the plugin takes it.
func testReloadWaitsForRetries(t *testing.T, r rig) {
	file, _ := chunkFile(t, "a")
	args := []string{"--chunks", file, "--retry-wait", "1", "--retries", "-1", "--reload-every", "1", "--reload-wait", "50", "-p", "id=x"}
	res, calls := r.run(t, nil, append(args, "-p", "retry_until_hot=true", "--reload-wait", "50000")...)
	if res.Status != Delivered || res.Stats.ReloadsStuck != 0 || res.Stats.OK != 1 {
		t.Errorf("got status %d, %+v; want the chunk taken after PreRegister 1: %q", res.Status, res.Stats, calls)
	}
	// 50 ms are 50 attempts at most, so they do not use up 200 retries.
	res, _ = r.run(t, nil, append(args, "-p", "answer=2", "--retries", "200", "--workers", "2")...)
	if res.Status != Undelivered || res.Stats.ReloadsStuck != 1 || res.Stats.Dropped != 1 || res.Stats.Retry != 201 || !strings.Contains(res.Log, "reload is stuck: 1 chunks are still in retry") {
		t.Errorf("got status %d, %+v; want a stuck reload\n%s", res.Status, res.Stats, res.Log)
	}
}

func testFailingInit(t *testing.T, r rig) {
	start := []string{"PreRegister 0", "Register", initNote("one"), initNote("two")}
	args := []string{"--instance", "id=one", "--instance", "id=two", "-p", "fail=true", "--instance", "id=three"}
	res, calls := r.run(t, nil, args...)
	expect(t, res, StartFailed, append(start, "PreExit 0", "ExitCtx one", "PreExit 0", "ExitCtx NULL", "PreExit 0", "ExitCtx NULL", "Unregister"), calls)
	if want := "failed to initialize 'echo' plugin"; !strings.Contains(res.Log, want) {
		t.Errorf("log: got %q; want %q", res.Log, want)
	}
	res, calls = r.run(t, nil, append(args, "--skip-null-exit")...)
	expect(t, res, StartFailed, append(start, "PreExit 0", "ExitCtx one", "PreExit 0", "PreExit 0", "Unregister"), calls)
}

// Bytes kept after the call are poison; to read them is the end with
// AddressSanitizer, if the plugin is built with it, and with --guard always.
func testKeptBytes(t *testing.T, r rig) {
	file, _ := chunkFile(t, "a", "b")
	args := []string{"--chunks", file, "-p", "id=x", "-p", "keep=true"}
	res, calls := r.run(t, nil, args...)
	if r.host.ASan && (res.Status == Delivered || !strings.Contains(res.Log, "heap-use-after-free")) {
		t.Errorf("got status %d, %q; want AddressSanitizer to end it", res.Status, res.Log)
	}
	if !r.host.ASan && (res.Status != Delivered || !slices.Contains(calls, "Kept dd")) {
		t.Errorf("got status %d, %q; want poison", res.Status, calls)
	}
	if res, _ := r.run(t, nil, append(args, "--guard")...); res.Status == Delivered {
		t.Error("--guard: the host did not crash")
	}
	if res, _ := r.run(t, nil, "--chunks", file, "--guard"); res.Status != Delivered {
		t.Errorf("--guard with a plugin that keeps nothing: got status %d", res.Status)
	}
}

// A plugin that was built against a newer registration structure writes behind
// that of an older host.
func testOldDefinition(t *testing.T, r rig) {
	if res, _ := r.run(t, []string{"ECHO_NEW_FIELD=1"}); res.Status != Delivered {
		t.Errorf("new host: got status %d; want %d\n%s", res.Status, Delivered, res.Log)
	}
	if res, _ := r.run(t, nil, "--old-def"); res.Status != Delivered {
		t.Errorf("old host: got status %d; want %d\n%s", res.Status, Delivered, res.Log)
	}
	if !r.host.ASan {
		return
	}
	if res, _ := r.run(t, []string{"ECHO_NEW_FIELD=1"}, "--old-def"); !strings.Contains(res.Log, "heap-buffer-overflow") {
		t.Errorf("new plugin in an old host: got status %d, %q; want AddressSanitizer to end it", res.Status, res.Log)
	}
}

func testCoroutineStack(t *testing.T, r rig) {
	file, _ := chunkFile(t, "a")
	args := []string{"--chunks", file, "-p", "id=x", "-p", "stack=100000"}
	if res, _ := r.run(t, nil, args...); res.Status == Delivered {
		t.Errorf("24 KiB: got status %d; want a crash", res.Status)
	}
	res, _ := r.run(t, nil, append(args, "--coroutine-stack", "196608")...)
	if res.Status != Delivered || res.Stats.StackUsedMax < 100_000 {
		t.Errorf("192 KiB: got status %d, %d bytes used; want %d, 100000", res.Status, res.Stats.StackUsedMax, Delivered)
	}
	if res, _ := r.run(t, nil, append(args, "--coroutine-stack", "0")...); res.Status != Delivered || res.Stats.StackUsedMax != 0 {
		t.Errorf("own stack: got status %d, %d bytes; want %d, 0", res.Status, res.Stats.StackUsedMax, Delivered)
	}
}

func testForeignLog(t *testing.T, r rig) {
	file, _ := chunkFile(t, "log", "other")
	res, _ := r.run(t, nil, "--chunks", file, "--workers", "1")
	if res.Stats.ForeignLogs != 1 || !strings.Contains(res.Log, "[ warn] from a thread of the plugin\n") {
		t.Errorf("got %d foreign lines, %q; want 1", res.Stats.ForeignLogs, res.Log)
	}
}

// While it holds, SIGHUP reloads and SIGTERM ends it.
func testHold(t *testing.T, r rig) {
	r.record = filepath.Join(t.TempDir(), "calls")
	if err := syscall.Mkfifo(r.record, 0o600); err != nil {
		t.Fatal(err)
	}
	pipe, err := os.OpenFile(r.record, os.O_RDWR, 0) // never at its end
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	calls := bufio.NewScanner(pipe)
	waitFor := func(want string) {
		for calls.Scan() {
			if calls.Text() == want {
				return
			}
		}
		t.Fatalf("got no %q: %v", want, calls.Err())
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p, err := r.host.Start(ctx, r.env(), "--plugin", r.plugin, "--hold")
	if err != nil {
		t.Fatal(err)
	}
	waitFor("PreRun 0")
	if err := p.Reload(); err != nil {
		t.Fatal(err)
	}
	waitFor("PreRun 1")
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	waitFor("Unregister")
	res, err := p.Wait()
	if err != nil || res.Status != Delivered || res.Stats.Reloads != 1 {
		t.Errorf("got %+v, %v; want one reload and status %d", res, err, Delivered)
	}
}

func testBadArguments(t *testing.T, r rig) {
	notChunks := filepath.Join(t.TempDir(), "app.log")
	if err := os.WriteFile(notChunks, []byte("Nov 14 22:13:20 node-17 sshd[1]: hello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		args   []string
		status int
		log    string
	}{
		{nil, Usage, "usage: flbhost"},
		{[]string{"--plugin", "x", "--workers", "many"}, Usage, "--workers many: want a number from 0 to 64"},
		{[]string{"--plugin", "x", "-p", "novalue"}, Usage, "property novalue: want KEY=VALUE"},
		{[]string{"--plugin", "x", "--log-level", "loud"}, Usage, "log level loud: want error, warn, info or debug"},
		{[]string{"--plugin", "./does-not-exist.so"}, StartFailed, "cannot load plugin: "},
		{[]string{"--plugin", r.plugin, "--chunks", "/does/not/exist"}, StartFailed, "cannot open chunk file /does/not/exist"},
		{[]string{"--plugin", r.plugin, "--chunks", notChunks}, StartFailed, "is this a chunk file?"},
	}
	for _, tt := range tests {
		// What a failing start leaves unfreed is no matter here.
		res, err := r.host.Run(t.Context(), append(r.env(), "ASAN_OPTIONS=detect_leaks=0"), tt.args...)
		if err != nil || res.Status != tt.status || !strings.Contains(res.Log, tt.log) {
			t.Errorf("%q: got status %d, %v, %q; want %d, %q", tt.args, res.Status, err, res.Log, tt.status, tt.log)
		}
	}
}
