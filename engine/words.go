package engine

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/logscope/logscope/engine/detect"
)

const (
	// quoteMax bounds a template or value quoted in an explanation; it is cut at
	// a space where one stands in the last quoteSlack bytes.
	quoteMax, quoteSlack = 120, 30
)

// span writes a duration as people say it.
func span(d int64) string {
	v := time.Duration(d)
	switch {
	case v >= 48*time.Hour:
		return strconv.FormatInt(int64(v/(24*time.Hour)), 10) + " days"
	case v >= 10*time.Minute:
		v = v.Round(time.Minute)
	case v >= 10*time.Second:
		v = v.Round(time.Second)
	case v >= time.Second:
		v = v.Round(time.Second / 10)
	default:
		return strconv.FormatInt(int64(v.Round(time.Millisecond)/time.Millisecond), 10) + "ms"
	}
	s := v.String() // "1h30m0s", "2m0s", "1.5s"
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// quote quotes text from a log: valid UTF-8, shortened.
func quote(s string) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) > quoteMax {
		i := quoteMax
		for i > 0 && !utf8.RuneStart(s[i]) {
			i--
		}
		if space := strings.LastIndexByte(s[:i], ' '); space > i-quoteSlack {
			i = space
		}
		s = s[:i] + "..."
	}
	if strings.IndexByte(s, '"') >= 0 && strconv.CanBackquote(s) {
		return "`" + s + "`"
	}
	return strconv.Quote(s)
}

// number writes a measured value with three digits that count, without an exponent.
func number(v float64) string {
	switch a := math.Abs(v); {
	case a == 0 || math.IsNaN(v) || a > 1e15:
		return strconv.FormatFloat(v, 'g', 3, 64)
	case a >= 100:
		return grouped(v)
	case a < 0.001:
		return "less than 0.001"
	}
	digits := 2 - int(math.Floor(math.Log10(math.Abs(v))))
	s := strconv.FormatFloat(v, 'f', digits, 64)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// grouped writes a whole number with commas between the thousands.
func grouped(v float64) string {
	s := strconv.FormatFloat(math.Abs(v), 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if v < 0 {
		return "-" + s
	}
	return s
}

// count writes a number of things with their name, of which more than one end in s.
func count(n float64, thing string) string {
	if math.Round(n) == 1 {
		return "1 " + thing
	}
	return grouped(n) + " " + thing + "s"
}

// often writes a probability as one in so many.
func often(p float64) string {
	switch {
	case p > 0.4:
		return "every other one"
	case p > 0.095:
		return "one in " + grouped(1/p)
	}
	n := 1 / p
	unit := math.Pow(10, math.Floor(math.Log10(n))-1) // two digits that count
	return "one in " + grouped(math.Round(n/unit)*unit)
}

// percent writes a share, near 100 with the digits that tell it from all.
func percent(share float64) string {
	switch {
	case share >= 0.9999:
		return "over 99.99%"
	case share > 0.99:
		return strconv.FormatFloat(100*share, 'f', 2, 64) + "%"
	}
	return strconv.FormatFloat(100*share, 'f', 1, 64) + "%"
}

// perMinute writes a rate of records.
func perMinute(rate float64) string {
	switch gap := float64(60*detect.Second) / rate; {
	case rate >= 0.95:
		return number(rate) + " a minute"
	case rate <= 0 || gap > float64(366*24*3600*detect.Second):
		return "none"
	default:
		return "one every " + span(int64(gap))
	}
}

// atMost writes a highest count of a minute as what was expected.
func atMost(peak float64) string {
	if peak < 0.5 {
		return "none"
	}
	return "at most " + grouped(math.Ceil(peak)) + " a minute"
}

// cut shortens s to at most n bytes, at the boundary of a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
