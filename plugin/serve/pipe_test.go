package serve

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logscope/logscope/engine"
	"github.com/logscope/logscope/plugin/serve/jsonscan"
)

// runPipe takes input through a Pipe, in reads of at most piece bytes.
func runPipe(t testing.TB, input string, piece int, lineMax int64, modelKey ...string) (string, PipeStats) {
	t.Helper()
	var out bytes.Buffer
	p, err := NewPipe(engine.DefaultConfig(), modelKey, lineMax, &out, func(text string) { t.Error(text) })
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Copy(&pieces{data: []byte(input), size: piece}); err != nil {
		t.Fatal(err)
	}
	return out.String(), p.Stats()
}

// pieces gives data in reads of at most size bytes.
type pieces struct {
	data []byte
	size int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.data) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), p.size)], p.data)
	p.data = p.data[n:]
	return n, nil
}

// TestPipeKeepsEveryLine in order, with what is no record as it came, however the input is cut.
func TestPipeKeepsEveryLine(t *testing.T) {
	long := `{"message":"` + strings.Repeat("x", 3000) + `"}`
	lines := []string{
		`{"message":"a"}`, `  {"b": [1, {"c": null}] }  `, `no JSON`, ``, `{"broken":`, `[1]`, `{}`, long, "\x00\xff", `{"logscope":{"old":1},"z":1}`,
		`{"a":1,"logscope":2}`, `{"logscope":3}`, `{"a":1,"logscope":2,"b":2}`,
	}
	for _, piece := range []int{1, 7, 64, 1 << 20} {
		for _, end := range []string{"\n", ""} {
			got, stats := runPipe(t, strings.Join(lines, "\n")+end, piece, 2048)
			out := strings.Split(strings.TrimSuffix(got, end), "\n")
			if len(out) != len(lines) || strings.HasSuffix(got, "\n") != (end == "\n") {
				t.Fatalf("pieces of %d: got %d lines %q; want %d", piece, len(out), got, len(lines))
			}
			for i, in := range lines {
				checkPiped(t, in, out[i], in != long)
			}
			if want := (PipeStats{Records: 7, Invalid: 4, Long: 1}); stats != want {
				t.Errorf("pieces of %d: got %+v; want %+v", piece, stats, want)
			}
		}
	}
}

// checkPiped compares a line with what came out.
func checkPiped(t *testing.T, in, out string, short bool) {
	t.Helper()
	var before, after map[string]any
	if json.Unmarshal([]byte(in), &before) != nil || !short {
		if in != out {
			t.Errorf("got %q; want %q as it came", out, in)
		}
		return
	}
	if err := json.Unmarshal([]byte(out), &after); err != nil {
		t.Fatalf("%q became %q: %v", in, out, err)
	}
	verdict, _ := after[field].(map[string]any)
	for _, name := range []string{"score", "anomaly", "reason", "explanation", "template_id"} {
		if _, ok := verdict[name]; !ok {
			t.Errorf("%q became %q; want %s in it", in, out, name)
		}
	}
	delete(before, field)
	delete(after, field)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("%q became %q: %s", in, out, diff)
	}
}

// TestPipeFindsTheOddOne in each model, which model_key or Kubernetes names.
func TestPipeFindsTheOddOne(t *testing.T) {
	var in strings.Builder
	for _, line := range normal(900) {
		fmt.Fprintf(&in, "{\"message\":%q,\"kubernetes\":{\"pod_namespace\":\"shop\",\"container_name\":\"web\"}}\n", line)
	}
	fmt.Fprintf(&in, "{\"message\":%q,\"kubernetes\":{\"pod_namespace\":\"shop\",\"container_name\":\"web\"}}\n", odd)
	fmt.Fprintf(&in, "{\"message\":%q,\"kubernetes\":{\"pod_namespace\":\"shop\",\"container_name\":\"new\"}}\n", odd)
	got, stats := runPipe(t, in.String(), 1<<20, 1<<20)
	lines := strings.Split(strings.TrimSpace(got), "\n")
	for i, line := range lines {
		var record struct {
			Logscope struct {
				Anomaly             bool
				Reason, Explanation string
			}
		}
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		if want := i == 900; record.Logscope.Anomaly != want {
			t.Errorf("line %d: got anomaly %v; want %v: %s", i, record.Logscope.Anomaly, want, line)
		} else if want && (record.Logscope.Reason != "novelty" || record.Logscope.Explanation == "") {
			t.Errorf("got %s; want a novelty with its explanation", line)
		}
	}
	if stats.Anomalies != 1 || stats.Records != 902 {
		t.Errorf("got %+v; want 902 records, 1 anomaly", stats)
	}
}

