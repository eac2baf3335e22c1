package loki

import (
	"fmt"
	"net/http"
	"strings"
)

// Cause says why Loki refused an entry for good, in the words of its own
// loki_discarded_samples_total where it has one.
type Cause string

const (
	CauseTooFarBehind     Cause = "too_far_behind" // of the newest entry of its stream
	CauseTooOld           Cause = "greater_than_max_sample_age"
	CauseTooNew           Cause = "too_far_in_future"
	CauseLineTooLong      Cause = "line_too_long"
	CauseInvalidLabels    Cause = "invalid_labels"
	CauseTooManyLabels    Cause = "max_label_names_per_series"
	CauseLabelNameLong    Cause = "label_name_too_long"
	CauseLabelValueLong   Cause = "label_value_too_long"
	CauseDuplicateLabel   Cause = "duplicate_label_names"
	CauseMissingLabels    Cause = "missing_enforced_labels"
	CauseMetadataTooLarge Cause = "structured_metadata_too_large"
	CauseMetadataTooMany  Cause = "structured_metadata_too_many"
	CauseStreamLimit      Cause = "stream_limit"
	CauseRateLimited      Cause = "rate_limited"           // one entry larger than the tenant's burst
	CauseBodyTooLarge     Cause = "request_body_too_large" // one entry larger than a request may be
	CauseBlocked          Cause = "blocked_ingestion"      // by policy, answer 260
	CauseMalformed        Cause = "malformed"              // Loki cannot read this one entry
	CauseOther            Cause = "other"                  // see Report.Sample
)

// Report says what became of the entries of one Deliver call.
type Report struct {
	Accepted int           // entries Loki has
	Refused  map[Cause]int // entries refused for good, by cause; nil when none
	Sample   string        // one of Loki's own words for a refusal
	Stripped int           // entries sent again without structured metadata, which this Loki does not take
	Attempts int           // requests made
	Bytes    int           // of their bodies
	Status   map[int]int   // answers by HTTP status (0: none came)
	Err      error         // why pushes are left: *Error; nil when none are
}

func (r *Report) refuse(cause Cause, entries int, words string) {
	if entries <= 0 {
		return
	}
	if r.Refused == nil {
		r.Refused = map[Cause]int{}
	}
	r.Refused[cause] += entries
	if r.Sample == "" {
		r.Sample = clip(words)
	}
}

// Error says why pushes are left.
type Error struct {
	Status  int    // HTTP status; 0: no answer came
	Message string // Loki's words, cut
	Advice  string // what to do about it; empty where waiting is all
	Config  bool   // it will not go away by itself: something must be set right
	Err     error  // what went wrong where no answer came
}

func (e *Error) Error() string {
	var b strings.Builder
	switch {
	case e.Status != 0:
		fmt.Fprintf(&b, "Loki answered %d %s", e.Status, http.StatusText(e.Status))
		if e.Message != "" {
			fmt.Fprintf(&b, ": %s", e.Message)
		}
	case e.Err != nil:
		b.WriteString(e.Err.Error())
	default:
		b.WriteString(e.Message)
	}
	if e.Advice != "" {
		fmt.Fprintf(&b, "; %s", e.Advice)
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// clip makes words of a server fit for one log line.
func clip(s string) string {
	s = strings.TrimSpace(cut(strings.ToValidUTF8(s, "\uFFFD"), 4*sampleBytesMax))
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case r < ' ' || r == 0x7f:
			return -1
		}
		return r
	}, s)
	if len(s) > sampleBytesMax {
		s = cut(s, sampleBytesMax-3) + "..."
	}
	return s
}
