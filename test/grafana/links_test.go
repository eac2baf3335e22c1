package grafana

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// links are the addresses of all data links of a panel.
func (p *panel) links() []string {
	var all []string
	for _, o := range p.FieldConfig.Overrides {
		for _, property := range o.Properties {
			if property.ID != "links" {
				continue
			}
			for _, link := range property.Value.([]any) {
				all = append(all, link.(map[string]any)["url"].(string))
			}
		}
	}
	return all
}

// exploreOf fills a link to Explore in with a row's fields, as Grafana does, and reads what Explore would ask.
func exploreOf(t *testing.T, address string, row map[string]string) (expr string, from, to time.Time) {
	t.Helper()
	filled := regexp.MustCompile(`\$\{__data\.fields\.(\w+)\}`).ReplaceAllStringFunc(address, func(m string) string {
		return url.QueryEscape(row[strings.TrimSuffix(strings.TrimPrefix(m, "${__data.fields."), "}")])
	})
	filled = strings.NewReplacer("${datasource}", "logscope-loki", "${__org.id}", "1").Replace(filled)
	if strings.Contains(filled, "${") {
		t.Fatalf("a variable that a link has not: %s", filled)
	}
	u, err := url.Parse(filled)
	if err != nil {
		t.Fatal(err)
	}
	if v := u.Query().Get("schemaVersion"); v != "1" {
		t.Fatalf("got schemaVersion %q; want 1", v)
	}
	var panes map[string]struct {
		Datasource string
		Queries    []struct{ Expr, RefID, QueryType string }
		Range      struct{ From, To string }
	}
	if err := json.Unmarshal([]byte(u.Query().Get("panes")), &panes); err != nil {
		t.Fatalf("%v: %s", err, u.Query().Get("panes"))
	}
	pane, ok := panes["logscope"]
	if !ok || len(pane.Queries) != 1 || pane.Datasource != "logscope-loki" {
		t.Fatalf("got panes %v; want one of one query", panes)
	}
	return pane.Queries[0].Expr, millis(t, pane.Range.From), millis(t, pane.Range.To)
}

func millis(t *testing.T, text string) time.Time {
	t.Helper()
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatalf("the time of a link: %v", err)
	}
	return time.UnixMilli(n)
}
