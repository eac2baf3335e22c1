package sketch

import "math"

const (
	// histBins are 192 bins of gamma 1.2: fifteen decades, from a thousandth to a terabyte in bytes, each value within
	// +-9%. Ranks are exact at bin edges, which is what p-values need
	// (DDSketch, Masson and others, VLDB 2019, bounds the value's error).
	histBins = 192
	// histFloor is ln of the smallest value with a bin of its own.
	histFloor = -6.9 // 1e-3
	// histWidth is ln(1.2).
	histWidth = 0.18232155679395463
	// histFull is the count at which everything is halved: the sketch
	// remembers about its last 4,096 values.
	histFull = 4096
)

// LogHist is a histogram of positive numbers on a logarithmic scale that
// forgets: when it holds histFull values all bins are halved. 392 bytes.
// Values at or below 1e-3 share the first bin, values beyond 1e12 or so the last.
type LogHist struct {
	bins [histBins]uint16
	n    uint32
}

// Bin returns the bin of a value given by its natural logarithm.
func Bin(ln float64) int {
	b := (ln - histFloor) / histWidth
	if !(b > 0) {
		return 0
	}
	if b >= histBins-1 {
		return histBins - 1
	}
	return int(b)
}

// Bins is the number of bins.
const Bins = histBins

// Place returns the bin of a value given by its natural logarithm, and how far
// into it the value lies, 0 to 1.
func Place(ln float64) (bin int, part float64) {
	b := (ln - histFloor) / histWidth
	bin = Bin(ln)
	return bin, min(max(b-float64(bin), 0), 1)
}

// In returns how many values are remembered in a bin.
func (h *LogHist) In(bin int) int { return int(h.bins[bin]) }

// BinLow returns ln of the lower edge of a bin.
func BinLow(bin int) float64 { return histFloor + float64(bin)*histWidth }

// Add counts a value given by its natural logarithm.
func (h *LogHist) Add(ln float64) {
	h.bins[Bin(ln)]++
	h.n++
	if h.n >= histFull {
		h.Halve()
	}
}

// Halve forgets half of what was seen. What a bin cannot halve is carried to
// the next one, so that rare values do not all vanish at once.
func (h *LogHist) Halve() {
	var n, carry uint32
	for i, c := range h.bins {
		v := uint32(c) + carry
		carry = v & 1
		v >>= 1
		h.bins[i] = uint16(v)
		n += v
	}
	h.n = n
}

// Count returns how many values are remembered.
func (h *LogHist) Count() int { return int(h.n) }

// Above returns how many remembered values lie in bins beyond that of ln.
func (h *LogHist) Above(ln float64) int {
	n := 0
	for i := Bin(ln) + 1; i < histBins; i++ {
		n += int(h.bins[i])
	}
	return n
}

// Quantile returns ln of the upper edge of the bin that holds the q-quantile,
// NaN where nothing was seen.
func (h *LogHist) Quantile(q float64) float64 {
	if h.n == 0 {
		return math.NaN()
	}
	rank := uint32(q * float64(h.n))
	if rank >= h.n {
		rank = h.n - 1
	}
	sum := uint32(0)
	for i, c := range h.bins {
		sum += uint32(c)
		if sum > rank {
			return BinLow(i + 1)
		}
	}
	return BinLow(histBins)
}

// Sync passes the state through c.
func (h *LogHist) Sync(c *Codec) {
	var n uint32
	for i := range h.bins {
		c.U16(&h.bins[i])
		n += uint32(h.bins[i])
	}
	h.n = n
}

// Excess returns the mean of ln(value) - ln over the values in bins above ln,
// taken at the bins' middles, and their number.
func (h *LogHist) Excess(ln float64) (mean, count float64) {
	sum := 0.0
	for i := Bin(ln + 1e-9); i < histBins; i++ {
		if c := float64(h.bins[i]); c > 0 {
			sum += c * max(0, BinLow(i)+histWidth/2-ln)
			count += c
		}
	}
	if count == 0 {
		return 0, 0
	}
	return sum / count, count
}
