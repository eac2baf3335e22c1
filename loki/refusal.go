package loki

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// refusalWords are Loki's words for what it refuses, and the cause they stand
// for. In each, what follows %s in Loki's message may be hostile: matched are
// only words that stand before the user's data or are long enough not to.
var refusalWords = [...]struct {
	words  string
	cause  Cause
	stream bool // all entries of a stream are refused, in one message
}{
	{"entry too far behind", CauseTooFarBehind, false},
	{"entry out of order", CauseTooFarBehind, false},
	{"Per stream rate limit exceeded", CauseRateLimited, false},
	{"has timestamp too old", CauseTooOld, false},
	{"has timestamp too new", CauseTooNew, false},
	{"max entry size", CauseLineTooLong, false},
	{"has structured metadata too large", CauseMetadataTooLarge, false},
	{"has too many structured metadata labels", CauseMetadataTooMany, false},
	{"aximum active stream limit exceeded", CauseStreamLimit, true},
	{"error parsing labels", CauseInvalidLabels, true},
	{"at least one label pair is required per stream", CauseInvalidLabels, true},
	{"has label name too long", CauseLabelNameLong, true},
	{"has label value too long", CauseLabelValueLong, true},
	{"has duplicate label name", CauseDuplicateLabel, true},
	{"missing required labels", CauseMissingLabels, true},
	{"ingestion blocked for user", CauseBlocked, true},
	{" label names; limit ", CauseTooManyLabels, true},
}

// ignoredTail stands before the summary of an ingester's answer, and before the
// first label value in it.
const ignoredTail = "\nuser '"

// partialBegins are the beginnings of answers that refuse some entries only.
var partialBegins = [...]string{
	"entry with timestamp ", "entry for stream '", "max entry size '", "stream '", "error at least one label pair",
	"error parsing labels '", "missing required labels '", "ingestion blocked for user '", "maximum active stream limit", "Maximum active stream limit",
}

// Words of an answer 400 that refuses the push as a whole, or is not Loki's.
var (
	wholeLabels = [...]string{"couldn't parse labels", "stream labels size", "must not contain the reserved labels"}
	wholeBody   = [...]string{"snappy: ", "proto: ", "unexpected EOF", "timestamp: "}
	tenantWords = [...]string{"tenant ID is", "tenant ID '", "error getting tenant id", "no org id", "multiple org IDs", "malformed tenant"}
	needsTLS    = [...]string{"HTTP request to an HTTPS server", "plain HTTP request was sent to HTTPS port"}
	webPage     = [...]string{"<html", "<HTML", "<!DOCTYPE", "<!doctype"}
)

