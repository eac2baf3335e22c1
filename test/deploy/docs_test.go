package deploy

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/logscope/logscope/conf"
	"github.com/logscope/logscope/test/child"
	"github.com/logscope/logscope/test/fluentbit"
)

// fence is a fenced block of a page.
type fence struct {
	lang, text string
	heading    string // of the section it stands in
	file       string // the path that is named last in the paragraph before it
	line       int
}

var pathInText = regexp.MustCompile("`(/etc/[^`]+)`")

// fences returns the fenced blocks of a page of docs/.
func fences(t testing.TB, page string) []fence {
	t.Helper()
	var all []fence
	var open *fence
	heading, file := "", ""
	for i, line := range strings.Split(read(t, "docs/"+page), "\n") {
		lang, marked := strings.CutPrefix(line, "```")
		switch {
		case marked && open == nil:
			open = &fence{lang: lang, heading: heading, file: file, line: i + 1}
		case marked:
			all = append(all, *open)
			open, file = nil, ""
		case open != nil:
			open.text += line + "\n"
		case strings.HasPrefix(line, "## "):
			heading = strings.TrimPrefix(line, "## ")
		default:
			if found := pathInText.FindAllStringSubmatch(line, -1); found != nil {
				file = found[len(found)-1][1]
			}
		}
	}
	if open != nil || len(all) == 0 {
		t.Fatalf("docs/%s: got %d blocks, the last one open: %v", page, len(all), open != nil)
	}
	return all
}

func pages() []string { return []string{"quickstart.md", "tuning.md", "migrating.md"} }

// TestDocs runs every command of the pages, and starts every configuration in a real Fluent Bit.
func TestDocs(t *testing.T) {
	for _, page := range pages() {
		t.Run(page, func(t *testing.T) {
			all := fences(t, page)
			d := newDesk(t, page)
			for i := range all {
				f := &all[i]
				t.Run(fmt.Sprintf("line %d, %s", f.line, f.lang), func(t *testing.T) {
					switch f.lang {
					case "sh":
						d.script(t, f.text)
					case "conf":
						d.config(t, f)
					case "yaml":
						d.yaml(t, all[i:])
					case "systemd":
						d.unit(t, f)
					default:
						t.Errorf("got a block of %q; want one that is run", f.lang)
					}
				})
			}
			d.finish(t)
		})
	}
}

// TestDocLinks: what a page of these links to is there.
func TestDocLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#]*)(#[^)]*)?\)`)
	for _, page := range pages() {
		for _, found := range link.FindAllStringSubmatch(read(t, "docs/"+page), -1) {
			target := found[1]
			if strings.HasPrefix(target, "http") {
				continue
			}
			path := filepath.Join(root, "docs", target)
			if target == "" {
				path = filepath.Join(root, "docs", page)
			}
			data, err := os.ReadFile(path)
			if info, statErr := os.Stat(path); statErr == nil && info.IsDir() {
				continue
			}
			if err != nil {
				t.Errorf("docs/%s: %v", page, err)
			} else if anchor := found[2]; anchor != "" && !slices.Contains(anchors(string(data)), anchor[1:]) {
				t.Errorf("docs/%s: %s has no section %s", page, path, anchor)
			}
		}
	}
}

// anchors are the names that GitHub gives to headings.
func anchors(text string) []string {
	var all []string
	for _, found := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		name := regexp.MustCompile(`[^\w\- ]`).ReplaceAllString(strings.ToLower(found[1]), "")
		all = append(all, strings.ReplaceAll(name, " ", "-"))
	}
	return all
}

// desk is where somebody reads a page and does what it says: a directory with the project's files, where the
// machine's own directories are below root/, and a Loki.
type desk struct {
	// t is the test of the page: what a command starts outlives the test of its block.
	t    *testing.T
	page string
	dir  string
	loki *loki
	bit  *bit
	// moved puts paths and addresses of the page into the test.
	moved *strings.Replacer
	// running is the Fluent Bit that a command started.
	running *child.Process
	applied map[string]*cluster // by overlay
}

