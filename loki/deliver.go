package loki

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/grafana/loki-client-go/pkg/backoff"
)

// Deliver sends the pushes until Loki has answered for each, or ctx ends, or
// trying further is of no use now. It returns those that Loki has not answered
// for, in order: to be given to Deliver again, unchanged. A push that had to be
// halved may be left in parts.
//
// It goes in rounds. In a round each push is tried once, in order; after it, it
// waits as the backoff or Loki's Retry-After say, and tries what is left. A push
// that failed comes last in the next round, so that it holds up no other; when
// the server is down a round ends with the first failures.
func (c *Client) Deliver(ctx context.Context, pushes []Push) (left []Push, rep Report) {
	d := delivery{c: c, ctx: ctx, rep: &rep, isolate: isolateMax}
	todo := make([]item, len(pushes))
	for i, p := range pushes {
		todo[i] = item{Push: p, order: i}
	}
	pause := backoff.New(ctx, backoff.BackoffConfig{MinBackoff: c.cfg.Backoff.MinBackoff, MaxBackoff: c.cfg.Backoff.MaxBackoff})
	for retries := 0; ; retries++ {
		todo = d.round(todo)
		if len(todo) == 0 || ctx.Err() != nil {
			break
		}
		if n := c.cfg.Backoff.MaxRetries; n > 0 && retries >= n {
			todo = d.giveUp(todo)
			break
		}
		delay := max(pause.NextDelay(), d.after)
		if end, ok := ctx.Deadline(); ok && !c.now().Add(delay).Before(end) {
			break // it would end while waiting; Fluent Bit can use the time
		}
		c.wait(ctx, delay)
	}
	return d.finish(todo), rep
}

// delivery is one Deliver call.
type delivery struct {
	c       *Client
	ctx     context.Context
	rep     *Report
	blocked []item // not to be tried again by this call
	tenants map[string]bool
	isolate int           // requests left to spend on halving
	after   time.Duration // Retry-After of the round
}

// item is a push to be sent. order is that of the push it came from.
type item struct {
	Push
	order   int
	verdict verdict // of the last attempt; zero before the first
}

// round tries each item once and returns those to try again, the untried first.
func (d *delivery) round(todo []item) []item {
	d.after = 0
	var failed []item
	sick := 0
	for len(todo) > 0 && sick < sickMax && d.ctx.Err() == nil {
		it := todo[0]
		todo = todo[1:]
		if d.tenants[it.Tenant] {
			d.blocked = append(d.blocked, it)
			continue
		}
		now, later := d.try(&it)
		if len(now) > 0 {
			todo = append(now, todo...)
		}
		failed = append(failed, later...)
		switch {
		case it.verdict.action == actUnreachable:
			sick = sickMax
		case len(later) > 0:
			sick++
		default:
			sick = 0
		}
	}
	return append(slices.Clone(todo), failed...)
}

// try sends one push once and does what the answer asks for. It returns what to
// send now in its place, and what to send in the next round.
func (d *delivery) try(it *item) (now, later []item) {
	a := d.c.post(d.ctx, &it.Push)
	d.count(&a, len(it.Body))
	v := judge(&a, d.c.now())
	if a.status == 0 && d.ctx.Err() != nil && it.verdict.err != nil {
		v.err = it.verdict.err // says more than that the time was up
	}
	it.verdict = v
	if !v.throttling {
		it.throttled = 0
	}
	if v.action == actAccept || v.action == actCount {
		d.c.taken.note(it.Tenant, d.c.now())
	}
	switch v.action {
	case actAccept:
		d.rep.Accepted += it.Entries
	case actCount:
		d.rep.Accepted += it.Entries - countRefused(d.rep, &it.Push, a.body)
	case actRefuse:
		d.rep.refuse(v.cause, it.Entries, a.body)
	case actSplitCount:
		return d.streamsApart(it, a.body), nil
	case actIsolate:
		return d.isolateBad(it, a.body)
	case actHalve:
		return d.halve(it, a.body)
	case actStrip:
		return d.strip(it, a.body), nil
	case actBlock:
		d.block(*it)
	case actRetry, actUnreachable:
		return nil, d.retry(it)
	}
	return nil, nil
}

func (d *delivery) count(a *answer, bytes int) {
	d.rep.Attempts++
	d.rep.Bytes += bytes
	if d.rep.Status == nil {
		d.rep.Status = map[int]int{}
	}
	d.rep.Status[a.status]++
}

// retry returns the push for the next round, halved where it has met so many
// rate limits in a row that it may be larger than the burst.
func (d *delivery) retry(it *item) []item {
	d.after = max(d.after, it.verdict.after)
	if !it.verdict.throttling {
		return []item{*it}
	}
	it.throttled++
	if it.throttled < throttledMax(it) || it.Entries < 2 {
		return []item{*it}
	}
	it.throttled = 0
	return d.split(it, splitPush)
}

