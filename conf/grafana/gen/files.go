package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// schemaVersion is Grafana 11's. Later ones bring it up to theirs as they load it; what they call deprecated,
// for a schema that Grafana 11 cannot read, is the one form that all of them take.
const schemaVersion = 39

// files returns the generated files by their paths below conf/.
func files() (map[string][]byte, error) {
	all := map[string][]byte{}
	for _, b := range []*dashboard.DashboardBuilder{overview(), service(), health()} {
		d, err := b.Build()
		if err != nil {
			return nil, fmt.Errorf("cannot build a dashboard: %w", err)
		}
		d.SchemaVersion = schemaVersion
		data, err := encodeDashboard(&d)
		if err != nil {
			return nil, err
		}
		all["grafana/dashboards/"+*d.Uid+".json"] = data
	}
	for name, rules := range map[string]func() ([]byte, error){
		"loki/rules/logscope.yaml":                      lokiRules,
		"prometheus/rules/logscope.yaml":                prometheusRules,
		"grafana/provisioning/alerting/loki.yaml":       grafanaLokiAlerts,
		"grafana/provisioning/alerting/prometheus.yaml": grafanaPrometheusAlerts,
	} {
		data, err := rules()
		if err != nil {
			return nil, err
		}
		all[name] = data
	}
	return all, nil
}

// encodeDashboard writes a dashboard as people read it in a diff: indented, and < and & as themselves.
func encodeDashboard(d *dashboard.Dashboard) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(d); err != nil {
		return nil, fmt.Errorf("cannot encode dashboard %q: %w", *d.Uid, err)
	}
	// The SDK's types encode themselves, and escape what a page of HTML would need escaped.
	plain := strings.NewReplacer(`\u0026`, "&", `\u003c`, "<", `\u003e`, ">").Replace(b.String())
	return []byte(plain), nil
}
