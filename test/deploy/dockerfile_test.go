package deploy

import (
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

const dockerfile = "docker/Dockerfile"

// stages parses the Dockerfile as BuildKit does, with the rules of its linter that need no image.
func stages(t *testing.T) []instructions.Stage {
	t.Helper()
	parsed, err := parser.Parse(strings.NewReader(read(t, dockerfile)))
	if err != nil {
		t.Fatal(err)
	}
	for _, warning := range parsed.Warnings {
		t.Errorf("%s: %s", dockerfile, warning.Short)
	}
	lint := linter.New(&linter.Config{Warn: func(rule, description, _, message string, at []parser.Range) {
		t.Errorf("%s: %s: %s (%s), at %v", dockerfile, rule, message, description, at)
	}})
	all, _, err := instructions.Parse(parsed.AST, lint)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestDockerfile checks what the image promises.
func TestDockerfile(t *testing.T) {
	all := stages(t)
	for _, stage := range all {
		if !pinned(stage.BaseName) {
			t.Errorf("got FROM %s; want a version", stage.BaseName)
		}
	}
	last := all[len(all)-1]
	got := map[string]bool{}
	for _, command := range last.Commands {
		got[strings.ToLower(command.Name())] = true
		switch c := command.(type) {
		case *instructions.UserCommand:
			if id, err := strconv.Atoi(strings.Split(c.User, ":")[0]); err != nil || id == 0 {
				t.Errorf("got USER %s; want a number that Kubernetes can tell from root", c.User)
			}
		case *instructions.RunCommand:
			t.Errorf("got RUN %v in the last stage; its base has no shell", c.CmdLine)
		case *instructions.EntrypointCommand:
			if c.PrependShell {
				t.Errorf("got ENTRYPOINT %v; its base has no shell", c.CmdLine)
			}
		case *instructions.HealthCheckCommand:
			if c.Health.Test[0] != "CMD" {
				t.Errorf("got HEALTHCHECK %v; its base has no shell", c.Health.Test)
			}
		}
	}
	for _, name := range []string{"user", "healthcheck", "entrypoint", "cmd"} {
		if !got[name] {
			t.Errorf("got no %s", strings.ToUpper(name))
		}
	}
}

// pinned says that an image has a version, down to the patch level where it has one.
func pinned(image string) bool {
	_, tag, ok := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
	return ok && regexp.MustCompile(`^v?\d+\.\d+\.\d+\b`).MatchString(tag)
}

// imageContext copies what the build sees of the project, as docker/Dockerfile.dockerignore says, and returns the paths.
func imageContext(t *testing.T, to string) []string {
	t.Helper()
	patterns, err := ignorefile.ReadAll(strings.NewReader(read(t, dockerfile+".dockerignore")))
	if err != nil {
		t.Fatal(err)
	}
	ignore, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil || rel == "." {
			return err
		}
		if d.IsDir() && (rel == ".git" || rel == "bin" || rel == "build" || rel == "test") {
			return filepath.SkipDir // large, and ignored below all the same
		}
		if ignored, err := ignore.MatchesOrParentMatches(rel); err != nil || ignored || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		paths = append(paths, rel)
		write(t, filepath.Join(to, rel), string(data))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// TestImageBuild runs the commands of the first stage in a directory of the test's, on what the build would see, for
// every architecture that there is a compiler for. Only apt-get install is not run but simulated.
func TestImageBuild(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the plugin")
	}
	all := stages(t)
	runs := map[string]string{"apt": "", "download": "", "go build": "", "readelf": ""}
	for _, command := range all[0].Commands {
		run, ok := command.(*instructions.RunCommand)
		if !ok {
			continue
		}
		for word := range runs {
			if text := strings.Join(run.CmdLine, " "); strings.Contains(text, word) && runs[word] == "" {
				runs[word] = text
			}
		}
	}
	src := t.TempDir()
	paths := imageContext(t, src)
	checkCopies(t, all[len(all)-1], paths)
	t.Run("apt", func(t *testing.T) { testApt(t, runs["apt"]) })
	for arch, compiler := range map[string]string{"amd64": "x86_64-linux-gnu-gcc", "arm64": "aarch64-linux-gnu-gcc"} {
		t.Run(arch, func(t *testing.T) {
			if _, err := exec.LookPath(compiler); err != nil {
				t.Skipf("no %s on PATH", compiler)
			}
			out := filepath.Join(t.TempDir(), "out")
			env := []string{"TARGETARCH=" + arch, "VERSION=v0.0.0-test"}
			shell(t, src, runs["download"], out, env)
			shell(t, src, runs["go build"], out, env)
			if text := shell(t, src, runs["readelf"], out, env); !strings.Contains(text, "out_logscope.so needs GLIBC_") {
				t.Errorf("got %q; want the version of glibc", text)
			}
			checkGlibc(t, filepath.Join(out, "lib/out_logscope.so"), arch)
			for _, dir := range []string{"var/fluent-bit", "var/logscope"} {
				if info, err := os.Stat(filepath.Join(out, dir)); err != nil || !info.IsDir() {
					t.Errorf("got no directory %s", dir)
				}
			}
			if arch == runtime.GOARCH {
				version, err := exec.Command(filepath.Join(out, "bin/logscope"), "version").Output()
				if err != nil || !strings.Contains(string(version), "v0.0.0-test") {
					t.Errorf("logscope version: got %q, %v", version, err)
				}
			}
		})
	}
}

// shell runs a command of the Dockerfile, with /out moved.
func shell(t *testing.T, dir, command, out string, env []string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", strings.ReplaceAll(command, "/out/", out+"/"))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	text, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, command, text)
	}
	return string(text)
}

// testApt runs what installs a compiler: nothing for the machine's own architecture, an existing package for the
// other one, an error for a third.
func testApt(t *testing.T, command string) {
	if _, err := exec.LookPath("dpkg"); err != nil {
		t.Skip("not a Debian machine")
	}
	bin := t.TempDir()
	command = strings.ReplaceAll(command, "/var/lib/apt/lists", filepath.Join(bin, "lists"))
	calls := filepath.Join(bin, "calls")
	write(t, filepath.Join(bin, "apt-get"), "#!/bin/sh\necho \"$@\" >>"+calls+"\n")
	if err := os.Chmod(filepath.Join(bin, "apt-get"), 0o755); err != nil {
		t.Fatal(err)
	}
	run := func(arch string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", command)
		cmd.Env = append(os.Environ(), "TARGETARCH="+arch, "PATH="+bin+":"+os.Getenv("PATH"))
		text, err := cmd.CombinedOutput()
		asked, _ := os.ReadFile(calls) // none: not asked
		_ = os.Remove(calls)
		if err != nil {
			return string(text), err
		}
		return string(asked), nil
	}
	other := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
	if asked, err := run(runtime.GOARCH); err != nil || asked != "" {
		t.Errorf("own architecture: got %q, %v; want nothing installed", asked, err)
	}
	if text, err := run("riscv64"); err == nil || !strings.Contains(text, "riscv64 is not supported") {
		t.Errorf("riscv64: got %q, %v; want an error that says so", text, err)
	}
	asked, err := run(other)
	if err != nil {
		t.Fatalf("%s: %v: %s", other, err, asked)
	}
	packages := regexp.MustCompile(`gcc-[\w-]+|libc6-dev-[\w-]+`).FindAllString(asked, -1)
	if len(packages) != 2 || !strings.HasPrefix(asked, "update\n") {
		t.Errorf("%s: got %q; want update, and a compiler with its library installed", other, asked)
	}
	for _, name := range packages {
		found, err := exec.CommandContext(t.Context(), "apt-cache", "policy", name).Output()
		if err == nil && len(found) == 0 {
			t.Logf("%s: no list of packages here that has it or lacks it", name)
		} else if err == nil && strings.Contains(string(found), "Candidate: (none)") {
			t.Errorf("%s: no such package in Debian", name)
		}
	}
}

// checkCopies demands that each COPY of the last stage has a source.
func checkCopies(t *testing.T, stage instructions.Stage, context []string) {
	t.Helper()
	made := []string{"/out/lib/out_logscope.so", "/out/bin/logscope", "/out/var/fluent-bit", "/out/var/logscope"}
	for _, command := range stage.Commands {
		c, ok := command.(*instructions.CopyCommand)
		if !ok {
			continue
		}
		for _, source := range c.SourcePaths {
			if c.From == "" && !slices.Contains(context, source) {
				t.Errorf("COPY %s: docker/Dockerfile.dockerignore leaves it out, or it does not exist", source)
			}
			if c.From != "" && !slices.Contains(made, source) {
				t.Errorf("COPY --from=%s %s: no such file is made there", c.From, source)
			}
		}
	}
}

// glibcNewest is that of Debian 12, the oldest base of an official image of Fluent Bit that the plugin is for (3.0.7).
var glibcNewest = [2]int{2, 36}

// checkGlibc demands that a library loads on the base of the image.
func checkGlibc(t *testing.T, path, arch string) {
	t.Helper()
	file, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	want := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[arch]
	if file.Machine != want || file.Type != elf.ET_DYN {
		t.Errorf("got %v, %v; want a library for %v", file.Machine, file.Type, want)
	}
	symbols, err := file.ImportedSymbols()
	if err != nil || len(symbols) == 0 {
		t.Fatalf("got %d imported symbols, %v; want those of glibc", len(symbols), err)
	}
	newest := [2]int{}
	for _, symbol := range symbols {
		var v [2]int
		if n, _ := fmt.Sscanf(symbol.Version, "GLIBC_%d.%d", &v[0], &v[1]); n == 2 && slices.Compare(v[:], newest[:]) > 0 {
			newest = v
		}
	}
	if newest[0] == 0 || slices.Compare(newest[:], glibcNewest[:]) > 0 {
		t.Errorf("needs glibc %v; the base may have %v", newest, glibcNewest)
	}
	libraries, err := file.ImportedLibraries()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range libraries {
		if name != "libc.so.6" && !strings.HasPrefix(name, "ld-linux") && name != "libresolv.so.2" {
			t.Errorf("needs %s, which distroless/cc may not have", name)
		}
	}
	t.Logf("%s: needs glibc %d.%d, %v", arch, newest[0], newest[1], libraries)
}

// TestDockerCompose asks the client, where it has the plugin compose; the client needs no engine for it.
func TestDockerCompose(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	if err := exec.CommandContext(ctx, "docker", "compose", "version").Run(); err != nil {
		t.Skip("no docker compose here; TestCompose loads the file with the library that it is made of")
	}
	for _, profile := range []string{"", "kafka"} {
		cmd := exec.CommandContext(ctx, "docker", "compose", "-f", "docker/compose.yaml", "--profile", profile, "config", "--quiet")
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil || len(bytes.TrimSpace(out)) > 0 {
			t.Errorf("profile %q: %v\n%s", profile, err, out)
		}
	}
}
