// Package pipeline takes Fluent Bit chunks to Loki: it decodes, scores,
// annotates, batches and delivers them. It is the one place that knows the
// engine and the sender.
package pipeline
