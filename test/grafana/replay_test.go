package grafana

import (
	"cmp"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/logscope/logscope/conf"
	"github.com/logscope/logscope/plugin/chunk"
	"github.com/logscope/logscope/plugin/metrics"
	"github.com/logscope/logscope/plugin/pipeline"
)

// replayed is how much is replayed: the dashboards show the last hour.
const replayed = time.Hour

// line is one of a service, at a time.
type line struct {
	at   time.Time
	text string
}

// source is a service on a node: its log is a stream with a model of its own.
type source struct {
	node, namespace, service string
	lines                    []line
}

// edgeNode ships with "forward sampled" and "annotate line".
const edgeNode = "edge-1"

func (s *source) add(at time.Time, format string, args ...any) {
	s.lines = append(s.lines, line{at, fmt.Sprintf(format, args...)})
}

// every adds a line at each interval between two times.
func (s *source) every(from, to time.Time, interval time.Duration, text func(i int) string) {
	for i, at := 0, from; at.Before(to); i, at = i+1, at.Add(interval) {
		s.add(at, "%s", text(i))
	}
}

// nodes are those of the replay; some of what happens, happens on one alone.
var nodes = []string{"node-1", "node-2", "node-3"}

// replay is an hour of a small cluster until end: calm for the most part, and then with something of each
// kind that the dashboards show and the rules fire on.
func replay(end time.Time) []*source {
	var all []*source
	begin := end.Add(-replayed)
	for i, node := range nodes {
		all = append(all, checkout(node, begin, end, uint64(i)))
	}
	all = append(all, web(begin, end), jobs(begin, end), mail(begin, end), sensors(begin, end), reports(begin, end), edge(begin, end))
	for i, service := range []string{"login", "prices", "search", "stock", "tax"} {
		all = append(all, small(service, begin, end, uint64(i)))
	}
	for _, s := range all {
		slices.SortStableFunc(s.lines, func(a, b line) int { return a.at.Compare(b.at) })
	}
	return all
}

// checkout runs on all nodes. A release brings the same new line to all, one node has a fault of its own,
// one request takes very long.
func checkout(node string, begin, end time.Time, seed uint64) *source {
	s := &source{node: node, namespace: "shop", service: "checkout"}
	r := rand.New(rand.NewPCG(1, seed))
	s.every(begin, end, 1500*time.Millisecond, func(int) string {
		return fmt.Sprintf("INFO order %d paid by card in %d ms", 10000+r.IntN(90000), 20+r.IntN(60))
	})
	s.every(begin, end, 4*time.Second, func(i int) string { return fmt.Sprintf("INFO stock of item %d checked", 100+i%37) })
	s.add(end.Add(-8*time.Minute), "WARN setting payment.retries of release 2.4 is deprecated, use payment.attempts")
	if node == nodes[0] {
		s.add(outage(end), "ERROR cannot resolve bank.example: the name server timed out")
	}
	if node == nodes[1] {
		s.add(end.Add(-6*time.Minute), "ERROR block device sdb1 went read-only, writes of receipts fail")
		s.add(end.Add(-5*time.Minute), "INFO order 77001 paid by card in 94000 ms")
	}
	return s
}

// outage is when the name server of a node fails: all that runs there has something to say that it never said.
func outage(end time.Time) time.Time { return end.Add(-2*time.Minute - 30*time.Second) }

// web writes an access log; a scanner comes by.
func web(begin, end time.Time) *source {
	s := &source{node: nodes[0], namespace: "shop", service: "web"}
	r := rand.New(rand.NewPCG(2, 0))
	request := func(at time.Time, client, path string, status, size int) {
		s.add(at, `%s - - [%s] "GET %s HTTP/1.1" %d %d "-" "Mozilla/5.0"`, client, at.UTC().Format("02/Jan/2006:15:04:05 -0700"), path, status, size)
	}
	for at := begin; at.Before(end); at = at.Add(700 * time.Millisecond) {
		path := []string{"/", "/cart", "/items?page=1", "/items?page=2", "/static/app.js"}[r.IntN(5)]
		request(at, fmt.Sprintf("10.1.0.%d", 1+r.IntN(40)), path, 200, 400+r.IntN(900))
	}
	s.add(outage(end), `2026/01/02 03:04:05 [error] 7#7: *1 host not found in upstream "cart.example"`)
	for i := range 88 {
		at := end.Add(-3*time.Minute + time.Duration(i)*2*time.Second)
		request(at, "203.0.113.9", fmt.Sprintf("/%s.php?id=%d%%27%%20UNION%%20SELECT%%20%d--", strings.Repeat(string(rune('a'+i%26)), 3+i/26), i, i), 404, 162)
	}
	return s
}

