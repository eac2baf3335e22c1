package sketch

import "math"

const (
	// adwinRow is how many buckets of a size are kept; the two oldest of a row
	// merge when another comes.
	adwinRow = 5
	// adwinRows bounds the window to 5 * 2^24 values or so.
	adwinRows = 24
	// adwinSide is the least number of values on each side of a cut.
	adwinSide = 5
	// adwinEvery is how many values pass between two looks.
	adwinEvery = 8
)

// ADWIN keeps a window of values whose mean has not changed, and cuts off its
// older part where it has (Bifet and Gavalda, SDM 2007). The window is held in
// buckets of 1, 2, 4, ... values; every boundary between buckets is tested.
// The zero value is ready. 2 KB.
type ADWIN struct {
	rows  [adwinRows][adwinRow + 1]adwinBucket
	count [adwinRows]uint8
	n     float64
	sum   float64
	m2    float64 // sum of squared deviations from the mean
	ticks uint32
}

// adwinBucket holds 2^row values: the oldest bucket of a row is its first.
type adwinBucket struct{ sum, m2 float64 }

// Add takes a value and tells whether the mean has changed, with the means of
// the older and the newer part. delta is the probability of a false change.
func (a *ADWIN) Add(v, delta float64) (changed bool, before, after float64) {
	a.insert(v)
	if a.ticks++; a.ticks%adwinEvery != 0 || a.n < 2*adwinSide {
		return false, 0, 0
	}
	for {
		cut, b, n := a.look(delta)
		if !cut {
			return changed, before, after
		}
		if !changed {
			changed, before, after = true, b, n
		}
		a.drop()
	}
}

// Window returns the number of values in the window and their mean.
func (a *ADWIN) Window() (n, mean float64) {
	if a.n == 0 {
		return 0, 0
	}
	return a.n, a.sum / a.n
}

func (a *ADWIN) insert(v float64) {
	if a.n > 0 {
		d := v - a.sum/a.n
		a.m2 += d * d * a.n / (a.n + 1)
	}
	a.n++
	a.sum += v
	a.push(0, adwinBucket{sum: v})
}

// push adds a bucket to a row and merges the two oldest where it is full.
func (a *ADWIN) push(row int, b adwinBucket) {
	for {
		a.rows[row][a.count[row]] = b
		a.count[row]++
		if a.count[row] <= adwinRow {
			return
		}
		b = merge(a.rows[row][0], a.rows[row][1], math.Exp2(float64(row)))
		copy(a.rows[row][:], a.rows[row][2:])
		a.count[row] -= 2
		if row++; row == adwinRows {
			// The window is full: its oldest values are forgotten.
			a.forget(b, math.Exp2(float64(row)))
			return
		}
	}
}

// merge joins two buckets of n values each.
func merge(x, y adwinBucket, n float64) adwinBucket {
	d := (x.sum - y.sum) / n
	return adwinBucket{x.sum + y.sum, x.m2 + y.m2 + d*d*n/2}
}

// forget takes a bucket of n values out of the totals.
func (a *ADWIN) forget(b adwinBucket, n float64) {
	rest := a.n - n
	if rest <= 0 {
		*a = ADWIN{ticks: a.ticks}
		return
	}
	d := b.sum/n - (a.sum-b.sum)/rest
	a.m2 = max(0, a.m2-b.m2-d*d*n*rest/a.n)
	a.n, a.sum = rest, a.sum-b.sum
}

// drop cuts off the oldest bucket.
func (a *ADWIN) drop() {
	for row := adwinRows - 1; row >= 0; row-- {
		if a.count[row] == 0 {
			continue
		}
		b := a.rows[row][0]
		copy(a.rows[row][:], a.rows[row][1:])
		a.count[row]--
		a.forget(b, math.Exp2(float64(row)))
		return
	}
}

// look tests every boundary between buckets, the oldest first.
func (a *ADWIN) look(delta float64) (cut bool, before, after float64) {
	n0, s0 := 0.0, 0.0
	variance := a.m2 / a.n
	ln := math.Log(2 * math.Log(a.n) / delta)
	for row := adwinRows - 1; row >= 0; row-- {
		size := math.Exp2(float64(row))
		for i := range int(a.count[row]) {
			n0 += size
			s0 += a.rows[row][i].sum
			n1 := a.n - n0
			if n0 < adwinSide || n1 < adwinSide {
				continue
			}
			u0, u1 := s0/n0, (a.sum-s0)/n1
			m := 1/n0 + 1/n1
			if math.Abs(u0-u1) > math.Sqrt(2*m*variance*ln)+2.0/3*m*ln {
				return true, u0, u1
			}
		}
	}
	return false, 0, 0
}

// Sync passes the state through c.
func (a *ADWIN) Sync(c *Codec) {
	for row := range a.rows {
		c.U8(&a.count[row])
		if a.count[row] > adwinRow {
			c.Fail("got %d buckets in a row; want at most %d", a.count[row], adwinRow)
			a.count[row] = 0
		}
		for i := range int(a.count[row]) {
			c.F64(&a.rows[row][i].sum)
			c.F64(&a.rows[row][i].m2)
		}
	}
	c.F64(&a.n)
	c.F64(&a.sum)
	c.F64(&a.m2)
	c.U32(&a.ticks)
	if !c.Reading() {
		return
	}
	n := 0.0
	for row := range a.rows {
		n += float64(a.count[row]) * math.Exp2(float64(row))
	}
	if n != a.n {
		c.Fail("got a window of %v values in buckets of %v", a.n, n)
		*a = ADWIN{}
	}
}
