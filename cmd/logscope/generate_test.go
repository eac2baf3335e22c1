package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logscope/logscope/cmd/logscope/internal/genlog"
)

// generate runs the command, which must succeed, and returns its output.
func generate(t *testing.T, args ...string) string {
	t.Helper()
	term, out, errs := testTerminal("")
	if status := run(append([]string{"generate", "--start", "2026-01-02T15:04:05Z"}, args...), term); status != exitOK {
		t.Fatalf("%v: got status %d: %s", args, status, errs)
	}
	return out.String()
}

// TestGenerateSame: the same flags give the same bytes, in one stream or split by service, and the truth fits both.
func TestGenerateSame(t *testing.T) {
	dir := t.TempDir()
	flags := []string{"--rate", "0", "--lines", "8000", "--anomaly-rate", "0.05", "--seed", "9"}
	one := generate(t, flags...)
	if other := generate(t, append(flags, "--truth", dir+"/truth")...); other != one {
		t.Fatal("the second run gives other lines")
	}
	checkTruth(t, dir+"/truth", map[string]string{"-": one})
	generate(t, append(flags, "--output", dir+"/logs/", "--truth", dir+"/truth")...)
	files, total := map[string]string{}, 0
	for _, service := range genlog.Services() {
		text, err := os.ReadFile(filepath.Join(dir, "logs", service+".log"))
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Join(dir, "logs", service+".log")] = string(text)
		total += len(text)
	}
	if total != len(one) {
		t.Errorf("got %d bytes in the files; want the %d of the stream", total, len(one))
	}
	checkTruth(t, dir+"/truth", files)
	var db []string
	for line := range strings.Lines(one) {
		if strings.Contains(line, " UTC [") {
			db = append(db, line)
		}
	}
	if got := generate(t, "--rate", "0", "--lines", fmt.Sprint(len(db)), "--anomaly-rate", "0.05", "--seed", "9", "--services", "db"); got != strings.Join(db, "") {
		t.Error("a service written alone has other lines than among the others")
	}
	if n := strings.Count(one, "\n"); n < 8000 || n > 8020 {
		t.Errorf("got %d lines; want 8000 and the rest of a stack trace at most", n)
	}
}

// checkTruth demands that each record of the truth stands where it says.
func checkTruth(t *testing.T, path string, files map[string]string) {
	t.Helper()
	lines := map[string][]string{}
	for name, text := range files {
		lines[name] = strings.Split(text, "\n")
	}
	n := 0
	for _, r := range truthOf(t, path) {
		if r.Until != nil {
			continue
		}
		n++
		from := int(r.LineNo) - 1
		if got := strings.Join(lines[r.File][from:from+r.Lines], "\n"); got != r.Text {
			t.Fatalf("%s, line %d: got %q; want %q", r.File, r.LineNo, got, r.Text)
		}
	}
	if n < 100 {
		t.Errorf("got %d records in the truth; want more", n)
	}
}

