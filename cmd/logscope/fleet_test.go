package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestScanFindsTheFleet scans five files, one after the other, of which four
// get an error of their own within the same two minutes.
func TestScanFindsTheFleet(t *testing.T) {
	dir := t.TempDir()
	start := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	for f, name := range []string{"cart", "db", "mail", "pay", "web"} {
		var log bytes.Buffer
		for i := range 4000 {
			at := start.Add(time.Duration(i) * 4 * time.Second)
			fmt.Fprintf(&log, "%s INFO %s: job %d done in %d ms\n", at.Format(time.RFC3339), name, i*37%9973, 20+i*7%13)
			if f < 4 && i == 3000+10*f {
				fmt.Fprintf(&log, "%s ERROR %s: cannot reach 10.0.0.9\n", at.Format(time.RFC3339), name)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, name+".log"), log.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	term, out, errs := testTerminal("")
	if status := run([]string{"scan", "--output", "ndjson", dir}, term); status != exitOK {
		t.Fatalf("got status %d: %s", status, errs)
	}
	var fleet []string
	for line := range strings.Lines(out.String()) {
		if strings.Contains(line, `"event":"fleet"`) {
			fleet = append(fleet, line)
		}
	}
	if len(fleet) != 1 {
		t.Fatalf("got %d fleet findings; want 1:\n%s", len(fleet), out)
	}
	for _, part := range []string{`"reason":"fleet"`, `"anomaly":true`, `cart.log\" (novelty)`, `db.log\" (novelty)`, `turned strange between 2026-03-02 13:1`} {
		if !strings.Contains(fleet[0], part) {
			t.Errorf("got %s; want %s in it", fleet[0], part)
		}
	}
}
