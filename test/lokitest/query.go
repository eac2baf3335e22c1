package lokitest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Client asks a Loki.
type Client struct {
	URL  string // without a path
	HTTP *http.Client
}

// NewClient makes a Client of the Loki at url.
func NewClient(url string) *Client {
	return &Client{URL: strings.TrimRight(url, "/"), HTTP: &http.Client{Timeout: 60 * time.Second}}
}

// Entry is one log entry as Loki keeps it.
type Entry struct {
	Time     int64 // Unix nanoseconds
	Line     string
	Stream   map[string]string // the stream's labels alone
	Metadata map[string]string // structured metadata
	Parsed   map[string]string // what the query itself made of the line
}

// Series is one series of a metric query: one point in an instant answer.
type Series struct {
	Metric map[string]string
	Points []Point
}

// Point is one value of a series.
type Point struct {
	Time  time.Time
	Value float64
}

// pageEntries is how many entries are asked for at a time; Loki refuses more than 5,000 by default.
const pageEntries = 5000

// Entries returns all entries that a log query finds from from to to, by time.
func (c *Client) Entries(ctx context.Context, query string, from, to time.Time) ([]Entry, error) {
	var all []Entry
	start := from.UnixNano()
	for {
		page, err := c.page(ctx, query, start, to.UnixNano())
		if err != nil {
			return nil, err
		}
		if len(page) < pageEntries {
			return append(all, page...), nil
		}
		// The last instant may go on in the next page: it is read there as a whole.
		last := page[len(page)-1].Time
		cut := slices.IndexFunc(page, func(e Entry) bool { return e.Time == last })
		if cut == 0 {
			return nil, fmt.Errorf("more than %d entries at one instant: %s", pageEntries, query)
		}
		all = append(all, page[:cut]...)
		start = last
	}
}

func (c *Client) page(ctx context.Context, query string, start, end int64) ([]Entry, error) {
	var data struct {
		Result []struct {
			Stream map[string]string    `json:"stream"`
			Values [][3]json.RawMessage `json:"values"`
		} `json:"result"`
	}
	err := c.get(ctx, "query_range", url.Values{
		"query":     {query},
		"start":     {strconv.FormatInt(start, 10)},
		"end":       {strconv.FormatInt(end, 10)},
		"limit":     {strconv.Itoa(pageEntries)},
		"direction": {"forward"},
	}, &data)
	if err != nil {
		return nil, err
	}
	var page []Entry
	for _, stream := range data.Result {
		for _, value := range stream.Values {
			e, err := parseEntry(value)
			if err != nil {
				return nil, err
			}
			e.Stream = stream.Stream
			page = append(page, e)
		}
	}
	slices.SortStableFunc(page, func(a, b Entry) int { return int(min(max(a.Time-b.Time, -1), 1)) })
	return page, nil
}

// parseEntry reads ["<nanoseconds>", "<line>", {"structuredMetadata": {...}}].
func parseEntry(value [3]json.RawMessage) (e Entry, err error) {
	var at string
	if err = json.Unmarshal(value[0], &at); err != nil {
		return e, err
	}
	if e.Time, err = strconv.ParseInt(at, 10, 64); err != nil {
		return e, err
	}
	if err = json.Unmarshal(value[1], &e.Line); err != nil || value[2] == nil {
		return e, err
	}
	var more struct {
		Metadata map[string]string `json:"structuredMetadata"`
		Parsed   map[string]string `json:"parsed"`
	}
	err = json.Unmarshal(value[2], &more)
	e.Metadata, e.Parsed = more.Metadata, more.Parsed
	return e, err
}

// Instant answers a metric query at one moment.
func (c *Client) Instant(ctx context.Context, query string, at time.Time) ([]Series, error) {
	return c.metric(ctx, "query", url.Values{"query": {query}, "time": {strconv.FormatInt(at.UnixNano(), 10)}})
}

// Range answers a metric query at every step from from to to.
func (c *Client) Range(ctx context.Context, query string, from, to time.Time, step time.Duration) ([]Series, error) {
	return c.metric(ctx, "query_range", url.Values{
		"query": {query},
		"start": {strconv.FormatInt(from.UnixNano(), 10)},
		"end":   {strconv.FormatInt(to.UnixNano(), 10)},
		"step":  {strconv.FormatFloat(step.Seconds(), 'f', -1, 64)},
	})
}

func (c *Client) metric(ctx context.Context, path string, args url.Values) ([]Series, error) {
	var data struct {
		Type   string `json:"resultType"`
		Result []struct {
			Metric map[string]string `json:"metric"`
			Value  point             `json:"value"`
			Values []point           `json:"values"`
		} `json:"result"`
	}
	if err := c.get(ctx, path, args, &data); err != nil {
		return nil, err
	}
	series := make([]Series, 0, len(data.Result))
	for _, r := range data.Result {
		points := r.Values
		if data.Type == "vector" {
			points = []point{r.Value}
		}
		s := Series{Metric: r.Metric}
		for _, p := range points {
			s.Points = append(s.Points, Point(p))
		}
		series = append(series, s)
	}
	return series, nil
}

// point reads [<seconds>, "<value>"].
type point Point

func (p *point) UnmarshalJSON(data []byte) error {
	var parts [2]json.RawMessage
	if err := json.Unmarshal(data, &parts); err != nil {
		return err
	}
	var seconds float64
	var value string
	if err := json.Unmarshal(parts[0], &seconds); err != nil {
		return err
	}
	if err := json.Unmarshal(parts[1], &value); err != nil {
		return err
	}
	v, err := strconv.ParseFloat(value, 64)
	p.Time, p.Value = time.UnixMilli(int64(seconds*1000)), v
	return err
}

// Count returns how many entries the selector finds after from, up to and including to.
func (c *Client) Count(ctx context.Context, selector string, from, to time.Time) (int, error) {
	window := strconv.FormatInt(to.Sub(from).Milliseconds()+1, 10) + "ms"
	series, err := c.Instant(ctx, "sum(count_over_time("+selector+" ["+window+"]))", to)
	if err != nil || len(series) == 0 {
		return 0, err
	}
	return int(series[0].Points[0].Value), nil
}

// Series returns the label sets of the streams that match.
func (c *Client) Series(ctx context.Context, selector string, from, to time.Time) ([]map[string]string, error) {
	var data []map[string]string
	err := c.get(ctx, "series", url.Values{
		"match[]": {selector},
		"start":   {strconv.FormatInt(from.UnixNano(), 10)},
		"end":     {strconv.FormatInt(to.UnixNano(), 10)},
	}, &data)
	return data, err
}

// get asks one of the read endpoints and decodes the answer's data.
func (c *Client) get(ctx context.Context, path string, args url.Values, data any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL+"/loki/api/v1/"+path+"?"+args.Encode(), nil)
	if err != nil {
		return err
	}
	// Without this Loki answers structured metadata as if it were labels of the stream.
	req.Header.Set("X-Loki-Response-Encoding-Flags", "categorize-labels")
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return fmt.Errorf("cannot ask Loki: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("cannot read Loki's answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("cannot query %q: %s: %s", args.Get("query"), resp.Status, strings.TrimSpace(string(body)))
	}
	answer := struct {
		Data any `json:"data"`
	}{data}
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("cannot read Loki's answer to %q: %w", args.Get("query"), err)
	}
	return nil
}
