package detect

import (
	"bytes"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/logscope/logscope/engine/drain"
	"github.com/logscope/logscope/engine/sketch"
)

// numbers are the parameters of a record with such numbers.
func numbers(v ...float64) (params []drain.Param) {
	for _, x := range v {
		params = append(params, drain.Param{Kind: drain.Number, Num: x, Value: strconv.AppendFloat(nil, x, 'f', 3, 64)})
	}
	return params
}

// correlated makes records of two numbers, ln-normal and of correlation 0.9.
func correlated(rng *rand.Rand, n int) (records [][]drain.Param) {
	for range n {
		a := rng.NormFloat64()
		b := 0.9*a + math.Sqrt(0.19)*rng.NormFloat64()
		records = append(records, numbers(math.Exp(9+1.2*a), math.Exp(3+0.6*b)))
	}
	return records
}

// joint feeds records to a template, as the engine does, and returns it.
func joint(p *Params, t *Template, records [][]drain.Param, each func(i int, nats float64)) {
	for i, params := range records {
		t.Widen(len(params))
		nats := 0.0
		if t.Joint != nil {
			nats = p.TestJoint(t, params)
		}
		t.Count++
		for k := range params {
			p.Learn(&t.Slots[k], &params[k], 7)
		}
		if t.Joint != nil {
			p.LearnJoint(t, params)
		} else if t.JointDue() {
			t.Join(true, 7)
		}
		if each != nil {
			each(i, nats)
		}
	}
}

// TestJointFindsTheNumber: the odd one of three, and what it should be.
func TestJointFindsTheNumber(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	line := func(odd int) []drain.Param {
		v := []float64{9 + 0.5*rng.NormFloat64(), 4 + 0.4*rng.NormFloat64(), 0}
		v[2] = v[0] - v[1] + 0.05*rng.NormFloat64()
		if odd >= 0 {
			v[odd] += 1
		}
		return numbers(math.Exp(v[0]), math.Exp(v[1]), math.Exp(v[2]))
	}
	var p Params
	var tm Template
	var records [][]drain.Param
	for range 12_000 {
		records = append(records, line(-1))
	}
	joint(&p, &tm, records, nil)
	found := 0
	for range 50 {
		params := line(2) // too high by a factor of e
		if p.TestJoint(&tm, params) < 8.5 {
			continue
		}
		found++
		m := tm.Joint.Misfit()
		want := params[2].Num / math.E
		if m.Slot == 2 && (m.Low > want*1.25 || m.High < want/1.25) {
			t.Errorf("got a usual range of %v to %v; want about %v in it", m.Low, m.High, want)
		}
		if m.Others != 2 {
			t.Errorf("got %d others; want 2", m.Others)
		}
	}
	if found < 40 {
		t.Errorf("got %d of 50; want 40 or more", found)
	}
}

// TestJointGoesWhereNothingHolds: unrelated numbers, constants, counters and words
// of a few cost no forest.
func TestJointGoesWhereNothingHolds(t *testing.T) {
	for what, line := range map[string]func(rng *rand.Rand, i int) []drain.Param{
		"unrelated": func(rng *rand.Rand, _ int) []drain.Param {
			return numbers(math.Exp(rng.NormFloat64()), math.Exp(rng.NormFloat64()))
		},
		"one constant": func(rng *rand.Rand, _ int) []drain.Param {
			return numbers(math.Exp(rng.NormFloat64()), 67108864)
		},
		"counters": func(rng *rand.Rand, i int) []drain.Param { return numbers(float64(10*i), float64(20*i)) },
		"few": func(rng *rand.Rand, _ int) []drain.Param {
			n := float64(rng.IntN(10))
			return numbers(n, 2*n)
		},
		"one number": func(rng *rand.Rand, _ int) []drain.Param { return numbers(math.Exp(rng.NormFloat64())) },
	} {
		rng := rand.New(rand.NewPCG(3, 4))
		var p Params
		var tm Template
		var records [][]drain.Param
		for i := range 20_000 {
			records = append(records, line(rng, i))
		}
		tests := 0
		joint(&p, &tm, records, func(_ int, nats float64) {
			if tm.Joint != nil && tm.Joint.state == jointReady {
				tests++
			}
			if nats >= 8.5 {
				t.Errorf("%s: got surprise %v", what, nats)
			}
		})
		if tm.Joint != nil && tm.Joint.state == jointReady || tests > 500 {
			t.Errorf("%s: got a forest that tested %d records; want none", what, tests)
		}
	}
}