// TestPipeInputsKeepTheirLines: what one input leaves without its end, another does not write into.
func TestPipeInputsKeepTheirLines(t *testing.T) {
	var out bytes.Buffer
	p, err := NewPipe(engine.DefaultConfig(), nil, 64, &out, func(text string) { t.Error(text) })
	if err != nil {
		t.Fatal(err)
	}
	copyAll := func(text string) {
		t.Helper()
		if err := p.Copy(strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	copyAll(`{"cut":1}`)
	copyAll("{\"whole\":1}\n")
	// Within a long line of one input, another has its turn.
	piece := strings.Repeat("x", 64)
	slow, feed := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- p.Copy(slow) }()
	for range 2 { // the second is taken once the first has been written
		if _, err := io.WriteString(feed, piece); err != nil {
			t.Fatal(err)
		}
	}
	copyAll("{\"between\":1}\n")
	if _, err := io.WriteString(feed, "end\n"); err != nil {
		t.Fatal(err)
	}
	_ = feed.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	records := map[string]bool{}
	for _, line := range strings.Split(out.String(), "\n") {
		var record map[string]any
		if json.Unmarshal([]byte(line), &record) == nil {
			for name := range record {
				records[name] = true
			}
		} else if strings.Trim(line, "xend") != "" {
			t.Errorf("got the line %q; want a record, or the long line's text alone", line)
		}
	}
	for _, name := range []string{"cut", "whole", "between"} {
		if !records[name] {
			t.Errorf("got %q; want the record %s on a line of its own", out.String(), name)
		}
	}
}

// FuzzPipe: nothing panics, no line is lost or moved, whatever comes.
func FuzzPipe(f *testing.F) {
	f.Add([]byte("{\"a\":1}\n{\"logscope\":1}\nx"))
	f.Add([]byte("{\"a\":{\"b\":[1,2,\"\\ud800\"]}}\r\n\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		var out bytes.Buffer
		p, err := NewPipe(engine.DefaultConfig(), nil, 64, &out, func(text string) { t.Error(text) })
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Copy(&pieces{data: bytes.Clone(in), size: 5}); err != nil {
			t.Fatal(err)
		}
		got, want := bytes.SplitAfter(out.Bytes(), []byte("\n")), bytes.SplitAfter(in, []byte("\n"))
		if len(got) != len(want) {
			t.Fatalf("%q: got %d lines; want %d", in, len(got), len(want))
		}
		for i := range want {
			if bytes.Equal(got[i], want[i]) {
				continue
			}
			if !json.Valid(got[i]) || !json.Valid(want[i]) || !bytes.Contains(got[i], []byte(`"logscope":{"score":`)) {
				t.Errorf("%q became %q", want[i], got[i])
			}
		}
	})
}

// FuzzJSONScan holds the scanner against encoding/json: what is JSON, and what strings say.
func FuzzJSONScan(f *testing.F) {
	for _, s := range []string{`{"a":[1,-0.5e+3,"\u00e9\ud83d\ude00\n",true,null]}`, `"\ud800x"`, ` [ ] `, `01`, `{"a":1,}`, `"` + "\x01" + `"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if bytes.Count(in, []byte("["))+bytes.Count(in, []byte("{")) > jsonscan.DepthMax {
			return
		}
		value, err := jsonscan.Only(in)
		if got, want := err == nil, json.Valid(in); got != want {
			t.Fatalf("%q: got valid %v; want %v", in, got, want)
		}
		if err != nil {
			return
		}
		var want any
		if err := json.Unmarshal(in, &want); err != nil {
			return // a number out of range
		}
		if diff := cmp.Diff(want, build(value)); diff != "" {
			t.Errorf("%q: %s", in, diff)
		}
	})
}

// build makes of a scanned value what encoding/json makes of it.
func build(v []byte) any {
	switch jsonscan.KindOf(v) {
	case jsonscan.Object:
		out := map[string]any{}
		for m := jsonscan.PairsOf(v); m.Next(); {
			out[build(m.Key).(string)] = build(m.Val)
		}
		return out
	case jsonscan.Array:
		out := []any{}
		for e := jsonscan.ElementsOf(v); e.Next(); {
			out = append(out, build(e.Val))
		}
		return out
	case jsonscan.String:
		_, text := jsonscan.Text(nil, v)
		return string([]rune(string(text))) // as encoding/json: each byte that is not UTF-8 becomes U+FFFD
	}
	var out any
	_ = json.Unmarshal(v, &out)
	return out
}
