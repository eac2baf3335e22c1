package detect

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/logscope/logscope/engine/drain"
)

const start = int64(1_700_000_000) * Second

func TestRateTellsBurstsNotNoise(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var r Rate
	now := start
	for range 5000 { // a Poisson process of 6 a minute
		now += int64(rng.ExpFloat64() * 10 * float64(Second))
		if s := r.Surprise(now); s > 9 {
			t.Fatalf("got surprise %v for ordinary traffic", s)
		}
		r.Learn(now)
	}
	most := 0.0
	for range 90 {
		now += Second / 4
		most = max(most, r.Surprise(now))
		r.Learn(now)
	}
	if most < 12 {
		t.Errorf("got surprise %v for 90 records in 22 s where 6 a minute are usual; want 12 or more", most)
	}
}

func TestRateAcceptsWhatRepeats(t *testing.T) {
	var r Rate
	now := start
	told := 0
	for hour := range 12 {
		for range 60 { // one a minute, and a job of 60 lines each hour
			now += 60 * Second
			r.Learn(now)
		}
		over := false
		for range 60 {
			now += Second / 4
			over = over || r.Surprise(now) > 8
			r.Learn(now)
		}
		if over {
			told++
			if hour > 4 {
				t.Errorf("hour %d: the job is still told", hour)
			}
		}
	}
	if told == 0 {
		t.Error("the first job was not told")
	}
}

func TestGaps(t *testing.T) {
	tests := []struct {
		what    string
		gap     func(i int) float64 // seconds
		regular bool
	}{
		{"every 30 s", func(int) float64 { return 30 }, true},
		{"30 s with jitter", func(i int) float64 { return 30 + float64(i%7) }, true},
		{"exponential", func(i int) float64 { return -30 * math.Log((float64(i*37%100)+0.5)/100) }, false},
		{"hourly bursts", func(i int) float64 {
			if i%40 == 39 {
				return 3600
			}
			return 1
		}, false},
	}
	for _, test := range tests {
		var g Gaps
		now := start
		for i := range 400 {
			now += int64(test.gap(i) * float64(Second))
			g.Learn(now)
		}
		if got := g.Regular(); got != test.regular {
			t.Errorf("%s: got regular %v; want %v", test.what, got, test.regular)
		}
		if d := g.Deadline(); test.regular && (d < now+60*Second || d > now+180*Second) {
			t.Errorf("%s: got a deadline %v s after the last record; want 60 to 180", test.what, (d-now)/Second)
		}
	}
}

// TestNumericAgainstLogNormal compares the claimed tail with that of the
// distribution drawn from: claims may be smaller, never far larger.
func TestNumericAgainstLogNormal(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, sigma := range []float64{0.1, 0.35, 1} {
		m := NewNumeric()
		for range 3000 {
			m.Learn(math.Exp(4 + sigma*rng.NormFloat64()))
		}
		for _, z := range []float64{4.5, 6, 9} {
			claim := m.Surprise(math.Exp(4 + sigma*z))
			truth := -math.Log(0.5 * math.Erfc(z/math.Sqrt2))
			// A bin is 18% wide: a narrower distribution is seen blurred.
			least := 6.0
			if sigma < 0.2 {
				least = 4
			}
			if claim > truth+3 || z >= 6 && claim < least {
				t.Errorf("sigma %v, %v deviations: got surprise %v; want %v to %v", sigma, z, claim, least, truth+3)
			}
		}
		if s := m.Surprise(math.Exp(4)); s != 0 {
			t.Errorf("got surprise %v for the median", s)
		}
	}
}

