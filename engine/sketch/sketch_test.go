package sketch

import (
	"bytes"
	"math"
	"math/rand/v2"
	"sort"
	"testing"

	"pgregory.net/rapid"
)

// TestADWINAgainstWindow compares with a plain list of the same window: the
// totals must be those of the last n values, whatever was cut.
func TestADWINAgainstWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a ADWIN
		var all []float64
		level := 0.0
		for range rapid.IntRange(1, 12).Draw(t, "parts") {
			level += rapid.Float64Range(-3, 3).Draw(t, "step")
			for range rapid.IntRange(1, 200).Draw(t, "values") {
				v := level + rapid.Float64Range(-1, 1).Draw(t, "v")
				all = append(all, v)
				a.Add(v, 0.01)
			}
		}
		n, mean := a.Window()
		if int(n) < 1 || int(n) > len(all) {
			t.Fatalf("got a window of %v; want 1 to %d", n, len(all))
		}
		window := all[len(all)-int(n):]
		sum, m2 := 0.0, 0.0
		for _, v := range window {
			sum += v
		}
		want := sum / n
		for _, v := range window {
			m2 += (v - want) * (v - want)
		}
		if math.Abs(mean-want) > 1e-9 {
			t.Fatalf("got mean %v; want %v", mean, want)
		}
		if math.Abs(a.m2-m2) > 1e-6*(1+m2) {
			t.Fatalf("got squared deviations %v; want %v", a.m2, m2)
		}
	})
}

// TestADWINCutsWhereBruteForceDoes compares the decision with one over every
// single split of the window: buckets only leave splits out, so a cut implies
// one there, and a clear change must be found by both.
func TestADWINCutsWhereBruteForceDoes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const delta = 0.002
	for round := range 40 {
		var a ADWIN
		var window []float64
		shift := float64(round%4) * 0.7
		cuts := 0
		for i := range 600 {
			v := rng.NormFloat64()
			if i >= 300 {
				v += shift
			}
			window = append(window, v)
			brute := bruteCut(window, delta)
			changed, before, after := a.Add(v, delta)
			if changed {
				cuts++
				if !brute {
					t.Fatalf("round %d, value %d: cut (%v to %v) where no split of the window allows one", round, i, before, after)
				}
				n, _ := a.Window()
				window = window[len(window)-int(n):]
			}
		}
		if shift >= 1.4 && cuts == 0 {
			t.Errorf("round %d: a shift of %v was not found", round, shift)
		}
		if shift == 0 && cuts > 1 {
			t.Errorf("round %d: got %d cuts without a shift", round, cuts)
		}
	}
}

func bruteCut(w []float64, delta float64) bool {
	n := float64(len(w))
	sum, m2 := 0.0, 0.0
	for _, v := range w {
		sum += v
	}
	for _, v := range w {
		m2 += (v - sum/n) * (v - sum/n)
	}
	ln := math.Log(2 * math.Log(n) / delta)
	s0 := 0.0
	for i, v := range w[:len(w)-1] {
		s0 += v
		n0 := float64(i + 1)
		n1 := n - n0
		if n0 < adwinSide || n1 < adwinSide {
			continue
		}
		m := 1/n0 + 1/n1
		if math.Abs(s0/n0-(sum-s0)/n1) > math.Sqrt(2*m*m2/n*ln)+2.0/3*m*ln-1e-9 {
			return true
		}
	}
	return false
}

func TestADWINFewFalseCuts(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var a ADWIN
	cuts := 0
	for range 200_000 {
		if changed, _, _ := a.Add(rng.NormFloat64(), 1e-4); changed {
			cuts++
		}
	}
	if n, _ := a.Window(); cuts > 3 || n < 10_000 {
		t.Errorf("got %d cuts and a window of %v in 200,000 values without change; want hardly any and a long one", cuts, n)
	}
}

