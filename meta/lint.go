package meta

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/meta/mistake"
)

// findUnused collects what is right but surely not meant: tables and variables
// that nothing uses, and rules that never have a say.
func (b *builder) findUnused(src []byte) {
	note := b.note
	// Where something is wrong, what it would have used is used.
	mentioned := func(format, name string) bool {
		return len(b.p.problems) > 0 && regexp.MustCompile(fmt.Sprintf(format, regexp.QuoteMeta(name))).Match(src)
	}
	for _, name := range slices.Sorted(maps.Keys(b.p.tables)) {
		if !b.tables[name] && !mentioned(`lookup\s+"%s"`, name) {
			note(b.lines.at("tables."+name), "table %q is not used", name)
		}
	}
	for _, name := range b.p.varNames {
		switch {
		case b.used[name] || mentioned(`\$%s\b`, name):
		case mistake.IsOfRule(name):
			note(b.varLine(name), "variable $%s is not used; if it is meant to be the field, it must stand before [vars] or [rule.vars]", name)
		default:
			note(b.varLine(name), "variable $%s is not used", name)
		}
	}
	for i, r := range b.p.rules {
		for _, pattern := range r.patterns {
			b.checkPattern(r.line, pattern)
		}
		if len(r.vars) == 0 && r.fields == ([fieldCount]*part{}) {
			if !b.wrongIn(r.line) {
				note(r.line, "the rule sets no field and no variable")
			}
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

// wrongIn reports whether something is wrong in the rule that begins on a line.
func (b *builder) wrongIn(line int) bool {
	end := math.MaxInt
	for key, at := range b.lines {
		if at > line && at < end && strings.Count(key, ".") == 1 && (strings.HasPrefix(key, "rule.") || strings.HasPrefix(key, "group.")) {
			end = at
		}
	}
	return slices.ContainsFunc(b.p.problems, func(p Problem) bool { return line <= p.Line && p.Line < end })
}

// note tells what is no fault.
func (b *builder) note(line int, format string, args ...any) {
	b.p.unused = append(b.p.unused, Problem{b.p.file, line, fmt.Sprintf(format, args...)})
}

// checkPattern tells of a topic that begins before the service's own words.
func (b *builder) checkPattern(line int, pattern fedmsg.Pattern) {
	words := strings.Split(string(pattern), ".")
	at := slices.Index(words, b.p.service)
	if at != 0 && at != 3 || at+1 == len(words) {
		return
	}
	b.note(line, "topic %q: a topic begins after the service: %q", pattern, strings.Join(words[at+1:], "."))
}

var (
	actions       = regexp.MustCompile(`(?s)\{\{.*?\}\}`)
	singleBraces  = regexp.MustCompile(`\{[.$][\pL_][\pL\pN_.]*\}`)
	meantVariable = regexp.MustCompile(`did you mean \$(.*)\?$`)
	plainVariable = regexp.MustCompile(`\$([\pL_][\pL\pN_]*)`)
)

// findPlainVariables tells of variables that stand in a template as text.
func (b *builder) findPlainVariables(key, src string) {
	plain := actions.ReplaceAllString(src, " ")
	for _, path := range singleBraces.FindAllString(plain, -1) {
		b.note(b.lines.at(key), "%s is only text here; write {%s}", path, path)
	}
	for _, m := range plainVariable.FindAllStringSubmatch(plain, -1) {
		if _, known := b.Variable(m[1], false); known {
			b.used[m[1]] = true // or so it is meant
			b.note(b.lines.at(key), "$%s is only text here; write {{$%s}}", m[1], m[1])
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
