package template

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template/parse"

	"github.com/fedora-infra/fedmsg-go/internal/spell"
)

// Names are the variables and tables of a file, while its templates are compiled.
type Names interface {
	// Variable returns the index of a variable. use tells that a template uses it;
	// else the question is only whether it exists.
	Variable(name string, use bool) (index int, ok bool)
	// Variables returns the names of all variables.
	Variables() []string
	// Table returns a table that a template uses.
	Table(name string) (table map[string]string, ok bool)
}

// An Error is what is wrong in a template.
type Error struct {
	Line int // of the template's own text, from 0
	Text string
}

func (e *Error) Error() string { return e.Text }

// A compiler makes a template of one text.
type compiler struct {
	names  Names
	locals []string // declared in the template, so far
}

// variablePattern finds what may be variables in a template.
var variablePattern = regexp.MustCompile(`\$([\pL_][\pL\pN_]*)`)

// IsName reports whether a variable can have a name.
func IsName(name string) bool { return variablePattern.FindString("$"+name) == "$"+name }

// parserError is how the parser of text/template words an error.
var parserError = regexp.MustCompile(`(?s)^template: t:(\d+):(?:\d+:)? ?(.*)$`)

// startedAt is how it tells where that began which has no end.
var startedAt = regexp.MustCompile(` started at t:(\d+)$`)

// definition finds where the first template is defined besides the main one; -1 if none is.
func definition(defined map[string]*parse.Tree, main *parse.Tree) int {
	first := -1
	for _, tree := range defined {
		if at := int(tree.Root.Pos); tree != main && (first < 0 || at < first) {
			first = at
		}
	}
	return first
}

// Compile reads a template. The error is an [*Error].
func Compile(src string, names Names) (*Template, error) {
	if len(src) > MaxText {
		return nil, &Error{0, fmt.Sprintf("the template has %d bytes; %d is the limit", len(src), MaxText)}
	}
	// The parser wants to know all variables; what stands before the text declares
	// those of the file, on the same line.
	declared, count := "", 0
	for _, m := range variablePattern.FindAllStringSubmatch(src, -1) {
		declaration := "{{$" + m[1] + ":=0}}"
		if _, known := names.Variable(m[1], false); known && !strings.Contains(declared, declaration) {
			declared += declaration
			count++
		}
	}
	tree := parse.New("t")
	tree.Mode = parse.SkipFuncCheck
	defined := make(map[string]*parse.Tree)
	if _, err := tree.Parse(declared+src, "", "", defined); err != nil {
		m := parserError.FindStringSubmatch(err.Error())
		if m == nil {
			return nil, &Error{0, err.Error()}
		}
		if start := startedAt.FindStringSubmatch(m[2]); start != nil {
			m[1], m[2] = start[1], strings.TrimSuffix(m[2], start[0])
		}
		line, _ := strconv.Atoi(m[1])
		return nil, plainer(&Error{line - 1, m[2]}, src, names)
	}
	if at := definition(defined, tree); at >= 0 {
		return nil, &Error{strings.Count((declared + src)[:at], "\n"), "define and block are not part of the rule language; use a variable"}
	}
	c := compiler{names: names}
	t, err := c.template(tree.Root.Nodes[count:])
	var at *nodeError
	if errors.As(err, &at) {
		return nil, &Error{strings.Count((declared + src)[:min(int(at.at), len(declared)+len(src))], "\n"), at.text}
	}
	return t, err
}

func (c *compiler) template(nodes []parse.Node) (t *Template, err error) {
	t = &Template{}
	if len(nodes) == 1 {
		if a, ok := nodes[0].(*parse.ActionNode); ok && len(a.Pipe.Decl) == 0 {
			t.single, err = c.pipe(a.Pipe)
			return t, err
		}
	}
	t.body, err = c.list(&parse.ListNode{Nodes: nodes})
	return t, err
}

