package main

import (
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

const (
	tag         = "logscope"
	overviewUID = "logscope-overview"
	serviceUID  = "logscope-service"
	healthUID   = "logscope-health"
)

// Panels that alerts name.
const (
	panelHeat    = 10
	panelReasons = 12
	panelHistory = 14
	panelSilent  = 15
	panelOwn     = 16
)

// anomalies finds what the overview is about.
const anomalies = `{anomaly="true", namespace=~"$namespace", score_bucket=~"$min_score"}`

// inNamespace narrows logscope's own findings, and lines, down to the chosen namespaces.
const inNamespace = `, namespace=~"$namespace"`

// newDashboard is what all have in common.
func newDashboard(uid, title, description string) *dashboard.DashboardBuilder {
	return dashboardLinks(dashboard.NewDashboardBuilder(title).Uid(uid).Description(description).
		Tags([]string{tag}).Time("now-1h", "now").Refresh("1m").Timezone("browser").Readonly().
		Tooltip(dashboard.DashboardCursorSyncCrosshair))
}

func overview() *dashboard.DashboardBuilder {
	b := newDashboard(overviewUID, "logscope / Overview", "What is unusual in all logs: when, where, how much, and why.").
		WithVariable(sourceVariable("loki")).
		WithVariable(namespaceVariable()).
		WithVariable(scoreVariable())
	for _, a := range marks(inNamespace) {
		b.Annotation(a)
	}
	overviewFigures(b)
	b.WithPanel(heat(frame{panelHeat, 12, 9, "Anomalies by score",
		"How many anomalies, by time and score. High and dark is rare and often. A score means the same rarity in every log: 0.5 one record in 1,100, 0.7 one in 50,000, 0.9 one in 1.2 billion. A row begins at its number."},
		lokiRange(scoreHeat(anomalies), "{{score_bucket}}"), common.HeatmapCellLayoutGe, "score"))
	b.WithPanel(heat(frame{11, 12, 9, "Anomalies by service",
		"How many anomalies, by time and service. A column through many services is one cause that they share; a row is one service in trouble."},
		lokiRange(serviceHeat(anomalies), "{{service_name}}"), common.HeatmapCellLayoutUnknown, ""))
	b.WithPanel(bars(frame{panelReasons, 12, 9, "Reasons",
		"Why records were flagged: novelty (never seen), frequency (too many), parameter (an odd value), sequence and incomplete (an odd course of a session), access (an odd request), silence, drift, fleet."},
		lokiRange(sumBy("reason", anomalies, "$__auto"), "{{reason}}")))
	b.WithPanel(templates(frame{13, 12, 9, "Top templates",
		"The kinds of lines flagged most often. <*> stands for what varies. A click on the service opens its dashboard."},
		anomalies))
	b.WithPanel(historyTable(frame{panelHistory, 24, 13, "Alert history",
		"Each anomaly, the newest first: 500 at most. A click on the explanation opens the lines of the service around it in Explore."},
		anomalies))
	b.WithPanel(silences(frame{panelSilent, 12, 9, "Silent services",
		"What used to come and did not: a regular line, or a whole stream. It is found by the records after it: a service that is gone for good shows under \"Services that stopped\"."}))
	b.WithPanel(logLines(frame{panelOwn, 12, 9, "Drift, sessions, fleet",
		"Findings of logscope that belong to no single line: a log that has changed as a whole (often a deployment), sessions that ended without what such sessions have, many services strange at once."},
		lokiLines(`{source="logscope", event=~"drift|session_end|fleet"`+inNamespace+`} | line_format "{{.service_name}} {{.event}}: {{__line__}}"`, 200)))
	b.WithRow(allLines())
	return b
}

// overviewFigures is the row of figures at the top.
func overviewFigures(b *dashboard.DashboardBuilder) {
	calm := func(steps ...step) func(frame, string) {
		return func(f frame, expr string) {
			b.WithPanel(number(f, lokiRef(), lokiInstant(expr, ""), "short", thresholds("green", steps...)).Decimals(0))
		}
	}
	calm(step{1, "yellow"}, step{1000, "orange"})(frame{1, 4, 4, "Anomalies", "Flagged records and findings in the time shown."},
		orZero(sumBy("", anomalies, "$__range")))
	calm(step{1, "yellow"})(frame{2, 4, 4, "Services concerned", "Services with at least one anomaly in the time shown."},
		orZero("count("+sumBy(labelService, anomalies, "$__range")+")"))
	b.WithPanel(number(frame{3, 4, 4, "Highest score", "The rarest record in the time shown: 0.5 is one in 1,100, 0.9 one in 1.2 billion."}, lokiRef(),
		lokiInstant(highestScore("", anomalies, "$__range"), ""), "none", scoreSteps()).Decimals(2).NoValue("none"))
	calm(step{1, "orange"})(frame{4, 4, 4, "Silent services", "Services that, or a regular line of which, did not come for longer than ever before."},
		orZero("count("+sumBy(labelService, events("silence", inNamespace), "$__range")+")"))
	calm(step{1, "blue"})(frame{5, 4, 4, "Services that changed", "Services whose log has changed as a whole, as after a deployment: until it has settled, what is new counts for less."},
		orZero("count("+sumBy(labelService, events("drift", inNamespace), "$__range")+")"))
	calm(step{1, "red"})(frame{6, 4, 4, "Fleet findings", "Times when many services turned strange at once. Not narrowed down by namespace."},
		orZero(sumBy("", events("fleet", ""), "$__range")))
}

// allLines is a row that is closed at first: its queries read every line, not anomalies alone.
func allLines() *dashboard.RowBuilder {
	every := `{service_name=~".+", source!="logscope"` + inNamespace + `}`
	odd := `{anomaly="true", source!="logscope"` + inNamespace + `}`
	share := sumBy(labelService, odd, "$__auto") + "\n/ " + sumBy(labelService, every, "$__auto")
	stopped := sumBy(labelService, every, "$__range") + "\nunless " + sumBy(labelService, every, "10m")
	return dashboard.NewRowBuilder("All lines (reads every line of the time shown: open when needed)").Collapsed(true).Id(20).
		WithPanel(bars(frame{21, 12, 9, "Share of anomalous lines",
			"Anomalous lines among all lines of a service. With forward=anomalies or sampled Loki has not all lines: the exact share is on \"logscope / Health\"."},
			lokiRange(share, "{{service_name}}")).Unit("percentunit").Decimals(2).
			DrawStyle(common.GraphDrawStylePoints).PointSize(5).
			Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNone).Group("A"))).
		WithPanel(gauges(frame{22, 12, 9, "Services that stopped",
			"Services with lines in the time shown, and none in its last 10 minutes; the number is how many they wrote before."},
			lokiInstant(stopped, "{{service_name}}"), "short").NoValue("none"))
}

// marks are the annotations over all charts.
func marks(more string) []*dashboard.AnnotationQueryBuilder {
	mark := func(name, color, kind, more string, enable bool) *dashboard.AnnotationQueryBuilder {
		return dashboard.NewAnnotationQueryBuilder().Name(name).Datasource(lokiRef()).Enable(enable).IconColor(color).
			Expr(events(kind, more)).TitleFormat(name + " {{service_name}}").TextFormat("{{logscope_explanation}}").
			TagKeys("namespace,service_name")
	}
	return []*dashboard.AnnotationQueryBuilder{
		mark("Drift", "blue", "drift", more, true),
		mark("Silence", "orange", "silence", more, false),
		mark("Fleet", "red", "fleet", "", true),
	}
}
