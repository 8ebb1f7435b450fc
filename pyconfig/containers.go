package pyconfig

import (
	"errors"
	"fmt"
	"slices"

	"github.com/fedora-infra/fedmsg-go/pyconfig/rewrite"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// Keys of what fnDict gets that are no keys of the dictionary.
type marker string

func (m marker) String() string        { return string(m) }
func (marker) Type() string            { return "marker" }
func (marker) Freeze()                 {}
func (marker) Truth() starlark.Bool    { return true }
func (m marker) Hash() (uint32, error) { return 0, errors.New("not a key") }

const (
	splat = marker(rewrite.Splat)
	named = marker(fnNamed)
	first = marker(fnFirst)
)

// keyword is a key that a call gave by name, which it may do only once.
type keyword string

func (k keyword) String() string        { return string(k) }
func (keyword) Type() string            { return "keyword" }
func (keyword) Freeze()                 {}
func (keyword) Truth() starlark.Bool    { return true }
func (k keyword) Hash() (uint32, error) { return 0, errors.New("not a key") }

// setItem sets a key of a dictionary or an element of a list, and notes the line.
func (r *run) setItem(x, key, value starlark.Value) error {
	switch c := x.(type) {
	case *missing:
		r.note(r.line(), Skipped, "the assignment to an element of "+c.name, c.why)
		return nil
	case *starlark.Dict:
		return r.set(c, key, value, r.line())
	case starlark.HasSetIndex:
		i, err := starlark.AsInt32(plain(key))
		if err != nil {
			return err
		}
		if i < 0 {
			i += c.Len()
		}
		if i < 0 || i >= c.Len() {
			return fmt.Errorf("no element %d in a list of %d", i, c.Len())
		}
		return c.SetIndex(i, value)
	}
	return fmt.Errorf("a %s has no elements that can be set", x.Type())
}

func (r *run) set(d *starlark.Dict, key, value starlark.Value, line int) error {
	key, err := r.key(key)
	if err != nil {
		return err
	}
	if err := d.SetKey(key, value); err != nil {
		return err
	}
	if d.Len() > maxElements {
		return tooMuch("elements", d.Len(), maxElements)
	}
	if r.lines[d] == nil {
		r.lines[d] = make(map[string]int)
	}
	r.lines[d][key.String()] = line
	return r.charge(200) // as much as an entry takes, with its line
}

// augItem is x[key] op= value.
func (r *run) augItem(op syntax.Token, x, key, value starlark.Value) error {
	var old starlark.Value
	switch c := x.(type) {
	case *missing:
		return r.setItem(x, key, value)
	case *starlark.Dict:
		k, err := r.key(key)
		if err != nil {
			return err
		}
		found := false
		if old, found, err = c.Get(k); err != nil || !found {
			return fmt.Errorf("key error: %s", k)
		}
	case *starlark.List:
		i, err := starlark.AsInt32(plain(key))
		if i < 0 {
			i += c.Len()
		}
		if err != nil || i < 0 || i >= c.Len() {
			return fmt.Errorf("no element %s in a list of %d", key, c.Len())
		}
		old = c.Index(i)
	default:
		return fmt.Errorf("a %s has no elements that can be set", x.Type())
	}
	v, err := r.augment(op, old, value)
	if err != nil {
		return err
	}
	return r.setItem(x, key, v)
}

// dict makes a dictionary of triples: a key, a value, a line.
func (r *run) dict(triples starlark.Value) (starlark.Value, error) {
	all, err := r.list(triples)
	if err != nil {
		return nil, err
	}
	d := new(starlark.Dict)
	byName := make(map[string]bool)
	for _, t := range all {
		t := t.(starlark.Tuple)
		key, value := t[0], t[1]
		line, _ := starlark.AsInt32(t[2])
		unique := func(name string) error {
			if byName[name] {
				return fmt.Errorf("dict gets the keyword %q twice", name)
			}
			byName[name] = true
			return nil
		}
		switch key {
		case splat, named, first:
			if m := missingAmong(value); m != nil {
				return m, nil
			}
			if key != first {
				if _, ok := value.(*starlark.Dict); !ok {
					return nil, fmt.Errorf("a %s after **, which wants a dictionary", value.Type())
				}
			}
			check := func(string) error { return nil }
			if key == named {
				check = unique
			}
			if err := r.merge(d, value, line, check); err != nil {
				return nil, err
			}
			continue
		}
		if k, ok := key.(keyword); ok {
			key = starlark.String(k)
			if err := unique(string(k)); err != nil {
				return nil, err
			}
		}
		if err := r.set(d, key, value, line); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// merge puts what dict() may be made of into d: a dictionary, or pairs.
func (r *run) merge(d *starlark.Dict, from starlark.Value, line int, check func(key string) error) error {
	if other, ok := from.(*starlark.Dict); ok {
		for k, v := range other.Entries() {
			at := line
			if known := r.lines[other][k.String()]; known > 0 {
				at = known
			}
			if key, isText := k.(starlark.String); isText {
				if err := check(string(key)); err != nil {
					return err
				}
			}
			if err := r.set(d, k, v, at); err != nil {
				return err
			}
		}
		return nil
	}
	pairs, err := r.list(from)
	if err != nil {
		return err
	}
	for _, p := range pairs {
		pair, err := r.list(p)
		if err != nil || len(pair) != 2 {
			return errors.Join(err, errors.New("a dictionary is made of pairs"))
		}
		if err := r.set(d, pair[0], pair[1], line); err != nil {
			return err
		}
	}
	return nil
}

// remove is del x[key].
func (r *run) remove(x, key starlark.Value) error {
	switch c := x.(type) {
	case *missing:
		return nil
	case *starlark.Dict:
		k, err := r.key(key)
		if err != nil {
			return err
		}
		if _, found, err := c.Delete(k); err != nil || !found {
			return fmt.Errorf("key error: %s", k)
		}
		return nil
	case *starlark.List:
		pop, err := c.Attr("pop")
		if err == nil {
			_, err = starlark.Call(r.thread, pop, starlark.Tuple{key}, nil)
		}
		return err
	}
	return fmt.Errorf("a %s has no elements that can be removed", x.Type())
}

func newDictMethods() map[string]method[*starlark.Dict] {
	return map[string]method[*starlark.Dict]{
		"update": {0, 1 << 10, func(r *run, d *starlark.Dict, a arguments) (starlark.Value, error) {
			for _, v := range a.args {
				if err := r.merge(d, v, r.line(), func(string) error { return nil }); err != nil {
					return nil, err
				}
			}
			for _, kv := range a.kwargs {
				if err := r.set(d, kv[0], kv[1], r.line()); err != nil {
					return nil, err
				}
			}
			return starlark.None, nil
		}},
		"setdefault": {1, 2, func(r *run, d *starlark.Dict, a arguments) (starlark.Value, error) {
			key, err := r.key(a.take(0, ""))
			if err != nil {
				return nil, err
			}
			v, found, err := d.Get(key)
			if err == nil && !found {
				if v = a.take(1, ""); v == nil {
					v = starlark.None
				}
				err = r.set(d, key, v, r.line())
			}
			return v, err
		}},
		"copy": {0, 0, func(r *run, d *starlark.Dict, _ arguments) (starlark.Value, error) {
			other := new(starlark.Dict)
			return other, r.merge(other, d, r.line(), func(string) error { return nil })
		}},
		"has_key": {1, 1, func(r *run, d *starlark.Dict, a arguments) (starlark.Value, error) {
			found, err := r.contains(d, a.take(0, ""))
			return starlark.Bool(found), err
		}},
		"get": native[*starlark.Dict]("get", 1, 2), "pop": native[*starlark.Dict]("pop", 1, 2),
		"keys": native[*starlark.Dict]("keys", 0, 0), "iterkeys": native[*starlark.Dict]("keys", 0, 0),
		"values": native[*starlark.Dict]("values", 0, 0), "itervalues": native[*starlark.Dict]("values", 0, 0),
		"items": native[*starlark.Dict]("items", 0, 0), "iteritems": native[*starlark.Dict]("items", 0, 0),
		"clear": native[*starlark.Dict]("clear", 0, 0),
	}
}

func newListMethods() map[string]method[*starlark.List] {
	return map[string]method[*starlark.List]{
		"extend": {1, 1, func(r *run, l *starlark.List, a arguments) (starlark.Value, error) {
			return starlark.None, r.extend(l, a.take(0, ""))
		}},
		"copy": {0, 0, func(r *run, l *starlark.List, _ arguments) (starlark.Value, error) {
			all, err := r.list(l)
			return starlark.NewList(all), err
		}},
		"sort": {0, 2, func(r *run, l *starlark.List, a arguments) (starlark.Value, error) {
			if len(a.args) > 0 {
				return nil, errors.New("sort wants its arguments by name")
			}
			all, err := r.sorted(l, a)
			return starlark.None, errors.Join(err, refill(l, all, err))
		}},
		"reverse": {0, 0, func(r *run, l *starlark.List, _ arguments) (starlark.Value, error) {
			all, err := r.list(l)
			slices.Reverse(all)
			return starlark.None, errors.Join(err, refill(l, all, err))
		}},
		"count": {1, 1, func(r *run, l *starlark.List, a arguments) (starlark.Value, error) {
			_, n, err := r.search(l, a.take(0, ""))
			return starlark.MakeInt(n), err
		}},
		"index": {1, 1, func(r *run, l *starlark.List, a arguments) (starlark.Value, error) {
			i, n, err := r.search(l, a.take(0, ""))
			if err == nil && n == 0 {
				err = errors.New("the list does not hold it")
			}
			return starlark.MakeInt(i), err
		}},
		"remove": {1, 1, func(r *run, l *starlark.List, a arguments) (starlark.Value, error) {
			i, n, err := r.search(l, a.take(0, ""))
			if err == nil && n == 0 {
				err = errors.New("the list does not hold it")
			}
			if err != nil {
				return nil, err
			}
			return starlark.None, r.remove(l, starlark.MakeInt(i))
		}},
		"append": native[*starlark.List]("append", 1, 1), "insert": native[*starlark.List]("insert", 2, 2),
		"pop": native[*starlark.List]("pop", 0, 1), "clear": native[*starlark.List]("clear", 0, 0),
	}
}

// native is a method that Starlark has as Python does.
func native[T starlark.HasAttrs](name string, least, most int) method[T] {
	return method[T]{least, most, func(r *run, on T, a arguments) (starlark.Value, error) {
		f, err := on.Attr(name)
		if err != nil {
			return nil, err
		}
		if _, ok := any(on).(*starlark.Dict); ok && len(a.args) > 0 {
			if a.args[0], err = r.key(a.args[0]); err != nil {
				return nil, err
			}
		}
		before := starlark.Len(on)
		if before >= maxElements {
			return nil, tooMuch("elements", before, maxElements)
		}
		size := 16
		if least == 0 { // it may copy everything
			size *= 1 + before
		}
		if r.work += before; r.work > maxWork { // it may move everything
			return nil, tooMuch("elements moved", r.work, maxWork)
		}
		if err := r.charge(size); err != nil {
			return nil, err
		}
		return starlark.Call(r.thread, f, a.args, a.kwargs)
	}}
}

// search returns the place of the first x in a list, and how many there are.
func (r *run) search(l *starlark.List, x starlark.Value) (place, times int, err error) {
	for i := range l.Len() {
		same, err := r.equal(l.Index(i), x)
		if err != nil {
			return 0, 0, err
		}
		if same {
			if times++; times == 1 {
				place = i
			}
		}
	}
	return place, times, nil
}

func refill(l *starlark.List, all []starlark.Value, err error) error {
	if err != nil {
		return nil
	}
	for i, v := range all {
		if err := l.SetIndex(i, v); err != nil {
			return err
		}
	}
	return nil
}

// sorted is Python's sorted(on, key=..., reverse=...).
func (r *run) sorted(on starlark.Value, a arguments) ([]starlark.Value, error) {
	all, err := r.list(on)
	if err != nil {
		return nil, err
	}
	type ranked struct{ rank, value starlark.Value }
	list := make([]ranked, len(all))
	by := a.take(len(a.args), "key")
	for i, v := range all {
		list[i] = ranked{v, v}
		if by != nil && by != starlark.None {
			if list[i].rank, err = starlark.Call(r.thread, by, starlark.Tuple{v}, nil); err != nil {
				return nil, err
			}
		}
	}
	down := a.take(len(a.args), "reverse")
	sign := 1
	if down != nil && bool(down.Truth()) {
		sign = -1
	}
	var failed error
	slices.SortStableFunc(list, func(x, y ranked) int {
		if failed != nil {
			return 0
		}
		n, err := r.compare(x.rank, y.rank)
		failed = err
		return sign * n
	})
	for i, item := range list {
		all[i] = item.value
	}
	return all, failed
}

// attr is x.name.
func (r *run) attr(x starlark.Value, name string) (starlark.Value, error) {
	switch on := x.(type) {
	case *missing:
		return &missing{r, on.name + "." + name, on.why}, nil
	case *module:
		return on.member(r, name)
	case environment:
		return on.member(r, name)
	case starlark.String:
		return r.textMethod(string(on), name)
	case *starlark.Dict:
		return bound(r, dictMethods(), on, name, "dictionary")
	case *starlark.List:
		return bound(r, listMethods(), on, name, "list")
	case *starlark.Set:
		if slices.Contains([]string{"add", "discard", "remove", "union", "intersection", "difference"}, name) {
			return bound(r, map[string]method[*starlark.Set]{name: native[*starlark.Set](name, 1, 1)}, on, name, "set")
		}
	}
	return nil, obstacle{What: fmt.Sprintf("the attribute %s of a %s", name, x.Type()), Do: "write down what it is"}
}

// bound is a method of one value.
func bound[T any](r *run, methods map[string]method[T], on T, name, what string) (starlark.Value, error) {
	m, ok := methods[name]
	if !ok {
		return nil, obstacle{What: fmt.Sprintf("the attribute %s of a %s", name, what), Do: "write down what it gives"}
	}
	return r.builtin(name, func(a arguments) (starlark.Value, error) {
		if err := a.check(m.least, m.most); err != nil {
			return nil, err
		}
		if s, ok := any(on).(string); ok {
			if err := r.look(starlark.String(s)); err != nil {
				return nil, err
			}
		}
		return m.call(r, on, a)
	}), nil
}
