package chunk

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"runtime"
	"testing"
)

func TestNextAllocatesNothing(t *testing.T) {
	data := append(kubernetesChunk(t, 100), bytesOf(t, "92 05 82 a1'b' c403'bin' a1'e' d700 6500000000000001")...)
	r := NewReader(data)
	var rec Record
	path := []string{"kubernetes", "labels", "app"}
	dst := make([]byte, 0, 4096)
	readAll := func() {
		r.Reset(data)
		for r.Next(&rec) == nil {
			rec.Body.Lookup(path)
			dst = rec.Body.AppendJSON(dst[:0])
			for it := rec.Body.Pairs(); it.Next(); {
				dst = it.Value.AppendText(dst[:0])
			}
		}
	}
	readAll() // the first bin makes the msgpack decoder and its buffer
	if got := testing.AllocsPerRun(10, readAll); got != 0 {
		t.Errorf("got %v allocations per chunk of 101 records; want 0", got)
	}
}

// A 64 MiB chunk is read where it lies.
func TestReader64MiB(t *testing.T) {
	data := lineChunk(400_000)
	data = bytes.Repeat(data, 64<<20/len(data)+1)
	if len(data) < 64<<20 {
		t.Fatalf("got %d bytes; want 64 MiB", len(data))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := NewReader(data)
	var rec Record
	records := 0
	for r.Next(&rec) == nil {
		records++
	}
	runtime.ReadMemStats(&after)
	if err := r.Next(&rec); err != io.EOF || records%400_000 != 0 || records == 0 {
		t.Errorf("got %d records, then %v; want whole runs of 400000, then EOF", records, err)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
		t.Errorf("got %d bytes allocated; want no copy of the chunk", got)
	}
}

// Lengths that the chunk cannot hold cost nothing.
func TestClaimedLengthsAllocateNothing(t *testing.T) {
	for _, script := range []string{"dbffffffff", "c6ffffffff", "c9ffffffff01", "ddffffffff", "dfffffffff", "dd00ffffff c0", "deffff", "daffff"} {
		data := bytesOf(t, "92 05 81 a1'k'"+script+"'some bytes behind'")
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r := NewReader(data)
		var rec Record
		err := r.Next(&rec)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, ErrTruncated) {
			t.Errorf("%s: got %v; want ErrTruncated", script, err)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > 64<<10 {
			t.Errorf("%s: got %d bytes allocated; want few", script, got)
		}
	}
}

// Maps that are keys of maps do not multiply.
func TestNestedKeysStaySmall(t *testing.T) {
	const depth = DepthMax
	packed := append(bytes.Repeat([]byte{0x81}, depth), bytes.Repeat([]byte{0x01}, depth+1)...)
	v, rest, err := ParseValue(packed)
	if err != nil || len(rest) != 0 {
		t.Fatalf("got %d bytes left, %v; want a whole value", len(rest), err)
	}
	if got := v.AppendJSON(nil); len(got) > 3*len(packed) || !json.Valid(got) {
		t.Errorf("got %d bytes of JSON for %d; want few", len(got), len(packed))
	}
}

// Bytes that look like an event at every turn, each reaching to the end, are
// given up on rather than read a million times.
func TestResyncIsLinear(t *testing.T) {
	// An event whose map takes in the 65535 values behind it, which are more of them.
	trap := bytesOf(t, "92 d700 6500000000000001 deffff a1'k'")
	data := bytes.Repeat(trap, 8<<20/len(trap))
	r := NewReader(data)
	var rec Record
	errorsSeen := 0
	for r.Next(&rec) != io.EOF {
		errorsSeen++
		r.Resync()
	}
	if errorsSeen == 0 {
		t.Error("got no error; want the trap to be noticed")
	}
	// Without the budget, half a million looks, many of them to the end.
	if r.budget > 0 || r.budget < -2*len(data) {
		t.Errorf("got %d of the budget of %d left; want it used up, and by one look at the most overdrawn", r.budget, resyncBudgetFactor*len(data))
	}
}
