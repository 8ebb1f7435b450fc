package pyconfig

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/fedora-infra/fedmsg-go/pyconfig/rewrite"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// The methods; functions, as some of them call what uses the tables.
var (
	textMethods = sync.OnceValue(newTextMethods)
	dictMethods = sync.OnceValue(newDictMethods)
	listMethods = sync.OnceValue(newListMethods)
)

type function = func(a arguments) (starlark.Value, error)

// builtin is a function for the program.
func (r *run) builtin(name string, f function) starlark.Value {
	return starlark.NewBuiltin(name, func(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		if err := r.look(args...); err != nil {
			return nil, err
		}
		return f(arguments{args, kwargs})
	})
}

// predeclared are the names that a program finds without setting them. What Starlark
// has and is not here is hidden.
func (r *run) predeclared() starlark.StringDict {
	names := starlark.StringDict{
		"__name__":      starlark.String("builtins"), // as under exec
		rewrite.IsNone:  identity{starlark.None},
		rewrite.IsTrue:  identity{starlark.True},
		rewrite.IsFalse: identity{starlark.False},
		rewrite.Splat:   splat,
		fnNamed:         named,
		fnFirst:         first,
	}
	for name := range starlark.Universe {
		if name != "None" && name != "True" && name != "False" {
			names[name] = r.builtin(name, func(arguments) (starlark.Value, error) {
				return nil, obstacle{What: "the function " + name, Do: "write down what it gives"}
			})
		}
	}
	for name, f := range r.operations() {
		names[name] = r.builtin(name, f)
	}
	for name, f := range r.functions() {
		names[name] = r.builtin(name, func(a arguments) (starlark.Value, error) {
			if m := missingAmong(a.args...); m != nil {
				return &missing{r, name + "(" + m.name + ")", m.why}, nil
			}
			return f(a)
		})
	}
	return names
}

// operations are what the rewritten tree calls; their arguments are as written there.
func (r *run) operations() map[string]function {
	op := func(v starlark.Value) syntax.Token {
		n, _ := starlark.AsInt32(v)
		return syntax.Token(n)
	}
	none := func(err error) (starlark.Value, error) { return starlark.None, err }
	return map[string]function{
		fnBinary:  func(a arguments) (starlark.Value, error) { return r.binary(op(a.args[0]), a.args[1], a.args[2]) },
		fnAugment: func(a arguments) (starlark.Value, error) { return r.augment(op(a.args[0]), a.args[1], a.args[2]) },
		fnAugItem: func(a arguments) (starlark.Value, error) {
			return none(r.augItem(op(a.args[0]), a.args[1], a.args[2], a.args[3]))
		},
		fnSetItem: func(a arguments) (starlark.Value, error) { return none(r.setItem(a.args[0], a.args[1], a.args[2])) },
		fnAttr: func(a arguments) (starlark.Value, error) {
			return r.attr(a.args[0], string(a.args[1].(starlark.String)))
		},
		fnIndexed: func(a arguments) (starlark.Value, error) { return r.indexed(a.args[0]) },
		fnSliced:  func(a arguments) (starlark.Value, error) { return r.sliced(a.args[0]) },
		fnKey:     func(a arguments) (starlark.Value, error) { return r.index(a.args[0]) },
		fnIter:    func(a arguments) (starlark.Value, error) { return r.iterable(a.args[0]) },
		fnSpread: func(a arguments) (starlark.Value, error) {
			v, err := r.iterable(a.args[0])
			if n := starlark.Len(a.args[0]); n > maxSpread {
				return nil, tooMuch("arguments of a call", n, maxSpread)
			}
			return v, errors.Join(err, r.charge(16*maxSpread))
		},
		fnDict: func(a arguments) (starlark.Value, error) { return r.dict(a.args[0]) },
		fnKeyword: func(a arguments) (starlark.Value, error) {
			return keyword(a.args[0].(starlark.String)), nil
		},
		rewrite.Import: r.imported,
		rewrite.Missing: func(a arguments) (starlark.Value, error) {
			name, _ := a.text(0, "")
			statement, _ := a.text(1, "")
			return &missing{r, name, fmt.Sprintf("set by the statement %s in line %d, which is left out", statement, r.line())}, nil
		},
		rewrite.Set:    r.makeSet,
		rewrite.Delete: func(a arguments) (starlark.Value, error) { return none(r.remove(a.args[0], a.args[1])) },
		rewrite.Raise: func(arguments) (starlark.Value, error) {
			return nil, obstacle{What: "the program raises an exception", Do: "the original stops here too"}
		},
	}
}

