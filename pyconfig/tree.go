package pyconfig

import (
	"fmt"

	"github.com/fedora-infra/fedmsg-go/pyconfig/rewrite"
	"go.starlark.net/syntax"
)

// The functions that a rewritten tree calls instead of Starlark's own operations, which
// differ from Python's or have no limit. No file can use these names.
const (
	fnBinary  = rewrite.Prefix + "binary"  // (operator, x, y)
	fnAugment = rewrite.Prefix + "augment" // (operator, x, y): as in x += y
	fnAugItem = rewrite.Prefix + "augitem" // (operator, x, key, y): x[key] += y
	fnSetItem = rewrite.Prefix + "setitem" // (x, key, y): x[key] = y
	fnAttr    = rewrite.Prefix + "attr"    // (x, name)
	fnIndexed = rewrite.Prefix + "indexed" // (x): x, about to be indexed
	fnSliced  = rewrite.Prefix + "sliced"  // (x): x, about to be sliced
	fnKey     = rewrite.Prefix + "key"     // (key): key, if it may be one
	fnIter    = rewrite.Prefix + "iter"    // (x): x, about to be iterated over
	fnSpread  = rewrite.Prefix + "spread"  // (x): x, about to be the arguments of a call
	fnDict    = rewrite.Prefix + "dict"    // ([(key, value, line), ...])
	fnNamed   = rewrite.Prefix + "named"   // a key of fnDict: the value is a **mapping of a call
	fnFirst   = rewrite.Prefix + "first"   // a key of fnDict: the value is what dict() is made of
	fnKeyword = rewrite.Prefix + "keyword" // (name): a key of fnDict: a keyword of a call
)

// A tree rewrites the syntax tree of one file.
type tree struct {
	r *run
}

func ident(pos syntax.Position, name string) *syntax.Ident {
	return &syntax.Ident{NamePos: pos, Name: name}
}

func call(pos syntax.Position, name string, args ...syntax.Expr) syntax.Expr {
	return &syntax.CallExpr{Fn: ident(pos, name), Lparen: pos, Args: args, Rparen: pos}
}

func number(pos syntax.Position, n int) syntax.Expr {
	return &syntax.Literal{Token: syntax.INT, TokenPos: pos, Raw: fmt.Sprint(n), Value: int64(n)}
}

func text(pos syntax.Position, s string) syntax.Expr {
	return &syntax.Literal{Token: syntax.STRING, TokenPos: pos, Raw: fmt.Sprintf("%q", s), Value: s}
}

func (t tree) statements(all []syntax.Stmt) {
	for i, s := range all {
		switch s := s.(type) {
		case *syntax.AssignStmt:
			all[i] = t.assignment(s)
		case *syntax.DefStmt:
			t.params(s.Params)
			t.statements(s.Body)
		case *syntax.ExprStmt:
			s.X = t.expr(s.X)
		case *syntax.ForStmt:
			t.target(s.Vars)
			s.X = call(s.For, fnIter, t.expr(s.X))
			t.statements(s.Body)
		case *syntax.WhileStmt:
			s.Cond = t.expr(s.Cond)
			t.statements(s.Body)
		case *syntax.IfStmt:
			s.Cond = t.expr(s.Cond)
			t.statements(s.True)
			t.statements(s.False)
		case *syntax.ReturnStmt:
			if s.Result != nil {
				s.Result = t.expr(s.Result)
			}
		}
	}
}

// assignment sends what is set in containers and what is changed in place through
// functions. Attributes are not set at all.
func (t tree) assignment(s *syntax.AssignStmt) syntax.Stmt {
	lhs := unparen(s.LHS)
	if dot, ok := lhs.(*syntax.DotExpr); ok {
		t.r.note(int(s.OpPos.Line), Skipped, "the assignment to an attribute", dot.Name.Name)
		return &syntax.BranchStmt{Token: syntax.PASS, TokenPos: s.OpPos}
	}
	if id, ok := lhs.(*syntax.Ident); ok && id.Name == "config" && t.r.configLine == 0 {
		t.r.configLine = int(s.OpPos.Line)
	}
	item, isItem := lhs.(*syntax.IndexExpr)
	// += is the operator + for Starlark, which lists its tokens in the same order.
	op := number(s.OpPos, int(s.Op-syntax.PLUS_EQ+syntax.PLUS))
	switch {
	case s.Op == syntax.EQ && isItem:
		return &syntax.ExprStmt{X: call(s.OpPos, fnSetItem, t.expr(item.X), t.expr(item.Y), t.expr(s.RHS))}
	case s.Op == syntax.EQ:
		t.target(lhs)
		s.RHS = t.expr(s.RHS)
	case isItem:
		return &syntax.ExprStmt{X: call(s.OpPos, fnAugItem, op, t.expr(item.X), t.expr(item.Y), t.expr(s.RHS))}
	default:
		id, ok := lhs.(*syntax.Ident)
		if !ok {
			t.r.fail(int(s.OpPos.Line), "an assignment in place to something without a name", "give it one")
			return s
		}
		s.Op, s.RHS = syntax.EQ, call(s.OpPos, fnAugment, op, ident(id.NamePos, id.Name), t.expr(s.RHS))
	}
	return s
}

func unparen(e syntax.Expr) syntax.Expr {
	for {
		p, ok := e.(*syntax.ParenExpr)
		if !ok {
			return e
		}
		e = p.X
	}
}

