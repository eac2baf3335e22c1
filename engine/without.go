package engine

import (
	"math"

	"github.com/logscope/logscope/engine/detect"
)

// Detector is one detector, for Config.Without.
type Detector uint8

// The detectors; NoDetector leaves none out.
const (
	NoDetector Detector = iota
	Novelty             // templates never seen
	Routes              // request paths never seen
	Bursts              // too many records of a template
	Statuses            // too many failed requests
	Silences
	Numbers  // numeric outliers
	Joint    // numbers that do not go together
	Values   // unknown words of closed vocabularies
	Networks // unknown networks
	Sessions // what is missing from sessions, or should not be there
	Disorder // wrong order within a session
	Chain    // wrong order in a stream without sessions
	Requests // characters of requests
	Drift    // changes of the whole log, and what follows from them
	Severity // levels and words of failure, as weak evidence
	detectors
)

// String names the detector.
func (d Detector) String() string {
	return [detectors]string{"none", "novelty", "routes", "bursts", "statuses", "silences", "numbers", "joint", "values", "networks",
		"sessions", "disorder", "chain", "requests", "drift", "severity"}[d]
}

// Detectors returns all of them, NoDetector first.
func Detectors() (all []Detector) {
	for d := range detectors {
		all = append(all, d)
	}
	return all
}

// detectorOf is the detector that a finding comes from.
func detectorOf(c detect.Code) Detector {
	return [detect.Codes]Detector{
		detect.NewTemplate: Novelty,
		detect.NewRoute:    Routes,
		detect.Burst:       Bursts,
		detect.Failing:     Statuses,
		detect.Outlier:     Numbers,
		detect.Mismatch:    Joint,
		detect.NewValue:    Values,
		detect.NewNetwork:  Networks,
		detect.Unexpected:  Sessions,
		detect.Disorder:    Disorder,
		detect.Transition:  Chain,
		detect.Request:     Requests,
	}[c]
}

// says tells whether a detector raises events: the model knows enough, and the
// detector is not left out.
func (m *model) says(d Detector) bool {
	return m.seen >= uint64(m.cfg.Warmup) && m.cfg.Without != d
}

// left tells whether findings of a code are left out.
func (m *model) left(c detect.Code) bool {
	return m.cfg.Without != NoDetector && detectorOf(c) == m.cfg.Without
}

// orderCut is the constant of that name, out of reach where order is left out:
// a session's other findings must not be lost with it.
func (m *model) orderCut() float64 {
	if m.cfg.Without == Disorder {
		return math.Inf(1)
	}
	return orderCut
}
