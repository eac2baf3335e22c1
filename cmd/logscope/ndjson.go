package main

import (
	"bufio"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/logscope/logscope/engine"
)

// lineShownMax is how much of an anomalous line is repeated in the output.
const lineShownMax = 4 << 10

// ndjson writes one JSON object a line, by hand: encoding/json would take longer than scoring.
type ndjson struct {
	out *bufio.Writer
	all bool
	buf []byte
}

func (p *ndjson) record(at place, line []byte, v *engine.Verdict) {
	p.buf = appendObject(p.buf[:0], at, "record", v, line)
	_, _ = p.out.Write(p.buf) // the buffer keeps the error; see scanner.outError
}

func (p *ndjson) event(at place, ev *engine.Event) {
	p.buf = appendObject(p.buf[:0], at, ev.Kind.String(), &ev.Verdict, nil)
	_, _ = p.out.Write(p.buf)
}

func (p *ndjson) summary(*summary) {}

// appendObject appends a verdict as a JSON object and a line feed. The line
// itself is given for anomalies: for the others it would only repeat the input.
func appendObject(dst []byte, at place, event string, v *engine.Verdict, line []byte) []byte {
	dst = append(dst, `{"line_no":`...)
	dst = strconv.AppendUint(dst, at.line, 10)
	dst = append(dst, `,"file":`...)
	dst = appendString(dst, at.file)
	dst = append(dst, `,"ts":`...)
	dst = appendTime(dst, v.Time)
	dst = append(dst, `,"score":`...)
	dst = appendScore(dst, v.Score)
	dst = append(dst, `,"anomaly":`...)
	dst = strconv.AppendBool(dst, v.Anomaly)
	dst = append(dst, `,"reason":`...)
	dst = appendString(dst, v.Reason.String())
	dst = append(dst, `,"explanation":`...)
	dst = appendString(dst, v.Explanation)
	if v.Expected != "" || v.Observed != "" {
		dst = append(dst, `,"expected":`...)
		dst = appendString(dst, v.Expected)
		dst = append(dst, `,"observed":`...)
		dst = appendString(dst, v.Observed)
	}
	dst = append(dst, `,"template_id":"`...)
	dst = appendID(dst, v.TemplateID)
	dst = append(dst, `","template":`...)
	dst = appendString(dst, v.Template)
	dst = append(dst, `,"session":`...)
	if v.Session == "" {
		dst = append(dst, `null`...)
	} else {
		dst = appendString(dst, v.Session)
	}
	if v.Confidence > 0 {
		dst = append(dst, `,"confidence":`...)
		dst = strconv.AppendFloat(dst, v.Confidence, 'f', 2, 64)
	}
	dst = appendAbout(dst, v.About)
	if v.Anomaly && line != nil {
		dst = append(dst, `,"line":`...)
		dst = appendString(dst, line[:min(len(line), lineShownMax)])
	}
	dst = append(dst, `,"event":"`...)
	dst = append(dst, event...)
	return append(dst, '"', '}', '\n')
}

// appendAbout appends which finding an anomaly is, as logscope feedback names it, and how often it came.
func appendAbout(dst []byte, a *engine.About) []byte {
	if a == nil {
		return dst
	}
	if a.Slot > 0 {
		dst = append(dst, `,"variable":`...)
		dst = strconv.AppendInt(dst, int64(a.Slot), 10)
	}
	if a.Value != "" {
		dst = append(dst, `,"value":`...)
		dst = appendString(dst, a.Value)
	}
	dst = append(dst, `,"count":`...)
	dst = strconv.AppendUint(dst, a.Count, 10)
	dst = append(dst, `,"first":`...)
	dst = appendTime(dst, a.First)
	dst = append(dst, `,"last":`...)
	return appendTime(dst, a.Last)
}

// appendID appends a template's id in hexadecimal, as text: JSON numbers of 64 bits lose digits in many readers.
func appendID(dst []byte, id uint64) []byte {
	const digits = "0123456789abcdef"
	for shift := 60; shift >= 0; shift -= 4 {
		dst = append(dst, digits[id>>shift&15])
	}
	return dst
}

func appendTime(dst []byte, ns int64) []byte {
	if ns == 0 {
		return append(dst, `null`...)
	}
	dst = append(dst, '"')
	dst = time.Unix(0, ns).UTC().AppendFormat(dst, time.RFC3339Nano)
	return append(dst, '"')
}

// appendScore appends a score with all its digits: rankings are made of them.
func appendScore(dst []byte, score float64) []byte {
	if math.IsNaN(score) || score < 0 {
		score = 0
	}
	return strconv.AppendFloat(dst, min(score, 1), 'g', -1, 64)
}

// appendString appends any bytes as a JSON string; what is not UTF-8 becomes U+FFFD.
func appendString[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			size := runeSize(s[i:min(len(s), i+utf8.UTFMax)])
			if size > 1 {
				i += size
				continue
			}
			dst = append(dst, s[start:i]...)
			dst = append(dst, "\uFFFD"...)
		} else {
			dst = append(dst, s[start:i]...)
			dst = appendEscape(dst, c)
		}
		i++
		start = i
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

// runeSize is the length of the rune that s begins with, at most 1 if it is none.
func runeSize[T string | []byte](s T) int {
	_, size := utf8.DecodeRuneInString(string(s)) // the copy of 4 bytes stays on the stack
	return size
}

// appendEscape appends an ASCII byte that cannot stand in a JSON string.
func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\t':
		return append(dst, '\\', 't')
	case '\r':
		return append(dst, '\\', 'r')
	}
	const digits = "0123456789abcdef"
	return append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
}