// throttledMax is how many 429 answers in a row a push may meet before it is halved.
func throttledMax(it *item) int {
	n := throttledBeforeSplit
	if rate := it.verdict.streamRate; rate > 0 && it.RawBytes > rate {
		return n
	}
	for size := max(it.RawBytes, 1); size <= throttledSplitBytes; size *= 2 {
		n *= 2
	}
	return n
}

// block leaves it, and all further pushes of its tenant: what is wrong is wrong
// for them too. Another tenant may have rights that this one lacks.
func (d *delivery) block(it item) {
	d.blocked = append(d.blocked, it)
	if d.tenants == nil {
		d.tenants = map[string]bool{}
	}
	d.tenants[it.Tenant] = true
}

// split returns the parts of it, or refuses what is no push at all, as a spool
// damaged on disk would hold.
func (d *delivery) split(it *item, by func(Push) ([]Push, error)) []item {
	pushes, err := by(it.Push)
	if err != nil {
		d.rep.refuse(CauseMalformed, it.Entries, err.Error())
		return nil
	}
	why := it.verdict
	why.hopeless, why.streamRate = false, 0 // said of the whole, not of a part
	parts := make([]item, len(pushes))
	for i, p := range pushes {
		parts[i] = item{Push: p, order: it.order, verdict: why}
		parts[i].doubted = it.doubted
	}
	return parts
}

// streamsApart sends the streams of a push on their own, so that each one's
// refusals are named. What Loki has stored of them it drops as repeats.
func (d *delivery) streamsApart(it *item, words string) []item {
	parts := d.split(it, splitStreams)
	if len(parts) == 1 {
		d.rep.refuse(it.verdict.cause, it.Entries, words)
		return nil
	}
	return parts
}

// isolateBad halves a push that was refused as a whole until the bad part stands
// alone, and refuses that. Words that could come from anything between here and
// Loki count only once Loki has accepted something in this call, or something else
// of the tenant since the push was first refused with them, by whichever call: else
// a broken gateway would make logscope throw all entries away, one by one. What
// Loki accepted before is no proof: gateways break.
func (d *delivery) isolateBad(it *item, words string) (now, later []item) {
	if it.doubted.IsZero() {
		it.doubted = d.c.now()
	}
	if it.verdict.needsProof && d.rep.Accepted == 0 && !d.c.taken.since(it.Tenant, it.doubted) {
		it.verdict.err.Config = true
		return nil, []item{*it}
	}
	if d.isolate == 0 {
		d.blocked = append(d.blocked, *it)
		return nil, nil
	}
	d.isolate--
	parts := d.split(it, splitPush)
	if len(parts) == 1 || it.verdict.streamBad && oneStream(it.Push) {
		d.rep.refuse(it.verdict.cause, it.Entries, words)
		return nil, nil
	}
	return parts, nil
}

func oneStream(p Push) bool {
	streams, err := decodePush(p.Body)
	return err == nil && len(streams) == 1
}

// halve halves a push that is too large. A single entry is refused, but where
// the size is that of a rate limit only if it can never pass, see giveUp.
func (d *delivery) halve(it *item, words string) (now, later []item) {
	parts := d.split(it, splitPush)
	switch {
	case len(parts) != 1:
		return parts, nil
	case it.verdict.overBurst:
		d.after = max(d.after, it.verdict.after)
		return nil, []item{*it}
	}
	d.rep.refuse(it.verdict.cause, it.Entries, words)
	return nil, nil
}

// strip sends a push again without the structured metadata that this Loki does
// not take: the lines matter more.
func (d *delivery) strip(it *item, words string) []item {
	p, stripped, err := withoutMetadata(it.Push)
	if err != nil || stripped == 0 {
		d.rep.refuse(CauseOther, it.Entries, words)
		return nil
	}
	d.rep.Stripped += stripped
	if d.rep.Sample == "" {
		d.rep.Sample = clip(words)
	}
	return []item{{Push: p, order: it.order}}
}

// giveUp is called after the last attempt: a single entry that is larger than
// its tenant's burst can be is refused then, the rest is left.
func (d *delivery) giveUp(todo []item) []item {
	return slices.DeleteFunc(todo, func(it item) bool {
		v := &it.verdict
		if it.Entries == 1 && (v.hopeless || v.streamRate > 0 && it.RawBytes/burstSecondsMax > v.streamRate) {
			d.rep.refuse(CauseRateLimited, it.Entries, it.verdict.err.Message)
			return true
		}
		return false
	})
}

// finish returns what is left and says why: what someone must act on, else what
// happened last.
func (d *delivery) finish(todo []item) []Push {
	todo = append(todo, d.blocked...)
	if len(todo) == 0 {
		return nil
	}
	var why *Error
	for i := range todo {
		if e := todo[i].verdict.err; e != nil && (why == nil || e.Config || !why.Config) {
			why = e
		}
	}
	if why == nil {
		why = &Error{Err: cmp.Or(context.Cause(d.ctx), context.DeadlineExceeded)}
	}
	d.rep.Err = why

	slices.SortStableFunc(todo, func(a, b item) int { return cmp.Compare(a.order, b.order) })
	left := make([]Push, len(todo))
	for i := range todo {
		left[i] = todo[i].Push
	}
	return left
}