func truthOf(t *testing.T, path string) []truthRecord {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []truthRecord
	for line := range bytes.Lines(data) {
		var r truthRecord
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// TestGenerateJSON: each record is an object of its own, and says the same as its lines.
func TestGenerateJSON(t *testing.T) {
	flags := []string{"--rate", "0", "--duration", "10m", "--anomaly-rate", "0.05"}
	var texts []string
	for line := range strings.Lines(generate(t, append(flags, "--format", "json")...)) {
		var r struct {
			Time         time.Time
			Service, Log string
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if !slices.Contains(genlog.Services(), r.Service) || r.Time.Year() != 2026 {
			t.Fatalf("got %+v", r)
		}
		texts = append(texts, r.Log+"\n")
	}
	if got, want := strings.Join(texts, ""), generate(t, flags...); got != want {
		t.Error("the objects hold other texts than the lines")
	}
}

// TestGenerateFound has logscope judge what generate writes: it finds most faults, and little else. Faults are rare
// here: logscope follows its logs, so that what comes every few minutes is soon as usual as anything else.
func TestGenerateFound(t *testing.T) {
	if testing.Short() {
		t.Skip("scores 240,000 lines")
	}
	tally := newTally()
	for seed := range 4 {
		dir := t.TempDir()
		generate(t, "--rate", "0", "--lines", "60000", "--calm", "10000", "--anomaly-rate", "0.004", "--seed", fmt.Sprint(seed),
			"--output", dir+"/logs/", "--truth", dir+"/truth")
		term, out, errs := testTerminal("")
		if status := run([]string{"scan", "--output", "ndjson", dir + "/logs"}, term); status != exitOK {
			t.Fatalf("got status %d: %s", status, errs)
		}
		tally.add(t, truthOf(t, dir+"/truth"), out)
	}
	t.Logf("found %d of %d faults; %d of %d flags are right; by kind:\n%s", tally.found, tally.faults, tally.right, tally.flags, tally.kinds())
	if share := float64(tally.found) / float64(tally.faults); share < 0.6 {
		t.Errorf("got %.2f of the faults; want most", share)
	}
	if share := float64(tally.right) / float64(tally.flags); share < 0.8 {
		t.Errorf("got %.2f of what is flagged in a fault; want nearly all", share)
	}
}

// tally counts what was found. A fault is found if one of its lines is flagged, a silence if one of its service
// is told until a little after its end.
type tally struct {
	faults, found, flags, right int
	of                          map[string][2]int // found and all, by kind
}

func newTally() *tally { return &tally{of: map[string][2]int{}} }

func (c *tally) add(t *testing.T, truth []truthRecord, verdicts io.Reader) {
	t.Helper()
	type key struct {
		file string
		line uint64
	}
	at, kinds, found := map[key]int{}, map[int]string{}, map[int]bool{}
	for _, r := range truth {
		kinds[r.Fault] = r.Kind
		for i := range r.Lines {
			at[key{r.File, r.LineNo + uint64(i)}] = r.Fault
		}
	}
	for lines := bufio.NewScanner(verdicts); lines.Scan(); {
		var v struct {
			File, Event string
			LineNo      uint64 `json:"line_no"`
			TS          time.Time
		}
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		fault := at[key{v.File, v.LineNo}]
		if v.Event == "silence" {
			fault = silenceOf(truth, v.File, v.TS)
		}
		c.flags++
		if fault != 0 {
			c.right++
			found[fault] = true
		}
	}
	for fault, kind := range kinds {
		n := c.of[kind]
		n[1]++
		c.faults++
		if found[fault] {
			n[0]++
			c.found++
		}
		c.of[kind] = n
	}
}

// silenceOf finds the silence that was going on in a service at a time.
func silenceOf(truth []truthRecord, file string, at time.Time) int {
	const late = 10 * time.Second // it is over when the next line comes
	for _, r := range truth {
		if r.Until != nil && filepath.Base(file) == r.Service+".log" && at.After(r.Time) && at.Before(r.Until.Add(late)) {
			return r.Fault
		}
	}
	return 0
}

func (c *tally) kinds() string {
	var b strings.Builder
	for _, kind := range genlog.Kinds() {
		fmt.Fprintf(&b, "%-12s %d of %d\n", kind, c.of[kind][0], c.of[kind][1])
	}
	return b.String()
}

// TestGeneratePace: what lies in the past comes at once, the rest when its time has come, and an interrupt ends it well.
func TestGeneratePace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		term, out, errs := testTerminal("")
		f := generateFlags{cfg: genlog.Config{Rate: 20, Seed: 1}, start: "-10m", format: "lines", output: "-"}
		w, err := f.writer(term, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- w.run(ctx) }()
		synctest.Wait()
		if got := strings.Count(out.String(), "\n"); got < 11_000 || got > 13_000 {
			t.Errorf("at once: got %d lines; want those of ten minutes, about 12,000", got)
		}
		out.Reset()
		time.Sleep(time.Minute) // the clock of the bubble
		synctest.Wait()
		if got := strings.Count(out.String(), "\n"); got < 1000 || got > 1400 {
			t.Errorf("in a minute: got %d lines; want about 1,200", got)
		}
		cancel()
		if err := <-ended; err != nil || errs.Len() > 0 {
			t.Errorf("interrupted: got %v, %q; want no error", err, errs)
		}
	})
}

