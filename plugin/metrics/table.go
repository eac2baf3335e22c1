package metrics

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logscope/logscope/engine"
	"github.com/logscope/logscope/loki"
	"github.com/logscope/logscope/plugin/pipeline"
)

// row is one metric: its name, help, and where its values come from. Exactly
// one of counter, gauge, histogram and family is set.
type row struct {
	name, help string
	counter    func(*sample) float64
	gauge      func(*sample) float64
	histogram  func(*sample) *pipeline.Histogram
	// label names what family's values differ in.
	label  string
	family func(s *sample, add func(label string, count float64))
	// when says for which instances there is a value; nil: for all.
	when func(*sample) bool
}

// sample is what one instance says of itself at one moment.
type sample struct {
	pipeline.Stats
	health pipeline.Health
	now    time.Time
}

func scoring(s *sample) bool { return s.Scoring }
func keeping(s *sample) bool { return s.Keeping }

func number[T uint64 | int64 | int](field func(*sample) T) func(*sample) float64 {
	return func(s *sample) float64 { return float64(field(s)) }
}

// rows returns all metrics, in the order of docs/operations.md.
func rows() []row {
	var all []row
	for _, group := range [][]row{inRows(), scoreRows(), sendRows(), mendRows(), keepRows()} {
		all = append(all, group...)
	}
	return all
}

// inRows are about what comes from Fluent Bit.
func inRows() []row {
	return []row{
		{name: "logscope_records_total", help: "Records taken from Fluent Bit, each once however often its chunk comes.",
			counter: number(func(s *sample) uint64 { return s.Records })},
		{name: "logscope_chunks_total", help: "Chunks taken from Fluent Bit, each once.",
			counter: number(func(s *sample) uint64 { return s.Chunks })},
		{name: "logscope_received_bytes_total", help: "Bytes of those chunks, as msgpack.",
			counter: number(func(s *sample) uint64 { return s.BytesIn })},
		{name: "logscope_redelivered_chunks_total", help: "Chunks that Fluent Bit brought again and that were known.",
			counter: number(func(s *sample) uint64 { return s.Redelivered })},
		{name: "logscope_retried_flushes_total", help: "Flushes that ended with a chunk not delivered whole: Fluent Bit was told to bring it again.",
			counter: number(func(s *sample) uint64 { return s.Retries })},
		{name: "logscope_damaged_chunks_total", help: "Chunks with bytes that could not be read, once the rest was delivered.",
			counter: number(func(s *sample) uint64 { return s.ChunksDamaged })},
		{name: "logscope_damaged_bytes_total", help: "Bytes of chunks that could not be read.",
			counter: number(func(s *sample) uint64 { return s.BytesSkipped })},
		{name: "logscope_flush_duration_seconds", help: "How long flushes took, with all attempts to deliver.",
			histogram: func(s *sample) *pipeline.Histogram { return &s.FlushSeconds }},
		{name: "logscope_not_forwarded_records_total", help: "Records left out because the option forward says so.",
			counter: number(func(s *sample) uint64 { return s.NotForwarded })},
	}
}

