package meta

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// findUnused collects what is right but surely not meant: tables and variables
// that nothing uses, and rules that never have a say.
func (b *builder) findUnused() {
	note := func(line int, format string, args ...any) {
		b.p.unused = append(b.p.unused, Problem{b.p.file, line, fmt.Sprintf(format, args...)})
	}
	for _, name := range slices.Sorted(maps.Keys(b.p.tables)) {
		if !b.tables[name] {
			note(b.lines.at("tables."+name), "table %q is not used", name)
		}
	}
	for _, name := range b.p.varNames {
		if !b.used[name] {
			note(b.varLine(name), "variable $%s is not used", name)
		}
	}
	for i, r := range b.p.rules {
		if len(r.vars) == 0 && r.fields == ([fieldCount]*part{}) {
			note(r.line, "the rule sets no field and no variable")
			continue
		}
		for _, earlier := range b.p.rules[:i] {
			if earlier.when == nil && r.shadowedBy(earlier) {
				note(r.line, "the rule never has a say: the one on line %d takes all its topics before, and sets the same", earlier.line)
				break
			}
		}
	}
}

// varLine finds where a variable is set first.
func (b *builder) varLine(name string) int {
	first := 0
	for key, line := range b.lines {
		if (key == "vars."+name || strings.HasSuffix(key, ".vars."+name) || strings.HasSuffix(key, ".collect."+name)) && (first == 0 || line < first) {
			first = line
		}
	}
	return first
}

// shadowedBy reports whether another rule takes every topic of r and sets all that r sets.
func (r *rule) shadowedBy(other *rule) bool {
	for f, part := range r.fields {
		if part != nil && other.fields[f] == nil {
			return false
		}
	}
	for i := range r.vars {
		if other.vars[i] == nil {
			return false
		}
	}
	return !slices.ContainsFunc(r.patterns, func(p fedmsg.Pattern) bool {
		return !slices.ContainsFunc(other.patterns, func(q fedmsg.Pattern) bool {
			return covers(strings.Split(string(q), "."), strings.Split(string(p), "."))
		})
	})
}

// covers reports whether pattern q matches every topic that p matches. It may say
// no where the answer is yes, never the other way round.
func covers(q, p []string) bool {
	switch {
	case len(q) == 0:
		return len(p) == 0
	case q[0] == "#":
		return covers(q[1:], p) || len(p) > 0 && covers(q, p[1:])
	case len(p) == 0 || p[0] == "#":
		return false
	}
	return (q[0] == "*" || q[0] == p[0]) && covers(q[1:], p[1:])
}

// Lint returns what is wrong in a rule file, and what is surely not meant.
func Lint(file string, src []byte) []Problem {
	p, problems := newProgram(file, src)
	if p != nil {
		problems = append(problems, p.unused...)
	}
	slices.SortStableFunc(problems, func(a, b Problem) int { return a.Line - b.Line })
	return problems
}
