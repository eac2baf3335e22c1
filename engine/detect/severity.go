package detect

import (
	"bytes"

	"github.com/logscope/logscope/engine/drain"
	"github.com/logscope/logscope/engine/sketch"
)

// Grades of what a new message says about itself.
const (
	gradeNone = iota
	gradeWarn
	gradeError
	gradeCritical
	grades
)

const (
	// severityTextMax is how much of a message is searched for words of failure.
	severityTextMax = 400
	// severityPrior is how many templates the usual shares stand for until a
	// stream has shown its own.
	severityPrior = 10
)

// For each grade: the share of the messages of an incident that are at least
// as grave, that of the messages of an ordinary program, and the most that the
// grade may count for, in nats. The first two are estimates: severity stays
// weak evidence, and a stream that is full of errors takes most of it back.
var (
	gradeTrouble = [grades]float64{1, 0.7, 0.5, 0.15}
	gradeUsual   = [grades]float64{1, 0.2, 0.1, 0.03}
	gradeMost    = [grades]float64{0, 1, 2.5, 3}
)

// Severity weighs the level of a new message, as a likelihood ratio: how much
// more often messages of an incident are so grave than those that this stream
// has brought so far.
type Severity struct {
	n  float64
	at [grades]float64 // templates at least as grave
}

// grade is that of a message. One without a level is graded by its words, one
// said to be mere information by no more than a warning's.
func grade(level drain.Level, message []byte) int {
	switch {
	case level >= drain.Critical:
		return gradeCritical
	case level == drain.Error:
		return gradeError
	case level == drain.Warn:
		return gradeWarn
	case level == drain.Trace || level == drain.Debug || !failure(message):
		return gradeNone
	case level == drain.NoLevel:
		return gradeError
	}
	return gradeWarn
}

// Nats is the weight of a new message's level and words.
func (s *Severity) Nats(level drain.Level, message []byte) float64 {
	most := 0.0
	for g := grade(level, message); g > gradeNone; g-- {
		share := (s.at[g] + severityPrior*gradeUsual[g]) / (s.n + severityPrior)
		most = max(most, min(gradeMost[g], sketch.Ln(gradeTrouble[g]/share)))
	}
	return most
}

// Learn counts a new template by its first message and tells whether that
// speaks of a failure.
func (s *Severity) Learn(level drain.Level, message []byte) (grave bool) {
	s.n++
	first := grade(level, message)
	for g := first; g > gradeNone; g-- {
		s.at[g]++
	}
	return first >= gradeError
}

// Sync passes the state through c.
func (s *Severity) Sync(c *sketch.Codec) {
	c.F64(&s.n)
	for i := range s.at {
		c.F64(&s.at[i])
	}
}

// failureWords are the beginnings of words that programs use when something
// went wrong, as they stand in the messages of system services.
var failureWords = [...]string{"fail", "error", "refus", "denied", "panic", "interrupted", "not properly",
	"fatal", "abort", "corrupt", "cannot", "can't", "unable", "timed out", "timeout", "crash", "killed",
	"exception", "unreachable", "out of memory", "segfault", "illegal"}

// failure tells whether a message has a word of failure.
func failure(message []byte) bool {
	var buf [severityTextMax]byte
	text := buf[:copy(buf[:], message)]
	for i, c := range text {
		if c >= 'A' && c <= 'Z' {
			text[i] = c | 0x20
		}
	}
	for _, w := range failureWords {
		for rest := text; ; {
			i := bytes.Index(rest, []byte(w))
			if i < 0 {
				break
			}
			if i == 0 || rest[i-1]-'a' >= 26 {
				return true
			}
			rest = rest[i+len(w):]
		}
	}
	return false
}
