package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"

	"github.com/logscope/logscope/test/child"
)

// script does what a block of commands says, line by line. What asks an engine or a cluster is checked, all else is run.
func (d *desk) script(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		words := strings.Fields(strings.TrimPrefix(line, "sudo "))
		if len(words) > 1 && strings.HasPrefix(words[0], "HOSTNAME=") {
			words = words[1:] // the environment is that of desk.fluentBit
			line = strings.Join(words, " ")
		}
		if len(words) == 0 {
			continue
		}
		switch words[0] {
		case "docker":
			d.docker(t, words[1:])
		case "kubectl":
			d.kubectl(t, words[1:])
		case "helm":
			d.helm(t, words[1:])
		case "kind":
			if !slices.Equal(words, []string{"kind", "load", "docker-image", d.image(t)}) {
				t.Errorf("got %q; want the image loaded that was built", line)
			}
		case "systemctl":
			if !slices.Contains([]string{"daemon-reload", "restart fluent-bit"}, strings.Join(words[1:], " ")) {
				t.Errorf("got %q; want a command of systemd", line)
			}
		case "make":
			// What it would do: the test has built the same already.
			cmd := exec.CommandContext(t.Context(), "make", append([]string{"-n"}, words[1:]...)...)
			cmd.Dir = root
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", line, err, out)
			}
		case "fluent-bit":
			d.running = d.fluentBit(t, strings.Fields(d.moved.Replace(line))[1:]...)
			if err := d.running.WaitLog(t.Context(), "serving /metrics", 1); err != nil {
				t.Fatal(err)
			}
		default:
			d.shell(t, line)
		}
	}
}

// shell runs a line with the project's command on PATH.
func (d *desk) shell(t *testing.T, line string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", d.moved.Replace(line))
	cmd.Dir = d.dir
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(d.dir, "bin")+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil || len(out) == 0 && !strings.Contains(line, ">") && !strings.Contains(line, "install ") && !strings.Contains(line, "generate ") {
		t.Errorf("%s: %v, %d bytes of output\n%s", line, err, len(out), out)
	}
}

// finish ends what a page started: the Fluent Bit of the host has shipped the machine's log.
func (d *desk) finish(t *testing.T) {
	t.Helper()
	if d.running == nil {
		return
	}
	defer func(p *child.Process) { stop(t, p) }(d.running)
	data, err := os.ReadFile(filepath.Join(d.dir, "machine/var/log/api.log"))
	if err != nil {
		t.Fatal(err)
	}
	got := d.loki.wait(t, strings.Count(string(data), "\n"), d.running)
	for _, e := range got {
		if labels := withoutVerdict(e.Labels); labels != `{host="node-1", job="host"}` {
			t.Fatalf("got the stream %s", labels)
		}
	}
}

// image is the name of the image that compose builds.
func (d *desk) image(t *testing.T) string {
	t.Helper()
	return project(t).Services["fluent-bit"].Image
}

// flags splits arguments into flags with their values and the rest. Those in bare have no value.
func flags(t *testing.T, args []string, bare ...string) (map[string][]string, []string) {
	t.Helper()
	got, rest := map[string][]string{}, []string{}
	for i := 0; i < len(args); i++ {
		name, value, ok := strings.Cut(args[i], "=")
		switch {
		case !strings.HasPrefix(args[i], "-"):
			rest = append(rest, args[i])
		case ok || slices.Contains(bare, name):
			got[name] = append(got[name], value)
		case i+1 < len(args):
			i++
			got[name] = append(got[name], args[i])
		default:
			t.Errorf("%v: no value of %s", args, name)
		}
	}
	return got, rest
}

// only demands that no flag but these is used.
func only(t *testing.T, got map[string][]string, known ...string) {
	t.Helper()
	for name := range got {
		if !slices.Contains(known, name) {
			t.Errorf("got the flag %s; want one of %v", name, known)
		}
	}
}

func (d *desk) docker(t *testing.T, args []string) {
	t.Helper()
	switch args[0] {
	case "compose":
		d.compose(t, args[1:])
	case "build", "buildx":
		got, rest := flags(t, args[1:], "--push")
		only(t, got, "-f", "-t", "--platform", "--push")
		if _, err := os.Stat(filepath.Join(root, got["-f"][0])); err != nil || rest[len(rest)-1] != "." {
			t.Errorf("got %v: %v; want the Dockerfile and the project", args, err)
		}
		if !strings.HasSuffix(got["-t"][0], d.image(t)) {
			t.Errorf("got the image %s; want %s", got["-t"][0], d.image(t))
		}
		for _, platform := range got["--platform"] {
			if platform != "linux/amd64,linux/arm64" {
				t.Errorf("got the platforms %s; want those of the Dockerfile", platform)
			}
		}
	case "run":
		d.dockerRun(t, args[1:])
	case "inspect":
	default:
		t.Errorf("got docker %v; want a command that this test knows", args)
	}
}

func (d *desk) compose(t *testing.T, args []string) {
	t.Helper()
	got, rest := flags(t, args, "--build", "--wait", "--detach", "--volumes")
	only(t, got, "-f", "--profile", "--build", "--wait", "--detach", "--volumes", "--scale")
	if !slices.Equal(got["-f"], []string{"docker/compose.yaml"}) || len(rest) != 1 || !slices.Contains([]string{"up", "down"}, rest[0]) {
		t.Errorf("got docker compose %v", args)
	}
	p := project(t, got["--profile"]...)
	for _, profile := range got["--profile"] {
		if len(p.Services) == len(project(t).Services) {
			t.Errorf("profile %s adds no service", profile)
		}
	}
	for _, scale := range got["--scale"] {
		name, count, _ := strings.Cut(scale, "=")
		n, err := strconv.Atoi(count)
		s, ok := p.Services[name]
		if err != nil || !ok || len(s.Ports) > 0 || s.ContainerName != "" {
			t.Errorf("--scale %s: no such service, or one that can stand only once", scale)
		}
		command := p.Services["kafka-topic"].Command
		partitions, err := strconv.Atoi(command[slices.Index(command, "--partitions")+1])
		if err != nil || partitions < n {
			t.Errorf("--scale %s: got %d partitions, %v; want one at least for each consumer", scale, partitions, err)
		}
	}
}

