package rewrite

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Prefix begins the names that the rewritten text uses and its runner has to
// provide. A file that uses such a name itself is refused.
const Prefix = "__pyconfig_"

// The functions and values that a rewritten text may use.
const (
	// Import("a.b") is the module a.b, Import("a", "b") is b of the module a.
	Import = Prefix + "import"
	// Missing("name", "try") stands for a value that a statement left out would give.
	Missing = Prefix + "missing"
	// Set(list) is a set.
	Set = Prefix + "set"
	// Delete(x, key) is Python's del x[key].
	Delete = Prefix + "delete"
	// Raise() ends the program.
	Raise = Prefix + "raise"
	// Splat is a key in a dictionary whose value is a dictionary to be merged.
	Splat = Prefix + "splat"
	// IsNone, IsTrue and IsFalse are compared to by identity.
	IsNone, IsTrue, IsFalse = Prefix + "is_none", Prefix + "is_true", Prefix + "is_false"

	chain    = Prefix + "chain"     // what a chained assignment gives to each name
	loadName = Prefix + "name_load" // load is a name in Python and a keyword in Starlark
)

// PythonName returns how the Python file spells a name of the rewritten text.
func PythonName(name string) string {
	if name == loadName {
		return "load"
	}
	return name
}

// maxProblems bounds what is reported of one file.
const maxProblems = 50

// A Problem is what cannot be read, with what to do about it.
type Problem struct {
	Line     int
	What, Do string
}

// A Skip is a statement that was left out.
type Skip struct {
	Line int
	What string   // its first word
	Sets []string // the names and keys that it would have set
}

// A Result is a rewritten file.
type Result struct {
	Text    string // Starlark, line by line like the original
	Skipped []Skip
	// Star is set if names may come from somewhere that was not read.
	Star bool
}

// File rewrites one file. If there are problems, Text is of no use.
func File(src []byte) (Result, []Problem) {
	if len(src) > MaxFile {
		return Result{}, []Problem{{1, fmt.Sprintf("a file of %d bytes", len(src)), fmt.Sprintf("files may have %d", MaxFile)}}
	}
	var s scanner
	s.scan(src)
	w := writer{lines: s.lines, problems: s.problems, line: 1, bound: make(map[string]bool)}
	if len(w.problems) == 0 {
		w.file()
	}
	return Result{Text: w.out.String() + "\n", Skipped: w.skipped, Star: w.star}, w.problems
}

type writer struct {
	lines    []logical
	out      strings.Builder
	line     int // of the original, where out stands
	open     int // brackets in out
	skipped  []Skip
	star     bool
	bound    map[string]bool // names that the file has set so far
	problems []Problem
}

func (w *writer) problem(line int, what, do string) {
	if len(w.problems) < maxProblems {
		w.problems = append(w.problems, Problem{line, what, do})
	}
}

