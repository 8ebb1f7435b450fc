package template

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits of what one rule may cost. No honest rule comes near them.
const (
	MaxText  = 16 << 10 // bytes of one template, as it is written
	MaxField = 64 << 10 // bytes of what one template makes
	// MaxFuel bounds the work for one message: a step costs StepFuel, a byte that a
	// helper makes costs one, and what a helper reads a part of that.
	MaxFuel  = 4 << 20
	StepFuel = 32
	// maxList is how much a list may hold that a template makes, in bytes.
	maxList = 2 << 20
)

// A Template is a compiled text with holes.
type Template struct {
	body   []stmt
	single expr // set if the whole text is one action: then its value is the result
}

// IsValue reports whether the whole text is one action, of which the value counts.
func (t *Template) IsValue() bool { return t.single != nil }

// A Run is the work on one message for one file.
type Run struct {
	// Body is what a path begins in.
	Body Value
	// Vars knows the values of variables, and gets pages.
	Vars Variables
	// World is what helpers know besides their arguments.
	World *World
	// Fuel is what the message may still cost; it starts at [MaxFuel].
	Fuel *int

	failure failure // the first hole that could not be filled
	jump    int     // what a break or a continue asks of the loop around it
}

// A failure is a hole that could not be filled, and what dot was there.
type failure struct {
	expr
	dot Value
}

// Variables are what templates may ask about a message and about the world.
type Variables interface {
	// Variable returns the value of the variable with an index from [Names].
	Variable(index int) Value
	// Fetch returns a page; ok is false if it cannot be had, or must not.
	Fetch(url string) (page []byte, ok bool)
}

// A World is what helpers know besides their arguments.
type World struct {
	Now      func() time.Time
	Account  func(nick string) string // the account of a nick or mail address, else nick
	Settings map[string]string        // of the operator
	Realm    string                   // of the accounts: NAME@REALM are mail addresses
}

// An expr is a part of a template that has a value.
type expr interface{ eval(*scope) Value }

// A stmt is a part of a template that writes text; it returns false if it failed.
type stmt interface{ exec(*scope) bool }

// A scope is what a template sees while it runs.
type scope struct {
	*Run
	dot    Value
	locals []local
	out    []byte
}

type local struct {
	name string
	Value
}

// value runs a template for its value. A text with a hole that could not be
// filled is missing, and run.failure says why.
func (t *Template) Value(r *Run, dot Value) Value {
	s := scope{Run: r, dot: dot}
	if t.single != nil {
		v := t.single.eval(&s)
		if v.kind == Missing {
			s.fail(t.single)
		}
		return v
	}
	for _, st := range t.body {
		if !st.exec(&s) {
			return none
		}
	}
	return NewText(string(s.out))
}

type (
	literal    string
	print      struct{ e expr }
	assignment struct {
		names   []string
		e       expr
		declare bool
	}
	branch struct {
		cond  expr
		names []string
		with  bool
		yes   []stmt
		no    []stmt
	}
	loop struct {
		over  expr
		names []string
		body  []stmt
		none  []stmt
	}
	jump struct{ stop bool }
)

func (l literal) exec(s *scope) bool {
	return s.write(string(l))
}

// write appends text, as far as there is room.
func (s *scope) write(text string) bool {
	if room := MaxField - len(s.out); room > 0 {
		s.out = append(s.out, text[:min(room, len(text))]...)
	}
	return s.Spend(len(text))
}

func (p print) exec(s *scope) bool {
	v := p.e.eval(s)
	if v.kind == Missing || v.kind >= List {
		return s.fail(p.e) // JSON is nothing to read
	}
	return s.Spend(StepFuel) && s.write(v.String())
}

func (a assignment) exec(s *scope) bool {
	s.assign(a.names, a.declare, a.e.eval(s))
	return s.Spend(StepFuel)
}

// assign gives the last of names a value.
func (s *scope) assign(names []string, declare bool, v Value) {
	name := names[len(names)-1]
	if !declare {
		for i, l := range slices.Backward(s.locals) {
			if l.name == name {
				s.locals[i].Value = v
				return
			}
		}
	}
	s.locals = append(s.locals, local{name, v})
}

func (b branch) exec(s *scope) bool {
	depth, dot := len(s.locals), s.dot
	defer func() { s.locals, s.dot = s.locals[:depth], dot }()
	v := b.cond.eval(s)
	if len(b.names) > 0 {
		s.assign(b.names, true, v)
	}
	if !v.IsTrue() {
		return s.Spend(StepFuel) && s.all(b.no)
	}
	if b.with {
		s.dot = v
	}
	return s.Spend(StepFuel) && s.all(b.yes)
}

func (s *scope) all(body []stmt) bool {
	for _, st := range body {
		if !st.exec(s) {
			return false
		}
		if s.jump != goOn {
			return true
		}
	}
	return true
}

// What a break or a continue asks of the loop around it.
const (
	goOn = iota
	nextItem
	leaveLoop
)

func (j jump) exec(s *scope) bool {
	s.jump = nextItem
	if j.stop {
		s.jump = leaveLoop
	}
	return true
}

