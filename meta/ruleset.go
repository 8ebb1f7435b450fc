package meta

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fedora-infra/fedmsg-go/meta/generic"
)

//go:embed rules/*.toml
var builtinFiles embed.FS

// schemaSuffix is how the names of schema files end. NAME.schema.json describes
// the bodies of a service, or, as SERVICE.EVENT.schema.json, of one event.
const schemaSuffix = ".schema.json"

// A ruleset is all rules that are in force together.
type ruleset struct {
	byService map[string][]*entry // the operator's before the built-in ones
	schemas   map[string]*generic.Schema
	own       map[string]*program // the operator's, by file
	problems  []Problem
	stamp     string // changes with the operator's files
}

// An entry is a rule file. Built-in ones are compiled when they are first needed:
// most programs see messages of few services, and must start fast.
type entry struct {
	file    string
	read    func() ([]byte, error)
	once    sync.Once
	program *program
}

func (en *entry) get() *program {
	en.once.Do(func() {
		if en.program != nil {
			return
		}
		src, err := en.read()
		if err == nil {
			en.program, _ = newProgram(en.file, src)
		}
	})
	return en.program
}

// find returns the rule files for a service under a prefix.
func (set *ruleset) find(prefix, service string) []*program {
	var found []*program
	for _, en := range set.byService[service] {
		if p := en.get(); p != nil && (len(p.prefixes) == 0 || slices.Contains(p.prefixes, prefix)) {
			found = append(found, p)
		}
	}
	return found
}

// load reads all rules. What is wrong in the operator's files becomes a problem;
// of a file that cannot be read at all the version of old is kept.
func load(cfg Config, old *ruleset) (*ruleset, error) {
	set := &ruleset{byService: make(map[string][]*entry), own: make(map[string]*program), schemas: make(map[string]*generic.Schema)}
	if cfg.Dir != "" {
		if err := set.loadDir(cfg.Dir, old); err != nil {
			return nil, fmt.Errorf("rules: %w", err)
		}
	}
	var files fs.FS = builtinFiles
	folder := "rules"
	if cfg.Files != nil {
		files, folder = cfg.Files, "."
	}
	names, err := fs.Glob(files, path.Join(folder, "*.toml"))
	if err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	for _, name := range names {
		service := strings.TrimSuffix(path.Base(name), ".toml")
		set.byService[service] = append(set.byService[service], &entry{
			file: path.Join("rules", path.Base(name)),
			read: func() ([]byte, error) { return fs.ReadFile(files, name) },
		})
	}
	return set, nil
}

// loadDir reads an operator's folder. No link leads out of it.
func (set *ruleset) loadDir(dir string, old *ruleset) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	set.stamp, err = stampOf(root)
	if err != nil {
		return err
	}
	names, err := fs.Glob(root.FS(), "*")
	if err != nil {
		return err
	}
	for _, name := range names {
		isRules, isSchema := strings.HasSuffix(name, ".toml"), strings.HasSuffix(name, schemaSuffix)
		if !isRules && !isSchema || strings.HasPrefix(name, ".") { // such as the locks of editors
			continue
		}
		file := path.Join(dir, name)
		src, err := readFile(root, name)
		if err != nil {
			set.problems = append(set.problems, Problem{file, 0, err.Error()})
		} else if isSchema {
			s, err := generic.ReadSchema(src)
			if err != nil {
				set.problems = append(set.problems, Problem{file, 0, err.Error()})
			}
			set.schemas[strings.TrimSuffix(name, schemaSuffix)] = s
		}
		if isSchema {
			continue
		}
		var p *program
		if err == nil {
			var problems []Problem
			p, problems = newProgram(file, src)
			set.problems = append(set.problems, problems...)
		}
		if p == nil {
			if old == nil || old.own[file] == nil {
				continue
			}
			p = old.own[file]
			set.problems = append(set.problems, Problem{file, 0, "its former rules stay in force"})
		}
		set.own[file] = p
		set.byService[p.service] = append(set.byService[p.service], &entry{file: file, program: p})
	}
	return nil
}

func readFile(root *os.Root, name string) ([]byte, error) {
	info, err := root.Stat(name)
	if err != nil {
		return nil, reasonOf(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is no file")
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("the file has %d bytes; %d is the limit", info.Size(), maxFile)
	}
	src, err := root.ReadFile(name)
	return src, reasonOf(err)
}

// reasonOf leaves out the name that an error of the file system begins with.
func reasonOf(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// stampOf is a text that changes when a file of the folder does.
func stampOf(root *os.Root) (string, error) {
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, en := range entries {
		if info, err := root.Stat(en.Name()); err == nil {
			fmt.Fprintln(&b, en.Name(), info.Size(), info.ModTime().UnixNano())
		}
	}
	return b.String(), nil
}

// use puts rules in force and tells what is wrong in them.
func (e *Engine) use(set *ruleset) {
	e.rules.Store(set)
	for _, p := range set.problems {
		e.logger.Warn("a rule is left out", "err", p)
	}
}

// Problems are what is wrong in the operator's rules; those rules are not in force.
func (e *Engine) Problems() []Problem { return slices.Clone(e.rules.Load().problems) }

// Watch puts changed rules of the operator in force until ctx ends. A folder that
// cannot be read leaves the present rules in force.
func (e *Engine) Watch(ctx context.Context) error {
	if e.cfg.Dir == "" {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(e.cfg.ReloadInterval)
	defer tick.Stop()
	told := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := e.reload(); err != nil {
			if told != err.Error() {
				e.logger.Warn("the rules cannot be read; the present ones stay in force", "err", err)
			}
			told = err.Error()
			continue
		}
		told = ""
	}
}

// reload reads the operator's rules again if they have changed.
func (e *Engine) reload() error {
	root, err := os.OpenRoot(e.cfg.Dir)
	if err != nil {
		return err
	}
	stamp, err := stampOf(root)
	root.Close()
	old := e.rules.Load()
	if err != nil || stamp == old.stamp {
		return err
	}
	set, err := load(e.cfg, old)
	if err != nil {
		return err
	}
	e.use(set)
	e.logger.Info("the rules have changed", "dir", e.cfg.Dir)
	return nil
}
