package drain

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// hdfsLines are lines as the HDFS name and data nodes write them, 147 bytes on average.
func hdfsLines(n int) [][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	ip := func() string { return fmt.Sprintf("10.25%d.%d.%d", r.IntN(5), r.IntN(256), r.IntN(256)) }
	block := func() string { return fmt.Sprintf("blk_-%d", r.Int64()) }
	lines := make([][]byte, n)
	for i := range lines {
		head := fmt.Sprintf("081109 %02d%02d%02d %d INFO dfs.", 10+i/3600%10, i/60%60, i%60, r.IntN(4000))
		var s string
		switch r.IntN(5) {
		case 0:
			s = fmt.Sprintf("DataNode$PacketResponder: PacketResponder %d for block %s terminating", r.IntN(3), block())
		case 1:
			s = fmt.Sprintf("DataNode$DataXceiver: Receiving block %s src: /%s:%d dest: /%s:50010", block(), ip(), r.IntN(65536), ip())
		case 2:
			s = fmt.Sprintf("FSNamesystem: BLOCK* NameSystem.addStoredBlock: blockMap updated: %s:50010 is added to %s size %d", ip(), block(), r.IntN(1<<26))
		case 3:
			s = fmt.Sprintf("FSNamesystem: BLOCK* NameSystem.allocateBlock: /user/root/rand/_temporary/_task_200811092030_0001_m_%06d_0/part-%05d. %s", r.IntN(9999), r.IntN(99999), block())
		default:
			s = fmt.Sprintf("DataNode$PacketResponder: Received block %s of size %d from /%s", block(), r.IntN(1<<26), ip())
		}
		lines[i] = []byte(head + s)
	}
	return lines
}

// mixedLines are lines of many systems.
func mixedLines(n int) [][]byte {
	r := rand.New(rand.NewPCG(3, 4))
	lines := make([][]byte, n)
	for i := range lines {
		var s string
		switch k := r.IntN(900); i % 6 {
		case 0:
			s = fmt.Sprintf(`10.1.%d.3 - - [02/Jan/2006:15:%02d:05 -0700] "GET /item/%d?x=%d HTTP/1.1" 200 %d "-" "Mozilla/5.0 (X11; Linux)"`, k%256, k%60, k, k*7, k*31)
		case 1:
			s = fmt.Sprintf(`{"ts":"2024-01-02T15:04:%02d.123Z","level":"info","msg":"order %d paid in %dms","user_id":%d,"trace_id":"%032x","ok":true}`, k%60, k, k, k*3, k*k)
		case 2:
			s = fmt.Sprintf(`time="2024-01-02T15:04:%02dZ" level=warning msg="retry %d of pod web-%x" component=sync-%d took=%dms`, k%60, k%5, k*k*k, k%4, k)
		case 3:
			s = fmt.Sprintf(`Jan  2 15:04:%02d web%d sshd[%d]: Failed password for invalid user u%d from 10.0.%d.1 port %d ssh2`, k%60, k%9, k*17, k, k%256, k*60)
		case 4:
			s = fmt.Sprintf(`I0102 15:04:%02d.678901    1234 controller.go:%d] Reconciled "ns/app-%x" in %d.%dms with step%d`, k%60, 100+k%40, k*k, k, k%10, k%7)
		default:
			s = fmt.Sprintf(`2024-01-02 15:04:%02d,123 ERROR [worker-%d] com.example.Store: cannot write /var/data/%x.bin: disk full (%d%%)`, k%60, k%8, k*k, k%100)
		}
		lines[i] = []byte(s)
	}
	return lines
}

// TestNoAllocation says that lines of known templates cost no allocation.
func TestNoAllocation(t *testing.T) {
	block := append(hdfsLines(500), mixedLines(600)...)
	m := newMiner(t, Config{})
	m.Settle(block, false)
	var out Line
	parse := func() {
		for _, line := range block {
			m.Parse(&out, line, false)
		}
	}
	for range 20 {
		parse() // guides and outlines find their sizes
	}
	if got := testing.AllocsPerRun(3, parse); got != 0 {
		t.Errorf("got %v allocations for %d lines; want 0", got, len(block))
	}
}

func benchmarkParse(b *testing.B, lines [][]byte) {
	m, err := New(Config{ClustersMax: 1000, BytesMax: 4 << 20})
	if err != nil {
		b.Fatal(err)
	}
	m.Settle(lines, false)
	var out Line
	size := 0
	for _, line := range lines {
		m.Parse(&out, line, false)
		size += len(line)
	}
	b.SetBytes(int64(size / len(lines)))
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; b.Loop(); i++ {
		m.Parse(&out, lines[i%len(lines)], false)
	}
	b.ReportMetric(float64(m.Bytes())/float64(m.Len()), "B/template")
}

func BenchmarkParse(b *testing.B) {
	b.Run("hdfs", func(b *testing.B) { benchmarkParse(b, hdfsLines(10000)) })
	b.Run("mixed", func(b *testing.B) { benchmarkParse(b, mixedLines(9999)) })
}

// BenchmarkNovel parses lines that all found a template: the worst case of a log that is none.
func BenchmarkNovel(b *testing.B) {
	m, err := New(Config{ClustersMax: 1000, BytesMax: 4 << 20})
	if err != nil {
		b.Fatal(err)
	}
	r := rand.New(rand.NewPCG(5, 6))
	lines := make([][]byte, 20000)
	for i := range lines {
		for range 12 {
			lines[i] = append(append(lines[i], randomWord(r)...), ' ')
		}
	}
	var out Line
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		m.Parse(&out, lines[i%len(lines)], true)
	}
}

func randomWord(r *rand.Rand) []byte {
	w := make([]byte, 3+r.IntN(8))
	for i := range w {
		w[i] = byte('a' + r.IntN(26))
	}
	return w
}
