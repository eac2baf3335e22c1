package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// project loads docker/compose.yaml with the library that docker compose is made of, which checks it against the
// schema: an unknown key is an error.
func project(t *testing.T, profiles ...string) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{filepath.Join(root, "docker/compose.yaml")},
		cli.WithProfiles(profiles), cli.WithInterpolation(true), cli.WithResolvedPaths(true), cli.WithNormalization(true), cli.WithConsistency(true))
	if err != nil {
		t.Fatal(err)
	}
	p, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestCompose checks what the file promises of every service.
func TestCompose(t *testing.T) {
	for _, profiles := range [][]string{nil, {"kafka"}} {
		p := project(t, profiles...)
		t.Logf("profiles %v: %v", profiles, p.ServiceNames())
		for name, s := range p.Services {
			checkService(t, name, &s)
		}
	}
	plain, kafka := project(t).ServiceNames(), project(t, "kafka").ServiceNames()
	if slices.ContainsFunc(plain, func(name string) bool { return strings.HasPrefix(name, "kafka") }) {
		t.Errorf("without a profile: got %v; want nothing of Kafka", plain)
	}
	for _, name := range append(plain, "kafka", "kafka-topic", "kafka-node", "kafka-scoring") {
		if !slices.Contains(kafka, name) {
			t.Errorf("profile kafka: got no %s", name)
		}
	}
}

func checkService(t *testing.T, name string, s *types.ServiceConfig) {
	t.Helper()
	if !pinned(s.Image) {
		t.Errorf("%s: got the image %s; want a version", name, s.Image)
	}
	if s.Deploy == nil || s.Deploy.Resources.Limits == nil || s.Deploy.Resources.Limits.MemoryBytes == 0 || s.Deploy.Resources.Limits.NanoCPUs == 0 {
		t.Errorf("%s: no limits of memory and CPU", name)
	}
	if s.Restart == "" {
		t.Errorf("%s: not started again when it ends", name)
	}
	// The images of logscope bring their own; kafka-topic runs once.
	if s.HealthCheck == nil && s.Build == nil && name != "kafka-topic" {
		t.Errorf("%s: no health check", name)
	}
	if !slices.Contains(s.CapDrop, "ALL") || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") || s.Privileged {
		t.Errorf("%s: more rights than it needs", name)
	}
	if s.Build != nil && !s.ReadOnly {
		t.Errorf("%s: its root can be written to", name)
	}
	if s.Logging == nil || s.Logging.Options["max-size"] == "" {
		t.Errorf("%s: its log has no bound", name)
	}
	for _, port := range s.Ports {
		if port.HostIP != "127.0.0.1" {
			t.Errorf("%s: port %s is open on %q; want 127.0.0.1", name, port.Published, port.HostIP)
		}
	}
	for _, v := range s.Volumes {
		if v.Type != types.VolumeTypeBind {
			continue
		}
		if !v.ReadOnly {
			t.Errorf("%s: %s can be written to", name, v.Source)
		}
		if _, err := os.Stat(v.Source); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestComposePaths: what a service reads is mounted where it reads it.
func TestComposePaths(t *testing.T) {
	for name, s := range project(t, "kafka").Services {
		targets := map[string]bool{}
		for _, v := range s.Volumes {
			targets[v.Target] = true
		}
		for i, arg := range s.Command {
			if arg != "-c" {
				continue
			}
			main := s.Command[i+1]
			if !targets[main] {
				t.Errorf("%s: %s is not mounted", name, main)
				continue
			}
			text := read(t, "docker/config/"+filepath.Base(main))
			for _, all := range sections(t, text) {
				if file, ok := all.get("parsers_file"); ok && !targets["/etc/logscope/"+file] {
					t.Errorf("%s: %s is not mounted", name, file)
				}
				for _, key := range []string{"storage.path", "state_file"} {
					if path, ok := all.get(key); ok && !targets[filepath.Dir(path)] {
						t.Errorf("%s: %s lies on no volume; the root is read-only", name, path)
					}
				}
			}
			for line := range strings.Lines(text) {
				if file, ok := strings.CutPrefix(strings.TrimSpace(line), "@INCLUDE "); ok && !targets["/etc/logscope/"+file] {
					t.Errorf("%s: %s is not mounted", name, file)
				}
			}
		}
	}
}

// TestComposeGenerate: the flags of the shops are flags, and the port is the one that is listened on.
func TestComposeGenerate(t *testing.T) {
	p := project(t, "kafka")
	for name, receiver := range map[string]string{"shop": "docker/config/demo.conf", "kafka-shop": "docker/config/kafka-node.conf"} {
		args := append([]string{"generate"}, p.Services[name].Command...)
		at := slices.Index(args, "--tcp")
		_, port, _ := strings.Cut(args[at+1], ":")
		if got, _ := sections(t, read(t, receiver))[1].get("port"); got != port {
			t.Errorf("%s: sends to port %s; %s listens on %q", name, port, receiver, got)
		}
		args = slices.Delete(args, at, at+2)
		if n := strings.Count(logscope(t, append(args, "--lines", "200")...), "\n"); n != 200 {
			t.Errorf("%s: got %d lines; want 200", name, n)
		}
	}
}

// TestLokiConfig has Loki check its configuration, where one was built for other tests.
func TestLokiConfig(t *testing.T) {
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	image := project(t).Services["loki"].Image
	version := image[strings.Index(image, ":")+1:]
	if gomod := read(t, "test/loki/go.mod"); !strings.Contains(gomod, fmt.Sprintf("github.com/grafana/loki/v3 v%s ", version)) {
		t.Errorf("got Loki %s in docker/compose.yaml; want the version that everything else is tested with", version)
	}
	built, err := filepath.Glob(filepath.Join(cache, "logscope", "loki-v"+version+"-*"))
	if err != nil || len(built) == 0 {
		t.Skip("no Loki was built here; go run ./test/lokitest/lokibuild builds it")
	}
	cmd := exec.CommandContext(t.Context(), built[0], "-config.file="+filepath.Join(root, "docker/config/loki.yaml"), "-verify-config")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("Loki refuses docker/config/loki.yaml: %v\n%s", err, out)
	}
}
