package detect

import (
	"testing"

	"github.com/logscope/logscope/engine/drain"
	"pgregory.net/rapid"
)

// TestNextCounts keeps the counts of successors consistent, whatever comes.
func TestNextCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var x Next
		var o Order
		kinds := rapid.IntRange(1, 12).Draw(t, "kinds")
		long := rapid.IntRange(1, 3).Draw(t, "long") * 9000
		step := rapid.IntRange(1, 11).Draw(t, "step")
		for i := range long {
			to := i * step % kinds
			if i%97 == 0 {
				to = 20 + i%5
			}
			if o.Surprise(&x, to, 0.1, int64(i)*Second) > 7 && i%2 == 0 {
				o.Tell()
			}
			o.Learn(&x, to, 0.1, int64(i)*Second)
		}
		var n uint32
		var rare uint8
		for i, seen := range x.seen[:x.used] {
			n += seen
			if seen < 3 {
				rare++
			}
			if seen == 0 || x.find(x.to[i]) != i {
				t.Fatalf("got successor %d at place %d seen %d times; want each once and seen", x.to[i], i, seen)
			}
		}
		if !x.open && (n != x.n || rare != x.rare || n >= nextFull) {
			t.Fatalf("got %d records, %d rare; want %d, %d, less than %d", x.n, x.rare, n, rare, nextFull)
		}
	})
}

// TestOrderNeedsChance asks for a successor that is rare everywhere, and for one that is not.
func TestOrderNeedsChance(t *testing.T) {
	var x Next
	var o Order
	for range 5000 {
		o.Learn(&x, 1, 0.5, 0)
	}
	if s := o.Surprise(&x, 2, 0.0001, 0); s != 0 {
		t.Errorf("got %.1f nats for a template that is rare after all others as well; want 0", s)
	}
	if s := o.Surprise(&x, 2, 0.2, 0); s < 8 {
		t.Errorf("got %.1f nats for a frequent template that never came here; want 8 or more", s)
	}
	if s := o.Surprise(&x, 1, 0.5, 0); s != 0 {
		t.Errorf("got %.1f nats for the usual successor; want 0", s)
	}
}

// BenchmarkOrder scores and learns one transition.
func BenchmarkOrder(b *testing.B) {
	next := make([]Next, 64)
	var o Order
	sum := 0.0
	for i := range b.N {
		from, to := i%64, (i*7+i/64)%5+i%3
		sum += o.Surprise(&next[from], to, 0.02, 0)
		o.Learn(&next[from], to, 0.02, 0)
	}
	if sum < 0 {
		b.Fatal("got a negative surprise")
	}
}

// TestMeasuresNameNothing: what measures names nothing, however often it comes again.
func TestMeasuresNameNothing(t *testing.T) {
	for _, tc := range []struct {
		kind        drain.Kind
		value, want string
	}{
		{drain.Number, "250ms", ""},
		{drain.Number, "1048576kB", ""},
		{drain.Number, "12.345", ""},
		{drain.Number, "-1608999687919862906", "-1608999687919862906"},
		{drain.Number, "1234", ""},
		{drain.Number, "123456", "123456"},
		{drain.ID, "blk_123", "blk_123"},
		{drain.ID, "ssh2", ""},
		{drain.Quoted, `"req-77a1"`, "req-77a1"},
		{drain.Path, "/var/spool/job-000123", "job-000123"},
		{drain.Word, "checkout", ""},
	} {
		if got := identifier(&drain.Param{Kind: tc.kind, Value: []byte(tc.value)}); string(got) != tc.want {
			t.Errorf("%q: got %q; want %q", tc.value, got, tc.want)
		}
	}
}
