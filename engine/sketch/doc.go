// Package sketch holds the bounded structures that the detectors count with:
// log-bin histograms that forget, Good-Turing estimators and ADWIN. Each one
// is tested against the exact answer. All state passes through a Codec, so
// that it can be written to a snapshot and read back bit by bit.
package sketch
