package detect

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestFadedNumbersFollowFourTimesAsFast: values double; the median must get
// there in about a quarter of the values that it takes otherwise.
func TestFadedNumbersFollowFourTimesAsFast(t *testing.T) {
	follow := func(fade bool) (values int) {
		rng := rand.New(rand.NewPCG(1, 2))
		m := NewNumeric()
		for range 2000 {
			m.Learn(100 * math.Exp(0.3*rng.NormFloat64()))
		}
		if fade {
			m.fade()
		}
		for m.hist.Quantile(0.5) < math.Log(160) {
			m.Learn(200 * math.Exp(0.3*rng.NormFloat64()))
			values++
		}
		return values
	}
	slow, fast := follow(false), follow(true)
	if ratio := float64(slow) / float64(fast); ratio < 3 || ratio > 6 {
		t.Errorf("got %d values after fading, %d without; want a quarter", fast, slow)
	}
}

// TestFadeKeepsWhatIsUsual: the rates and gaps that are told stay as they were.
func TestFadeKeepsWhatIsUsual(t *testing.T) {
	var x Template
	now := int64(0)
	for range 2000 {
		now += 20 * Second
		x.Rate.Learn(now)
		x.Gaps.Learn(now)
	}
	_, usual, peak := x.Rate.Count()
	gap, longest, known, _ := x.Gaps.Usual()
	deadline := x.Gaps.Deadline()
	x.Fade()
	if _, u, p := x.Rate.Count(); math.Abs(u-usual) > 0.01 || p != peak {
		t.Errorf("got %v a minute, peak %v; want %v and %v", u, p, usual, peak)
	}
	if g, l, k, _ := x.Gaps.Usual(); g != gap || l != longest || k != known || x.Gaps.Deadline() != deadline {
		t.Errorf("got gaps %v, %v, %v; want %v, %v, %v", g, l, k, gap, longest, known)
	}
	// The rate falls to a tenth: it follows within the hour that it takes otherwise.
	for range 40 {
		now += 200 * Second
		x.Rate.Learn(now)
	}
	if _, u, _ := x.Rate.Count(); u > 0.5 {
		t.Errorf("got %v a minute after two hours of 0.3; want that", u)
	}
}

// TestFadedTailsAreUncertain: right after a change, a value is less surprising
// than before by half, and as surprising as ever once the tail was seen again.
func TestFadedTailsAreUncertain(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	m := NewNumeric()
	learn := func(n int) {
		for range n {
			m.Learn(100 * math.Exp(0.3*rng.NormFloat64()))
		}
	}
	learn(4000)
	before := m.Surprise(1000)
	m.fade()
	faded := m.Surprise(1000)
	learn(1500)
	after := m.Surprise(1000)
	if faded > before/2 || faded < before/4 || math.Abs(after-before) > before/4 {
		t.Errorf("got surprises %.1f before the change, %.1f right after it, %.1f in the end; want half or less, and the first again", before, faded, after)
	}
}
