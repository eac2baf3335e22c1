package detect

import "github.com/logscope/logscope/engine/sketch"

const (
	// statusesMax bounds the statuses counted apart, 48 bytes each; codes from
	// beyond share none and are not watched.
	statusesMax = 32
	// statusLeast is the first status of a request that failed: more of the
	// others is more traffic.
	statusLeast = 400
	// statusFault is the first status that is the server's own fault: it need not
	// have been seen before to be known as rare.
	statusFault = 500
)

// status is what is known of one status of failed requests, over all routes:
// a fault behind one server spreads over them.
type status struct {
	code  uint16
	rate  Rate
	quiet int64
}

// status returns the status of the request's answer and its text, 0 where there is none.
func (r *request) status() (code uint16, text []byte) {
	for i := range r.params {
		if p := &r.params[i]; string(p.Key) == "status" && p.Num >= 100 && p.Num < 1000 {
			return uint16(p.Num), p.Value
		}
	}
	return 0, nil
}

// statusOf returns the request's status if it is one of failure, else 0.
func (r *request) statusOf() uint16 {
	if code, _ := r.status(); code >= statusLeast {
		return code
	}
	return 0
}

// failed returns the state of the request's status, nil where it is none of
// failure or not known.
func (a *Access) failed() *status {
	code := a.req.statusOf()
	if code == 0 {
		return nil
	}
	for i := range a.statuses {
		if a.statuses[i].code == code {
			return &a.statuses[i]
		}
	}
	return nil
}

// TestStatus is the surprise of one more request at now that failed as this one did.
func (a *Access) TestStatus(now int64) float64 {
	if st := a.failed(); st != nil {
		return st.rate.Surprise(now)
	}
	return 0
}

// TellStatus tells whether the flood of this status is news until the given
// moment, and notes that it was told.
func (a *Access) TellStatus(now, until int64) bool {
	st := a.failed()
	if st == nil {
		return false
	}
	news := now >= st.quiet
	st.quiet = until
	return news
}

// Status returns the status, its count in this minute with this request, and
// the usual and the highest count of a minute.
func (a *Access) Status() (code uint16, now uint32, usual, peak float64) {
	if st := a.failed(); st != nil {
		now, usual, peak = st.rate.Count()
		code = st.code
	}
	return
}

// LearnStatus counts the request's status in a stream as old as the given span.
func (a *Access) LearnStatus(now, age int64) {
	code := a.req.statusOf()
	if code == 0 {
		return
	}
	st := a.failed()
	if st == nil {
		if len(a.statuses) == statusesMax {
			return
		}
		a.statuses = append(a.statuses, status{code: code})
		if st = &a.statuses[len(a.statuses)-1]; code >= statusFault {
			st.rate.Born(now, age)
		}
	}
	st.rate.Learn(now)
}

func (s *status) sync(c *sketch.Codec) {
	c.U16(&s.code)
	s.rate.Sync(c)
	c.I64(&s.quiet)
}