// scoreRows are about what the engine finds and holds.
func scoreRows() []row {
	return []row{
		{name: "logscope_anomalies_total", help: "Records found anomalous, by reason.", label: "reason", when: scoring, family: anomalies},
		{name: "logscope_muted_anomalies_total", help: "Findings that feedback or mute_file keeps quiet, by reason.", label: "reason", when: scoring, family: muted},
		{name: "logscope_events_total", help: "Findings with no line of their own, by kind: drift, silence, session_end, fleet.", label: "kind", when: scoring, family: events},
		{name: "logscope_lost_events_total", help: "Findings with no line of their own that were not written in time.", when: scoring,
			counter: number(func(s *sample) uint64 { return s.Engine.EventsDropped })},
		{name: "logscope_record_score", help: "Scores of all records.", when: scoring,
			histogram: func(s *sample) *pipeline.Histogram { return &s.Scores }},
		{name: "logscope_score_duration_seconds", help: "How long scoring a block of up to 16,384 records took.", when: scoring,
			histogram: func(s *sample) *pipeline.Histogram { return &s.ScoreSeconds }},
		{name: "logscope_unscored_records_total", help: "Records shipped untagged after a fault in scoring.", when: scoring,
			counter: number(func(s *sample) uint64 { return s.Unscored })},
		{name: "logscope_untagged_chunks_total", help: "Redelivered chunks shipped untagged, since what scoring said of them was evicted.", when: scoring,
			counter: number(func(s *sample) uint64 { return s.Untagged })},
		{name: "logscope_held_anomalies_total", help: "Findings that alert_budget held back.", when: scoring,
			counter: number(func(s *sample) uint64 { return s.Engine.Held })},
		{name: "logscope_mutes", help: "Entries of mute_file in force.", when: scoring,
			gauge: number(func(s *sample) int { return s.Mutes })},
		{name: "logscope_feedback_words", help: "What people said of findings and did not take back.", when: scoring,
			gauge: number(func(s *sample) int { return s.Engine.Feedback })},
		{name: "logscope_mask_timeouts_total", help: "How often one of your own masks was left out for its time.", when: scoring,
			counter: number(func(s *sample) uint64 { return s.MasksGaveUp })},
		{name: "logscope_models", help: "Models held.", when: scoring,
			gauge: number(func(s *sample) int { return s.Engine.Models })},
		{name: "logscope_model_confidence", help: "How much the models have seen, on average: 0 nothing, 1 all that they need.", when: scoring,
			gauge: func(s *sample) float64 { return s.Engine.Confidence }},
		{name: "logscope_cold_models", help: "Models within their first records (warmup), which raise no anomalies.", when: scoring,
			gauge: number(func(s *sample) int { return s.Engine.Cold })},
		{name: "logscope_unstructured_models", help: "Models of streams whose lines do not fall into templates.", when: scoring,
			gauge: number(func(s *sample) int { return s.Engine.Unstructured })},
		{name: "logscope_templates", help: "Templates of all models.", when: scoring,
			gauge: number(func(s *sample) int { return s.Engine.Templates })},
		{name: "logscope_sessions", help: "Sessions followed by all models, lately ended ones included.", when: scoring,
			gauge: number(func(s *sample) int { return s.Engine.Sessions })},
		{name: "logscope_model_memory_bytes", help: "Memory of what all models have learned; memory_limit bounds it.", when: scoring,
			gauge: number(func(s *sample) int64 { return s.Engine.MemoryBytes })},
		{name: "logscope_evicted_models_total", help: "Models forgotten for max_models or memory_limit.", when: scoring,
			counter: number(func(s *sample) uint64 { return s.Engine.ModelsEvicted })},
		{name: "logscope_evicted_templates_total", help: "Templates forgotten for max_templates.", when: scoring,
			counter: number(func(s *sample) uint64 { return s.Engine.TemplatesEvicted })},
	}
}

// sendRows are about what goes to Loki.
func sendRows() []row {
	return []row{
		{name: "logscope_accepted_entries_total", help: "Entries that Loki has.",
			counter: number(func(s *sample) uint64 { return s.Accepted })},
		{name: "logscope_refused_entries_total", help: "Entries that Loki refused for good, by cause.", label: "cause", family: refused},
		{name: "logscope_dropped_total", help: "Entries that were acknowledged to Fluent Bit though Loki neither took nor refused them. Always 0: anything else is a fault in logscope.",
			counter: number(func(s *sample) uint64 { return s.Dropped })},
		{name: "logscope_pushes_total", help: "Requests to Loki by the HTTP status of the answer; none: no answer came.", label: "status", family: pushes},
		{name: "logscope_sent_bytes_total", help: "Bytes of the bodies of all requests to Loki, compressed.",
			counter: number(func(s *sample) uint64 { return s.BytesSent })},
		{name: "logscope_ready", help: "1 if the last delivery worked or nothing was tried yet, else 0.",
			gauge: func(s *sample) float64 {
				if s.health.Err != nil {
					return 0
				}
				return 1
			}},
		{name: "logscope_retry_buffer_bytes", help: "Encoded pushes kept for chunks that will come again; retry_buffer bounds it.",
			gauge: number(func(s *sample) int64 { return s.RetryBytes })},
		{name: "logscope_retry_buffer_chunks", help: "Chunks whose pushes are kept.",
			gauge: number(func(s *sample) int { return s.RetryChunks })},
		{name: "logscope_evicted_pushes_total", help: "Pushes that retry_buffer had no room for: their chunks will be encoded again.",
			counter: number(func(s *sample) uint64 { return s.PushesEvicted })},
		{name: "logscope_forgotten_label_sets_total", help: "Label sets forgotten for max_label_sets or their size, and built anew when they come.",
			counter: number(func(s *sample) uint64 { return s.LabelSetsForgotten })},
	}
}