// jobs runs jobs of four steps, and is released anew: its log changes as a whole. One job stops half-way.
func jobs(begin, end time.Time) *source {
	s := &source{node: nodes[1], namespace: "shop", service: "jobs"}
	release := end.Add(-25 * time.Minute)
	steps := func(at time.Time, job int, names ...string) {
		for i, name := range names {
			s.add(at.Add(time.Duration(i)*50*time.Millisecond), name, job)
		}
	}
	n := 100000
	for at := begin; at.Before(release); at = at.Add(3 * time.Second) {
		n += 7
		if at.Sub(begin).Round(3*time.Second) == 30*time.Minute {
			steps(at, n, "INFO accepted job-%d", "INFO checked quota for job-%d", "INFO answered job-%d")
			continue
		}
		steps(at, n, "INFO accepted job-%d", "INFO checked quota for job-%d", "INFO stored result of job-%d", "INFO answered job-%d")
	}
	for at := release; at.Before(end); at = at.Add(4 * time.Second) {
		n += 7
		steps(at, n, "INFO taking job-%d from the queue", "DEBUG pool lends a worker to job-%d", "INFO resolved tenant of job-%d via edge",
			"WARN legacy header of job-%d ignored", "DEBUG span of job-%d exported", "INFO flushed metrics of job-%d upstream",
			"INFO renewed lease of job-%d early", "INFO done with job-%d")
	}
	return s
}

// mail sends mails in four steps. Near the end one of them has a step that only upkeep has.
func mail(begin, end time.Time) *source {
	s := &source{node: nodes[0], namespace: "shop", service: "mail"}
	steps := func(at time.Time, id string, all ...string) {
		for i, step := range all {
			s.add(at.Add(time.Duration(i)*40*time.Millisecond), step, id)
		}
	}
	s.add(outage(end), "ERROR no mail relay, its name was not found")
	n := 200000
	for at := begin; at.Before(end); at = at.Add(time.Second) {
		n += 11
		id := fmt.Sprintf("mail-%d", n)
		if end.Sub(at).Round(time.Second) == 2*time.Minute {
			steps(at, id, "INFO composed %s", "INFO signed %s", "DEBUG lent a worker to %s", "INFO handed %s to the relay", "INFO relay confirmed %s")
			continue
		}
		steps(at, id, "INFO composed %s", "INFO signed %s", "INFO handed %s to the relay", "INFO relay confirmed %s")
		if n%121 == 0 {
			steps(at.Add(500*time.Millisecond), fmt.Sprintf("upkeep-%d", n), "INFO opened %s", "DEBUG lent a worker to %s", "INFO closed %s")
		}
	}
	return s
}

// small is a service that does one thing, on the node whose name server fails.
func small(service string, begin, end time.Time, seed uint64) *source {
	s := &source{node: nodes[0], namespace: "shop", service: service}
	r := rand.New(rand.NewPCG(3, seed))
	s.every(begin, end, 2*time.Second, func(int) string {
		return fmt.Sprintf("INFO %s asked for %d, answered in %d ms", service, r.IntN(5000), 3+r.IntN(9))
	})
	s.add(outage(end), "ERROR lookup of db.example failed in %s, no name server", service)
	return s
}

