package masks

import (
	"testing"

	"github.com/logscope/logscope/engine/drain"
)

// BenchmarkMask is what one mask adds to a line of HDFS, 131 bytes of message.
func BenchmarkMask(b *testing.B) {
	line := []byte("BLOCK* NameSystem.addStoredBlock: blockMap updated: 10.251.73.220:50010 is added to blk_7128370237687728475 size 67108864 user-7 now")
	for _, c := range []struct{ name, pattern string }{
		{"literal", `user-\w+`},
		{"number", `\b\d+\b`},
		{"ip", `\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}`},
		{"nothing", `session [0-9a-f]{8}`},
		{"lookbehind", `(?<=size )\d+`},
		{"drain3-ip", `((?<=[^A-Za-z0-9])|^)(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})((?=[^A-Za-z0-9])|$)`},
		{"drain3-number", `((?<=[^A-Za-z0-9])|^)([\-\+]?\d+)((?=[^A-Za-z0-9])|$)`},
	} {
		b.Run(c.name, func(b *testing.B) {
			m, err := Compile(Rule{Pattern: c.pattern})
			if err != nil {
				b.Fatal(err)
			}
			var spans []drain.Span
			b.ReportAllocs()
			for b.Loop() {
				spans = m.AppendSpans(spans[:0], line)
			}
		})
	}
}
