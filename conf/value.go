package conf

import (
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/logscope/logscope/plugin/pipeline"
)

// Kind is what an option's value is.
type Kind uint8

// Kinds of values.
const (
	Text     Kind = iota
	Bool          // on, off, true, false, yes, no, 1, 0
	Int           // 42
	Fraction      // 0.95
	Size          // bytes: 1048576, 1M (10^6, as Fluent Bit counts), 1MiB
	Duration      // 5s, 1m30s, 2d, 90 (seconds)
	Choice        // one of Row.Choices
	Key           // an accessor or a bare key
	KeyList       // several, separated by commas
	Labels        // job=fluent-bit, env=$env or {job="fluent-bit"}
	Headers       // Name: value, one a line
	Listen        // 2021, :2021, 0.0.0.0:2021, [::1]:2021
	Layout        // a time as Go writes layouts: 2006-01-02 15:04:05
)

// String names the kind as the reference page does.
func (k Kind) String() string {
	return [...]string{"text", "on or off", "number", "fraction", "size", "duration", "choice", "key", "keys", "labels", "headers", "address", "layout"}[k]
}

// allowed says in words what a value of the kind may be.
func (k Kind) allowed() string {
	return [...]string{
		"text",
		"on, off, true, false, yes, no, 1 or 0",
		"a whole number",
		"a number such as 0.95",
		"a size such as 1048576, 512K, 1M or 1MiB",
		"a duration such as 500ms, 5s, 1m30s, 2d, or a number of seconds",
		"one of the values listed",
		"a key such as log or $kubernetes['pod_name']",
		"keys separated by commas, such as log, $kubernetes['pod_name']",
		`labels such as job=fluent-bit, env=$env, $kubernetes['pod_name'] or {job="fluent-bit"}`,
		"headers such as X-Scope: value, one a line",
		"a port, which is on 127.0.0.1, or a host and a port, such as 2021, 0.0.0.0:2021 or [::1]:2021",
		"the time 2 January 2006, 15:04:05 written as the log writes times, such as 2006-01-02 15:04:05.000 or 02/Jan/2006:15:04:05 -0700",
	}[k]
}

// Header is one HTTP header to send.
type Header struct{ Name, Value string }

// Value is the value of an option, parsed. Which field holds it depends on the kind.
type Value struct {
	Text    string                 // Text, Layout
	Bool    bool                   // Bool
	Int     int64                  // Int, Size, Duration (nanoseconds), Choice (index into Row.Choices)
	Float   float64                // Fraction
	Paths   []pipeline.Path        // Key (at most one), KeyList
	Sources []pipeline.LabelSource // Labels
	Headers []Header               // Headers
}

// Duration returns a Duration's value.
func (v Value) Duration() time.Duration { return time.Duration(v.Int) }

// parse reads the text of an option of row r and checks its bounds.
func (r *Row) parse(text string) (Value, error) {
	v, err := r.parseKind(text)
	if err != nil {
		return v, err
	}
	return v, r.checkBounds(v)
}

func (r *Row) parseKind(text string) (v Value, err error) {
	switch r.Kind {
	case Text:
		v.Text = text
	case Layout:
		v.Text, err = text, checkLayout(text)
	case Listen:
		v.Text, err = parseListen(text)
	case Bool:
		v.Bool, err = parseBool(text)
	case Int:
		v.Int, err = parseInt(text)
	case Fraction:
		v.Float, err = parseFloat(text)
	case Size:
		v.Int, err = parseSize(text)
	case Duration:
		var d time.Duration
		d, err = parseDuration(text)
		v.Int = int64(d)
	case Choice:
		v.Int, err = r.parseChoice(text)
	case Key, KeyList:
		v.Paths, err = ParseKeys(text)
		if err == nil && r.Kind == Key && len(v.Paths) > 1 {
			err = errors.New("one key is expected")
		}
	case Labels:
		v.Sources, err = ParseLabels(text)
	case Headers:
		v.Headers, err = parseHeaders(text)
	default:
		panic("conf: unknown kind")
	}
	return v, err
}

// errNotAllowed says no more than that the value is not one of those allowed.
var errNotAllowed = errors.New("not understood")

// checkBounds compares numbers with Min and Max, which are written as values are.
func (r *Row) checkBounds(v Value) error {
	if r.Min != "" {
		bound, err := r.parseKind(r.Min)
		if err != nil || v.Int < bound.Int || v.Float < bound.Float {
			return errors.New("too small")
		}
	}
	if r.Max != "" {
		bound, err := r.parseKind(r.Max)
		if err != nil || v.Int > bound.Int || v.Float > bound.Float {
			return errors.New("too large")
		}
	}
	return nil
}

// checkLayout finds layouts in which Go would see nothing, such as those of strftime.
func checkLayout(text string) error {
	if strings.Contains(text, "%") {
		return errors.New("a Go layout has no percent signs: for %Y-%m-%d write 2006-01-02, for %H:%M:%S 15:04:05")
	}
	unlike := time.Date(1987, time.November, 28, 23, 49, 58, 123456789, time.FixedZone("X", -7200))
	if unlike.Format(text) == text {
		return errors.New("not a Go layout: nothing in it stands for a time")
	}
	return nil
}

