package engine

import (
	"strings"
	"testing"
	"time"
)

func TestWords(t *testing.T) {
	ms := int64(time.Millisecond)
	for _, c := range []struct{ got, want string }{
		{span(0), "0ms"}, {span(100 * ms), "100ms"}, {span(1300 * ms), "1.3s"}, {span(60_000 * ms), "1m"},
		{span(100_000 * ms), "1m40s"}, {span(600_000 * ms), "10m"}, {span(3_600_000 * ms), "1h"},
		{span(5_400_000 * ms), "1h30m"}, {span(72 * 3_600_000 * ms), "3 days"},
		{number(0), "0"}, {number(7.402e-15), "less than 0.001"}, {number(0.003611), "0.00361"}, {number(9.758), "9.76"},
		{number(10), "10"}, {number(136.3), "136"}, {number(5e4), "50,000"}, {number(-1234567), "-1,234,567"}, {number(999.7), "1,000"},
		{count(1, "record"), "1 record"}, {count(0, "record"), "0 records"}, {count(3925, "record"), "3,925 records"},
		{often(0.5), "every other one"}, {often(0.1), "one in 10"}, {often(1.0 / 8003), "one in 8,000"}, {often(9.993e-4), "one in 1,000"},
		{percent(0.98852), "98.9%"}, {percent(0.99913), "99.91%"}, {percent(1), "over 99.99%"}, {percent(0), "0.0%"},
		{perMinute(0.1287), "one every 7m46s"}, {perMinute(7.4e-15), "none"}, {perMinute(12.34), "12.3 a minute"}, {perMinute(0), "none"},
		{fewOf(0.5/55, 54), "none of 54 sessions of its kind"}, {fewOf(2.5/201, 200), "only 2 of 200 sessions of its kind"},
		{quote(`a "b" c`), "`a \"b\" c`"}, {quote("a\x00\xff"), `"a\x00?"`},
	} {
		if c.got != c.want {
			t.Errorf("got %q; want %q", c.got, c.want)
		}
	}
}

// TestQuoteIsShort cuts long texts, at a space where there is one.
func TestQuoteIsShort(t *testing.T) {
	for _, text := range []string{strings.Repeat("word ", 60), strings.Repeat("é", 200), strings.Repeat("x", 500), strings.Repeat(`"`, 300)} {
		got := quote(text)
		if len(got) > quoteMax+5 || !strings.Contains(got, "...") {
			t.Errorf("got %d bytes: %s", len(got), got)
		}
	}
	if got := quote(strings.Repeat("word ", 60)); !strings.HasSuffix(got, `word..."`) {
		t.Errorf("got %s; want it to end with a whole word", got)
	}
}
