package main

import (
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/table"
)

const (
	ofService        = `, namespace=~"$namespace", service_name=~"$service"`
	serviceAnomalies = `{anomaly="true"` + ofService + `, reason=~"$reason", score_bucket=~"$min_score"}`
	serviceLines     = `{source!="logscope"` + ofService + `}`
	serviceOddLines  = `{anomaly="true", source!="logscope"` + ofService + `}`
)

// service is about one service, or a few.
func service() *dashboard.DashboardBuilder {
	b := newDashboard(serviceUID, "logscope / Service", "The anomalies of one service: when, why, and the lines themselves.").
		WithVariable(sourceVariable("loki")).
		WithVariable(namespaceVariable()).
		WithVariable(labelVariable(lokiRef(), "service", "Service",
			`label_values({service_name=~".+", namespace=~"$namespace"}, service_name)`, ".+")).
		WithVariable(labelVariable(lokiRef(), "reason", "Reason", `label_values({anomaly="true"`+ofService+`}, reason)`, ".+")).
		WithVariable(scoreVariable())
	for _, a := range marks(ofService) {
		b.Annotation(a)
	}
	serviceFigures(b)
	b.WithPanel(heat(frame{10, 12, 9, "Anomalies by score", "How many anomalies, by time and score. A row begins at its number."},
		lokiRange(scoreHeat(serviceAnomalies), "{{score_bucket}}"), common.HeatmapCellLayoutGe, "score"))
	b.WithPanel(bars(frame{11, 12, 9, "Reasons", "Why records were flagged."},
		lokiRange(sumBy("reason", serviceAnomalies, "$__auto"), "{{reason}}")))
	b.WithPanel(lines(frame{12, 12, 8, "Lines", "All lines of the service, by the level that Loki found in them: what an anomaly happened among. Reads every line."},
		lokiRef(), "short", lokiRange(sumBy("detected_level", serviceLines, "$__auto"), "{{detected_level}}")).
		MaxDataPoints(heatColumns).Interval(heatStep))
	b.WithPanel(lines(frame{13, 12, 8, "Highest score", "The highest score of each reason."}, lokiRef(), "none",
		lokiRange(highestScore("reason", serviceAnomalies, "$__auto"), "{{reason}}")).
		DrawStyle(common.GraphDrawStylePoints).PointSize(7).ShowPoints(common.VisibilityModeAlways).Max(1).Decimals(2).
		MaxDataPoints(heatColumns).Interval(heatStep))
	b.WithPanel(templates(frame{14, 12, 9, "Top templates", "The kinds of lines flagged most often. <*> stands for what varies."}, serviceAnomalies))
	b.WithPanel(spread(frame{15, 12, 9, "Same line, how many nodes",
		"On how many nodes a template was flagged; template ids are equal everywhere. One node of many is most often a fault of that node, all at once a release. Needs the label or structured metadata node."}))
	b.WithPanel(historyTable(frame{16, 24, 13, "Alert history",
		"Each anomaly, the newest first: 500 at most. A click on the explanation opens the lines of the service around it in Explore."},
		serviceAnomalies))
	b.WithPanel(logLines(frame{17, 24, 12, "Anomalous lines", "The lines themselves; a click shows labels, what was expected and what was seen."},
		lokiLines(serviceAnomalies, 200)))
	return b
}

func serviceFigures(b *dashboard.DashboardBuilder) {
	figure := func(f frame, expr, unit string, decimals float64, base string, steps ...step) {
		b.WithPanel(number(f, lokiRef(), lokiInstant(expr, ""), unit, thresholds(base, steps...)).Decimals(decimals).NoValue("none"))
	}
	figure(frame{1, 5, 4, "Anomalies", "Flagged records and findings in the time shown."},
		orZero(sumBy("", serviceAnomalies, "$__range")), "short", 0, "green", step{1, "yellow"}, step{100, "orange"})
	figure(frame{2, 5, 4, "Highest score", "The rarest record in the time shown: 0.5 is one in 1,100, 0.9 one in 1.2 billion."},
		highestScore("", serviceAnomalies, "$__range"), "none", 2, "blue", step{0.5, "yellow"}, step{0.7, "orange"}, step{0.9, "red"})
	figure(frame{3, 5, 4, "Templates concerned", "Kinds of lines that were flagged."},
		orZero("count("+sumBy("logscope_template_id", serviceAnomalies+` | logscope_template!=""`, "$__range")+")"), "short", 0, "green", step{1, "yellow"})
	figure(frame{4, 5, 4, "Sessions concerned", "Sessions (requests, jobs, connections) with a flagged record."},
		orZero("count("+sumBy("logscope_session", serviceAnomalies+` | logscope_session!=""`, "$__range")+")"), "short", 0, "green", step{1, "yellow"})
	figure(frame{5, 4, 4, "Share of lines", "Anomalous lines among all lines of the service. Reads every line."},
		sumBy("", serviceOddLines, "$__range")+"\n/ "+sumBy("", serviceLines, "$__range"), "percentunit", 2, "green", step{0.01, "yellow"}, step{0.05, "orange"})
}

// spread is a table of how many nodes say the same.
func spread(f frame) *table.PanelBuilder {
	one := "reason, logscope_template"
	nodes := fmt.Sprintf("topk(25, count by (%s) (%s))", one,
		sumBy(one+", "+labelNode, serviceAnomalies+` | logscope_template!=""`, "$__range"))
	b := grid(f, lokiInstant(nodes, ""), []column{
		{from: "reason", name: "Reason", width: 100},
		{from: "logscope_template", name: "Template"},
		{from: "Last *", name: "Nodes"},
	}, fromSeries())
	b.OverrideByName("Template", []dashboard.DynamicConfigValue{{Id: "custom.inspect", Value: true}})
	return sortedBy(countUnit(b, "Nodes"), "Nodes")
}
