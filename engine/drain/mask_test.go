package drain

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// param is a Param to compare.
type param struct {
	Value, Key string
	Kind       Kind
	Num        float64
}

func paramsOf(ps []Param) []param {
	var out []param
	for _, p := range ps {
		out = append(out, param{string(p.Value), string(p.Key), p.Kind, p.Num})
	}
	return out
}

var nan = math.NaN()

// TestMasks lists what is masked in a message, kind by kind.
func TestMasks(t *testing.T) {
	for _, c := range []struct {
		line, template string
		params         []param
	}{
		{"no values here", "no values here", nil}, {"", "", nil},
		{"took 12ms, 1.5s, 3m and 1h2m3s", "took <*>, <*>, <*> and <*>", nil},
		{"took 12ms", "took <*>", []param{{"12ms", "", Number, 0.012}}},
		{"took 1m30.5s", "took <*>", []param{{"1m30.5s", "", Number, 90.5}}},
		{"size 4.5 KB of -7", "size <*> of <*>", []param{{"4.5 KB", "", Number, 4608}, {"-7", "", Number, -7}}},
		{"size 2GiB at 93.5%", "size <*> at <*>", []param{{"2GiB", "", Number, 2 << 30}, {"93.5%", "", Number, 93.5}}},
		{"rate 1.5e-3.", "rate <*>.", []param{{"1.5e-3", "", Number, 0.0015}}},
		{"big 123456789012345678901234567890", "big <*>", []param{{"123456789012345678901234567890", "", Number, 1.2345678901234568e29}}},
		{"at 0xdeadbeef and 4d3c2b1a99", "at <*> and <*>", []param{{"0xdeadbeef", "", Hex, nan}, {"4d3c2b1a99", "", Hex, nan}}},
		{"deadbeef facade", "deadbeef facade", nil},
		{"id 7e7cc42f-3cb9-4d91-804c-f5a32d54f1c5 done", "id <*> done", []param{{"7e7cc42f-3cb9-4d91-804c-f5a32d54f1c5", "", UUID, nan}}},
		{"block blk_-6991 of pod-7f9c-x2", "block <*> of <*>", []param{{"blk_-6991", "", ID, nan}, {"pod-7f9c-x2", "", ID, nan}}},
		{"from 10.0.0.1:80, to /10.0.0.2", "from <*>, to <*>", []param{{"10.0.0.1:80", "", IPv4, nan}, {"/10.0.0.2", "", IPv4, nan}}},
		{"net 10.0.0.0/8", "net <*>", []param{{"10.0.0.0/8", "", IPv4, nan}}},
		{"version 1.2.3.400", "version <*>", []param{{"1.2.3.400", "", ID, nan}}},
		{"from ::1 and fe80::1%eth0", "from <*> and <*>", []param{{"::1", "", IPv6, nan}, {"fe80::1%eth0", "", IPv6, nan}}},
		{"addr 2001:db8::8:800:200c:417a up", "addr <*> up", []param{{"2001:db8::8:800:200c:417a", "", IPv6, nan}}},
		{"mac aa:bb:cc:dd:ee:f0 up", "mac <*> up", []param{{"aa:bb:cc:dd:ee:f0", "", ID, nan}}},
		{"open /etc/passwd, C:\\Windows\\x.dll", "open <*>, <*>", []param{{"/etc/passwd", "", Path, nan}, {"C:\\Windows\\x.dll", "", Path, nan}}},
		{"get https://example.com/a?b=c&d=e.", "get <*>.", []param{{"https://example.com/a?b=c&d=e", "", Path, nan}}},
		{"either/or and I/O", "either/or and I/O", nil},
		{`"Killing \"web\" now" pod="a/b" grace=30`, `Killing "<*>" now pod=<*> grace=<*>`,
			[]param{{"web", "", Quoted, nan}, {`"a/b"`, "pod", Quoted, nan}, {"30", "grace", Number, 30}}},
		{`"Started"`, "Started", nil}, {`"a b" is quoted`, `"<*>" is quoted`, []param{{"a b", "", Quoted, nan}}}, {`""`, `""`, nil},
		{"left [TERM, HUP] and [a b, c] of []", "left [<*>] and [a b, c] of [<*>]", []param{{"TERM, HUP", "", Word, nan}, {"", "", Word, nan}}},
		{`ids []string{"a", ""} [x,y z] [1, 2, 3], ["a b", "c"] a[i]`, `ids []string{"<*>", ""} [x,y z] [<*>], [<*>] a[i]`,
			[]param{{"a", "", Quoted, nan}, {"1, 2, 3", "", Word, nan}, {`"a b", "c"`, "", Word, nan}}},
		{"took <1ms, <0.5 sec of <5> or <a>", "took <*>, <*> of <<*>> or <a>",
			[]param{{"1ms", "", Number, 0.001}, {"0.5 sec", "", Number, 0.5}, {"5", "", Number, 5}}},
		{"sent 1024 bytes (1.00 KB) in 2 s", "sent <*> bytes in <*> s", []param{{"1024", "", Number, 1024}, {"2", "", Number, 2}}},
		{"sent 10 bytes in 2 s", "sent <*> bytes in <*> s", []param{{"10", "", Number, 10}, {"2", "", Number, 2}}},
		{"sent 10 bytes (2 of 3) or (5 packets)", "sent <*> bytes (<*> of <*>) or (<*> packets)",
			[]param{{"10", "", Number, 10}, {"2", "", Number, 2}, {"3", "", Number, 3}, {"5", "", Number, 5}}},
		{"set on:true off=False, is true or truly", "set on:<*> off=<*>, is <*> or truly",
			[]param{{"true", "on", Word, nan}, {"False", "off", Word, nan}, {"true", "", Word, nan}}},
		{"a null pointer, ws=null (nil)", "a null pointer, ws=<*> (<*>)", []param{{"null", "ws", Word, nan}, {"nil", "", Word, nan}}},
		{"set mask=ffffffff face=facade name=com.x.Y state=open", "set mask=<*> face=facade name=<*> state=open",
			[]param{{"ffffffff", "mask", Word, nan}, {"com.x.Y", "name", Word, nan}}},
		{"at com.x.Y.run:12 of com.x/.y.Z", "at <*> of <*>", []param{{"com.x.Y.run:12", "", Host, nan}, {"com.x/.y.Z", "", Path, nan}}},
		{"at main.go:12", "at main.go:<*>", []param{{"12", "main.go", Number, 12}}},
		{"key=0|com.x|1|null|10, a|b", "key=<*>, a|b", []param{{"0|com.x|1|null|10", "key", ID, nan}}},
		{"host db.example.com:5432 and java.lang.Error in main.go", "host <*> and java.lang.Error in main.go",
			[]param{{"db.example.com:5432", "", Host, nan}}},
		{"mail bob@example.com", "mail <*>", []param{{"bob@example.com", "", ID, nan}}},
		{`relation "foo bar" isn't 'x y'`, `relation "<*>" isn't '<*>'`, []param{{"foo bar", "", Quoted, nan}, {"x y", "", Quoted, nan}}},
		{`"GET /a b HTTP/1.0" 200`, `"GET <*> HTTP/<*>" <*>`, []param{{"/a b", "", Path, nan}, {"1.0", "", Number, 1}, {"200", "", Number, 200}}},
		{`empty "" and unclosed "x`, `empty "" and unclosed "x`, nil},
		{"uid=0 euid=-1 tty=ssh", "uid=<*> euid=<*> tty=<*>", nil},
		{"failed; uid=0 rhost= id: 5", "failed; uid=<*> rhost= id: <*>", []param{{"0", "uid", Number, 0}, {"5", "id", Number, 5}}},
		{"at 2024-01-02 03:04:05.678 done", "at <*> done", []param{{"2024-01-02 03:04:05.678", "", Time, nan}}},
		{"at Wed Jun 29 14:44:35 2005", "at <*>", []param{{"Wed Jun 29 14:44:35 2005", "", Time, nan}}},
		{"at 14:44:35", "at <*>", []param{{"14:44:35", "", Time, nan}}},
		{"from bad.example.com ()", "from <*> (<*>)", []param{{"bad.example.com", "", Host, nan}, {"", "", Word, nan}}},
		{"call init() now", "call init() now", nil},
		{"blocks blk_1, blk_2, blk_3, blk_4 gone", "blocks <*> gone", []param{{"blk_1, blk_2, blk_3, blk_4", "", Word, nan}}},
		{"blocks blk_1 blk_2 blk_3", "blocks <*>", []param{{"blk_1 blk_2 blk_3", "", ID, nan}}},
		{"load 0.1 0.2 0.3", "load <*> <*> <*>", []param{{"0.1", "", Number, 0.1}, {"0.2", "", Number, 0.2}, {"0.3", "", Number, 0.3}}},
		{"ids 1,2,3 left", "ids <*> left", []param{{"1,2,3", "", Word, nan}}},
		{"threshold......5", "threshold......<*>", []param{{"5", "", Number, 5}}},
		{"a\tb  c\r", "a b c", nil},
		{"x\x01y \x00 \xff\xfe é", "x y \uFFFD é", nil},
		{strings.Repeat("a", 65), "<*>", []param{{strings.Repeat("a", 65), "", Word, nan}}},
		{`{"msg":"user 5 \"bob\" left","ok":true,"a":{"b":[1,2]},"n":-1.5}`, `user <*> "<*>" left ok=<*> a.b=<*> n=<*>`,
			[]param{{"5", "", Number, 5}, {"bob", "", Quoted, nan}, {"true", "ok", Word, nan}, {"[1,2]", "b", Word, nan}, {"-1.5", "n", Number, -1.5}}},
		{`{}`, `{}`, nil}, {`{"a":}`, `{"a":}`, nil},
		{`got {"id": 5, "name": "bob"} and {'k': 'v'}`, `got {"id": <*>, "name": "<*>"} and {'k': '<*>'}`,
			[]param{{"5", "id", Number, 5}, {"bob", "name", Quoted, nan}, {"v", "k", Quoted, nan}}},
		{`user=bob took=5ms msg="read \"x\" 7 times"`, `user=<*> took=<*> read "<*>" <*> times`,
			[]param{{"bob", "user", Word, nan}, {"5ms", "took", Number, 0.005}, {"x", "", Quoted, nan}, {"7", "", Number, 7}}},
	} {
		m := newMiner(t, Config{})
		var out Line
		m.Parse(&out, []byte(c.line), true)
		if out.Cluster.Text != c.template {
			t.Errorf("%q: got %q; want %q", c.line, out.Cluster.Text, c.template)
		}
		if out.Cluster.Slots != len(out.Params) {
			t.Errorf("%q: got %d parameters; want the template's %d", c.line, len(out.Params), out.Cluster.Slots)
		}
		if len(c.params) == 0 {
			continue
		}
		if diff := cmp.Diff(c.params, paramsOf(out.Params), cmpopts.EquateNaNs(), cmpopts.EquateApprox(1e-12, 0)); diff != "" {
			t.Errorf("%q: -want +got:\n%s", c.line, diff)
		}
	}
}

func TestLevels(t *testing.T) {
	for word, want := range map[string]Level{"INFO": Info, "info": Info, "Warning": Warn, "WARN": Warn, "ERR": Error, "SEVERE": Error, "FATAL": Critical,
		"emerg": Critical, "FINE": Debug, "TRACE": Trace, "notice": Notice, "information": Info, "hello": NoLevel, "": NoLevel, "err0r": NoLevel, "informational": NoLevel} {
		if got := levelOf([]byte(word)); got != want {
			t.Errorf("%q: got %d; want %d", word, got, want)
		}
	}
}
