package loki

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/s2"
)

func unsafeString(b []byte) string { return unsafe.String(&b[0], len(b)) }

func TestVarintSize(t *testing.T) {
	for shift := range 64 {
		for _, v := range []uint64{1<<shift - 1, 1 << shift, 1<<shift + 1} {
			if got, want := varintSize(v), len(binary.AppendUvarint(nil, v)); got != want {
				t.Errorf("varintSize(%d): got %d; want %d", v, got, want)
			}
		}
	}
}

func TestEntrySizeIsExact(t *testing.T) {
	for _, timeNs := range []int64{math.MinInt64, -1, 0, 1, 999_999_999, 1e9, 1e9 + 1, testNow.UnixNano(), math.MaxInt64} {
		for _, n := range []int{0, 1, 127, 128, 16383, 16384} {
			for _, meta := range [][]Label{nil, {{"a", "b"}}, {{strings.Repeat("n", 200), ""}, {"", strings.Repeat("v", 20000)}}} {
				size := entrySize(timeNs, n, meta)
				e := appendEntry(nil, size, timeNs, make([]byte, n), meta)
				if len(e) != fieldSize(size) {
					t.Fatalf("time %d, line %d, metadata %d: got %d bytes; want %d", timeNs, n, len(meta), len(e), fieldSize(size))
				}
				_, msg, _, _, ok := cutField(e)
				if !ok {
					t.Fatal("cannot read the entry back")
				}
				if got := decodeEntry(t, entry{}, msg); got.TimeNs != timeNs || len(got.Line) != n || len(got.Metadata) != len(meta) {
					t.Fatalf("read back %d, %d bytes, %d pairs", got.TimeNs, len(got.Line), len(got.Metadata))
				}
			}
		}
	}
}

func TestSplitKeepsEveryEntry(t *testing.T) {
	p := makePush(t, 33, streamA, streamB, streamC)
	p.Tenant, p.Alone = "t", true
	queue := []Push{p}
	var single []Push
	for len(queue) > 0 {
		parts, err := splitPush(queue[0])
		if err != nil {
			t.Fatal(err)
		}
		if len(parts) == 1 {
			single = append(single, parts[0])
		}
		if queue = queue[1:]; len(parts) > 1 {
			queue = append(parts, queue...)
		}
	}
	for _, s := range single {
		if s.Entries != 1 || s.Tenant != "t" || !s.Alone {
			t.Fatalf("got %d entries, tenant %q, alone %v", s.Entries, s.Tenant, s.Alone)
		}
	}
	if diff := cmp.Diff(decodeAll(t, []Push{p}), decodeAll(t, single)); diff != "" {
		t.Errorf("entries (-whole +parts):\n%s", diff)
	}
}

// A body that is split and joined again is the same, so a part is encoded as the
// batch would have encoded it.
func TestEncodeViewsIsTheSameEncoding(t *testing.T) {
	p := makePush(t, 50, streamA, streamB)
	streams, err := decodePush(p.Body)
	if err != nil {
		t.Fatal(err)
	}
	if again := encodeViews(p, streams); !bytes.Equal(again.Body, p.Body) || again.Entries != p.Entries || again.RawBytes != p.RawBytes {
		t.Errorf("got another encoding: %d entries, %d bytes", again.Entries, again.RawBytes)
	}
}

func TestDecodePushRefusesBombs(t *testing.T) {
	bomb := binary.AppendUvarint(nil, 1<<31)
	if _, err := decodePush(append(bomb, 0)); err == nil {
		t.Error("got no error for a body of 2 GiB")
	}
}

// FuzzSplit feeds damaged bodies (a spool from a failing disk) and sound ones.
func FuzzSplit(f *testing.F) {
	f.Add(makePush(f, 3, streamA, streamB).Body)
	f.Add(makePush(f, 1, streamA).Body)
	f.Add(s2.EncodeSnappy(nil, []byte{0x0a, 0x80}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, b := range [][]byte{body, s2.EncodeSnappy(nil, body)} {
			p := Push{Body: b, Entries: 7}
			streams, err := decodePush(b)
			entries := 0
			for _, s := range streams {
				entries += len(s.entries)
			}
			parts, splitErr := splitPush(p)
			if (err == nil) != (splitErr == nil) {
				t.Fatalf("decode: %v; split: %v", err, splitErr)
			}
			if len(parts) > 1 {
				if got := parts[0].Entries + parts[1].Entries; got != entries {
					t.Errorf("split kept %d entries; want %d", got, entries)
				}
			}
			apart, _ := splitStreams(p)
			if err == nil && len(apart) != len(streams) {
				t.Errorf("got %d streams; want %d", len(apart), len(streams))
			}
			if stripped, _, err := withoutMetadata(p); err == nil {
				if _, n, err := withoutMetadata(stripped); err != nil || n != 0 {
					t.Errorf("stripped again: %d, %v", n, err)
				}
			}
			streamEntries(&p, fmt.Sprintf("%q", body))
		}
	})
}

func FuzzJudge(f *testing.F) {
	f.Add(400, "2 errors like: a; 1 errors like: b")
	f.Add(400, "entry with timestamp x ignored, reason: 'entry too far behind',\nuser 'x', total ignored: 99999999999999999999 out of 1 for stream: {}")
	f.Add(429, "(limit: 1 bytes/sec) while attempting to ingest '1' lines totaling '99999999999999999999' bytes")
	f.Add(260, "(policy: '")
	f.Fuzz(func(t *testing.T, status int, body string) {
		p := makePush(t, 2, streamA, streamB)
		a := answer{status: status, body: body}
		if status == 0 {
			a.err = errWire
		}
		v := judge(&a, testNow)
		if v.action != actAccept && v.err == nil {
			t.Errorf("no error for status %d", status)
		}
		var rep Report
		n := countRefused(&rep, &p, body)
		sum := 0
		for _, k := range rep.Refused {
			sum += k
		}
		if n != sum || n > p.Entries || n < 0 {
			t.Errorf("refused %d, by cause %d, of %d entries", n, sum, p.Entries)
		}
		if len(rep.Sample) > sampleBytesMax+3 || strings.ContainsAny(rep.Sample, "\n\r") {
			t.Errorf("bad sample %q", rep.Sample)
		}
	})
}
