package deploy

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logscope/logscope/test/child"
	"github.com/logscope/logscope/test/sink"
)

// shopRecord is what "logscope generate --format json" writes, one a line.
type shopRecord struct {
	Time         time.Time
	Service, Log string
}

// shop returns the records of a shop, as text and decoded. The flags are those of docker/compose.yaml but for the rate.
func shop(t *testing.T, lines int) (string, []shopRecord) {
	t.Helper()
	start := time.Now().UTC().Add(-15 * time.Minute).Format(time.RFC3339)
	text := logscope(t, "generate", "--rate", "0", "--lines", fmt.Sprint(lines), "--calm", fmt.Sprint(lines/2), "--start", start, "--format", "json")
	var all []shopRecord
	for line := range strings.Lines(text) {
		var r shopRecord
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return text, all
}

// send writes text to a port that is about to be opened.
func send(t *testing.T, port int, text string) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_, err = io.WriteString(conn, text)
			if closed := conn.Close(); err == nil {
				err = closed
			}
			if err != nil {
				t.Fatal(err)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		<-time.After(20 * time.Millisecond) // of a real process there is nothing to wait on
	}
}

// checkShop demands every record once, in its service's stream, with its time and its text alone. Times may be two
// microseconds off: Fluent Bit reads fractions of a second as floating point, and writes them cut.
func checkShop(t *testing.T, job string, want []shopRecord, got []sink.Entry) {
	t.Helper()
	lines, times := map[string][]string{}, map[string][]time.Time{}
	for _, r := range want {
		labels := fmt.Sprintf(`{job=%q, service=%q}`, job, r.Service)
		lines[labels] = append(lines[labels], r.Log)
		times[r.Log] = append(times[r.Log], r.Time)
	}
	came, anomalies, late := map[string][]string{}, 0, 0
	for _, e := range got {
		labels := withoutVerdict(e.Labels)
		if labels != e.Labels {
			anomalies++
			if e.Metadata["logscope_explanation"] == "" || e.Metadata["logscope_score"] == "" {
				t.Errorf("got an anomaly without a score or an explanation: %+v", e)
			}
		}
		came[labels] = append(came[labels], e.Line)
		if !slices.ContainsFunc(times[e.Line], func(at time.Time) bool { return at.Sub(e.Time).Abs() <= 2*time.Microsecond }) {
			if late++; late < 5 {
				t.Errorf("got the time %v; want one of %v: %s", e.Time, times[e.Line], e.Line)
			}
		}
	}
	if diff := cmp.Diff(lines, came, sorted()); diff != "" {
		t.Errorf("other entries than records (-want +got):\n%s", head(diff))
	}
	if anomalies == 0 {
		t.Error("got no anomaly; want those of the faults")
	}
	t.Logf("%d entries, %d of them anomalies", len(got), anomalies)
}

// TestDemo runs the Fluent Bit of docker/compose.yaml on what the shop of docker/compose.yaml writes.
func TestDemo(t *testing.T) {
	text, want := shop(t, 8000)
	b, l := newBit(t), newLoki(t)
	p := b.start(t, "demo.conf", map[string]string{
		"demo.conf": read(t, "docker/config/demo.conf"), "parsers.conf": read(t, "docker/config/parsers.conf"),
	}, "LOKI_URL="+l.URL)
	send(t, b.ports["5170"], text)
	got := l.wait(t, len(want), p)
	if out := logscope(t, "health", "http://"+b.metrics+"/live"); out != "live\n" {
		t.Errorf("health: got %q; want live", out)
	}
	stop(t, p)
	checkShop(t, "shop", want, got)
}

