package drain

import "slices"

// Prune forgets the clusters that drop says yes to and returns how many they
// were. It must not be called between Begin and the last Parse of its block.
func (m *Miner) Prune(drop func(*Cluster) bool) (n int) {
	for _, c := range slices.Backward(m.clusters) { // so that the lowest places are filled first
		if c.live && drop(&c.Cluster) {
			m.drop(c)
			c.Text = "" // of many clusters that never come back, the texts are what costs
			n++
		}
	}
	return n
}
