package pipeline

// What the pipeline logs. docs/operations.md has cause and cure of each; a test holds it to that.
const (
	msgDeliver    = "cannot deliver, Fluent Bit keeps the chunk and will try again: %v"
	msgRecovered  = "Loki takes entries again after %v"
	msgRefused    = "Loki refused %d entries for good: %v; for example: %s"
	msgDropped    = "a fault in logscope, please report it: %d entries were neither taken by Loki, nor refused, nor kept"
	msgStripped   = "this Loki takes no structured metadata, entries go without: set allow_structured_metadata in its limits_config, or annotate line here"
	msgDamaged    = "damaged chunk with tag %q: %v; skipped %d bytes, the records around them are delivered; with storage.keep.rejected on, Fluent Bit keeps the chunk for inspection"
	msgPassedOn   = "a push was not taken, its sender was told so and decides: %v"
	msgUnread     = "cannot read a push, so it was not scored: %v; Loki's own answer went to the sender, or 400 where Loki does not know the encoding"
	msgScorePanic = "scoring failed, the records are shipped untagged; %s: %v"
	msgLabelSets  = "more than %d label sets (max_label_sets): some are forgotten and built anew, which costs CPU but no entry; a label probably has a value that differs from line to line: make it structured_metadata"
	msgMaskGaveUp = "the mask %q (mask_with %s) takes more than 0.1 s on a line and was left out %d times so far; after each such line it rests for 10,000: take nested repetition such as (a+)+ out of the pattern"

	msgStateUnusable = "state_file %q: %v; records are shipped and scored, but what is learned is not kept"
	msgStateUnread   = "cannot read state_file %q: %v; it stays as it is, learning starts afresh and is not kept: put that right and reload"
	msgStateAside    = "cannot use state_file %q, set aside as %q, learning starts afresh: %v"
	msgStateWrite    = "cannot write state_file %q, the one before stays: %v"
	msgStateWritten  = "state_file %q can be written again"
	msgFeedbackRead  = "%v; what stands before that line is taken, the rest is not"
	msgFeedback      = "took up %d words of feedback from %q"
	msgMuteFile      = "%v; the mute list before it stays in force, with %d entries"
	msgMuteExpired   = "mute_file %q: %d entries have expired and do not hold any more, remove them: %s"
	msgMutes         = "mute_file %q: %d entries are in force"
	msgSpoolRead     = "cannot read the spool %q: %v; what an earlier instance left there is not sent"
	msgSpoolSend     = "sending %d chunks that an earlier instance left in %q"
	msgSpoolLeft     = "%d chunks that Loki does not have wait in %q for an instance with state_file %q, or in this process for another one to the same url and tenant"
	msgSpoolFull     = "cannot keep a chunk across the reload, it stays with Fluent Bit: %v"
	msgSpoolAside    = "%v; set aside"
	msgSpoolRemove   = "delivered, but cannot remove spool file %q: %v; it will be sent again, and Loki drops what it has"
	msgBackground    = "a fault in logscope, please report it; %s goes on: %v"
)
