package detect

// fadeRounds is how often everything learned is halved when a log has changed:
// what comes from then on weighs four times what came before.
const fadeRounds = 2

// gapsFaded is how many gaps the mean stands for after a change.
const gapsFaded = gapsMemory / 4

// Fade lets what was learned weigh less than what will be: the log has changed.
// Words and networks known, calibrations and what is told already stay.
func (t *Template) Fade() {
	t.Rate.fade()
	t.Gaps.weigh = min(t.Gaps.weigh, gapsFaded)
	for i := range t.Slots {
		if n := t.Slots[i].number; n != nil {
			n.fade()
		}
	}
	if t.Joint != nil {
		t.Joint.restart()
	}
}

// fade keeps the rate and makes it less certain; the highest count stays, a
// burst must still be one beyond all of them.
func (r *Rate) fade() {
	if r.b > rateYoung { // a young rate must go on to say nothing
		keep := max(1.0/(1<<fadeRounds), rateYoung/r.b)
		r.a, r.b = r.a*keep, r.b*keep
	}
}

// fade halves the counts; the tail is fitted anew, and uncertain until it has been seen again.
func (m *Numeric) fade() {
	m.since = 0
	for i := 0; i < fadeRounds && m.hist.Count() >= 4*numericLeast; i++ {
		m.hist.Halve() // enough are left to go on testing
	}
	if m.hist.Count() >= numericLeast/2 {
		m.fit()
	}
}