// TestGenerateTCP: lines wait for a receiver that comes late, and for another one when it goes.
func TestGenerateTCP(t *testing.T) {
	first, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := first.Addr().String()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	term, _, errs := testTerminal("")
	told := &notify{Writer: errs, seen: make(chan struct{}, 100)}
	term.err = told
	ended := make(chan int, 1)
	args := []string{"generate", "--rate", "0", "--lines", "3000", "--seed", "4", "--start", "2026-01-02T15:04:05Z"}
	go func() { ended <- run(append(args, "--tcp", address), term) }()
	<-told.seen // that nobody listens
	receiver, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer receiver.Close()
	conn, err := receiver.Accept()
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	if status := <-ended; status != exitOK {
		t.Errorf("got status %d: %s", status, errs)
	}
	if diff := cmp.Diff(generate(t, args[1:7]...), string(got)); diff != "" {
		t.Errorf("other lines than on standard output (-want +got):\n%s", diff)
	}
	if want := "trying again until it works"; strings.Count(errs.String(), want) != 1 || !strings.Contains(errs.String(), "again\n") {
		t.Errorf("got %q; want one line with %q, and one that it works", errs, want)
	}
}

// notify says when something is written.
type notify struct {
	io.Writer
	seen chan struct{}
}

func (n *notify) Write(p []byte) (int, error) {
	written, err := n.Writer.Write(p)
	n.seen <- struct{}{}
	return written, err
}

// TestTCPOutAnew: a connection that breaks is made anew, and what could not be sent is sent over the next one.
func TestTCPOutAnew(t *testing.T) {
	receiver, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer receiver.Close()
	term, _, _ := testTerminal("")
	out := &tcpOut{address: receiver.Addr().String(), term: term}
	send := func(line string) error {
		if _, err := out.write(t.Context(), "web", []byte(line)); err != nil {
			return err
		}
		return out.flush(t.Context())
	}
	if err := send("one\n"); err != nil {
		t.Fatal(err)
	}
	if err := out.conn.Close(); err != nil { // as if the other side had reset it
		t.Fatal(err)
	}
	if err := send("two\n"); err != nil {
		t.Fatal(err)
	}
	if err := out.close(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"one\n", "two\n"} {
		conn, err := receiver.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(conn); string(got) != want || err != nil {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
}

func TestGenerateUsage(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct {
		args   string
		status int
		want   string
	}{
		{"--rate -1", exitUsage, "rate of -1"},
		{"--rate x", exitUsage, "--rate"},
		{"--rate 0", exitUsage, "--lines or --duration"},
		{"--anomaly-rate 0.9", exitUsage, "0 to 0.5"},
		{"--kinds slow,fire", exitUsage, `"fire"; want one of bruteforce, crash`},
		{"--services web,mail", exitUsage, `"mail"; want one of api, billing`},
		{"--start yesterday", exitUsage, "-15m"},
		{"--format xml", exitUsage, "lines or json"},
		{"--lines -4", exitUsage, "negative"},
		{"--calm -4", exitUsage, "negative"},
		{"--tcp 5170 --lines 1", exitUsage, "host:port"},
		{"--tcp h:1 --output x --lines 1", exitUsage, "exclude"},
		{"--lines 1 file", exitUsage, "file"},
		{"--lines 1 --output " + dir + "/missing/x", exitError, "no such file"},
		{"--lines 1 --output " + dir + " --truth " + dir, exitError, "is a directory"},
	} {
		term, out, errs := testTerminal("")
		status := run(append([]string{"generate"}, strings.Fields(test.args)...), term)
		if status != test.status || !strings.Contains(errs.String(), test.want) || out.Len() > 0 {
			t.Errorf("%s: got status %d, %q, output %q; want %d and %q", test.args, status, errs, out, test.status, test.want)
		}
	}
}
