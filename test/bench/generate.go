package main

import (
	"fmt"
	"math/rand/v2"
)

// generated makes workloads where the evaluation data are not at hand. Ratios
// over them compare a change with what was before it, not with figures over
// the real lines.
func generated(n int) []*set {
	samples := []sample{
		{"hdfs", generateHDFS(min(n, 100_000))},
		{"nginx", generate(20_000, access)},
		{"orders", generate(20_000, jsonLine)},
		{"operator", generate(20_000, logfmt)},
		{"sshd", generate(20_000, syslog)},
		{"controller", generate(20_000, klog)},
		{"store", generate(20_000, log4j)},
	}
	mixed := newSet("mixed", "generated lines of seven formats in turn, a stream each", n, samples)
	return []*set{
		newSet("hdfs", "generated lines in the manner of HDFS, repeated", n, samples[:1]),
		mixed,
		mixed.oneStream("mixed, one stream", "the same lines as one stream: one model, one tree"),
	}
}

func generate(n int, line func(r *rand.Rand, i int) string) [][]byte {
	r := rand.New(rand.NewPCG(3, 4))
	lines := make([][]byte, n)
	for i := range lines {
		lines[i] = []byte(line(r, i))
	}
	return lines
}

// generateHDFS writes sessions of eight steps, 400 open at once.
func generateHDFS(n int) [][]byte {
	type session struct {
		block uint64
		step  int
	}
	r := rand.New(rand.NewPCG(1, 2))
	open := make([]session, 400)
	lines := make([][]byte, n)
	addr := func() string { return fmt.Sprintf("10.25%d.%d.%d", r.IntN(5), r.IntN(256), r.IntN(256)) }
	for i := range lines {
		s := &open[r.IntN(len(open))]
		if s.step == 0 {
			s.block = 1e18 + r.Uint64N(8e18)
		}
		head := fmt.Sprintf("081109 %02d%02d%02d %d INFO dfs.", 10+i/360000%10, i/6000%60, i/100%60, r.IntN(4000))
		var text string
		switch s.step {
		case 0:
			text = fmt.Sprintf("FSNamesystem: BLOCK* NameSystem.allocateBlock: /user/root/rand/_temporary/_task_200811092030_0001_m_%06d_0/part-%05d. blk_-%d", r.IntN(9999), r.IntN(99999), s.block)
		case 1, 2, 3:
			text = fmt.Sprintf("DataNode$DataXceiver: Receiving block blk_-%d src: /%s:%d dest: /%s:50010", s.block, addr(), r.IntN(65536), addr())
		case 4:
			text = fmt.Sprintf("FSNamesystem: BLOCK* NameSystem.addStoredBlock: blockMap updated: %s:50010 is added to blk_-%d size %d", addr(), s.block, r.IntN(1<<26))
		case 5:
			text = fmt.Sprintf("DataNode$PacketResponder: Received block blk_-%d of size %d from /%s", s.block, r.IntN(1<<26), addr())
		default:
			text = fmt.Sprintf("DataNode$PacketResponder: PacketResponder %d for block blk_-%d terminating", r.IntN(3), s.block)
		}
		s.step = (s.step + 1) % 8
		lines[i] = []byte(head + text)
	}
	return lines
}

func access(r *rand.Rand, i int) string {
	return fmt.Sprintf(`10.1.%d.3 - - [02/Jan/2006:15:%02d:%02d -0700] "GET /item/%d?x=%d HTTP/1.1" 200 %d "-" "Mozilla/5.0 (X11; Linux)"`,
		r.IntN(256), i/60%60, i%60, r.IntN(900), r.IntN(9000), r.IntN(30000))
}

func jsonLine(r *rand.Rand, i int) string {
	return fmt.Sprintf(`{"ts":"2024-01-02T15:04:%02d.123Z","level":"info","msg":"order %d paid in %dms","user_id":%d,"trace_id":"%032x","ok":true}`,
		i%60, r.IntN(90000), r.IntN(900), r.IntN(3000), r.Uint64())
}

func logfmt(r *rand.Rand, i int) string {
	return fmt.Sprintf(`time="2024-01-02T15:04:%02dZ" level=warning msg="retry %d of pod web-%x" component=sync-%d took=%dms`,
		i%60, r.IntN(5), r.Uint32(), r.IntN(4), r.IntN(900))
}

func syslog(r *rand.Rand, i int) string {
	return fmt.Sprintf(`Jan  2 15:04:%02d web%d sshd[%d]: Failed password for invalid user u%d from 10.0.%d.1 port %d ssh2`,
		i%60, r.IntN(9), r.IntN(30000), r.IntN(900), r.IntN(256), r.IntN(60000))
}

func klog(r *rand.Rand, i int) string {
	return fmt.Sprintf(`I0102 15:04:%02d.678901    1234 controller.go:%d] Reconciled "ns/app-%x" in %d.%dms with step%d`,
		i%60, 100+r.IntN(40), r.Uint32(), r.IntN(900), r.IntN(10), r.IntN(7))
}

func log4j(r *rand.Rand, i int) string {
	return fmt.Sprintf(`2024-01-02 15:04:%02d,123 ERROR [worker-%d] com.example.Store: cannot write /var/data/%x.bin: disk full (%d%%)`,
		i%60, r.IntN(8), r.Uint32(), r.IntN(100))
}
