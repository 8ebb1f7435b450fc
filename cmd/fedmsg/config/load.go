package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/config/parse"
	"github.com/fedora-infra/fedmsg-go/internal/spell"
)

// DefaultDir is read if nobody names another place. Neither the working directory nor
// anybody's home is: who owns the directory that a command is started in must not be
// who configures it.
const DefaultDir = "/etc/fedmsg.d"

// Limits of configuration.
const (
	maxFile  = 1 << 20 // bytes
	maxFiles = 1000
)

// Sources are the places where something may be said, from the one that says it first
// to the one that has the last word.
type Sources struct {
	Paths   []string // files, and directories whose *.toml, *.yaml and *.yml are read by name
	Lenient bool     // a path that is not there says nothing
	Environ []string // as os.Environ has it
	Preset  Preset   // what the command means by its name; only flags go before
	Flags   *Flags   // nil if there are none
}

// A Preset is what a command says by its name: texts by keys, as in the environment.
type Preset map[string]string

// PathsFor are the paths of a command: those that the variable FEDMSG_CONFIG names,
// else [DefaultDir], and then those that it was started with.
func PathsFor(environ, named []string) Sources {
	for _, pair := range slices.Backward(environ) {
		if list, is := strings.CutPrefix(pair, "FEDMSG_CONFIG="); is && list != "" {
			return Sources{Paths: append(filepath.SplitList(list), named...), Environ: environ}
		}
	}
	if len(named) > 0 {
		if _, err := os.Stat(DefaultDir); err != nil {
			return Sources{Paths: named, Environ: environ}
		}
		return Sources{Paths: append([]string{DefaultDir}, named...), Environ: environ}
	}
	return Sources{Paths: []string{DefaultDir}, Lenient: true, Environ: environ}
}

// Loaded is what was said, all in all.
type Loaded struct {
	Config
	Warnings Problems
	Files    []string // that were read, in this order

	said    *Value
	origins map[string]Origin
	modes   map[string]fs.FileMode // of the files
}

// Load reads the sources. The error is [Problems], all of them; what was said is
// returned as far as it makes sense.
func Load(from Sources) (*Loaded, error) {
	l := &Loaded{said: &Value{Kind: parse.Table, Table: map[string]*Value{}}, modes: map[string]fs.FileMode{}}
	var problems Problems
	for _, path := range from.Paths {
		problems = append(problems, l.readPath(path, from.Lenient)...)
	}
	variables, wrong := fromEnviron(from.Environ)
	problems = append(problems, wrong...)
	l.said = l.said.Merge(variables)
	for key, text := range from.Preset {
		l.said.Put(strings.Split(key, "."), &Value{Kind: parse.Loose, Text: text, Origin: Origin{Name: "the command"}})
	}
	if from.Flags != nil {
		l.said = l.said.Merge(from.Flags.said())
	}
	problems = append(problems, l.decode()...)
	l.warnOfSecrets()
	problems.Sort()
	l.Warnings.Sort()
	if len(problems) > 0 {
		return l, problems
	}
	return l, nil
}

// Adopt makes a configuration of a table that was read elsewhere. What is wrong in it
// is returned and left out.
func Adopt(said *Value) (*Loaded, Problems) {
	l := &Loaded{said: said}
	problems := l.decode()
	problems.Sort()
	for _, p := range problems {
		delete(l.origins, p.Key)
	}
	return l, problems
}

func (l *Loaded) decode() Problems {
	d := decoder{origins: make(map[string]Origin)}
	d.table(l.said, fieldsOf(reflect.ValueOf(&l.Config).Elem(), nil))
	l.origins = d.origins
	return append(d.problems, l.checkValues()...)
}

// Unneeded are the keys that somebody said and nothing reads, with the reason.
func (l *Loaded) Unneeded() (all Problems) {
	for _, f := range fieldsOf(reflect.ValueOf(&l.Config).Elem(), nil) {
		if f.noEffect && l.IsSet(f.key()) {
			all = append(all, at(l.origins[f.key()], f.key(), "%s", "is not needed: "+f.doc))
		}
	}
	return all
}

// Say says a text under a key that takes one.
func (l *Loaded) Say(key, text string) {
	l.field(key).value.SetString(text)
	l.origins[key] = Origin{Name: "here"}
}

// Forget takes back what was said of a key.
func (l *Loaded) Forget(key string) { delete(l.origins, key) }

// IsSet reports whether somebody said something of a key.
func (l *Loaded) IsSet(key string) bool { return l.origins[key] != Origin{} }

// Origin is where a key's value was said; the zero Origin if it has its default.
func (l *Loaded) Origin(key string) Origin { return l.origins[key] }

func (l *Loaded) warn(origin Origin, key, format string, args ...any) {
	l.Warnings = append(l.Warnings, at(origin, key, format, args...))
}

