package drain

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func lines(s ...string) [][]byte {
	out := make([][]byte, len(s))
	for i := range s {
		out[i] = []byte(s[i])
	}
	return out
}

// templatesOf parses the lines and returns each one's template.
func templatesOf(m *Miner, block [][]byte) []string {
	var out Line
	var got []string
	for _, line := range block {
		m.Parse(&out, line, true)
		got = append(got, out.Cluster.Text)
	}
	return got
}

// TestGeneralise lists what is merged and what is kept apart.
func TestGeneralise(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []string
		want []string
	}{
		{"three names behind for user", []string{"session opened for user alice", "session opened for user bob", "session opened for user carol"},
			[]string{"session opened for user <*>"}},
		{"two names stay", []string{"session opened for user alice", "session opened for user bob"},
			[]string{"session opened for user alice", "session opened for user bob"}},
		{"four verbs stay", []string{"the service started now", "the service stopped now", "the service failed now", "the service restarted now"},
			[]string{"the service failed now", "the service restarted now", "the service started now", "the service stopped now"}},
		{"five words merge", []string{"loaded plugin red now", "loaded plugin green now", "loaded plugin blue now", "loaded plugin black now", "loaded plugin white now"},
			[]string{"loaded plugin <*> now"}},
		{"the first word needs twice as many", []string{"red was loaded", "green was loaded", "blue was loaded", "black was loaded", "white was loaded"},
			[]string{"black was loaded", "blue was loaded", "green was loaded", "red was loaded", "white was loaded"}},
		{"masked and words", []string{"listening on port 80", "listening on port http", "listening on port https"},
			[]string{"listening on port <*>"}},
		{"key stays", []string{"login user=alice ok", "login user=bob ok", "login user=carol ok", "login user=dave ok", "login user=erin ok"},
			[]string{"login user=<*> ok"}},
		{"one value and one word behind a key", []string{"login name=alice1 ok", "login name=bob ok"}, []string{"login name=<*> ok"}},
		{"three words behind a key stay", []string{"login user=root ok", "login user=guest ok", "login user=test ok"},
			[]string{"login user=guest ok", "login user=root ok", "login user=test ok"}},
		{"keys are words enough", []string{"get a=x1 b=2 c=3 d=4 e=5 f=6", "get a=x b=2 c=3 d=4 e=5 f=6"}, []string{"get a=<*> b=<*> c=<*> d=<*> e=<*> f=<*>"}},
		{"a position that varies later varies everywhere", []string{
			"take name=a1 ws=null of it", "take name=system ws=null of it", "take name=system ws=Source{5} of it"},
			[]string{"take name=<*> ws=<*> of it"}},
		{"nothing would be left", []string{"a1 alpha", "a1 beta", "a1 gamma", "a1 delta", "a1 epsilon"},
			[]string{"<*> alpha", "<*> beta", "<*> delta", "<*> epsilon", "<*> gamma"}},
		{"two positions", []string{
			"moved file a.txt to u.txt", "moved file b.txt to u.txt", "moved file c.txt to u.txt",
			"moved file a.txt to v.txt", "moved file b.txt to v.txt", "moved file c.txt to v.txt",
			"moved file a.txt to w.txt", "moved file b.txt to w.txt", "moved file c.txt to w.txt"},
			[]string{"moved file <*> to <*>"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMiner(t, Config{})
			block := lines(c.in...)
			m.Settle(block, true)
			got := templatesOf(m, block)
			slices.Sort(got)
			if diff := cmp.Diff(c.want, slices.Compact(got)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if m.Len() != len(c.want) {
				t.Errorf("got %d clusters; want %d", m.Len(), len(c.want))
			}
		})
	}
}

// TestMergeKeepsIndex lets a template grow more general while lines are
// counted: its Index stays, its former id leads to it, values come out of the
// new slot.
func TestMergeKeepsIndex(t *testing.T) {
	m := newMiner(t, Config{})
	var out Line
	m.Parse(&out, []byte("session opened for user alice by uid 5"), true)
	m.Parse(&out, []byte("session opened for user alice by uid 6"), true)
	first := out.Cluster
	id, gen, index, rev := first.ID, first.Gen, first.Index, first.Rev
	m.Parse(&out, []byte("session opened for user bob by uid 5"), true)
	if !out.New {
		t.Error("got an old cluster; want a new one")
	}
	bob := out.Cluster.ID
	m.Parse(&out, []byte("session opened for user carol by uid 7"), true)
	if out.Cluster != first || first.Index != index || first.Gen != gen || first.Rev == rev {
		t.Errorf("got cluster %+v; want the first with a further revision, %+v", *out.Cluster, *first)
	}
	if out.New || first.Count != 4 || first.Text != "session opened for user <*> by uid <*>" || first.ID == id {
		t.Errorf("got %+v; want 4 lines in the general template", *first)
	}
	want := []param{{"carol", "", Word, nan}, {"7", "", Number, 7}}
	if diff := cmp.Diff(want, paramsOf(out.Params), cmp.Comparer(func(a, b float64) bool { return a == b || a != a && b != b })); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, old := range []uint64{id, bob, first.ID} {
		if c, ok := m.Resolve(old); !ok || c != first {
			t.Errorf("id %x: got %v, %v; want the general template", old, c, ok)
		}
	}
	if _, ok := m.Resolve(12345); ok {
		t.Error("got a cluster for an id that never was")
	}
	m.Match(&out, []byte("session opened for user dave by uid 9"), true)
	if out.Cluster != first || string(out.Params[0].Value) != "dave" {
		t.Errorf("got %v; want the general template", out.Cluster)
	}
	m.Match(&out, []byte("something else"), true)
	if out.Cluster != nil || m.Len() != 1 {
		t.Errorf("got %v, %d clusters; want no cluster, 1", out.Cluster, m.Len())
	}
}

