package meta

import (
	"context"
	"maps"
	"slices"
	"strings"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/meta/template"
)

// An Explanation says where the words for a message come from.
type Explanation struct {
	Words  fedmsg.Words
	Files  []string       // the rule files that were asked, in the order of who has a say
	Fields []FieldOrigin  // in the order of the fields
	Vars   []VariableInfo // those that were used, by name
	Groups []GroupOrigin  // the groups for its topic, or why there is none
	// Used are the places, in the first file, of the rules that gave something.
	Used []int
}

// A FieldOrigin says where one field comes from.
type FieldOrigin struct {
	Field string
	Value string // as the rule made it, before it was made safe
	File  string // empty if the generic describer made it
	Line  int
	Why   string // why it is empty, if it is
}

// A GroupOrigin says whether a message can be in a group.
type GroupOrigin struct {
	File      string
	Line      int
	Keys      []string       // what other members must have too, one of them
	Collected []VariableInfo // what it has to give
	Why       string         // why it cannot be in the group, if so
}

// A VariableInfo is the value that a variable had.
type VariableInfo struct{ Name, Value string }

// Explain describes a message and tells which rules gave what.
func (e *Engine) Explain(ctx context.Context, m *fedmsg.Message) Explanation {
	d := e.newDescription(ctx, m)
	d.trace = &Explanation{}
	for _, r := range d.runs {
		r.trace = make(map[string]template.Value)
		d.trace.Files = append(d.trace.Files, r.p.file)
	}
	d.trace.Words = d.words()
	used := make(map[int]bool)
	for i, r := range d.runs {
		for _, name := range slices.Sorted(maps.Keys(r.trace)) {
			d.trace.Vars = append(d.trace.Vars, VariableInfo{name, shown(r.trace[name])})
		}
		if i > 0 {
			continue
		}
		for _, f := range d.trace.Fields {
			for _, ru := range r.p.rules {
				if f.File == r.p.file && slices.ContainsFunc(ru.fields[:], func(p *part) bool { return p != nil && p.line == f.Line }) {
					used[ru.index] = true
				}
			}
		}
		for v := range r.known {
			if c, ok := r.choose(r.plan.vars[v]); ok && c.rule != nil && r.known[v].state == answered {
				used[c.rule.index] = true
			}
		}
	}
	for _, r := range d.runs {
		d.trace.Groups = append(d.trace.Groups, r.groupOrigins()...)
	}
	d.trace.Used = slices.Sorted(maps.Keys(used))
	return *d.trace
}

// groupOrigins tells of each group of a file, or of all that none is for the topic.
func (r *run) groupOrigins() (all []GroupOrigin) {
	for _, g := range r.plan.groups {
		o := GroupOrigin{File: r.p.file, Line: g.line}
		r.Forget()
		if g.when != nil && !r.eval(g.when).IsTrue() {
			o.Why = "its condition, when, does not hold"
		} else if keys, ok := g.keys(r); !ok {
			o.Why = "by, or overlap, has nothing here"
			if why := r.Why(); why != "" {
				o.Why += ": " + why
			}
		} else {
			o.Keys = keys
		}
		for _, name := range slices.Sorted(maps.Keys(g.collect)) {
			r.Forget()
			v := template.Flatten(nil, []template.Value{r.eval(g.collect[name])})
			o.Collected = append(o.Collected, VariableInfo{name, strings.Join(template.Strings(v), ", ")})
		}
		all = append(all, o)
	}
	if len(all) == 0 && len(r.p.groups) > 0 {
		all = append(all, GroupOrigin{File: r.p.file, Line: r.p.groups[0].line, Why: "no group of the file is for this topic"})
	}
	return all
}

func shown(v template.Value) string {
	if v.Kind() == template.Missing {
		return "(missing)"
	}
	return oneLine(v.String())
}

// add notes where a field comes from. A nil trace notes nothing.
func (x *Explanation) add(f field, r *run, c choice, v template.Value) {
	if x == nil {
		return
	}
	o := FieldOrigin{Field: fieldNames[f], Value: v.String(), File: r.p.file, Line: c.line}
	if v.IsBlank() {
		if o.Why = r.Why(); o.Why == "" {
			o.Why = "the rule says nothing here"
		}
	}
	x.Fields = append(x.Fields, o)
}

func (x *Explanation) addGuess(f field, s string) {
	if x != nil {
		x.Fields = append(x.Fields, FieldOrigin{Field: fieldNames[f], Value: s, Why: "no rule says this; found by what messages have in common"})
	}
}

// A RuleInfo is a rule, or a group, of a file.
type RuleInfo struct {
	Service  string
	Group    bool
	Index    int // of [[rule]] in the file
	File     string
	Line     int
	Patterns []fedmsg.Pattern
}

// Rules are all rules and groups in force, by service and in the order of the file.
func (e *Engine) Rules() []RuleInfo {
	var all []RuleInfo
	set := e.rules.Load()
	for _, service := range slices.Sorted(maps.Keys(set.byService)) {
		for _, en := range set.byService[service] {
			p := en.get()
			if p == nil {
				continue
			}
			for _, r := range p.rules {
				all = append(all, RuleInfo{service, false, r.index, p.file, r.line, r.patterns})
			}
			for i, g := range p.groups {
				all = append(all, RuleInfo{service, true, i, p.file, g.line, g.patterns})
			}
		}
	}
	return all
}
