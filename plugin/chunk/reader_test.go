package chunk

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// bytesOf turns hex groups and 'quoted text' into bytes.
func bytesOf(t testing.TB, script string) []byte {
	t.Helper()
	var out []byte
	for i, part := range strings.Split(script, "'") {
		if i%2 == 1 {
			out = append(out, part...)
			continue
		}
		b, err := hex.DecodeString(strings.Join(strings.Fields(part), ""))
		if err != nil {
			t.Fatalf("bad script %q: %v", script, err)
		}
		out = append(out, b...)
	}
	return out
}

// trace reads all of data as a consumer does, one line per thing that happens.
func trace(data []byte) []string {
	var lines []string
	r := NewReader(data)
	var rec Record
	for {
		err := r.Next(&rec)
		var damage *Error
		switch {
		case err == io.EOF:
			return lines
		case errors.As(err, &damage):
			skipped, ok := r.Resync()
			lines = append(lines, fmt.Sprintf("error record=%d byte=%d %s; skipped %d, more %v", damage.Record, damage.Offset, causeName(damage.Cause), skipped, ok))
			continue
		case err != nil:
			return append(lines, "unexpected "+err.Error())
		}
		line := fmt.Sprintf("%d %s", rec.Time, rec.Body.AppendJSON(nil))
		if rec.Metadata.Kind() == Map {
			line += fmt.Sprintf(" meta=%s", rec.Metadata.AppendJSON(nil))
		}
		if rec.Group != nil {
			line += fmt.Sprintf(" group=%s %s", rec.Group.Metadata.AppendJSON(nil), rec.Group.Body.AppendJSON(nil))
		}
		lines = append(lines, line)
	}
}

func causeName(err error) string {
	for name, cause := range map[string]error{
		"truncated": ErrTruncated, "code": ErrCode, "depth": ErrDepth, "event": ErrEvent,
		"time": ErrTime, "metadata": ErrMetadata, "body": ErrBody,
	} {
		if err == cause {
			return name
		}
	}
	return err.Error()
}

// Pieces of scripts, and what trace makes of them.
const (
	ext  = "d700 65000000 00000001 " // 1694498816.000000001
	v1a  = "92 " + ext + "81 a1'm' a1'a' "
	v2b  = "92 92 " + ext + "80 81 a1'm' a1'b' "
	recA = `1694498816000000001 {"m":"a"}`
	recB = `1694498816000000001 {"m":"b"} meta={}`
)

type readerCase struct {
	name, in string
	want     []string
}