// wordLine draws lines from small vocabularies, so that many differ at one place only.
func wordLine(t *rapid.T) string {
	words := rapid.SampledFrom([]string{"open", "close", "user", "for", "file", "red", "green", "blue", "black", "white", "a.b", "c.d", "e_f", "5", "10.0.0.1", "k=v", "k=w", "(x)", "done."})
	return strings.Join(rapid.SliceOfN(words, 1, 5).Draw(t, "words"), " ")
}

func TestPermutation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		block := lines(rapid.SliceOfN(rapid.Custom(wordLine), 1, 200).Draw(t, "block")...)
		other := rapid.Permutation(block).Draw(t, "other")
		texts := func(block [][]byte) map[string]string {
			m := newMiner(t, Config{})
			m.Settle(block, true)
			got := map[string]string{}
			for i, text := range templatesOf(m, block) {
				got[string(block[i])] = text
			}
			m.validate(t)
			return got
		}
		if diff := cmp.Diff(texts(block), texts(other)); diff != "" {
			t.Fatalf("other templates in another order: %s", diff)
		}
	})
}

// TestSettled says that the ids of a settled block do not change while its lines are parsed.
func TestSettled(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		block := lines(rapid.SliceOfN(rapid.Custom(wordLine), 1, 200).Draw(t, "block")...)
		settled, begun := newMiner(t, Config{}), newMiner(t, Config{})
		settled.Settle(block, true)
		begun.Begin(block, true, nil)
		first, again := templatesOf(settled, block), templatesOf(settled, block)
		if diff := cmp.Diff(first, again); diff != "" {
			t.Fatalf("templates changed: %s", diff)
		}
		if diff := cmp.Diff(first, templatesOf(begun, block)); diff != "" {
			t.Fatalf("Begin gives other templates than Settle in an empty Miner: %s", diff)
		}
		next := lines(rapid.SliceOfN(rapid.Custom(wordLine), 1, 100).Draw(t, "next")...)
		begun.Begin(next, true, nil)
		for i, text := range templatesOf(begun, next) {
			var out Line
			if begun.Match(&out, next[i], true); out.Cluster == nil {
				t.Fatalf("line %q, template %q: got no cluster afterwards", next[i], text)
			}
		}
		begun.validate(t)
		begun.End()
		if begun.block != nil || begun.own.line != nil {
			t.Fatal("the Miner keeps the block")
		}
	})
}

// TestSnapshot parses a stream with and without a restored state in the middle.
func TestSnapshot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := Config{ClustersMax: rapid.IntRange(clustersMin, 60).Draw(t, "clusters"), BytesMax: 1 << 20}
		stream := lines(rapid.SliceOfN(rapid.Custom(wordLine), 2, 400).Draw(t, "stream")...)
		cut := rapid.IntRange(1, len(stream)-1).Draw(t, "cut")
		a := newMiner(t, cfg)
		templatesOf(a, stream[:cut])
		b := newMiner(t, cfg)
		state := a.AppendState([]byte("head"))
		rest, err := b.ReadState(append(slices.Clone(state[4:]), "tail"...))
		if err != nil || string(rest) != "tail" {
			t.Fatalf("got rest %q, error %v; want the tail", rest, err)
		}
		b.validate(t)
		if again := b.AppendState([]byte("head")); !bytes.Equal(state, again) {
			t.Fatal("the restored state is written with other bytes")
		}
		for i, line := range stream[cut:] {
			var x, y Line
			a.Parse(&x, line, true)
			b.Parse(&y, line, true)
			if diff := cmp.Diff(*x.Cluster, *y.Cluster); diff != "" || x.New != y.New {
				t.Fatalf("line %d: %s", i, diff)
			}
		}
		if a.Bytes() != b.Bytes() || a.Evicted() != b.Evicted() {
			t.Fatalf("got %d bytes, %d evicted; want %d, %d", b.Bytes(), b.Evicted(), a.Bytes(), a.Evicted())
		}
	})
}

