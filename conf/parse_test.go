package conf

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logscope/logscope/plugin/pipeline"
)

func TestParseKeys(t *testing.T) {
	for _, test := range []struct {
		text string
		want []pipeline.Path
	}{
		{"", nil},
		{"  ", nil},
		{"log", []pipeline.Path{{"log"}}},
		{"log, message ,msg,", []pipeline.Path{{"log"}, {"message"}, {"msg"}}},
		{"$log", []pipeline.Path{{"log"}}},
		{"$kubernetes['namespace_name']", []pipeline.Path{{"kubernetes", "namespace_name"}}},
		{`$kubernetes["labels"][ 'app' ]`, []pipeline.Path{{"kubernetes", "labels", "app"}}},
		{"$kubernetes['labels']['app.kubernetes.io/name'],x", []pipeline.Path{{"kubernetes", "labels", "app.kubernetes.io/name"}, {"x"}}},
		{"$a['it''s, ok']", []pipeline.Path{{"a", "it's, ok"}}},
		{`$a["q\"d"]`, []pipeline.Path{{"a", `q"d`}}},
		{"$service.name", []pipeline.Path{{"service.name"}}},
		{"two words", []pipeline.Path{{"two words"}}},
		{"'a,b'['c']", []pipeline.Path{{"a,b", "c"}}},
		{"_SYSTEMD_UNIT", []pipeline.Path{{"_SYSTEMD_UNIT"}}},
		{"schlüssel", []pipeline.Path{{"schlüssel"}}},
	} {
		got, err := ParseKeys(test.text)
		if err != nil {
			t.Errorf("%q: %v", test.text, err)
			continue
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", test.text, diff)
		}
	}
}

func TestParseKeysFaults(t *testing.T) {
	for _, test := range []struct {
		text   string
		offset int
		want   string
	}{
		{"$", 1, "a key must follow $"},
		{"$1a", 1, "a key must follow $"},
		{"$a[", 3, "a quoted key must follow ["},
		{"$a[b]", 3, "a quoted key must follow ["},
		{"$a[0]", 3, "an index into an array is not supported"},
		{"$a['b", 3, "the quote is not closed"},
		{"$a['b'", 6, "] expected"},
		{"$a['']", 3, "the key is empty"},
		{"$a['b']c", 7, "a comma or the end is expected"},
		{"a,,b", 2, "a key is expected"},
		{"kubernetes['a']", 10, "a nested key is written $key['sub']"},
		{"a=b", 1, "cannot stand in a bare key"},
		{"''", 0, "the key is empty"},
		{"$a" + strings.Repeat("['b']", accessorDepthMax), 0, "more than 32 levels"},
	} {
		_, err := ParseKeys(test.text)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("%q: got %v; want a syntax error", test.text, err)
			continue
		}
		if syntax.Offset != test.offset || !strings.Contains(syntax.Problem, test.want) {
			t.Errorf("%q: got %q at %d; want %q at %d", test.text, syntax.Problem, syntax.Offset, test.want, test.offset)
		}
	}
}

func literal(name, value string) pipeline.LabelSource {
	return pipeline.LabelSource{Name: name, Literal: value}
}

func fromKey(name string, path ...string) pipeline.LabelSource {
	return pipeline.LabelSource{Name: name, Path: path}
}

func TestParseLabels(t *testing.T) {
	for _, test := range []struct {
		text string
		want []pipeline.LabelSource
	}{
		{"", nil},
		{"job=fluentbit", []pipeline.LabelSource{literal("job", "fluentbit")}},
		{"job = fluentbit, env=$env, $sub['stream']", []pipeline.LabelSource{
			literal("job", "fluentbit"), fromKey("env", "env"), fromKey("sub_stream", "sub", "stream")}},
		{"ns=$kubernetes['namespace_name'],$level", []pipeline.LabelSource{fromKey("ns", "kubernetes", "namespace_name"), fromKey("level", "level")}},
		{"a='x, y',b=\"z\"", []pipeline.LabelSource{literal("a", "x, y"), literal("b", "z")}},
		{"a=b=c", []pipeline.LabelSource{literal("a", "b=c")}},
		{"a='$5'", []pipeline.LabelSource{literal("a", "$5")}},
		{"$kubernetes['labels']['app.io/name']", []pipeline.LabelSource{fromKey("kubernetes_labels_app_io_name", "kubernetes", "labels", "app.io/name")}},
		{`{job="fluentbit"}`, []pipeline.LabelSource{literal("job", "fluentbit")}},
		{` { job = "a, b" , env="}" , } `, []pipeline.LabelSource{literal("job", "a, b"), literal("env", "}")}},
		{"{job=`raw`}", []pipeline.LabelSource{literal("job", "raw")}},
		{`{job="$env"}`, []pipeline.LabelSource{literal("job", "$env")}},
		{"{}", nil},
	} {
		got, err := ParseLabels(test.text)
		if err != nil {
			t.Errorf("%q: %v", test.text, err)
			continue
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", test.text, diff)
		}
	}
}

