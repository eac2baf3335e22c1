package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRenew(t *testing.T) {
	for _, c := range []struct {
		line string
		n    int
		want string
	}{
		{"081109 203615 148 blk_38865049064139660", 0, "081109 203615 148 blk_38865049064139660"},
		{"081109 203615 148 blk_38865049064139660", 45, "081109 203615 148 blk_38865049064139705"},
		{"blk_-1608999687919862906 size 67108864", 1, "blk_-1608999687919862907 size 67108864"},
		{"a 999999999999 b", 1, "a 900000000000 b"},
		{"", 3, ""},
	} {
		line := []byte(c.line)
		if got := string(renew(line, c.n)); got != c.want {
			t.Errorf("renew(%q, %d): got %q; want %q", c.line, c.n, got, c.want)
		}
		if string(line) != c.line {
			t.Errorf("renew(%q, %d) changed its argument to %q", c.line, c.n, line)
		}
	}
}

func TestNewSet(t *testing.T) {
	s := newSet("", "", 7, []sample{
		{"a", [][]byte{[]byte("a1"), []byte("a2"), []byte("a3")}},
		{"b", [][]byte{[]byte("b 100000000000")}},
	})
	want := []string{"a1", "b 100000000000", "a2", "b 100000000001", "a3", "b 100000000002", "a1"}
	var got []string
	for i := range s.lines {
		got = append(got, s.text(i))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a", "b", "a", "b", "a", "b", "a"}, s.streams); diff != "" {
		t.Errorf("streams (-want +got):\n%s", diff)
	}
}

func TestMissingData(t *testing.T) {
	t.Setenv("LOGSCOPE_EVAL_DATA", "")
	err := run(&bytes.Buffer{}, t.TempDir(), 2*blockLines, 1, "")
	if err == nil || !strings.Contains(err.Error(), "README.md says where they come from") {
		t.Errorf("got error %v; want one that says where the data come from", err)
	}
}

// TestRun runs every contender over generated lines and looks at what it says.
func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	var out bytes.Buffer
	if err := run(&out, "", 2*blockLines, 1, "mixed"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"logscope, verdicts", "loki drain  ", "1.00 (1.00 to 1.00)", "p99.9", "a session of three records"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, out.String())
		}
	}
}

// TestWordsDiffer holds what perTemplate relies on: 1,000 templates are 1,000.
func TestWordsDiffer(t *testing.T) {
	seen := map[string]int{}
	for n := range 12_000 {
		w := word(n)
		if at, ok := seen[w]; ok {
			t.Fatalf("word(%d) and word(%d) are %q", at, n, w)
		}
		seen[w] = n
	}
}
