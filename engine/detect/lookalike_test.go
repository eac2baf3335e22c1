package detect

import (
	"strings"
	"testing"

	"github.com/agnivade/levenshtein"
	"pgregory.net/rapid"

	"github.com/logscope/logscope/engine/drain"
)

// TestDistanceIsLevenshteins compares with a library's on words without digits,
// where nothing is dearer than one edit.
func TestDistanceIsLevenshteins(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.StringMatching(`[abcаπ]{0,24}`).Draw(t, "a")
		b := edited(t, a)
		limit := rapid.IntRange(0, 4).Draw(t, "limit")
		if len([]rune(a)) > categoryTextMax || len([]rune(b)) > categoryTextMax {
			return
		}
		want := min(levenshtein.ComputeDistance(a, b), limit+1)
		if got := distance([]rune(a), []rune(b), limit); got != want {
			t.Fatalf("%q to %q within %d: got %v; want %v", a, b, limit, got, want)
		}
	})
}

// edited returns a after a few random edits.
func edited(t *rapid.T, a string) string {
	r := []rune(a)
	for range rapid.IntRange(0, 6).Draw(t, "edits") {
		at := rapid.IntRange(0, len(r)).Draw(t, "at")
		letter := rapid.SampledFrom([]rune("abcаπ")).Draw(t, "letter")
		switch kind := rapid.IntRange(0, 2).Draw(t, "kind"); {
		case kind == 0 || at == len(r):
			r = append(r[:at], append([]rune{letter}, r[at:]...)...)
		case kind == 1:
			r[at] = letter
		default:
			r = append(r[:at], r[at+1:]...)
		}
	}
	return string(r)
}

// TestDistanceCountsNoDigits: what differs in digits alone is numbered, however
// near; a digit in the place of a letter is one edit like any.
func TestDistanceCountsNoDigits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.StringMatching(`[ab7]{0,20}`).Draw(t, "a")
		b := rapid.StringMatching(`[ab78]{0,20}`).Draw(t, "b")
		limit := rapid.IntRange(0, 3).Draw(t, "limit")
		got, plain := distance([]rune(a), []rune(b), limit), levenshtein.ComputeDistance(a, b)
		if got < min(plain, limit+1) {
			t.Fatalf("%q to %q: got %v; want at least %v", a, b, got, plain)
		}
		if digits(a) != digits(b) && len(digits(a)) == len(digits(b)) && plain == 1 && got <= limit {
			t.Fatalf("%q to %q: got %v; want more than %v, they differ in a digit", a, b, got, limit)
		}
	})
}

func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
}

func TestSlip(t *testing.T) {
	for _, tc := range []struct {
		known, text string
		want        int
	}{
		{"admin", "adm1n", 1},
		{"admin", "admim", 1},
		{"admin", "amin", 1},
		{"admin", "admins", 1},
		{"admin", "аdmin", 0},       // Cyrillic а
		{"admin", "аԁmіn", 0},       // three Cyrillic letters
		{"admin", "ａｄｍｉｎ", 0},       // full width
		{"root", "r00t", 0},         // zeros
		{"billing", "bi11ing", 0},   // ones
		{"admin", "amdin", -1},      // two letters of five
		{"checkout", "chekcout", 2}, // two of eight
		{"checkout", "cehkcuot", -1},
		{"GET", "SET", -1},
		{"eu-west-1", "eu-west-2", -1},
		{"eu-west-1", "eu-west-12", -1},
		{"node7", "node77", -1},
		{"v1.22", "v1.23", -1},
		{"admin", "admin\xff", 1},
		{"", "a", -1},
		{strings.Repeat("a", categoryTextMax), strings.Repeat("a", categoryTextMax-1) + "b", -1},
	} {
		if got := slip(tc.known, []byte(tc.text)); got != tc.want {
			t.Errorf("%q for %q: got %v; want %v", tc.text, tc.known, got, tc.want)
		}
	}
}

// TestAlikeKnowsSeries: where known values look alike, the next one is no slip.
func TestAlikeKnowsSeries(t *testing.T) {
	var users, racks Category
	for range alikeLeast {
		for i, name := range []string{"admin", "deploy", "backup"} {
			users.Learn(uint64(i), []byte(name))
		}
		for i, name := range []string{"rack-a", "rack-b", "rack-c"} {
			racks.Learn(uint64(i), []byte(name))
		}
	}
	if known, n, edits := users.Alike([]byte("adm1n")); known != "admin" || n != alikeLeast || edits != 1 {
		t.Errorf(`got %q, %v times, %v edits; want "admin", %v, 1`, known, n, edits, alikeLeast)
	}
	for _, kind := range []drain.Kind{drain.Number, drain.Hex, drain.Path, drain.Time} {
		if got := users.alike(&drain.Param{Kind: kind, Value: []byte("adm1n")}); got != 0 {
			t.Errorf("kind %v: got %v nats more; want none", kind, got)
		}
	}
	if got := users.alike(&drain.Param{Kind: drain.ID, Value: []byte("adm1n")}); got <= 1 || got > alikeMost {
		t.Errorf("got %v nats more; want ln 3", got)
	}
	if known, _, _ := racks.Alike([]byte("rack-d")); known != "" {
		t.Errorf("got %q for the next of a series; want none", known)
	}
}

func BenchmarkAlike(b *testing.B) {
	var k Category
	for range alikeLeast {
		for i := range categoryMax {
			k.Learn(uint64(i), []byte(strings.Repeat(string(rune('a'+i)), 24)))
		}
	}
	text := []byte(strings.Repeat("f", 23) + "7")
	b.ReportAllocs()
	for b.Loop() {
		if _, _, d := k.Alike(text); d != 1 {
			b.Fatal(d)
		}
	}
}