func TestParseLabelsFaults(t *testing.T) {
	for _, test := range []struct {
		text   string
		offset int
		want   string
	}{
		{"job", 3, "to use a key of the record write $job"},
		{"job,env=a", 3, "= expected"},
		{"=a", 0, "a label is written name=value"},
		{"job=", 4, "is empty"},
		{"job=, env=a", 4, "is empty"},
		{"job=''", 4, "is empty"},
		{"job='a", 4, "the quote is not closed"},
		{"job='a'b", 7, "a comma or the end is expected"},
		{"$job=a", 0, "the other way round"},
		{"env=$", 5, "a key must follow $"},
		{"env=$a['b'", 10, "] expected"},
		{"{job=\"a\"", 0, "the brace is not closed"},
		{"{job=a}", 5, "a quoted value is expected"},
		{"{job=$a}", 5, "without braces, job=$key"},
		{`{job!="a"}`, 4, "only = can be used"},
		{`{job=~"a"}`, 5, "only = can be used"},
		{`{job="a"} x`, 10, "nothing may follow"},
		{`{job="a" env="b"}`, 9, "a comma or } is expected"},
		{`{="a"}`, 1, "a label is written"},
	} {
		_, err := ParseLabels(test.text)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("%q: got %v; want a syntax error", test.text, err)
			continue
		}
		if syntax.Offset != test.offset || !strings.Contains(syntax.Problem, test.want) {
			t.Errorf("%q: got %q at %d; want %q at %d", test.text, syntax.Problem, syntax.Offset, test.want, test.offset)
		}
	}
}

func TestParseLabelMap(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{`[]`, "not a JSON object"},
		{`{`, "not a JSON object"},
		{`{}`, "no labels in it"},
		{`{"a": 1, "b": {"c": null}}`, "$a: got 1; want the name of a label or an object\n$b['c']: got <nil>"},
		{`{"a": ""}`, "$a: the label name is empty"},
		{strings.Repeat(`{"a":`, 40) + `"x"` + strings.Repeat("}", 40), "more than 32 levels"},
	} {
		_, err := parseLabelMap([]byte(test.text))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v; want %q in it", test.text, err, test.want)
		}
	}
}

func TestParseDuration(t *testing.T) {
	for _, test := range []struct {
		text string
		want time.Duration
		ok   bool
	}{
		{"5s", 5 * time.Second, true},
		{"5", 5 * time.Second, true},
		{"0.5", 500 * time.Millisecond, true},
		{"1m", time.Minute, true},
		{"1M", time.Minute, true},
		{"1H30m", 90 * time.Minute, true},
		{"2d", 48 * time.Hour, true},
		{"1d12h", 36 * time.Hour, true},
		{"250ms", 250 * time.Millisecond, true},
		{"0", 0, true},
		{"-1s", 0, false},
		{"-1", 0, false},
		{"1d-1h", 0, false},
		{"", 0, false},
		{"s", 0, false},
		{"1.2.3s", 0, false},
		{"1e300", 0, false},
		{"99999999999999999999", 0, false},
		{"99999999d", 0, false},
		{"106751d24h", 0, false},
		{"5 apples", 0, false},
		{"NaN", 0, false},
	} {
		got, err := parseDuration(test.text)
		if got != test.want && test.ok || (err == nil) != test.ok {
			t.Errorf("%q: got %v, %v; want %v, ok %v", test.text, got, err, test.want, test.ok)
		}
	}
}

