package meta

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/meta/template"
)

// A field is what rules can say about a message.
type field int

const (
	subtitle field = iota
	link
	icon
	secondaryIcon
	longForm
	agent
	usernames
	packages
	objects
	fieldCount
)

var fieldNames = [fieldCount]string{"subtitle", "link", "icon", "secondary_icon", "long_form", "agent", "usernames", "packages", "objects"}

// A program is a rule file, compiled.
type program struct {
	file     string
	service  string
	prefixes []string
	name     string
	about    string
	home     string
	people   string
	fetch    []string
	tables   map[string]map[string]string
	varNames []string
	top      parts
	rules    []*rule
	groups   []*group
	problems []Problem
	unused   []Problem // what lint tells: no fault, but surely not meant

	mu    sync.RWMutex
	plans map[string]*plan // by event
}

// A rule is one step of the ladder.
type rule struct {
	index    int // of [[rule]] in the file
	line     int
	patterns []fedmsg.Pattern
	when     *template.Template
	parts
}

// parts are the fields and variables that a rule, or the top of a file, sets.
type parts struct {
	fields [fieldCount]*part
	vars   map[int]*part
}

// A part is how one field or variable is made.
type part struct {
	text     *template.Template
	elements []element // of a list
	line     int
}

// An element of a list: emit once, or for each value of something.
type element struct{ each, where, emit *template.Template }

// A plan is all that may be said of messages with one event, in the order of the ladder.
type plan struct {
	fields [fieldCount][]choice
	vars   [][]choice
	groups []*group
}

type choice struct {
	rule *rule // nil is the top of the file
	*part
}

// maxPlans bounds the memory for plans; a service has some dozens of events.
const maxPlans = 2000

// plan finds what the file says about messages with an event.
func (p *program) plan(event string) *plan {
	p.mu.RLock()
	known := p.plans[event]
	p.mu.RUnlock()
	if known != nil {
		return known
	}
	made := &plan{vars: make([][]choice, len(p.varNames))}
	add := func(r *rule, from *parts) {
		for f, part := range from.fields {
			if part != nil {
				made.fields[f] = append(made.fields[f], choice{r, part})
			}
		}
		for i, part := range from.vars {
			made.vars[i] = append(made.vars[i], choice{r, part})
		}
	}
	for _, r := range p.rules {
		if fedmsg.MatchAny(r.patterns, fedmsg.Topic(event)) {
			add(r, &r.parts)
		}
	}
	add(nil, &p.top)
	for _, g := range p.groups {
		if fedmsg.MatchAny(g.patterns, fedmsg.Topic(event)) {
			made.groups = append(made.groups, g)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.plans) >= maxPlans || p.plans == nil {
		p.plans = make(map[string]*plan)
	}
	p.plans[event] = made
	return made
}

// newProgram compiles a rule file. A rule that is wrong is left out, with its
// problem told; the rest is in force. Nil means that nothing could be read.
func newProgram(file string, src []byte) (*program, []Problem) {
	doc, lines, problems := decodeFile(file, src)
	if doc == nil {
		return nil, problems
	}
	prefixes, err := textOrTexts(doc.Prefix)
	if err != nil {
		return nil, append(problems, Problem{file, lines.at("prefix"), "prefix: " + err.Error()})
	}
	p := &program{
		file: file, service: doc.Service, prefixes: prefixes, name: doc.Name, about: doc.About, home: doc.Home,
		people: doc.People, fetch: doc.Fetch, tables: doc.Tables, problems: problems,
	}
	if !validService(doc.Service) {
		p.problem(lines.at("service"), "service %q must be one word of a topic", doc.Service)
		return nil, p.problems
	}
	b := &builder{p: p, tables: map[string]bool{}, used: map[string]bool{}, lines: lines, doc: doc, uses: map[int][]int{}}
	b.declare()
	p.top, _ = b.parts("", doc.fieldsDocument, nil)
	for i, r := range doc.Rules {
		b.rule(i, r)
	}
	for i, g := range doc.Groups {
		b.group(i, g)
	}
	b.findCycles()
	b.findUnused(src)
	return p, p.problems
}

func (p *program) problem(line int, format string, args ...any) {
	p.problems = append(p.problems, Problem{p.file, line, fmt.Sprintf(format, args...)})
}

// A builder makes a program of a document.
type builder struct {
	p      *program
	doc    *document
	lines  lineTable
	tables map[string]bool // that are used
	used   map[string]bool // variables
	needs  []int           // the variables that the last template uses
	uses   map[int][]int   // which variables a variable needs
}

// Variable finds a variable of the file, or else a built-in one, below zero.
func (b *builder) Variable(name string, use bool) (index int, ok bool) {
	index = slices.Index(b.p.varNames, name)
	if use && index >= 0 {
		b.used[name] = true
		b.needs = append(b.needs, index)
	}
	if index >= 0 {
		return index, true
	}
	builtin := slices.Index(builtins, name)
	return -1 - builtin, builtin >= 0
}

// Variables are the names of all variables, those that every message has too.
func (b *builder) Variables() []string { return slices.Concat(b.p.varNames, builtins) }

// variableName is the name of a variable that Variable has found.
func (p *program) variableName(index int) string {
	if index < 0 {
		return builtins[-1-index]
	}
	return p.varNames[index]
}

// Table finds a table of the file.
func (b *builder) Table(name string) (map[string]string, bool) {
	table, ok := b.p.tables[name]
	b.tables[name] = b.tables[name] || ok
	return table, ok
}

// declare collects the names of all variables.
func (b *builder) declare() {
	seen := make(map[string]bool)
	add := func(vars map[string]string) {
		for name := range vars {
			seen[name] = true
		}
	}
	add(b.doc.Vars)
	for _, r := range b.doc.Rules {
		add(r.Vars)
	}
	for _, g := range b.doc.Groups {
		add(g.Collect)
	}
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		if !template.IsName(name) {
			b.p.problem(b.varLine(name), "variable %q: a name is made of letters, digits and _", name)
			continue
		}
		b.p.varNames = append(b.p.varNames, name)
	}
}

