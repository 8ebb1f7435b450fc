package rewrite

import (
	"slices"
	"strings"
)

// compound writes a line that is no block to leave out: the header of a condition,
// loop or function and what stands behind its colon, or simple statements.
func (w *writer) compound(l logical) {
	w.begin(l)
	tokens := l.tokens
	if slices.Contains([]string{"if", "elif", "else", "for", "while", "def"}, l.first().text) {
		depth, lambdas := 0, 0
		for i, t := range tokens {
			depth += nesting(t)
			if depth == 0 && t.is("lambda") {
				lambdas++
			}
			if depth == 0 && t.is(":") {
				if lambdas--; lambdas < 0 {
					w.expression(tokens[:i+1])
					tokens = tokens[i+1:]
					break
				}
			}
		}
		if len(tokens) == 0 {
			return
		}
		if len(tokens) == len(l.tokens) {
			w.problem(l.first().line, l.first().text+" without a colon", "end the line with one")
			return
		}
	}
	depth, start := 0, 0
	for i, t := range tokens {
		if depth += nesting(t); depth == 0 && t.is(";") {
			w.simple(tokens[start:i])
			w.write(";")
			start = i + 1
		}
	}
	if start < len(tokens) || start == 0 {
		w.simple(tokens[start:])
	} else {
		w.write("pass")
	}
}

// simple writes one simple statement.
func (w *writer) simple(t []token) {
	if len(t) == 0 {
		w.problem(w.line, "a semicolon that ends nothing", "remove it")
		return
	}
	w.moveTo(t[0].line)
	w.bind(t)
	call := len(t) > 1 && (t[1].is("(") || t[1].is("=") || t[1].is(".") || t[1].is("["))
	switch word := t[0]; {
	case word.kind != name:
		w.assignment(t)
	case word.is("import"), word.is("from"):
		w.imports(t)
	case word.is("del"):
		w.del(t)
	case word.is("raise"):
		w.write(Raise, "(", ")")
	case word.is("assert"), word.is("global"), word.is("nonlocal"), word.is("exec") && !call, word.is("print") && !call:
		w.skipped = append(w.skipped, Skip{Line: word.line, What: word.text})
		w.write("pass")
	default:
		w.assignment(t)
	}
}

// assignment writes an expression or an assignment. Starlark has no chained ones.
func (w *writer) assignment(t []token) {
	var equals []int
	depth := 0
	for i, tok := range t {
		if depth += nesting(tok); depth == 0 && tok.is("=") {
			equals = append(equals, i)
		}
		if depth == 0 && tok.is("lambda") {
			break // its parameters have defaults
		}
	}
	if len(equals) < 2 {
		w.expression(t)
		return
	}
	w.write(chain, "=")
	w.expression(t[equals[len(equals)-1]+1:])
	start := 0
	for _, i := range equals {
		w.write(";")
		for _, target := range t[start:i] { // all stands where the statement ends
			target.line = w.line
			w.expression([]token{target})
		}
		w.write("=", chain)
		start = i + 1
	}
}

// del writes the removal of a key. That a name goes matters to nobody.
func (w *writer) del(t []token) {
	last := len(t) - 1
	open, depth := -1, 0
	for i := last; i > 0 && t[last].is("]"); i-- {
		if depth += nesting(t[i]); depth == 0 {
			open = i
			break
		}
	}
	if open < 2 {
		w.skipped = append(w.skipped, Skip{Line: t[0].line, What: "del"})
		w.write("pass")
		return
	}
	w.open++
	w.write(Delete, "(")
	w.expression(t[1:open])
	w.write(",")
	w.expression(t[open+1 : last])
	w.write(")")
	w.open--
}

// A binding is one name that an import sets.
type binding struct {
	name         string
	module, from string // from is empty for a whole module
}

// imported reads an import statement.
func imported(t []token) (all []binding) {
	var path strings.Builder
	i := 1
	if t[0].is("from") {
		for ; i < len(t) && !t[i].is("import"); i++ {
			path.WriteString(t[i].text)
		}
		i++
	}
	module := path.String()
	for ; i < len(t); i++ {
		var dotted strings.Builder
		for ; i < len(t) && !t[i].is(",") && !t[i].is("as"); i++ {
			if !t[i].is("(") && !t[i].is(")") {
				dotted.WriteString(t[i].text)
			}
		}
		if dotted.Len() == 0 {
			continue // a comma at the end
		}
		b := binding{module: module, from: dotted.String(), name: dotted.String()}
		if module == "" {
			b.module, b.from = b.from, ""
			b.name, _, _ = strings.Cut(b.module, ".")
		}
		if i+1 < len(t) && t[i].is("as") {
			b.name = t[i+1].text
			i += 2
			for i < len(t) && !t[i].is(",") {
				i++
			}
		} else if module == "" {
			b.module = b.name
		}
		all = append(all, b)
	}
	return all
}

