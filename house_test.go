package fedmsg_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/fedora-infra/fedmsg-go"

// owners says which rooms may import what is not ours: rooms, or what lies below
// them. What is not listed here nobody may import, but for the standard
// library, of which the two parts below have owners too.
var owners = map[string]string{
	"net/http":                            "http",
	"database/sql":                        "sqlite postgres internal/sqlarchive",
	"modernc.org/sqlite":                  "sqlite",
	"github.com/jackc/pgx/v5":             "postgres",
	"github.com/gofrs/flock":              "sqlite",
	"github.com/ProtonMail/go-crypto":     "gpg",
	"github.com/klauspost/compress":       "internal/sqlarchive http cmd/fedmsg",
	"github.com/prometheus/client_golang": "http",
	"go.starlark.net":                     "pyconfig",
	"github.com/coder/websocket":          "http",
	"golang.org/x/time":                   "http irc",
	"github.com/parquet-go/parquet-go":    "internal/parquet",
	"github.com/pelletier/go-toml/v2":     "meta cmd/fedmsg",
	"go.yaml.in/yaml/v3":                  "cmd/fedmsg",
	"github.com/spf13/cobra":              "cmd/fedmsg",
	"github.com/spf13/pflag":              "cmd/fedmsg",
	"charm.land/fang/v2":                  "cmd/fedmsg",
	"charm.land/lipgloss/v2":              "cmd/fedmsg",
	"github.com/coreos/go-systemd/v22":    "cmd/fedmsg",
}

// Limits that keep the house small enough to know.
// largerRooms have budgets of their own; see docs/adr/0026-three-rooms-are-larger.md, 0032 and 0036.
var largerRooms = map[string]int{"http": 2800, "cmd/fedmsg": 3600, "sqlite": 2200, "meta": 2000, "meta/template": 1900, "pyconfig": 2900, "internal/sqlarchive/segment": 2200}

const (
	maxFileLines     = 600
	maxRootCode      = 1700 // lines of code, without comments and blank lines
	maxRoomCode      = 1800
	maxInterface     = 4 // methods and embedded interfaces
	maxFunctionLines = 90
	groundFloor      = 1
)

// forbidden names say nothing about what they name.
var forbidden = strings.Fields("util utils common helper helpers types models pkg core manager service base misc tools")

// A room is a package of this module, parsed.
type room struct {
	ImportPath, Name, Dir              string
	Imports                            []string
	GoFiles, TestGoFiles, XTestGoFiles []string

	fset  *token.FileSet
	files map[string]*ast.File // by path from the root; tests too
}

// name is the room's path in the tree; "." is the root.
func (r *room) name() string {
	return path.Clean("./" + strings.TrimPrefix(strings.TrimPrefix(r.ImportPath, module), "/"))
}

func (r *room) floor() int {
	switch r.name() {
	case ".":
		return groundFloor
	case "query":
		return 2 // a language that all rooms may speak
	case "client":
		return 4 // the roof
	case "cmd/fedmsg":
		return 5 // its ridge: it knows everything
	}
	if strings.HasPrefix(r.name(), "cmd/fedmsg/") {
		return 4 // its rafters, each for some commands
	}
	return 3
}

// code yields the files that are no tests.
func (r *room) code() map[string]*ast.File {
	code := maps.Clone(r.files)
	maps.DeleteFunc(code, func(name string, _ *ast.File) bool { return strings.HasSuffix(name, "_test.go") })
	return code
}

