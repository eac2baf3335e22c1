package detect

import (
	"math"

	"github.com/cespare/xxhash/v2"

	"github.com/logscope/logscope/engine/sketch"
)

const (
	// siteBits makes room for 65,536 counts, 512 KB, there only where requests are.
	siteBits = 13
	// siteFull is how many requests pass until every count is halved, so that a
	// site may change.
	siteFull = 100_000
	// gramCells is the size of the table of characters in context: 256 KB.
	gramCells = 1 << 16
	// headersKnown is how many whole referrers and agents are remembered by hash,
	// 32 KB: one that came before is not odd, and need not be spelled out again.
	headersKnown = 4096
	// siteLeast is how many requests it takes before one can be odd.
	siteLeast = 300
	// oddLeast is the least sum, in nats, from which a request can be odd: on a
	// site where everything is the same, the first mistyped address has some ten.
	oddLeast = 7.0
	// oddShare is the share of requests without hints of an attack that may be odd.
	oddShare = 0.004
	// sumBin makes the bins of a histogram of logarithms ones of 1.8 nats, evenly.
	sumBin = 10
	// oddWeight is what is learned of an odd request, or of an unusual part of
	// one: a scan of thousands of requests must not become usual, while
	// what a new release brings is known after some twenty.
	oddWeight = 1.0 / 64
	// servedWeight is what is learned of an unusual path that the server has: a new
	// page is known when two clients have seen it.
	servedWeight = 1.0 / 2
	// hintWeight is what is learned of an odd request with hints of an attack.
	hintWeight = 1.0 / 2048
	// oddEvery is which of the odd requests counts in full where weights cannot be.
	oddEvery = 32
	// partUsual is the surprise up to which a part is learned in full.
	partUsual = 3.0
	// unusual is the sum from which a client is remembered, clientsKnown of them
	// at a time, 16 bytes each, for clientSpan requests.
	unusual      = 4.0
	clientsKnown = 1024
	clientSpan   = 2000
	// proxyShare is the share of all requests that makes a client a proxy.
	proxyShare = 0.05
	// backoff is the least weight of what lies behind a context: half a symbol.
	backoff = 0.5
)

// site is what the requests of a web log have in common: which paths, methods,
// answers, parameters and values there are, each predicted in its context by
// Witten and Bell's method C (the chance of something new is the share of sightings
// that were new; IEEE Transactions on Information Theory 37, 1991), and how
// texts are spelled, by an interpolated model of characters of order two. After
// Kruegel and Vigna (CCS 2003) and Zolotukhin and others (2012), who need no clean
// data either.
type site struct {
	counts  sketch.Counts
	grams   []uint32
	known   []uint64 // hashes of headers
	clients []sender // who asked for something unusual lately
	seen    uint64   // requests
	aged    uint64   // when counts were halved last, by requests seen
	rare    uint64   // odd requests and unusual parts
	scales  [spellings]scale
	sums    sketch.LogHist
	limit   float64 // from which sum on a request is odd
	fresh   uint8
}

// sender is a client by its hash, and the request at which it was unusual last.
type sender struct{ client, at uint64 }

// ready makes the tables, which only streams with requests need.
func (s *site) ready() {
	if s.grams == nil {
		s.counts = sketch.NewCounts(siteBits)
		s.grams = make([]uint32, gramCells)
		s.known = make([]uint64, headersKnown)
		s.clients = make([]sender, clientsKnown)
		s.limit = oddLeast
	}
}

// odd returns a request's sum of surprises as multiples of the one from which it is odd.
func (s *site) odd(sum float64) float64 {
	if s.seen < siteLeast {
		return 0
	}
	return sum / s.limit
}

// predict returns the probability of a symbol in a context, where other contexts
// give it the probability back.
func (s *site) predict(context, symbol uint64, back float64) float64 {
	n := s.counts.Get(mix(context, keyTotal))
	if n <= 0 {
		return back
	}
	kinds := max(backoff, s.counts.Get(mix(context, keyKinds)))
	return (s.counts.Get(mix(context, symbol)) + kinds*back) / (n + kinds)
}

// escape returns the probability that the next symbol in a context is a new one.
func (s *site) escape(context uint64) float64 {
	n := s.counts.Get(mix(context, keyTotal))
	kinds := min(n, s.counts.Get(mix(context, keyKinds)))
	return (kinds + backoff) / (n + kinds + 1)
}

