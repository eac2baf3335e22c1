package main

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// link is a data link: where a click on a value goes to.
type link struct {
	Title       string `json:"title"`
	URL         string `json:"url"`
	TargetBlank bool   `json:"targetBlank"`
}

func links(all ...link) dashboard.DynamicConfigValue {
	return dashboard.DynamicConfigValue{Id: "links", Value: all}
}

// exploreAround opens Explore with all lines of the row's service around the row's time.
func exploreAround() link {
	return link{
		Title:       "Lines around it",
		TargetBlank: true,
		URL: explore(`{`+labelService+`="${__data.fields.Service}"}`,
			"${__data.fields.around_from}", "${__data.fields.around_to}"),
	}
}

// explore is the address of Explore with a Loki query.
func explore(expr, from, to string) string {
	pane := map[string]any{
		"datasource": "${datasource}",
		"queries": []any{map[string]any{
			"refId": "A", "expr": expr, "queryType": "range", "editorMode": "code",
			"datasource": map[string]string{"type": "loki", "uid": "${datasource}"},
		}},
		"range": map[string]string{"from": from, "to": to},
	}
	data, err := json.Marshal(map[string]any{"logscope": pane})
	if err != nil { // strings always marshal
		panic(err)
	}
	// Grafana fills variables in before the address is used: those stay as they are, all else is escaped.
	escaped := strings.ReplaceAll(url.QueryEscape(string(data)), "+", "%20")
	return "/explore?schemaVersion=1&orgId=${__org.id}&panes=" +
		regexp.MustCompile(`%24%7B([\w.]+)%7D`).ReplaceAllString(escaped, "$${$1}")
}

// serviceLink opens the dashboard of the row's service, at the same time.
func serviceLink() link {
	return link{
		Title: "Dashboard of this service",
		URL:   "/d/logscope-service?var-datasource=${datasource}&var-service=${__data.fields.Service}&${__url_time_range}",
	}
}

// dashboardLinks are in the head of each dashboard.
func dashboardLinks(b *dashboard.DashboardBuilder) *dashboard.DashboardBuilder {
	return b.Link(dashboard.NewDashboardLinkBuilder("logscope").Type(dashboard.DashboardLinkTypeDashboards).
		Tags([]string{tag}).AsDropdown(false).IncludeVars(false).KeepTime(true).TargetBlank(false).
		Tooltip("The other dashboards of logscope").Icon("external link").Url(""))
}
