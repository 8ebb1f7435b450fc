package fedmsg_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// document reads a page of docs/, which must be there.
func document(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("docs", name))
	if err != nil {
		t.Fatalf("docs/%s is missing, and what this test holds true stands in it: %v", name, err)
	}
	return string(text)
}

// tableRows returns the first cell of each table row, where it is `code`.
func tableRows(text string) []string {
	var found []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)`").FindAllStringSubmatch(text, -1) {
		found = append(found, m[1])
	}
	return found
}

func TestHouseDependencies(t *testing.T) {
	var direct []string
	for _, file := range []string{"go.mod", "tools.mod", "bench/go.mod"} {
		out, err := exec.CommandContext(t.Context(), "go", "mod", "edit", "-json", file).Output()
		if err != nil {
			t.Fatalf("go mod edit -json %s: %v", file, err)
		}
		var mod struct {
			Require []struct {
				Path     string
				Indirect bool
			}
		}
		if err := json.Unmarshal(out, &mod); err != nil {
			t.Fatal(err)
		}
		for _, r := range mod.Require {
			if !r.Indirect && r.Path != module {
				direct = append(direct, r.Path)
			}
		}
	}
	rows := tableRows(document(t, "dependencies.md"))
	for _, path := range direct {
		if !slices.Contains(rows, path) {
			t.Errorf("docs/dependencies.md has no row for %s: what for, which room owns it, why this one", path)
		}
	}
	for _, row := range rows {
		if !slices.Contains(direct, row) {
			t.Errorf("docs/dependencies.md has a row for %s, which no go.mod requires directly", row)
		}
	}
}

func TestHouseInvariants(t *testing.T) {
	known := make(map[string]bool)
	for _, r := range house(t) {
		for _, f := range r.files {
			for _, decl := range f.Decls {
				if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil {
					known[fn.Name.Name] = true
				}
			}
		}
	}
	named := regexp.MustCompile(`\b(?:Test|Fuzz|Example|Benchmark)[A-Z]\w*`).FindAllString(document(t, "invariants.md"), -1)
	if len(named) == 0 {
		t.Error("docs/invariants.md names no test: each rule has the test that holds it")
	}
	for _, name := range named {
		if !known[name] {
			t.Errorf("docs/invariants.md names %s, and there is no such test", name)
		}
	}
}

func TestHouseMetrics(t *testing.T) {
	used, literals := make(map[string]token.Position), make(map[string]bool)
	for _, r := range house(t) {
		for _, f := range r.code() {
			ast.Inspect(f, func(n ast.Node) bool {
				if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					text, _ := strconv.Unquote(lit.Value)
					literals[text] = true
				}
				if lit := metricName(n); lit != nil {
					text, _ := strconv.Unquote(lit.Value)
					used[text] = r.fset.Position(lit.Pos())
				}
				return true
			})
		}
	}
	rows := make(map[string]bool)
	for _, row := range tableRows(document(t, "operate.md")) {
		if name, ok := strings.CutPrefix(row, "fedmsg_"); ok {
			name, _, _ = strings.Cut(name, "{")
			rows[name] = true
			if !literals[name] {
				t.Errorf("docs/operate.md has a row for fedmsg_%s, which no code counts", name)
			}
		}
	}
	for name, at := range used {
		if !rows[name] {
			t.Errorf("%s: docs/operate.md has no row for the metric fedmsg_%s", at, name)
		}
		if strings.IndexFunc(name, func(r rune) bool { return !unicode.IsLower(r) && r != '_' }) >= 0 {
			t.Errorf("%s: metric name %q", at, name)
		}
	}
}

// metricName returns the name literal in NewCounters("x", …), NewHistogram("x",
// …) and Sample{Name: "x", …}.
func metricName(n ast.Node) *ast.BasicLit {
	named := func(e ast.Expr, names ...string) bool {
		if sel, ok := e.(*ast.SelectorExpr); ok {
			e = sel.Sel
		}
		id, ok := e.(*ast.Ident)
		return ok && slices.Contains(names, id.Name)
	}
	var name ast.Expr
	switch n := n.(type) {
	case *ast.CallExpr:
		if named(n.Fun, "NewCounters", "NewHistogram") && len(n.Args) > 0 {
			name = n.Args[0]
		}
	case *ast.CompositeLit:
		if n.Type == nil || !named(n.Type, "Sample") {
			return nil
		}
		for _, e := range n.Elts {
			if kv, ok := e.(*ast.KeyValueExpr); ok && fmt.Sprint(kv.Key) == "Name" {
				name = kv.Value
			}
		}
	}
	lit, _ := name.(*ast.BasicLit)
	return lit
}

// Every word that a refusal can have stands in the table of docs/wire.md, and no
// other.
func TestHouseReasons(t *testing.T) {
	words := make(map[string]token.Position)
	for _, r := range house(t) {
		for _, f := range r.code() {
			ast.Inspect(f, func(n ast.Node) bool {
				spec, ok := n.(*ast.ValueSpec)
				if !ok || spec.Type == nil || len(spec.Values) != 1 {
					return true
				}
				typ := spec.Type
				if sel, ok := typ.(*ast.SelectorExpr); ok {
					typ = sel.Sel
				}
				if id, ok := typ.(*ast.Ident); ok && id.Name == "Reason" {
					if lit, ok := spec.Values[0].(*ast.BasicLit); ok {
						word, _ := strconv.Unquote(lit.Value)
						words[word] = r.fset.Position(lit.Pos())
					}
				}
				return true
			})
		}
	}
	_, table, _ := strings.Cut(document(t, "wire.md"), "## Reasons of refusals")
	rows := tableRows(table)
	for word, at := range words {
		if !slices.Contains(rows, word) {
			t.Errorf("%s: docs/wire.md has no row for the reason %s", at, word)
		}
	}
	for _, row := range rows {
		if _, ok := words[row]; !ok {
			t.Errorf("docs/wire.md has a row for the reason %s, which no code knows", row)
		}
	}
}

// The fields of words stand in docs/wire.md, in their order, and no others.
func TestHouseWords(t *testing.T) {
	_, section, _ := strings.Cut(document(t, "wire.md"), "\n### Words\n")
	section, _, _ = strings.Cut(section, "\n### ")
	if rows := tableRows(section); !slices.Equal(rows, fedmsg.WordsFields) {
		t.Errorf("docs/wire.md has rows for the words %q, want %q", rows, fedmsg.WordsFields)
	}
}