// knows tells whether a symbol was seen in a context.
func (s *site) knows(context, symbol uint64) bool {
	return s.counts.Get(mix(context, symbol)) >= 0.5
}

// presence returns the surprise of a mark in texts of a context.
func (s *site) presence(context, mark uint64, back, trust float64) float64 {
	n := s.counts.Get(mix(context, keyTotal))
	return (s.counts.Get(mix(context, mark)) + trust*back) / (n + trust)
}

// Symbols of every context that no text has.
const (
	keyTotal = 1 // sightings
	keyKinds = 2 // different symbols
	keyEnd   = 3 // of a path
	keyMarks = 256
)

// learn learns what was read of a request.
func (s *site) learn(l *reading) {
	s.seen++
	warm := s.seen <= siteLeast
	odd := !warm && l.sum >= s.limit
	whole, strange, again := 1.0, oddWeight, s.again(l, warm)
	if again {
		strange = hintWeight
	}
	if odd {
		if whole = strange; l.hinted > hintNats/2 {
			whole = hintWeight
		}
	}
	for i := range l.seen {
		o := &l.seen[i]
		switch {
		case o.part == PartHints && odd:
			s.count(o, strange) // so that a site may teach what is no attack there
		case o.part == PartHints || warm || l.nats[o.part] <= partUsual:
			s.count(o, whole)
		case o.part <= PartSigns && l.served:
			s.count(o, min(whole, servedWeight))
		default:
			s.count(o, min(whole, strange))
		}
	}
	if !again {
		s.learnSum(l)
	}
	if odd {
		if s.rare++; s.rare%oddEvery != 0 || whole == hintWeight {
			return
		}
	}
	for i := range l.passages {
		if t := &l.passages[i]; warm || l.nats[t.part] <= partUsual || s.seen%oddEvery == 0 {
			s.grasp(t.field, l.buf[t.from:t.to])
		}
	}
	for i := range l.samples {
		s.scales[l.samples[i].field].add(l.samples[i].sum)
	}
	for _, hash := range l.heads {
		s.known[hash%headersKnown] = hash
	}
	if s.seen-s.aged >= siteFull {
		s.aged = s.seen
		s.counts.Halve()
	}
}

// again tells whether the request is unusual and its client asked for something
// unusual lately: who scans a site must not teach it. A client with a good share
// of all requests is a proxy before many.
func (s *site) again(l *reading, warm bool) bool {
	all := s.counts.Get(mix(contextClient, keyTotal))
	own := s.counts.Add(mix(contextClient, l.client), 1)
	s.counts.Add(mix(contextClient, keyTotal), 1)
	if warm || l.sum < unusual || own > proxyShare*all {
		return false
	}
	last := &s.clients[l.client%clientsKnown]
	again := last.client == l.client && s.seen-last.at < clientSpan
	*last = sender{l.client, s.seen}
	return again
}

// count counts a sighting.
func (s *site) count(o *sighting, weight float64) {
	if o.symbol != keyTotal {
		before := s.counts.Add(mix(o.context, o.symbol), weight)
		if o.mark {
			return
		}
		if before < 1 {
			s.counts.Add(mix(o.context, keyKinds), min(weight, 1-before))
		}
	}
	s.counts.Add(mix(o.context, keyTotal), weight)
}

// learnSum learns how odd requests are. Those with hints of an attack do not
// count, if hints are rare here: they would raise the limit over themselves, while what
// else is odd, a scan for pages that do not exist, cannot raise it over theirs.
func (s *site) learnSum(l *reading) {
	if l.hinted > hintNats/2 {
		return
	}
	s.sums.Add(sketch.BinLow(0) + l.sum/sumBin)
	if s.fresh++; s.fresh%64 == 0 {
		n := float64(s.sums.Count())
		s.limit = max(oddLeast, (s.sums.Quantile(1-oddShare+1/n)-sketch.BinLow(0))*sumBin)
	}
}

// head returns the hash of a whole header, and whether it came before.
func (s *site) head(field int, text []byte) (hash uint64, known bool) {
	hash = xxhash.Sum64(text) + uint64(field)
	return hash, s.known[hash%headersKnown] == hash
}