func (d *desk) dockerRun(t *testing.T, args []string) {
	t.Helper()
	got, rest := flags(t, args, "-d", "--read-only")
	only(t, got, "-d", "--name", "--read-only", "--cap-drop", "-e", "-p", "-v", "--log-driver", "--log-opt")
	if !pinned(rest[0]) {
		t.Errorf("got the image %s; want a version", rest[0])
	}
	text := read(t, "docker/fluent-bit.conf")
	for _, v := range got["-v"] {
		if _, target, _ := strings.Cut(v, ":"); !strings.Contains(text, target+"/") {
			t.Errorf("-v %s: the image keeps nothing there", v)
		}
	}
	for _, e := range got["-e"] {
		if name, _, _ := strings.Cut(e, "="); !strings.Contains(text, "${"+name+"}") {
			t.Errorf("-e %s: the image does not read it", e)
		}
	}
	for _, p := range got["-p"] {
		if port := p[strings.LastIndex(p, ":")+1:]; !strings.HasPrefix(p, "127.0.0.1:") || !strings.Contains(text, " "+port+"\n") {
			t.Errorf("-p %s: not on loopback, or nobody listens", p)
		}
	}
}

func (d *desk) kubectl(t *testing.T, args []string) {
	t.Helper()
	got, rest := flags(t, args)
	only(t, got, "-n", "-k", "--from-file")
	switch {
	case rest[0] == "apply" && len(got["-k"]) == 1:
		dir, ok := strings.CutPrefix(got["-k"][0], "conf/kubernetes/")
		if !ok {
			t.Fatalf("got -k %v; want an overlay", got["-k"])
		}
		d.applied[dir] = kustomize(t, dir)
	case rest[0] == "rollout" && rest[1] == "status", rest[0] == "port-forward":
		d.exists(t, got["-n"][0], rest[len(rest)-1-btoi(rest[0] == "port-forward")], rest)
	case rest[0] == "create" && rest[1] == "secret":
		checkSecret(t, got["-n"][0], rest[3], got["--from-file"])
	case rest[0] == "create" && rest[1] == "namespace", rest[0] == "label" && rest[1] == "namespace":
		if rest[2] != "logscope" {
			t.Errorf("got the namespace %s; want logscope", rest[2])
		}
	default:
		t.Errorf("got kubectl %v; want a command that this test knows", args)
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// exists demands that an overlay that was applied has the object, which is named kind/name.
func (d *desk) exists(t *testing.T, namespace, object string, args []string) {
	t.Helper()
	kind, name, _ := strings.Cut(object, "/")
	for _, c := range d.applied {
		if kind == "svc" && slices.ContainsFunc(all[*core.Service](c), func(s *core.Service) bool {
			return s.Namespace == namespace && s.Name == name && strconv.Itoa(int(s.Spec.Ports[0].Port)) == args[len(args)-1]
		}) {
			return
		}
		if kind != "svc" && slices.ContainsFunc(c.workloads(), func(w workload) bool { return w.namespace == namespace && w.name == name }) {
			return
		}
	}
	t.Errorf("no %s in %s of what was applied", object, namespace)
}

// checkSecret demands that a Secret has what the production overlay reads.
func checkSecret(t *testing.T, namespace, name string, files []string) {
	t.Helper()
	c := kustomize(t, "overlays/production")
	var keys []string
	for _, file := range files {
		key, _, _ := strings.Cut(file, "=")
		keys = append(keys, "/etc/logscope-loki/"+key)
	}
	_, options := kubernetesConfig(t, "overlays/production", "logscope-node")
	for _, path := range regexp.MustCompile(`/etc/logscope-loki/\S+`).FindAllString(options, -1) {
		if !slices.Contains(keys, path) {
			t.Errorf("the Secret has %v; want %s", keys, path)
		}
	}
	for _, w := range c.workloads() {
		if w.namespace == namespace && slices.ContainsFunc(w.pod.Spec.Volumes, func(v core.Volume) bool { return v.Secret != nil && v.Secret.SecretName == name }) {
			return
		}
	}
	t.Errorf("nobody in %s mounts the Secret %s", namespace, name)
}

func (d *desk) helm(t *testing.T, args []string) {
	t.Helper()
	got, rest := flags(t, args, "--install")
	only(t, got, "--install", "--version", "--namespace", "-f")
	switch rest[0] {
	case "repo":
		if !slices.Equal(rest, []string{"repo", "add", "fluent", "https://fluent.github.io/helm-charts"}) {
			t.Errorf("got helm %v; want the charts of Fluent", rest)
		}
	case "upgrade":
		text, err := os.ReadFile(filepath.Join(d.dir, got["-f"][0]))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "fluent/fluent-bit --version "+got["--version"][0]+" ") || rest[2] != "fluent/fluent-bit" {
			t.Errorf("got helm %v; want the chart that the values are for", args)
		}
	default:
		t.Errorf("got helm %v; want a command that this test knows", args)
	}
}
