package lokitest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// dockerAnswers says whether a Docker engine is at hand, not only its command.
func dockerAnswers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return exec.CommandContext(ctx, "docker", "info", "--format", "{{.ServerVersion}}").Run() == nil
}

// startContainer runs the image of version on a free port of loopback. The
// configuration is copied in, so that the engine may be another machine's.
func startContainer(ctx context.Context, version string, opt Options) (*Server, error) {
	const inside = 3100
	port := opt.Port
	if port == 0 {
		var err error
		if port, err = FreePort(); err != nil {
			return nil, err
		}
	}
	dir, err := os.MkdirTemp("", "logscope-loki-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	config := filepath.Join(dir, "loki.yaml")
	if err := os.WriteFile(config, configuration("0.0.0.0", inside, 9095, "/loki", opt.Ruler), 0o644); err != nil {
		return nil, err
	}
	image := "grafana/loki:" + strings.TrimPrefix(version, "v")
	fmt.Fprintf(opt.Progress, "starting %s in Docker\n", image)
	id, err := docker(ctx, "create", "--rm", "-p", fmt.Sprintf("127.0.0.1:%d:%d", port, inside), image, "-config.file=/tmp/loki.yaml")
	if err != nil {
		return nil, err
	}
	s := &Server{
		Client: NewClient(fmt.Sprintf("http://127.0.0.1:%d", port)),
		Origin: "Docker image " + image,
		remove: []string{"docker", "rm", "-f", "-v", id},
	}
	if _, err = docker(ctx, "cp", config, id+":/tmp/loki.yaml"); err == nil {
		if _, err = docker(ctx, "start", id); err == nil {
			err = s.waitReady(ctx, readyWithin)
		}
	}
	if err != nil {
		logs, _ := docker(ctx, "logs", "--tail", "15", id)
		s.Stop()
		return nil, fmt.Errorf("cannot run %s in Docker: %w\n%s", image, err, logs)
	}
	return s, nil
}

// docker runs one command and returns the last line of its output, an id where it prints one.
func docker(ctx context.Context, args ...string) (string, error) {
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", args[0], err, bytes.TrimSpace(errs.Bytes()))
	}
	if args[0] == "logs" {
		return out.String() + errs.String(), nil
	}
	lines := strings.Fields(out.String())
	if len(lines) == 0 {
		return "", nil
	}
	return lines[len(lines)-1], nil
}
