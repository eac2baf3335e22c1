package chunk

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func parse(t testing.TB, script string) Value {
	t.Helper()
	v, rest, err := ParseValue(bytesOf(t, script))
	if err != nil || len(rest) != 0 {
		t.Fatalf("%s: got %d bytes left, %v; want one whole value", script, len(rest), err)
	}
	return v
}

func encode(t testing.TB, v any) Value {
	t.Helper()
	var w Writer
	if err := w.AppendValue(v); err != nil {
		t.Fatal(err)
	}
	out, rest, err := ParseValue(w.Buf)
	if err != nil || len(rest) != 0 {
		t.Fatalf("%v: got %d bytes left, %v; want one whole value", v, len(rest), err)
	}
	return out
}

func TestValueText(t *testing.T) {
	tests := []struct {
		in         string
		kind       Kind
		text, json string // json only where it differs
	}{
		{"c0", Nil, "null", ""},
		{"c2", Bool, "false", ""},
		{"c3", Bool, "true", ""},
		{"00", Int, "0", ""},
		{"7f", Int, "127", ""},
		{"ff", Int, "-1", ""},
		{"e0", Int, "-32", ""},
		{"cc ff", Int, "255", ""},
		{"cd ffff", Int, "65535", ""},
		{"ce ffffffff", Int, "4294967295", ""},
		{"cf 7fffffffffffffff", Int, "9223372036854775807", ""},
		{"cf ffffffffffffffff", Uint, "18446744073709551615", ""},
		{"d0 80", Int, "-128", ""},
		{"d1 8000", Int, "-32768", ""},
		{"d2 80000000", Int, "-2147483648", ""},
		{"d3 8000000000000000", Int, "-9223372036854775808", ""},
		{"ca 3dcccccd", Float, "0.1", ""},
		{"cb 3fb999999999999a", Float, "0.1", ""},
		{"cb 4008000000000000", Float, "3", ""},
		{"cb 8000000000000000", Float, "-0", ""},
		{"cb 7fefffffffffffff", Float, "1.7976931348623157e+308", ""},
		{"cb 0000000000000001", Float, "5e-324", ""},
		{"cb 7ff8000000000000", Float, "null", ""},
		{"ca ff800000", Float, "null", ""},
		{"a0", Str, "", `""`},
		{"a5'plain'", Str, "plain", `"plain"`},
		{"d905'str 8'", Str, "str 8", `"str 8"`},
		{"da0006'str 16'", Str, "str 16", `"str 16"`},
		{"db00000006'str 32'", Str, "str 32", `"str 32"`},
		{"a7 'a' 22 '\\' 0a 0d 09 01", Str, "a\"\\\n\r\t\x01", `"a\"\\\n\r\t\u0001"`},
		{"a3 e282ac", Str, "€", `"€"`},
		{"a4 'a' e282 'b'", Str, "a\uFFFD\uFFFDb", "\"a\uFFFD\uFFFDb\""},
		{"a3 eda080", Str, "\uFFFD\uFFFD\uFFFD", "\"\uFFFD\uFFFD\uFFFD\""},
		{"c4 03 'bin'", Bin, "bin", `"bin"`},
		{"c5 0002 ff00", Bin, "\uFFFD\x00", "\"\uFFFD\\u0000\""},
		{"c6 00000001 'x'", Bin, "x", `"x"`},
		{"d4 05 ab", Ext, `"ab"`, ""},
		{"d700 65000000 00000001", Ext, `"6500000000000001"`, ""},
		{"c7 00 07", Ext, `""`, ""},
		{"c9 00000002 ff 0102", Ext, `"0102"`, ""},
		{"90", Array, "[]", ""},
		{"93 01 a1'x' 92 c0 c3", Array, `[1,"x",[null,true]]`, ""},
		{"dd 00000001 01", Array, "[1]", ""},
		{"80", Map, "{}", ""},
		{"82 a1'b' 01 a1'a' 81 a1'c' 90", Map, `{"b":1,"a":{"c":[]}}`, ""},
		{"82 a1'k' 01 a1'k' 02", Map, `{"k":1,"k":2}`, ""},
		{"86 01 01 c0 02 c3 03 c401'b' 04 d4 05 ab 05 81 a1'x' 01 06", Map, `{"1":1,"null":2,"true":3,"b":4,"ab":5,"81a17801":6}`, ""},
	}
	for _, tt := range tests {
		v := parse(t, tt.in)
		if tt.json == "" {
			tt.json = tt.text
		}
		got := []string{v.Kind().String(), string(v.AppendText(nil)), string(v.AppendJSON(nil))}
		if diff := cmp.Diff([]string{tt.kind.String(), tt.text, tt.json}, got); diff != "" {
			t.Errorf("%s: kind, text, JSON (-want +got):\n%s", tt.in, diff)
		}
	}
}