// template compiles the text under a key.
func (b *builder) template(key, src string) (*template.Template, bool) {
	b.needs = nil
	t, err := template.Compile(src, b)
	if err == nil {
		b.findPlainVariables(key, src)
		return t, true
	}
	line := b.lines.at(key)
	if at, ok := errors.AsType[*template.Error](err); ok {
		line += at.Line
	}
	if m := meantVariable.FindStringSubmatch(err.Error()); m != nil {
		b.used[m[1]] = true
	}
	words := strings.Split(key, ".")
	b.p.problem(line, "%s: %v", strings.Join(slices.DeleteFunc(words, isNumeral), "."), err)
	return nil, false
}

func isNumeral(s string) bool { return strings.Trim(s, "0123456789") == "" }

// parts compiles fields and variables. ok is false if one of them is wrong.
func (b *builder) parts(prefix string, doc fieldsDocument, when []int) (p parts, ok bool) {
	ok = true
	for f, src := range map[field]*string{
		subtitle: doc.Subtitle, link: doc.Link, icon: doc.Icon, secondaryIcon: doc.SecondaryIcon, longForm: doc.LongForm, agent: doc.Agent,
	} {
		if src == nil {
			continue
		}
		key := prefix + fieldNames[f]
		if t, good := b.template(key, *src); good {
			p.fields[f] = &part{text: t, line: b.lines.at(key)}
		} else {
			ok = false
		}
	}
	for f, items := range map[field]*[]any{usernames: doc.Usernames, packages: doc.Packages, objects: doc.Objects} {
		if items == nil {
			continue
		}
		key := prefix + fieldNames[f]
		made := &part{line: b.lines.at(key)}
		for i, item := range *items {
			if e, good := b.element(fmt.Sprintf("%s.%d", key, i), item); good {
				made.elements = append(made.elements, e)
			} else {
				ok = false
			}
		}
		p.fields[f] = made
	}
	p.vars = make(map[int]*part)
	for _, name := range slices.Sorted(maps.Keys(doc.Vars)) {
		i := slices.Index(b.p.varNames, name)
		if i < 0 {
			continue // told before
		}
		key := prefix + "vars." + name
		t, good := b.template(key, doc.Vars[name])
		if !good {
			ok = false
			continue
		}
		p.vars[i] = &part{text: t, line: b.lines.at(key)}
		b.uses[i] = slices.Concat(b.uses[i], when, b.needs)
	}
	return p, ok
}

