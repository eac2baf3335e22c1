package main

import (
	"github.com/grafana/grafana-foundation-sdk/go/bargauge"
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/heatmap"
	"github.com/grafana/grafana-foundation-sdk/go/logs"
	"github.com/grafana/grafana-foundation-sdk/go/loki"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// frame is what every panel has. The id is given, so that alerts and links can name a panel.
type frame struct {
	id                 uint32
	w, h               uint32 // of 24 columns; in rows of 30 pixels
	title, description string
}

// builder is what the builders of all kinds of panels have in common.
type builder[B any] interface {
	Id(uint32) B
	Title(string) B
	Description(string) B
	Span(uint32) B
	Height(uint32) B
	Datasource(common.DataSourceRef) B
}

func framed[B builder[B]](b B, f frame, source common.DataSourceRef) B {
	return b.Id(f.id).Title(f.title).Description(f.description).Span(f.w).Height(f.h).Datasource(source)
}

// The data source is a variable of each dashboard: the same JSON serves any Grafana.
func sourceRef(kind string) common.DataSourceRef {
	uid := "${datasource}"
	return common.DataSourceRef{Type: &kind, Uid: &uid}
}

func lokiRef() common.DataSourceRef       { return sourceRef("loki") }
func prometheusRef() common.DataSourceRef { return sourceRef("prometheus") }

// target is one query of a panel.
type target = cog.Builder[variants.Dataquery]

// lokiRange asks for a series over time; legend names each series by its labels.
func lokiRange(expr, legend string) target {
	return loki.NewDataqueryBuilder().RefId("A").Datasource(lokiRef()).Expr(expr).QueryType("range").
		LegendFormat(legend).EditorMode(loki.QueryEditorModeCode)
}

// lokiInstant asks for one value of each series, at the end of the dashboard's range.
func lokiInstant(expr, legend string) target {
	return loki.NewDataqueryBuilder().RefId("A").Datasource(lokiRef()).Expr(expr).QueryType("instant").
		LegendFormat(legend).EditorMode(loki.QueryEditorModeCode)
}

// lokiLines asks for log lines, the newest first.
func lokiLines(expr string, limit int64) target {
	return loki.NewDataqueryBuilder().RefId("A").Datasource(lokiRef()).Expr(expr).QueryType("range").
		MaxLines(limit).Direction(loki.LokiQueryDirectionBackward).EditorMode(loki.QueryEditorModeCode)
}

func promRange(ref, expr, legend string) target {
	return prometheus.NewDataqueryBuilder().RefId(ref).Datasource(prometheusRef()).Expr(expr).Range().
		LegendFormat(legend).EditorMode(prometheus.QueryEditorModeCode)
}

func promInstant(expr, legend string) target {
	return prometheus.NewDataqueryBuilder().RefId("A").Datasource(prometheusRef()).Expr(expr).Instant().
		LegendFormat(legend).EditorMode(prometheus.QueryEditorModeCode)
}

// promBuckets asks for a histogram's buckets. Those of Prometheus are cumulative: this format has Grafana subtract them.
func promBuckets(expr string) target {
	return prometheus.NewDataqueryBuilder().RefId("A").Datasource(prometheusRef()).Expr(expr).Range().
		Format(prometheus.PromQueryFormatHeatmap).LegendFormat("{{le}}").EditorMode(prometheus.QueryEditorModeCode)
}

// step is a threshold: from the value on, the colour.
type step struct {
	from  float64
	color string
}

func thresholds(base string, steps ...step) cog.Builder[dashboard.ThresholdsConfig] {
	all := []dashboard.Threshold{{Color: base}}
	for _, s := range steps {
		all = append(all, dashboard.Threshold{Value: &s.from, Color: s.color})
	}
	return dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps(all)
}

// scoreSteps colours a score: 0.5 is one record in 1,100, 0.7 one in 50,000, 0.9 one in 1.2 billion.
func scoreSteps() cog.Builder[dashboard.ThresholdsConfig] {
	return thresholds("blue", step{0.5, "yellow"}, step{0.7, "orange"}, step{0.9, "red"})
}

func colorBy(mode dashboard.FieldColorModeId) cog.Builder[dashboard.FieldColor] {
	return dashboard.NewFieldColorBuilder().Mode(mode)
}

// number is a panel of one figure.
func number(f frame, source common.DataSourceRef, q target, unit string, steps cog.Builder[dashboard.ThresholdsConfig]) *stat.PanelBuilder {
	return framed(stat.NewPanelBuilder(), f, source).WithTarget(q).Unit(unit).Thresholds(steps).
		ColorScheme(colorBy(dashboard.FieldColorModeIdThresholds)).
		ColorMode(common.BigValueColorModeValue).GraphMode(common.BigValueGraphModeNone).TextMode(common.BigValueTextModeValue).
		JustifyMode(common.BigValueJustifyModeAuto).Orientation(common.VizOrientationAuto).
		ReduceOptions(common.NewReduceDataOptionsBuilder().Values(false).Calcs([]string{"lastNotNull"}))
}

// lines is a chart of series over time.
func lines(f frame, source common.DataSourceRef, unit string, targets ...target) *timeseries.PanelBuilder {
	b := framed(timeseries.NewPanelBuilder(), f, source).Unit(unit).Min(0).
		LineWidth(1).FillOpacity(10).ShowPoints(common.VisibilityModeNever).SpanNulls(common.BoolOrFloat64{Bool: cog.ToPtr(false)}).
		ColorScheme(colorBy(dashboard.FieldColorModeIdPaletteClassicByName)).
		Legend(common.NewVizLegendOptionsBuilder().ShowLegend(true).DisplayMode(common.LegendDisplayModeTable).
			Placement(common.LegendPlacementBottom).Calcs([]string{"lastNotNull", "max"})).
		Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending))
	for _, t := range targets {
		b.WithTarget(t)
	}
	return b
}

