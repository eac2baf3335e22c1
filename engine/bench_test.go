package engine

import (
	"fmt"
	"testing"
)

// blocks makes n synthetic lines of 140 to 150 bytes in the manner of a
// distributed file system: sessions of eight steps, addresses, sizes.
func blocks(n int) []Record {
	var recs []Record
	next := uint64(88172645463325252)
	rnd := func(k uint64) uint64 {
		next ^= next << 13
		next ^= next >> 7
		next ^= next << 17
		return next % k
	}
	var open []uint64
	for i := 0; len(recs) < n; i++ {
		if len(open) < 400 {
			open = append(open, rnd(1<<62)<<3)
		}
		k := rnd(uint64(len(open)))
		id, step := open[k]>>3, open[k]&7
		stamp := fmt.Sprintf("081109 %02d%02d%02d %d INFO ", 20+i/360000%4, i/6000%60, i/100%60, 100+rnd(900))
		var line string
		switch step {
		case 0, 1:
			line = fmt.Sprintf("dfs.DataNode$DataXceiver: Receiving block blk_%d src: /10.250.%d.%d:%d dest: /10.251.%d.%d:50010", id, rnd(19), rnd(250), 32768+rnd(28000), rnd(200), rnd(250))
		case 2:
			line = fmt.Sprintf("dfs.FSNamesystem: BLOCK* NameSystem.allocateBlock: /user/root/rand/_temporary/_task_200811092030_0001_m_%06d_0/part-%05d. blk_%d", rnd(2000), rnd(2000), id)
		case 3, 4:
			line = fmt.Sprintf("dfs.DataNode$PacketResponder: PacketResponder %d for block blk_%d terminating in service of the writing pipeline of this node", rnd(3), id)
		case 5:
			line = fmt.Sprintf("dfs.DataNode$PacketResponder: Received block blk_%d of size 67108864 from /10.250.%d.%d over the network interface", id, rnd(19), rnd(250))
		default:
			line = fmt.Sprintf("dfs.FSNamesystem: BLOCK* NameSystem.addStoredBlock: blockMap updated: 10.251.%d.%d:50010 is added to blk_%d size 67108864", rnd(200), rnd(250), id)
		}
		recs = append(recs, Record{Stream: "dfs", Line: []byte(stamp + line)})
		if step == 7 {
			open[k] = rnd(1<<62) << 3
		} else {
			open[k]++
		}
	}
	return recs
}

// BenchmarkScore measures the whole engine in steady state, a record at a time
// as the figure is given, in blocks as it is used.
func BenchmarkScore(b *testing.B) {
	recs := blocks(400_000)
	size := 0
	for _, r := range recs {
		size += len(r.Line)
	}
	e := newEngine(b)
	var verdicts []Verdict
	var events []Event
	score := func(at int) {
		verdicts = e.Score(verdicts[:0], recs[at:at+5000])
		events = e.Events(events[:0])
	}
	for at := 0; at < 200_000; at += 5000 {
		score(at)
	}
	b.SetBytes(int64(size / len(recs)))
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; done += 5000 {
		score(200_000 + done%200_000)
	}
	b.StopTimer()
	s := e.Stats()
	b.ReportMetric(float64(s.MemoryBytes), "state-bytes")
}

// BenchmarkSnapshot measures writing and reading the state of 50,000 records.
func BenchmarkSnapshot(b *testing.B) {
	e := newEngine(b)
	e.Score(nil, mixed(50_000))
	var buf []byte
	for b.Loop() {
		buf = e.Snapshot(buf[:0])
		if err := e.Restore(buf); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(buf)), "bytes")
}
