package meta

import (
	"cmp"
	"context"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
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
	notes     []Problem
	left      map[string]string // of the operator's files that cannot be read: what becomes of them
	inForce   map[string]string // the text of the operator's files that are in force
	stamp     string            // changes with the operator's files
	printOnce sync.Once
	prints    map[string]string // see Fingerprints
}

// What becomes of a rule file in which something is wrong.
const (
	partLeft     = "a mistake in a rule file; what has it is left out, the rest of the file is in force"
	fileLeft     = "a rule file cannot be used and is left out"
	staysInForce = "its former rules stay in force"
	formerStay   = "a rule file cannot be used; its former rules stay in force"
)

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
	set := &ruleset{
		byService: make(map[string][]*entry), own: make(map[string]*program), schemas: make(map[string]*generic.Schema),
		left: make(map[string]string), inForce: make(map[string]string),
	}
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
		isSchema := strings.HasSuffix(name, schemaSuffix)
		if !isOurs(name) {
			continue
		}
		file := path.Join(dir, name)
		src, err := readFile(root, name)
		if err != nil {
			set.problems = append(set.problems, Problem{file, 0, err.Error()})
			set.left[file] = fileLeft
		} else if isSchema {
			s, err := generic.ReadSchema(src)
			if err != nil {
				set.problems = append(set.problems, Problem{file, 0, err.Error()})
				set.left[file] = fileLeft
			}
			set.inForce[file] = string(src)
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
			set.inForce[file] = string(src)
		}
		if p == nil {
			delete(set.inForce, file)
			set.left[file] = fileLeft
			if old == nil || old.own[file] == nil {
				continue
			}
			p, set.left[file], set.inForce[file] = old.own[file], formerStay, old.inForce[file]
			set.problems = append(set.problems, Problem{file, 0, staysInForce})
		}
		set.own[file] = p
		set.noteTwins(p)
		set.byService[p.service] = append(set.byService[p.service], &entry{file: file, program: p})
	}
	return nil
}

// isOurs reports whether a name is that of a rule file or a schema; those of the
// locks of editors are not.
func isOurs(name string) bool {
	return (strings.HasSuffix(name, ".toml") || strings.HasSuffix(name, schemaSuffix)) && !strings.HasPrefix(name, ".")
}

// noteTwins notes files of the folder that speak of the same messages as p does.
func (set *ruleset) noteTwins(p *program) {
	for _, en := range set.byService[p.service] {
		other := en.program
		apart := len(p.prefixes) > 0 && len(other.prefixes) > 0 &&
			!slices.ContainsFunc(p.prefixes, func(prefix string) bool { return slices.Contains(other.prefixes, prefix) })
		if !apart {
			set.notes = append(set.notes, Problem{p.file, 0, fmt.Sprintf("%s is of service %q too, and has the first word; put them together, or give each its prefix", path.Base(other.file), p.service)})
			return
		}
	}
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
		if info, err := root.Stat(en.Name()); err == nil && isOurs(en.Name()) {
			fmt.Fprintln(&b, en.Name(), info.Size(), info.ModTime().UnixNano())
		}
	}
	return b.String(), nil
}

// use puts rules in force and tells what is wrong in them.
func (e *Engine) use(set *ruleset) {
	e.rules.Store(set)
	for _, p := range set.problems {
		if p.Text != staysInForce {
			e.logger.Warn(cmp.Or(set.left[p.File], partLeft), "err", p)
		}
	}
	for _, p := range set.notes {
		e.logger.Warn("two rule files of one service", "err", p)
	}
}

// Notes are what is in force in the operator's rules, but surely not meant so.
func (e *Engine) Notes() []Problem { return slices.Clone(e.rules.Load().notes) }

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
	if changed := set.changedSince(old); len(changed) > 0 {
		e.logger.Info("the rules have changed", "files", changed)
	}
	return nil
}

// changedSince are the operator's files of which something else is in force than
// was in old, or that can be used again.
func (set *ruleset) changedSince(old *ruleset) []string {
	changed := make(map[string]bool)
	for file, text := range set.inForce {
		before, ok := old.inForce[file]
		changed[file] = !ok || before != text || old.left[file] != "" && set.left[file] == ""
	}
	for file := range old.inForce {
		_, ok := set.inForce[file]
		changed[file] = changed[file] || !ok
	}
	maps.DeleteFunc(changed, func(_ string, is bool) bool { return !is })
	return slices.Sorted(maps.Keys(changed))
}

// wording is a number that goes up when, by the same rules, other users, packages or
// objects are found than before: after changes in template, generic or the engine.
// TestWordingOfGenericMessages says when.
const wording = 1

// Fingerprints returns for each service that there are rules for a text that changes when
// the words of its messages may be others: with its files, the settings and what finds
// accounts. "" stands for all other services. The map must not be changed.
func (e *Engine) Fingerprints() map[string]string {
	set := e.rules.Load()
	set.printOnce.Do(func() { set.prints = set.fingerprints(e.cfg) })
	return set.prints
}

func (set *ruleset) fingerprints(cfg Config) map[string]string {
	general := fmt.Appendf(nil, "%d %q %q\n", wording, cfg.Revision, cfg.Settings) // maps are printed in order
	for _, file := range slices.Sorted(maps.Keys(set.inForce)) {
		if strings.HasSuffix(file, schemaSuffix) {
			general = fmt.Appendf(general, "%q %q\n", path.Base(file), set.inForce[file])
		}
	}
	// 64 bits tell apart all rules that an operator will ever write.
	short := func(text []byte) string { return fmt.Sprintf("%.8x", sha256.Sum256(text)) }
	prints := map[string]string{"": short(general)}
	for service, files := range set.byService {
		all := []byte(prints[""])
		for _, en := range files {
			text := set.inForce[en.file]
			if en.read != nil { // built in
				src, _ := en.read()
				text = string(src)
			}
			all = fmt.Appendf(all, "%q %q\n", path.Base(en.file), text)
		}
		prints[service] = short(all)
	}
	return prints
}

// withoutPages marks a context in which nothing is fetched.
type withoutPages struct{}

// WithoutFetching returns a context in which [Engine.Describe] fetches no pages: for who
// describes many messages of the past.
func WithoutFetching(ctx context.Context) context.Context {
	return context.WithValue(ctx, withoutPages{}, true)
}