// TestDamagedState cuts and flips a state everywhere: an error or a sound Miner, never a panic.
func TestDamagedState(t *testing.T) {
	m := newMiner(t, Config{})
	for i := range 60 {
		templatesOf(m, lines(fmt.Sprintf("opened file f%c.txt for user u%c", 'a'+i%20, 'a'+i%7), fmt.Sprintf("hello %d", i)))
	}
	state := m.AppendState(nil)
	for i := range state {
		if _, err := newMiner(t, Config{}).ReadState(state[:i]); err == nil {
			t.Fatalf("cut at %d of %d: got no error", i, len(state))
		}
		for _, flip := range []byte{1, 0x80, 0xff} {
			bad := slices.Clone(state)
			bad[i] ^= flip
			other := newMiner(t, Config{})
			if _, err := other.ReadState(bad); err == nil {
				other.validate(t)
				templatesOf(other, lines("hello 5", "opened file fa.txt for user uz", "new here"))
				other.validate(t)
			}
		}
	}
	if _, err := newMiner(t, Config{ClustersMax: clustersMin, BytesMax: bytesMin}).ReadState(state); err != nil && !strings.Contains(err.Error(), "damaged or too large") {
		t.Errorf("got %v", err)
	}
}

// TestMemory feeds lines that all differ: the limits hold, and a few clusters at a time go.
func TestMemory(t *testing.T) {
	n := 1_000_000
	if testing.Short() {
		n = 50_000
	}
	r := rand.New(rand.NewPCG(7, 8))
	const limit = 1 << 20
	m := newMiner(t, Config{ClustersMax: 2000, BytesMax: limit})
	var out Line
	line := make([]byte, 0, 4096)
	for i := range n {
		line = line[:0]
		for range 1 + r.IntN(20) {
			line = append(append(line, randomWord(r)...), ' ')
		}
		m.Parse(&out, line, r.IntN(2) == 0)
		if m.Bytes() > limit+16<<10 || m.Len() > 2000 || out.Cluster == nil {
			t.Fatalf("line %d: got %d bytes, %d clusters; want at most %d and one more, 2000", i, m.Bytes(), m.Len(), limit)
		}
	}
	m.validate(t)
	if m.Evicted() == 0 {
		t.Error("got no eviction; want some")
	}
}

