package drain

// AppendState appends the learned state to dst.
func (m *Miner) AppendState(dst []byte) []byte { return dst }

// ReadState replaces the learned state by the one at the start of data and returns what follows it.
func (m *Miner) ReadState(data []byte) (rest []byte, err error) { return data, nil }