// spelling sums the surprises of the least expected characters of a text.
func (s *site) spelling(field int, text []byte) (sum float64) {
	var top [spellTop]float64
	c1, c2 := uint32(2), uint32(2)
	seed := (uint32(field) + 1) * 0x9E3779B1
	for _, b := range text {
		c := uint32(b)
		x2, x1, x0 := cell(seed, c2, c1), cell(seed, 0, c1), cell(seed, 0, 0)
		y2, y1, y0 := cell(seed^x2*7, c, 1), cell(seed^x1*5, c, 2), cell(seed^x0*3, c, 3)
		p0 := (float64(s.grams[y0]) + 0.5) / (float64(s.grams[x0]) + 50)
		p1 := float64(s.grams[y1]) / (float64(s.grams[x1]) + 1)
		p2 := 0.6*float64(s.grams[y2])/(float64(s.grams[x2])+1) + 0.3*p1 + 0.1*p0
		if v := nats(p2); v > top[spellTop-1] {
			for j := range top {
				if v > top[j] {
					top[j], v = v, top[j]
				}
			}
		}
		c2, c1 = c1, c
	}
	for _, v := range top {
		sum += v
	}
	return sum
}

// grasp learns how a text is spelled.
func (s *site) grasp(field int, text []byte) {
	c1, c2 := uint32(2), uint32(2)
	seed := (uint32(field) + 1) * 0x9E3779B1
	for _, b := range text {
		c := uint32(b)
		x2, x1, x0 := cell(seed, c2, c1), cell(seed, 0, c1), cell(seed, 0, 0)
		y2, y1, y0 := cell(seed^x2*7, c, 1), cell(seed^x1*5, c, 2), cell(seed^x0*3, c, 3)
		for _, k := range [...]uint32{x2, x1, x0, y2, y1, y0} {
			if s.grams[k] < math.MaxUint32 {
				s.grams[k]++
			}
		}
		c2, c1 = c1, c
	}
}

func cell(seed, a, b uint32) uint32 {
	h := (seed ^ a*0x85EBCA6B ^ b*0xC2B2AE35) * 0x27D4EB2F
	return (h ^ h>>15) & (gramCells - 1)
}

// bytes is what the tables cost.
func (s *site) bytes() int {
	return 8*s.counts.Cap() + 4*len(s.grams) + 8*len(s.known) + 16*len(s.clients)
}

// sync passes the state through c.
func (s *site) sync(c *sketch.Codec) {
	some := s.grams != nil
	if c.Bool(&some); !some || c.Err() != nil {
		return
	}
	s.ready()
	s.counts.Sync(c)
	for i := range s.grams {
		c.U32(&s.grams[i])
	}
	for i := range s.known {
		c.U64(&s.known[i])
	}
	for i := range s.clients {
		c.U64(&s.clients[i].client)
		c.U64(&s.clients[i].at)
	}
	c.U64(&s.seen)
	c.U64(&s.aged)
	c.U64(&s.rare)
	for i := range s.scales {
		s.scales[i].sync(c)
	}
	s.sums.Sync(c)
	c.F64(&s.limit)
	c.U8(&s.fresh)
	if !(s.limit >= oddLeast) {
		c.Fail("got a limit of %v; want %v or more", s.limit, oddLeast)
	}
}

// scale turns sums of a kind of text into nats: half of them are usual, and
// beyond they fall off as between the middle and the upper tenth.
type scale struct {
	sums        sketch.LogHist
	middle, top float64
	fresh       uint8
}

const (
	// scaleLeast is how many sums a scale needs; until then it is one for texts
	// whose rarest characters are of one in 55, seldom in 400.
	scaleLeast            = 20
	scaleMiddle, scaleTop = 20.0, 30.0
	ln5                   = 1.6094379124341003
)

func (s *scale) nats(sum float64) float64 {
	middle, top := s.middle, s.top
	if top == 0 {
		middle, top = scaleMiddle, scaleTop
	}
	return max(0, sum-middle) * ln5 / max(2, top-middle)
}

func (s *scale) add(sum float64) {
	if sum <= 0 {
		return
	}
	s.sums.Add(math.Log(sum))
	if s.fresh++; s.fresh%32 == 0 || s.sums.Count() == scaleLeast {
		s.middle, s.top = math.Exp(s.sums.Quantile(0.5)), math.Exp(s.sums.Quantile(0.9))
	}
}

func (s *scale) sync(c *sketch.Codec) {
	s.sums.Sync(c)
	c.F64(&s.middle)
	c.F64(&s.top)
	c.U8(&s.fresh)
}