func TestValueTextOfLongStringAndZero(t *testing.T) {
	long := strings.Repeat("0123456789", 10_000)
	if got := string(encode(t, long).AppendText([]byte("> "))); got != "> "+long {
		t.Errorf("long string: got %d bytes; want %d", len(got), len(long)+2)
	}
	var zero Value
	if got := string(zero.AppendText(nil)) + zero.Kind().String(); got != "nullnil" {
		t.Errorf("zero Value: got %s; want nullnil", got)
	}
}

func TestValueNumbers(t *testing.T) {
	type row struct {
		Int   int64
		Uint  uint64
		Float float64
	}
	tests := []struct {
		in   any
		want row
	}{
		{nil, row{}},
		{"7", row{}},
		{7, row{7, 7, 7}},
		{-7, row{-7, 0, -7}},
		{int64(math.MinInt64), row{math.MinInt64, 0, math.MinInt64}},
		{uint64(math.MaxUint64), row{math.MaxInt64, math.MaxUint64, math.MaxUint64}},
		{2.5, row{3, 0, 2.5}},
		{float32(-2.25), row{-2, 0, -2.25}},
		{1e300, row{math.MaxInt64, 0, 1e300}},
		{-1e300, row{math.MinInt64, 0, -1e300}},
	}
	for _, tt := range tests {
		v := encode(t, tt.in)
		if got := (row{v.Int(), v.Uint(), v.Float()}); got != tt.want {
			t.Errorf("%v: got %v; want %v", tt.in, got, tt.want)
		}
	}
	if got := encode(t, math.NaN()).Int(); got != 0 {
		t.Errorf("Int of NaN: got %d; want 0", got)
	}
}

func TestValueContainers(t *testing.T) {
	v := encode(t, Pairs{
		"log", "hello", 7, "number key", "", "empty key",
		"kubernetes", Pairs{"namespace_name", "prod", "labels", map[string]any{"app": "api"}},
		"list", []any{1, []any{2}, "x"},
		strings.Repeat("k", 40), "long key",
		"twice", 1, "twice", 2,
	})
	lookups := []struct{ path, want string }{
		{"log", `"hello"`}, {"kubernetes namespace_name", `"prod"`}, {"kubernetes labels app", `"api"`},
		{"kubernetes labels", `{"app":"api"}`}, {"twice", "2"}, {strings.Repeat("k", 40), `"long key"`},
		{"kubernetes missing", "-"}, {"7", "-"}, {"log x", "-"}, {"list 0", "-"}, {"lo", "-"}, {"logs", "-"},
	}
	for _, tt := range lookups {
		got := "-"
		if found, ok := v.Lookup(strings.Fields(tt.path)); ok {
			got = string(found.AppendJSON(nil))
		}
		if got != tt.want {
			t.Errorf("Lookup %s: got %s; want %s", tt.path, got, tt.want)
		}
	}
	if got, ok := v.Get(""); !ok || string(got.Bytes()) != "empty key" {
		t.Errorf("Get of the empty key: got %s, %v", got.Bytes(), ok)
	}
	if self, ok := v.Lookup(nil); !ok || len(self.Raw()) != len(v.Raw()) {
		t.Errorf("Lookup of the empty path: got %d bytes, %v; want itself", len(self.Raw()), ok)
	}

	var keys []string
	for it := v.Pairs(); it.Next(); {
		keys = append(keys, string(it.Key.AppendText(nil)))
	}
	if want := []string{"log", "7", "", "kubernetes", "list", strings.Repeat("k", 40), "twice", "twice"}; cmp.Diff(want, keys) != "" {
		t.Errorf("keys: got %q; want %q", keys, want)
	}
	list, _ := v.Get("list")
	var elems []string
	for it := list.Elems(); it.Next(); {
		elems = append(elems, string(it.Value.AppendJSON(nil)))
	}
	if want := []string{"1", "[2]", `"x"`}; cmp.Diff(want, elems) != "" || list.Len() != 3 || v.Len() != 8 {
		t.Errorf("elements: got %q of %d, %d pairs; want %q", elems, list.Len(), v.Len(), want)
	}
	for it := list.Pairs(); it.Next(); {
		t.Errorf("an array has the pair %s", it.Key.Raw())
	}
	for it := v.Elems(); it.Next(); {
		t.Errorf("a map has the element %s", it.Value.Raw())
	}
	if list.Bytes() != nil || list.Bool() || list.ExtType() != 0 || encode(t, "x").Len() != 0 {
		t.Error("accessors of another kind must be zero")
	}
	if got := parse(t, "d4 fb ab").ExtType(); got != -5 {
		t.Errorf("ExtType: got %d; want -5", got)
	}
}

