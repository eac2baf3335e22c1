package engine

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// release is one version of a service's log: its messages, how often each comes
// and what their numbers and words are like.
type release struct {
	messages []message
	total    float64
}

type message struct {
	text    string // with verbs for its slots
	slots   []slotKind
	rate    float64
	median  float64
	choices []string
	took    latency
}

// latency draws a latency of median 1: of which kind is up to the service.
type latency func(rng *rand.Rand) float64

// latencies are what services may be like. In one of slow calls, one in twenty
// takes five times as long: what ten values show says nothing of the eleventh.
var latencies = []struct {
	what string
	draw latency
}{
	{"log-normal", func(rng *rand.Rand) float64 { return math.Exp(0.4 * rng.NormFloat64()) }},
	{"exponential", func(rng *rand.Rand) float64 { return rng.ExpFloat64() / math.Ln2 }},
	{"wide", func(rng *rand.Rand) float64 { return math.Exp(0.7 * rng.NormFloat64()) }},
	{"of slow calls", func(rng *rand.Rand) float64 {
		v := math.Exp(0.3 * rng.NormFloat64())
		if rng.IntN(20) == 0 {
			v *= 5
		}
		return v
	}},
}

type slotKind uint8

const (
	slotLatency slotKind = iota
	slotChoice
	slotNumber
)

var (
	subjects = strings.Fields("order basket invoice payment parcel voucher account mandate shipment refund quote ledger")
	actions  = strings.Fields("accepted priced reserved archived forwarded verified indexed scheduled released reconciled exported merged")
	objects  = strings.Fields("upstream downstream warehouse broker gateway courier registry scheduler cache replica")
	choices  = [...][]string{
		{"gold", "silver", "bronze", "trial", "staff", "partner", "guest"},
		{"card", "debit", "wallet", "coupon", "cash", "transfer", "credit"},
		{"north", "south", "east", "west", "centre", "overseas", "islands"},
	}
)

// newMessage makes the message of a number: none has the words of another.
func newMessage(rng *rand.Rand, n int, took latency) message {
	m := message{took: took, rate: math.Exp(0.8 - 1.6*rng.Float64()), median: 10 + 200*rng.Float64(), choices: choices[rng.IntN(len(choices))]}
	words := fmt.Sprintf("%s %s by %s", subjects[n%12], actions[(n/12+n)%12], objects[(n/7+n)%10])
	switch n % 4 {
	case 0:
		m.text, m.slots = "INFO "+words+" number=%s took %sms", []slotKind{slotNumber, slotLatency}
	case 1:
		m.text, m.slots = "INFO "+words+" class=%s number=%s", []slotKind{slotChoice, slotNumber}
	case 2:
		m.text, m.slots = "DEBUG "+words+" after %sms", []slotKind{slotLatency}
	default:
		m.text, m.slots = "INFO "+words+" class=%s in %sms", []slotKind{slotChoice, slotLatency}
	}
	return m
}

func (r *release) add(m message) {
	r.messages = append(r.messages, m)
	r.total += m.rate
}

// releases makes two versions: the second drops 10 of 30 messages, adds 20, and
// of the others a third comes four times as often, a third a quarter as often,
// half takes twice as long and every class has a new value.
func releases(rng *rand.Rand, took latency) (before, after release) {
	for n := range 30 {
		m := newMessage(rng, n, took)
		before.add(m)
		if n < 10 {
			continue
		}
		m.rate *= [...]float64{0.25, 1, 4}[n%3]
		if n%2 == 0 {
			m.median *= 2
		}
		m.choices = append(m.choices[:len(m.choices):len(m.choices)], "express")
		after.add(m)
	}
	for n := range 20 {
		after.add(newMessage(rng, 30+n, took))
	}
	return before, after
}

// line writes a line of the release.
func (r *release) line(rng *rand.Rand) string {
	at := rng.Float64() * r.total
	i := 0
	for ; i < len(r.messages)-1 && at > r.messages[i].rate; i++ {
		at -= r.messages[i].rate
	}
	return r.messages[i].line(rng)
}