func (l loop) exec(s *scope) bool {
	depth, dot := len(s.locals), s.dot
	defer func() { s.locals, s.dot = s.locals[:depth], dot }()
	v := l.over.eval(s)
	if len(v.Items()) == 0 {
		return s.all(l.none)
	}
	for i, item := range v.Items() {
		s.locals, s.dot = s.locals[:depth], item
		switch len(l.names) {
		case 2:
			key := NewNumber(i)
			if v.kind == Object {
				key = NewText(v.Keys()[i])
			}
			s.locals = append(s.locals, local{l.names[0], key}, local{l.names[1], item})
		case 1:
			s.locals = append(s.locals, local{l.names[0], item})
		}
		if !s.Spend(StepFuel) || !s.all(l.body) {
			return false
		}
		stop := s.jump == leaveLoop
		s.jump = goOn
		if stop {
			break
		}
	}
	return true
}

type (
	constant struct{ v Value }
	// walkPath is a walk into a value.
	walkPath struct {
		from expr // nil is dot
		keys []string
	}
	rootBody struct{} // $
	localVar string
	fileVar  struct {
		name  string
		index int
	}
	call struct {
		name string
		h    *helper
		args []expr
	}
)

func (c constant) eval(*scope) Value { return c.v }

func (p walkPath) eval(s *scope) Value {
	v := s.dot
	if p.from != nil {
		v = p.from.eval(s)
	}
	for _, key := range p.keys {
		if v.kind == Missing {
			break
		}
		v = s.get(v, key)
	}
	return v
}

// get walks one step into a value.
func (s *scope) get(v Value, key string) Value {
	if v.kind == Missing || !s.Spend(4+len(v.Keys())/8) {
		return none
	}
	return v.Get(key)
}

func (rootBody) eval(s *scope) Value { return s.Body }

func (l localVar) eval(s *scope) Value {
	for _, known := range slices.Backward(s.locals) {
		if known.name == string(l) {
			return known.Value
		}
	}
	return none
}

func (f fileVar) eval(s *scope) Value { return s.Vars.Variable(f.index) }

func (c call) eval(s *scope) Value {
	if !s.Spend(StepFuel) {
		return none
	}
	if c.h.lazy != nil {
		return c.h.lazy(s, c.args)
	}
	var room [4]Value
	args := room[:0]
	for _, a := range c.args {
		args = append(args, a.eval(s))
	}
	if !c.h.tolerant && len(args) > 0 && args[0].kind == Missing {
		return none
	}
	for _, v := range args {
		switch {
		case c.h.light:
		case v.many != nil && !s.Spend(v.size()/2), v.many == nil && !s.Spend(len(v.text)/8):
			return none
		}
	}
	v := c.h.f(s, args)
	switch {
	case v.kind == Text && !s.Spend(len(v.text)):
		return none
	case v.kind == List && v.size() > maxList && !s.Spend(*s.Fuel):
		return none
	}
	return v
}

// source spells an expression for people, as its author wrote it or nearly so.
func source(e expr) string {
	switch e := e.(type) {
	case constant:
		if e.v.kind == Number {
			return e.v.text
		}
		return strconv.Quote(e.v.String())
	case walkPath:
		if e.from == nil {
			return "." + strings.Join(e.keys, ".")
		}
		return source(e.from) + "." + strings.Join(e.keys, ".")
	case rootBody:
		return "$"
	case localVar:
		return string(e)
	case fileVar:
		return "$" + e.name
	case call:
		words := []string{e.name}
		for _, a := range e.args {
			word := source(a)
			if _, nested := a.(call); nested {
				word = "(" + word + ")"
			}
			words = append(words, word)
		}
		return strings.Join(words, " ")
	}
	return "?"
}

// Spend takes from the fuel of the message and reports whether some is left.
func (r *Run) Spend(n int) bool {
	*r.Fuel -= n
	return *r.Fuel > 0
}

func (s *scope) fail(e expr) bool {
	if s.failure.expr == nil {
		s.failure = failure{e, s.dot}
	}
	return false
}

// Forget forgets why a template had no value, and returns what to set it to again.
func (r *Run) Forget() (restore func()) {
	kept := r.failure
	r.failure = failure{}
	return func() { r.failure = kept }
}

// Why says which hole could not be filled since [Run.Forget]; empty if none.
func (r *Run) Why() string {
	switch {
	case *r.Fuel <= 0:
		return "the rules take too much work for this message"
	case r.failure.expr == nil:
		return ""
	}
	what := source(r.failure.expr)
	s := scope{Run: &Run{Body: r.Body, Vars: r.Vars, World: r.World, Fuel: new(MaxFuel)}, dot: r.failure.dot}
	if kind := r.failure.eval(&s).kind; kind >= List {
		return what + " is no text but " + map[Kind]string{List: "a list", Object: "an object"}[kind]
	}
	if c, ok := r.failure.expr.(call); ok && c.h.ofTime {
		if v := c.args[0].eval(&s); v.kind == Text || v.kind == Number {
			return strconv.Quote(v.String()) + " is no time: neither seconds since 1970 nor like 2026-01-31T23:59:59Z"
		}
	}
	if p, ok := r.failure.expr.(walkPath); ok && p.from == nil {
		v := r.failure.dot
		for i, key := range p.keys {
			if v = v.Get(key); v.kind == Missing {
				what = "." + strings.Join(p.keys[:i+1], ".")
				break
			}
		}
	}
	return what + " is not there"
}
