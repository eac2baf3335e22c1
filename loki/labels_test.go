package loki

import (
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAppendLabels(t *testing.T) {
	long := strings.Repeat("v", 3000)
	for _, tc := range []struct {
		in   []Label
		want string
	}{
		{nil, `{job="logscope"}`},
		{[]Label{{"a", ""}}, `{job="logscope"}`},
		{[]Label{{"b", "2"}, {"a", "1"}}, `{a="1", b="2"}`},
		{[]Label{{"a", `say "hi" \ ` + "\n\t\x00\u00e4\u200b"}}, `{a="say \"hi\" \\ \n\t\x00` + "\u00e4" + `\u200b"}`},
		{[]Label{{"a", "bad \xff\xfe utf-8, \uFFFD"}}, `{a="bad ? utf-8, ?"}`},
		{[]Label{{"app.kubernetes.io/name", "x"}, {"9lives", "y"}, {"", "z"}}, `{_="z", _9lives="y", app_kubernetes_io_name="x"}`},
		{[]Label{{"ä", "x"}}, `{_="x"}`},
		{[]Label{{"__name__", "x"}, {"___a", "y"}}, `{_a="y", _name__="x"}`},
		// Exact beats mended, first beats later.
		{[]Label{{"a.b", "mended"}, {"a_b", "exact"}, {"a-b", "mended too"}, {"a_b", "late"}}, `{a_b="exact"}`},
		{[]Label{{"a", "first"}, {"a", "second"}}, `{a="first"}`},
		{[]Label{{"a", long}}, `{a="` + long[:2048] + `"}`},
		{[]Label{{"a", long[:2047] + "ä"}}, `{a="` + long[:2047] + `"}`},
		{[]Label{{long, "x"}}, `{` + long[:1024] + `="x"}`},
	} {
		if got := string(AppendLabels(nil, tc.in)); got != tc.want {
			t.Errorf("AppendLabels(%q): got %s; want %s", tc.in, got, tc.want)
		}
	}
}

func TestAppendLabelsKeepsThoseGivenFirst(t *testing.T) {
	var in []Label
	for i := range 20 {
		in = append(in, Label{string(rune('z' - i)), "v"})
	}
	want := `{l="v", m="v", n="v", o="v", p="v", q="v", r="v", s="v", t="v", u="v", v="v", w="v", x="v", y="v", z="v"}`
	if got := string(AppendLabels([]byte("x"), in)); got != "x"+want {
		t.Errorf("got %s; want x%s", got, want)
	}
}

func TestAppendLabelsDoesNotAllocate(t *testing.T) {
	in := []Label{{"job", "fluent-bit"}, {"namespace", "default"}, {"container", "api"}}
	dst := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() { dst = AppendLabels(dst[:0], in) }); n != 0 {
		t.Errorf("got %v allocations; want 0", n)
	}
}

// parseLabels reads the canonical form as Prometheus' parser does: names by its
// lexer's rule, values by Go's unquoting.
func parseLabels(t *testing.T, s string) []Label {
	t.Helper()
	body, ok := strings.CutPrefix(s, "{")
	body, ok2 := strings.CutSuffix(body, "}")
	if !ok || !ok2 {
		t.Fatalf("no braces: %q", s)
	}
	var out []Label
	for {
		name, rest, ok := strings.Cut(body, "=")
		if !ok || !ValidLabelName(name) {
			t.Fatalf("bad name %q in %q", name, s)
		}
		quoted, err := strconv.QuotedPrefix(rest)
		if err != nil {
			t.Fatalf("bad value in %q: %v", s, err)
		}
		value, err := strconv.Unquote(quoted)
		if err != nil {
			t.Fatalf("bad value %s: %v", quoted, err)
		}
		out = append(out, Label{name, value})
		if body = rest[len(quoted):]; body == "" {
			return out
		}
		if body, ok = strings.CutPrefix(body, ", "); !ok {
			t.Fatalf("no comma in %q at %q", s, body)
		}
	}
}

func FuzzAppendLabels(f *testing.F) {
	f.Add("a", "1", "b", "2", "a", "3")
	f.Add("", "x", "\xff", "\xff\xfe", "__name__", `"\{}`)
	f.Add("a.b", "\n", "a_b", "ä", "9", "\u2028")
	f.Fuzz(func(t *testing.T, n1, v1, n2, v2, n3, v3 string) {
		in := []Label{{n1, v1}, {n2, v2}, {n3, v3}}
		limits := LabelLimits{Count: 2, NameBytes: 20, ValueBytes: 16, Fallback: Label{"job", "x"}}
		text := string(limits.Append(nil, in))
		got := parseLabels(t, text)
		if !utf8.ValidString(text) || strings.Contains(text, "\uFFFD") {
			t.Errorf("%q: Loki takes that for invalid UTF-8", text)
		}
		if len(got) < 1 || len(got) > 2 {
			t.Errorf("got %d labels; want 1 or 2", len(got))
		}
		if !sort.SliceIsSorted(got, func(i, j int) bool { return got[i].Name < got[j].Name }) {
			t.Errorf("not sorted: %q", text)
		}
		for i, l := range got {
			if len(l.Name) > 20 || len(l.Value) > 16 || l.Value == "" || i > 0 && got[i-1].Name == l.Name {
				t.Errorf("label %q of %q breaks a limit", l, text)
			}
		}
		// What is valid comes back exactly; writing it again changes nothing.
		if again := string(limits.Append(nil, got)); again != text {
			t.Errorf("got %s from %s", again, text)
		}
		if ValidLabelName(n1) && len(n1) <= 20 && v1 != "" && len(v1) <= 16 && utf8.ValidString(v1) && !strings.Contains(v1, "\uFFFD") {
			if !slices.Contains(got, Label{n1, v1}) {
				t.Errorf("label %q is lost in %q", in[0], text)
			}
		}
	})
}
