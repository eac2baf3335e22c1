package chunkfile

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type frame struct {
	Tag   string
	Chunk []byte
}

func TestRoundTrip(t *testing.T) {
	want := []frame{{"kube.api", []byte("one")}, {"", []byte{}}, {strings.Repeat("t", 65535), bytes.Repeat([]byte("x"), 100_000)}}
	var file bytes.Buffer
	for _, f := range want {
		if err := Write(&file, f.Tag, f.Chunk); err != nil {
			t.Fatal(err)
		}
	}
	whole := file.Bytes()
	var got []frame
	ends := map[int]bool{0: true}
	for r := bytes.NewReader(whole); ; {
		tag, chunk, err := Read(r)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, frame{tag, chunk})
		ends[len(whole)-r.Len()] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("frames (-want +got):\n%s", diff)
	}
	for cut := range 40 {
		r := bytes.NewReader(whole[:cut])
		var err error
		for err == nil {
			_, _, err = Read(r)
		}
		if atEnd := err == io.EOF; atEnd != ends[cut] || !atEnd && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut at %d: got %v", cut, err)
		}
	}
}

func TestRefused(t *testing.T) {
	if err := Write(io.Discard, strings.Repeat("t", 65536), nil); err == nil {
		t.Error("a tag of 65536 bytes: got no error")
	}
	_, _, err := Read(strings.NewReader("this is a log file, not a chunk file"))
	if err == nil || !strings.Contains(err.Error(), "is this a chunk file?") {
		t.Errorf("got %v; want a hint", err)
	}
}
