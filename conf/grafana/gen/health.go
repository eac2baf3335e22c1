package main

import (
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/heatmap"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// chosen are the instances to show: the targets of Prometheus, so the Fluent Bits. The name of the
// output section within one is the label exported_instance, which is summed over.
const chosen = `job=~"$job", instance=~"$instance"`

// metric selects a metric of logscope; more are further matchers, with a comma before each.
func metric(name, more string) string { return fmt.Sprintf("logscope_%s{%s%s}", name, chosen, more) }

func promRate(by, name string) string {
	return sumOf(by, "rate("+metric(name, "")+"[$__rate_interval])")
}

func promIncrease(by, name, interval string) string {
	return sumOf(by, "increase("+metric(name, "")+"["+interval+"])")
}

func sumOf(by, expr string) string {
	if by == "" {
		return "sum(" + expr + ")"
	}
	return "sum by (" + by + ") (" + expr + ")"
}

func quantile(q, name string) string {
	return fmt.Sprintf("histogram_quantile(%s, sum by (le) (rate(%s[$__rate_interval])))", q, metric(name+"_bucket", ""))
}

// health is about logscope itself, from its Prometheus metrics.
func health() *dashboard.DashboardBuilder {
	b := newDashboard(healthUID, "logscope / Health", "logscope itself: does it ship, does it score, what does it take. From its Prometheus metrics (metrics_listen).").
		WithVariable(sourceVariable("prometheus")).
		WithVariable(labelVariable(prometheusRef(), "job", "Job", `label_values(logscope_build_info, job)`, ".+")).
		WithVariable(labelVariable(prometheusRef(), "instance", "Instance", `label_values(logscope_build_info{job=~"$job"}, instance)`, ".+"))
	healthFigures(b)
	b.WithRow(dashboard.NewRowBuilder("From Fluent Bit to Loki").Id(10))
	healthDelivery(b)
	b.WithRow(dashboard.NewRowBuilder("Scoring").Id(20))
	healthScoring(b)
	b.WithRow(dashboard.NewRowBuilder("On disk, and the process").Id(30))
	healthProcess(b)
	return b
}

func healthFigures(b *dashboard.DashboardBuilder) {
	figure := func(f frame, expr, unit string, decimals float64, base string, steps ...step) {
		b.WithPanel(number(f, prometheusRef(), promInstant(expr, ""), unit, thresholds(base, steps...)).Decimals(decimals).NoValue("no data"))
	}
	figure(frame{1, 4, 4, "Delivering", "Share of instances whose last delivery worked. Below 100% Fluent Bit's buffer fills somewhere."},
		"avg("+metric("ready", "")+")", "percentunit", 0, "red", step{1, "green"})
	figure(frame{2, 4, 4, "Instances", "Output sections that are scraped."},
		"count("+metric("ready", "")+")", "short", 0, "blue")
	figure(frame{3, 4, 4, "Records per second", "Records taken from Fluent Bit."},
		promRate("", "records_total"), "cps", 1, "blue")
	figure(frame{4, 4, 4, "Anomalous records", "Share of records flagged: exact, whatever forward leaves out."},
		promRate("", "anomalies_total")+" / "+promRate("", "records_total"), "percentunit", 3, "green", step{0.01, "yellow"}, step{0.05, "orange"})
	figure(frame{5, 4, 4, "Refused by Loki", "Entries that Loki refused for good in the time shown: they are lost."},
		promIncrease("", "refused_entries_total", "$__range"), "short", 0, "green", step{1, "red"})
	figure(frame{6, 4, 4, "Faults of logscope", "Faults caught, records shipped unscored, entries unaccounted for, in the time shown. Anything but 0: please report it."},
		promIncrease("", "panics_total", "$__range")+" + ("+promIncrease("", "unscored_records_total", "$__range")+" or vector(0)) + "+
			promIncrease("", "dropped_total", "$__range"), "short", 0, "green", step{1, "red"})
}

func chart(f frame, unit string, targets ...target) *timeseries.PanelBuilder {
	return lines(f, prometheusRef(), unit, targets...)
}

func healthDelivery(b *dashboard.DashboardBuilder) {
	b.WithPanel(chart(frame{11, 12, 8, "Records in, entries taken", "Records from Fluent Bit, and entries that Loki has. They differ for good where forward leaves records out, and for a while when Loki is away."}, "cps",
		promRange("A", promRate("", "records_total"), "from Fluent Bit"),
		promRange("B", promRate("", "accepted_entries_total"), "taken by Loki"),
		promRange("C", promRate("", "not_forwarded_records_total"), "left out by forward")))
	b.WithPanel(chart(frame{12, 12, 8, "Bytes", "Chunks from Fluent Bit as msgpack, and bodies of pushes to Loki, compressed."}, "Bps",
		promRange("A", promRate("", "received_bytes_total"), "from Fluent Bit"),
		promRange("B", promRate("", "sent_bytes_total"), "to Loki")))
	b.WithPanel(chart(frame{13, 12, 8, "Time of a flush", "How long flushes take, with all attempts. Near timeout (4 s by default): Loki is slow or away."}, "s",
		promRange("A", quantile("0.5", "flush_duration_seconds"), "half"),
		promRange("B", quantile("0.99", "flush_duration_seconds"), "99 of 100")))
	b.WithPanel(chart(frame{14, 12, 8, "Answers of Loki", "Pushes by HTTP status; none: no answer came."}, "reqps",
		promRange("A", promRate("status", "pushes_total"), "{{status}}")))
	b.WithPanel(chart(frame{15, 12, 8, "Not delivered at once", "Flushes after which Fluent Bit was told to bring the chunk again, and chunks that came again."}, "ops",
		promRange("A", promRate("", "retried_flushes_total"), "flushes to retry"),
		promRange("B", promRate("", "redelivered_chunks_total"), "chunks again"),
		promRange("C", promRate("", "damaged_chunks_total"), "damaged chunks")))
	b.WithPanel(chart(frame{16, 12, 8, "Refused for good", "Entries that Loki refused, by cause. docs/operations.md says what to do about each."}, "cps",
		promRange("A", promRate("cause", "refused_entries_total"), "{{cause}}")))
	b.WithPanel(chart(frame{17, 12, 8, "Retry buffer", "Encoded pushes kept for chunks that will come again. At retry_buffer (32 MiB by default) chunks are encoded again instead."}, "bytes",
		promRange("A", sumOf("instance", metric("retry_buffer_bytes", "")), "{{instance}}")))
	b.WithPanel(chart(frame{18, 12, 8, "Mended on the way", "What was changed so that Loki takes an entry."}, "cps",
		promRange("A", promRate("", "truncated_lines_total"), "lines cut"),
		promRange("B", promRate("", "left_out_lines_total"), "lines left out"),
		promRange("C", promRate("", "mended_lines_total"), "not UTF-8"),
		promRange("D", promRate("", "cut_metadata_pairs_total"), "metadata cut"),
		promRange("E", promRate("", "stripped_entries_total"), "sent without metadata"),
		promRange("F", promRate("", "late_entries_total"), "sent apart for their time"),
		promRange("G", promRate("", "repeated_entries_total"), "repeats moved")))
}

func healthScoring(b *dashboard.DashboardBuilder) {
	b.WithPanel(scores(frame{21, 12, 8, "Scores of all records", "How many records have which score: how threshold would cut. The dark foot is normal, what stands above 0.5 is flagged by default."}))
	b.WithPanel(chart(frame{22, 12, 8, "Anomalies by reason", "Records flagged."}, "cps",
		promRange("A", promRate("reason", "anomalies_total"), "{{reason}}")).
		FillOpacity(40).Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal).Group("A")))
	b.WithPanel(chart(frame{23, 12, 8, "Findings without a line, and those held back", "Silence, drift, ends of sessions, fleet; lost: they came faster than they could be written. Muted: feedback or mute_file keeps them quiet. Held back: over alert_budget."}, "cps",
		promRange("A", promRate("kind", "events_total"), "{{kind}}"),
		promRange("B", promRate("", "lost_events_total"), "lost"),
		promRange("C", promRate("reason", "muted_anomalies_total"), "muted: {{reason}}"),
		promRange("D", promRate("", "held_anomalies_total"), "held back by alert_budget")))
	b.WithPanel(chart(frame{24, 12, 8, "Time to score a block", "A block is up to 16,384 records."}, "s",
		promRange("A", quantile("0.5", "score_duration_seconds"), "half"),
		promRange("B", quantile("0.99", "score_duration_seconds"), "99 of 100")))
	b.WithPanel(chart(frame{28, 12, 8, "Models not ready", "Models within their first records (warmup), which raise no anomalies yet, and models whose lines fall into no templates: those are shipped and not judged."}, "short",
		promRange("A", sumOf("", metric("cold_models", "")), "cold"),
		promRange("B", sumOf("", metric("unstructured_models", "")), "without templates")))
	b.WithPanel(chart(frame{29, 12, 8, "Confidence", "How much the models have seen on average: 0 nothing, 100% all that they need. Low for long: streams come and go faster than they are learned, or have no templates."}, "percentunit",
		promRange("A", "min("+metric("model_confidence", "")+")", "lowest"),
		promRange("B", "avg("+metric("model_confidence", "")+")", "mean")))
	b.WithPanel(chart(frame{25, 8, 8, "What was learned", "Models (streams), templates of all models, sessions followed; what people said of findings, and mutes in force."}, "short",
		promRange("A", sumOf("", metric("models", "")), "models"),
		promRange("B", sumOf("", metric("templates", "")), "templates"),
		promRange("C", sumOf("", metric("sessions", "")), "sessions"),
		promRange("D", sumOf("", metric("mutes", "")), "mutes in force"),
		promRange("E", sumOf("", metric("feedback_words", "")), "words of feedback")).
		ScaleDistribution(common.NewScaleDistributionConfigBuilder().Type(common.ScaleDistributionSymlog).Log(10).LinearThreshold(1)))
	b.WithPanel(chart(frame{26, 8, 8, "Memory of what was learned", "memory_limit bounds it, 64 MiB by default."}, "bytes",
		promRange("A", sumOf("instance", metric("model_memory_bytes", "")), "{{instance}}")))
	b.WithPanel(chart(frame{27, 8, 8, "Forgotten, or not scored", "Models and templates forgotten for their limits; records and chunks shipped untagged."}, "cps",
		promRange("A", promRate("", "evicted_models_total"), "models forgotten"),
		promRange("B", promRate("", "evicted_templates_total"), "templates forgotten"),
		promRange("C", promRate("", "unscored_records_total"), "records unscored"),
		promRange("D", promRate("", "untagged_chunks_total"), "chunks untagged"),
		promRange("E", promRate("", "forgotten_label_sets_total"), "label sets forgotten"),
		promRange("F", promRate("", "evicted_pushes_total"), "pushes evicted"),
		promRange("G", promRate("", "mask_timeouts_total"), "masks given up")))
}

