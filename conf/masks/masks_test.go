package masks

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logscope/logscope/engine/drain"
)

// matchesOf are the texts that the mask finds.
func matchesOf(m drain.Mask, line string) (found []string) {
	for _, span := range m.AppendSpans(nil, []byte(line)) {
		found = append(found, line[span.Start:span.End])
	}
	return found
}

// TestCompile lists patterns of Python's re and what they find there. All was compared with Python 3.11.
func TestCompile(t *testing.T) {
	for _, c := range []struct {
		pattern, line string
		backtracks    bool
		want          []string
	}{
		{`\d+`, "a 12 b 3", false, []string{"12", "3"}},
		{`(?P<pid>\d+):(?P<tid>\d+)`, "at 12:34.", false, []string{"12:34"}},
		{`(?i)ERROR \w+`, "error a Error b", false, []string{"error a", "Error b"}},
		{`a{,2}b`, "aaab", false, []string{"aab"}},
		{`[]{,]+`, "x]{,y", false, []string{"]{,"}},
		{`[^]]+`, "x]y", false, []string{"x", "y"}},
		{`end\Z`, "end end", false, []string{"end"}},
		{`user\-\w+\_x`, "user-bob_x", false, []string{"user-bob_x"}},
		{`x*`, "ab", false, []string{"", "", ""}},
		{`((?<=[^A-Za-z0-9])|^)([0-9a-f]{6,})((?=[^A-Za-z0-9])|$)`, "0a1b2c3d x0a1b2c3d 0a1b2c", true, []string{"0a1b2c3d", "0a1b2c"}},
		{`(?<=id=)\w+`, "id=a7 no=b8", true, []string{"a7"}},
		{`\w+(?!\w|:)`, "key: value", true, []string{"value"}},
		{`(?P<q>["']).*?(?P=q)`, `say "it's" 'so'`, true, []string{`"it's"`, `'so'`}},
		{`(\w)\1`, "aabbc", true, []string{"aa", "bb"}},
		{`(?<=é)\w+`, "xé1 é2", true, []string{"1", "2"}},
		{`(?<=\s)\w+`, "a\xff b \xf0c d", true, []string{"b", "d"}},
	} {
		m, err := Compile(Rule{Pattern: c.pattern, Name: "X"})
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		if _, backtracks := m.(*backtracking); backtracks != c.backtracks {
			t.Errorf("%s: got backtracking %v; want %v", c.pattern, backtracks, c.backtracks)
		}
		if diff := cmp.Diff(c.want, matchesOf(m, c.line)); diff != "" {
			t.Errorf("%s in %q (-want +got):\n%s", c.pattern, c.line, diff)
		}
	}
}

// TestGiveUp: a pattern that explodes costs its time limit twice, once in 10,000 lines.
func TestGiveUp(t *testing.T) {
	if testing.Short() {
		t.Skip("takes the time limit of a search, twice")
	}
	m, err := Compile(Rule{Pattern: `(?<!x)(a+)+(?=b)c`})
	if err != nil {
		t.Fatal(err)
	}
	bad := "a cab " + strings.Repeat("a", 40)
	if got := matchesOf(m, bad); len(got) != 0 || m.GaveUp() != 1 {
		t.Fatalf("got %q, gave up %d; want no match, gave up 1", got, m.GaveUp())
	}
	for range restLines {
		matchesOf(m, bad)
	}
	if m.GaveUp() != 1+restLines {
		t.Errorf("gave up %d; want %d: the pattern rests", m.GaveUp(), 1+restLines)
	}
	matchesOf(m, "short")
	if m.GaveUp() != 1+restLines {
		t.Errorf("gave up %d; want %d: it is back", m.GaveUp(), 1+restLines)
	}
}