// TestYoungTailsClaimNoMoreThanTheyMay asks distributions known from few values
// about one more: what is claimed to be one in 150 or 1,100 must not come far
// more often. The tail of Pareto's law is the one that is fitted; the others'
// are thinner.
func TestYoungTailsClaimNoMoreThanTheyMay(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	draws := map[string]func() float64{
		"log-normal":  func() float64 { return 50 * math.Exp(0.4*rng.NormFloat64()) },
		"exponential": func() float64 { return 50 * rng.ExpFloat64() },
		"Pareto":      func() float64 { return 50 * math.Exp(0.5*rng.ExpFloat64()) },
	}
	const trials = 60_000
	for what, draw := range draws {
		for _, known := range []int{30, 60, 200} {
			var rare, rarer float64
			for range trials / 30 {
				m := NewNumeric()
				for range known {
					m.Learn(draw())
				}
				for range 30 {
					switch s := m.Surprise(draw()); {
					case s >= 7:
						rarer++
						fallthrough
					case s >= 5:
						rare++
					}
				}
			}
			if rare > 1.5*trials*math.Exp(-5) || rarer > 1.5*trials*math.Exp(-7) {
				t.Errorf("%s, %d values: got claims of 5 and 7 nats for one value in %.0f and %.0f; want hardly more than in 150 and 1,100",
					what, known, trials/rare, trials/rarer)
			}
		}
	}
}

// TestClosedPoolsOverSlots feeds a hundred closed slots: none could claim more
// than ln(200) by itself.
func TestClosedPoolsOverSlots(t *testing.T) {
	var p Params
	slots := make([]Slot, 100)
	value := func(s string, key string) *drain.Param {
		return &drain.Param{Value: []byte(s), Kind: drain.Word, Key: []byte(key), Num: math.NaN()}
	}
	for i := range 200 {
		for j := range slots {
			p.Learn(&slots[j], value(string(rune('a'+i%4)), "region"), 7)
		}
	}
	if code, s := p.Test(&slots[7], value("z", "region")); code != NewValue || s < 9 {
		t.Errorf("got code %v, surprise %v for a new value; want %v, 9 or more", code, s, NewValue)
	}
	if _, s := p.Test(&slots[7], value("a", "region")); s != 0 {
		t.Errorf("got surprise %v for a known value", s)
	}
	// A key that changes everywhere every now and then is no news.
	pods := make([]Slot, 100)
	for i := range 200 {
		for j := range pods {
			p.Learn(&pods[j], value(fmt.Sprint("pod", i/50), "pod"), 7)
		}
	}
	if _, s := p.Test(&pods[7], value("podnew", "pod")); s > 6 {
		t.Errorf("got surprise %v for a new pod; want less than 6", s)
	}
}

func TestCountersStayQuiet(t *testing.T) {
	var p Params
	var s Slot
	n := 0.0
	for i := range 2000 {
		n += float64(1 + i*37%40)
		param := &drain.Param{Value: fmt.Append(nil, n), Kind: drain.Number, Num: n}
		if _, nats := p.Test(&s, param); nats > 7 {
			t.Fatalf("value %d: got surprise %v for a counter", i, nats)
		}
		p.Learn(&s, param, 7)
	}
}

func TestRequestParse(t *testing.T) {
	tests := []struct {
		line                          string
		ok                            bool
		method, url, referrer, params string
	}{
		{`1.2.3.4 - - [14/Nov/2023:22:13:20 +0000] "GET /a?b=c HTTP/1.1" 200 512 "http://x/" "agent"`, true, "GET", "/a?b=c", "http://x/", "client=1.2.3.4 status=200 size=512 "},
		{`host.example - - [x] "POST /a b HTTP/1.0" 404 - "-" "a" 0.25`, true, "POST", "/a b", "-", "client=host.example status=404 size=0.25 "},
		{`1.2.3.4 - - [x] "GET /a\"b HTTP/1.1" 200 1`, true, "GET", `/a\"b`, "", "client=1.2.3.4 status=200 size=1 "},
		{`1.2.3.4 - - [x] "GET /cut`, true, "GET", "/cut", "", "client=1.2.3.4 "},
		{`{"msg":"GET it"}`, false, "", "", "", ""},
		{`say "GETTING /a"`, false, "", "", "", ""},
		{`"`, false, "", "", "", ""},
		{``, false, "", "", "", ""},
	}
	for _, test := range tests {
		var r request
		if got := r.parse([]byte(test.line)); got != test.ok {
			t.Errorf("%s: got %v; want %v", test.line, got, test.ok)
			continue
		}
		params := ""
		for _, p := range r.params {
			params += fmt.Sprintf("%s=%s ", p.Key, p.Value)
		}
		got := []string{string(r.method), string(r.url), string(r.referrer), params}
		if diff := cmp.Diff([]string{test.method, test.url, test.referrer, params}, got); test.ok && diff != "" {
			t.Errorf("%s:\n%s", test.line, diff)
		}
		if test.ok && params != test.params {
			t.Errorf("%s: got parameters %q; want %q", test.line, params, test.params)
		}
	}
}