// scores is a heatmap of a Prometheus histogram: cumulative buckets, so unlike heat its
// query has the format "heatmap", with which Grafana subtracts them.
func scores(f frame) *heatmap.PanelBuilder {
	expr := promIncrease("le", "record_score_bucket", "$__rate_interval")
	return framed(heatmap.NewPanelBuilder(), f, prometheusRef()).WithTarget(promBuckets(expr)).
		Calculate(false).
		RowsFrame(heatmap.NewRowsHeatmapOptionsBuilder().Layout(common.HeatmapCellLayoutLe).Value("records")).
		FilterValues(heatmap.NewFilterValueRangeBuilder().Le(1e-9)).
		Color(heatmap.NewHeatmapColorOptionsBuilder().Mode(heatmap.HeatmapColorModeScheme).Scheme("Oranges").
			Fill("dark-orange").Scale(heatmap.HeatmapColorScaleExponential).Exponent(0.2).Steps(64).Reverse(false).Min(0)).
		CellValues(heatmap.NewCellValuesBuilder().Unit("short").Decimals(0)).
		CellGap(1).ShowValue(common.VisibilityModeNever).
		YAxis(heatmap.NewYAxisConfigBuilder().AxisPlacement(common.AxisPlacementLeft).AxisLabel("score")).
		Tooltip(heatmap.NewHeatmapTooltipBuilder().Mode(common.TooltipDisplayModeSingle).YHistogram(true).ShowColorScale(true)).
		ShowLegend().MaxDataPoints(heatColumns)
}

