package main

import (
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func text(s string) dashboard.StringOrMap { return dashboard.StringOrMap{String: &s} }

func option(name, value string) dashboard.VariableOption {
	selected := true
	return dashboard.VariableOption{
		Selected: &selected,
		Text:     dashboard.StringOrArrayOfString{String: &name},
		Value:    dashboard.StringOrArrayOfString{String: &value},
	}
}

// sourceVariable picks the data source.
func sourceVariable(kind string) *dashboard.DatasourceVariableBuilder {
	return dashboard.NewDatasourceVariableBuilder("datasource").Label("Data source").Type(kind).
		AllowCustomValue(false)
}

// labelVariable offers the values of a label, several at once. With "All" it is the given regular
// expression: ".*" finds also what lacks the label, ".+" only what has it.
func labelVariable(source common.DataSourceRef, name, title, query, all string) *dashboard.QueryVariableBuilder {
	everything := dashboard.VariableOption{
		Selected: cog.ToPtr(true),
		Text:     dashboard.StringOrArrayOfString{ArrayOfString: []string{"All"}},
		Value:    dashboard.StringOrArrayOfString{ArrayOfString: []string{"$__all"}},
	}
	return dashboard.NewQueryVariableBuilder(name).Label(title).Datasource(source).
		Query(text(query)).Definition(query).
		Multi(true).IncludeAll(true).AllValue(all).Current(everything).
		Refresh(dashboard.VariableRefreshOnTimeRangeChanged).Sort(dashboard.VariableSortAlphabeticalAsc)
}

func namespaceVariable() *dashboard.QueryVariableBuilder {
	return labelVariable(lokiRef(), "namespace", "Namespace", `label_values({anomaly="true"}, namespace)`, ".*")
}

// scoreVariable picks the lowest score. Its values are matchers of score_bucket, a label:
// Loki then leaves out streams by its index, and reads no line to compare scores.
func scoreVariable() *dashboard.CustomVariableBuilder {
	values := []string{
		"any : .+", "0.6 : 0.[6-9]", "0.7 (one record in 50 thousand) : 0.[7-9]", "0.8 : 0.[89]", "0.9 (one in 1.2 billion) : 0.9",
	}
	return dashboard.NewCustomVariableBuilder("min_score").Label("Score from").
		Values(text(strings.Join(values, ", "))).Current(option("any", ".+")).
		AllowCustomValue(false)
}
