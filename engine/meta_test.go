package engine

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestBlocksChangeNothingOnceSettled scores the same records in blocks of
// other sizes behind a common beginning, in which all templates were met.
func TestBlocksChangeNothingOnceSettled(t *testing.T) {
	recs := mixed(9000)
	for i := range recs { // faults would found templates in other blocks
		if bytes.Contains(recs[i].Line, []byte("unexpected fault")) {
			recs[i].Line = []byte("INFO heartbeat seq=1")
		}
	}
	var want outcome
	for i, block := range []int{3000, 7, 1, 1000} {
		e := newEngine(t)
		got := run(t, e, recs[:3000], 3000, nil)
		rest := run(t, e, recs[3000:], block, nil)
		got.Verdicts = append(got.Verdicts, rest.Verdicts...)
		got.Events = append(got.Events, rest.Events...)
		if i == 0 {
			want = got
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("blocks of %d give other verdicts (-3000 +%d):\n%.3000s", block, block, diff)
		}
	}
}

// TestRenamedIdentifiersChangeNothing maps the digits of all identifiers by a
// bijection: the same records must be found.
func TestRenamedIdentifiersChangeNothing(t *testing.T) {
	recs := mixed(9000)
	id := regexp.MustCompile(`job-[0-9]+`)
	swap := func(b []byte) []byte {
		for i, c := range b {
			if c >= '0' && c <= '9' {
				b[i] = "4730695812"[c-'0']
			}
		}
		return b
	}
	renamed := make([]Record, len(recs))
	for i, r := range recs {
		renamed[i] = r
		renamed[i].Line = id.ReplaceAllFunc(r.Line, func(b []byte) []byte { return swap(append([]byte(nil), b...)) })
	}
	flags := func(recs []Record) (out []string) {
		o := run(t, newEngine(t), recs, 500, nil)
		for i, v := range o.Verdicts {
			if v.Anomaly {
				out = append(out, fmt.Sprintf("record %d %s %.9f", i, v.Reason, v.Score))
			}
		}
		for _, ev := range o.Events {
			out = append(out, fmt.Sprintf("%s %d %s %.9f", ev.Kind, ev.Seq, ev.Reason, ev.Score))
		}
		return out
	}
	want := flags(recs)
	if len(want) < 5 {
		t.Fatalf("got %d findings; want enough to compare", len(want))
	}
	if diff := cmp.Diff(want, flags(renamed)); diff != "" {
		t.Errorf("other identifiers give other findings:\n%s", diff)
	}
}

// TestRescoreChangesNothing scores records without learning in between.
func TestRescoreChangesNothing(t *testing.T) {
	recs := mixed(4000)
	e := newEngine(t)
	run(t, e, recs[:3000], 500, nil)
	before := e.Snapshot(nil)
	first := e.Rescore(nil, recs[3000:])
	if !bytes.Equal(before, e.Snapshot(nil)) {
		t.Error("rescoring changed the state")
	}
	if diff := cmp.Diff(first, e.Rescore(nil, recs[3000:])); diff != "" {
		t.Errorf("rescoring twice gives two answers:\n%.2000s", diff)
	}
	if len(e.Events(nil)) > 0 {
		t.Error("rescoring raised events")
	}
}

// TestModelsAreBounded scores more streams than may have a model.
func TestModelsAreBounded(t *testing.T) {
	cfg := DefaultConfig()
	cfg.ModelsMax, cfg.MemoryMax = 4, memoryLeast
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		recs := mixed(700)
		for j := range recs {
			recs[j].Stream = fmt.Sprint("stream-", i%9)
		}
		e.Score(nil, recs)
	}
	s := e.Stats()
	if s.Models > 4 || s.ModelsEvicted == 0 {
		t.Errorf("got %d models, %d evicted; want at most 4 and some evicted", s.Models, s.ModelsEvicted)
	}
}

// TestValidateNamesEveryFault has all fields wrong at once.
func TestValidateNamesEveryFault(t *testing.T) {
	_, err := New(Config{Threshold: 2, ModelsMax: 0, MemoryMax: 5, TemplatesMax: -1, Warmup: -1})
	if err == nil {
		t.Fatal("got no error")
	}
	for _, part := range []string{"threshold 2", "0 models", "5 bytes", "-1 templates", "warm-up of -1"} {
		if !bytes.Contains([]byte(err.Error()), []byte(part)) {
			t.Errorf("got %q; want it to name %q", err, part)
		}
	}
}

// FuzzScore feeds hostile lines and times between ordinary ones.
func FuzzScore(f *testing.F) {
	f.Add([]byte("INFO job-1 done\n\"GET /a%zz HTTP/1.1\" 200 -1\n{\"a\":1e999}"), int64(1), uint64(1))
	f.Add([]byte("\xff\xfe\x00\n\"GET \n\"GET /% HTTP\"\n1.2.3.4.5 - [x] \"POST /%4\" "), int64(-1)<<63, uint64(7))
	f.Add(bytes.Repeat([]byte("id=12345678 k=0x1p-3 NaN Inf -0 "), 50), int64(1)<<62, uint64(9))
	f.Fuzz(func(t *testing.T, data []byte, at int64, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 1))
		e := newEngine(t)
		recs := mixed(300)
		for _, line := range bytes.Split(data, []byte("\n")) {
			for range 1 + rng.IntN(3) {
				i := rng.IntN(len(recs))
				recs[i] = Record{Stream: recs[i].Stream, Time: at ^ int64(rng.Uint64N(1<<60)), Line: line, Raw: rng.IntN(2) == 0}
			}
		}
		out := run(t, e, recs, 1+rng.IntN(200), nil)
		for i, v := range out.Verdicts {
			if !(v.Score >= 0 && v.Score <= 1) {
				t.Fatalf("record %d: got score %v; want 0 to 1", i, v.Score)
			}
		}
		e.Rescore(nil, recs)
		state := e.Snapshot(nil)
		if err := newEngine(t).Restore(state); err != nil {
			t.Fatalf("cannot restore own snapshot: %v", err)
		}
	})
}