func TestDecode(t *testing.T) {
	for in, want := range map[string]string{
		"/Abc/12":        "/abc/00",
		"%3Cscript%3E":   "<script>",
		"%253Cb%253E":    "<b>",
		"%2525253C":      "%000c",
		"a%zz%4":         "a%zz%0",
		"\x00\xff%00%ff": "\x01\x02\x01\x02",
	} {
		if got := string(decode(nil, []byte(in), false)); got != want {
			t.Errorf("%q: got %q; want %q", in, got, want)
		}
	}
}

func TestRoutes(t *testing.T) {
	same := func(a, b string) bool {
		return routeOf([]byte("GET"), []byte(a)) == routeOf([]byte("GET"), []byte(b))
	}
	for _, pair := range [][2]string{{"/a/17/b", "/a/4711/b"}, {"/a?x=1", "/a?y=2"}, {"/u/3f2a9c11e0/x", "/u/99a0bb1234/x"}} {
		if !same(pair[0], pair[1]) {
			t.Errorf("%s and %s: got two routes; want one", pair[0], pair[1])
		}
	}
	for _, pair := range [][2]string{{"/v1/a", "/v2/a"}, {"/a/b", "/a/c"}, {"/a", "/a/"}} {
		if same(pair[0], pair[1]) {
			t.Errorf("%s and %s: got one route; want two", pair[0], pair[1])
		}
	}
}

func TestIdentifier(t *testing.T) {
	for _, test := range []struct {
		kind     drain.Kind
		in, want string
	}{
		{drain.ID, "blk_-17", "blk_-17"},
		{drain.Quoted, `"req-12ab"`, "req-12ab"},
		{drain.Path, "/data/current/blk_1234567", "blk_1234567"},
		{drain.Path, "/etc/passwd", ""},
		{drain.Number, "1234", ""},
		{drain.Number, "1234567", "1234567"},
		{drain.Number, "12345.67", ""},
		{drain.Word, "main", ""},
		{drain.Quoted, `"two words 1"`, ""},
	} {
		p := drain.Param{Kind: test.kind, Value: []byte(test.in)}
		if got := string(identifier(&p)); got != test.want {
			t.Errorf("%s: got %q; want %q", test.in, got, test.want)
		}
	}
}

func TestTailEarns(t *testing.T) {
	var tail Tail
	for i := range 10_000 {
		tail.Learn(float64(i%100) / 20) // claims up to 5 nats, all of them usual
	}
	if got := tail.Surprise(4.9); got > 3.2 {
		t.Errorf("got surprise %v for a claim that one in ten makes; want at most ln(20)", got)
	}
	if got := tail.Surprise(20); got < 9 || got > 11 {
		t.Errorf("got surprise %v for a claim never made in 10,000; want about ln(20,000)", got)
	}
	if a, b := tail.Surprise(20), tail.Surprise(30); a >= b {
		t.Errorf("got surprises %v and %v; want the order of the claims", a, b)
	}
}