func containsAny(s string, words []string) bool {
	for _, w := range words {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}

// judge400 judges Loki's answer 400. Most of them mean that all entries but
// those named are stored.
func judge400(a *answer, e *Error) verdict {
	body := a.body
	switch {
	case isPartial(body):
		if strings.Contains(body, "`limits_config.allow_structured_metadata`") {
			return verdict{action: actStrip, err: e}
		}
		head, _, _ := strings.Cut(body, ignoredTail)
		if strings.Contains(head, "reason: 'Per stream rate limit exceeded") {
			// These may pass later. Those stored are dropped as repeats then.
			return verdict{action: actRetry, err: e, throttling: true, streamRate: streamRate(head)}
		}
		return verdict{action: actCount, err: e}
	case containsAny(body, needsTLS[:]):
		return block(e, "the server speaks TLS: use https:// in url")
	case containsAny(body, webPage[:]), strings.HasPrefix(a.header.Get("Content-Type"), "text/html"):
		return block(e, "that is not Loki's answer: check url and the proxy or gateway in front of Loki")
	case containsAny(body, wholeLabels[:]):
		return verdict{action: actIsolate, cause: CauseInvalidLabels, err: e, streamBad: true}
	case containsAny(body, tenantWords[:]):
		return block(e, "check tenant_id: letters, digits and !-_.*'() only, at most 150")
	case containsAny(body, wholeBody[:]):
		return verdict{action: actIsolate, cause: CauseMalformed, err: e, needsProof: true}
	}
	e.Advice = "these are not words of a Loki known to logscope: check url and what stands before Loki"
	return verdict{action: actIsolate, cause: CauseOther, err: e, needsProof: true}
}

// isPartial says that the answer names refused entries. What it begins with
// decides: further on come label values, which may hold anything.
func isPartial(body string) bool {
	for _, begin := range partialBegins {
		if strings.HasPrefix(body, begin) {
			return true
		}
	}
	at := errorsLike.FindStringIndex(body)
	return at != nil && at[0] == 0
}

// causeOf returns the cause whose words come first in the message, so that words
// inside of a label value, which come after, do not count.
func causeOf(msg string) Cause {
	cause, first := Cause(""), len(msg)
	for _, w := range &refusalWords {
		if at := strings.Index(msg, w.words); at >= 0 && at < first {
			cause, first = w.cause, at
		}
	}
	return cause
}

func wholeStream(c Cause) bool {
	for _, w := range &refusalWords {
		if w.cause == c {
			return w.stream
		}
	}
	return false
}

var (
	totalIgnored = regexp.MustCompile(`total ignored: (\d+) out of (\d+) for stream`)
	errorsLike   = regexp.MustCompile(`(?:^|; )(\d+) errors like: `)
	streamLimit  = regexp.MustCompile(`Per stream rate limit exceeded \(limit: ([0-9.]+)([KMGTP]?)B/sec\)`)
	rateTotal    = regexp.MustCompile(`\(limit: (\d+) bytes/sec\) while attempting to ingest '(\d+)' lines totaling '(\d+)' bytes`)
)

// countRefused adds the entries that a partial refusal names to rep, and returns
// their number, at most p.Entries.
//
// An ingester's answer lists up to ten entries of one stream and gives their
// total; a distributor's groups equal messages: "2 errors like: a; 1 errors
// like: b", or is one message alone.
func countRefused(rep *Report, p *Push, body string) int {
	body = strings.TrimSpace(body)
	if head, tail, ok := strings.Cut(body, ignoredTail); ok {
		if m := totalIgnored.FindStringSubmatch(tail); m != nil {
			n := min(atoi(m[1]), p.Entries)
			rep.refuse(cmp.Or(causeOf(head), CauseOther), n, body)
			return n
		}
	}
	total := 0
	for _, g := range groupedErrors(body) {
		cause := cmp.Or(causeOf(g.msg), CauseOther)
		n := g.n
		if wholeStream(cause) {
			n = streamEntries(p, g.msg)
		}
		n = min(n, p.Entries-total)
		rep.refuse(cause, n, g.msg)
		total += n
	}
	return total
}

type groupedError struct {
	n   int
	msg string
}

func groupedErrors(body string) []groupedError {
	marks := errorsLike.FindAllStringSubmatchIndex(body, -1)
	if len(marks) == 0 || marks[0][0] != 0 {
		return []groupedError{{1, body}}
	}
	var out []groupedError
	for i, m := range marks {
		end := len(body)
		if i+1 < len(marks) {
			end = marks[i+1][0]
		}
		out = append(out, groupedError{atoi(body[m[2]:m[3]]), body[m[1]:end]})
	}
	return out
}

// streamEntries returns the entries of the stream of p that msg names. Loki adds
// a label of its own (service_name) to the name, so the pairs are looked for.
func streamEntries(p *Push, msg string) int {
	streams, err := decodePush(p.Body)
	if err != nil {
		return p.Entries
	}
	best, entries := -1, 0
	for _, s := range streams {
		if n := pairsIn(string(s.labels), msg); n > best {
			best, entries = n, len(s.entries)
		}
	}
	return entries
}

// pairsIn returns how many pairs labels has, if msg holds them all, else -1.
func pairsIn(labels, msg string) int {
	n := 0
	rest := strings.TrimSuffix(strings.TrimPrefix(labels, "{"), "}")
	for rest != "" {
		eq := strings.IndexByte(rest, '=')
		if eq < 0 {
			return -1
		}
		quoted, err := strconv.QuotedPrefix(rest[eq+1:])
		if err != nil {
			return -1
		}
		pair := rest[:eq+1+len(quoted)]
		if !strings.Contains(msg, pair) {
			return -1
		}
		rest = strings.TrimPrefix(rest[len(pair):], ", ")
		n++
	}
	return n
}

// judge429 tells a push that can never pass (larger than the burst) from one
// that will pass later. Loki names its limit by second but not its burst, and for
// a single stream it names the size of each entry but not that of all.
func judge429(body string, e *Error, after time.Duration) verdict {
	v := verdict{action: actRetry, err: e, after: after, throttling: true}
	if m := rateTotal.FindStringSubmatch(body); m != nil {
		limit, total := atoi(m[1]), atoi(m[3])
		if total > limit {
			v.action, v.cause, v.overBurst = actHalve, CauseRateLimited, true
			v.hopeless = total > burstSecondsMax*limit
		}
		e.Advice = "reduce the log volume, or raise ingestion_rate_mb and ingestion_burst_size_mb in Loki"
	} else if v.streamRate = streamRate(body); v.streamRate > 0 {
		e.Advice = "spread the lines over more streams with a label, or raise per_stream_rate_limit and per_stream_rate_limit_burst in Loki"
	} else if strings.Contains(body, "aximum active stream limit") {
		e.Advice = "use fewer labels or label values, or raise max_global_streams_per_user in Loki"
	}
	return v
}

// streamRate returns the bytes per second that one stream may have, as the
// answer says ("limit: 3MB/sec"), or 0.
func streamRate(body string) int {
	m := streamLimit.FindStringSubmatch(body)
	if m == nil {
		return 0
	}
	n, err := strconv.ParseFloat(m[1], 64)
	if err != nil || n > 1<<20 {
		return 0
	}
	return int(n * float64(int64(1)<<(10*strings.Index(" KMGTP", cmp.Or(m[2], " ")))))
}

// atoi reads digits; a number too large counts as the largest.
func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return int(^uint(0) >> 1)
	}
	return n
}
