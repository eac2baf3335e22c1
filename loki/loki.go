// Package loki ships log entries to Grafana Loki's push API: labels, batches,
// encoding (protobuf + snappy), sending, and which answers are retried.
// It knows nothing of scores.
package loki

// Label is one label of a stream, or one pair of an entry's structured metadata.
type Label struct {
	Name, Value string
}

// API (to be completed in this package, signatures are fixed):
//
//	type Config struct { ... }                 // URL, TenantID, auth, TLS, proxy, headers, timeouts, batch size, backoff, limits
//	func DefaultConfig() Config
//	func (c *Config) Validate() error          // every fault, errors.Join; names the option as users write it
//
//	// Batcher collects entries and cuts them into pushes. One per instance, used by several goroutines through Batch values.
//	func NewBatcher(cfg Config) *Batcher
//	func (b *Batcher) NewBatch() *Batch                      // pooled; one goroutine at a time
//	func (b *Batch) Stream(tenant, labels string) *Stream    // labels in canonical form, see AppendLabels; looked up without allocating for a known one
//	func (s *Stream) Append(timeNs int64, line []byte, metadata []Label)  // copies
//	func (b *Batch) Pushes(dst []Push) []Push                // encodes, compresses, and resets the batch for reuse
//
//	// AppendLabels appends labels in canonical form ({a="b", c="d"}, sorted, names made valid, values escaped and capped) to dst.
//	func AppendLabels(dst []byte, labels []Label) []byte
//
//	// Push is one request, encoded. Body is immutable: a retry sends the same bytes.
//	type Push struct { Tenant string; Body []byte; Entries int; RawBytes int; Alone bool }
//
//	func NewClient(cfg Config) (*Client, error)              // opens no connection; reads CA, certificate and key files
//	// Deliver sends the pushes in order until ctx ends. It returns those that Loki has not answered for.
//	func (c *Client) Deliver(ctx context.Context, pushes []Push) (left []Push, rep Report)
//	func (c *Client) Close()
//
//	// Report says what became of the entries of one Deliver call.
//	type Report struct {
//		Accepted int                // entries
//		Refused  map[Cause]int      // entries refused for good, by cause; nil when none
//		Sample   string             // one of Loki's own words for a refusal
//		Attempts, Bytes int         // requests made, bytes sent
//		Status   map[int]int        // answers by HTTP status (0: none came)
//		Err      error              // why pushes are left: *loki.Error with Status, Advice
//	}
