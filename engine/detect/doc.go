// Package detect holds the detectors: each one says how surprising an
// observation is under what was learned so far, in nats (-ln p), and learns
// from it in a second step. Surprise never changes state, so a record can be
// scored without being learned.
//
// None of them reads a clock: moments are Unix nanoseconds of the model's own
// time, which never runs backwards.
package detect

import "github.com/logscope/logscope/engine/sketch"

// Second is one second of model time.
const Second int64 = 1e9

// NatsMax bounds a surprise, so that sums stay finite: p = 1e-26.
const NatsMax = 60.0

// nats returns -ln p within 0..NatsMax.
func nats(p float64) float64 {
	if p >= 1 {
		return 0
	}
	if p <= 0 {
		return NatsMax
	}
	return min(NatsMax, -sketch.Ln(p))
}
