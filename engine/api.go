// Package engine scores log records, online and unsupervised.
//
// An Engine holds one model per stream. Records go in by blocks (a Fluent Bit
// chunk, a read buffer), verdicts come out one per record, in order. The
// engine does no I/O, reads no clock, starts no goroutine and takes no lock:
// the same records in give the same verdicts out. An Engine must not be used
// from two goroutines at once; with Config.Ahead it uses a second one itself, to read lines.
package engine

// Record is one log record to score. The engine keeps no reference to its
// slices after Score returns.
type Record struct {
	// Stream names the model that scores the record: whose log it is.
	Stream string
	// Time is the record's own time in Unix nanoseconds. Zero means unknown:
	// the time found in the line is used, else that of the record before.
	Time int64
	// Line is the message, or a whole raw line with its header.
	Line []byte
	// Raw says that Line is all message and has no header to look for.
	Raw bool
}

// Reason is the code that says why a record was flagged.
type Reason uint8

// The reasons, a closed set: they become label values in Loki.
const (
	ReasonNone Reason = iota
	ReasonNovelty
	ReasonFrequency
	ReasonSilence
	ReasonParameter
	ReasonSequence
	ReasonIncomplete
	ReasonAccess
	ReasonDrift
	ReasonFleet
)

// Verdict is the engine's answer for one record.
type Verdict struct {
	// Time is the record's time in Unix nanoseconds, zero where none is known.
	Time int64
	// Score is 0..1; higher is rarer. The same score means the same rarity in every
	// model: 0.5 one record in 1,100, 0.7 one in 50,000, 0.9 one in 1.2 billion.
	Score float64
	// Anomaly says that Score reached the threshold and the model knows enough to say so.
	Anomaly bool
	Reason  Reason
	// Muted is the reason of a finding that would be an anomaly, had Feedback or
	// a Mute not said that it is to be quiet; ReasonNone: there is none.
	Muted Reason
	// TemplateID is a hash of the template's text: the same on every node.
	TemplateID uint64
	// Template is the template's text, with <*> for variable parts. It is shared by the template's records.
	Template string
	// Explanation, Expected and Observed are for people; set where Reason is.
	Explanation, Expected, Observed string
	// Session is the session identifier found in the record, empty where there is none.
	Session string
	// Confidence is how much the model has seen, 0..1; set where Reason is. It is no part of Score.
	Confidence float64
	// About says which finding it is; nil where there is none, and from Rescore.
	About *About
}

// EventKind says what an Event is about.
type EventKind uint8

// Kinds of findings that belong to no single line.
const (
	EventSessionEnd EventKind = iota
	EventSilence
	EventDrift
	EventFleet
	// EventUnstructured says, once, that a stream's lines do not fall into
	// templates. It is no anomaly.
	EventUnstructured
)

// Event is a finding with no line of its own.
type Event struct {
	Kind   EventKind
	Stream string
	// Seq is the number of the last record concerned: 0 is the first record that the Engine scored.
	Seq uint64
	// At is the number of the record upon which the finding was raised: Seq or a
	// later one, as a session settles long after its last record.
	At uint64
	Verdict
}

// String returns the code as labels and reports show it; "" for ReasonNone.
func (r Reason) String() string {
	switch r {
	case ReasonNovelty:
		return "novelty"
	case ReasonFrequency:
		return "frequency"
	case ReasonSilence:
		return "silence"
	case ReasonParameter:
		return "parameter"
	case ReasonSequence:
		return "sequence"
	case ReasonIncomplete:
		return "incomplete"
	case ReasonAccess:
		return "access"
	case ReasonDrift:
		return "drift"
	case ReasonFleet:
		return "fleet"
	}
	return ""
}

// ParseReason returns the reason of a code.
func ParseReason(code string) (Reason, bool) {
	for r := ReasonNovelty; r <= ReasonFleet; r++ {
		if r.String() == code {
			return r, true
		}
	}
	return ReasonNone, false
}

// String returns the kind as reports show it.
func (k EventKind) String() string {
	switch k {
	case EventSessionEnd:
		return "session_end"
	case EventSilence:
		return "silence"
	case EventDrift:
		return "drift"
	case EventFleet:
		return "fleet"
	case EventUnstructured:
		return "unstructured"
	}
	return ""
}

// Stats are counts since New, for metrics.
type Stats struct {
	Records, Anomalies, Events uint64
	Models, Templates          int
	// Sessions are those followed, lately ended ones included.
	Sessions                        int
	ModelsEvicted, TemplatesEvicted uint64
	// EventsDropped counts events that nobody took in time.
	EventsDropped uint64
	MemoryBytes   int64
	// Confidence is that of the models, on average; Cold are those in their
	// warm-up, Unstructured those whose lines do not fall into templates.
	Confidence         float64
	Cold, Unstructured int
	// Muted counts the findings kept quiet by feedback or a mute, by reason.
	Muted [reasonsMax]uint64
	// Held counts the findings that Config.AlertBudget held back.
	Held uint64
	// Feedback is the number of words that people have given and that count.
	Feedback int
}
