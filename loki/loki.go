// Package loki ships log entries to Grafana Loki's push API: labels, batches,
// encoding (protobuf + snappy), sending, and which answers are retried.
// It knows nothing of scores.
//
// A Batcher turns entries into pushes (one per request, encoded once), a Client
// sends them and says what became of every entry:
//
//	b := batcher.NewBatch()
//	b.Stream("", `{job="app"}`).Append(timeNs, line, nil)
//	pushes := b.Pushes(nil)
//	b.Close()
//	left, report := client.Deliver(ctx, pushes) // give left to Deliver again later
package loki

import "time"

// Label is one label of a stream, or one pair of an entry's structured metadata.
type Label struct {
	Name, Value string
}

// Push is one request to Loki, encoded. Body is immutable: a retry sends the
// same bytes, so that Loki can tell it from new entries.
type Push struct {
	Tenant string
	// Body is a snappy block that holds a protobuf PushRequest.
	Body []byte
	// Entries is the number of log entries in Body.
	Entries int
	// RawBytes is the size of Body before compression.
	RawBytes int
	// Alone says that Loki may refuse these entries (one stream, see Batch), so
	// they must not travel with others.
	Alone bool

	// throttled counts the 429 answers in a row, over several Deliver calls:
	// see throttledBeforeSplit.
	throttled int
	// doubted is when it was first refused in words that need not be Loki's, see isolateBad.
	doubted time.Time
}