// A nodeError is an error at a place in the parsed text.
type nodeError struct {
	at   parse.Pos
	text string
}

func (e *nodeError) Error() string { return e.text }

func bad(n parse.Node, format string, args ...any) error {
	return &nodeError{n.Position(), fmt.Sprintf(format, args...)}
}

func (c *compiler) list(l *parse.ListNode) ([]stmt, error) {
	if l == nil {
		return nil, nil
	}
	var body []stmt
	depth := len(c.locals)
	defer func() { c.locals = c.locals[:depth] }()
	for _, n := range l.Nodes {
		st, err := c.stmt(n)
		if err != nil {
			return nil, err
		}
		if st != nil {
			body = append(body, st)
		}
	}
	return body, nil
}

func (c *compiler) stmt(n parse.Node) (stmt, error) {
	switch n := n.(type) {
	case *parse.TextNode:
		return literal(n.Text), nil
	case *parse.CommentNode:
		return nil, nil
	case *parse.ActionNode:
		e, err := c.pipe(n.Pipe)
		if err != nil || len(n.Pipe.Decl) == 0 {
			return print{e}, err
		}
		if name := n.Pipe.Decl[0].Ident[0]; n.Pipe.IsAssign && !slices.Contains(c.locals, name) {
			return nil, bad(n, "%s is a variable of the file, which does not change; write %s := to have another", name, name)
		}
		return assignment{c.declare(n.Pipe), e, !n.Pipe.IsAssign}, nil
	case *parse.IfNode:
		return c.branch(&n.BranchNode, false)
	case *parse.WithNode:
		return c.branch(&n.BranchNode, true)
	case *parse.RangeNode:
		return c.loop(&n.BranchNode)
	case *parse.BreakNode:
		return jump{stop: true}, nil
	case *parse.ContinueNode:
		return jump{}, nil
	case *parse.TemplateNode:
		return nil, bad(n, "template %q: templates cannot call one another; use a variable", n.Name)
	}
	return nil, bad(n, "%s is not part of the rule language", n)
}

// declare makes the variables of a pipeline known.
func (c *compiler) declare(p *parse.PipeNode) []string {
	var names []string
	for _, v := range p.Decl {
		names = append(names, v.Ident[0])
		if !p.IsAssign {
			c.locals = append(c.locals, v.Ident[0])
		}
	}
	return names
}

func (c *compiler) branch(n *parse.BranchNode, with bool) (stmt, error) {
	depth := len(c.locals)
	defer func() { c.locals = c.locals[:depth] }()
	cond, err := c.pipe(n.Pipe)
	if err != nil {
		return nil, err
	}
	if n.Pipe.IsAssign {
		return nil, bad(n, "write := here, not =")
	}
	b := branch{cond: cond, with: with, names: c.declare(n.Pipe)}
	if b.yes, err = c.list(n.List); err != nil {
		return nil, err
	}
	b.no, err = c.list(n.ElseList)
	return b, err
}

func (c *compiler) loop(n *parse.BranchNode) (stmt, error) {
	depth := len(c.locals)
	defer func() { c.locals = c.locals[:depth] }()
	over, err := c.pipe(n.Pipe)
	if err != nil {
		return nil, err
	}
	if n.Pipe.IsAssign {
		return nil, bad(n, "write := here, not =")
	}
	l := loop{over: over, names: c.declare(n.Pipe)}
	if l.body, err = c.list(n.List); err != nil {
		return nil, err
	}
	l.none, err = c.list(n.ElseList)
	return l, err
}

// pipe compiles a | b | c: each value is the last argument of the next helper.
func (c *compiler) pipe(p *parse.PipeNode) (e expr, err error) {
	for _, cmd := range p.Cmds {
		if e, err = c.command(cmd, e); err != nil {
			return nil, err
		}
	}
	return e, nil
}

