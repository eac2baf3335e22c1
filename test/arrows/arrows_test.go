// Package arrows keeps the design's import arrows: who may know whom, and
// what the engine may not touch.
package arrows

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/logscope/logscope/"

// mayImport lists, for each package tree of the product, the trees of the product that it may import.
var mayImport = map[string][]string{
	"engine":          {"engine"},
	"loki":            {"loki"},
	"plugin/chunk":    {"plugin/chunk"},
	"plugin/pipeline": {"plugin/pipeline", "plugin/chunk", "engine", "loki"},
	"conf":            {"conf", "plugin/pipeline", "engine", "loki"},
	"plugin/listen":   {},
	"plugin/metrics":  {"plugin/metrics", "plugin/listen", "plugin/pipeline", "engine", "loki"},
	"plugin/view":     {"plugin/view", "plugin/listen", "plugin/pipeline", "engine"},
	"plugin/serve":    {"plugin/serve", "plugin/pipeline", "plugin/chunk", "engine", "loki"},
	"plugin":          {"conf", "plugin/metrics", "plugin/pipeline", "plugin/view"},
	"cmd":             {"cmd", "conf", "plugin/serve", "plugin/view", "plugin/metrics", "plugin/pipeline", "engine", "loki"},
}

// engineForbids are packages that would give the engine a clock, I/O, a lock or chance.
var engineForbids = []string{"net", "os", "io/fs", "log", "sync", "math/rand", "hash/maphash", "syscall", "runtime", "context"}

func TestArrows(t *testing.T) {
	files := 0
	eachFile(t, func(path string, file *ast.File) {
		tree := treeOf(filepath.ToSlash(filepath.Dir(path)))
		if tree == "" {
			return
		}
		files++
		for _, spec := range file.Imports {
			checkImport(t, path, tree, strings.Trim(spec.Path.Value, `"`))
		}
	})
	if files < 20 {
		t.Errorf("got %d files of the product; want them all: is the test run in its own directory?", files)
	}
}

func checkImport(t *testing.T, path, tree, imported string) {
	t.Helper()
	if imported == "C" && path != "plugin/flb.go" {
		t.Errorf("%s imports C; only plugin/flb.go may", path)
	}
	if tree == "engine" && !strings.HasSuffix(path, "_test.go") {
		for _, bad := range engineForbids {
			if imported == bad || strings.HasPrefix(imported, bad+"/") {
				t.Errorf("%s imports %s; the engine has no I/O, clock, lock or chance", path, imported)
			}
		}
	}
	own, ok := strings.CutPrefix(imported, module)
	if !ok {
		return
	}
	if strings.HasSuffix(path, "_test.go") && strings.HasPrefix(own, "test/") {
		return // servers and tools that tests share
	}
	for _, allowed := range mayImport[tree] {
		if own == allowed || strings.HasPrefix(own, allowed+"/") {
			return
		}
	}
	t.Errorf("%s imports %s; %s may import only %v", path, own, tree, mayImport[tree])
}

// TestEngineHasNoClockAndNoGoroutine looks for what imports do not show.
func TestEngineHasNoClockAndNoGoroutine(t *testing.T) {
	clock := map[string]bool{"Now": true, "Since": true, "Until": true, "Sleep": true, "After": true, "AfterFunc": true, "NewTimer": true, "NewTicker": true, "Tick": true, "Local": true}
	eachFile(t, func(path string, file *ast.File) {
		if !strings.HasPrefix(path, "engine/") || strings.HasSuffix(path, "_test.go") {
			return
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s starts a goroutine; the engine has none", path)
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && clock[n.Sel.Name] {
					t.Errorf("%s uses time.%s; the engine has no clock", path, n.Sel.Name)
				}
			}
			return true
		})
	})
}

// treeOf names the tree of mayImport that dir belongs to, the longest first.
func treeOf(dir string) string {
	best := ""
	for tree := range mayImport {
		if (dir == tree || strings.HasPrefix(dir, tree+"/")) && len(tree) > len(best) {
			best = tree
		}
	}
	return best
}

// eachFile parses every Go file of the module; paths are relative to its root.
func eachFile(t *testing.T, visit func(path string, file *ast.File)) {
	t.Helper()
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		visit(filepath.ToSlash(rel), file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
