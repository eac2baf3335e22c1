package sketch

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestLn(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 200_000 {
		x := math.Exp(r.Float64()*1400 - 700)
		if got, want := Ln(x), math.Log(x); math.Abs(got-want) > 1e-12*max(1, math.Abs(want)) {
			t.Fatalf("Ln(%v): got %v; want %v", x, got, want)
		}
	}
	for _, x := range []float64{1, 2, 0.5, math.E, math.Nextafter(1, 2), math.Nextafter(1, 0), 1e-310, 0, -1, math.Inf(1), math.NaN(), math.MaxFloat64} {
		got, want := Ln(x), math.Log(x)
		if got != want && !(math.IsNaN(got) && math.IsNaN(want)) && !(math.Abs(got-want) < 1e-12*max(1, math.Abs(want))) {
			t.Errorf("Ln(%v): got %v; want %v", x, got, want)
		}
	}
}

func BenchmarkLn(b *testing.B) {
	for _, tc := range []struct {
		name string
		f    func(float64) float64
	}{{"own", Ln}, {"math", math.Log}} {
		b.Run(tc.name, func(b *testing.B) {
			sum := 0.0
			for i := 0; b.Loop(); i++ {
				sum += tc.f(float64(i + 1))
			}
			if math.IsNaN(sum) {
				b.Fatal("got NaN")
			}
		})
	}
}
