package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/google/go-cmp/cmp"
)

// mixed makes n records of two streams with everything the detectors look at:
// sessions, heartbeats, requests, numbers, categories, addresses and faults.
func mixed(n int) []Record {
	var recs []Record
	next := uint64(1)
	rnd := func(k uint64) uint64 { // a fixed xorshift: the same records every time
		next ^= next << 13
		next ^= next >> 7
		next ^= next << 17
		return next % k
	}
	regions := []string{"eu-west-1", "us-east-1", "ap-south-1"}
	now := epoch
	for i := 0; len(recs) < n; i++ {
		now += int64(rnd(900)) * 1e6
		add := func(stream, format string, args ...any) {
			recs = append(recs, Record{Stream: stream, Time: now, Line: fmt.Appendf(nil, format, args...)})
		}
		job := 100000 + uint64(i)*7919%899981
		add("app", "INFO accepted job job-%d from 10.1.%d.%d region=%s", job, rnd(256), rnd(256), regions[rnd(3)])
		add("app", "INFO stored %d bytes for job-%d in %d ms", 1000+rnd(9000), job, 5+rnd(40))
		if rnd(200) != 0 {
			add("app", "INFO finished job job-%d", job)
		}
		add("web", `10.2.%d.7 - - [14/Nov/2023:22:13:20 +0000] "GET /shop/item/%d?page=%d HTTP/1.1" 200 %d "-" "agent/1.0"`, rnd(9), rnd(1e6), rnd(50), 200+rnd(5000))
		if i%40 == 0 {
			add("app", "INFO heartbeat seq=%d", i)
		}
		switch rnd(400) {
		case 0:
			add("app", "ERROR unexpected fault number %c in module %c", 'a'+rune(rnd(20)), 'a'+rune(rnd(20)))
		case 1:
			add("app", "INFO stored %d bytes for job-%d in %d ms", 1000+rnd(9000), job, 90000)
		case 2:
			add("web", `77.9.%d.7 - - [14/Nov/2023:22:13:20 +0000] "GET /shop/item/1?page='%%20OR%%201=1--<script> HTTP/1.1" 500 99 "-" "agent/1.0"`, rnd(9))
		}
	}
	return recs[:n]
}

// outcome is all that an Engine says about records.
type outcome struct {
	Verdicts []Verdict
	Events   []Event
}

// run scores records in blocks of the given size, and calls between before
// each block with the number of records scored.
func run(t *testing.T, e *Engine, recs []Record, block int, between func(int)) (out outcome) {
	t.Helper()
	for at := 0; at < len(recs); at += block {
		if between != nil {
			between(at)
		}
		out.Verdicts = e.Score(out.Verdicts, recs[at:min(at+block, len(recs))])
		out.Events = e.Events(out.Events)
	}
	e.Finish()
	out.Events = e.Events(out.Events)
	return out
}

func newEngine(t testing.TB) *Engine {
	t.Helper()
	e, err := New(DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestRestoreInTheMiddleChangesNothing(t *testing.T) {
	recs := mixed(12_000)
	want := run(t, newEngine(t), recs, 500, nil)
	anomalies := 0
	for _, v := range want.Verdicts {
		if v.Anomaly {
			anomalies++
		}
	}
	if anomalies < 5 || len(want.Events) < 3 {
		t.Fatalf("got %d anomalies and %d events; want enough of both to compare", anomalies, len(want.Events))
	}
	var got outcome
	e := newEngine(t)
	for at := 0; at < len(recs); at += 500 {
		if at == 3000 || at == 7500 {
			snapshot := e.Snapshot(nil)
			e = newEngine(t)
			if err := e.Restore(snapshot); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(snapshot, e.Snapshot(nil)) {
				t.Fatalf("restored state differs from its snapshot")
			}
		}
		got.Verdicts = e.Score(got.Verdicts, recs[at:at+500])
		got.Events = e.Events(got.Events)
	}
	e.Finish()
	got.Events = e.Events(got.Events)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("verdicts with restores in the middle differ (-without +with):\n%.4000s", diff)
	}
}

func TestRestoreRefusesDamage(t *testing.T) {
	e := newEngine(t)
	e.Score(nil, mixed(1500))
	good := e.Snapshot(nil)
	seal := func(b []byte) []byte {
		end := len(b) - snapshotSum
		binary.LittleEndian.PutUint64(b[end:], xxhash.Sum64(b[:end]))
		return b
	}
	tests := map[string]func([]byte) []byte{
		"empty":         func([]byte) []byte { return nil },
		"header only":   func(b []byte) []byte { return b[:snapshotHeader] },
		"truncated":     func(b []byte) []byte { return b[:len(b)/2] },
		"one byte less": func(b []byte) []byte { return b[:len(b)-1] },
		"one byte more": func(b []byte) []byte { return append(b, 0) },
		"other magic":   func(b []byte) []byte { b[0] ^= 1; return b },
		"newer version": func(b []byte) []byte { b[8] = snapshotVersion + 1; return seal(b) },
		"flipped bit":   func(b []byte) []byte { b[len(b)/3] ^= 4; return b },
		"sealed rubbish": func(b []byte) []byte {
			for i := snapshotHeader + 12; i < len(b)-snapshotSum; i++ {
				b[i] = 0xff
			}
			return seal(b)
		},
	}
	for what, damage := range tests {
		e := newEngine(t)
		before := e.Snapshot(nil)
		err := e.Restore(damage(append([]byte(nil), good...)))
		if !errors.Is(err, ErrSnapshot) {
			t.Errorf("%s: got error %v; want one of %v", what, err, ErrSnapshot)
		}
		if !bytes.Equal(before, e.Snapshot(nil)) {
			t.Errorf("%s: the refused snapshot changed the engine", what)
		}
	}
}

// FuzzRestore alters sealed snapshots: whatever comes out must be refused, or
// give an Engine that scores.
func FuzzRestore(f *testing.F) {
	e := newEngine(f)
	e.Score(nil, mixed(1200))
	good := e.Snapshot(nil)
	f.Add(good, uint32(100), uint64(0), false)
	f.Add(good, uint32(40), uint64(1<<63), true)
	f.Add([]byte(snapshotMagic), uint32(0), uint64(0), true)
	forests := newEngine(f)
	forests.Score(nil, transfers(3500, 600))
	f.Add(forests.Snapshot(nil), uint32(20_000), uint64(1), true)
	recs := append(mixed(300), transfers(300, 20)...)
	f.Fuzz(func(t *testing.T, data []byte, at uint32, v uint64, sealed bool) {
		b := append([]byte(nil), data...)
		if len(b) >= snapshotHeader+snapshotSum+8 {
			i := int(at) % (len(b) - snapshotSum - 8)
			binary.LittleEndian.PutUint64(b[i:], binary.LittleEndian.Uint64(b[i:])^v)
			if sealed {
				binary.LittleEndian.PutUint64(b[12:], uint64(len(b)-snapshotHeader-snapshotSum))
				end := len(b) - snapshotSum
				binary.LittleEndian.PutUint64(b[end:], xxhash.Sum64(b[:end]))
			}
		}
		e := newEngine(t)
		if err := e.Restore(b); err != nil {
			return
		}
		run(t, e, recs, 100, nil)
		e.Snapshot(nil)
	})
}
