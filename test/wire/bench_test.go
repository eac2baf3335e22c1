package wire

import (
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/grafana/loki/pkg/push"
)

const benchEntries = 7000 // about one push

var benchLine = `2026-05-04T12:00:00.123456Z INFO dfs.DataNode$PacketResponder: Received block blk_-1608999687919862906 of size 91178 from /10.250.10.6 terminating`

// The two benchmarks make one push of 7,000 lines from bytes; see ns per op / 7,000.
func BenchmarkEncodeOwn(b *testing.B) {
	batch := newBatcher(b, 64<<20).NewBatch()
	line, now := []byte(benchLine), time.Now().UnixNano()
	b.ReportAllocs()
	for b.Loop() {
		for i := range int64(benchEntries) {
			batch.Stream("", `{job="x"}`).Append(now+i, line, nil)
		}
		batch.Pushes(nil)
	}
}

func BenchmarkEncodeMarshaller(b *testing.B) {
	line, now := []byte(benchLine), time.Now()
	b.ReportAllocs()
	for b.Loop() {
		s := push.Stream{Labels: `{job="x"}`}
		for i := range benchEntries {
			s.Entries = append(s.Entries, push.Entry{Timestamp: now.Add(time.Duration(i)), Line: string(line)})
		}
		req := push.PushRequest{Streams: []push.Stream{s}}
		raw, err := req.Marshal()
		if err != nil {
			b.Fatal(err)
		}
		snappy.Encode(nil, raw)
	}
}
