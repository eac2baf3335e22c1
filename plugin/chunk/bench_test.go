package chunk

import (
	"fmt"
	"io"
	"testing"
)

// kubernetesChunk holds n records as the kubernetes filter makes them.
func kubernetesChunk(t testing.TB, n int) []byte {
	var w Writer
	for i := range n {
		err := w.AppendRecord(1_700_000_000_000_000_000+int64(i), nil, Pairs{
			"stream", "stdout", "time", "2023-11-14T22:13:20.000000000Z", "_p", "F",
			"log", fmt.Sprintf(`level=info ts=2023-11-14T22:13:20Z caller=query.go:%d msg="range query" duration=%dms status=200`, i%300, i),
			"kubernetes", Pairs{
				"pod_name", "api-7d9f8b6c5-x2x7k", "namespace_name", "production", "pod_id", "1f0e4bd2-5b57-4b5e-9c34-2f8a8a7f3f10",
				"labels", Pairs{"app", "api", "pod-template-hash", "7d9f8b6c5", "tier", "backend"},
				"host", "node-17", "container_name", "api", "container_image", "registry.example.com/team/api:1.42.0",
			},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return w.Buf
}

func lineChunk(n int) []byte {
	var w Writer
	for i := range n {
		w.AppendLine(1_700_000_000_000_000_000+int64(i), "log",
			fmt.Sprintf("Nov 14 22:13:20 node-17 sshd[%d]: Accepted publickey for deploy from 10.0.3.%d port 51234 ssh2", i, i%250))
	}
	return w.Buf
}

func flatChunk(t testing.TB, n int) []byte {
	var w Writer
	for range n {
		err := w.AppendRecordV1(1_700_000_000_000_000_000, Pairs{"host", "node-17", "ident", "sshd", "pid", "1234", "message", "Accepted publickey for deploy"})
		if err != nil {
			t.Fatal(err)
		}
	}
	return w.Buf
}

func BenchmarkNext(b *testing.B) {
	const n = 1000
	for _, bb := range []struct {
		name string
		data []byte
	}{{"line", lineChunk(n)}, {"flat4", flatChunk(b, n)}, {"kubernetes", kubernetesChunk(b, n)}} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(bb.data) / n))
			r := NewReader(bb.data)
			var rec Record
			for b.Loop() {
				if err := r.Next(&rec); err == io.EOF {
					r.Reset(bb.data)
				} else if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkGeneral is the same walk on msgpack/v5 alone, for comparison.
func BenchmarkGeneral(b *testing.B) {
	for _, bb := range []struct {
		name string
		data []byte
	}{{"flat4", flatChunk(b, 1)}, {"kubernetes", kubernetesChunk(b, 1)}} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			var w walker
			w.reset(bb.data)
			for b.Loop() {
				if _, err := w.general(0, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkValue(b *testing.B) {
	r := NewReader(kubernetesChunk(b, 1))
	var rec Record
	if err := r.Next(&rec); err != nil {
		b.Fatal(err)
	}
	path := []string{"kubernetes", "container_name"}
	b.Run("Lookup", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, ok := rec.Body.Lookup(path); !ok {
				b.Fatal("no container_name")
			}
		}
	})
	b.Run("AppendJSON", func(b *testing.B) {
		b.ReportAllocs()
		var dst []byte
		for b.Loop() {
			dst = rec.Body.AppendJSON(dst[:0])
		}
		b.SetBytes(int64(len(dst)))
	})
	b.Run("Pairs", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			n := 0
			for it := rec.Body.Pairs(); it.Next(); {
				n += len(it.Key.Bytes())
			}
			if n == 0 {
				b.Fatal("no keys")
			}
		}
	})
}
