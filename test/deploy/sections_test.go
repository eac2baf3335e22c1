package deploy

import (
	"cmp"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/logscope/logscope/conf"
)

func sorted() gocmp.Option { return cmpopts.SortSlices(cmp.Less[string]) }

// head keeps a message short.
func head(text string) string { return text[:min(len(text), 4000)] }

// section is one section of a configuration in Fluent Bit's classic format.
type section struct {
	name  string // INPUT
	pairs [][2]string
}

// get returns the first value of a key; keys have no case.
func (s *section) get(key string) (string, bool) {
	for _, pair := range s.pairs {
		if strings.EqualFold(pair[0], key) {
			return pair[1], true
		}
	}
	return "", false
}

// sections reads a configuration as Fluent Bit does.
func sections(t testing.TB, text string) []section {
	t.Helper()
	var all []section
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "@"):
		case strings.HasPrefix(line, "["):
			all = append(all, section{name: strings.ToUpper(strings.Trim(line, "[]"))})
		default:
			key, value, ok := strings.Cut(line, " ")
			if !ok || len(all) == 0 {
				t.Fatalf("got the line %q; want a key and a value, in a section", line)
			}
			s := &all[len(all)-1]
			s.pairs = append(s.pairs, [2]string{key, strings.TrimSpace(value)})
		}
	}
	return all
}

// replaceSection puts other lines into the one section of a name.
func replaceSection(t testing.TB, text, name string, lines ...string) string {
	t.Helper()
	begin := strings.Index(text, "["+name+"]")
	if begin < 0 || strings.LastIndex(text, "["+name+"]") != begin {
		t.Fatalf("want one section [%s]", name)
	}
	end := len(text)
	if i := strings.Index(text[begin+1:], "\n["); i >= 0 {
		end = begin + 1 + i
	}
	return text[:begin] + "[" + name + "]\n    " + strings.Join(lines, "\n    ") + "\n" + text[end:]
}

// coreKeys are what Fluent Bit itself knows in any output section, of those that the project's files use.
var coreKeys = []string{"name", "match", "match_regex", "alias", "workers", "retry_limit", "log_level", "storage.total_limit_size"}

// environment is what Fluent Bit replaces before a plugin sees it.
var environment = regexp.MustCompile(`\$\{\w+\}`)

// checkLogscope checks a section of logscope as the plugin does at its start, and that it knows every key: Fluent Bit
// tells no plugin of misspelt ones.
func checkLogscope(t *testing.T, name string, s *section) {
	t.Helper()
	rows := conf.Rows(conf.Plugin)
	for _, pair := range s.pairs {
		key := strings.ToLower(pair[0])
		known := func(r conf.Row) bool { return strings.ReplaceAll(r.Name, "_", "") == strings.ReplaceAll(key, "_", "") }
		if !slices.Contains(coreKeys, key) && !slices.ContainsFunc(rows, known) {
			t.Errorf("%s: logscope has no option %q", name, pair[0])
		}
	}
	settings, err := conf.Load(conf.Plugin, func(option string) (string, bool) {
		value, ok := s.get(option)
		value = strings.ReplaceAll(value, "${LOKI_URL}", "http://loki:3100")
		return environment.ReplaceAllString(value, "x"), ok
	})
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	for _, warning := range settings.Warnings {
		t.Errorf("%s: the plugin would warn: %s", name, warning)
	}
}

// checkConf checks a configuration for what the plugin relies on, and for what no production may lack.
func checkConf(t *testing.T, name, text string) {
	t.Helper()
	all := sections(t, text)
	onDisk := false
	for i := range all {
		s := &all[i]
		plugin, _ := s.get("name")
		if storage, _ := s.get("storage.type"); s.name == "INPUT" && storage != "filesystem" {
			t.Errorf("%s: input %s keeps records in memory only", name, plugin)
		}
		if _, ok := s.get("storage.path"); s.name == "SERVICE" && ok {
			onDisk = true
		}
		if retry, _ := s.get("retry_limit"); s.name == "OUTPUT" && retry != "no_limits" {
			t.Errorf("%s: output %s gives up after %q retries", name, plugin, retry)
		}
		if workers, _ := s.get("workers"); plugin == "logscope" && workers == "" {
			t.Errorf("%s: logscope without workers holds up Fluent Bit when Loki is slow", name)
		}
		if plugin == "logscope" {
			checkLogscope(t, name, s)
		}
	}
	if !onDisk && strings.Contains(text, "[SERVICE]") {
		t.Errorf("%s: no storage.path", name)
	}
}

// TestConfFiles checks every configuration of docker/; TestKubernetes does those of conf/kubernetes.
func TestConfFiles(t *testing.T) {
	n := 0
	for _, dir := range []string{"docker"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".conf" || strings.HasPrefix(d.Name(), "parsers") {
				return err
			}
			rel, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			n++
			checkConf(t, rel, read(t, rel))
			return nil
		})
		if err != nil {
			t.Error(fmt.Errorf("cannot read %s: %w", dir, err))
		}
	}
	if n < 5 {
		t.Errorf("got %d configurations; want them all", n)
	}
}