// parseListen reads an address to listen on. Without a host it is not for others: 127.0.0.1.
func parseListen(text string) (string, error) {
	if !strings.Contains(text, ":") {
		text = ":" + text
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return "", errNotAllowed
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", errors.New("the port must be a number from 1 to 65535")
	}
	if strings.ContainsAny(host, " \t/@") {
		return "", errNotAllowed
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, strconv.FormatUint(n, 10)), nil
}

func parseBool(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "on", "true", "yes", "1":
		return true, nil
	case "off", "false", "no", "0":
		return false, nil
	}
	return false, errNotAllowed
}

func parseInt(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, errNotAllowed
	}
	return n, nil
}

func parseFloat(text string) (float64, error) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return 0, errNotAllowed
	}
	return f, nil
}

// parseChoice matches without regard to case; on and off have their synonyms.
func (r *Row) parseChoice(text string) (int64, error) {
	on, err := parseBool(text)
	isBool := err == nil
	for i, choice := range r.Choices {
		asBool, err := parseBool(choice)
		if strings.EqualFold(choice, text) || isBool && err == nil && on == asBool {
			return int64(i), nil
		}
	}
	return 0, errNotAllowed
}

// splitNumber cuts text where its leading decimal number ends.
func splitNumber(text string) (number, unit string) {
	i := strings.IndexFunc(text, func(c rune) bool { return (c < '0' || c > '9') && c != '.' })
	if i < 0 {
		return text, ""
	}
	return text[:i], strings.TrimSpace(text[i:])
}

// parseSize reads bytes. K, M and G are powers of 1000, as in Fluent Bit; Ki, Mi and Gi powers of 1024.
func parseSize(text string) (int64, error) {
	number, unit := splitNumber(text)
	n, err := parseFloat(number)
	if err != nil {
		return 0, err
	}
	var factor float64
	switch strings.ToLower(unit) {
	case "", "b":
		factor = 1
	case "k", "kb":
		factor = 1e3
	case "m", "mb":
		factor = 1e6
	case "g", "gb":
		factor = 1e9
	case "ki", "kib":
		factor = 1 << 10
	case "mi", "mib":
		factor = 1 << 20
	case "gi", "gib":
		factor = 1 << 30
	default:
		return 0, errNotAllowed
	}
	if n*factor >= math.MaxInt64 {
		return 0, errors.New("too large")
	}
	return int64(n * factor), nil
}

// parseDuration reads what Go reads, days, and a plain number as seconds.
func parseDuration(text string) (time.Duration, error) {
	lower := strings.ToLower(text)
	number, unit := splitNumber(lower)
	if unit == "" {
		return scaleDuration(number, time.Second)
	}
	if unit[0] != 'd' {
		return goDuration(lower)
	}
	days, err := scaleDuration(number, 24*time.Hour)
	if err != nil || unit == "d" {
		return days, err
	}
	rest, err := goDuration(unit[1:])
	if err == nil && rest > math.MaxInt64-days {
		err = errors.New("too large")
	}
	return days + rest, err
}

func goDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, errNotAllowed
	}
	return d, nil
}

func scaleDuration(number string, unit time.Duration) (time.Duration, error) {
	n, err := parseFloat(number)
	if err != nil {
		return 0, err
	}
	if n*float64(unit) >= math.MaxInt64 {
		return 0, errors.New("too large")
	}
	return time.Duration(n * float64(unit)), nil
}

// headerOwn says why a header cannot be set; empty: it can.
func headerOwn(name string) string {
	switch strings.ToLower(name) {
	case "content-type", "content-encoding", "content-length", "transfer-encoding", "host", "connection":
		return "it is set by logscope itself"
	case "x-scope-orgid":
		return "use the option tenant_id"
	}
	return ""
}

// parseHeaders reads "Name: value" or "Name value", one a line. Values may be
// secrets, so no error repeats one.
func parseHeaders(text string) ([]Header, error) {
	var headers []Header
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		end := strings.IndexAny(line, ": \t")
		if end <= 0 {
			return nil, errors.New("a header is written Name: value")
		}
		header := Header{line[:end], strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line[end:]), ":"))}
		if err := header.check(); err != nil {
			return nil, err
		}
		headers = append(headers, header)
	}
	return headers, nil
}

func (h Header) check() error {
	for i := range len(h.Name) {
		if c := h.Name[i]; !isLetter(c) && !isDigit(c) && strings.IndexByte("!#$%&'*+-.^`|~", c) < 0 {
			return fmt.Errorf("the name of a header cannot hold %q", c)
		}
	}
	if h.Value == "" {
		return fmt.Errorf("header %s has no value", h.Name)
	}
	for i := range len(h.Value) {
		if c := h.Value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return fmt.Errorf("the value of header %s has a control character", h.Name)
		}
	}
	if why := headerOwn(h.Name); why != "" {
		return fmt.Errorf("header %s cannot be set: %s", h.Name, why)
	}
	return nil
}

// formatDuration writes 5m, where time.Duration writes 5m0s.
func formatDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
