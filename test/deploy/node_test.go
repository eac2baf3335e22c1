package deploy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logscope/logscope/test/child"
	"github.com/logscope/logscope/test/sink"
)

// container is one container of a node, with its log as the kubelet lays it out: /var/log/pods/NS_POD_UID/NAME/0.log,
// and a link to it in /var/log/containers.
type container struct {
	namespace, pod, name string
	stream               string
	log                  string // path of 0.log
	at                   time.Time
}

// node is a machine with containers, and the API server that Fluent Bit asks about them.
type node struct {
	dir   string
	api   *httptest.Server
	asked map[string]bool // pods; only the server writes it, and it is read when that is closed
}

const nodeName = "node-1"

func newNode(t *testing.T) *node {
	t.Helper()
	n := &node{dir: t.TempDir(), asked: map[string]bool{}}
	for _, dir := range []string{"containers", "pods"} {
		if err := os.MkdirAll(filepath.Join(n.dir, "var/log", dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	n.api = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var namespace, pod string
		parts := strings.Split(r.URL.Path, "/")
		if r.Method == http.MethodGet && len(parts) == 7 && r.Header.Get("Authorization") == "Bearer of-the-pod" {
			namespace, pod = parts[4], parts[6]
		}
		if r.URL.Path != fmt.Sprintf("/api/v1/namespaces/%s/pods/%s", namespace, pod) {
			// What the ClusterRole of conf/kubernetes does not allow.
			http.Error(w, "forbidden: "+r.Method+" "+r.URL.Path, http.StatusForbidden)
			return
		}
		n.asked[pod] = true
		annotations := map[string]string{}
		if strings.HasPrefix(pod, "quiet-") {
			annotations["fluentbit.io/exclude"] = "true"
		}
		_ = json.NewEncoder(w).Encode(map[string]any{
			"kind": "Pod", "metadata": map[string]any{"name": pod, "namespace": namespace, "uid": "8c4b", "annotations": annotations,
				"labels": map[string]string{"app.kubernetes.io/name": strings.Split(pod, "-")[0]}},
			"spec": map[string]any{"nodeName": nodeName}, "status": map[string]any{"podIP": "10.1.2.3"},
		})
	}))
	t.Cleanup(n.api.Close)
	write(t, filepath.Join(n.dir, "token"), "of-the-pod")
	return n
}

func (n *node) start(t *testing.T, namespace, pod, name string) *container {
	t.Helper()
	c := &container{namespace: namespace, pod: pod, name: name, stream: "stdout", at: time.Now().Add(-time.Minute).UTC()}
	dir := filepath.Join(n.dir, "var/log/pods", fmt.Sprintf("%s_%s_8c4b", namespace, pod), name)
	c.log = filepath.Join(dir, "0.log")
	write(t, c.log, "")
	link := filepath.Join(n.dir, "var/log/containers", fmt.Sprintf("%s_%s_%s-%064x.log", pod, namespace, name, len(pod)*len(name)))
	if err := os.Symlink(c.log, link); err != nil {
		t.Fatal(err)
	}
	return c
}

// partBytes is where container runtimes cut a line.
const partBytes = 16 << 10