// TestFailureWords tells messages of failure from those that only look alike.
func TestFailureWords(t *testing.T) {
	for text, want := range map[string]bool{
		"database system was interrupted; last known up at 10:00": true,
		"PAM: Authentication failure for root":                    true,
		"Connection refused":                                      true,
		"(111: Cannot assign requested address)":                  true,
		"client timed out":                                        true,
		"terrors of the deep":                                     false,
		"the aggregate was rebuilt":                               false,
		"":                                                        false,
	} {
		if got := failure([]byte(text)); got != want {
			t.Errorf("%q: got %v; want %v", text, got, want)
		}
	}
}

// TestSeverityIsRelative gives one level to streams that use it seldom and often.
func TestSeverityIsRelative(t *testing.T) {
	var calm, loud Severity
	for i := range 50 {
		calm.Learn(drain.Info, nil)
		loud.Learn([]drain.Level{drain.Info, drain.Error}[i%2], nil)
	}
	if c, l := calm.Nats(drain.Error, nil), loud.Nats(drain.Error, nil); !(c > 2 && c <= 3 && l < 0.5 && l >= 0) {
		t.Errorf("got %.2f nats for an error where none is usual and %.2f where half are; want 2 to 3 and hardly any", c, l)
	}
	if n := calm.Nats(drain.Info, []byte("served 3 pages")); n != 0 {
		t.Errorf("got %.2f nats for mere information; want 0", n)
	}
	if w, e, c := calm.Nats(drain.Warn, nil), calm.Nats(drain.Error, nil), calm.Nats(drain.Critical, nil); !(w < e && e <= c) {
		t.Errorf("got %.2f, %.2f, %.2f nats for warning, error and critical; want them to rise", w, e, c)
	}
}

// TestCalmClaimsHold brings new templates as Poisson processes of many rates:
// at none may more be told than the threshold of one in 1,100 allows.
func TestCalmClaimsHold(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	for _, every := range []int{50, 200, 500, 1000, 2000, 5000, 20000} {
		var n Novelty
		told, records := 0, 400_000
		for i := range records {
			now := int64(i) * Second
			before := uint32(9)
			if rng.IntN(every) == 0 {
				if before = 0; n.GroupSurprise(now) >= 7 {
					told++
					n.Tell(now)
				}
			}
			n.Learn(before, now)
		}
		if limit := records / 1100; told > limit {
			t.Errorf("one new template in %d: got %d told in %d records; want at most %d", every, told, records, limit)
		}
	}
}

// TestNeighbours tells counts that grow a little from codes that are new.
func TestNeighbours(t *testing.T) {
	vocabulary := func(texts ...string) *Category {
		var k Category
		for i, text := range texts {
			k.Learn(uint64(i), []byte(text))
		}
		return &k
	}
	sizes, codes := vocabulary("58", "59", "60", "61", "62"), vocabulary("200", "304", "404")
	for _, c := range []struct {
		k    *Category
		v    float64
		want bool
	}{
		{sizes, 63, true}, {sizes, 66, true}, {sizes, 54, true}, {sizes, 67, false}, {sizes, 167, false},
		{codes, 500, false}, {codes, 405, false}, {vocabulary("1", "2"), 3, false}, {vocabulary("1", "2", "x"), 3, false}, {vocabulary("1", "2", "3"), 4, true},
	} {
		if got := c.k.Neighbour(c.v); got != c.want {
			t.Errorf("%v beside %v: got %v; want %v", c.v, c.k.vals, got, c.want)
		}
	}
}

// TestIdentifiersAreNoProtocols tells names of sessions from words with a digit.
func TestIdentifiersAreNoProtocols(t *testing.T) {
	for text, want := range map[string]bool{
		"ssh2": false, "http2": false, "sha1": false, "job-1": true, "req42": true, "blk_1": true, "transaction7": true, "none": false,
	} {
		if got := identifier(&drain.Param{Kind: drain.ID, Value: []byte(text)}) != nil; got != want {
			t.Errorf("%q: got %v; want %v", text, got, want)
		}
	}
}
