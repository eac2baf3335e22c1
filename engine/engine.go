// Package engine scores log records, online and unsupervised.
//
// An Engine holds one model per stream. Records go in by blocks (a Fluent Bit
// chunk, a read buffer), verdicts come out one per record, in order. The
// engine does no I/O, reads no clock, starts no goroutine and takes no lock:
// the same records in give the same verdicts out. An Engine must not be used
// from two goroutines at once.
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
	// Score is 0..1; higher is rarer. The same score means the same rarity in every model.
	Score float64
	// Anomaly says that Score reached the threshold and the model knows enough to say so.
	Anomaly bool
	Reason  Reason
	// TemplateID is a hash of the template's text: the same on every node.
	TemplateID uint64
	// Template is the template's text, with <*> for variable parts. It is shared by the template's records.
	Template string
	// Explanation, Expected and Observed are for people; set where Reason is.
	Explanation, Expected, Observed string
	// Session is the session identifier found in the record, empty where there is none.
	Session string
}

// EventKind says what an Event is about.
type EventKind uint8

// Kinds of findings that belong to no single line.
const (
	EventSessionEnd EventKind = iota
	EventSilence
	EventDrift
	EventFleet
)

// Event is a finding with no line of its own.
type Event struct {
	Kind   EventKind
	Stream string
	// Seq is the number of the last record concerned: 0 is the first record that the Engine scored.
	Seq uint64
	Verdict
}

// Config is what an Engine needs to know. The zero value is not valid; start from DefaultConfig.
type Config struct {
	// Threshold is the score from which a record is an anomaly, 0..1.
	Threshold float64
	// ModelsMax bounds the streams that have a model; the least recently used one goes first.
	ModelsMax int
	// MemoryMax bounds the learned state of all models, in bytes.
	MemoryMax int64
	// TemplatesMax bounds the templates of one model.
	TemplatesMax int
	// TimeLayout is the Go layout of the time in a raw line's header; empty means recognise the usual ones.
	TimeLayout string
	// Warmup is the number of records a model sees before it raises anomalies.
	Warmup int
}

// Stats are counts since New, for metrics.
type Stats struct {
	Records, Anomalies, Events             uint64
	Models, Templates                      int
	ModelsEvicted, TemplatesEvicted        uint64
	MemoryBytes                            int64
}

// API (to be completed in this package, signatures are fixed):
//
//	func DefaultConfig() Config
//	func (c *Config) Validate() error                          // every fault, errors.Join
//	func New(cfg Config) (*Engine, error)
//	func (e *Engine) Score(dst []Verdict, recs []Record) []Verdict    // learns; appends len(recs) verdicts
//	func (e *Engine) Rescore(dst []Verdict, recs []Record) []Verdict  // as Score but learns nothing, raises no events
//	func (e *Engine) Events(dst []Event) []Event               // takes the events raised since the last call
//	func (e *Engine) Finish()                                  // end of input: raises what is still due
//	func (e *Engine) Stats() Stats
//	func (e *Engine) Snapshot(dst []byte) []byte               // appends the learned state: magic, version, length, payload, checksum
//	func (e *Engine) Restore(data []byte) error                // errors, never panics, on damaged, truncated or newer data
//	func (r Reason) String() string                            // "novelty", ...; "" for ReasonNone
//	func (k EventKind) String() string                         // "session_end", "silence", "drift", "fleet"