func (c *compiler) command(cmd *parse.CommandNode, piped expr) (expr, error) {
	name, ok := cmd.Args[0].(*parse.IdentifierNode)
	if !ok {
		if len(cmd.Args) > 1 || piped != nil {
			return nil, bad(cmd, "%s is not a helper; it takes no arguments", cmd.Args[0])
		}
		return c.expr(cmd.Args[0])
	}
	var args []expr
	for _, n := range cmd.Args[1:] {
		e, err := c.expr(n)
		if err != nil {
			return nil, err
		}
		args = append(args, e)
	}
	if piped != nil {
		if h, ok := helpers[name.Ident]; ok && len(args) > 0 && h.max != 1 {
			return nil, bad(cmd, "a pipe is for helpers of one argument, it would put %s last; write %s", source(piped), source(call{name: name.Ident, args: append([]expr{piped}, args...)}))
		}
		args = append(args, piped)
	}
	return c.call(cmd, name.Ident, args)
}

func (c *compiler) call(n parse.Node, name string, args []expr) (expr, error) {
	h, ok := helpers[name]
	if !ok {
		if _, known := c.names.Variable(name, false); known && len(args) == 0 && foreign[name] == "" {
			return nil, bad(n, "unknown helper %q; the variable is written $%s, a field of the message .%s", name, name, name)
		} else if len(args) == 0 && foreign[name] == "" {
			return nil, bad(n, "unknown helper %q; a field of the message is written .%s", name, name)
		}
		if near := cmp.Or(foreign[name], spell.Nearest(name, slices.Sorted(maps.Keys(helpers)))); near != "" {
			return nil, bad(n, "unknown helper %q; did you mean %q?", name, near)
		}
		return nil, bad(n, "unknown helper %q", name)
	}
	if len(args) < h.min || h.max >= 0 && len(args) > h.max {
		return nil, bad(n, "%s takes %s, not %d: %s", name, h.counts(), len(args), h.usage)
	}
	if h.prepare != nil {
		f, err := h.prepare(c.names, args)
		if err != nil {
			return nil, bad(n, "%s: %v", name, err)
		}
		h.f = f
	}
	return call{name, &h, args}, nil
}

func (c *compiler) expr(n parse.Node) (expr, error) {
	switch n := n.(type) {
	case *parse.DotNode:
		return walkPath{}, nil
	case *parse.FieldNode:
		return walkPath{keys: n.Ident}, nil
	case *parse.VariableNode:
		return c.variable(n)
	case *parse.ChainNode:
		from, err := c.expr(n.Node)
		return walkPath{from, n.Field}, err
	case *parse.PipeNode:
		if len(n.Decl) > 0 {
			return nil, bad(n, "no variable can be declared here")
		}
		return c.pipe(n)
	case *parse.StringNode:
		return constant{NewText(n.Text)}, nil
	case *parse.NumberNode:
		if !isNumber(n.Text) {
			return nil, bad(n, "number %s: write it in decimal, like 12 or -0.5", n.Text)
		}
		return constant{Value{kind: Number, text: n.Text}}, nil
	case *parse.BoolNode:
		return constant{truth(n.True)}, nil
	case *parse.NilNode:
		return constant{none}, nil
	case *parse.IdentifierNode: // a helper without arguments
		return c.call(n, n.Ident, nil)
	}
	return nil, bad(n, "%s cannot stand here", n)
}

func (c *compiler) variable(n *parse.VariableNode) (from expr, err error) {
	name, rest := n.Ident[0], n.Ident[1:]
	switch {
	case name == "$":
		from = rootBody{}
	case slices.Contains(c.locals, name):
		from = localVar(name)
	default:
		index, ok := c.names.Variable(name[1:], true)
		if !ok {
			return nil, bad(n, "undefined variable %s", name)
		}
		from = fileVar{name[1:], index}
	}
	if len(rest) == 0 {
		return from, nil
	}
	return walkPath{from, rest}, nil
}