// moveTo goes on in the given line of the original.
func (w *writer) moveTo(line int) {
	for ; w.line < line; w.line++ {
		if w.open == 0 {
			w.out.WriteString(`\`)
		}
		w.out.WriteString("\n")
	}
}

func (w *writer) write(words ...string) {
	for _, word := range words {
		w.out.WriteString(word)
		w.out.WriteByte(' ')
	}
}

// begin starts a logical line.
func (w *writer) begin(l logical) {
	for ; w.line < l.first().line; w.line++ {
		w.out.WriteByte('\n')
	}
	w.out.WriteString(strings.Repeat(" ", l.indent))
}

func (w *writer) file() {
	elifs, indents := 0, 0
	for i := 0; i < len(w.lines); {
		l := w.lines[i]
		if l.first().is("elif") {
			elifs++
		}
		if i > 0 && l.indent > w.lines[i-1].indent {
			indents = max(indents, l.indent)
		}
		if elifs > maxElif || l.indent > maxIndent*8 {
			w.problem(l.first().line, "conditions that nest too deep", "cut them into several")
			return
		}
		n := 1
		switch word := l.first(); {
		case word.kind == text || word.kind == number:
			w.compound(l)
		case slices.Contains([]string{"try", "class", "with", "async", "@"}, word.text):
			n = w.block(i)
			w.skip(w.lines[i : i+n])
		case word.is("def"):
			if n = w.block(i); slices.ContainsFunc(w.lines[i+1:i+n], hasNoPlaceInDef) || slices.ContainsFunc(l.tokens, isYield) {
				w.skip(w.lines[i : i+n])
			} else {
				n = 1
				w.bind(l.tokens)
				w.compound(l)
			}
		default:
			w.compound(l)
		}
		i += n
	}
}

func isYield(t token) bool { return t.is("yield") || t.is("await") || t.is("->") }

// hasNoPlaceInDef reports whether a function with this line would do something else
// if the line were left out.
func hasNoPlaceInDef(l logical) bool {
	return slices.ContainsFunc(l.tokens, isYield) ||
		slices.Contains([]string{"try", "class", "with", "async", "@", "global", "nonlocal", "assert", "exec", "print"}, l.first().text)
}

// block counts the lines of the block that line i begins.
func (w *writer) block(i int) int {
	first := w.lines[i]
	decorated := first.first().is("@")
	n := 1
	for ; i+n < len(w.lines); n++ {
		l := w.lines[i+n]
		if l.indent > first.indent {
			continue
		}
		word := l.first().text
		goesOn := first.first().is("try") && slices.Contains([]string{"except", "finally", "else"}, word)
		if l.indent < first.indent || !goesOn && !decorated {
			break
		}
		decorated = decorated && word == "@"
	}
	return n
}

// skip leaves a block out. What it would have set is unknown from here on.
func (w *writer) skip(block []logical) {
	head := block[0]
	if w.importsOnly(block) {
		return
	}
	names, keys := sets(block)
	s := Skip{Line: head.first().line, What: head.first().text}
	w.begin(head)
	w.write("pass")
	for _, n := range names {
		s.Sets = append(s.Sets, n)
		w.bound[n] = true
		w.missing(spellName(n), n, s.What)
	}
	for _, key := range keys {
		n := "config[" + quote(key) + "]"
		s.Sets = append(s.Sets, n)
		if w.bound["config"] {
			w.missing(n, n, s.What)
		}
	}
	w.skipped = append(w.skipped, s)
}

func (w *writer) missing(target, what, statement string) {
	w.write(";", target, "=", Missing, "(", quote(what), ",", quote(statement), ")")
}

// importsOnly writes a try block that only tries to import as its imports.
func (w *writer) importsOnly(block []logical) bool {
	if len(block) < 2 || len(block[0].tokens) != 2 || !block[0].first().is("try") {
		return false
	}
	for i, l := range block[1:] {
		word := l.first()
		if l.indent == block[0].indent {
			return i > 0 && word.is("except") && w.writeImports(block[0], block[1:i+1])
		}
		if !word.is("import") && !word.is("from") || l.indent != block[1].indent || slices.ContainsFunc(l.tokens, func(t token) bool { return t.is(";") }) {
			return false
		}
	}
	return false
}

func (w *writer) writeImports(head logical, imports []logical) bool {
	for _, l := range imports {
		l.indent = head.indent
		w.begin(l)
		w.imports(l.tokens)
	}
	return true
}

// sets lists what the lines of a block would set: names, and keys of config.
func sets(block []logical) (names, keys []string) {
	inner := -1 // indentation of a def or class, whose names are its own
	for i, l := range block {
		if inner >= 0 && l.indent > inner {
			continue
		}
		inner = -1
		tokens := l.tokens
		if w := tokens[0].text; w == "def" || w == "class" {
			inner = l.indent
		}
		if i == 0 && tokens[0].is("@") {
			continue
		}
		for _, t := range split(tokens) {
			n, k := statementSets(t)
			names, keys = append(names, n...), append(keys, k...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), slices.Compact(keys)
}

// split cuts a line at the semicolons and colons outside of brackets.
func split(tokens []token) (parts [][]token) {
	depth, start := 0, 0
	for i, t := range tokens {
		depth += nesting(t)
		if depth == 0 && (t.is(";") || t.is(":")) {
			parts = append(parts, tokens[start:i])
			start = i + 1
		}
	}
	parts = append(parts, tokens[start:])
	return slices.DeleteFunc(parts, func(p []token) bool { return len(p) == 0 })
}

func nesting(t token) int {
	if t.kind == operator {
		switch t.text {
		case "(", "[", "{":
			return 1
		case ")", "]", "}":
			return -1
		}
	}
	return 0
}

func statementSets(t []token) (names, keys []string) {
	switch t[0].text {
	case "import", "from":
		for _, b := range imported(t) {
			names = append(names, b.name)
		}
		return names, nil
	case "def", "class":
		if len(t) > 1 {
			names = append(names, t[1].text)
		}
		return names, nil
	case "for", "with", "async":
		for i := 1; i < len(t) && !t[i].is("in"); i++ {
			if t[i].kind == name && (t[0].is("for") || t[i-1].is("as")) {
				names = append(names, t[i].text)
			}
		}
		return names, nil
	}
	depth, start := 0, 0
	for i, tok := range t {
		depth += nesting(tok)
		if depth != 0 || tok.kind != operator || !strings.HasSuffix(tok.text, "=") || slices.Contains([]string{"==", "!=", "<=", ">="}, tok.text) {
			continue
		}
		target := t[start:i]
		start = i + 1
		if len(target) > 3 && target[0].is("config") && target[1].is("[") && target[2].kind == text {
			keys = append(keys, target[2].text)
			continue
		}
		for j, n := range target {
			if n.kind == name && (j == 0 || target[j-1].is(",") || target[j-1].is("(")) && (j == len(target)-1 || target[j+1].is(",") || target[j+1].is(")")) {
				names = append(names, n.text)
			}
		}
	}
	return names, keys
}

func (w *writer) bind(tokens []token) {
	for _, part := range split(tokens) {
		names, _ := statementSets(part)
		for _, n := range names {
			w.bound[n] = true
		}
	}
}

func quote(s string) string { return strconv.QuoteToASCII(s) }
