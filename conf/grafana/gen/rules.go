package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// ruleFile is what Loki's ruler and Prometheus load.
type ruleFile struct {
	Groups []ruleGroup `yaml:"groups"`
}

type ruleGroup struct {
	Name     string `yaml:"name"`
	Interval string `yaml:"interval"`
	Rules    []rule `yaml:"rules"`
}

// rule is an alert or a recording.
type rule struct {
	Record      string            `yaml:"record,omitempty"`
	Alert       string            `yaml:"alert,omitempty"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for,omitempty"`
	Keep        string            `yaml:"keep_firing_for,omitempty"`
	Labels      map[string]string `yaml:"labels,omitempty"`
	Annotations map[string]string `yaml:"annotations,omitempty"`
}

const madeBy = "# Made from conf/grafana/gen by \"make gen\". Do not edit.\n"

const lokiRulesHead = madeBy + `#
# For the ruler of Loki 3: with "ruler.storage.type: local" put this file at DIRECTORY/TENANT/logscope.yaml; TENANT is
# "fake" where auth_enabled is false. The recordings need ruler.remote_write to a Prometheus; without it they are
# evaluated and dropped: leave that group out. docs/grafana.md has an example.
`

const prometheusRulesHead = madeBy + `#
# For Prometheus: name this file under rule_files. The label instance is the scraped target; logscope's own label of
# that name arrives as exported_instance, as Prometheus does it by default (honor_labels: false).
`

func lokiRules() ([]byte, error) {
	groups := alertGroups("logscope", lokiAlerts(), true)
	var recorded []rule
	for _, r := range recordings() {
		recorded = append(recorded, rule{Record: r.name, Expr: r.expr})
	}
	groups = append(groups, ruleGroup{Name: "logscope-recordings", Interval: "1m", Rules: recorded})
	return encodeYAML(lokiRulesHead, ruleFile{groups})
}

func prometheusRules() ([]byte, error) {
	return encodeYAML(prometheusRulesHead, ruleFile{alertGroups("logscope-health", prometheusAlerts(), false)})
}

// alertGroups makes a group of the alerts. Loki's one on absence reads every line of 5 minutes: it
// has a group of its own, evaluated every 5 minutes, so that each line is read once.
func alertGroups(name string, alerts []alert, absentApart bool) []ruleGroup {
	main := ruleGroup{Name: name, Interval: "1m"}
	absence := ruleGroup{Name: name + "-absence", Interval: "5m"}
	for i := range alerts {
		if alerts[i].absent && absentApart {
			absence.Rules = append(absence.Rules, alerts[i].rule())
		} else {
			main.Rules = append(main.Rules, alerts[i].rule())
		}
	}
	if len(absence.Rules) == 0 {
		return []ruleGroup{main}
	}
	return []ruleGroup{main, absence}
}

// rule is the alert as Loki and Prometheus have it.
func (a *alert) rule() rule {
	value := `{{ printf "%.0f" $value }}`
	return rule{
		Alert:  a.name,
		Expr:   fmt.Sprintf("(%s) > %s", a.expr, strconv.FormatFloat(a.over, 'f', -1, 64)),
		For:    a.wait,
		Keep:   a.keep,
		Labels: map[string]string{"severity": a.severity},
		Annotations: map[string]string{
			"summary":       a.summary,
			"description":   withValue(a.description, value),
			"runbook_url":   a.runbook(),
			"dashboard_uid": a.dashboard,
		},
	}
}

// runbook is the address of the alert's section in docs/operations.md.
func (a *alert) runbook() string { return runbook + strings.ToLower(a.name) }

// withValue puts a template's way of writing the measured value into a text.
func withValue(text, value string) string { return strings.ReplaceAll(text, "$value", value) }

func encodeYAML(head string, v any) ([]byte, error) {
	data, err := yaml.MarshalWithOptions(v, yaml.UseLiteralStyleIfMultiline(true), yaml.IndentSequence(true))
	if err != nil {
		return nil, err
	}
	return append([]byte(head), data...), nil
}