// TestBytes compares Bytes with what the heap says.
func TestBytes(t *testing.T) {
	heap := func() uint64 {
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	r := rand.New(rand.NewPCG(9, 10))
	before := heap()
	m := newMiner(t, Config{ClustersMax: 20000, BytesMax: 64 << 20})
	var out Line
	for range 10000 {
		var line []byte
		for range 12 {
			line = append(append(line, randomWord(r)...), ' ')
		}
		m.Parse(&out, line, true)
	}
	got, want := m.Bytes(), int64(heap()-before)
	if got < want*7/10 || got > want*13/10 {
		t.Errorf("got %d bytes for %d clusters; the heap says %d", got, m.Len(), want)
	}
	t.Logf("%d bytes a template of 12 words, estimated %d", want/int64(m.Len()), got/int64(m.Len()))
	runtime.KeepAlive(m)
}

// TestEviction fills the Miner and checks that the least recently used go, with a new generation at their Index.
func TestEviction(t *testing.T) {
	m := newMiner(t, Config{ClustersMax: clustersMin})
	var out Line
	word := func(i int) string { return strings.Repeat(string(rune('a'+i%26)), 3+i/26) }
	for i := range clustersMin {
		m.Parse(&out, []byte(strings.Repeat(word(i)+" ", i+1)), true)
	}
	m.Parse(&out, []byte(word(0)), true) // used again
	m.Parse(&out, []byte("one more line that is new and long "+strings.Repeat("x ", 30)), true)
	if out.Cluster.Index != 1 || out.Cluster.Gen != 1 || m.Evicted() != 1 || !out.New {
		t.Errorf("got index %d, generation %d, %d evicted; want 1, 1, 1", out.Cluster.Index, out.Cluster.Gen, m.Evicted())
	}
	m.Match(&out, []byte(strings.Repeat(word(1)+" ", 2)), true)
	if out.Cluster != nil {
		t.Errorf("got %q; want it evicted", out.Cluster.Text)
	}
	m.Match(&out, []byte(word(0)), true)
	if out.Cluster == nil {
		t.Error("got no cluster; want the one used again")
	}
}

// TestHostileLines feeds what no program should write.
func TestHostileLines(t *testing.T) {
	m := newMiner(t, Config{})
	var out Line
	for _, line := range []string{
		strings.Repeat("a", 256<<10), strings.Repeat("a ", 128<<10), strings.Repeat("5 ", 128<<10), strings.Repeat(`"`, 256<<10),
		strings.Repeat(`\"`, 128<<10), strings.Repeat("'x ", 80<<10), strings.Repeat("[", 256<<10), strings.Repeat("{", 256<<10),
		strings.Repeat(`{"a":`, 50<<10), `{"a":[` + strings.Repeat("[", 256<<10), strings.Repeat("a=", 128<<10), strings.Repeat("a:1:", 64<<10),
		strings.Repeat("\x00", 256<<10), strings.Repeat("\xff", 256<<10), strings.Repeat("1,", 128<<10), strings.Repeat("::", 128<<10),
		strings.Repeat("(", 8<<10) + strings.Repeat(")", 8<<10), strings.Repeat("Jan 2 ", 40<<10), strings.Repeat("[x] ", 60<<10), "<*> <*> \x01", " ", "\n", "<", "<34>", "[", "-", "|", ":", "=", "2024-", "I0102",
		`{"` + strings.Repeat("k", 1<<16) + `":"` + strings.Repeat("v", 1<<16) + `"}`, strings.Repeat("k=v ", 64<<10), strings.Repeat("k=\"v ", 40<<10),
	} {
		for _, raw := range []bool{false, true} {
			m.Parse(&out, []byte(line), raw)
			if out.Cluster == nil || len(out.Params) != out.Cluster.Slots {
				t.Errorf("%.20q: got %d parameters, cluster %v", line, len(out.Params), out.Cluster)
			}
			if len(out.Cluster.Text) > skelMax+2*tokenMax {
				t.Errorf("%.20q: got a template of %d bytes", line, len(out.Cluster.Text))
			}
		}
	}
	m.validate(t)
}

// validate checks that all parts of the Miner agree.
func (m *Miner) validate(t failer) {
	t.Helper()
	var size int64
	live, skeletons := 0, 0
	for i, c := range m.clusters {
		if c.Index != i {
			t.Fatalf("cluster %d has index %d", i, c.Index)
		}
		if !c.live {
			continue
		}
		live++
		size += c.size()
		for at := c.skeletons; at != none; at = m.skeletons[at].next {
			s := &m.skeletons[at]
			skeletons++
			size += s.size()
			var f form
			if int(s.cluster) != i || m.known[s.text] != at || !covers(c, &f, s.text) {
				t.Fatalf("skeleton %q is not of template %q", s.text, c.Text)
			}
		}
		var f form
		f.set([]byte(c.form))
		for p, next := range c.near {
			if next == unlinked {
				continue
			}
			found := false
			for at := m.near[f.key(p)]; at != none; at = m.clusters[at].near[p] {
				found = found || int(at) == i
			}
			if !found {
				t.Fatalf("template %q is not in its neighbourhood %d", c.Text, p)
			}
		}
	}
	if live != m.live || skeletons != len(m.known) || size != m.bytes || live+len(m.free) != len(m.clusters) {
		t.Fatalf("got %d clusters, %d skeletons, %d bytes; want %d, %d, %d", m.live, len(m.known), m.bytes, live, skeletons, size)
	}
	order := 0
	for at, prev := m.first, int32(none); at != none; at = m.clusters[at].nxt {
		if m.clusters[at].prev != prev || order > live {
			t.Fatalf("the order of use is broken at %d", at)
		}
		prev = at
		order++
	}
	for _, at := range m.near {
		if !m.clusters[at].live {
			t.Fatalf("a neighbourhood holds a dead cluster")
		}
	}
	if order != live {
		t.Fatalf("got %d clusters in the order of use; want %d", order, live)
	}
}

// TestRequestIsWords says that the parts of a request line are words, so that
// the value of a position behind it that varies is the one there.
func TestRequestIsWords(t *testing.T) {
	m := newMiner(t, Config{})
	var out Line
	for i := range 60 {
		state := []string{"alpha", "beta", "gamma", "delta", "omega", "sigma", "kappa", "theta"}[i%8]
		line := fmt.Appendf(nil, `10.1.2.3 - - [02/Jan/2006:15:04:05 -0700] "GET /item/%d HTTP/1.1" 200 5 upstream answered %s`, i, state)
		m.Parse(&out, line, false)
		if i < 40 {
			continue
		}
		var got []string
		for _, p := range out.Params {
			got = append(got, string(p.Value))
		}
		want := []string{"10.1.2.3", "-", "-", "02/Jan/2006:15:04:05 -0700", fmt.Sprintf("/item/%d", i), "1.1", "200", "5", state}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("line %d, template %q (-want +got):\n%s", i, out.Cluster.Text, diff)
		}
	}
}
