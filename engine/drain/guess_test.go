package drain

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// seen is all that a Miner finds in a line before it looks for a template.
type seen struct {
	Skeleton, Message string
	Tokens            []string
	Params            []param
	Time              int64
	Level             Level
	Hosts             [8]uint64
}

// seenIn reads the line with m's guides and outlines, and without.
func seenIn(m *Miner, line []byte, raw bool) (guessed, read seen) {
	bare := *m
	bare.guides, bare.head.old, bare.scan, bare.own = nil, outlines{}, scanner{}, reading{}
	// Guess whether it pays or not.
	m.head.old.trial, m.head.old.credit = trial{}, outlineCredit*outlineEvery
	if m.guides != nil {
		m.guides.trial, m.guides.credit = trial{}, guideCredit*guideEvery
	}
	take := func(m *Miner) seen {
		got := &m.own
		m.read(got, line, raw)
		r := seen{Skeleton: string(got.skel), Message: string(got.message), Params: paramsOf(got.params), Time: got.time, Level: got.level, Hosts: m.head.hosts}
		if len(got.skel) > 0 && bytes.Count(got.skel, []byte(" "))+1 != m.scan.words {
			panic(fmt.Sprintf("line %q: the skeleton %q has other words than the %d tokens", line, got.skel, m.scan.words))
		}
		for _, t := range got.toks {
			for n := range int(t.words) {
				r.Tokens = append(r.Tokens, fmt.Sprint(got.wordOf(t, n)))
			}
		}
		for i := range r.Params {
			if r.Params[i].Kind != Number {
				r.Params[i].Num = 0
			}
		}
		return r
	}
	read = take(&bare)
	return take(m), read
}

// guessWorld are lines of many headers and messages, several of each.
func guessWorld() [][]byte {
	lines := append(hdfsLines(400), mixedLines(900)...)
	for i := range 300 {
		for _, s := range []string{
			"Jun 14 15:16:%02[1]d combo sshd(pam_unix)[%[2]d]: authentication failure; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost=h%[2]d.example.com",
			"2005-06-03-15.42.50.%06[2]d R02-M1-N0 RAS KERNEL INFO instruction cache parity error corrected",
			"- 1131566461 2005.11.09 dn%[1]d Nov 9 12:01:01 dn%[1]d/dn%[1]d crond[%[2]d]: (root) CMD (run-parts /etc/cron.hourly)",
			"2015-10-18 18:01:%02[1]d,978 INFO [main] org.apache.hadoop.mapreduce.v2.app.MRAppMaster: Created MRAppMaster for application appattempt_%[2]d_0062_000001",
			"17/06/09 20:10:%02[1]d INFO executor.CoarseGrainedExecutorBackend: Got assigned task %[2]d",
			"[Sun Dec 04 04:47:%02[1]d 2005] [error] mod_jk child workerEnv in error state %[2]d",
			"2016-09-28 04:30:%02[1]d, Info                  CBS    Loaded Servicing Stack v6.1.7601.%[2]d with Core: C:\\Windows\\winsxs\\x",
			"nova-compute.log.1 2017-05-16 00:00:%02[1]d.272 %[2]d INFO nova.virt [req-%[2]d 1] [instance: %[2]d] VM Started (Lifecycle Event)",
			"I0102 15:04:%02[1]d.678901 %7[2]d main.go:%[1]d] now %[2]d of 5 left, May 5 and on",
			"2024-05-01T10:00:%02[1]d.5Z stderr F WARN [http-%[2]d] slow query: %[2]d ms, user: bob%[1]d, state: open",
			"%[2]d %[1]d INFO took %[2]d s for 12 Jan 2024, id=%[2]d k=v mode: %[1]d",
			"2024-05-01 10:00:%02[1]d %[2]d %[2]d I app.Main: x", "2024-05-01 10:00:%02[1]d INFO  [pool-%[1]d-thread-%[2]d] a.b.C - done in 5ms",
			"2024-05-01 10:00:%02[1]d INFO Main - tags [alpha, beta] of [one two] <none, took %[2]d", "2024-05-01 10:00:%02[1]d INFO Main - tags [alpha, of (x) is true, null %[2]d",
			"2024-05-01 10:00:%02[1]d ERROR Main - may fail ::1 a..b list 1 2 3 4 5 %[2]d", "W, [2024-05-01T10:00:%02[1]d.5 #%[2]d]  WARN -- : deprecated",
		} {
			lines = append(lines, fmt.Appendf(nil, s, i%60, i*i*37%99991))
		}
	}
	return lines
}

