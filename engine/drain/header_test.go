package drain

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// failer is what testing and rapid have in common.
type failer interface {
	Helper()
	Fatalf(string, ...any)
}

func newMiner(t failer, cfg Config) *Miner {
	t.Helper()
	if cfg.ClustersMax == 0 {
		cfg.ClustersMax = 1000
	}
	if cfg.BytesMax == 0 {
		cfg.BytesMax = 8 << 20
	}
	m, err := New(cfg)
	if err != nil {
		t.Fatalf("got %v", err)
	}
	return m
}

var levelNames = [...]string{"-", "trace", "debug", "info", "notice", "warn", "error", "critical"}

// describe writes what was found in a line for people.
func describe(w *bytes.Buffer, line string, out *Line) {
	when := "-"
	if out.Time != 0 {
		when = time.Unix(0, out.Time).UTC().Format(time.RFC3339Nano)
	}
	fmt.Fprintf(w, "%s\n  time     %s\n  level    %s\n  message  %s\n  template %s\n", line, when, levelNames[out.Level], out.Message, out.Cluster.Text)
	for _, p := range out.Params {
		fmt.Fprintf(w, "  %-8s %s", kindNames[p.Kind], p.Value)
		if p.Kind == Number {
			fmt.Fprintf(w, " (%g)", p.Num)
		}
		if p.Key != nil {
			fmt.Fprintf(w, " of %s", p.Key)
		}
		w.WriteByte('\n')
	}
	w.WriteByte('\n')
}

var kindNames = [...]string{"word", "number", "hex", "uuid", "id", "ipv4", "ipv6", "path", "host", "quoted", "time"}

// TestFormats reads each line of testdata/formats.txt with a Miner of its own
// and compares what it found with testdata/formats.golden.
func TestFormats(t *testing.T) {
	data, err := os.ReadFile("testdata/formats.txt")
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || strings.HasPrefix(line, "## ") {
			continue
		}
		m := newMiner(t, Config{BaseYear: 2024})
		var out Line
		m.Parse(&out, []byte(line), false)
		if len(out.Params) != out.Cluster.Slots {
			t.Errorf("%q: got %d parameters; want %d", line, len(out.Params), out.Cluster.Slots)
		}
		describe(&got, line, &out)
	}
	const golden = "testdata/formats.golden"
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestStamps(t *testing.T) {
	utc := func(y, mo, d, h, mi, s, ns int) time.Time {
		return time.Date(y, time.Month(mo), d, h, mi, s, ns, time.UTC)
	}
	for _, c := range []struct {
		text string
		want time.Time
		left string // what is not part of the time
	}{
		{"2024-01-02T03:04:05Z x", utc(2024, 1, 2, 3, 4, 5, 0), " x"},
		{"2024-01-02T03:04:05.123456789+01:00", utc(2024, 1, 2, 2, 4, 5, 123456789), ""},
		{"2024-01-02 03:04:05,123 INFO", utc(2024, 1, 2, 3, 4, 5, 123e6), " INFO"},
		{"2024-01-02 03:04:05 -0700 x", utc(2024, 1, 2, 10, 4, 5, 0), " x"},
		{"2024-01-02 03:04:05 CET x", utc(2024, 1, 2, 2, 4, 5, 0), " x"},
		{"2024-01-02 03:04:05 WARN", utc(2024, 1, 2, 3, 4, 5, 0), " WARN"},
		{"2024/01/02 03:04:05 [error]", utc(2024, 1, 2, 3, 4, 5, 0), " [error]"},
		{"2024.01.02", utc(2024, 1, 2, 0, 0, 0, 0), ""},
		{"2005-06-03-15.42.50.675872 R02", utc(2005, 6, 3, 15, 42, 50, 675872e3), " R02"},
		{"02/Jan/2006:15:04:05 -0700]", utc(2006, 1, 2, 22, 4, 5, 0), "]"},
		{"17/06/09 20:10:40 INFO", utc(2017, 6, 9, 20, 10, 40, 0), " INFO"},
		{"01/02/2006 03:04:05 PM", utc(2006, 1, 2, 15, 4, 5, 0), ""},
		{"25/12/2006 12:00:00", utc(2006, 12, 25, 12, 0, 0, 0), ""},
		{"02-Jan-2006 15:04:05.5", utc(2006, 1, 2, 15, 4, 5, 5e8), ""},
		{"2 Jan 2006 15:04:05", utc(2006, 1, 2, 15, 4, 5, 0), ""},
		{"081109 203615 148", utc(2008, 11, 9, 20, 36, 15, 0), " 148"},
		{"20171223-22:15:29:606|", utc(2017, 12, 23, 22, 15, 29, 606e6), "|"},
		{"20240102T030405Z", utc(2024, 1, 2, 3, 4, 5, 0), ""},
		{"Mon, 02 Jan 2006 15:04:05 GMT", utc(2006, 1, 2, 15, 4, 5, 0), ""},
		{"Mon Jan  2 15:04:05 2006", utc(2006, 1, 2, 15, 4, 5, 0), ""},
		{"Mon Jan  2 15:04:05 MST 2006", utc(2006, 1, 2, 22, 4, 5, 0), ""},
		{"Jan 2 2006 15:04:05: x", utc(2006, 1, 2, 15, 4, 5, 0), ": x"},
		{"1136214245 x", utc(2006, 1, 2, 15, 4, 5, 0), " x"},
		{"1136214245.250", utc(2006, 1, 2, 15, 4, 5, 25e7), ""},
		{"1136214245123", utc(2006, 1, 2, 15, 4, 5, 123e6), ""},
		{"1136214245123456789", utc(2006, 1, 2, 15, 4, 5, 123456789), ""},
	} {
		var s stamp
		end := readStamp([]byte(c.text), 0, true, &s)
		if end == 0 {
			t.Errorf("%q: got no time; want %v", c.text, c.want)
			continue
		}
		if got := time.Unix(0, s.unixNanos(0)).UTC(); !got.Equal(c.want) || c.text[end:] != c.left {
			t.Errorf("%q: got %v, left %q; want %v, left %q", c.text, got, c.text[end:], c.want, c.left)
		}
	}
}