// mendRows are about what was changed so that Loki takes an entry.
func mendRows() []row {
	return []row{
		{name: "logscope_truncated_lines_total", help: "Lines cut to max_line_size.",
			counter: number(func(s *sample) uint64 { return s.Mended.Truncated })},
		{name: "logscope_left_out_lines_total", help: "Lines longer than max_line_size, left out because max_line_action says drop.",
			counter: number(func(s *sample) uint64 { return s.Mended.Dropped })},
		{name: "logscope_mended_lines_total", help: "Lines with bytes that are not UTF-8, replaced.",
			counter: number(func(s *sample) uint64 { return s.Mended.InvalidUTF8 })},
		{name: "logscope_cut_metadata_pairs_total", help: "Pairs of structured metadata left out: over Loki's limits, or without a name.",
			counter: number(func(s *sample) uint64 { return s.Mended.MetadataCut })},
		{name: "logscope_stripped_entries_total", help: "Entries sent without structured metadata to a Loki that takes none.",
			counter: number(func(s *sample) uint64 { return s.Stripped })},
		{name: "logscope_late_entries_total", help: "Entries sent in pushes of their own, since Loki may refuse them for their time.",
			counter: number(func(s *sample) uint64 { return s.Mended.Apart })},
		{name: "logscope_repeated_entries_total", help: "Entries moved by nanoseconds, since Loki would have taken them for repeats of the one before.",
			counter: number(func(s *sample) uint64 { return s.Mended.Repeats })},
	}
}

// keepRows are about what is kept on disk, and about faults.
func keepRows() []row {
	return []row{
		{name: "logscope_snapshot_age_seconds", help: "Since the state file was written, by this run or the one before.",
			when:  func(s *sample) bool { return !s.StateWritten.IsZero() },
			gauge: func(s *sample) float64 { return s.now.Sub(s.StateWritten).Seconds() }},
		{name: "logscope_snapshot_bytes", help: "Size of the state file.", when: keeping,
			gauge: number(func(s *sample) int64 { return s.StateBytes })},
		{name: "logscope_snapshot_failures_total", help: "Writes of the state file that failed; the one before stays.", when: keeping,
			counter: number(func(s *sample) uint64 { return s.StateFailures })},
		{name: "logscope_spool_chunks", help: "Chunks waiting in the reload spool.", when: keeping,
			gauge: number(func(s *sample) int { return s.SpoolChunks })},
		{name: "logscope_spool_bytes", help: "Size of the reload spool.", when: keeping,
			gauge: number(func(s *sample) int64 { return s.SpoolBytes })},
		{name: "logscope_spooled_chunks_total", help: "Chunks put into the reload spool.", when: keeping,
			counter: number(func(s *sample) uint64 { return s.Spooled })},
		{name: "logscope_spool_set_aside_total", help: "Files of the reload spool that could not be read.", when: keeping,
			counter: number(func(s *sample) uint64 { return s.SpoolSetAside })},
		{name: "logscope_panics_total", help: "Faults of logscope that were caught.",
			counter: number(func(s *sample) uint64 { return s.Panics })},
	}
}

func anomalies(s *sample, add func(string, float64)) {
	for i, n := range s.Anomalies {
		if reason := engine.Reason(i).String(); reason != "" {
			add(reason, float64(n))
		} else if n > 0 {
			add("code_"+strconv.Itoa(i), float64(n))
		}
	}
}

func muted(s *sample, add func(string, float64)) {
	for i, n := range s.Engine.Muted {
		if reason := engine.Reason(i).String(); reason != "" {
			add(reason, float64(n))
		}
	}
}

func events(s *sample, add func(string, float64)) {
	for i, n := range s.Events {
		if kind := engine.EventKind(i).String(); kind != "" {
			add(kind, float64(n))
		} else if n > 0 {
			add("code_"+strconv.Itoa(i), float64(n))
		}
	}
}

// refused always has a value of the two causes that are most common, so that a rate shows their first entry.
func refused(s *sample, add func(string, float64)) {
	for _, cause := range []loki.Cause{loki.CauseTooFarBehind, loki.CauseTooOld} {
		if _, ok := s.Refused[string(cause)]; !ok {
			add(string(cause), 0)
		}
	}
	for cause, n := range s.Refused {
		add(cause, float64(n))
	}
}

func pushes(s *sample, add func(string, float64)) {
	for status, n := range s.Pushes {
		if status == 0 {
			add("none", float64(n))
		} else {
			add(strconv.Itoa(status), float64(n))
		}
	}
}

// kind is the metric's type.
func (r *row) kind() prometheus.ValueType {
	if r.gauge != nil {
		return prometheus.GaugeValue
	}
	return prometheus.CounterValue
}