// target checks what is assigned to. Names are as they are.
func (t tree) target(e syntax.Expr) {
	switch e := unparen(e).(type) {
	case *syntax.TupleExpr:
		for _, x := range e.List {
			t.target(x)
		}
	case *syntax.ListExpr:
		for _, x := range e.List {
			t.target(x)
		}
	case *syntax.Ident:
	default:
		t.r.fail(int(syntax.Start(e).Line), "an assignment to several things that are not all names", "assign them one by one")
	}
}

// params rewrites the defaults of parameters.
func (t tree) params(params []syntax.Expr) {
	for _, p := range params {
		if b, ok := p.(*syntax.BinaryExpr); ok {
			b.Y = t.expr(b.Y)
		}
	}
}

func (t tree) exprs(all []syntax.Expr) {
	for i, e := range all {
		all[i] = t.expr(e)
	}
}

func (t tree) expr(e syntax.Expr) syntax.Expr {
	switch e := e.(type) {
	case *syntax.ParenExpr:
		e.X = t.expr(e.X)
	case *syntax.BinaryExpr:
		x, y := t.expr(e.X), t.expr(e.Y)
		if e.Op != syntax.AND && e.Op != syntax.OR {
			return call(e.OpPos, fnBinary, number(e.OpPos, int(e.Op)), x, y)
		}
		e.X, e.Y = x, y
	case *syntax.UnaryExpr:
		e.X = t.expr(e.X)
	case *syntax.CallExpr:
		return t.call(e)
	case *syntax.DotExpr:
		return call(e.Dot, fnAttr, t.expr(e.X), text(e.NamePos, rewrite.PythonName(e.Name.Name)))
	case *syntax.IndexExpr:
		e.X = call(e.Lbrack, fnIndexed, t.expr(e.X))
		e.Y = call(e.Lbrack, fnKey, t.expr(e.Y))
	case *syntax.SliceExpr:
		e.X = call(e.Lbrack, fnSliced, t.expr(e.X))
		for _, part := range []*syntax.Expr{&e.Lo, &e.Hi, &e.Step} {
			if *part != nil {
				*part = t.expr(*part)
			}
		}
	case *syntax.Comprehension:
		return t.comprehension(e)
	case *syntax.CondExpr:
		e.Cond, e.True, e.False = t.expr(e.Cond), t.expr(e.True), t.expr(e.False)
	case *syntax.DictExpr:
		for i, entry := range e.List {
			e.List[i] = t.entry(entry.(*syntax.DictEntry))
		}
		return call(e.Lbrace, fnDict, &syntax.ListExpr{Lbrack: e.Lbrace, List: e.List, Rbrack: e.Rbrace})
	case *syntax.LambdaExpr:
		t.params(e.Params)
		e.Body = t.expr(e.Body)
	case *syntax.ListExpr:
		t.exprs(e.List)
	case *syntax.TupleExpr:
		t.exprs(e.List)
	}
	return e
}

// triple is an element of what fnDict gets.
func triple(pos syntax.Position, key, value syntax.Expr) syntax.Expr {
	return &syntax.TupleExpr{Lparen: pos, List: []syntax.Expr{key, value, number(pos, int(pos.Line))}, Rparen: pos}
}

func (t tree) entry(e *syntax.DictEntry) syntax.Expr {
	return triple(syntax.Start(e.Key), t.expr(e.Key), t.expr(e.Value))
}

func (t tree) comprehension(e *syntax.Comprehension) syntax.Expr {
	for _, c := range e.Clauses {
		switch c := c.(type) {
		case *syntax.ForClause:
			t.target(c.Vars)
			c.X = call(c.For, fnIter, t.expr(c.X))
		case *syntax.IfClause:
			c.Cond = t.expr(c.Cond)
		}
	}
	entry, isDict := e.Body.(*syntax.DictEntry)
	switch {
	case isDict:
		e.Curly, e.Body = false, t.entry(entry)
		return call(e.Lbrack, fnDict, e)
	default:
		e.Body = t.expr(e.Body)
	}
	return e
}

// call rewrites a call. That of dict tells the line of each keyword.
func (t tree) call(e *syntax.CallExpr) syntax.Expr {
	id, ok := e.Fn.(*syntax.Ident)
	isDict := ok && id.Name == "dict"
	var triples []syntax.Expr
	for i, arg := range e.Args {
		pos := syntax.Start(arg)
		key := ident(pos, fnFirst)
		value := arg
		switch a := arg.(type) {
		case *syntax.BinaryExpr:
			if a.Op == syntax.EQ {
				a.Y = t.expr(a.Y)
				name := a.X.(*syntax.Ident)
				triples = append(triples, triple(pos, call(pos, fnKeyword, text(pos, rewrite.PythonName(name.Name))), a.Y))
				continue
			}
			e.Args[i] = t.expr(arg)
			value = e.Args[i]
		case *syntax.UnaryExpr:
			switch a.Op {
			case syntax.STAR, syntax.STARSTAR:
				a.X = call(a.OpPos, fnSpread, t.expr(a.X))
				isDict = isDict && a.Op == syntax.STARSTAR
				key, value = ident(pos, fnNamed), a.X
			default:
				e.Args[i] = t.expr(arg)
				value = e.Args[i]
			}
		default:
			e.Args[i] = t.expr(arg)
			value = e.Args[i]
		}
		triples = append(triples, triple(pos, key, value))
	}
	if isDict {
		return call(e.Lparen, fnDict, &syntax.ListExpr{Lbrack: e.Lparen, List: triples, Rbrack: e.Rparen})
	}
	e.Fn = t.expr(e.Fn)
	return e
}
