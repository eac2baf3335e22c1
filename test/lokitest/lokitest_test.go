package lokitest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestQueries pushes entries by Loki's own JSON and reads them back by every call of Client.
func TestQueries(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real Loki, which takes minutes to build the first time")
	}
	server, err := Start(t.Context(), Options{Progress: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Stop()
	t.Logf("using %s", server.Origin)

	run := strconv.FormatInt(time.Now().UnixNano(), 36)
	begin := time.Now().Add(-10 * time.Minute).Truncate(time.Minute)
	const entries = 12000 // more than two pages, 100 at each instant
	var want []Entry
	for i := range entries {
		want = append(want, Entry{
			Time:     begin.Add(time.Duration(i/100) * time.Second).UnixNano(),
			Line:     fmt.Sprintf("line %d \"quoted\"\tä", i),
			Metadata: map[string]string{"n": strconv.Itoa(i)},
		})
	}
	push(t, server, map[string]string{"run": run}, want)
	end := begin.Add(10 * time.Minute)

	got, err := server.Entries(t.Context(), `{run="`+run+`"}`, begin, end)
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		if got[i].Stream["run"] != run {
			t.Fatalf("got stream %v; want run=%q in it", got[i].Stream, run)
		}
		got[i].Stream = nil
		delete(got[i].Metadata, "detected_level") // Loki's own addition
	}
	byNumber := cmp.Transformer("byNumber", func(es []Entry) map[string]Entry {
		m := map[string]Entry{}
		for _, e := range es {
			m[e.Metadata["n"]] = e
		}
		return m
	})
	if len(got) != entries {
		t.Errorf("got %d entries; want %d", len(got), entries)
	}
	if diff := cmp.Diff(want, got, byNumber); diff != "" {
		t.Errorf("entries differ (-want +got):\n%.2000s", diff)
	}

	if n, err := server.Count(t.Context(), `{run="`+run+`"}`, begin, end); n != entries || err != nil {
		t.Errorf("Count: got %d, %v; want %d", n, err, entries)
	}
	series, err := server.Range(t.Context(), `sum by (run) (count_over_time({run="`+run+`"}[1m]))`, begin, end, time.Minute)
	minutes := []Series{{Metric: map[string]string{"run": run}, Points: []Point{ // each is the minute up to and with its time
		{begin, 100}, {begin.Add(time.Minute), 6000}, {begin.Add(2 * time.Minute), 5900},
	}}}
	if diff := cmp.Diff(minutes, series, cmpopts.EquateApproxTime(0)); diff != "" || err != nil {
		t.Errorf("Range (-want +got): %v\n%s", err, diff)
	}
	streams, err := server.Series(t.Context(), `{run="`+run+`"}`, begin, end)
	if err != nil || len(streams) != 1 || streams[0]["run"] != run {
		t.Errorf("Series: got %v, %v; want the one stream", streams, err)
	}
	if _, err := server.Entries(t.Context(), `{run=`, begin, end); err == nil || !strings.Contains(err.Error(), "400") {
		t.Errorf("a query with a fault: got %v; want Loki's refusal", err)
	}
}

func push(t *testing.T, server *Server, labels map[string]string, entries []Entry) {
	t.Helper()
	values := make([][]any, len(entries))
	for i, e := range entries {
		values[i] = []any{strconv.FormatInt(e.Time, 10), e.Line, e.Metadata}
	}
	body, err := json.Marshal(map[string]any{"streams": []any{map[string]any{"stream": labels, "values": values}}})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(server.URL+"/loki/api/v1/push", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		t.Fatalf("push: got %s; want 204", resp.Status)
	}
}

func TestUnreachableLokiURL(t *testing.T) {
	port, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("LOKI_URL", fmt.Sprintf("http://127.0.0.1:%d", port))
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err = Start(ctx, Options{})
	if err == nil || !strings.Contains(err.Error(), "cannot use LOKI_URL=") {
		t.Errorf("got %v; want an error that names LOKI_URL", err)
	}
}