// imports writes an import as assignments of what the runner offers in its place.
func (w *writer) imports(t []token) {
	w.write("pass")
	w.bind(t)
	for _, b := range imported(t) {
		switch {
		case b.module == "__future__":
		case b.name == "*":
			w.star = true
			w.skipped = append(w.skipped, Skip{Line: t[0].line, What: "from " + b.module + " import *"})
		case wordLength(b.name) < len(b.name) || b.name == "":
			w.problem(t[0].line, "an import of "+b.name, "remove it")
		case b.from != "":
			w.write(";", spellName(b.name), "=", Import, "(", quote(b.module), ",", quote(b.from), ")")
		default:
			w.write(";", spellName(b.name), "=", Import, "(", quote(b.module), ")")
		}
	}
}

func spellName(n string) string {
	if n == "load" {
		return loadName
	}
	return n
}

// foreign are operators that Starlark does not have.
var foreign = map[string]string{
	":=": "assign in a statement of its own", "...": "remove it", "->": "remove it", "@": "remove it", "**=": "write the number",
}

// expression writes tokens of one expression, header or assignment.
func (w *writer) expression(t []token) {
	closing, kinds := displays(t)
	suffix := make(map[int]string)
	var opened []string
	for i := 0; i < len(t); i++ {
		tok := t[i]
		w.moveTo(tok.line)
		switch tok.kind {
		case text:
			var value strings.Builder
			value.WriteString(tok.text)
			for i+1 < len(t) && t[i+1].kind == text {
				i++
				value.WriteString(t[i].text)
			}
			w.write(quote(value.String()))
		case number:
			w.write(tok.text)
		case name:
			i += w.word(t, i)
		case operator:
			switch n := nesting(tok); {
			case n > 0:
				w.open++
				opened = append(opened, tok.text)
				switch kinds[i] {
				case generator:
					w.write("(", "[")
					suffix[closing[i]] = "]"
				case set:
					w.write(Set, "(", "[")
					suffix[closing[i]] = "])"
				default:
					w.write(tok.text)
				}
			case n < 0:
				if opened = opened[:max(0, len(opened)-1)]; suffix[i] != "" {
					w.write(suffix[i])
				}
				if suffix[i] != "])" {
					w.write(tok.text)
				}
				w.open--
			case tok.is("**"):
				w.stars(t, i, opened)
			case tok.is("<>"):
				w.write("!=")
			case foreign[tok.text] != "":
				w.problem(tok.line, "the operator "+tok.text, foreign[tok.text])
			default:
				w.write(tok.text)
			}
		}
	}
}

// stars writes ** before a mapping; as an operator Starlark has none.
func (w *writer) stars(t []token, i int, opened []string) {
	switch {
	case i > 0 && !t[i-1].is(",") && nesting(t[i-1]) <= 0:
		w.problem(t[i].line, "the operator **", "write the number")
	case len(opened) > 0 && opened[len(opened)-1] == "{":
		w.write(Splat, ":")
	default:
		w.write("**")
	}
}

var identities = map[string]string{"None": IsNone, "True": IsTrue, "False": IsFalse}

// word writes a name or keyword, and returns how many tokens more it took.
func (w *writer) word(t []token, i int) (more int) {
	if !t[i].is("is") {
		w.write(spellName(t[i].text))
		return 0
	}
	op := "=="
	if more = 1; i+1 < len(t) && t[i+1].is("not") {
		op, more = "!=", 2
	}
	if i+more < len(t) && identities[t[i+more].text] != "" && t[i+more].kind == name {
		w.write(op, identities[t[i+more].text])
		return more
	}
	w.problem(t[i].line, "the operator is", "use == or !=")
	return 0
}

type display int

const (
	plain display = iota
	generator
	set
)

// displays finds the bracket that closes each one, and which are generators and sets.
func displays(t []token) (closing map[int]int, kinds map[int]display) {
	closing, kinds = make(map[int]int), make(map[int]display)
	type bracket struct {
		at           int
		loops, colon bool
	}
	var open []bracket
	for i, tok := range t {
		switch n := nesting(tok); {
		case n > 0:
			open = append(open, bracket{at: i, colon: i+1 < len(t) && t[i+1].is("**")})
		case n < 0 && len(open) > 0:
			b := open[len(open)-1]
			open = open[:len(open)-1]
			closing[b.at] = i
			switch {
			case t[b.at].is("(") && b.loops:
				kinds[b.at] = generator
			case t[b.at].is("{") && !b.colon && i > b.at+1:
				kinds[b.at] = set
			}
		case len(open) > 0:
			top := &open[len(open)-1]
			top.loops = top.loops || tok.is("for")
			top.colon = top.colon || tok.is(":")
		}
	}
	return closing, kinds
}