func TestNoStamp(t *testing.T) {
	for _, text := range []string{"", "x", "12", "2024", "2024-13-02 00:00:00", "2024-01-32", "2024-01-02x", "99:99:99", "Janitor 2 15:04:05",
		"Mon", "May be 5", "1234567", "12345678901", "10.0.0.1", "1.2.3.4:80", "5/6", "31/31/31 10:00:00", "081309 203615", "I0102"} {
		var s stamp
		if len(text) == 0 {
			continue
		}
		if end := readStamp([]byte(text), 0, true, &s); end != 0 {
			t.Errorf("%q: got a time up to %d; want none", text, end)
		}
	}
}

// TestYears follows a stream of times that say no year over New Year's Eve, and back.
func TestYears(t *testing.T) {
	m := newMiner(t, Config{BaseYear: 2023})
	var out Line
	for _, c := range []struct{ line, want string }{
		{"Dec 31 23:59:58 host app[1]: x", "2023-12-31T23:59:58Z"},
		{"Jan  1 00:00:01 host app[1]: x", "2024-01-01T00:00:01Z"},
		{"Dec 31 23:59:59 host app[1]: x", "2023-12-31T23:59:59Z"},
		{"Feb 29 12:00:00 host app[1]: x", "2024-02-29T12:00:00Z"},
		{"2030-06-01T00:00:00Z host app[1]: x", "2030-06-01T00:00:00Z"},
		{"Jun  2 00:00:00 host app[1]: x", "2030-06-02T00:00:00Z"},
		{"23:59:59.5 INFO x", "2030-06-01T23:59:59.5Z"},
		{"00:00:01 INFO x", "2030-06-02T00:00:01Z"},
	} {
		m.Parse(&out, []byte(c.line), false)
		if got := time.Unix(0, out.Time).UTC().Format(time.RFC3339Nano); got != c.want {
			t.Errorf("%q: got %s; want %s", c.line, got, c.want)
		}
	}
}

func TestTimeLayout(t *testing.T) {
	for _, c := range []struct{ layout, line, want, message string }{
		{"060102 150405", "081109 203615 148 INFO dfs.DataNode: hello", "2008-11-09T20:36:15Z", "hello"},
		{"2006-01-02 15:04:05.000", "api.log 2017-05-16 00:00:00.008 25746 INFO nova.api [-] hello", "2017-05-16T00:00:00.008Z", "hello"},
		{"02/01/06 15h04m05", "[05/06/17 10h11m12] ERROR hello", "2017-06-05T10:11:12Z", "hello"},
		{"Jan _2 15h04", "app Dec  3 10h11 hello you", "2024-12-03T10:11:00Z", "hello you"},
		{"2006.002 15:04", "2017.032 10:11 hello you", "2017-02-01T10:11:00Z", "hello you"},
	} {
		m := newMiner(t, Config{TimeLayout: c.layout, BaseYear: 2024})
		var out Line
		m.Parse(&out, []byte(c.line), false)
		if got := time.Unix(0, out.Time).UTC().Format(time.RFC3339Nano); got != c.want || string(out.Message) != c.message {
			t.Errorf("%q: got %s, message %q; want %s, message %q", c.line, got, out.Message, c.want, c.message)
		}
	}
}

// TestColumns learns from a stream that its time stands behind columns of words.
func TestColumns(t *testing.T) {
	m := newMiner(t, Config{})
	var out Line
	for i := range 20 {
		m.Parse(&out, fmt.Appendf(nil, "%d node%d action error %d 1 cluster member added by %d", 4000+i, i, 1704164645+i, i), false)
	}
	if out.Time != (1704164645+19)*1e9 || string(out.Message) != "1 cluster member added by 19" {
		t.Errorf("got time %d, message %q; want the columns cut off", out.Time, out.Message)
	}
	for range 20 {
		m.Parse(&out, []byte("5 jobs were started by hand"), false)
	}
	m.Parse(&out, []byte("5 jobs were started 1704164645 times"), false)
	if out.Time != 0 || string(out.Message) != "5 jobs were started 1704164645 times" {
		t.Errorf("got time %d, message %q; want no header", out.Time, out.Message)
	}
}

func TestBadConfig(t *testing.T) {
	_, err := New(Config{ClustersMax: 1, BytesMax: 1, TimeLayout: "hello", BaseYear: 12})
	if err == nil {
		t.Fatal("got no error; want one")
	}
	for _, want := range []string{"ClustersMax", "BytesMax", "BaseYear"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q; want it to name %s", err, want)
		}
	}
	if _, err = New(Config{ClustersMax: 100, BytesMax: 1 << 20, TimeLayout: "hello"}); err == nil || !strings.Contains(err.Error(), "hello") {
		t.Errorf("got %v; want an error that names the layout", err)
	}
}
