package loki

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDecodedEntriesAreWrittenAnew as they came, with a line of ours, with metadata of ours.
func TestDecodedEntriesAreWrittenAnew(t *testing.T) {
	var p RawPush
	p.Stream(`{a="b"}`).Append(1_000_000_001, []byte("one"), []Label{{"n", "v"}})
	p.Stream(`{a="b"}`).Append(2_000_000_000, nil, nil)
	raw := p.AppendTo(nil)
	var d Decoded
	if err := d.Read(raw); err != nil {
		t.Fatal(err)
	}
	if got := d.AppendStream(nil, 0); string(got) != string(raw) {
		t.Errorf("as it came: got %x; want %x", got, raw)
	}
	more := []Label{{"x", "y"}}
	for _, test := range []struct {
		line []byte
		more []Label
		want []entry
	}{
		{nil, nil, []entry{{Labels: `{a="b"}`, TimeNs: 1_000_000_001, Line: "one", Metadata: []Label{{"n", "v"}}}, {Labels: `{a="b"}`, TimeNs: 2_000_000_000}}},
		{nil, more, []entry{{Labels: `{a="b"}`, TimeNs: 1_000_000_001, Line: "one", Metadata: []Label{{"n", "v"}, {"x", "y"}}}, {Labels: `{a="b"}`, TimeNs: 2_000_000_000, Metadata: more}}},
		{[]byte("new"), more, []entry{{Labels: `{a="b"}`, TimeNs: 1_000_000_001, Line: "new", Metadata: []Label{{"n", "v"}, {"x", "y"}}}, {Labels: `{a="b"}`, TimeNs: 2_000_000_000, Line: "new", Metadata: more}}},
	} {
		var entries []byte
		for i := range d.Entries {
			entries = d.Entries[i].AppendEntry(entries, test.line, test.more)
		}
		got := decodeEntries(t, "", Compress(d.AppendStreamOf(nil, 0, entries)))
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("line %q, metadata %v: %s", test.line, test.more, diff)
		}
	}
}

// TestDecodedBounds: what is not a push, and what is too much of one.
func TestDecodedBounds(t *testing.T) {
	for name, raw := range map[string]string{
		"cut off": "\x0a\x05\x0a", "no tag": "\x00", "wire type": "\x08\x01", "labels are a number": "\x0a\x02\x08\x01", "time is a number": "\x0a\x04\x12\x02\x08\x01",
		"endless number": "\x0a\x0c\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "group left open": "\x13", "bad metadata": "\x0a\x05\x12\x03\x1a\x01\x0a",
	} {
		var d Decoded
		if err := d.Read([]byte(raw)); !errors.Is(err, errDecoded) {
			t.Errorf("%s: got %v; want errDecoded", name, err)
		}
	}
	d := Decoded{StreamsMax: 2, EntriesMax: 3}
	for raw, want := range map[string]error{
		"\x0a\x00\x0a\x00": nil, "\x0a\x00\x0a\x00\x0a\x00": ErrTooMany, "\x0a\x06\x12\x00\x12\x00\x12\x00": nil, "\x0a\x08\x12\x00\x12\x00\x12\x00\x12\x00": ErrTooMany,
	} {
		if err := d.Read([]byte(raw)); !errors.Is(err, want) {
			t.Errorf("%x: got %v; want %v", raw, err, want)
		}
	}
	if _, err := Decompress(binary.AppendUvarint(nil, 1<<31), 1<<20); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v; want ErrTooLarge", err)
	}
}

// TestParseLabels reads what senders write, and knows what is no label set.
func TestParseLabels(t *testing.T) {
	for text, want := range map[string][]Label{
		`{}`: nil, ` { } `: nil, `{a="b"}`: {{"a", "b"}}, `{a="b", c="d\"\\\n"}`: {{"a", "b"}, {"c", "d\"\\\n"}}, "{a=`b\\`,}": {{"a", `b\`}}, `{ a = "b" ,c="d"}`: {{"a", "b"}, {"c", "d"}},
	} {
		got, ok := ParseLabels(text)
		if diff := cmp.Diff(want, got); !ok || diff != "" {
			t.Errorf("%s: got %v, %v; want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{``, `{`, `a="b"`, `{a}`, `{a=b}`, `{a="b}`, `{a="b"c="d"}`, `{a="b"}}`, `{a-b="c"}`, `{1a="c"}`, `{=""}`, `{a='b'}`, `{a="b",,c="d"}`} {
		if got, ok := ParseLabels(text); ok {
			t.Errorf("%s: got %v; want it refused", text, got)
		}
	}
}