// TestJointLearnsAnotherRelation: what was odd is usual once it has come for long.
func TestJointLearnsAnotherRelation(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	var p Params
	var tm Template
	joint(&p, &tm, correlated(rng, 10_000), nil)
	after := correlated(rng, 10_000)
	for _, params := range after {
		params[1].Num *= 3
	}
	told, late := 0, 0
	joint(&p, &tm, after, func(i int, nats float64) {
		if nats >= 8.5 {
			if told++; i >= 2000 {
				late++
			}
		}
	})
	if told == 0 || told > 100 || late > 3 {
		t.Errorf("got %d told of another relation, %d behind its first 2,000 records; want 1 to 100, and at most 3", told, late)
	}
}

// TestTreeAgainstCount compares a point's depth in a tree with the number of cuts on its
// way, counted over the records that the tree was grown from.
func TestTreeAgainstCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, forestSample).Draw(t, "records")
		dims := rapid.IntRange(2, jointSlots).Draw(t, "dims")
		points := make([]shadow, n)
		for i := range points {
			for k := range points[i] {
				points[i][k] = rapid.Int16().Draw(t, "v")
			}
		}
		r := chance(rapid.Uint64().Draw(t, "seed"))
		var tr tree
		tr.grow(slices.Clone(points), dims, &r)
		if tr.used < 1 || tr.used > forestNodes {
			t.Fatalf("got %d nodes; want 1 to %d", tr.used, forestNodes)
		}
		p := points[rapid.IntRange(0, n-1).Draw(t, "which")]
		left, level, i := slices.Clone(points), 0, uint8(0)
		for tr.nodes[i].next != 0 {
			node := tr.nodes[i]
			right := p[node.along] > node.at
			left = slices.DeleteFunc(left, func(q shadow) bool { return (q[node.along] > node.at) != right })
			if i++; right {
				i = node.next
			}
			level++
		}
		want := float64(level) + expectedDepth(len(left))
		if got := float64(tr.depth(&p)); len(left) == 0 || level > forestDepth || math.Abs(got-want) > 0.01 {
			t.Fatalf("got depth %v; want %v: %d cuts, %d records left", got, want, level, len(left))
		}
	})
}

// TestRankTableThereAndBack: the number of a number's rank is the number.
func TestRankTableThereAndBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for _, none := range []float64{0, 0.2} {
		var n Numeric
		for range 3000 {
			n.Learn(math.Exp(4 + 2*rng.NormFloat64()))
		}
		var r rankTable
		r.set(&n, none)
		for _, v := range []float64{3, 20, 54, 400, 1500} {
			ln := math.Log(v)
			if got := r.ln(r.rank(float32(ln))); math.Abs(got-ln) > 0.02 {
				t.Errorf("%v of none: got ln %v for %v; want %v", none, got, v, ln)
			}
		}
		if got := r.ln(r.rank(lnNone)); none > 0 && got != lnNone {
			t.Errorf("got ln %v for zero; want none", got)
		}
	}
}