// say writes texts as containerd does: a line for each line of a text, cut into parts where it is long.
func (c *container) say(t *testing.T, texts ...string) {
	t.Helper()
	var b strings.Builder
	for _, text := range texts {
		for line := range strings.SplitSeq(text, "\n") {
			c.at = c.at.Add(time.Millisecond)
			stamp := c.at.Format(time.RFC3339Nano)
			for len(line) > partBytes {
				fmt.Fprintf(&b, "%s %s P %s\n", stamp, c.stream, line[:partBytes])
				line = line[partBytes:]
			}
			fmt.Fprintf(&b, "%s %s F %s\n", stamp, c.stream, line)
		}
	}
	f, err := os.OpenFile(c.log, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o640)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(b.String()); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// rotate does what the kubelet does with a log that is too long.
func (c *container) rotate(t *testing.T) {
	t.Helper()
	if err := os.Rename(c.log, c.log+"."+time.Now().Format("20060102-150405")); err != nil {
		t.Fatal(err)
	}
	write(t, c.log, "")
}

// fluentBit starts the configuration of conf/kubernetes, as it is in the ConfigMap, on the node.
func (n *node) fluentBit(t *testing.T, b *bit, text, options string) *child.Process {
	t.Helper()
	logs := filepath.Join(n.dir, "var/log")
	text = strings.NewReplacer(
		"/var/log/containers/", logs+"/containers/",
		"kube.var.log.containers.", "kube"+strings.ReplaceAll(logs, "/", ".")+".containers.",
		"https://kubernetes.default.svc:443", n.api.URL+"\n    kube_token_file "+filepath.Join(n.dir, "token"),
		"refresh_interval          5", "refresh_interval          1", // of new files: the test waits for them
		"/etc/logscope/logscope.yaml", filepath.Join(b.dir, "logscope.yaml"),
		"/fluent-bit/etc/conf/logscope.yaml", filepath.Join(b.dir, "logscope.yaml"),
	).Replace(text)
	return b.start(t, "fluent-bit.conf", map[string]string{"fluent-bit.conf": text, "logscope.yaml": options})
}

// services returns what a shop's services write, a text for each record; a stack trace is part of its record.
func services(t *testing.T, lines int) map[string][]string {
	t.Helper()
	_, records := shop(t, lines)
	all := map[string][]string{}
	for _, r := range records {
		all[r.Service] = append(all[r.Service], r.Log)
	}
	return all
}

// linesOf splits records into the lines that were written.
func linesOf(records []string) []string {
	var all []string
	for _, record := range records {
		all = append(all, strings.Split(record, "\n")...)
	}
	return all
}

// TestNode runs the Fluent Bit of every node on a node: lines, parts of lines, stack traces, a rotation, pods that are
// not wanted, a restart with lines and a container that nobody watched.
func TestNode(t *testing.T) {
	texts := services(t, 6000)
	n, l := newNode(t), newLoki(t)
	l.lines = true
	web, billing := n.start(t, "shop", "web-5d8c7-x1", "web"), n.start(t, "shop", "billing-66f9-x2", "billing")
	billing.stream = "stderr"
	own, quiet := n.start(t, "logscope", "logscope-node-x3", "fluent-bit"), n.start(t, "shop", "quiet-7b-x4", "app")
	own.say(t, "[2026/01/02 15:04:05] [ info] a line about lines")
	quiet.say(t, "whose annotation says that nobody wants it")

	want := map[string][]string{}
	add := func(c *container, lines ...string) {
		labels := fmt.Sprintf(`{app=%q, container=%q, job="kubernetes", namespace=%q}`, strings.Split(c.pod, "-")[0], c.name, c.namespace)
		want[labels] = append(want[labels], lines...)
	}
	total := func() int {
		sum := 0
		for _, lines := range want {
			sum += len(lines)
		}
		return sum
	}
	half := len(texts["web"]) / 2
	web.say(t, texts["web"][:half]...)
	add(web, texts["web"][:half]...)
	billing.say(t, texts["billing"]...)
	add(billing, linesOf(texts["billing"])...)

	b := newBit(t)
	text, options := kubernetesConfig(t, "base", "logscope-node")
	options = strings.ReplaceAll(options, "http://loki.loki.svc:3100", l.URL)
	p := n.fluentBit(t, b, text, options)
	l.wait(t, total(), p)

	long := `{"level":"info","msg":"` + strings.Repeat("a long line, cut by the runtime. ", 1500) + `"}`
	web.say(t, long)
	add(web, long)
	web.say(t, texts["web"][half:half+100]...)
	web.rotate(t)
	web.say(t, texts["web"][half+100:half+200]...)
	add(web, texts["web"][half:half+200]...)
	l.wait(t, total(), p)

	// It ends while lines are on their way, one of them the first of a stack trace, as in a rolling update.
	billing.say(t, texts["billing"]...)
	add(billing, linesOf(texts["billing"])...)
	stop(t, p)

	// While no Fluent Bit runs.
	web.say(t, texts["web"][half+200:]...)
	add(web, texts["web"][half+200:]...)
	db := n.start(t, "shop", "db-0", "db")
	db.say(t, texts["db"]...)
	add(db, texts["db"]...)
	p = n.fluentBit(t, b, text, options)
	got := l.wait(t, total(), p)
	if out := logscope(t, "health", "http://"+b.metrics+"/ready"); !strings.HasPrefix(out, "ready: ") {
		t.Errorf("health: got %q; want ready", out)
	}
	stop(t, p)
	n.api.Close()
	checkNode(t, n, want, got)
}

func checkNode(t *testing.T, n *node, want map[string][]string, got []sink.Entry) {
	t.Helper()
	came, traces, pieces := map[string][]string{}, 0, 0
	for _, e := range got {
		labels := withoutVerdict(e.Labels)
		lines := strings.Split(strings.TrimSuffix(e.Line, "\n"), "\n")
		came[labels] = append(came[labels], lines...)
		if strings.HasPrefix(e.Line, "java.net.") && len(lines) > 1 {
			traces++
		} else if strings.HasPrefix(e.Line, "\tat java.base/sun.nio.ch") {
			pieces++
		}
		stream := "stdout"
		if strings.Contains(labels, "billing") {
			stream = "stderr"
		}
		if e.Metadata["node"] != nodeName || e.Metadata["stream"] != stream || !n.asked[e.Metadata["pod"]] {
			t.Fatalf("got the metadata %v; want pod, node %s, stream %s: %s %s", e.Metadata, nodeName, stream, e.Labels, e.Line)
		}
	}
	if diff := cmp.Diff(want, came, sorted()); diff != "" {
		t.Errorf("other entries than lines (-want +got):\n%s", head(diff))
	}
	for _, pod := range []string{"logscope-node-x3"} {
		if n.asked[pod] {
			t.Errorf("asked for %s; want its log left alone", pod)
		}
	}
	t.Logf("%d entries, %d stack traces, %d pieces of such", len(got), traces, pieces)
}

// TestTiers runs the overlay aggregator: the nodes' Fluent Bit hands on to that of the aggregator.
func TestTiers(t *testing.T) {
	texts := services(t, 3000)
	n, l := newNode(t), newLoki(t)
	l.lines = true
	web := n.start(t, "shop", "web-5d8c7-x1", "web")
	web.say(t, texts["web"]...)

	aggregator := newBit(t)
	text, options := kubernetesConfig(t, "overlays/aggregator", "logscope-aggregator")
	scoring := n.fluentBit(t, aggregator, text, strings.ReplaceAll(options, "http://loki.loki.svc:3100", l.URL))
	b := newBit(t)
	b.ports["24224"] = aggregator.ports["24224"]
	text, options = kubernetesConfig(t, "overlays/aggregator", "logscope-node")
	p := n.fluentBit(t, b, strings.ReplaceAll(text, "host                      logscope-aggregator", "host 127.0.0.1"), options)
	got := l.wait(t, len(texts["web"]), scoring)
	stop(t, p)
	stop(t, scoring)
	n.api.Close()
	checkNode(t, n, map[string][]string{`{app="web", container="web", job="kubernetes", namespace="shop"}`: texts["web"]}, got)
}