func (r *run) makeSet(a arguments) (starlark.Value, error) {
	set := new(starlark.Set)
	if len(a.args) == 0 {
		return set, nil
	}
	all, err := r.list(a.args[0])
	for _, v := range all {
		if err == nil {
			v, err = r.key(v)
		}
		if err == nil {
			err = set.Insert(v)
		}
	}
	return set, err
}

// functions are Python's own that a configuration may need. Those that are Starlark's
// get their size accounted for, and texts as lists of letters.
func (r *run) functions() map[string]function {
	list := func(a arguments) (starlark.Value, error) {
		all, err := r.only(a)
		return starlark.NewList(all), err
	}
	return map[string]function{
		"str": r.text(false), "unicode": r.text(false), "repr": r.text(true),
		"list": list, "iter": list, "set": r.makeSet, "frozenset": r.makeSet, "dict": r.dictOf,
		"tuple": func(a arguments) (starlark.Value, error) {
			all, err := r.only(a)
			return starlark.Tuple(all), err
		},
		"len": r.length, "range": r.native("range"), "xrange": r.native("range"),
		"any": r.native("any"), "all": r.native("all"), "reversed": r.native("reversed"), "zip": r.native("zip"),
		"enumerate": r.native("enumerate", "iterable", "start"),
		"sorted": func(a arguments) (starlark.Value, error) {
			if len(a.args) != 1 {
				return nil, errors.New("sorted wants one list, key= and reverse=")
			}
			all, err := r.sorted(a.args[0], a)
			return starlark.NewList(all), err
		},
		"map": r.mapped, "filter": r.filtered, "sum": r.sum, "min": r.extreme(-1), "max": r.extreme(1),
		"int": r.number("int"), "long": r.number("int"), "float": r.number("float"), "abs": r.number("abs"),
		"bool": r.native("bool"), "chr": r.native("chr"), "unichr": r.native("chr"),
		"ord": func(a arguments) (starlark.Value, error) {
			return starlark.Call(r.thread, starlark.Universe["ord"], a.args, a.kwargs)
		},
		"print": func(arguments) (starlark.Value, error) { return starlark.None, nil },
	}
}

// text is str or repr.
func (r *run) text(repr bool) function {
	return func(a arguments) (starlark.Value, error) {
		if len(a.args) == 0 && !repr {
			return starlark.String(""), nil
		}
		if len(a.args) != 1 || len(a.kwargs) > 0 {
			return nil, errors.New("str and repr want one value")
		}
		s, err := r.str(a.args[0], repr)
		return starlark.String(s), err
	}
}

// only is a copy of the list that is the only argument; without one it is empty.
func (r *run) only(a arguments) ([]starlark.Value, error) {
	switch {
	case len(a.args) > 1 || len(a.kwargs) > 0:
		return nil, errors.New("want one list")
	case len(a.args) == 0:
		return nil, nil
	}
	return r.list(a.args[0])
}

// native is one of Starlark's functions; names are those of its arguments.
func (r *run) native(name string, names ...string) function {
	return func(a arguments) (starlark.Value, error) {
		args, err := a.ordered(names...)
		size := 0
		for i, v := range args {
			if err == nil && name != "bool" {
				args[i], err = r.iterable(plain(v))
			}
			size += 2 * max(0, starlark.Len(args[i]))
		}
		if err == nil {
			err = r.charge(16 * size)
		}
		if err != nil {
			return nil, err
		}
		v, err := starlark.Call(r.thread, starlark.Universe[name], args, nil)
		if err != nil {
			return nil, err
		}
		return v, r.elements(max(0, starlark.Len(v)))
	}
}