func healthProcess(b *dashboard.DashboardBuilder) {
	b.WithPanel(chart(frame{31, 8, 8, "Age of the state file", "Since what was learned was written to disk. A crash forgets what came after."}, "s",
		promRange("A", "max by (instance) ("+metric("snapshot_age_seconds", "")+")", "{{instance}}")).
		Thresholds(thresholds("transparent", step{3600, "red"})).
		ThresholdsStyle(common.NewGraphThresholdsStyleConfigBuilder().Mode(common.GraphThresholdsStyleModeDashed)))
	b.WithPanel(chart(frame{32, 8, 8, "State file and spool", "Sizes on disk. A spool that stays is an output that cannot deliver what a reload left."}, "bytes",
		promRange("A", sumOf("", metric("snapshot_bytes", "")), "state files"),
		promRange("B", sumOf("", metric("spool_bytes", "")), "spools")))
	b.WithPanel(chart(frame{33, 8, 8, "Trouble on disk", "Writes of the state file that failed, spool files that could not be read; chunks put into and waiting in the spool."}, "short",
		promRange("A", promIncrease("", "snapshot_failures_total", "$__rate_interval"), "state not written"),
		promRange("B", promIncrease("", "spool_set_aside_total", "$__rate_interval"), "spool files set aside"),
		promRange("C", sumOf("", metric("spool_chunks", "")), "chunks waiting"),
		promRange("D", promIncrease("", "spooled_chunks_total", "$__rate_interval"), "chunks spooled")))
	b.WithPanel(chart(frame{34, 12, 8, "Heap", "Heap of the Go part of each process."}, "bytes",
		promRange("A", sumOf("instance", metric("heap_bytes", "")), "{{instance}}")))
	b.WithPanel(chart(frame{35, 12, 8, "Versions", "How many processes run which version."}, "short",
		promRange("A", "count by (version, goversion) ("+metric("build_info", "")+")", "{{version}} ({{goversion}})")))
}