// TestLogHistAgainstSorted compares ranks and quantiles with the sorted values.
func TestLogHistAgainstSorted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h LogHist
		values := rapid.SliceOfN(rapid.Float64Range(math.Log(2e-3), math.Log(1e6)), 1, 2000).Draw(t, "values")
		for _, v := range values {
			h.Add(v)
		}
		sort.Float64s(values)
		if h.Count() != len(values) {
			t.Fatalf("got %d values; want %d", h.Count(), len(values))
		}
		for _, q := range []float64{0, 0.25, 0.5, 0.9, 0.99} {
			got := h.Quantile(q)
			want := values[min(int(q*float64(len(values))), len(values)-1)]
			if got < want-1e-9 || got > want+histWidth+1e-9 {
				t.Fatalf("quantile %v: got %v; want %v to %v", q, got, want, want+histWidth)
			}
		}
		probe := rapid.Float64Range(math.Log(2e-3), math.Log(1e6)).Draw(t, "probe")
		edge := BinLow(Bin(probe) + 1)
		want := len(values) - sort.Search(len(values), func(i int) bool { return Bin(values[i]) > Bin(probe) })
		if got := h.Above(probe); got != want {
			t.Fatalf("above %v: got %d; want %d", edge, got, want)
		}
	})
}

// TestLogHistForgets feeds one level, then another: the sketch must follow.
func TestLogHistForgets(t *testing.T) {
	var h LogHist
	for range 10_000 {
		h.Add(math.Log(10))
	}
	for range 20_000 {
		h.Add(math.Log(1000))
	}
	if q := math.Exp(h.Quantile(0.1)); q < 800 || h.Count() >= histFull {
		t.Errorf("got a 10%% quantile of %v of %d values; want about 1000 of less than %d", q, h.Count(), histFull)
	}
}

// TestGoodTuringAgainstTruth draws from a known distribution and compares the
// mass of what was not drawn yet.
func TestGoodTuringAgainstTruth(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, kinds := range []int{20, 200, 2000} {
		var g GoodTuring
		counts := make([]uint32, kinds)
		total := 0.0
		weight := func(i int) float64 { return 1 / float64(i+1) }
		for i := range kinds {
			total += weight(i)
		}
		for range 1000 {
			x := rng.Float64() * total
			i := 0
			for x -= weight(0); x > 0 && i < kinds-1; x -= weight(i) {
				i++
			}
			g.Observe(counts[i])
			counts[i]++
		}
		want := 0.0
		for i, c := range counts {
			if c == 0 {
				want += weight(i) / total
			}
		}
		if got := g.Mass(); math.Abs(got-want) > 0.06 {
			t.Errorf("%d kinds: got mass %v; want about %v", kinds, got, want)
		}
	}
}

// TestCodecRoundTrip writes every form and reads it back; every prefix of the
// bytes must be refused.
func TestCodecRoundTrip(t *testing.T) {
	pass := func(c *Codec, u *uint64, i *int32, f *float64, b *bool, s *string, l *[]uint16, a *ADWIN, h *LogHist) {
		c.U64(u)
		c.I32(i)
		c.F64(f)
		c.Bool(b)
		c.Str(s, 100)
		List(c, l, 10, func(c *Codec, v *uint16) { c.U16(v) })
		a.Sync(c)
		h.Sync(c)
	}
	u, i, f, b, s, l := uint64(1)<<63, int32(-5), -0.25, true, "text", []uint16{1, 2, 3}
	var a ADWIN
	var h LogHist
	for v := range 100 {
		a.Add(float64(v%7), 0.01)
		h.Add(float64(v % 9))
	}
	w := NewWriter(nil)
	pass(w, &u, &i, &f, &b, &s, &l, &a, &h)
	data := w.Bytes()
	for cut := range len(data) + 1 {
		var u2 uint64
		var i2 int32
		var f2 float64
		var b2 bool
		var s2 string
		var l2 []uint16
		var a2 ADWIN
		var h2 LogHist
		r := NewReader(data[:cut])
		pass(r, &u2, &i2, &f2, &b2, &s2, &l2, &a2, &h2)
		if cut < len(data) {
			if r.Err() == nil {
				t.Fatalf("got no error for %d of %d bytes", cut, len(data))
			}
			continue
		}
		if r.Err() != nil {
			t.Fatal(r.Err())
		}
		again := NewWriter(nil)
		pass(again, &u2, &i2, &f2, &b2, &s2, &l2, &a2, &h2)
		if !bytes.Equal(again.Bytes(), data) || u2 != u || i2 != i || f2 != f || b2 != b || s2 != s {
			t.Errorf("got other values back")
		}
	}
}

// TestLogHistLarge: sizes of gigabytes are told apart.
func TestLogHistLarge(t *testing.T) {
	var h LogHist
	for i := range 1000 {
		h.Add(math.Log(2e8 + float64(i)*1e8))
	}
	if got := math.Exp(h.Quantile(0.5)); got < 4e10 || got > 6.1e10 {
		t.Errorf("got a median of %.3g; want about 5e10", got)
	}
}
