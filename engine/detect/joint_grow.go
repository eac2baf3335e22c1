package detect

import (
	"math"
	"slices"
)

// choose leaves out the numbers that are no measures, and of more than
// jointSlots those that go together least. It returns false where one or none is left.
func (f *Joint) choose(t *Template) bool {
	d := int(f.dims)
	var ranks [][]float32
	var keep []int
	column := make([]float32, jointPoints)
	for k := range d {
		for i := range column {
			column[i] = f.ring[i*d+k]
		}
		if z, modal := ranksOf(column); t.Slots[f.slots[k]].measure() && modal < jointConstant {
			ranks, keep = append(ranks, z), append(keep, k)
		}
	}
	if len(keep) < 2 {
		return false
	}
	if len(keep) > jointSlots {
		var chosen []int
		for _, k := range together(ranks) {
			chosen = append(chosen, keep[k])
		}
		keep = chosen
	}
	ring, slots := make([]float32, jointPoints*len(keep)), f.slots
	f.slots = [jointCandidates]uint8{}
	for j, k := range keep {
		f.slots[j] = slots[k]
		for i := range jointPoints {
			ring[i*len(keep)+j] = f.ring[i*d+k]
		}
	}
	f.ring, f.dims = ring, uint8(len(keep))
	return true
}

// ranksOf returns the ranks of the values, from -1 to 1 and the same for equal
// ones, and the share of the most frequent one.
func ranksOf(column []float32) (z []float32, modal float64) {
	sorted := slices.Clone(column)
	slices.Sort(sorted)
	n := len(column)
	z = make([]float32, n)
	most := 0
	for i, v := range column {
		from, _ := slices.BinarySearch(sorted, v)
		to, _ := slices.BinarySearch(sorted, math.Nextafter32(v, math.MaxFloat32))
		z[i] = float32(from+to)/float32(n) - 1
		most = max(most, to-from)
	}
	return z, float64(most) / float64(n)
}

// together returns the two columns whose ranks are most correlated, and those most
// correlated with either, in order.
func together(ranks [][]float32) (in []int) {
	tie := func(a, b int) float64 {
		sum := 0.0
		for i := range ranks[a] {
			sum += float64(ranks[a][i]) * float64(ranks[b][i])
		}
		return math.Abs(sum)
	}
	for len(in) < jointSlots {
		one, other, most := 0, 0, -1.0
		for a := range ranks {
			for b := range ranks {
				if a == b || slices.Contains(in, a) || len(in) > 0 && !slices.Contains(in, b) {
					continue
				}
				if v := tie(a, b); v > most {
					one, other, most = a, b, v
				}
			}
		}
		if in = append(in, one); len(in) == 1 {
			in = append(in, other)
		}
	}
	slices.Sort(in)
	return in
}

// begin sets the ranks, and what they say of each other; then trees are grown.
func (f *Joint) begin(t *Template) {
	d := int(f.dims)
	for k := range d {
		none := 0
		for i := range jointPoints {
			if f.ring[i*d+k] == lnNone {
				none++
			}
		}
		f.ranks[k].set(t.Slots[f.slots[k]].number, float64(none)/jointPoints)
	}
	f.relate()
	if f.trees == nil {
		f.trees = make([]tree, forestTrees)
	}
	f.project()
	f.crowd()
	f.state, f.stage, f.lines, f.odd = jointGrowing, 0, 0, 0
}

