package detect

import (
	"math"

	"github.com/logscope/logscope/engine/sketch"
)

const (
	// rateBucket is the length of a counting bucket.
	rateBucket = 60 * Second
	// rateKeep makes the memory 60 buckets: 1/(1-w).
	rateKeep = 1 - 1.0/60
	// rateYoung is how many buckets a template must have been known for before
	// its rate can be called usual.
	rateYoung = 10
	// rateLeast is the smallest count that may be a burst: fewer lines within a
	// minute are no one's trouble.
	rateLeast = 10
	// ratePeakKeep halves the remembered peak in about a day.
	ratePeakKeep = 0.9995
	// ratePeakTimes is how far beyond every remembered bucket a burst must be:
	// hourly jobs repeat their bursts, counts in logs are far from Poisson.
	ratePeakTimes = 2.5
	// rateSure is the surprise beyond which only a quarter of the claim counts:
	// records come in clusters, and the Poisson tail knows nothing of that.
	rateSure, rateDoubt = 7.0, 4.0
)

// Rate is the discounted Gamma-Poisson model of one template's count per
// minute. After a bucket with count y the rate's distribution is
// Gamma(w*a + y, w*b + 1); the next count is negative binomial.
type Rate struct {
	bucket int64
	y      uint32
	told   uint32
	a, b   float32
	peak   float32
}

// Surprise is that of one more record at now: Chernoff's bound on the upper
// tail of the negative binomial, 0 where the count is not remarkable.
func (r *Rate) Surprise(now int64) float64 {
	y := float64(r.y + 1)
	if y < rateLeast || now/rateBucket != r.bucket || r.b < rateYoung || y < ratePeakTimes*float64(r.peak) {
		return 0
	}
	shape := float64(r.a) + 0.5
	mean := shape / (float64(r.b) + 0.5)
	if y < 4*mean {
		return 0
	}
	s := y*sketch.Ln(y/mean) - (y+shape)*sketch.Ln((y+shape)/(mean+shape))
	return min(NatsMax, min(s, rateSure+max(0, s-rateSure)/rateDoubt))
}

// Learn counts a record at now. A count beyond the limit of the usual is
// learned as that limit, so that an incident does not become normal at once.
func (r *Rate) Learn(now int64) {
	bucket := now / rateBucket
	if bucket != r.bucket {
		r.roll(bucket)
	}
	r.y++
}

// roll closes the current bucket and the empty ones up to the given one.
func (r *Rate) roll(bucket int64) {
	if r.y > 0 {
		y := float32(r.y)
		if r.b >= rateYoung {
			y = min(y, 4*max(r.peak, 4))
		}
		r.a, r.b = r.a*rateKeep+y, r.b*rateKeep+1
		r.peak = max(r.peak*ratePeakKeep, y)
	}
	if empty := bucket - r.bucket - 1; empty > 0 && r.b > 0 {
		k := math.Pow(rateKeep, float64(min(empty, 100_000)))
		r.a = float32(float64(r.a) * k)
		r.b = float32(float64(r.b)*k + (1-k)/(1-rateKeep))
		r.peak = float32(float64(r.peak) * math.Pow(ratePeakKeep, float64(min(empty, 100_000))))
	}
	r.bucket, r.y, r.told = bucket, 0, 0
}

// Born sets the rate of what came for the first time at now, in a stream as
// old as the given span: it has come never in all these buckets, which is
// knowledge as good as a count.
func (r *Rate) Born(now, age int64) {
	k := math.Pow(rateKeep, float64(age/rateBucket))
	r.bucket, r.b = now/rateBucket, float32((1-k)/(1-rateKeep))
}

// Tell notes that the current count was reported; Told says what it was then.
func (r *Rate) Tell() { r.told = r.y + 1 }

// Told returns the count last reported in this bucket, 0 for none.
func (r *Rate) Told() uint32 { return r.told }

// Count returns the current bucket's count, one more record included, the usual
// count per minute and the highest remembered.
func (r *Rate) Count() (now uint32, usual, peak float64) {
	return r.y + 1, float64(r.a) / max(1, float64(r.b)), float64(r.peak)
}

// Sync passes the state through c.
func (r *Rate) Sync(c *sketch.Codec) {
	c.I64(&r.bucket)
	c.U32(&r.y)
	c.U32(&r.told)
	c.F32(&r.a)
	c.F32(&r.b)
	c.F32(&r.peak)
}
