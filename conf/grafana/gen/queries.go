package main

import (
	"fmt"
	"strings"
)

// Labels that the queries stand on. service_name is Loki's own: it takes it from a stream's
// service, app, container or the like, and gives it to every stream (discover_service_name).
// node is optional, as a label or as structured metadata; without it all is one node.
const (
	labelService   = "service_name"
	labelNamespace = "namespace"
	labelNode      = "node"
)

// Every metric query of ours is a "sum by": structured metadata joins the series of
// a query otherwise, and an anomaly's explanation makes a series of each anomaly.

// sumBy counts what the selector finds in each interval, by labels separated by ", ".
func sumBy(labels, selector, interval string) string {
	if labels == "" {
		return fmt.Sprintf("sum(count_over_time(%s [%s]))", selector, interval)
	}
	return fmt.Sprintf("sum by (%s) (count_over_time(%s [%s]))", labels, selector, interval)
}

// orZero gives a figure also where nothing was found.
func orZero(expr string) string { return expr + " or vector(0)" }

// events finds findings of one kind that have no line of their own.
func events(kind, more string) string {
	return fmt.Sprintf(`{source="logscope", event=%q%s}`, kind, more)
}

// Buckets of scores that anomalies fall into with the default threshold, 0.5. Lower ones appear as they come.
var scoreBuckets = []string{"0.5", "0.6", "0.7", "0.8", "0.9"}

// scoreHeat counts anomalies by bucket of score. The zeros keep all rows and columns in place, see heat.
func scoreHeat(selector string) string {
	var b strings.Builder
	b.WriteString(sumBy("score_bucket", selector, "$__auto"))
	for _, bucket := range scoreBuckets {
		fmt.Fprintf(&b, "\nor label_replace(vector(0), \"score_bucket\", %q, \"\", \"\")", bucket)
	}
	return b.String()
}

// allServices names the row of a heatmap that has the sum of the others.
const allServices = "all services"

// serviceHeat counts anomalies by service. The row of all services is there at all times, see heat.
func serviceHeat(selector string) string {
	return sumBy(labelService, selector, "$__auto") + "\nor label_replace(" +
		orZero(sumBy("", selector, "$__auto")) + fmt.Sprintf(", %q, %q, \"\", \"\")", labelService, allServices)
}

// highestScore is the highest score that the selector finds in each interval, by labels.
// The inner grouping keeps each anomaly from being a series of its own.
func highestScore(labels, selector, interval string) string {
	inner := labels
	if inner == "" {
		inner = labelService
	}
	expr := fmt.Sprintf("max_over_time(%s | unwrap logscope_score [%s]) by (%s)", selector, interval, inner)
	if labels == "" {
		return "max(" + expr + ")"
	}
	return fmt.Sprintf("max by (%s) (%s)", labels, expr)
}

// aroundMillis is how much before and after an anomaly its link to Explore shows.
const aroundMillis = 2 * 60 * 1000

// history is the log query behind a table of anomalies: what the table shows, and the
// times around each for its link. A data link cannot add, LogQL can.
func history(selector string) string {
	return fmt.Sprintf("%s\n| label_format line=`{{ __line__ }}`"+
		", around_from=`{{ sub (unixEpochMillis __timestamp__) %d }}`, around_to=`{{ add (unixEpochMillis __timestamp__) %d }}`\n"+
		"| keep %s, %s, reason, event, logscope_score, logscope_explanation, logscope_expected, logscope_observed, logscope_template, logscope_session, line, around_from, around_to",
		selector, aroundMillis, aroundMillis, labelNamespace, labelService)
}