func newDesk(t *testing.T, page string) *desk {
	t.Helper()
	d := &desk{t: t, page: page, dir: t.TempDir(), loki: newLoki(t), bit: newBit(t), applied: map[string]*cluster{}}
	plugin, command := build(t)
	for _, dir := range []string{"bin", "machine/var/log", "machine/var/lib/fluent-bit", "machine/var/lib/logscope", "machine/etc/fluent-bit"} {
		if err := os.MkdirAll(filepath.Join(d.dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	top, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"bin/out_logscope.so": plugin, "bin/logscope": command, "docker": top + "/docker", "conf": top + "/conf"} {
		if err := os.Symlink(target, filepath.Join(d.dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	text := logscope(t, "generate", "--rate", "0", "--lines", "6000", "--services", "api", "--start", "-15m")
	write(t, filepath.Join(d.dir, "machine/var/log/api.log"), text)
	write(t, filepath.Join(d.dir, "ca.pem"), certificate(t))
	machine := filepath.Join(d.dir, "machine")
	d.moved = strings.NewReplacer(
		"/etc/ssl/loki-ca.pem", filepath.Join(d.dir, "ca.pem"),
		"/usr/local/", machine+"/usr/local/", "/var/lib/", machine+"/var/lib/", "/var/log/", machine+"/var/log/", "/etc/", machine+"/etc/",
		"https://loki.example.com:443", d.loki.URL, "https://loki.example.com/loki/api/v1/push", d.loki.URL, "https://loki.example.com", d.loki.URL,
		"http://loki:3100", d.loki.URL, "http://127.0.0.1:2021", "http://"+d.bit.metrics, "metrics_listen            2021", "metrics_listen "+d.bit.metrics,
		"sudo ", "",
	)
	return d
}

// config checks a configuration, keeps it where the page says that it is, and starts it in Fluent Bit. A fragment gets
// what it lacks: a service and an input.
func (d *desk) config(t *testing.T, f *fence) {
	text, own, foreign := d.moved.Replace(f.text), false, ""
	for _, s := range sections(t, text) {
		name, _ := s.get("name")
		switch {
		case s.name == "OUTPUT" && name == "logscope":
			own = true
			checkLogscope(t, d.page, &s)
		case s.name == "OUTPUT":
			foreign = name
		}
	}
	if !own {
		// What one comes from. grafana-loki is another Go plugin, which is not here; TestFromLoki runs loki.
		if foreign != "grafana-loki" && foreign != "loki" {
			t.Errorf("got an output %q; want logscope, or what one migrates from", foreign)
		}
		return
	}
	if strings.Contains(text, "[SERVICE]") {
		checkConf(t, d.page, text)
	} else {
		text = "[SERVICE]\n    flush 1\n    grace 5\n    coro_stack_size 196608\n[INPUT]\n    name dummy\n    tag host.app.x\n    samples 3\n" + text
	}
	path := filepath.Join(d.dir, "fluent-bit.conf")
	if f.file != "" {
		path = d.moved.Replace(f.file)
	}
	write(t, path, text)
	p := d.fluentBit(t, "-e", filepath.Join(d.dir, "bin/out_logscope.so"), "-c", path)
	if err := p.WaitLog(t.Context(), "] version", 1); err != nil {
		t.Fatal(err)
	}
	stop(t, p)
}

// fluentBit starts Fluent Bit with arguments.
func (d *desk) fluentBit(t *testing.T, args ...string) *child.Process {
	t.Helper()
	fb, ok := fluentbit.Find(t.Context())
	if !ok {
		t.Skip("no fluent-bit on PATH")
	}
	cmd := fb.Command(args...)
	cmd.Dir = d.dir
	cmd.Env = append(os.Environ(), "HOSTNAME=node-1", "LOKI_PASSWORD=secret")
	p, err := child.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	d.t.Cleanup(p.Kill)
	return p
}

// yaml checks options of logscope, or builds a kustomization with the options that follow it.
func (d *desk) yaml(t *testing.T, rest []fence) {
	text := d.moved.Replace(rest[0].text)
	dir := t.TempDir()
	if !strings.Contains(text, "kind: Kustomization") {
		write(t, filepath.Join(dir, "logscope.yaml"), text)
		settings, err := conf.Load(conf.Plugin, func(option string) (string, bool) {
			switch {
			case option == "config_file":
				return filepath.Join(dir, "logscope.yaml"), true
			case option == "url" && !strings.Contains(text, "url:"):
				return d.loki.URL, true
			}
			return "", false
		})
		if err != nil || len(settings.Warnings) > 0 {
			t.Errorf("got %v, %v; want options that the plugin takes", err, settings)
		}
		return
	}
	base, err := filepath.Abs(filepath.Join(root, "conf/kubernetes/base"))
	if err != nil {
		t.Fatal(err)
	}
	rel, err := filepath.Rel(dir, base)
	if err != nil {
		t.Fatal(err)
	}
	const remote = "github.com/logscope/logscope//conf/kubernetes/base?ref=main"
	if !strings.Contains(text, remote) {
		t.Errorf("got no resource %s", remote)
	}
	write(t, filepath.Join(dir, "kustomization.yaml"), strings.ReplaceAll(text, remote, rel))
	write(t, filepath.Join(dir, "logscope.yaml"), rest[1].text)
	made, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatal(err)
	}
	out, err := made.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	c := decode(t, out)
	if !strings.Contains(string(out), strings.TrimSpace(strings.Split(rest[1].text, "\n")[0])) || len(c.workloads()) != 1 {
		t.Errorf("got %d workloads, or none of the options:\n%s", len(c.workloads()), out)
	}
}

// unit demands that a unit of systemd starts what the commands of the page installed.
func (d *desk) unit(t *testing.T, f *fence) {
	start := regexp.MustCompile(`(?m)^ExecStart=(\S.*)$`).FindStringSubmatch(f.text)
	if start == nil || !strings.HasPrefix(f.text, "[Service]\n") || !strings.Contains(f.text, "ExecStart=\nExecStart=") {
		t.Fatalf("got the unit %q; want it to replace ExecStart", f.text)
	}
	for _, path := range regexp.MustCompile(`/(?:usr|etc)\S+`).FindAllString(start[1], -1) {
		if _, err := os.Stat(d.moved.Replace(path)); err != nil {
			t.Errorf("ExecStart: %s was not installed before: %v", path, err)
		}
	}
}
