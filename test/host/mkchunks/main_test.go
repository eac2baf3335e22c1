package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logscope/logscope/plugin/chunk"
	"github.com/logscope/logscope/test/host/chunkfile"
)

// show lists the chunks of a file and the records in them.
func show(t *testing.T, file []byte) []string {
	t.Helper()
	var lines []string
	for r := bytes.NewReader(file); ; {
		tag, data, err := chunkfile.Read(r)
		if err == io.EOF {
			return lines
		}
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, "chunk "+tag)
		var rec chunk.Record
		records := chunk.NewReader(data)
		for err = records.Next(&rec); err == nil; err = records.Next(&rec) {
			lines = append(lines, fmt.Sprintf("%d %s %s", rec.Time, rec.Metadata.Kind(), rec.Body.AppendJSON(nil)))
		}
		if err != io.EOF {
			t.Fatal(err)
		}
	}
}

func TestRun(t *testing.T) {
	tests := []struct {
		name, args, in string
		want           []string
	}{
		{"defaults", "-time 2026-01-02T03:04:05Z", "one\ntwo\r\n\nlast", []string{"chunk ",
			`1767323045000000000 map {"log":"one"}`, `1767323045000001000 map {"log":"two"}`,
			`1767323045000002000 map {"log":""}`, `1767323045000003000 map {"log":"last"}`}},
		{"options", "-time 2026-01-02T03:04:05.5Z -tag kube.api -key message -step 1s -v1 -chunk-bytes 1", "one\ntwo\n", []string{
			"chunk kube.api", `1767323045500000000 nil {"message":"one"}`, "chunk kube.api", `1767323046500000000 nil {"message":"two"}`}},
		{"hostile bytes", "-time 1970-01-01T00:00:00Z", "a\x00\xff\"\n", []string{"chunk ", "0 map {\"log\":\"a\\u0000\uFFFD\\\"\"}"}},
		{"nothing", "", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			if err := run(strings.Fields(tt.args), strings.NewReader(tt.in), &out); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, show(t, out.Bytes())); diff != "" {
				t.Errorf("chunks (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	var names []string
	for _, name := range []string{"a.log", "b.log"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(strings.Repeat(name+"\n", 3)), 0o600); err != nil {
			t.Fatal(err)
		}
		names = append(names, path)
	}
	out := filepath.Join(dir, "out.chunks")
	if err := run(append([]string{"-o", out, "-time", "2026-01-02T03:04:05Z"}, names...), nil, nil); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if got := show(t, file); len(got) != 7 || got[6] != `1767323045000005000 map {"log":"b.log"}` {
		t.Errorf("got %q; want 6 records in one chunk", got)
	}
}

func TestRefused(t *testing.T) {
	for args, want := range map[string]string{
		"-time yesterday":        `cannot read -time "yesterday": want now or`,
		"/does/not/exist":        "cannot read lines: open /does/not/exist",
		"-o /does/not/exist/out": "cannot write chunk file: open /does/not/exist/out",
	} {
		if err := run(strings.Fields(args), strings.NewReader(""), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v; want %s", args, err, want)
		}
	}
}
