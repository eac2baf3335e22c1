package main

import "fmt"

// alert is one alert, written as a rule of Loki's ruler or of Prometheus, and as one of Grafana.
type alert struct {
	name string
	// expr is what is measured; it fires while that is above over, for a time of wait.
	expr string
	over float64
	wait string
	// severity: critical wakes somebody up, warning is for working hours.
	severity string
	summary  string
	// description may hold $value, and labels of the expression as {{ $labels.x }}.
	description string
	// window is how far back the expression looks: Grafana wants to know.
	window string
	// dashboard and panel show what the alert is about.
	dashboard string
	panel     int
	// keep has the alert fire on for a while, where what is counted comes in single events.
	keep string
	// absent says that the alert is about what is not there.
	absent bool
}

// runbook is where an alert's section is. TestRunbooks holds the sections against it.
const runbook = "https://github.com/logscope/logscope/blob/main/docs/operations.md#"

const (
	bySource    = labelNamespace + ", " + labelService
	oddLines    = `{anomaly="true", source!="logscope"}`
	novelLines  = `{anomaly="true", source!="logscope", reason="novelty"}`
	templateIDs = labelService + ", reason, logscope_template_id"
)

// lokiAlerts are about what logscope found. All are sums over nodes: what 500 nodes say is one alert.
func lokiAlerts() []alert {
	return []alert{
		{
			name: "LogscopeAnomalyBurst", severity: "warning", wait: "0s", window: "10m", keep: "5m",
			expr: sumBy(bySource, oddLines, "5m"), over: 20,
			summary:     "{{ $labels.service_name }}: many anomalous lines",
			description: "$value lines of {{ $labels.service_name }} were flagged within 5 minutes.",
			dashboard:   serviceUID, panel: 10,
		},
		{
			name: "LogscopeHighScore", severity: "critical", wait: "0s", window: "10m", keep: "5m",
			expr: sumBy(bySource+", reason", `{anomaly="true", source!="logscope", score_bucket="0.9"}`, "5m"), over: 0,
			summary:     "{{ $labels.service_name }}: a very rare record ({{ $labels.reason }})",
			description: "$value records of {{ $labels.service_name }} scored 0.9 or more, one record in 1.2 billion, within 5 minutes; reason: {{ $labels.reason }}.",
			dashboard:   serviceUID, panel: 16,
		},
		{
			name: "LogscopeSilence", severity: "warning", wait: "0s", window: "20m", keep: "10m",
			expr: sumBy(bySource, events("silence", ""), "15m"), over: 0,
			summary:     "{{ $labels.service_name }}: something that always comes has not come",
			description: "A regular line of {{ $labels.service_name }}, or its whole log, paused longer than ever before ($value times within 15 minutes).",
			dashboard:   overviewUID, panel: panelSilent,
		},
		{
			name: "LogscopeFleet", severity: "critical", wait: "0s", window: "20m", keep: "10m",
			expr: sumBy("", events("fleet", ""), "15m"), over: 0,
			summary:     "Many services turned strange at once",
			description: "logscope saw many services turn strange within minutes ($value times within 15 minutes; the finding names them): look for what they share, such as a network, a database, a certificate or a release.",
			dashboard:   overviewUID, panel: panelOwn,
		},
		{
			name: "LogscopeRollout", severity: "info", wait: "0s", window: "20m", keep: "10m",
			expr: fmt.Sprintf("max by (%s) (count by (%s, logscope_template_id) (%s))", labelService, labelService,
				sumBy(labelService+", logscope_template_id, "+labelNode, novelLines, "15m")), over: 2,
			summary:     "{{ $labels.service_name }}: the same new line on several nodes, as after a release",
			description: "The same line that {{ $labels.service_name }} never wrote before came on $value nodes within 15 minutes. One alert, however many nodes and lines.",
			dashboard:   serviceUID, panel: 15,
		},
		{
			name: "LogscopeNothingArrives", severity: "critical", wait: "10m", window: "10m", absent: true,
			expr: `absent_over_time({service_name=~".+", source!="logscope"}[5m])`, over: 0,
			summary:     "No log line reaches Loki",
			description: "Loki got no line of any service for 15 minutes: Fluent Bit, logscope or the way between them and Loki is down.",
			dashboard:   overviewUID, panel: panelHeat,
		},
	}
}

// recording is a recording rule.
type recording struct{ name, expr string }

// recordings go to Prometheus by the ruler's remote_write. topk bounds what template ids make of it:
// beyond max_query_series, 500 by default, Loki would refuse the whole query.
func recordings() []recording {
	return []recording{
		// Anomalies by service: cheap to draw and to alert on over weeks.
		{"logscope:anomalies:count1m", sumBy(bySource+", reason, score_bucket", `{anomaly="true"}`, "1m")},
		{"logscope:anomalies:rate5m", fmt.Sprintf("sum by (%s) (rate(%s [5m]))", bySource, `{anomaly="true"}`)},
		// Lines by service: what LogscopeServiceStopped stands on. Each line is read once.
		{"logscope:lines:count1m", sumBy(bySource, `{service_name=~".+", source!="logscope"}`, "1m")},
		// Template ids are hashes of the template's text, equal on all nodes: these two fold the nodes
		// into one series for each template, and say on how many nodes it was flagged.
		{"logscope:template_anomalies:count15m", fmt.Sprintf("topk(200, %s)", sumBy(templateIDs, oddLines, "15m"))},
		{"logscope:template_nodes:count15m", fmt.Sprintf("topk(200, count by (%s) (%s))", templateIDs,
			sumBy(templateIDs+", "+labelNode, oddLines, "15m"))},
	}
}