// TestDrain3 reads a drain3.ini with all that one may hold.
func TestDrain3(t *testing.T) {
	got, err := ReadDrain3("testdata/drain3.ini")
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	for _, m := range got.Masks {
		named = append(named, m.Name()+" "+m.Pattern())
	}
	want := []string{
		`ID ((?<=[^A-Za-z0-9])|^)(([0-9a-f]{2,}:){3,}([0-9a-f]{2,}))((?=[^A-Za-z0-9])|$)`,
		`IP ((?<=[^A-Za-z0-9])|^)(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})((?=[^A-Za-z0-9])|$)`,
		`USER (?P<user>user-\w+)`,
		`PERCENT \b\d+%`,
		`CMD (?<=executed cmd )(".+?")`,
	}
	if diff := cmp.Diff(want, named); diff != "" {
		t.Errorf("masks (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"_"}, got.Delimiters); diff != "" {
		t.Errorf("delimiters (-want +got):\n%s", diff)
	}
	if got.TemplatesMax != 1024 {
		t.Errorf("got %d templates; want 1024", got.TemplatesMax)
	}
	if diff := cmp.Diff([]string{
		"testdata/drain3.ini: [DRAIN] colour: not used: Drain3 has no such setting",
		"testdata/drain3.ini: [DRAIN] engine, [DRAIN] sim_th, [DRAIN] depth, [DRAIN] max_children: not used: lines are compared by the words they differ in, not by similarity in a tree (docs/templates.md)",
		"testdata/drain3.ini: [MASKING] mask_prefix, [MASKING] mask_suffix: not used: a template shows <*> for every value; mask_with names it in explanations",
		"testdata/drain3.ini: [PROFILING] enabled, [PROFILING] report_sec: not used: metrics_listen shows times and counts",
		"testdata/drain3.ini: [SNAPSHOT] snapshot_interval_minutes, [SNAPSHOT] compress_state: not used: state_file and state_interval keep the state",
	}, got.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

// TestFaults: each fault says where it stands and what is wanted.
func TestFaults(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"x.ini", "[MASKING]\nmasking = [{\"regex_pattern\": \"(?<=a\", \"mask_with\": \"A\"}, {\"regex_pattern\": \"b\", \"mask_with\": \"B\"}]",
			`[MASKING] masking: mask 1 of 2 (mask_with A), regex_pattern "(?<=a": `},
		{"x.ini", "[MASKING]\nmasking = [{\"regex_pattern\": \"a\"}]", "mask 1 of 1: got map[regex_pattern:a]; want the texts regex_pattern and mask_with"},
		{"x.ini", "[MASKING]\nmasking = [{\"regex_pattern\": \"a\", }]", `[MASKING] masking: not JSON behind "[{\"regex_pattern\": \"a\", }"`},
		{"x.ini", "[MASKING]\nmasking = {}", "not a JSON list of masks"},
		{"x.ini", "[DRAIN]\nmax_clusters = many", `line 2: [DRAIN] max_clusters: got "many"; want a number above 0`},
		{"x.ini", "[DRAIN]\nextra_delimiters = _", `line 2: [DRAIN] extra_delimiters: got _; want a list of texts`},
		{"x.ini", "[DRAIN]\nextra_delimiters = ['a' 'b']", "want a list of texts"},
		{"x.ini", "[DRAIN]\nextra_delimiters = ['a]", "want a list of texts"},
		{"x.ini", "[DRAIN]\nsim_th = 1\nsim_th = 2", "line 3: [DRAIN] sim_th is given before, on line 2"},
		{"x.ini", "[DRAIN]\nsim_th", `line 2: got "sim_th"; want [section], key = value`},
		{"x.ini", "a = b", `line 1: got "a = b"; want [section]`},
		{"x.ini", "", "holds no settings"},
		{"x.ini", strings.Repeat("#", fileBytesMax+1), "has more than 1048576 bytes"},
		{"x.yaml", "- regex_pattern: '('\n  mask_with: A\n", `mask 1 of 1 (mask_with A), regex_pattern "(": `},
		{"x.yaml", "- regex_pattern: a\n  name: A\n", `unknown field "name"`},
		{"x.yaml", "- mask_with: A\n", "the pattern is empty"},
		{"x.yaml", "masks: {}", "no list of masks"},
		{"x.yaml", "", "holds no masks"},
		{"x.yaml", strings.Repeat("- {regex_pattern: a}\n", drain.MasksMax+1), "got 257 masks; want at most 256"},
	} {
		path := filepath.Join(t.TempDir(), c.name)
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := ReadFile(path)
		if strings.HasSuffix(c.name, "ini") {
			_, err = ReadDrain3(path)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.80q:\ngot  %v\nwant %s", c.text, err, c.want)
		}
	}
}

// TestFile reads the same masks from YAML and from JSON.
func TestFile(t *testing.T) {
	for _, text := range []string{
		"# comment\n- regex_pattern: 'user-\\w+'\n  mask_with: USER\n- {regex_pattern: '(?<=id=)\\d+', mask_with: ID}\n",
		`[{"regex_pattern": "user-\\w+", "mask_with": "USER"}, {"regex_pattern": "(?<=id=)\\d+", "mask_with": "ID"}]`,
	} {
		path := filepath.Join(t.TempDir(), "masks")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		masks, err := ReadFile(path)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var got []string
		for _, m := range masks {
			got = append(got, m.Name()+" "+strings.Join(matchesOf(m, "user-bob id=7"), "|"))
		}
		if diff := cmp.Diff([]string{"USER user-bob", "ID 7"}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

// TestINI lists what Python's configparser makes of such files; all was compared with Python 3.11.
func TestINI(t *testing.T) {
	got, err := parseINI("\uFEFF[a]\nK = v \n; no\n  goes on\n\n  # no\n  and on\nx: y = z\n[b]\n e =\n d = 5 %% of #6 ; 7\r\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []entry{{"a", "k", "v\ngoes on\n\nand on", 2}, {"a", "x", "y = z", 8}, {"b", "e", "", 10}, {"b", "d", "5 % of #6 ; 7", 11}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(entry{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// FuzzDrain3: no file panics, and what is taken from it is within the limits.
func FuzzDrain3(f *testing.F) {
	sample, err := os.ReadFile("testdata/drain3.ini")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sample)
	f.Add([]byte("[DRAIN]\nextra_delimiters = ('a', \"\\t\")\n[MASKING]\nmasking=[]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := parseINI(string(data))
		if err != nil {
			return
		}
		d := &Drain3{}
		if d.take(entries) != nil {
			return
		}
		if len(d.Masks) > drain.MasksMax || len(d.Delimiters) > drain.DelimitersMax || d.TemplatesMax < 0 {
			t.Fatalf("got %+v", d)
		}
	})
}
