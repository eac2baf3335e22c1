package drain

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestStructured lists what JSON and logfmt lines become: keys and the message
// are the template, values are values, time and level are fields.
func TestStructured(t *testing.T) {
	for _, c := range []struct {
		name, line, template string
		level                Level
	}{
		{"zap", `{"level":"info","ts":1704207845.123,"logger":"ctl","caller":"x/y.go:12","msg":"Reconciling","name":"web-1","err":null}`,
			"logger=<*> caller=<*> Reconciling name=<*> err=<*>", Info},
		{"pino", `{"level":50,"time":1704207845123,"pid":7,"hostname":"h","msg":"boom"}`, "pid=<*> hostname=<*> boom", Error},
		{"ECS", `{"@timestamp":"2024-01-02T15:04:05Z","log":{"level":"warn","logger":"a.b"},"message":"took 5ms","http":{"request":{"method":"GET"}}}`,
			"log.logger=<*> took <*> http.request.method=<*>", Warn},
		{"Serilog", `{"@t":"2024-01-02T15:04:05Z","@mt":"User {User} logged in","@l":"Error","User":"bob"}`, "User {User} logged in User=<*>", Error},
		{"journald", `{"MESSAGE":"a 1","PRIORITY":"6","_PID":"12"}`, "a <*> _PID=<*>", Info},
		{"behind syslog's header", `Jan  2 15:04:05 h app[1]: {"level":"error","msg":"a 1","k":"v"}`, "a <*> k=<*>", Error},
		{"behind CRI's", `2024-01-02T15:04:05.1Z stdout F {"level":"error","msg":"a 1","k":"v"}`, "a <*> k=<*>", Error},
		{"a list is one value, however long", `{"msg":"x","ids":[1,2,3,4,5,6,7],"o":{"p":{"q":[{"r":"}"}]}}}`, "x ids=<*> o.p.q=<*>", NoLevel},
		{"keys that are values", `{"msg":"tick","counts":{"user_12345":5,"user_777777":3},"by":{"10.0.0.1":{"p99":1}}}`, "tick counts.*=<*> by.*.p99=<*>", NoLevel},
		{"escaped quotes", `{"msg":"pull \"nginx\" failed\n","n":1}`, `pull "<*>" failed n=<*>`, NoLevel},
		{"Docker's line of JSON", `{"log":"{\"level\":\"error\",\"ts\":\"2024-01-02T15:04:07Z\",\"msg\":\"order 7\",\"o\":{\"a\":[1,2]},\"k\":\"x\\\\\"}\n","stream":"stderr","time":"2024-01-02T15:04:05Z"}`,
			"order <*> o=<*> k=<*> stream=<*>", Error},
		{"JSON within that does not end", `{"log":"{\"msg\":\"no end\"","stream":"stderr"}`, `{\"msg\":"<*>" stream=<*>`, NoLevel},
		{"something behind the object", `{"msg":"a 1","k":"v"} trailing`, `{"msg":"<*>","k":"<*>"} trailing`, NoLevel},
		{"logrus", `time="2024-01-02T15:04:05Z" level=warning msg="retry 3 of \"web\"" took=5ms pod=web-1`, `retry <*> of "<*>" took=<*> pod=<*>`, Warn},
		{"slog", `time=2024-01-02T15:04:05.1Z level=ERROR msg=failed err="open x: no such file" a.b=c`, "failed err=<*> a.b=<*>", Error},
		{"empty and odd values", `level=info a= b="" c="x y" d=-`, "a=<*> b=<*> c=<*> d=<*>", Info},
		{"a bare word among pairs", `a=1 b=2 flag c=3`, "a=<*> b=<*> flag c=<*>", NoLevel},
		{"behind a header", `Jan  2 15:04:05 h app[1]: level=error msg="a 1" k=v`, "a <*> k=<*>", Error},
		{"klog", `E0102 15:04:05.678901       1 pod.go:12] "Error syncing pod" err="x y" pod="ns/web-1"`, "Error syncing pod err=<*> pod=<*>", Error},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMiner(t, Config{})
			var out Line
			m.Parse(&out, []byte(c.line), false)
			if out.Cluster.Text != c.template || out.Level != c.level {
				t.Errorf("got  %q, level %v\nwant %q, level %v", out.Cluster.Text, out.Level, c.template, c.level)
			}
			if out.Cluster.Slots != len(out.Params) {
				t.Errorf("got %d parameters; want %d", len(out.Params), out.Cluster.Slots)
			}
		})
	}
}

// TestIDs pins ids: the same on every node and in every version, whatever the
// values, the other lines and the order in which they come.
func TestIDs(t *testing.T) {
	want := map[string]string{
		"order <*> paid user.id=<*> ok=<*>":            "91fc7620fcfce3ef",
		"retry <*> of <*> took=<*>":                    "7c88963378c535fb",
		"Failed password for <*> from <*> port <*>":    "03198a34310ec5dd",
		`<*> <*> <*> [<*>] "GET <*> HTTP/<*>" <*> <*>`: "b8cfa3f55e823508",
	}
	node := func(i int) [][]byte {
		return lines(
			fmt.Sprintf(`{"ts":"2024-01-02T15:04:0%dZ","level":"info","msg":"order %d paid","user":{"id":%d},"ok":true}`, i, i*17, i),
			fmt.Sprintf(`Jan  2 15:04:0%d node%d sshd[%d]: Failed password for user%d from 10.0.0.%d port %d`, i, i, i*31, i, i, 1000+i),
			fmt.Sprintf(`time=2024-01-02T15:04:0%dZ level=warn msg="retry %d of node-%d" took=%dms`, i, i, i, i*7),
			fmt.Sprintf(`10.0.0.%d - u%d [02/Jan/2006:15:04:0%d -0700] "GET /x/%d HTTP/1.1" 200 5%d`, i, i, i, i, i),
		)
	}
	for i := range 4 {
		block := node(i + 1)
		for n := range i { // another order on each node
			block[n], block[3-n] = block[3-n], block[n]
		}
		m := newMiner(t, Config{})
		got := map[string]string{}
		var out Line
		for _, line := range block {
			m.Parse(&out, line, false)
			got[out.Cluster.Text] = fmt.Sprintf("%016x", out.Cluster.ID)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("node %d (-want +got):\n%s", i+1, diff)
		}
	}
}

// FuzzInnerObject: whatever stands in a string that looks like JSON, nothing
// breaks, and what is read as an object is one.
func FuzzInnerObject(f *testing.F) {
	f.Add([]byte(`{\"a\":\"b\\\"c\",\"d\":{\"e\":[1,\"}\"]}}`))
	f.Add([]byte(`{\"a\":1,}`))
	f.Fuzz(func(t *testing.T, inner []byte) {
		line := append(append([]byte(`{"log":"`), inner...), `","s":"x"}`...)
		m := newMiner(t, Config{ClustersMax: clustersMin, BytesMax: bytesMin})
		var out Line
		m.Parse(&out, line, true)
		if out.Cluster.Slots != len(out.Params) {
			t.Fatalf("%q: got %d parameters; want %d", line, len(out.Params), out.Cluster.Slots)
		}
		for _, p := range out.Params {
			if !inside(line, p.Value) {
				t.Fatalf("%q: %q lies outside", line, p.Value)
			}
		}
	})
}