// What a Go program writes comes back the same through encoding/json.
func TestWriterRoundTrip(t *testing.T) {
	in := map[string]any{
		"s": "text", "i": -5, "big": uint64(math.MaxUint64), "f": 0.25, "b": true, "n": nil,
		"list": []any{1, "two", []string{"three"}}, "map": map[string]string{"k": "v"}, "bytes": []byte("raw"),
	}
	want := `{"b":true,"big":18446744073709551615,"bytes":"raw","f":0.25,"i":-5,"list":[1,"two",["three"]],"map":{"k":"v"},"n":null,"s":"text"}`
	v := encode(t, in)
	if got := string(v.AppendJSON(nil)); got != want {
		t.Errorf("got %s; want %s", got, want)
	}
	if got := string(encode(t, Pairs{"copy", v, "none", Value{}}).AppendJSON(nil)); got != `{"copy":`+want+`,"none":null}` {
		t.Errorf("copied Value: got %s", got)
	}
	var w Writer
	w.AppendGroupClose()
	before := string(w.Buf)
	for _, bad := range []any{Pairs{"key without value"}, map[string]any{"f": func() {}}, []any{make(chan int)}} {
		if err := w.AppendRecord(1, nil, bad); err == nil || string(w.Buf) != before {
			t.Errorf("%T: got %v and %d bytes; want an error and Buf as before", bad, err, len(w.Buf))
		}
	}
}

func TestWriterLengths(t *testing.T) {
	for _, n := range []int{0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536, 70000} {
		elems, pairs := make([]any, n), make(Pairs, 2*n)
		for i := range n {
			elems[i], pairs[2*i], pairs[2*i+1] = true, "k", i
		}
		if got := encode(t, elems).Len(); got != n {
			t.Errorf("array of %d: got %d", n, got)
		}
		if v := encode(t, pairs); v.Len() != n || !json.Valid(v.AppendJSON(nil)) {
			t.Errorf("map of %d: got %d", n, v.Len())
		}
		if got := len(encode(t, strings.Repeat("x", n)).Bytes()); got != n {
			t.Errorf("string of %d: got %d", n, got)
		}
	}
}

func TestWriterEvents(t *testing.T) {
	var w Writer
	for _, nanos := range []int64{0, 1, 1_700_000_000_999_999_999, 4294967293*1e9 + 5} {
		if err := w.AppendRecord(nanos, nil, Pairs{}); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"0 {} meta={}", "1 {} meta={}", "1700000000999999999 {} meta={}", "4294967293000000005 {} meta={}"}
	if diff := cmp.Diff(want, trace(w.Buf)); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}
	w.Buf = nil
	if err := w.AppendGroupOpen(nil, Pairs{"resource", Pairs{"attributes", Pairs{"service.name", "api"}}}); err != nil {
		t.Fatal(err)
	}
	w.AppendLine(1, "log", "in")
	w.AppendGroupClose()
	w.AppendLine(2, "log", "out")
	want = []string{`1 {"log":"in"} meta={} group={} {"resource":{"attributes":{"service.name":"api"}}}`, `2 {"log":"out"} meta={}`}
	if diff := cmp.Diff(want, trace(w.Buf)); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}
	// A second before 1970 wraps: -3.5 s is in 2106.
	w.Buf = nil
	w.AppendLine(-3_500_000_000, "log", "x")
	if diff := cmp.Diff([]string{`4294967292500000000 {"log":"x"} meta={}`}, trace(w.Buf)); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}
}
