package genlog

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func start() time.Time { return time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC) }

func generator(t *testing.T, cfg Config) *Generator {
	t.Helper()
	cfg.Start = start()
	g, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func records(t *testing.T, n int, cfg Config) []Record {
	t.Helper()
	g := generator(t, cfg)
	all := make([]Record, n)
	for i := range all {
		all[i] = g.Next()
	}
	return all
}

// TestGolden shows one fault of each kind and what is around it; the file is for a person to judge.
// UPDATE_GOLDEN=1 writes it anew.
func TestGolden(t *testing.T) {
	var b strings.Builder
	b.WriteString("# usual\n")
	for _, r := range records(t, 40, Config{Rate: 10, Seed: 1}) {
		fmt.Fprintf(&b, "%-8s%s\n", r.Service, r.Text)
	}
	for _, name := range Kinds() {
		fmt.Fprintf(&b, "\n# %s: %s\n", name, Help(name))
		for _, r := range records(t, 400, Config{Rate: 10, AnomalyRate: 0.05, Kinds: []string{name}, Seed: 7}) {
			switch {
			case r.Fault == 1 && r.Text == "":
				fmt.Fprintf(&b, "%-8snothing for %v\n", r.Service, r.Until.Sub(r.Time).Round(time.Second))
			case r.Fault == 1:
				fmt.Fprintf(&b, "%-8s%s\n", r.Service, r.Text)
			}
		}
	}
	path := filepath.Join("testdata", "golden.txt")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(b.String(), "\n")); diff != "" {
		t.Errorf("other records than in %s (-want +got):\n%s", path, diff)
	}
}

// TestRates: over any length, lines come at the rate, and faults have their share.
func TestRates(t *testing.T) {
	for _, test := range []struct{ rate, anomalies float64 }{
		{10, 0}, {10, 0.02}, {0.5, 0.2}, {1000, 0.02}, {10, anomalyRateMax},
	} {
		for seed := range uint64(2) {
			lines, faulty := 0.0, 0.0
			all := records(t, 40_000, Config{Rate: test.rate, AnomalyRate: test.anomalies, Seed: seed, Kinds: loudKinds()})
			for i := range all {
				r := &all[i]
				lines += float64(1 + strings.Count(r.Text, "\n"))
				if r.Fault != 0 {
					faulty += float64(1 + strings.Count(r.Text, "\n"))
				}
				if i > 0 && r.Time.Before(all[i-1].Time) {
					t.Fatalf("%+v: record %d is older than the one before", test, i)
				}
			}
			took := all[len(all)-1].Time.Sub(start()).Seconds()
			if got := lines / took; math.Abs(got/test.rate-1) > 0.03 {
				t.Errorf("%+v, seed %d: got %.3f lines a second; want within 3 %%", test, seed, got)
			}
			if got := faulty / lines; math.Abs(got-test.anomalies) > 0.003 {
				t.Errorf("%+v, seed %d: got a share of %.4f of faults", test, seed, got)
			}
		}
	}
}

// loudKinds are all but silence, which takes lines away.
func loudKinds() []string {
	var names []string
	for _, name := range Kinds() {
		if name != "silence" {
			names = append(names, name)
		}
	}
	return names
}

// TestSilence: a service that is silent writes nothing until its time, and then again.
func TestSilence(t *testing.T) {
	silences, after := 0, map[string]bool{}
	until, service := time.Time{}, ""
	for _, r := range records(t, 60_000, Config{Rate: 10, AnomalyRate: 0.02, Seed: 3, Kinds: []string{"silence"}}) {
		switch {
		case r.Text == "":
			silences++
			until, service = r.Until, r.Service
			if r.Kind != "silence" || !r.Until.After(r.Time.Add(30*time.Second)) {
				t.Errorf("got %+v; want a silence of some length", r)
			}
		case r.Service == service && r.Time.Before(until):
			t.Errorf("%s wrote at %v, in its silence until %v", service, r.Time, until)
		case r.Service == service:
			after[service] = true
		}
	}
	if silences < 5 || len(after) < 3 {
		t.Errorf("got %d silences and lines after those of %d services; want more", silences, len(after))
	}
}

// TestCalm: no fault comes before its time, and with one kind only that kind comes.
func TestCalm(t *testing.T) {
	faults := 0
	for i, r := range records(t, 5000, Config{Rate: 10, AnomalyRate: 0.05, Seed: 3, Calm: 3000, Kinds: []string{"slow"}}) {
		if r.Fault == 0 {
			continue
		}
		faults++
		if i < 3000 || r.Kind != "slow" {
			t.Fatalf("record %d: got a fault of kind %q", i, r.Kind)
		}
	}
	if faults == 0 {
		t.Error("got no fault")
	}
}

func TestSeeds(t *testing.T) {
	one, same, other := Config{Rate: 10, AnomalyRate: 0.02, Seed: 1}, Config{Rate: 10, AnomalyRate: 0.02, Seed: 1}, Config{Rate: 10, AnomalyRate: 0.02, Seed: 2}
	if diff := cmp.Diff(records(t, 20_000, one), records(t, 20_000, same)); diff != "" {
		t.Errorf("the same seed gives other records:\n%s", diff)
	}
	if cmp.Equal(records(t, 100, one), records(t, 100, other)) {
		t.Error("another seed gives the same records")
	}
}

func TestWrongConfig(t *testing.T) {
	for want, cfg := range map[string]Config{
		"rate of 0 ":            {},
		"rate of -1":            {Rate: -1},
		"rate of NaN":           {Rate: math.NaN()},
		"rate of +Inf":          {Rate: math.Inf(1)},
		"anomaly rate of 0.6":   {Rate: 1, AnomalyRate: 0.6},
		"anomaly rate of NaN":   {Rate: 1, AnomalyRate: math.NaN()},
		`"fire"; want one of b`: {Rate: 1, Kinds: []string{"fire"}},
		"negative":              {Rate: 1, Calm: -1},
	} {
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v; want %q in it", cfg, err, want)
		}
	}
}

func BenchmarkNext(b *testing.B) {
	g, err := New(Config{Rate: 1e5, AnomalyRate: 0.02, Start: start()})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		g.Next()
	}
}
