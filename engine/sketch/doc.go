// Package sketch holds the bounded structures that the detectors count with:
// discounted counters, log-bin histograms, Good-Turing estimators, distinct
// counters, ADWIN and a small LRU table. Each one is tested against the exact
// answer. All state passes through a Codec, so that it can be written to a
// snapshot and read back bit by bit.
package sketch