// readPath reads a file, or the files of a directory.
func (l *Loaded) readPath(path string, lenient bool) (problems Problems) {
	if filepath.Ext(path) == ".py" {
		return Problems{at(Origin{Name: path}, "", "is Python, which is not run here; translate it with: fedmsg config import %s", path)}
	}
	info, err := os.Stat(path)
	if err != nil {
		if lenient && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return Problems{fileProblem(path, err)}
	}
	if !info.IsDir() {
		return l.readFile(path, info)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return Problems{fileProblem(path, err)}
	}
	if info.Mode()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0 {
		problems = append(problems, at(Origin{Name: path}, "", "%s", "the directory is writable by everybody; run: chmod o-w "+path))
	}
	if len(entries) > maxFiles {
		return append(problems, at(Origin{Name: path}, "", "has %d files, which is more than %d", len(entries), maxFiles))
	}
	for _, entry := range entries { // in the order of their names
		file := filepath.Join(path, entry.Name())
		if !isConfigName(entry.Name()) {
			continue
		}
		info, err := os.Stat(file)
		switch {
		case err != nil:
			problems = append(problems, fileProblem(file, err))
		case info.IsDir():
			l.warn(Origin{Name: file}, "", "is a directory, and not read")
		default:
			problems = append(problems, l.readFile(file, info)...)
		}
	}
	return problems
}

// isConfigName reports whether a file of a directory is read: back-up files, hidden
// files and those of other programs are not.
func isConfigName(name string) bool {
	return !strings.HasPrefix(name, ".") && slices.Contains([]string{".toml", ".yaml", ".yml"}, filepath.Ext(name))
}

func fileProblem(file string, err error) Problem {
	text := err.Error()
	if wrong, ok := errors.AsType[*fs.PathError](err); ok {
		text = wrong.Err.Error()
	}
	return Problem{Origin: Origin{Name: file}, Text: text}
}

// readFile reads one file.
func (l *Loaded) readFile(file string, info fs.FileInfo) Problems {
	wrong := func(format string, args ...any) Problems {
		return Problems{{Origin: Origin{Name: file}, Text: fmt.Sprintf(format, args...)}}
	}
	if !info.Mode().IsRegular() {
		return wrong("is no regular file")
	}
	if info.Size() > maxFile {
		return wrong("has %d bytes, which is more than %d", info.Size(), maxFile)
	}
	if info.Mode()&0o002 != 0 {
		return wrong("is writable by everybody; run: chmod o-w %s", file)
	}
	src, err := os.ReadFile(file)
	if err != nil {
		return Problems{fileProblem(file, err)}
	}
	if !utf8.Valid(src) {
		return wrong("is not UTF-8; save it as UTF-8")
	}
	src = bytes.TrimPrefix(src, []byte("\uFEFF"))
	read := parse.TOML
	switch filepath.Ext(file) {
	case ".yaml", ".yml":
		read = parse.YAML
	}
	v, err := read(file, src)
	if err != nil {
		if p, ok := errors.AsType[Problem](err); ok {
			return Problems{p}
		}
		return wrong("%v", err)
	}
	if v.Kind != parse.Table {
		return wrong("must be keys and values, and is %s", v.Kind)
	}
	l.Files = append(l.Files, file)
	l.modes[file] = info.Mode()
	l.said = l.said.Merge(v)
	return nil
}

// notOurs are variables with our prefix that other programs read: the tests.
var notOurs = []string{"FEDMSG_CONFIG", "FEDMSG_VECTORS", "FEDMSG_BADINPUTS", "FEDMSG_CORPUS", "FEDMSG_REQUIRE_PEERS"}

// fromEnviron reads what variables say. An empty one says nothing.
func fromEnviron(environ []string) (*Value, Problems) {
	said := &Value{Kind: parse.Table, Table: map[string]*Value{}}
	byName := make(map[string]*field)
	var names []string
	everyField(reflect.ValueOf(new(Config)).Elem(), nil, func(f *field) {
		if !f.isTable() && !(f.isList() && f.value.Type().Elem().Kind() == reflect.Struct) {
			byName[f.variable()] = f
			names = append(names, f.variable())
		}
	})
	var problems Problems
	for _, pair := range environ {
		name, text, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, "FEDMSG_") || text == "" || slices.Contains(notOurs, name) || strings.Contains(name, "_TEST_") {
			continue
		}
		f := byName[name]
		if f == nil {
			p := Problem{Origin: Origin{Name: name}, Text: "there is no such variable"}
			if near := spell.Nearest(name, names); near != "" {
				p.Text += "; did you mean " + near + "?"
			}
			problems = append(problems, p)
			continue
		}
		said.Put(f.path, &Value{Kind: parse.Loose, Text: text, Origin: Origin{Name: name}})
	}
	return said, problems
}

// warnOfSecrets warns of secrets in files that others can read.
func (l *Loaded) warnOfSecrets() {
	keys := make(map[string]bool)
	everyField(reflect.ValueOf(&l.Config).Elem(), nil, func(f *field) { keys[f.key()] = true })
	everyField(reflect.ValueOf(&l.Config).Elem(), nil, func(f *field) {
		origin := l.origins[f.key()]
		if f.value.Type() != secretType || origin.Line == 0 || l.modes[origin.Name]&0o004 == 0 {
			return
		}
		do := "run: chmod o-r " + origin.Name
		if file := f.key() + "_file"; keys[file] {
			do = "put it into a file of its own, and name that with " + file + "; or " + do
		}
		l.warn(origin, f.key(), "everybody can read this secret; %s", do)
	})
}

// Changed are the keys whose values are not those of another configuration.
func (l *Loaded) Changed(other *Loaded) (keys []string) {
	before := make(map[string]any)
	everyField(reflect.ValueOf(&other.Config).Elem(), nil, func(f *field) { before[f.key()] = f.value.Interface() })
	everyField(reflect.ValueOf(&l.Config).Elem(), nil, func(f *field) {
		if !f.isTable() && !reflect.DeepEqual(f.value.Interface(), before[f.key()]) {
			keys = append(keys, f.key())
		}
	})
	return keys
}