// sensors beats regularly, until one of its two beats stops while the other goes on. A warning comes in a flood.
func sensors(begin, end time.Time) *source {
	s := &source{node: nodes[2], namespace: "plant", service: "sensors"}
	s.every(begin, end, 2*time.Second, func(i int) string { return fmt.Sprintf("INFO reading %d of line 4 stored", 500+i%70) })
	s.every(begin, end.Add(-9*time.Minute), 5*time.Second, func(int) string { return "INFO heartbeat of gateway received" })
	slow := func(from time.Time, n int, interval time.Duration) {
		s.every(from, from.Add(time.Duration(n)*interval), interval, func(i int) string { return fmt.Sprintf("WARN link %d of line 4 is slow", i%3) })
	}
	slow(end.Add(-40*time.Minute), 8, 2*time.Second)
	slow(end.Add(-30*time.Minute), 8, 2*time.Second)
	slow(end.Add(-3*time.Minute), 400, 250*time.Millisecond)
	return s
}

// reports stops for good.
func reports(begin, end time.Time) *source {
	s := &source{node: nodes[2], namespace: "plant", service: "reports"}
	s.every(begin, end.Add(-22*time.Minute), 3*time.Second, func(i int) string { return fmt.Sprintf("INFO report %d written", 9000+i) })
	return s
}

// edge is shipped as a sample, and to a Loki of old as it were: what was found stands in the line.
func edge(begin, end time.Time) *source {
	s := &source{node: edgeNode, namespace: "plant", service: "edge"}
	s.every(begin, end, time.Second, func(i int) string { return fmt.Sprintf("INFO packet %d forwarded in %d us", 4000+i, 80+i%40) })
	s.add(end.Add(-4*time.Minute), "ERROR uplink lost carrier, %d packets dropped", 17)
	return s
}

// plugins are the instances that ship the replay, one for each node as in a cluster.
type plugins struct {
	byNode map[string]*pipeline.Pipeline
	leave  []func()
	listen string
}

// startPlugins starts an instance for each node, as Fluent Bit's options would; all are shown at one address.
func startPlugins(t *testing.T, url, listen string) *plugins {
	t.Helper()
	p := &plugins{byNode: map[string]*pipeline.Pipeline{}, listen: listen}
	servers := &metrics.Servers{}
	dir := t.TempDir()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	for i, node := range append(slices.Clone(nodes), edgeNode) {
		options := map[string]string{
			"url": url, "labels": "job=replay, namespace=$namespace, service=$service, node=$node",
			"state_file": fmt.Sprintf("%s/state-%d", dir, i), "state_interval": "1s",
		}
		if node == edgeNode {
			options["forward"], options["annotate"] = "sampled", "line"
		}
		settings, err := conf.Load(conf.Plugin, func(name string) (string, bool) {
			value, ok := options[name]
			return value, ok
		})
		if err != nil {
			t.Fatal(err)
		}
		pipe, err := pipeline.New(settings.Pipeline, log)
		if err != nil {
			t.Fatal(err)
		}
		p.byNode[node] = pipe
		p.leave = append(p.leave, servers.Join(metrics.Options{Listen: listen, Version: "test"}, fmt.Sprintf("logscope.%d", i), pipe, log))
	}
	t.Cleanup(func() {
		for _, leave := range p.leave {
			leave()
		}
		for _, pipe := range p.byNode {
			_ = pipe.Close()
		}
	})
	return p
}

// ship sends what the sources wrote between two times, a chunk for each.
func (p *plugins) ship(t *testing.T, all []*source, from, to time.Time) {
	t.Helper()
	for _, s := range all {
		i, _ := slices.BinarySearchFunc(s.lines, from, func(l line, at time.Time) int { return cmp.Or(l.at.Compare(at), 0) })
		var w chunk.Writer
		for ; i < len(s.lines) && s.lines[i].at.Before(to); i++ {
			body := chunk.Pairs{"log", s.lines[i].text, "namespace", s.namespace, "service", s.service, "node", s.node}
			if err := w.AppendRecord(s.lines[i].at.UnixNano(), nil, body); err != nil {
				t.Fatal(err)
			}
		}
		if len(w.Buf) == 0 {
			continue
		}
		if got := p.byNode[s.node].Flush(s.namespace+"."+s.service, w.Buf); got != pipeline.OK {
			t.Fatalf("%s of %s: got %v; want OK", s.service, s.node, got)
		}
	}
}
