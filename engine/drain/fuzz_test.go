package drain

import (
	"bytes"
	"math"
	"testing"
	"unsafe"
)

// FuzzParse: no line panics, values lie in the line, as many as the template says.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"", "Jun 14 15:16:01 combo sshd(pam_unix)[19939]: authentication failure; logname= uid=0 rhost=218.188.2.4\nJun 14 15:16:02 combo sshd(pam_unix)[19939]: check pass",
		`{"ts":1704164645.123,"level":30,"msg":"user \"bob\" left\n","a":{"b":[1,2,{"c":"}"}]}}`,
		`10.1.2.3 - - [02/Jan/2006:15:04:05 -0700] "GET /x HTTP/1.1" 200 5 "-" "x"`,
		`ts=2024-01-02T15:04:05Z level=warn msg="took 5 ms" a= b="x`, "<34>1 2003-10-11T22:14:15.003Z h su 1 ID47 [a b=\"c\"] x", "I0102 15:04:05.678901 1 a.go:5] x 1, 2, 3, 4",
		"E, [2024-01-02T15:04:05 #1] ERROR -- : x", "a\x00b \xff\x01 <*> () [] 'x' `y' \"z", "open a b\nopen c b\nopen d b\nopen e b\nopen f b",
		"a \"GET /x HTTP/1.1\" on z 1\na \"PUT /x HTTP/1.1\" on z 1\na \"POST /x HTTP/1.1\" on z 1\na \"HEAD /x HTTP/1.1\" on z 1\na \"DELETE /x HTTP/1.1\" on z 1\na \"OPTIONS /x HTTP/1.1\" off z 1",
	} {
		f.Add([]byte(s), false)
	}
	f.Fuzz(func(t *testing.T, data []byte, raw bool) {
		m := newMiner(t, Config{ClustersMax: clustersMin, BytesMax: bytesMin})
		block := bytes.Split(data, []byte("\n"))
		m.Settle(block, raw)
		var out Line
		for _, line := range block {
			m.Match(&out, line, raw)
			if n := bytes.Count(m.own.skel, []byte(" ")); len(m.own.skel) > 0 && n+1 != m.scan.words {
				t.Fatalf("%q: the skeleton %q has other words than the %d tokens", line, m.own.skel, m.scan.words)
			}
			m.Parse(&out, line, raw)
			if out.Cluster == nil || out.Cluster.Slots != len(out.Params) {
				t.Fatalf("%q: got %d parameters in %+v", line, len(out.Params), out.Cluster)
			}
			if !inside(line, out.Message) {
				t.Fatalf("%q: the message lies outside", line)
			}
			for _, p := range out.Params {
				if !inside(line, p.Value) || !inside(line, p.Key) || p.Kind != Number && !math.IsNaN(p.Num) {
					t.Fatalf("%q: bad parameter %+v", line, p)
				}
			}
		}
		m.validate(t)
	})
}

func inside(line, part []byte) bool {
	if len(part) == 0 {
		return true
	}
	if len(line) == 0 {
		return false
	}
	from := uintptr(unsafe.Pointer(&line[0]))
	at := uintptr(unsafe.Pointer(&part[0]))
	return at >= from && at+uintptr(len(part)) <= from+uintptr(len(line))
}

// FuzzReadState: a state is refused or gives a sound Miner that writes the same state again.
func FuzzReadState(f *testing.F) {
	m := newMiner(f, Config{})
	f.Add(m.AppendState(nil))
	var out Line
	for _, s := range []string{"open file a.b for x", "open file c.d for x", "open file e.f for x", "hello 5", "Jan 2 15:04:05 host app[5]: x"} {
		m.Parse(&out, []byte(s), false)
	}
	f.Add(m.AppendState(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		m := newMiner(t, Config{ClustersMax: 64, BytesMax: 1 << 20})
		if _, err := m.ReadState(data); err != nil {
			return
		}
		m.validate(t)
		state := m.AppendState(nil)
		other := newMiner(t, Config{ClustersMax: 64, BytesMax: 1 << 20})
		if rest, err := other.ReadState(state); err != nil || len(rest) != 0 || !bytes.Equal(other.AppendState(nil), state) {
			t.Fatalf("a state that was read is not read again: %v", err)
		}
		var out Line
		for _, s := range []string{"open file z.z for x", "new line", "hello 7"} {
			m.Parse(&out, []byte(s), true)
		}
		m.validate(t)
	})
}