// relate sets what is left of each number when the others have said what they
// can: its row of the inverse of the covariances, to deviation 1.
func (f *Joint) relate() {
	var mean [jointSlots]float64
	var cov, inv [jointSlots][jointSlots]float64
	d := int(f.dims)
	for i := range jointPoints {
		var z [jointSlots]float64
		for k := range d {
			z[k] = float64(f.ranks[k].rank(f.ring[i*d+k]))
			mean[k] += z[k] / jointPoints
			for j := range k + 1 {
				cov[k][j] += z[k] * z[j] / jointPoints
			}
		}
	}
	// Cholesky's root in the place of the covariances, and its inverse.
	for k := range d {
		for j := range k + 1 {
			v := cov[k][j] - mean[k]*mean[j]
			for m := range j {
				v -= cov[k][m] * cov[j][m]
			}
			if j < k {
				cov[k][j] = v / cov[j][j]
				continue
			}
			cov[k][k] = max(math.Sqrt(max(v, 0)), jointFloor)
		}
		inv[k][k] = 1 / cov[k][k]
		for j := range k {
			for m := j; m < k; m++ {
				inv[k][j] -= cov[k][m] * inv[m][j] / cov[k][k]
			}
		}
	}
	f.across = [jointSlots][jointSlots + 1]float32{}
	for k := range d {
		var row [jointSlots]float64
		for m := range d {
			for i := range d {
				row[m] += inv[i][k] * inv[i][m]
			}
		}
		offset := 0.0
		for m := range d {
			v := row[m] / math.Sqrt(row[k])
			f.across[k][m] = float32(v)
			offset += v * mean[m]
		}
		f.across[k][jointSlots] = float32(offset)
	}
}

// project sets the shadows of all records.
func (f *Joint) project() {
	if f.shadows == nil {
		f.shadows = make([]shadow, jointPoints)
	}
	var x [jointCandidates]float32
	for i := range f.shadows {
		f.point(i, &x)
		f.shade(&x, &f.shadows[i])
	}
}

// crowd finds the cells that hold several records.
func (f *Joint) crowd() {
	var n [1 << cellBits]uint8
	f.crowded = [len(f.crowded)]uint8{}
	for i := range f.shadows {
		at := place(&f.shadows[i])
		if n[at] = min(n[at]+1, cellCrowd); n[at] == cellCrowd {
			f.crowded[at>>3] |= 1 << (at & 7)
		}
	}
}

// grow takes the next step: a tree, or, behind the last one, half a look at what the
// trees are worth. It returns false where the numbers do not go together: as
// many of the records put together are odd as of the true ones (the contrast of
// Keller, Müller, Böhm, HiCS, ICDE 2012). scratch is used.
func (f *Joint) grow(scratch *[]shadow) bool {
	f.stage++
	if int(f.stage) <= forestTrees {
		points := (*scratch)[:0]
		for range forestSample {
			points = append(points, f.shadows[f.chance.below(jointPoints)])
		}
		*scratch = points
		f.trees[f.stage-1].grow(points, int(f.dims), &f.chance)
		return true
	}
	const half = jointProbe / 2
	switch f.stage - forestTrees {
	case 1:
		if f.measureDepths(); f.proven && f.chance.below(jointDoubt) > 0 {
			f.state = jointReady
		}
		return true
	case 2:
		f.odd += f.oddMixtures(half)
		return true
	}
	f.odd += f.oddMixtures(half)
	power := float64(f.odd) / jointProbe
	keep := power >= jointPower || f.proven && power >= jointKeep
	f.state, f.proven = jointReady, true
	return keep
}

// measureDepths sets how deep true records are.
func (f *Joint) measureDepths() {
	var depths [jointTrue]float32
	for i := range depths {
		depths[i] = f.depth(&f.shadows[i*(jointPoints/jointTrue)], false)
	}
	slices.Sort(depths[:])
	f.usual, f.edge = depths[jointTrue/2], depths[jointTrue*jointEdge/100]
}

// oddMixtures returns how many of so many records, put together of the numbers of
// different ones, are odd.
func (f *Joint) oddMixtures(n int) (odd uint16) {
	var x, y [jointCandidates]float32
	var p shadow
	for range n {
		for k := range int(f.dims) {
			f.point(f.chance.below(jointPoints), &y)
			x[k] = y[k]
		}
		f.shade(&x, &p)
		if f.depth(&p, false) < f.edge {
			odd++
		}
	}
	return odd
}
