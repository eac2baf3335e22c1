package loki

import "time"

// Limits of this package that are no options. Loki's own defaults are from
// its limits_config, v3.7.
const (
	// pushPath is Loki's push endpoint, appended to a URL that lacks it.
	pushPath = "/loki/api/v1/push"
	// answerBytesMax bounds what is read of an answer: Loki's longest, ten
	// refused entries with their labels, fit. Cost: 64 KiB per request in flight.
	answerBytesMax = 64 << 10
	// sampleBytesMax bounds Report.Sample and Error.Message, which end in a log.
	sampleBytesMax = 512
	// rawBytesMax bounds what a body may decompress to when it is split, which
	// matters for bodies read back from a damaged file. Loki's own limit is larger.
	rawBytesMax = 256 << 20

	// metadataPairsMax and metadataBytesMax are Loki's defaults
	// (max_structured_metadata_entries_count, max_structured_metadata_size).
	// Pairs over them are left out and counted: the line matters more.
	metadataPairsMax = 128
	metadataBytesMax = 64 << 10

	// tenantBytesMax is Loki's limit for X-Scope-OrgID.
	tenantBytesMax = 150

	// futureGrace and sampleAgeMax are Loki's creation_grace_period and
	// reject_old_samples_max_age: entries outside may be refused. A time in the
	// far future (a 2106 of a broken clock) must not move a stream's newest time.
	futureGrace  = 10 * time.Minute
	sampleAgeMax = 7 * 24 * time.Hour

	// isolateMax bounds the requests that one Deliver spends on looking for the
	// bad entry in a push refused as a whole: 2*log2(10,000) is 27. What is left
	// then is left, and the next Deliver goes on.
	isolateMax = 64
	// throttledBeforeSplit is after how many 429 answers in a row a push is
	// halved, in case it is larger than the burst and can never pass. Under
	// throttledSplitBytes, where that is hard to believe, it takes twice as many
	// each time the size halves: a Loki that is merely busy must not get single
	// lines, and a burst smaller than that must not hold a push for ever. A push of
	// more than a second of the limit that Loki names for a stream is always
	// believed, and a 429 that names a total above its limit halves at once.
	throttledBeforeSplit = 3
	throttledSplitBytes  = 64 << 10
	// burstSecondsMax: a single entry worth more than this many seconds of the
	// rate it met is refused for good after the last attempt; Loki's default
	// bursts are 1.5 seconds of a tenant's rate and 5 of a stream's.
	burstSecondsMax = 10
	// sickMax is after how many failed pushes in a row the others are not tried
	// until the next round: a server that is down must not cost a request per push.
	sickMax = 2

	// keptStreams and keptBytes bound what a Batch keeps for its next use: 256
	// buffers, 4 MiB. More is given back to the garbage collector.
	keptStreams = 256
	keptBytes   = 4 << 20

	// retryAfterMax bounds what a server may ask for.
	retryAfterMax = 5 * time.Minute

	idleConnsMax    = 64               // one per worker of a Fluent Bit output, or per busy sender of serve
	idleConnTimeout = 50 * time.Second // under the 60 s of common load balancers
	dialTimeout     = 5 * time.Second
	tlsTimeout      = 5 * time.Second
)