// bars is a chart of counts over time, stacked: the height of a bar is how many in all.
func bars(f frame, q target) *timeseries.PanelBuilder {
	return lines(f, lokiRef(), "short", q).DrawStyle(common.GraphDrawStyleBars).FillOpacity(80).LineWidth(0).Decimals(0).
		Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal).Group("A")).
		MaxDataPoints(heatColumns).Interval(heatStep).
		Legend(common.NewVizLegendOptionsBuilder().ShowLegend(true).DisplayMode(common.LegendDisplayModeList).
			Placement(common.LegendPlacementBottom).Calcs([]string{"sum"}))
}

const (
	// heatColumns bounds the columns of a heatmap, and so sets $__auto: cells of a pixel show nothing.
	heatColumns = 120
	// heatStep is the least time of a column. A minute with no anomaly in it is the rule.
	heatStep = "1m"
)

// heat is a heatmap whose rows are the query's series as they come.
//
//   - Calculate is off: the panel would count values of its own otherwise, while here
//     each series is a row already, and its value at a time is the cell's colour.
//   - The query has no format "heatmap" (Loki has none): that one is for Prometheus'
//     buckets, which are cumulative, and would subtract each row from the next.
//   - Columns end at their time: Loki's value at t counts what came after t-step, up to t,
//     and range and step are both $__auto, so each anomaly is in one cell.
//   - The width of all columns is the distance of the first two. Where nothing happened a
//     sum has no value at all, so the queries add zeros, and cells at zero are hidden.
//   - The colours are exponential: one cell of 200 must not make cells of 1 invisible.
func heat(f frame, q target, layout common.HeatmapCellLayout, axis string) *heatmap.PanelBuilder {
	return framed(heatmap.NewPanelBuilder(), f, lokiRef()).WithTarget(q).
		Calculate(false).
		RowsFrame(heatmap.NewRowsHeatmapOptionsBuilder().Layout(layout).Value("anomalies")).
		FilterValues(heatmap.NewFilterValueRangeBuilder().Le(1e-9)).
		Color(heatmap.NewHeatmapColorOptionsBuilder().Mode(heatmap.HeatmapColorModeScheme).Scheme("Oranges").
			Fill("dark-orange").Scale(heatmap.HeatmapColorScaleExponential).Exponent(0.5).Steps(64).Reverse(false).Min(0)).
		CellValues(heatmap.NewCellValuesBuilder().Unit("short").Decimals(0)).
		CellGap(1).ShowValue(common.VisibilityModeNever).
		YAxis(heatmap.NewYAxisConfigBuilder().AxisPlacement(common.AxisPlacementLeft).AxisLabel(axis)).
		Tooltip(heatmap.NewHeatmapTooltipBuilder().Mode(common.TooltipDisplayModeSingle).YHistogram(false).ShowColorScale(true)).
		ShowLegend().MaxDataPoints(heatColumns).Interval(heatStep)
}