// TestKafkaTiers runs both sides of the profile kafka, with Kafka's part played by the test: Fluent Bit's kafka plugins
// need librdkafka, which not every build has. What the node would write to the topic is printed instead, in the
// same format; the test wraps it as Fluent Bit's kafka input does, and hands it to the scoring tier.
func TestKafkaTiers(t *testing.T) {
	text, want := shop(t, 8000)
	parsers := read(t, "docker/config/parsers.conf")

	node := newBit(t)
	p := node.start(t, "node.conf", map[string]string{
		"node.conf":    replaceSection(t, read(t, "docker/config/kafka-node.conf"), "OUTPUT", "name stdout", "match *", "format json_lines", "json_date_key sent", "json_date_format iso8601"),
		"parsers.conf": parsers,
	})
	send(t, node.ports["5170"], text)
	if err := p.WaitLog(t.Context(), `"log":`, len(want)); err != nil {
		t.Fatal(err)
	}
	stop(t, p)
	messages := kafkaMessages(t, p, len(want))

	scoring, l := newBit(t), newLoki(t)
	p = scoring.start(t, "scoring.conf", map[string]string{
		"scoring.conf":     read(t, "docker/config/kafka-scoring.conf"),
		"kafka-input.conf": "[INPUT]\n    name tcp\n    tag kafka\n    listen 127.0.0.1\n    port 9092\n    format json\n    storage.type filesystem\n",
		"parsers.conf":     parsers,
	}, "LOKI_URL="+l.URL)
	send(t, scoring.ports["9092"], messages)
	got := l.wait(t, len(want), p)
	stop(t, p)
	checkShop(t, "kafka", want, got)
}

// kafkaMessages takes the records that a node printed, and wraps them as Fluent Bit's kafka input does.
func kafkaMessages(t *testing.T, p *child.Process, want int) string {
	t.Helper()
	var b strings.Builder
	n := 0
	for line := range strings.Lines(p.Log()) {
		if !strings.HasPrefix(line, "{") {
			continue
		}
		var r map[string]any
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		message, err := json.Marshal(map[string]any{"topic": "logs", "partition": 3, "offset": n, "error": nil, "key": r["service"], "payload": r})
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(message, '\n'))
		n++
	}
	if n != want {
		t.Fatalf("got %d records of the node; want %d", n, want)
	}
	return b.String()
}

// TestImageDefault runs what the image runs by itself on records as Docker's log driver fluentd sends them.
func TestImageDefault(t *testing.T) {
	const n = 3000
	b, l := newBit(t), newLoki(t)
	p := b.start(t, "fluent-bit.conf", map[string]string{"fluent-bit.conf": read(t, "docker/fluent-bit.conf")}, "LOKI_URL="+l.URL)
	docker := newBit(t)
	var lines strings.Builder
	for i := range n {
		fmt.Fprintf(&lines, `{"container_id":"6f1c","container_name":"/shop-%d","source":"stdout","log":"request %d took %d ms"}`+"\n", i%2, i, 10+i%7)
	}
	write(t, docker.dir+"/in.json", lines.String())
	out := fmt.Sprintf("[SERVICE]\n    flush 1\n    parsers_file parsers.conf\n[INPUT]\n    name tail\n    tag docker\n    path %s/in.json\n    read_from_head on\n    parser json\n    buffer_max_size 1M\n"+
		"[OUTPUT]\n    name forward\n    match *\n    host 127.0.0.1\n    retry_limit no_limits\n    port %d\n", docker.dir, b.ports["24224"])
	docker.ports[fmt.Sprint(b.ports["24224"])] = b.ports["24224"] // it is the other one's
	sender := docker.start(t, "docker.conf", map[string]string{"docker.conf": out, "parsers.conf": "[PARSER]\n    name json\n    format json\n"})
	got := l.wait(t, n, p)
	stop(t, sender)
	stop(t, p)
	streams := map[string]int{}
	for _, e := range got {
		streams[withoutVerdict(e.Labels)]++
		if !strings.HasPrefix(e.Line, "request ") {
			t.Fatalf("got the line %q; want the container's own text", e.Line)
		}
	}
	want := map[string]int{`{container_name="/shop-0", job="docker"}`: n / 2, `{container_name="/shop-1", job="docker"}`: n / 2}
	if diff := cmp.Diff(want, streams); diff != "" {
		t.Errorf("entries by stream (-want +got):\n%s", diff)
	}
}