// TestGuesses says that guides and outlines change nothing in what is read,
// in lines as they are and in lines with bytes changed.
func TestGuesses(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	lines := guessWorld()
	r.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	m := newMiner(t, Config{ClustersMax: 2000, BytesMax: 8 << 20})
	var out Line
	guided, recalled := 0, 0
	for n, line := range lines {
		for range 4 {
			got, want := seenIn(m, line, false)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("line %d, %q: -read, +guessed:\n%s", n, line, diff)
			}
			if m.scan.guides != nil {
				guided++
			}
			if m.head.b = line; m.head.recall() {
				recalled++
			}
			line = mutate(r, line, lines)
		}
		m.head.old.trial = trial{}
		m.Parse(&out, lines[n], false)
	}
	if guided < len(lines) || recalled < len(lines)/4 {
		t.Errorf("got %d lines guided and %d recalled of %d; the test compares nothing", guided, recalled, 4*len(lines))
	}
}

// mutate changes a few bytes of a line, most near places where rules look, or
// joins it with another.
func mutate(r *rand.Rand, line []byte, lines [][]byte) []byte {
	out := bytes.Clone(line)
	for range 1 + r.IntN(3) {
		if len(out) == 0 {
			return out
		}
		at := r.IntN(len(out))
		if r.IntN(2) == 0 {
			at = r.IntN(min(len(out), 60))
		}
		const odd = "0123456789 :.-[]()=,|'\"/ABIJaxz\\{_#"
		switch r.IntN(6) {
		case 0:
			out[at] = odd[r.IntN(len(odd))]
		case 1:
			out = append(out[:at], out[at+1:]...)
		case 2:
			out = append(out[:at:at], append([]byte{odd[r.IntN(len(odd))]}, out[at:]...)...)
		case 3:
			words := []string{"Jan ", "INFO ", "Sun ", "12:00:00 ", "may ", "123456 ", "2024-01-01 ", "1700000000 ", "host ", "error: ", "  ", "KB "}
			out = append(out[:at:at], append([]byte(words[r.IntN(len(words))]), out[at:]...)...)
		case 4:
			other := lines[r.IntN(len(lines))]
			out = append(out[:at:at], other[min(at, len(other)):]...)
		case 5:
			if sp := strings.IndexByte(string(out[at:]), ' '); sp >= 0 {
				out = append(out[:at+sp:at+sp], append([]byte{' '}, out[at+sp:]...)...)
			}
		}
	}
	return out
}

// FuzzGuesses is TestGuesses on whatever lines: the first half of the data are
// the lines that guides and outlines are made of.
func FuzzGuesses(f *testing.F) {
	lines := guessWorld()
	f.Add(bytes.Join(lines[:40], []byte("\n")))
	f.Add(bytes.Join(lines[1300:1345], []byte("\n")))
	f.Fuzz(func(t *testing.T, data []byte) {
		m := newMiner(t, Config{ClustersMax: 64, BytesMax: 1 << 20})
		var out Line
		for _, line := range bytes.Split(data, []byte("\n")) {
			got, want := seenIn(m, line, false)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%q: -read, +guessed:\n%s", line, diff)
			}
			m.Parse(&out, line, false)
			m.Parse(&out, line, false)
		}
	})
}