// number is int, float or abs. Python allows blanks around the text of a number, and
// more.
func (r *run) number(name string) function {
	return func(a arguments) (starlark.Value, error) {
		args, err := a.ordered("x", "base")
		if err != nil {
			return nil, err
		}
		for i, v := range args {
			args[i] = plain(v)
			if s, ok := v.(starlark.String); ok {
				text := strings.Trim(string(s), " \t\n\r\f\v")
				if len(text) > 4300 || strings.Contains(text, "_") || name == "float" && strings.ContainsAny(text, "xXpP") {
					return nil, fmt.Errorf("%s of the text %.20q", name, text)
				}
				args[i] = starlark.String(text)
			}
		}
		return starlark.Call(r.thread, starlark.Universe[name], args, nil)
	}
}

func (r *run) dictOf(a arguments) (starlark.Value, error) {
	var triples []starlark.Value
	line := starlark.MakeInt(r.line())
	for _, v := range a.args {
		triples = append(triples, starlark.Tuple{first, v, line})
	}
	for _, kv := range a.kwargs {
		triples = append(triples, starlark.Tuple{keyword(kv[0].(starlark.String)), kv[1], line})
	}
	return r.dict(starlark.NewList(triples))
}

func (r *run) length(a arguments) (starlark.Value, error) {
	if len(a.args) != 1 {
		return nil, errors.New("len wants one value")
	}
	if s, ok := a.args[0].(starlark.String); ok {
		return starlark.MakeInt(utf8.RuneCountInString(string(s))), nil
	}
	n := starlark.Len(a.args[0])
	if n < 0 {
		return nil, fmt.Errorf("a %s has no length", a.args[0].Type())
	}
	return starlark.MakeInt(n), nil
}

func (r *run) mapped(a arguments) (starlark.Value, error) {
	if len(a.args) < 2 {
		return nil, errors.New("map wants a function and a list")
	}
	rows, err := r.native("zip")(arguments{a.args[1:], nil})
	if err != nil {
		return nil, err
	}
	all, err := r.list(rows)
	for i, row := range all {
		if err == nil {
			all[i], err = starlark.Call(r.thread, a.args[0], row.(starlark.Tuple), nil)
		}
	}
	return starlark.NewList(all), err
}

func (r *run) filtered(a arguments) (starlark.Value, error) {
	if len(a.args) != 2 {
		return nil, errors.New("filter wants a function and a list")
	}
	all, err := r.list(a.args[1])
	var out []starlark.Value
	for _, v := range all {
		keep := v
		if err == nil && a.args[0] != starlark.None {
			keep, err = starlark.Call(r.thread, a.args[0], starlark.Tuple{v}, nil)
		}
		if err == nil && bool(keep.Truth()) {
			out = append(out, v)
		}
	}
	return starlark.NewList(out), err
}

func (r *run) sum(a arguments) (starlark.Value, error) {
	args, err := a.ordered("iterable", "start")
	if err != nil || len(args) == 0 {
		return nil, errors.Join(err, errors.New("sum wants a list"))
	}
	total := starlark.Value(starlark.MakeInt(0))
	if len(args) > 1 {
		total = args[1]
	}
	all, err := r.list(args[0])
	for _, v := range all {
		if err == nil {
			total, err = r.binary(syntax.PLUS, total, v)
		}
	}
	return total, err
}

// extreme is min or max.
func (r *run) extreme(sign int) function {
	return func(a arguments) (starlark.Value, error) {
		all := []starlark.Value(a.args)
		var err error
		if len(a.args) == 1 {
			all, err = r.list(a.args[0])
		}
		if err != nil || len(all) == 0 || len(a.kwargs) > 0 {
			return nil, errors.Join(err, errors.New("min and max want values, without keywords"))
		}
		best := all[0]
		for _, v := range all[1:] {
			n, err := r.compare(v, best)
			if err != nil {
				return nil, err
			}
			if n*sign > 0 {
				best = v
			}
		}
		return best, nil
	}
}