// gauges is a list of names with a bar for each.
func gauges(f frame, q target, unit string) *bargauge.PanelBuilder {
	return framed(bargauge.NewPanelBuilder(), f, lokiRef()).WithTarget(q).Unit(unit).Min(0).
		Orientation(common.VizOrientationHorizontal).DisplayMode(common.BarGaugeDisplayModeBasic).
		ColorScheme(colorBy(dashboard.FieldColorModeIdContinuousYlRd)).
		ReduceOptions(common.NewReduceDataOptionsBuilder().Values(false).Calcs([]string{"lastNotNull"}))
}

// logLines shows lines as they are, with details on a click.
func logLines(f frame, q target) *logs.PanelBuilder {
	return framed(logs.NewPanelBuilder(), f, lokiRef()).WithTarget(q).
		ShowTime(true).ShowLabels(false).ShowCommonLabels(false).WrapLogMessage(true).EnableLogDetails(true).
		SortOrder(common.LogsSortOrderDescending).DedupStrategy(common.LogsDedupStrategyNone)
}

// column is one of a table: the name that it has in the answer, and the one that it is shown by.
type column struct {
	from, name string
	width      float64
	hidden     bool
}

// grid is a table with the given columns in their order; what else the answer has is left out.
func grid(f frame, q target, columns []column, before ...dashboard.DataTransformerConfig) *table.PanelBuilder {
	b := framed(table.NewPanelBuilder(), f, lokiRef()).WithTarget(q).Unit("string").
		CellHeight(common.TableCellHeightSm).Filterable(true).ShowHeader(true).
		Footer(common.NewTableFooterOptionsBuilder().Show(false).Reducer([]string{}).CountRows(false))
	names, index, rename := []string{}, map[string]int{}, map[string]string{}
	for i, c := range columns {
		names = append(names, c.from)
		index[c.from], rename[c.from] = i, c.name
		var properties []dashboard.DynamicConfigValue
		if c.width > 0 {
			properties = append(properties, dashboard.DynamicConfigValue{Id: "custom.width", Value: c.width})
		}
		if c.hidden {
			properties = append(properties, dashboard.DynamicConfigValue{Id: "custom.hidden", Value: true})
		}
		if len(properties) > 0 {
			b.OverrideByName(c.name, properties)
		}
	}
	for _, t := range before {
		b.WithTransformation(t)
	}
	return b.
		WithTransformation(dashboard.DataTransformerConfig{Id: "filterFieldsByName", Options: map[string]any{
			"include": map[string]any{"names": names},
		}}).
		WithTransformation(dashboard.DataTransformerConfig{Id: "organize", Options: map[string]any{
			"indexByName": index, "renameByName": rename, "excludeByName": map[string]bool{},
		}})
}

// countUnit shows a column as a number with a bar in its cell.
func countUnit(b *table.PanelBuilder, name string) *table.PanelBuilder {
	return b.OverrideByName(name, []dashboard.DynamicConfigValue{
		{Id: "unit", Value: "short"},
		{Id: "custom.width", Value: 140},
		{Id: "min", Value: 0},
		{Id: "color", Value: map[string]any{"mode": "continuous-YlRd"}},
		{Id: "custom.cellOptions", Value: map[string]any{"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}},
	})
}

// scoreUnit shows a column as a score, coloured.
func scoreUnit(b *table.PanelBuilder, name string) *table.PanelBuilder {
	at := func(v float64, color string) map[string]any { return map[string]any{"value": v, "color": color} }
	return b.OverrideByName(name, []dashboard.DynamicConfigValue{
		{Id: "unit", Value: "none"},
		{Id: "decimals", Value: 2},
		{Id: "custom.width", Value: 80},
		{Id: "color", Value: map[string]any{"mode": "thresholds"}},
		{Id: "thresholds", Value: map[string]any{"mode": "absolute", "steps": []any{
			map[string]any{"value": nil, "color": "blue"}, at(0.5, "yellow"), at(0.7, "orange"), at(0.9, "red"),
		}}},
		{Id: "custom.cellOptions", Value: map[string]any{"type": "color-background", "mode": "basic"}},
	})
}
