package conf

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

func viewRows() []Row {
	const g = groupView
	return []Row{
		{Name: "view_listen", Kind: Listen, Scopes: Plugin, Group: g,
			Help: "Address that serves the [live view](../live-view.md), a page with a heatmap of scores and the last anomalies. A port alone, `2022`, is on `127.0.0.1`. It has no authentication and shows log lines: keep it there, and reach it by `kubectl port-forward` or ssh. Output sections may share one. Default: none.",
			set:  func(s *Settings, v Value) { s.View.Listen = v.Text }},
		{Name: "view_origins", Kind: Text, Scopes: Plugin, Group: g,
			Help: "Origins under which the live view may be opened beside `http://localhost` and IP addresses, separated by commas, as the browser shows them: `https://logs.example.com`. Needed behind a proxy, or where the address is a host name.",
			set:  func(s *Settings, v Value) { s.View.Origins = splitList(v.Text) }},
	}
}

// splitList splits a text at commas; empty parts are left out.
func splitList(text string) []string {
	parts := strings.Split(text, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return slices.DeleteFunc(parts, func(p string) bool { return p == "" })
}

// checkView says what is wrong with the options of the live view.
func (s *Settings) checkView() (errs []error) {
	if len(s.View.Origins) > 0 && s.View.Listen == "" {
		errs = append(errs, errors.New("option view_origins is given but view_listen is not: the live view needs an address, such as view_listen 2022"))
	}
	if s.View.Listen != "" && s.View.Listen == s.Metrics.Listen {
		errs = append(errs, fmt.Errorf("options view_listen and metrics_listen are both %s: each needs an address of its own", s.View.Listen))
	}
	for _, origin := range s.View.Origins {
		u, err := url.Parse(origin)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || origin != u.Scheme+"://"+u.Host || strings.ContainsAny(origin, "*?") {
			errs = append(errs, &Error{Option: "view_origins", Given: origin, Err: errors.New("not an origin"),
				Allowed: "scheme and host as the browser shows them, such as https://logs.example.com, without path or pattern"})
		}
	}
	return errs
}