func checkTraces(t *testing.T, tests []readerCase) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, trace(bytesOf(t, tt.in))); diff != "" {
				t.Errorf("trace (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReaderEventForms(t *testing.T) {
	checkTraces(t, []readerCase{
		{"empty", "", nil},
		{"v1", v1a, []string{recA}},
		{"v2", v2b, []string{recB}},
		{"v1 and v2 mixed", v1a + v2b + v1a, []string{recA, recB, recA}},
		{"v2 with OTLP metadata", "92 92 " + ext + "81 a4'otlp' 81 ad'severity_text' a4'WARN' 81 a1'm' a1'b'",
			[]string{`1694498816000000001 {"m":"b"} meta={"otlp":{"severity_text":"WARN"}}`}},
		{"v2 with nil metadata", "92 92 " + ext + "c0 81 a1'm' a1'b'", []string{`1694498816000000001 {"m":"b"}`}},
		{"arrays of two in their long forms", "dc0002 dd00000002 " + ext + "de0000 df00000001 a1'm' a1'b'", []string{recB}},

		{"time as ext8", "92 c708 00 65000000 00000001 81 a1'm' a1'a'", []string{recA}},
		{"time after 2038", "92 d700 80000000 00000000 80", []string{"2147483648000000000 {}"}},
		{"time as fixint", "92 05 80", []string{"5000000000 {}"}},
		{"time as uint32", "92 ce65000000 80", []string{"1694498816000000000 {}"}},
		{"time as uint64", "92 cf0000000065000000 80", []string{"1694498816000000000 {}"}},
		{"time as positive int64", "92 d30000000065000000 80", []string{"1694498816000000000 {}"}},
		{"time as float64", "92 cb41d9400000200000 80", []string{"1694498816500000000 {}"}},
		{"time as float32", "92 ca4ecA0000 80", []string{"1694498816000000000 {}"}},
		{"time negative", "92 ff 80" + v1a, []string{"error record=0 byte=1 time; skipped 3, more true", recA}},
		{"time of nanoseconds where seconds belong", "92 cf17840000cf000000 80",
			[]string{"error record=0 byte=1 time; skipped 11, more false"}},
		{"time NaN", "92 cb7ff8000000000001 80", []string{"error record=0 byte=1 time; skipped 11, more false"}},
		{"time too large", "92 cb7fefffffffffffff 80", []string{"error record=0 byte=1 time; skipped 11, more false"}},
		{"time of another ext type", "92 d701 65000000 00000001 80", []string{"error record=0 byte=1 time; skipped 12, more false"}},
		{"time of another ext length", "92 c704 00 65000000 80", []string{"error record=0 byte=1 time; skipped 9, more false"}},
		{"time as string", "92 a1'x' 80", []string{"error record=0 byte=1 time; skipped 4, more false"}},
		{"time missing in the header", "92 92 80 80 80", []string{"error record=0 byte=2 time; skipped 5, more false"}},
	})
}

func TestReaderGroups(t *testing.T) {
	checkTraces(t, []readerCase{
		{"group", v1a + "92 92 d700 ffffffff 00000000 81 a1'g' 01 81 a1'r' 02" + v1a + v2b +
			"92 92 d700 fffffffe 00000000 80 80" + v1a,
			[]string{recA, recA + ` group={"g":1} {"r":2}`, recB + ` group={"g":1} {"r":2}`, recA}},
		{"group without its end", "92 92 d700 ffffffff 00000000 80 81 a1'r' 01" + v1a + "92 92 d700 ffffffff 00000000 80 81 a1'r' 02" + v1a,
			[]string{recA + ` group={} {"r":1}`, recA + ` group={} {"r":2}`}},
		{"group end alone", "92 92 d700 fffffffe 00000000 80 80" + v1a, []string{recA}},
		{"markers only", "92 92 d700 ffffffff 00000000 80 80 92 92 d700 fffffffe 00000000 80 80", nil},
		{"group holds over damage", "92 92 d700 ffffffff 00000000 80 80" + "c1" + v1a,
			[]string{"error record=14 byte=14 event; skipped 1, more true", recA + ` group={} {}`}},
		{"group ends with a damaged marker", "92 92 d700 ffffffff 00000000 80 80" + "93 92 d700 fffffffe 00000000 80 80" + v1a,
			[]string{"error record=14 byte=14 event; skipped 14, more true", recA}},
	})
}

func TestReaderDamage(t *testing.T) {
	checkTraces(t, []readerCase{
		{"array of three", "93 " + ext + "80 80" + v1a, []string{"error record=0 byte=0 event; skipped 13, more true", recA}},
		{"scalar between records", v1a + "01" + v2b, []string{recA, "error record=16 byte=16 event; skipped 1, more true", recB}},
		{"body is a string", "92 " + ext + "a1'x'" + v1a, []string{"error record=0 byte=11 body; skipped 13, more true", recA}},
		{"metadata is a string", "92 92 " + ext + "a1'x' 80" + v1a, []string{"error record=0 byte=12 metadata; skipped 15, more true", recA}},
		{"byte c1 in a value", "92 " + ext + "81 a1'm' c1" + v2b, []string{"error record=0 byte=14 code; skipped 15, more true", recB}},
		{"text in front", "'oops'" + v1a, []string{"error record=0 byte=0 event; skipped 4, more true", recA}},
		{"text only", "'oops, no chunk'", []string{"error record=0 byte=0 event; skipped 14, more false"}},
		{"string longer than the chunk", "92 " + ext + "81 a1'm' da0fff 'abc'" + v2b + v1a,
			[]string{"error record=0 byte=14 truncated; skipped 20, more true", recB, recA}},
		{"map that claims 4 G pairs", "92 " + ext + "df ffffffff a1'm' a1'a'" + v1a,
			[]string{"error record=0 byte=11 truncated; skipped 20, more true", recA}},
		{"map longer than the record", "92 " + ext + "83 a1'm' a1'a'" + v2b,
			[]string{"error record=0 byte=34 truncated; skipped 16, more true", recB}},
		{"header of a damaged v2 record is none", "92 92 " + ext + "80 de" + v2b, []string{
			"error record=0 byte=13 truncated; skipped 14, more true", recB}},
		{"next event has its time as ext8", "c1 92 c708 00 65000000 00000001 81 a1'm' a1'a'",
			[]string{"error record=0 byte=0 event; skipped 1, more true", recA}},
		{"next event has its time as uint32", "c1 92 ce65000000 80",
			[]string{"error record=0 byte=0 event; skipped 1, more true", "1694498816000000000 {}"}},
		{"next event has its time as int64", "c1 92 92 d30000000065000000 80 80",
			[]string{"error record=0 byte=0 event; skipped 1, more true", "1694498816000000000 {} meta={}"}},
		{"next event has its time as float64", "c1 92 cb41d9400000200000 80",
			[]string{"error record=0 byte=0 event; skipped 1, more true", "1694498816500000000 {}"}},
		// Small numbers are no times among damaged bytes, only where an event is due.
		{"pair of numbers in damaged bytes", "c1 92 05 80 92 ce00000005 80 92 cb3ff0000000000000 80 92 cf0000000000000005 80" + v1a,
			[]string{"error record=0 byte=0 event; skipped 33, more true", recA}},
		{"time cut in damaged bytes", "c1 92 cf00000000", []string{"error record=0 byte=0 event; skipped 7, more false"}},
		{"ends after a 92 in damaged bytes", "c1 92", []string{"error record=0 byte=0 event; skipped 2, more false"}},
		{"long header cut", "dd 0000", []string{"error record=0 byte=0 truncated; skipped 3, more false"}},
		{"first byte of a v2 record damaged", "c1 92 " + ext + "80 81 a1'm' a1'b'" + v1a,
			[]string{"error record=0 byte=0 event; skipped 18, more true", recA}},
	})
}

// A chunk cut anywhere gives its whole records, then one error.
func TestReaderCut(t *testing.T) {
	var w Writer
	for i := range 3 {
		err := w.AppendRecord(int64(i), Pairs{"level", "info"}, Pairs{"log", strings.Repeat("x", 40*i), "n", i, "sub", map[string]any{"f": 1.5, "b": []byte{1, 2}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	whole := trace(w.Buf)
	for cut := range len(w.Buf) {
		got := trace(w.Buf[:cut])
		clean := true
		if n := len(got); n > 0 && strings.HasPrefix(got[n-1], "error") {
			got, clean = got[:n-1], false
		}
		if len(got) > 2 || !slices.Equal(whole[:len(got)], got) {
			t.Fatalf("cut at %d: got %q; want the first of %q", cut, got, whole)
		}
		r := NewReader(w.Buf[:cut])
		var rec Record
		for range got {
			_ = r.Next(&rec)
		}
		if atEnd := r.Offset() == cut; atEnd != clean {
			t.Fatalf("cut at %d: got error %v; want %v", cut, !clean, !atEnd)
		}
	}
}

// Any single damaged byte costs at most the record it is in, unless it makes a
// string or map swallow what follows; nothing is invented in front of it.
func TestReaderDamagedByte(t *testing.T) {
	var w Writer
	var starts []int
	for i := range 5 {
		starts = append(starts, len(w.Buf))
		w.AppendLine(int64(i+1)*1e17, "log", fmt.Sprintf("line %d of the test", i))
	}
	whole := trace(w.Buf)
	for at := range w.Buf {
		record := 0
		for record+1 < len(starts) && starts[record+1] <= at {
			record++
		}
		damaged := append([]byte(nil), w.Buf...)
		damaged[at] = 0xc1
		got := trace(damaged)
		if len(got) < record || cmp.Diff(whole[:record], got[:record]) != "" {
			t.Fatalf("byte %d: got %q; want the records before it", at, got)
		}
		if after := len(whole) - record - 1; len(got) < after || cmp.Diff(whole[record+1:], got[len(got)-after:]) != "" {
			t.Fatalf("byte %d: got %q; want the records behind it", at, got)
		}
	}
}

func TestReaderDepth(t *testing.T) {
	nested := func(depth int) []byte {
		v := any(1)
		for range depth {
			v = []any{v}
		}
		var w Writer
		if err := w.AppendRecordV1(0, Pairs{"deep", v}); err != nil {
			t.Fatal(err)
		}
		return w.Buf
	}
	// The event and its body take two levels.
	if got := trace(nested(DepthMax - 2)); len(got) != 1 || strings.HasPrefix(got[0], "error") {
		t.Errorf("got %q; want a record", got)
	}
	for _, depth := range []int{DepthMax - 1, 1000, 100_000} {
		got := trace(append(nested(depth), nested(1)...))
		if len(got) != 2 || !strings.Contains(got[0], "depth; skipped") || got[1] != `0 {"deep":[1]}` {
			t.Errorf("depth %d: got %.200q; want ErrDepth, then the next record", depth, got)
		}
	}
}

func TestErrorSticksUntilResync(t *testing.T) {
	r := NewReader(bytesOf(t, "c1 92 d700 65000000 00000001 80"))
	var rec Record
	first, second := r.Next(&rec), r.Next(&rec)
	if first == nil || first != second {
		t.Fatalf("got %v, then %v; want the same error twice", first, second)
	}
	if want := "cannot read the record at byte 0: byte 0: an event is an array of two, this is not"; first.Error() != want {
		t.Errorf("got %q; want %q", first, want)
	}
	if !errors.Is(first, ErrEvent) {
		t.Errorf("got %v; want ErrEvent", first)
	}
	if skipped, ok := r.Resync(); skipped != 1 || !ok {
		t.Errorf("Resync: got %d, %v; want 1, true", skipped, ok)
	}
	if skipped, ok := r.Resync(); skipped != 0 || !ok {
		t.Errorf("Resync without an error: got %d, %v; want 0, true", skipped, ok)
	}
	if err := r.Next(&rec); err != nil {
		t.Errorf("got %v; want a record", err)
	}
	if skipped, ok := r.Resync(); skipped != 0 || ok {
		t.Errorf("Resync at the end: got %d, %v; want 0, false", skipped, ok)
	}
}
