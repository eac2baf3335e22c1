package drain

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// pattern is a Mask by the standard library.
type pattern struct {
	name string
	re   *regexp.Regexp
}

func (p pattern) Name() string    { return p.name }
func (p pattern) Pattern() string { return p.re.String() }
func (p pattern) GaveUp() uint64  { return 0 }

func (p pattern) AppendSpans(dst []Span, message []byte) []Span {
	for _, at := range p.re.FindAllIndex(message, -1) {
		dst = append(dst, Span{at[0], at[1]})
	}
	return dst
}

// patterns makes masks of name, pattern, name, pattern, ...
func patterns(s ...string) (masks []Mask) {
	for i := 0; i < len(s); i += 2 {
		masks = append(masks, pattern{s[i], regexp.MustCompile(s[i+1])})
	}
	return masks
}

// TestUserMasks lists how masks of the user's own and logscope's share a line.
func TestUserMasks(t *testing.T) {
	user := patterns("USER", `\b(alice|bob)\b`)
	for _, c := range []struct {
		name           string
		masks          []Mask
		delimiters     []string
		line, template string
		params         []param
	}{
		{"a word", user, nil, "login of alice failed", "login of <*> failed", []param{{"alice", "USER", Word, nan}}},
		{"a part of a word", patterns("N", `\d+`), nil, "block blk_123 ok", "block blk_<*> ok", []param{{"123", "N", Number, 123}}},
		{"over spaces", patterns("WHAT", `size \d+ of \d+`), nil, "has size 3 of 5 now", "has <*> now", []param{{"size 3 of 5", "WHAT", Word, nan}}},
		{"spaces at its ends separate", patterns("", ` \w+ `), nil, "a bc d", "a <*> d", []param{{"bc", "", Word, nan}}},
		{"the key of the line goes before", user, nil, "login user=alice ok", "login user=<*> ok", []param{{"alice", "user", Word, nan}}},
		{"with our own around it", user, nil, "10.0.0.1 alice 5ms", "<*> <*> <*>",
			[]param{{"10.0.0.1", "", IPv4, nan}, {"alice", "USER", Word, nan}, {"5ms", "", Number, 0.005}}},
		{"in punctuation", user, nil, "(alice), [bob];", "(<*>), [<*>];", []param{{"alice", "USER", Word, nan}, {"bob", "USER", Word, nan}}},
		{"what is quoted is one value", user, nil, `said "hello bob" and "x"`, `said "<*>" and "<*>"`,
			[]param{{"hello bob", "", Quoted, nan}, {"x", "", Quoted, nan}}},
		{"a mask may take the quotes", patterns("Q", `"[^"]*"`), nil, `said "hello bob" and "x"`, `said <*> and <*>`,
			[]param{{`"hello bob"`, "Q", Word, nan}, {`"x"`, "Q", Word, nan}}},
		{"the end of a path", patterns("ID", `\d+$`), nil, "open /srv/data/17", "open <*>", []param{{"/srv/data/17", "", Path, nan}}},
		{"the first mask wins", patterns("A", `bob-\d+`, "B", `\w+-\d+`), nil, "x bob-1 eve-2", "x <*> <*>",
			[]param{{"bob-1", "A", ID, nan}, {"eve-2", "B", ID, nan}}},
		{"what the first took is gone", patterns("A", `b\d+`, "B", `a-b\d+`), nil, "a-b1", "a-<*>", []param{{"b1", "A", ID, nan}}},
		{"empty matches are none", patterns("", `x*`), nil, "a b", "a b", nil},
		{"all of it", patterns("ALL", `.+`), nil, "a 1 b", "<*>", []param{{"a 1 b", "ALL", Word, nan}}},
		{"a delimiter separates", nil, []string{"_"}, "read_block done", "read block done", nil},
		{"a delimiter at both ends", nil, []string{"_"}, "_a_ _ b__c", "a b c", nil},
		{"a longer one", nil, []string{"->"}, "start->stop 5", "start stop <*>", []param{{"5", "", Number, 5}}},
		{"values apart by a delimiter", nil, []string{"_"}, "job_17_20240102", "job <*> <*>",
			[]param{{"17", "", Number, 17}, {"20240102", "", Number, 20240102}}},
		{"in a JSON message", user, nil, `{"msg":"login of bob ok","n":5}`, "login of <*> ok n=<*>",
			[]param{{"bob", "USER", Word, nan}, {"5", "n", Number, 5}}},
		{"in a logfmt message", user, nil, `level=info msg="login of bob ok" n=5`, "login of <*> ok n=<*>",
			[]param{{"bob", "USER", Word, nan}, {"5", "n", Number, 5}}},
		{"a mask over a JSON line's structure is none", patterns("", `"msg":".*?"`), nil, `{"msg":"login of bob ok","n":5}`, "login of bob ok n=<*>",
			[]param{{"5", "n", Number, 5}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMiner(t, Config{Masks: c.masks, Delimiters: c.delimiters})
			for range 3 { // as a new template, a known and an expected one
				var out Line
				m.Parse(&out, []byte(c.line), true)
				if out.Cluster.Text != c.template {
					t.Errorf("got template %q; want %q", out.Cluster.Text, c.template)
				}
				if diff := cmp.Diff(c.params, paramsOf(out.Params), cmpopts.EquateNaNs()); diff != "" {
					t.Errorf("parameters (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// TestUserMasksBehindHeader: patterns see the message, so ^ is its start.
func TestUserMasksBehindHeader(t *testing.T) {
	m := newMiner(t, Config{Masks: patterns("WHO", `^\w+`)})
	var out Line
	m.Parse(&out, []byte("2024-01-02 15:04:05 INFO alice logged in"), false)
	if want := "<*> logged in"; out.Cluster.Text != want {
		t.Errorf("got %q; want %q", out.Cluster.Text, want)
	}
}

// TestTooManyMasks names the limits.
func TestTooManyMasks(t *testing.T) {
	_, err := New(Config{ClustersMax: clustersMin, BytesMax: bytesMin,
		Masks: make([]Mask, MasksMax+1), Delimiters: make([]string, DelimitersMax+1)})
	if err == nil || !strings.Contains(err.Error(), "257 Masks") || !strings.Contains(err.Error(), "17 Delimiters") {
		t.Errorf("got %v; want both limits named", err)
	}
}

// anywhere is a Mask that claims spans drawn at random, some of them nonsense.
type anywhere struct{ spans []Span }

func (anywhere) Name() string                              { return "X" }
func (anywhere) Pattern() string                           { return "" }
func (anywhere) GaveUp() uint64                            { return 0 }
func (a anywhere) AppendSpans(dst []Span, _ []byte) []Span { return append(dst, a.spans...) }

// TestAnySpans: whatever spans masks claim, each value lies in its line, in
// order, and there are as many as the template says.
func TestAnySpans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.IntRange(-2, 60)
		spans := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Span { return Span{number.Draw(t, "from"), number.Draw(t, "to")} }), 0, 8).Draw(t, "spans")
		line := []byte(rapid.StringMatching(`[a-c1-3 ="'{}:,/_.\\\[\]-]{0,60}`).Draw(t, "line"))
		m := newMiner(t, Config{Masks: []Mask{anywhere{spans}}, Delimiters: []string{"_", "c1"}})
		var out Line
		m.Parse(&out, line, rapid.Bool().Draw(t, "raw"))
		if out.Cluster.Slots != len(out.Params) {
			t.Fatalf("got %d parameters; want %d as in %q", len(out.Params), out.Cluster.Slots, out.Cluster.Text)
		}
		for _, p := range out.Params {
			if !inside(line, p.Value) {
				t.Fatalf("%q lies outside of %q", p.Value, line)
			}
		}
	})
}
