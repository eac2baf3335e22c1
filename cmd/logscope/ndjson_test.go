package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/logscope/logscope/engine"
)

func usualVerdict() engine.Verdict {
	return engine.Verdict{
		Time: time.Date(2026, 3, 2, 10, 0, 0, 250_000_000, time.UTC).UnixNano(), Score: 0.123456789, TemplateID: 0x00c0ffee12345678,
		Template: "Receiving block <*> src: <*> dest: <*>",
	}
}

func TestObject(t *testing.T) {
	anomalous := usualVerdict()
	anomalous.Score, anomalous.Anomaly, anomalous.Reason = 1, true, engine.ReasonParameter
	anomalous.Explanation, anomalous.Expected, anomalous.Observed = "size is \"large\"", "1", "2"
	anomalous.Session = "blk_1"
	for _, test := range []struct {
		event string
		v     engine.Verdict
		line  []byte
		want  string
	}{
		{"record", usualVerdict(), []byte("x"), `{"line_no":7,"file":"a.log","ts":"2026-03-02T10:00:00.25Z","score":0.123456789,"anomaly":false,"reason":"","explanation":"","template_id":"00c0ffee12345678","template":"Receiving block <*> src: <*> dest: <*>","session":null,"event":"record"}`},
		{"record", anomalous, []byte("a\tline"), `{"line_no":7,"file":"a.log","ts":"2026-03-02T10:00:00.25Z","score":1,"anomaly":true,"reason":"parameter","explanation":"size is \"large\"","expected":"1","observed":"2","template_id":"00c0ffee12345678","template":"Receiving block <*> src: <*> dest: <*>","session":"blk_1","line":"a\tline","event":"record"}`},
		{"silence", engine.Verdict{Score: math.NaN()}, nil, `{"line_no":7,"file":"a.log","ts":null,"score":0,"anomaly":false,"reason":"","explanation":"","template_id":"0000000000000000","template":"","session":null,"event":"silence"}`},
		{"drift", engine.Verdict{Score: 1.5}, nil, `{"line_no":7,"file":"a.log","ts":null,"score":1,"anomaly":false,"reason":"","explanation":"","template_id":"0000000000000000","template":"","session":null,"event":"drift"}`},
	} {
		got := string(appendObject(nil, place{"a.log", 7}, test.event, &test.v, test.line))
		if diff := cmp.Diff(test.want+"\n", got); diff != "" {
			t.Error(diff)
		}
	}
}

// FuzzString: any bytes give valid JSON that reads back as the same text.
func FuzzString(f *testing.F) {
	for _, seed := range []string{"", "plain", "q\"b\\", "\x00\x1f\x7f", "caf\u00e9 \u20ac \U0001f600", "\xff\xfe", "\xe2\x82", "\u2028", hostile} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got := appendString(nil, text)
		if same := appendString(nil, string(text)); !bytes.Equal(got, same) {
			t.Fatalf("got %q of bytes and %q of the same text", got, same)
		}
		var back string
		if err := json.Unmarshal(got, &back); err != nil {
			t.Fatalf("%q: %v", got, err)
		}
		want := new(strings.Builder)
		for _, r := range string(text) { // one U+FFFD for each byte that is none of UTF-8
			want.WriteRune(r)
		}
		if back != want.String() {
			t.Fatalf("%q: got %q back; want %q", text, back, want)
		}
	})
}

// FuzzVisible: what is shown can be printed, whatever it was.
func FuzzVisible(f *testing.F) {
	f.Add(hostile, true)
	f.Add("line\nfeed\r\n", false)
	f.Fuzz(func(t *testing.T, text string, lines bool) {
		got := visible(text, lines)
		if !utf8.ValidString(got) {
			t.Fatalf("%q: got %q; want UTF-8", text, got)
		}
		for _, r := range got {
			if r < ' ' && (r != '\n' || !lines) || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
				t.Fatalf("%q: got %q", text, got)
			}
		}
		if n := utf8.RuneCountInString(shown(text)); n > textRunesMax+1 {
			t.Fatalf("got %d characters; want at most %d", n, textRunesMax+1)
		}
	})
}

func TestTextOutput(t *testing.T) {
	v := usualVerdict()
	v.Score, v.Anomaly, v.Reason = 0.97, true, engine.ReasonSequence
	v.Explanation, v.Session = "after \"open\" comes \"read\", not \"close\"", "blk_1"
	var out bytes.Buffer
	p := &text{out: bufio.NewWriter(&out), all: true}
	p.record(place{"a.log", 7}, []byte("the line\r"), &v)
	quiet := usualVerdict()
	p.record(place{"a.log", 8}, []byte("the next"), &quiet)
	p.event(place{"a.log", 9}, &engine.Event{Kind: engine.EventSilence, Verdict: engine.Verdict{
		Score: 0.8, Anomaly: true, Reason: engine.ReasonSilence, Template: "heartbeat <*>", Explanation: "expected every 10s",
	}})
	p.event(place{"a.log", 9}, &engine.Event{Kind: engine.EventSessionEnd, Verdict: engine.Verdict{Score: 0.7, Session: "blk_2"}})
	v.Reason = engine.ReasonIncomplete
	p.event(place{"a.log", 9}, &engine.Event{Kind: engine.EventSessionEnd, Verdict: v})
	if err := p.out.Flush(); err != nil {
		t.Fatal(err)
	}
	want := `2026-03-02 10:00:00  0.97  sequence  a.log:7
    after "open" comes "read", not "close"
    session  blk_1
    template Receiving block <*> src: <*> dest: <*>
    line     the line\r

0.123 the next
time unknown         0.80  silence  a.log:9
    expected every 10s
    template heartbeat <*>

0.700 session end blk_2
2026-03-02 10:00:00  0.97  incomplete (session end)  a.log:9
    after "open" comes "read", not "close"
    session  blk_1
    template Receiving block <*> src: <*> dest: <*>

`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestSummary(t *testing.T) {
	s := summary{lines: 1_234_567, files: 2, cut: 1}
	for range 12 {
		s.add(&engine.Verdict{Anomaly: true, Reason: engine.ReasonNovelty, Time: time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC).UnixNano()})
	}
	s.add(&engine.Verdict{Time: time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC).UnixNano()})
	s.addEvent(&engine.Event{Verdict: engine.Verdict{Anomaly: true, Reason: engine.ReasonSilence}})
	s.elapsed, s.stats = 2*time.Second, engine.Stats{Templates: 1, ModelsEvicted: 3}
	var out bytes.Buffer
	p := &text{out: bufio.NewWriter(&out)}
	p.summary(&s)
	if err := p.out.Flush(); err != nil {
		t.Fatal(err)
	}
	want := `1,234,567 lines in 2 files, 1 template, from 2026-03-02 10:00:00 to 2026-03-02 12:00:00
13 anomalies: 12 novelty, 1 silence
2.0 s, 617,283 lines a second
of 1 line only the first 1048576 bytes were scored
3 models forgotten to keep within --max-models and --memory-limit
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestProgress(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out, 60, 1000, time.Now().Add(-2*time.Second))
	p.show(500, &summary{lines: 4000, anomalies: 1})
	p.show(600, &summary{}) // too soon to be drawn
	p.clear()
	p.clear()
	got := out.String()
	want := "\r\x1b[K[===============               ]  50%  4,000 lines  1 anoma\r\x1b[K"
	if got != want {
		t.Errorf("got %q; want %q", got, want)
	}
	if p.sofar() != 600 {
		t.Errorf("got %d; want 600", p.sofar())
	}
	var none *progress
	none.show(1, nil)
	none.clear()
}