// element compiles one element of a list.
func (b *builder) element(key string, item any) (e element, ok bool) {
	switch item := item.(type) {
	case string:
		e.emit, ok = b.template(key, item)
		return e, ok
	case map[string]any:
		ok = true
		for _, name := range slices.Sorted(maps.Keys(item)) {
			to := map[string]**template.Template{"each": &e.each, "where": &e.where, "emit": &e.emit}[name]
			src, isString := item[name].(string)
			if to == nil || !isString {
				b.p.problem(b.lines.at(key), "%q: an element is a template, or a table of the templates each, where and emit", name)
				return e, false
			}
			var good bool
			*to, good = b.template(key+"."+name, src)
			ok = ok && good
		}
		if ok && (e.each == nil || e.emit == nil) {
			b.p.problem(b.lines.at(key), "an element that is a table needs each and emit")
			ok = false
		}
		return e, ok
	}
	b.p.problem(b.lines.at(key), "an element is a template, or a table of the templates each, where and emit")
	return e, false
}

// patterns reads and checks the topics of a rule or a group.
func (b *builder) patterns(key string, topic any) ([]fedmsg.Pattern, bool) {
	found, err := textOrTexts(topic)
	if err == nil && len(found) == 0 {
		err = errors.New(`there is none: write the words after the service, or "#" for all`)
	}
	if err != nil {
		b.p.problem(b.lines.at(key), "topic: %v", err)
		return nil, false
	}
	var patterns []fedmsg.Pattern
	for _, s := range found {
		if err := fedmsg.Pattern(s).Validate(); err != nil {
			b.p.problem(b.lines.at(key), "topic %q: %v", s, err)
			return nil, false
		}
		patterns = append(patterns, fedmsg.Pattern(s))
	}
	return patterns, true
}

func (b *builder) rule(i int, doc ruleDocument) {
	key := fmt.Sprintf("rule.%d.", i)
	r := &rule{index: i, line: b.lines.at(strings.TrimSuffix(key, "."))}
	var ok bool
	if r.patterns, ok = b.patterns(key+"topic", doc.Topic); !ok {
		return
	}
	var when []int
	if doc.When != "" {
		if r.when, ok = b.template(key+"when", doc.When); !ok {
			return
		}
		if !r.when.IsValue() {
			b.p.problem(b.lines.at(key+"when"), "when must be one action, like {{eq .state 1}}")
			return
		}
		when = b.needs
	}
	parts, good := b.parts(key, doc.fieldsDocument, when)
	if r.parts = parts; good {
		b.p.rules = append(b.p.rules, r)
	}
}

// findCycles refuses variables that need themselves.
func (b *builder) findCycles() {
	const (
		busy = 1
		done = 2
	)
	state := make(map[int]int)
	var visit func(i int, trail []string) bool
	visit = func(i int, trail []string) bool {
		trail = append(trail, "$"+b.p.varNames[i])
		switch state[i] {
		case busy:
			b.p.problem(b.varLine(b.p.varNames[i]), "variables that need themselves: %s (a condition needs what it asks for, too)", strings.Join(trail, " -> "))
			return false
		case done:
			return true
		}
		state[i] = busy
		defer func() { state[i] = done }()
		for _, need := range b.uses[i] {
			if !visit(need, trail) {
				return false
			}
		}
		return true
	}
	for i := range b.p.varNames {
		if !visit(i, nil) {
			break
		}
	}
}