// TestJointRoundTrip writes a forest in each state and reads it back: the same
// bytes and the same answers, and every prefix is refused.
func TestJointRoundTrip(t *testing.T) {
	records := correlated(rand.New(rand.NewPCG(9, 10)), 9000)
	seen := map[uint8]bool{}
	for _, n := range []int{400, 775, 6000} {
		var p Params
		var tm Template
		joint(&p, &tm, records[:n], nil)
		if tm.Joint == nil {
			t.Fatalf("got no forest at record %d", n)
		}
		seen[tm.Joint.state] = true
		w := sketch.NewWriter(nil)
		tm.Sync(w)
		data := w.Bytes()
		var again Template
		r := sketch.NewReader(data)
		if again.Sync(r); r.Err() != nil || len(r.Bytes()) > 0 {
			t.Fatalf("got error %v and %d bytes left", r.Err(), len(r.Bytes()))
		}
		w = sketch.NewWriter(nil)
		if again.Sync(w); !bytes.Equal(w.Bytes(), data) {
			t.Fatalf("got other bytes back")
		}
		var want, got []float64
		other := p
		joint(&p, &tm, records[n:], func(_ int, nats float64) { want = append(want, nats) })
		joint(&other, &again, records[n:], func(_ int, nats float64) { got = append(got, nats) })
		if !slices.Equal(got, want) || slices.Max(want) == 0 {
			t.Errorf("got other answers behind record %d", n)
		}
		for cut := 0; cut < len(data); cut += 97 {
			var x Template
			if r := sketch.NewReader(data[:cut]); r.Err() == nil {
				if x.Sync(r); r.Err() == nil {
					t.Fatalf("got no error for %d of %d bytes", cut, len(data))
				}
			}
		}
	}
	if len(seen) != jointStates {
		t.Errorf("got states %v; want all %d", seen, jointStates)
	}
}

// TestJointSurvivesDamage alters the bytes of a forest: they are refused, or give
// one that goes on without a panic.
func TestJointSurvivesDamage(t *testing.T) {
	records := correlated(rand.New(rand.NewPCG(13, 14)), 3500)
	for _, n := range []int{600, 775, 3000} {
		var p Params
		var tm Template
		joint(&p, &tm, records[:n], nil)
		w := sketch.NewWriter(nil)
		tm.syncJoint(w)
		data := w.Bytes()
		refused := 0
		rapid.Check(t, func(t *rapid.T) {
			bad := slices.Clone(data)
			for range rapid.IntRange(1, 4).Draw(t, "changes") {
				bad[rapid.IntRange(0, len(bad)-1).Draw(t, "at")] ^= rapid.Byte().Draw(t, "by")
			}
			again := tm
			again.Slots, again.Joint = slices.Clone(tm.Slots), nil
			r := sketch.NewReader(bad)
			if again.syncJoint(r); r.Err() != nil {
				refused++
				return
			}
			q := p
			joint(&q, &again, records[n:n+60], nil)
			if again.Joint != nil && again.Joint.state == jointReady {
				var x [jointCandidates]float32
				again.Joint.point(7, &x)
				again.Joint.apart(&x)
				again.Joint.begin(&again)
			}
		})
		if refused == 0 {
			t.Errorf("got none refused behind record %d; want some", n)
		}
	}
}

// TestJointCosts compares what a forest says that it costs with its size.
func TestJointCosts(t *testing.T) {
	if got, want := jointSelf, int(reflect.TypeFor[Joint]().Size()); got != want {
		t.Errorf("got %d bytes; want %d", got, want)
	}
	if got, want := jointTree, int(reflect.TypeFor[tree]().Size()); got != want {
		t.Errorf("got %d bytes of a tree; want %d", got, want)
	}
	var p Params
	var tm Template
	joint(&p, &tm, correlated(rand.New(rand.NewPCG(1, 1)), 4000), nil)
	if got := tm.Joint.bytes(); got > jointBytes {
		t.Errorf("got %d bytes; want at most %d", got, jointBytes)
	}
}

// BenchmarkJoint measures a record of a template with a forest: test and learn,
// with the growing of trees.
func BenchmarkJoint(b *testing.B) {
	for _, dims := range []int{2, 3} {
		b.Run(strconv.Itoa(dims), func(b *testing.B) {
			rng := rand.New(rand.NewPCG(11, 12))
			records := correlated(rng, 20_000)
			if dims == 3 {
				for i := range records {
					v := records[i]
					records[i] = numbers(v[0].Num, v[1].Num, v[0].Num/v[1].Num*math.Exp(0.1*rng.NormFloat64()))
				}
			}
			var p Params
			var tm Template
			joint(&p, &tm, records, nil)
			if tm.Joint == nil || tm.Joint.state != jointReady {
				b.Fatal("got no forest")
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				params := records[i&(1<<12-1)] // as in the cache as a line just read is
				p.TestJoint(&tm, params)
				p.LearnJoint(&tm, params)
			}
			b.ReportMetric(float64(tm.Joint.bytes()), "bytes")
		})
	}
}