func (m *message) line(rng *rand.Rand) string {
	args := make([]any, len(m.slots))
	for i, kind := range m.slots {
		switch kind {
		case slotLatency:
			args[i] = fmt.Sprint(1 + int(m.median*m.took(rng)))
		case slotChoice:
			args[i] = m.choices[rng.IntN(len(m.choices))]
		default:
			args[i] = fmt.Sprint(100_000 + rng.IntN(900_000))
		}
	}
	return fmt.Sprintf(m.text, args...)
}

const (
	linesBefore, linesAfter = 20_000, 12_000
	// settles is how many lines of a new version may pass until it is quiet.
	settles = 2000
	// alertsPer100k are the alerts that ordinary lines may raise.
	alertsPer100k = 12
	// plantedAt is where anomalies are planted in the new version, that many lines apart.
	plantedAt, plantedEvery = 6000, 300
)

// planted are lines that are wrong in either version, after the name of what is wrong.
var planted = []struct{ what, line string }{
	{"a new message", "ERROR cannot write the ledger: no space left on device"},
	{"an outlier where latencies have doubled", "INFO %s number=123456 took 98765ms"},
	{"an unknown class where one was added", "INFO %s class=phantom"},
	{"an outlier in a message of the new version", "INFO %s class=%s in 98765ms"},
}

// replaced writes the lines of one release, and then those of another.
func replaced(rng *rand.Rand, before, after *release) (recs []Record) {
	for i := range linesBefore + linesAfter {
		r := before
		if i >= linesBefore {
			r = after
		}
		recs = append(recs, Record{Stream: "s", Time: epoch + int64(i)*2e8, Line: []byte(r.line(rng))})
	}
	return recs
}

// undeployed makes the log of a service of which nothing is deployed.
func undeployed(seed uint64, took latency) []Record {
	rng := rand.New(rand.NewPCG(seed, 11))
	before, _ := releases(rng, took)
	return replaced(rng, &before, &before)
}

// deployed makes the log of a service that is deployed anew, with planted
// anomalies or without, and returns where they are.
func deployed(seed uint64, took latency, plant bool) (recs []Record, at []int) {
	rng := rand.New(rand.NewPCG(seed, 11))
	before, after := releases(rng, took)
	recs = replaced(rng, &before, &after)
	if !plant {
		return recs, nil
	}
	for i, p := range planted {
		at = append(at, linesBefore+plantedAt+i*plantedEvery)
		text := strings.Replace(p.line, "%s", after.words([...]int{0, 2, after.frequent(), 21}[i]), 1)
		text = strings.Replace(text, "%s", after.messages[21].choices[0], 1)
		if m := &after.messages[after.frequent()]; i == 2 && m.slots[1] == slotLatency {
			text += " in 50ms"
		} else if i == 2 {
			text += " number=123456"
		}
		recs[at[i]].Line = []byte(text)
	}
	return recs, at
}

// frequent is the most frequent message of those that have a class and were there before.
func (r *release) frequent() (best int) {
	for i, m := range r.messages[:20] {
		if m.slots[0] == slotChoice && (r.messages[best].slots[0] != slotChoice || m.rate > r.messages[best].rate) {
			best = i
		}
	}
	return best
}

// words are those of a message.
func (r *release) words(i int) string {
	f := strings.Fields(r.messages[i].text)
	return strings.Join(f[1:5], " ")
}

