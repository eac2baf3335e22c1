package main

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/table"
)

// fromLabels makes columns of the labels of log lines, in place of the lines.
func fromLabels() []dashboard.DataTransformerConfig {
	return []dashboard.DataTransformerConfig{
		{Id: "extractFields", Options: map[string]any{"source": "labels", "format": "json", "replace": true, "keepTime": true}},
		{Id: "convertFieldType", Options: map[string]any{
			"conversions": []any{map[string]any{"targetField": "logscope_score", "destinationType": "number"}},
			"fields":      map[string]any{},
		}},
	}
}

// fromSeries makes a row of each series: its labels, and its value as "Last *".
func fromSeries() dashboard.DataTransformerConfig {
	return dashboard.DataTransformerConfig{Id: "reduce", Options: map[string]any{
		"reducers": []string{"lastNotNull"}, "mode": "seriesToRows", "labelsToFields": true, "includeTimeField": false,
	}}
}

// Columns that tables of anomalies share. "timestamp" is what a Grafana with lokiLogsDataplane calls the time.
func historyColumns() []column {
	return []column{
		{from: "Time", name: "Time", width: 180},
		{from: "timestamp", name: "Time", width: 180},
		{from: labelNamespace, name: "Namespace", width: 120},
		{from: labelService, name: "Service", width: 150},
		{from: "reason", name: "Reason", width: 100},
		{from: "logscope_score", name: "Score"},
		{from: "logscope_explanation", name: "Explanation"},
		{from: "logscope_template", name: "Template"},
		{from: "line", name: "Line"},
		{from: "around_from", name: "around_from", hidden: true},
		{from: "around_to", name: "around_to", hidden: true},
	}
}

// historyTable is the alert history.
func historyTable(f frame, selector string) *table.PanelBuilder {
	b := grid(f, lokiLines(history(selector), 500), historyColumns(), fromLabels()...)
	b.OverrideByName("Explanation", []dashboard.DynamicConfigValue{links(exploreAround()), {Id: "custom.inspect", Value: true}})
	b.OverrideByName("Service", []dashboard.DynamicConfigValue{links(serviceLink(), exploreAround())})
	return sortedBy(scoreUnit(b, "Score"), "Time")
}

// silences is a table of what did not come.
func silences(f frame) *table.PanelBuilder {
	columns := []column{
		{from: "Time", name: "Time", width: 180},
		{from: "timestamp", name: "Time", width: 180},
		{from: labelService, name: "Service", width: 150},
		{from: "logscope_observed", name: "Seen", width: 170},
		{from: "logscope_expected", name: "Usual", width: 190},
		{from: "logscope_explanation", name: "Explanation"},
		{from: "around_from", name: "around_from", hidden: true},
		{from: "around_to", name: "around_to", hidden: true},
	}
	b := grid(f, lokiLines(history(events("silence", inNamespace)), 200), columns, fromLabels()...)
	b.OverrideByName("Explanation", []dashboard.DynamicConfigValue{links(exploreAround()), {Id: "custom.inspect", Value: true}})
	b.OverrideByName("Service", []dashboard.DynamicConfigValue{links(serviceLink(), exploreAround())})
	return sortedBy(b, "Time")
}

// templates is a table of the templates flagged most often.
func templates(f frame, selector string) *table.PanelBuilder {
	q := lokiInstant("topk(25, "+sumBy(labelService+", reason, logscope_template", selector+` | logscope_template!=""`, "$__range")+")", "")
	b := grid(f, q, []column{
		{from: labelService, name: "Service", width: 150},
		{from: "reason", name: "Reason", width: 100},
		{from: "logscope_template", name: "Template"},
		{from: "Last *", name: "Anomalies"},
	}, fromSeries())
	b.OverrideByName("Service", []dashboard.DynamicConfigValue{links(serviceLink())})
	b.OverrideByName("Template", []dashboard.DynamicConfigValue{{Id: "custom.inspect", Value: true}})
	return sortedBy(countUnit(b, "Anomalies"), "Anomalies")
}

func sortedBy(b *table.PanelBuilder, name string) *table.PanelBuilder {
	return b.SortBy([]cog.Builder[common.TableSortByFieldState]{common.NewTableSortByFieldStateBuilder().DisplayName(name).Desc(true)})
}
