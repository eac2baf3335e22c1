package main

import (
	"fmt"
	"strings"
	"time"
)

// Uids of the data sources that conf/grafana/provisioning/datasources makes.
const (
	lokiUID       = "logscope-loki"
	prometheusUID = "logscope-prometheus"
)

// alertFile is a file of Grafana's alerting provisioning, version 1.
type alertFile struct {
	APIVersion int          `yaml:"apiVersion"`
	Groups     []alertGroup `yaml:"groups"`
}

type alertGroup struct {
	OrgID    int         `yaml:"orgId"`
	Name     string      `yaml:"name"`
	Folder   string      `yaml:"folder"`
	Interval string      `yaml:"interval"`
	Rules    []alertRule `yaml:"rules"`
}

type alertRule struct {
	UID           string            `yaml:"uid"`
	Title         string            `yaml:"title"`
	Condition     string            `yaml:"condition"`
	Data          []alertQuery      `yaml:"data"`
	NoDataState   string            `yaml:"noDataState"`
	ExecErrState  string            `yaml:"execErrState"`
	For           string            `yaml:"for"`
	KeepFiringFor string            `yaml:"keepFiringFor,omitempty"`
	DashboardUID  string            `yaml:"dashboardUid"`
	PanelID       int               `yaml:"panelId"`
	Annotations   map[string]string `yaml:"annotations"`
	Labels        map[string]string `yaml:"labels"`
	IsPaused      bool              `yaml:"isPaused"`
}

type alertQuery struct {
	RefID             string         `yaml:"refId"`
	QueryType         string         `yaml:"queryType,omitempty"`
	RelativeTimeRange relativeRange  `yaml:"relativeTimeRange"`
	DatasourceUID     string         `yaml:"datasourceUid"`
	Model             map[string]any `yaml:"model"`
}

// relativeRange is in seconds before now.
type relativeRange struct {
	From int `yaml:"from"`
	To   int `yaml:"to"`
}

const grafanaAlertsHead = madeBy + `#
# The same alerts as %s has, for Grafana's own alerting: load one of the two, not both.
# Contact points and notification policies are yours: route by the label severity (critical, warning, info).
`

func grafanaLokiAlerts() ([]byte, error) {
	return grafanaAlerts("conf/loki/rules/logscope.yaml", "logscope", "loki", lokiUID, lokiAlerts())
}

func grafanaPrometheusAlerts() ([]byte, error) {
	// The last one stands on a recording of Loki's ruler: who has that has its alerts, too.
	all := prometheusAlerts()
	return grafanaAlerts("conf/prometheus/rules/logscope.yaml", "logscope-health", "prometheus", prometheusUID, all)
}

func grafanaAlerts(twin, name, kind, uid string, alerts []alert) ([]byte, error) {
	var groups []alertGroup
	for _, g := range alertGroups(name, alerts, kind == "loki") {
		made := alertGroup{OrgID: 1, Name: g.Name, Folder: "logscope", Interval: g.Interval}
		for _, r := range g.Rules {
			for i := range alerts {
				if alerts[i].name == r.Alert {
					made.Rules = append(made.Rules, alerts[i].unified(kind, uid))
				}
			}
		}
		groups = append(groups, made)
	}
	return encodeYAML(fmt.Sprintf(grafanaAlertsHead, twin), alertFile{1, groups})
}

// unified is the alert as Grafana has it: query A, and the threshold C on it, which is the condition.
// No data is well: a sum over what was not found has no value.
func (a *alert) unified(kind, uid string) alertRule {
	window, err := time.ParseDuration(a.window)
	if err != nil { // a constant of this package; TestAlerts reads them all
		panic(err)
	}
	span := relativeRange{From: int(window.Seconds())}
	query := map[string]any{
		"refId": "A", "expr": a.expr, "editorMode": "code",
		"datasource": map[string]any{"type": kind, "uid": uid},
	}
	if kind == "loki" {
		query["queryType"] = "instant"
	} else {
		query["instant"], query["range"] = true, false
	}
	condition := map[string]any{
		"refId": "C", "type": "threshold", "expression": "A",
		"datasource": map[string]any{"type": "__expr__", "uid": "__expr__"},
		"conditions": []any{map[string]any{"evaluator": map[string]any{"type": "gt", "params": []any{a.over}}}},
	}
	return alertRule{
		UID: strings.ToLower(a.name), Title: a.name, Condition: "C",
		Data: []alertQuery{
			{RefID: "A", QueryType: queryType(kind), RelativeTimeRange: span, DatasourceUID: uid, Model: query},
			{RefID: "C", RelativeTimeRange: span, DatasourceUID: "__expr__", Model: condition},
		},
		NoDataState: "OK", ExecErrState: "Error", For: a.wait, KeepFiringFor: a.keep,
		DashboardUID: a.dashboard, PanelID: a.panel,
		Annotations: map[string]string{
			"summary":     a.summary,
			"description": withValue(a.description, `{{ printf "%.0f" $values.A.Value }}`),
			"runbook_url": a.runbook(),
		},
		Labels: map[string]string{"severity": a.severity},
	}
}

func queryType(kind string) string {
	if kind == "loki" {
		return "instant"
	}
	return ""
}