// TestDeploymentSettles replays two versions of ten services of each kind: a
// roll-out is told once among its first lines, few alerts follow, and from 2,000
// lines on there are no more than any ordinary log may raise.
func TestDeploymentSettles(t *testing.T) {
	const seeds = 10
	for _, kind := range latencies {
		t.Run(kind.what, func(t *testing.T) {
			late, settled := deployments(t, DefaultConfig(), kind.draw, seeds, true)
			if most := alertsPer100k * seeds * (linesAfter - settles) / 100_000; settled > most {
				t.Errorf("got %d alerts from line %d of the new versions on; want at most %d", settled, settles, most)
			}
			if most := seeds / 2; late > most {
				t.Errorf("got %d alerts from line 200 to line %d of the new versions; want at most %d", late, settles, most)
			}
		})
		if testing.Short() {
			return
		}
		t.Run(kind.what+", nothing deployed", func(t *testing.T) { deployments(t, DefaultConfig(), kind.draw, seeds, false) })
	}
	t.Run("without adapting", func(t *testing.T) {
		cfg := DefaultConfig()
		cfg.Without = Drift
		if late, settled := deployments(t, cfg, latencies[0].draw, seeds, true); late+settled < 2*seeds {
			t.Errorf("got %d and %d alerts; want so many that adapting is worth its code", late, settled)
		}
	})
}

// deployments returns how many alerts services raise from line 200 of their new
// version on, and from line 2,000 on, and checks that each roll-out is told once
// where there is one.
func deployments(t *testing.T, cfg Config, took latency, seeds int, deploy bool) (late, settled int) {
	t.Helper()
	before := 0
	for seed := range seeds {
		recs := undeployed(uint64(seed), took)
		if deploy {
			recs, _ = deployed(uint64(seed), took, false)
		}
		e, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		out := run(t, e, recs, 100, nil)
		first, rollouts := 0, 0
		note := func(i int, what string) {
			switch d := i - linesBefore; {
			case d < 0:
				before++
			case d < 200:
				first++
			case d < settles:
				late++
			default:
				settled++
				t.Logf("seed %d: line %d of the new version: %s", seed, d, what)
			}
		}
		for i, v := range out.Verdicts {
			if v.Anomaly {
				note(i, v.Explanation)
			}
		}
		for _, ev := range out.Events {
			note(int(ev.Seq), ev.Explanation)
			if d := int(ev.Seq) - linesBefore; ev.Reason == ReasonDrift && d >= 0 && d < 200 {
				rollouts++
			}
		}
		if !deploy && rollouts != 0 {
			t.Errorf("seed %d: got %d roll-outs where nothing was deployed; want none", seed, rollouts)
		}
		if deploy && cfg.Without != Drift && (first < 1 || rollouts != 1) {
			t.Errorf("seed %d: got %d alerts within 200 lines of the new version, %d of a roll-out; want some and one", seed, first, rollouts)
		}
	}
	t.Logf("%d services: %d alerts in %d lines before, %d from line 200 to %d, %d in the %d lines after these", seeds, before, linesBefore, late, settles, settled, linesAfter-settles)
	return late, settled
}

// TestDeploymentHidesNothing plants anomalies in the new version.
func TestDeploymentHidesNothing(t *testing.T) {
	for seed := range uint64(10) {
		recs, at := deployed(seed, latencies[0].draw, true)
		out := run(t, newEngine(t), recs, 100, nil)
		for i, n := range at {
			if v := out.Verdicts[n]; !v.Anomaly {
				t.Errorf("seed %d: %s (%s): got score %.2f; want an anomaly", seed, planted[i].what, recs[n].Line, v.Score)
			}
		}
	}
}

// TestRestoreWhileItSettles restores a snapshot right behind the roll-out: what
// weighs less, is uncertain or came with the change goes on to be.
func TestRestoreWhileItSettles(t *testing.T) {
	recs, _ := deployed(1, latencies[0].draw, true)
	want := run(t, newEngine(t), recs, 500, nil)
	e, restored := newEngine(t), false
	got := run(t, e, recs, 500, func(at int) {
		if at == linesBefore+500 || at == linesBefore+4500 {
			fresh := newEngine(t)
			if err := fresh.Restore(e.Snapshot(nil)); err != nil {
				t.Fatal(err)
			}
			*e, restored = *fresh, true
		}
	})
	if !restored {
		t.Fatal("got no restore; want two")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("other verdicts with restores (-without +with):\n%.3000s", diff)
	}
}
