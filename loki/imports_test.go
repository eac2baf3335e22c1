package loki

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// heavy are packages that would add 7 to 10 MB to the plugin, see
// docs/design/0001-loki-sender.md. Tests of nested modules may import them.
var heavy = [...]string{"github.com/grafana/loki-client-go/loki", "github.com/grafana/loki/pkg/push", "github.com/prometheus/prometheus"}

func TestProductImportsNoHeavySender(t *testing.T) {
	files := 0
	for _, dir := range []string{"loki", "plugin", "engine", "conf", "cmd"} {
		err := filepath.WalkDir(filepath.Join("..", dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
				return err
			}
			files++
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
			if err != nil {
				return err
			}
			for _, imp := range f.Imports {
				name, err := strconv.Unquote(imp.Path.Value)
				if err != nil {
					return err
				}
				for _, h := range heavy {
					if name == h || strings.HasPrefix(name, h+"/") {
						t.Errorf("%s imports %s", path, name)
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	if files < 20 {
		t.Errorf("looked at %d files only: has the layout changed?", files)
	}
}
