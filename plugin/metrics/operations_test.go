package metrics

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// operationsPage is docs/operations.md.
func operationsPage(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// TestEveryMetricIsOnThePage, and no other.
func TestEveryMetricIsOnThePage(t *testing.T) {
	page := operationsPage(t)
	known := map[string]bool{}
	for _, name := range Names() {
		known[name] = true
		if !strings.Contains(page, "\n| `"+name+"` | ") {
			t.Errorf("docs/operations.md has no row for %s", name)
		}
	}
	for _, name := range regexp.MustCompile(`\blogscope_[a-z_]+\b`).FindAllString(page, -1) {
		if !known[name] {
			t.Errorf("docs/operations.md speaks of %s, which is no metric", name)
		}
	}
}

// TestEveryMessageIsOnThePage: the constants msg... of the plugin, and the advice of the sender.
func TestEveryMessageIsOnThePage(t *testing.T) {
	page := operationsPage(t)
	messages := 0
	check := func(pos, text string) {
		messages++
		if fragment := longest(text); !strings.Contains(page, fragment) {
			t.Errorf("docs/operations.md does not have %q (%s)", fragment, pos)
		}
	}
	for _, dir := range []string{"..", "../pipeline", "../serve", ".", "../listen", "../view", "../../loki"} {
		eachNode(t, dir, func(pos string, n ast.Node) {
			for _, text := range messagesOf(n) {
				check(pos, text)
			}
		})
	}
	if messages < 50 {
		t.Errorf("got %d messages; want those of the plugin and of the sender", messages)
	}
	c, err := os.ReadFile("../abi.c")
	if err != nil {
		t.Fatal(err)
	}
	forked := regexp.MustCompile(`LOG_ERROR, "((?:[^"]|"\s+")*)"`).FindSubmatch(c)
	if forked == nil {
		t.Fatal("abi.c has no message about the fork")
	}
	check("abi.c", strings.TrimPrefix(regexp.MustCompile(`"\s+"`).ReplaceAllString(string(forked[1]), ""), "[output:logscope] "))
}

// TestEveryCauseIsOnThePage: the reasons why Loki refuses.
func TestEveryCauseIsOnThePage(t *testing.T) {
	page := operationsPage(t)
	causes := 0
	eachNode(t, "../../loki", func(pos string, n ast.Node) {
		spec, ok := n.(*ast.ValueSpec)
		if ident, isIdent := specType(spec, ok); !isIdent || ident != "Cause" {
			return
		}
		for _, v := range spec.Values {
			causes++
			if cause := textOf(v); !strings.Contains(page, "`"+cause+"`") {
				t.Errorf("docs/operations.md does not have the cause %s (%s)", cause, pos)
			}
		}
	})
	if causes < 15 {
		t.Errorf("got %d causes; want all", causes)
	}
}

func specType(spec *ast.ValueSpec, ok bool) (string, bool) {
	if !ok || spec.Type == nil {
		return "", false
	}
	ident, ok := spec.Type.(*ast.Ident)
	if !ok {
		return "", false
	}
	return ident.Name, true
}

// eachNode visits the syntax of a package's files, without tests.
func eachNode(t *testing.T, dir string, visit func(pos string, n ast.Node)) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("got no files in %s: %v", dir, err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if n != nil {
				visit(fset.Position(n.Pos()).String(), n)
			}
			return true
		})
	}
}

// messagesOf returns what n says to people: a constant msg..., what is assigned to an Advice, what is
// given to block, what adviceFor and tlsAdvice return.
func messagesOf(n ast.Node) (texts []string) {
	switch n := n.(type) {
	case *ast.ValueSpec:
		for i, name := range n.Names {
			if strings.HasPrefix(name.Name, "msg") && i < len(n.Values) {
				texts = append(texts, textOf(n.Values[i]))
			}
		}
	case *ast.AssignStmt:
		if sel, ok := n.Lhs[len(n.Lhs)-1].(*ast.SelectorExpr); ok && sel.Sel.Name == "Advice" {
			texts = append(texts, textOf(n.Rhs[len(n.Rhs)-1]))
		}
	case *ast.CallExpr:
		if fn, ok := n.Fun.(*ast.Ident); ok && fn.Name == "block" && len(n.Args) == 2 {
			texts = append(texts, textOf(n.Args[1]))
		}
	case *ast.FuncDecl:
		if n.Name.Name != "adviceFor" && n.Name.Name != "tlsAdvice" {
			break
		}
		ast.Inspect(n, func(n ast.Node) bool {
			if ret, ok := n.(*ast.ReturnStmt); ok {
				texts = append(texts, textOf(ret.Results[0]))
			}
			return true
		})
	}
	var known []string
	for _, text := range texts {
		if text != "" { // a variable: it was seen where it got its value
			known = append(known, text)
		}
	}
	return known
}

// textOf is the text of a literal, of literals joined by +, or of the format in a call of Sprintf; a
// part that is no literal becomes a verb.
func textOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		if err != nil {
			return ""
		}
		return text
	case *ast.BinaryExpr:
		left, right := textOf(e.X), textOf(e.Y)
		if left == "" || right == "" {
			return left + "%v" + right
		}
		return left + right
	case *ast.CallExpr:
		if sel, ok := e.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Sprintf" {
			return textOf(e.Args[0])
		}
	}
	return ""
}

// longest is the longest part of a format between its verbs.
func longest(format string) (part string) {
	for _, p := range regexp.MustCompile(`%[a-z]|\n`).Split(format, -1) {
		if p = strings.Trim(p, " :("); len(p) > len(part) {
			part = p
		}
	}
	return part
}
