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
	blocked []item // left for good by this call
	tenants map[string]bool
	isolate int           // requests left to spend on halving
	after   time.Duration // Retry-After of the round
	lastErr *Error
}

// item is a push to be sent. order is that of the push it came from.
type item struct {
	Push
	order    int
	isolated bool // part of a push that was refused as a whole
	verdict  verdict
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
		again, parts := d.try(&it)
		if again {
			failed = append(failed, it)
			sick++
			if it.verdict.action == actUnreachable {
				break
			}
			continue
		}
		sick = 0
		if len(parts) > 0 {
			todo = append(slices.Clone(parts), todo...)
		}
	}
	return append(slices.Clone(todo), failed...)
}

// try sends one push once and does what the answer asks for. It returns whether
// the push is to be tried again, or what is to be sent in its place.
func (d *delivery) try(it *item) (again bool, parts []item) {
	a := d.c.post(d.ctx, &it.Push)
	d.count(&a, len(it.Body))
	v := judge(&a, d.c.now())
	it.verdict = v
	if v.err != nil {
		d.note(v.err)
	}
	if !v.throttling {
		it.throttled = 0
	}
	switch v.action {
	case actAccept:
		d.accept(it.Entries)
	case actCount:
		d.accept(it.Entries - countRefused(d.rep, &it.Push, a.body))
	case actRefuse:
		d.rep.refuse(v.cause, it.Entries, a.body)
	case actSplitCount:
		return false, d.streamsApart(it, a.body)
	case actIsolate:
		return false, d.isolateBad(it, a.body)
	case actHalve:
		return d.halve(it, a.body)
	case actStrip:
		return false, d.strip(it, a.body)
	case actBlock:
		d.block(*it)
	case actRetry, actUnreachable:
		d.after = max(d.after, v.after)
		if v.throttling {
			it.throttled++
			if it.throttled >= throttledBeforeSplit && it.RawBytes > throttledSplitBytes {
				return false, d.split(it, splitPush)
			}
		}
		return true, nil
	}
	return false, nil
}

func (d *delivery) count(a *answer, bytes int) {
	d.rep.Attempts++
	d.rep.Bytes += bytes
	if d.rep.Status == nil {
		d.rep.Status = map[int]int{}
	}
	d.rep.Status[a.status]++
}

// note keeps the error to report: one that someone must act on, else the last.
func (d *delivery) note(e *Error) {
	if d.lastErr == nil || !d.lastErr.Config || e.Config {
		d.lastErr = e
	}
}

func (d *delivery) accept(entries int) {
	d.rep.Accepted += entries
	d.c.proven.Store(true)
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
	parts := make([]item, len(pushes))
	for i, p := range pushes {
		parts[i] = item{Push: p, order: it.order, isolated: it.isolated}
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
// alone, and refuses that. Words that are not Loki's as we know them are
// believed only when Loki has accepted something.
func (d *delivery) isolateBad(it *item, words string) []item {
	if d.isolate == 0 {
		d.blocked = append(d.blocked, *it)
		return nil
	}
	d.isolate--
	it.isolated = true
	parts := d.split(it, splitPush)
	whole := len(parts) == 1 || it.verdict.streamBad && oneStream(it.Push)
	switch {
	case len(parts) == 0:
	case whole && it.verdict.unknown && !d.c.proven.Load():
		it.verdict.err.Config = true
		d.note(it.verdict.err)
		d.block(*it)
	case whole:
		d.rep.refuse(it.verdict.cause, it.Entries, words)
	default:
		return parts
	}
	return nil
}

func oneStream(p Push) bool {
	streams, err := decodePush(p.Body)
	return err == nil && len(streams) == 1
}

// halve halves a push that is too large. A single entry is refused, but where
// the size is that of a rate limit only if it can never pass.
func (d *delivery) halve(it *item, words string) (again bool, parts []item) {
	parts = d.split(it, splitPush)
	switch {
	case len(parts) != 1:
		return false, parts
	case it.verdict.overBurst:
		d.after = max(d.after, it.verdict.after)
		return true, nil
	}
	d.rep.refuse(it.verdict.cause, it.Entries, words)
	return false, nil
}

func (d *delivery) strip(it *item, words string) []item {
	p, stripped, err := withoutMetadata(it.Push)
	if err != nil || stripped == 0 {
		d.rep.refuse(cmp.Or(it.verdict.cause, CauseOther), it.Entries, words)
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
		if it.verdict.overBurst && it.verdict.hopeless {
			d.rep.refuse(CauseRateLimited, it.Entries, it.verdict.err.Message)
			return true
		}
		return false
	})
}

// finish returns what is left and says why.
func (d *delivery) finish(todo []item) []Push {
	todo = append(todo, d.blocked...)
	if len(todo) == 0 {
		return nil
	}
	slices.SortStableFunc(todo, func(a, b item) int { return cmp.Compare(a.order, b.order) })
	left := make([]Push, len(todo))
	for i := range todo {
		left[i] = todo[i].Push
	}
	if d.lastErr == nil {
		d.lastErr = &Error{Err: context.Cause(d.ctx), Message: "not tried"}
		if d.lastErr.Err == nil {
			d.lastErr.Err = context.DeadlineExceeded
		}
	}
	d.rep.Err = d.lastErr
	return left
}
