package engine

import (
	"math"
	"testing"
)

// TestScoreScale holds the table of scoreOf, the threshold and the order: two
// different surprises never get the same score, however large.
func TestScoreScale(t *testing.T) {
	for score, rarity := range map[float64]float64{0.5: 1_100, 0.6: 5_500, 0.7: 50_000, 0.8: 1.5e6, 0.9: 1.2e9} {
		if got := scoreOf(math.Log(rarity)); math.Abs(got-score) > 0.003 {
			t.Errorf("one in %v: got score %v; want %v", rarity, got, score)
		}
	}
	if got := scoreOf(scoreNats); got != 0.5 {
		t.Errorf("got score %v at the threshold's surprise; want 0.5", got)
	}
	last := scoreOf(0)
	if last != 0 || scoreOf(math.NaN()) != 0 || scoreOf(math.Inf(1)) != 1 {
		t.Errorf("got %v, %v, %v for 0, NaN and infinity; want 0, 0, 1", last, scoreOf(math.NaN()), scoreOf(math.Inf(1)))
	}
	for n := 0.1; n < 3000; n += 0.1 {
		s := scoreOf(n)
		if !(s > last && s < 1) || (s >= 0.5) != (n >= scoreNats) {
			t.Fatalf("%v nats: got score %v after %v", n, s, last)
		}
		last = s
	}
}