// prometheusAlerts are about logscope itself, from its metrics; docs/operations.md lists the same expressions.
func prometheusAlerts() []alert {
	const where = "job, instance"
	return []alert{
		{
			name: "LogscopeNotShipping", severity: "critical", wait: "10m", window: "5m",
			expr: "sum by (" + where + ") (1 - logscope_ready)", over: 0,
			summary:     "{{ $labels.instance }}: logscope delivers nothing",
			description: "$value outputs of {{ $labels.instance }} got nothing through to Loki for 10 minutes; Fluent Bit's buffer fills. Its log says why.",
			dashboard:   healthUID, panel: 14,
		},
		{
			name: "LogscopeNoRecords", severity: "warning", wait: "15m", window: "20m",
			expr: "count by (" + where + ") (sum by (" + where + ") (rate(logscope_records_total[15m])) == 0)", over: 0,
			summary:     "{{ $labels.instance }}: nothing comes from Fluent Bit",
			description: "No record reached logscope on {{ $labels.instance }} for 15 minutes: look at the inputs of Fluent Bit, and whether Match fits their tags.",
			dashboard:   healthUID, panel: 11,
		},
		{
			name: "LogscopeAbsent", severity: "critical", wait: "10m", window: "5m", absent: true,
			expr: "absent(logscope_build_info)", over: 0,
			summary:     "No logscope is seen at all",
			description: "Prometheus sees no logscope: none runs, metrics_listen is not set, or nothing scrapes it.",
			dashboard:   healthUID, panel: 2,
		},
		{
			name: "LogscopeRefused", severity: "warning", wait: "0s", window: "15m", keep: "10m",
			expr: "sum by (" + where + ", cause) (increase(logscope_refused_entries_total[10m]))", over: 0,
			summary:     "{{ $labels.instance }}: Loki refuses entries ({{ $labels.cause }})",
			description: "Loki refused $value entries of {{ $labels.instance }} for good within 10 minutes, cause: {{ $labels.cause }}. They are lost.",
			dashboard:   healthUID, panel: 16,
		},
		{
			name: "LogscopeDropped", severity: "critical", wait: "0s", window: "1h",
			expr: "sum by (" + where + ") (increase(logscope_dropped_total[1h]))", over: 0,
			summary:     "{{ $labels.instance }}: entries are unaccounted for, a fault in logscope",
			description: "$value entries of {{ $labels.instance }} were acknowledged though Loki neither took nor refused them. Please report it.",
			dashboard:   healthUID, panel: 6,
		},
		{
			name: "LogscopeFault", severity: "warning", wait: "0s", window: "1h",
			expr: "sum by (" + where + ") (increase(logscope_panics_total[1h])) > 0 or sum by (" + where + ") (increase(logscope_unscored_records_total[1h]))", over: 0,
			summary:     "{{ $labels.instance }}: a fault in logscope was caught",
			description: "Faults were caught on {{ $labels.instance }}, or records were shipped unscored, within the last hour ($value). Please report it with the lines of the log around it.",
			dashboard:   healthUID, panel: 27,
		},
		{
			name: "LogscopeStateNotWritten", severity: "warning", wait: "5m", window: "5m",
			expr: "max by (" + where + ") (logscope_snapshot_age_seconds)", over: 3600,
			summary:     "{{ $labels.instance }}: what was learned is not kept",
			description: "The state file of {{ $labels.instance }} was last written $value seconds ago: a crash forgets what came after.",
			dashboard:   healthUID, panel: 31,
		},
		{
			name: "LogscopeForgets", severity: "warning", wait: "30m", window: "1h",
			expr: "sum by (" + where + ") (rate(logscope_evicted_models_total[1h]))", over: 0,
			summary:     "{{ $labels.instance }}: models are forgotten",
			description: "max_models or memory_limit is too small for {{ $labels.instance }}: what is forgotten learns from nothing again and again, and finds nothing meanwhile.",
			dashboard:   healthUID, panel: 27,
		},
		{
			name: "LogscopeServiceStopped", severity: "warning", wait: "10m", window: "5m",
			expr: "sum by (" + bySource + ") (avg_over_time(logscope:lines:count1m[1h] offset 10m)) unless sum by (" + bySource + ") (last_over_time(logscope:lines:count1m[10m]))", over: 1,
			summary:     "{{ $labels.service_name }}: no more lines",
			description: "{{ $labels.service_name }} wrote $value lines a minute in the hour before, and none for 10 minutes. Needs Loki's recording rule logscope:lines:count1m.",
			dashboard:   overviewUID, panel: 22,
		},
	}
}