func TestParseSize(t *testing.T) {
	for _, test := range []struct {
		text string
		want int64
		ok   bool
	}{
		{"1048576", 1 << 20, true},
		{"1M", 1_000_000, true},
		{"1MB", 1_000_000, true},
		{"1MiB", 1 << 20, true},
		{"1mi", 1 << 20, true},
		{"1.5 KiB", 1536, true},
		{"512k", 512_000, true},
		{"2G", 2_000_000_000, true},
		{"7b", 7, true},
		{"0", 0, true},
		{"-1", 0, false},
		{"", 0, false},
		{"M", 0, false},
		{"1T", 0, false},
		{"9999999999G", 0, false},
		{"1.2.3M", 0, false},
	} {
		got, err := parseSize(test.text)
		if got != test.want && test.ok || (err == nil) != test.ok {
			t.Errorf("%q: got %v, %v; want %v, ok %v", test.text, got, err, test.want, test.ok)
		}
	}
}

func TestFormat(t *testing.T) {
	for want, got := range map[string]string{
		"4s": formatDuration(4 * time.Second), "5m": formatDuration(5 * time.Minute), "1h": formatDuration(time.Hour),
		"1m30s": formatDuration(90 * time.Second), "0s": formatDuration(0), "100ms": formatDuration(100 * time.Millisecond),
	} {
		if got != want {
			t.Errorf("got %s; want %s", got, want)
		}
	}
}

func TestNearest(t *testing.T) {
	rows := Rows(Plugin)
	for _, test := range []struct{ name, use string }{
		{"Tenant", "tenant_id"}, {"thresold", "threshold"}, {"anotate", "annotate"}, {"max_modls", "max_models"},
		{"host", "url"}, {"tls.verify", "url"}, {"zzz", ""}, {"BatchWait", ""},
	} {
		if use, _ := Nearest(test.name, rows); use != test.use {
			t.Errorf("%s: got %q; want %q", test.name, use, test.use)
		}
	}
}

func FuzzParseKeys(f *testing.F) {
	for _, seed := range []string{"$kubernetes['labels']['a''b'], x", "log,message", `'q'["\\"]`, "$", "[[", "$a[0]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		paths, err := ParseKeys(text)
		if err != nil {
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || syntax.Offset < 0 || syntax.Offset > len(text) {
				t.Fatalf("got %v; want a syntax error within the text", err)
			}
			return
		}
		var again []string
		for _, path := range paths {
			again = append(again, formatPath(path))
		}
		back, err := ParseKeys(strings.Join(again, ","))
		if err != nil || !slices.EqualFunc(paths, back, slices.Equal) {
			t.Fatalf("%q: got %q, %v back; want %q", text, back, err, paths)
		}
	})
}

func FuzzParseLabels(f *testing.F) {
	for _, seed := range []string{`{job="a", b="c"}`, "job=a, env=$env, $sub['stream']", "a='x, y'", "{", "a=~b", "{a=`b`}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		sources, err := ParseLabels(text)
		var syntax *SyntaxError
		if err != nil && (!errors.As(err, &syntax) || syntax.Offset < 0 || syntax.Offset > len(text)) {
			t.Fatalf("got %v; want a syntax error within the text", err)
		}
		for _, source := range sources {
			if source.Name == "" || (source.Path == nil) == (source.Literal == "") || slices.Contains(source.Path, "") {
				t.Fatalf("%q: got %+v; want a name, and a path or a literal", text, source)
			}
		}
	})
}

// FuzzLoad gives one value to every option of the plugin: no panic, and a value either works or is refused in words.
func FuzzLoad(f *testing.F) {
	rows := Rows(Plugin)
	for i, row := range rows {
		f.Add(uint8(i), row.Default)
		f.Add(uint8(i), row.Max+"0")
	}
	f.Add(uint8(0), "http://u:p@[::1")
	f.Fuzz(func(t *testing.T, i uint8, text string) {
		row := rows[int(i)%len(rows)]
		if row.Name == optionConfigFile || row.Name == "label_map_path" {
			return // names of files
		}
		given := []string{"url", "http://loki:3100", row.Name, text}
		s, err := Load(Plugin, options(given...))
		if err == nil {
			_ = s.Dump()
		} else if err.Error() == "" {
			t.Fatal("an error without words")
		}
	})
}