// house lists and parses all packages.
func house(t *testing.T) []*room {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Name,Dir,Imports,GoFiles,TestGoFiles,XTestGoFiles", "./...").Output()
	if err != nil {
		if exit, ok := err.(*exec.ExitError); ok {
			t.Fatalf("go list: %s", exit.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	var rooms []*room
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
		r := &room{fset: token.NewFileSet(), files: make(map[string]*ast.File)}
		if err := dec.Decode(r); err != nil {
			t.Fatal(err)
		}
		for _, name := range slices.Concat(r.GoFiles, r.TestGoFiles, r.XTestGoFiles) {
			file := filepath.Join(r.Dir, name)
			parsed, err := parser.ParseFile(r.fset, file, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			short, err := filepath.Rel(root, file)
			if err != nil {
				t.Fatal(err)
			}
			r.files[filepath.ToSlash(short)] = parsed
		}
		rooms = append(rooms, r)
	}
	if len(rooms) == 0 || rooms[0].name() != "." {
		t.Fatalf("go list gives %d packages, the first is not the root", len(rooms))
	}
	return rooms
}

func isBelow(name, room string) bool { return name == room || strings.HasPrefix(name, room+"/") }

// isOneRoom reports whether two packages are parts of one room, as meta and
// meta/template are: they may know each other.
func isOneRoom(a, b string) bool { return strings.Split(a, "/")[0] == strings.Split(b, "/")[0] }

// owner finds who may import a package that is not ours.
func owner(imported string) (dependency, rooms string, owned bool) {
	for dependency, rooms := range owners {
		if isBelow(imported, dependency) {
			return dependency, rooms, true
		}
	}
	return "", "", false
}

func TestHouseImportsGoDown(t *testing.T) {
	rooms := house(t)
	floors := make(map[string]int)
	for _, r := range rooms {
		floors[r.name()] = r.floor()
	}
	for _, r := range rooms {
		name := r.name()
		for _, imported := range r.Imports {
			if dependency, rooms, owned := owner(imported); owned && !slices.ContainsFunc(strings.Fields(rooms), func(room string) bool { return isBelow(name, room) }) {
				t.Errorf("%s imports %s; only %s may", name, dependency, rooms)
			}
			standard := !strings.Contains(strings.Split(imported, "/")[0], ".")
			switch rest, ours := strings.CutPrefix(imported, module); {
			case ours:
				to := path.Clean("./" + strings.TrimPrefix(rest, "/"))
				if floors[to] >= floors[name] && !strings.HasPrefix(to, "internal/") && !isOneRoom(name, to) {
					t.Errorf("%s (floor %d) imports %s (floor %d); imports go down", name, floors[name], to, floors[to])
				}
			case standard:
			case name == ".":
				t.Errorf("the root imports %s; it imports the standard library only", imported)
			default:
				if _, _, owned := owner(imported); !owned {
					t.Errorf("%s imports %s, which has no owner: add it to owners in house_test.go and to docs/dependencies.md", name, imported)
				}
			}
		}
	}
}

func TestHousePackages(t *testing.T) {
	for _, r := range house(t) {
		for word := range strings.SplitSeq(r.name(), "/") {
			if slices.Contains(forbidden, word) {
				t.Errorf("package %s: the name %q says nothing; name it after what it is", r.name(), word)
			}
		}
		comments, lines := 0, 0
		for name, f := range r.code() {
			if f.Doc != nil {
				comments++
				want, text := "Package "+r.Name+" ", f.Doc.Text()
				if r.Name == "main" {
					want, text = path.Base(r.name())+" ", strings.ToLower(strings.TrimPrefix(text, "Command "))
				}
				if !strings.HasPrefix(text, want) {
					t.Errorf("%s: the package comment begins %.40q, want %q", name, text, want)
				}
			}
			lines += codeLines(t, name)
		}
		if comments != 1 && len(r.GoFiles) > 0 {
			t.Errorf("package %s has %d package comments, want 1", r.name(), comments)
		}
		limit := cmp.Or(largerRooms[r.name()], maxRoomCode)
		if r.floor() == groundFloor {
			limit = maxRootCode
		}
		if lines > limit {
			t.Errorf("package %s has %d lines of code, at most %d", r.name(), lines, limit)
		}
	}
}

// codeLines counts the lines of a file that hold more than comments.
func codeLines(t *testing.T, name string) int {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	file := fset.AddFile(name, -1, len(text))
	var s scanner.Scanner
	s.Init(file, text, nil, 0)
	lines := make(map[int]bool)
	for {
		pos, tok, lit := s.Scan()
		if tok == token.EOF {
			return len(lines)
		}
		if tok == token.SEMICOLON && lit == "\n" {
			continue
		}
		for i := range 1 + strings.Count(lit, "\n") {
			lines[file.Line(pos)+i] = true
		}
	}
}

func TestHouseFiles(t *testing.T) {
	for _, r := range house(t) {
		for name, f := range r.files {
			if lines := r.fset.File(f.Pos()).LineCount(); lines > maxFileLines {
				t.Errorf("%s has %d lines, at most %d", name, lines, maxFileLines)
			}
			if word := strings.TrimSuffix(strings.TrimSuffix(path.Base(name), ".go"), "_test"); slices.Contains(forbidden, word) {
				t.Errorf("%s: the name %q says nothing; name it after what it is", name, word)
			}
			for _, group := range f.Comments {
				if text := group.Text(); strings.Contains(text, "TO"+"DO") || strings.Contains(text, "FIX"+"ME") {
					t.Errorf("%s: a comment that promises work: do it, or file it", r.fset.Position(group.Pos()))
				}
			}
			checkDeclarations(t, r, name, f)
		}
	}
}

func checkDeclarations(t *testing.T, r *room, file string, f *ast.File) {
	test := strings.HasSuffix(file, "_test.go")
	ast.Inspect(f, func(n ast.Node) bool {
		at := func() token.Position { return r.fset.Position(n.Pos()) }
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Name.Name == "init" && n.Recv == nil {
				t.Errorf("%s: func init: nothing happens before main says so", at())
			}
			lines := r.fset.Position(n.End()).Line - r.fset.Position(n.Pos()).Line + 1
			if lines > maxFunctionLines && !test {
				t.Errorf("%s: %s has %d lines; about 60 are meant, %d is the end", at(), n.Name.Name, lines, maxFunctionLines)
			}
			if !test && n.Name.IsExported() && isExportedMethod(n) {
				checkNoForeignTypes(t, r, f, n.Name.Name, n.Type)
			}
		case *ast.TypeSpec:
			if i, ok := n.Type.(*ast.InterfaceType); ok && !test && len(i.Methods.List) > maxInterface {
				t.Errorf("%s: interface %s has %d methods, at most %d: who needs them all?", at(), n.Name.Name, len(i.Methods.List), maxInterface)
			}
			if s, ok := n.Type.(*ast.StructType); ok && !test && n.Name.IsExported() {
				for _, field := range s.Fields.List {
					if len(field.Names) == 0 || field.Names[0].IsExported() {
						checkNoForeignTypes(t, r, f, n.Name.Name, field.Type)
					}
				}
			}
		}
		return true
	})
}

// isExportedMethod reports whether n is a function, or a method of a type that
// others can name.
func isExportedMethod(n *ast.FuncDecl) bool {
	if n.Recv == nil {
		return true
	}
	typ := n.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if generic, ok := typ.(*ast.IndexExpr); ok {
		typ = generic.X
	}
	id, ok := typ.(*ast.Ident)
	return ok && id.IsExported()
}

// checkNoForeignTypes fails if an exported declaration shows a dependency's type:
// whoever uses it would depend on our choice.
func checkNoForeignTypes(t *testing.T, r *room, f *ast.File, name string, in ast.Node) {
	if isBelow(r.name(), "cmd/fedmsg") { // parts of the program, which nobody else uses
		return
	}
	ast.Inspect(in, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		from, ok := sel.X.(*ast.Ident)
		if !ok {
			return true
		}
		for _, spec := range f.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			local := path.Base(imported)
			if spec.Name != nil {
				local = spec.Name.Name
			}
			foreign := strings.Contains(strings.Split(imported, "/")[0], ".") && !isBelow(imported, module)
			if foreign && local == from.Name {
				t.Errorf("%s: exported %s shows the type %s.%s of %s", r.fset.Position(n.Pos()), name, from.Name, sel.Sel.Name, imported)
			}
		}
		return true
	})
}
