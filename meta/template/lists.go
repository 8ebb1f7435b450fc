package template

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A helper is a function that rules may call. All are pure: what they know
// besides their arguments (the clock, accounts, fetched pages) the engine was given.
type helper struct {
	group    string
	usage    string // how it is called, and what comes out
	min, max int    // arguments; max below zero is any number
	tolerant bool   // it is called even if its first argument is missing
	light    bool   // its work does not grow with what is in its arguments
	ofTime   bool   // its first argument is a time
	f        func(s *scope, args []Value) Value
	// lazy is called instead of f, before the arguments are evaluated.
	lazy func(s *scope, args []expr) Value
	// prepare makes f when the rule is loaded, of arguments that must be constants.
	prepare func(names Names, args []expr) (func(*scope, []Value) Value, error)
}

func (h *helper) counts() string {
	switch {
	case h.max < 0:
		return fmt.Sprintf("%d arguments or more", h.min)
	case h.min == h.max:
		return fmt.Sprintf("%d %s", h.min, plural(h.min, "argument", "arguments"))
	}
	return fmt.Sprintf("%d to %d arguments", h.min, h.max)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// Groups of helpers, in the order of the reference.
const (
	logicGroup  = "Conditions"
	accessGroup = "Parts of a message"
	listGroup   = "Lists"
	textGroup   = "Text"
	numberGroup = "Numbers and times"
	peopleGroup = "People and packages"
	worldGroup  = "Tables and the world outside"
)

// helpers are all that rules may call, by name.
var helpers = func() map[string]helper {
	all := make(map[string]helper)
	for _, some := range []map[string]helper{logicHelpers, listHelpers, textHelpers, numberHelpers, peopleHelpers, worldHelpers} {
		maps.Copy(all, some)
	}
	return all
}()

var logicHelpers = map[string]helper{
	"or": {group: logicGroup, usage: "or A B ... - the first that is true: there, not empty, not false, not zero", min: 1, max: -1, lazy: func(s *scope, args []expr) Value {
		var last Value
		for _, a := range args {
			v := a.eval(s)
			if v.IsTrue() {
				return v
			}
			if v.kind != Missing {
				last = v
			}
		}
		return last
	}},
	"and": {group: logicGroup, usage: "and A B ... - the first that is not true, else the last", min: 1, max: -1, lazy: func(s *scope, args []expr) (v Value) {
		for _, a := range args {
			if v = a.eval(s); !v.IsTrue() {
				return v
			}
		}
		return v
	}},
	"not": {group: logicGroup, usage: "not A - whether A is missing, empty, false or zero", min: 1, max: 1, tolerant: true, light: true, f: func(_ *scope, a []Value) Value { return truth(!a[0].IsTrue()) }},
	"eq": {group: logicGroup, usage: "eq A B ... - whether A equals one of the others; numbers by value, all else as spelled", min: 2, max: -1, tolerant: true, f: func(_ *scope, a []Value) Value {
		return truth(slices.ContainsFunc(a[1:], func(b Value) bool { return equal(a[0], b) }))
	}},
	"ne":  {group: logicGroup, usage: "ne A B - whether they differ", min: 2, max: 2, tolerant: true, f: func(_ *scope, a []Value) Value { return truth(!equal(a[0], a[1])) }},
	"lt":  {group: logicGroup, usage: "lt A B - whether A is less than B", min: 2, max: 2, f: order(func(n int) bool { return n < 0 })},
	"le":  {group: logicGroup, usage: "le A B - whether A is at most B", min: 2, max: 2, f: order(func(n int) bool { return n <= 0 })},
	"gt":  {group: logicGroup, usage: "gt A B - whether A is more than B", min: 2, max: 2, f: order(func(n int) bool { return n > 0 })},
	"ge":  {group: logicGroup, usage: "ge A B - whether A is at least B", min: 2, max: 2, f: order(func(n int) bool { return n >= 0 })},
	"has": {group: logicGroup, usage: "has V KEY ... - whether something stands under these keys", min: 2, max: -1, tolerant: true, light: true, f: func(s *scope, a []Value) Value { return truth(s.walk(a[0], a[1:]).kind != Missing) }},
	"kind": {group: logicGroup, usage: `kind V - "text", "number", "bool", "list", "object", or "" if there is none`, min: 1, max: 1, tolerant: true, light: true, f: func(_ *scope, a []Value) Value {
		return NewText(kindNames[a[0].kind])
	}},

	"get": {group: accessGroup, usage: "get V KEY ... - what stands under these keys; a number is a place in a list, -1 its last", min: 2, max: -1, light: true, f: func(s *scope, a []Value) Value {
		return s.walk(a[0], a[1:])
	}},
	"keys": {group: accessGroup, usage: "keys O - the names in an object", min: 1, max: 1, f: func(_ *scope, a []Value) Value { return NewTexts(a[0].Keys()...) }},
	"values": {group: accessGroup, usage: "values O - the values in an object", min: 1, max: 1, f: func(_ *scope, a []Value) Value {
		return NewList(a[0].Items()...)
	}},
	"items": {group: accessGroup, usage: "items O - a list of {key, value}", min: 1, max: 1, f: func(_ *scope, a []Value) Value {
		var all []Value
		for i, k := range a[0].Keys() {
			all = append(all, Value{kind: Object, many: (&many{[]string{"key", "value"}, []Value{NewText(k), a[0].Items()[i]}, 0}).measured()})
		}
		return NewList(all...)
	}},
	"len": {group: accessGroup, usage: "len V - how many characters a text has, or values a list or an object; 0 if missing", min: 1, max: 1, tolerant: true, f: func(_ *scope, a []Value) Value {
		if a[0].kind == Text {
			return NewNumber(len([]rune(a[0].text)))
		}
		return NewNumber(len(a[0].Items()))
	}},
}

func (s *scope) walk(v Value, keys []Value) Value {
	for _, key := range keys {
		v = s.get(v, key.String())
	}
	return v
}

// equal compares numbers by value, all else as it is spelled.
func equal(a, b Value) bool {
	if a.kind == Missing || b.kind == Missing {
		return a.kind == b.kind
	}
	if a.many != nil || b.many != nil {
		return a.kind == b.kind && a.size() == b.size() && a.String() == b.String()
	}
	if a.kind == Number && b.kind == Number && a.text != b.text {
		n, ok := compareNumbers(a.text, b.text)
		return ok && n == 0
	}
	return a.String() == b.String()
}

// compareNumbers compares numbers by value; ok is false if one of them is none, or
// if both are too large to tell. Whole numbers may have any length.
func compareNumbers(a, b string) (n int, ok bool) {
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	if errors.Is(errX, strconv.ErrSyntax) || errors.Is(errY, strconv.ErrSyntax) {
		return 0, false
	}
	if x != y || !isWhole(a) || !isWhole(b) {
		return cmp.Compare(x, y), x != y || errX == nil && errY == nil
	}
	n = cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
	if strings.HasPrefix(a, "-") && strings.HasPrefix(b, "-") {
		n = -n
	}
	return n, true
}

// isWhole reports whether a number is spelled with digits only, and none too many.
func isWhole(s string) bool {
	digits := strings.TrimPrefix(s, "-")
	return digits != "" && digits[0] != '0' && strings.Trim(digits, "0123456789") == ""
}

// order makes a comparison: of numbers by value, of all else by text.
func order(holds func(int) bool) func(*scope, []Value) Value {
	return func(_ *scope, a []Value) Value {
		if a[1].kind == Missing {
			return none
		}
		x, y := a[0].String(), a[1].String()
		if n, ok := compareNumbers(x, y); ok {
			return truth(holds(n))
		}
		return truth(holds(strings.Compare(x, y)))
	}
}

var listHelpers = map[string]helper{
	"first": {group: listGroup, usage: "first L - the first value of a list", min: 1, max: 1, light: true, f: func(_ *scope, a []Value) Value { return a[0].at(0) }},
	"last":  {group: listGroup, usage: "last L - the last value of a list", min: 1, max: 1, light: true, f: func(_ *scope, a []Value) Value { return a[0].at(-1) }},
	"at": {group: listGroup, usage: "at L N - the value at place N from 0; -1 is the last", min: 2, max: 2, light: true, f: func(s *scope, a []Value) Value {
		return s.get(a[0], a[1].String())
	}},
	"slice": {group: listGroup, usage: "slice L FROM [TO] - a part of a list, from place FROM to before TO", min: 2, max: 3, light: true, f: func(_ *scope, a []Value) Value {
		from, _ := a[1].int()
		to := len(a[0].Items())
		if len(a) == 3 {
			to, _ = a[2].int()
		}
		to = place(to, len(a[0].Items()))
		from = min(place(from, len(a[0].Items())), to)
		return NewList(a[0].Items()[from:to]...)
	}},
	"pluck": {group: listGroup, usage: "pluck L KEY ... - what stands under these keys in each value of a list", min: 2, max: -1, f: func(s *scope, a []Value) Value {
		return s.filter(a[0], func(v Value) (Value, bool) { v = s.walk(v, a[1:]); return v, v.kind != Missing })
	}},
	"where": {group: listGroup, usage: "where L KEY VALUE - the values of a list that have VALUE under KEY", min: 3, max: 3, f: func(s *scope, a []Value) Value {
		return s.filter(a[0], func(v Value) (Value, bool) { return v, equal(s.get(v, a[1].String()), a[2]) })
	}},
	"list": {group: listGroup, usage: "list A B ... - a list of these", min: 0, max: -1, tolerant: true, light: true, f: func(_ *scope, a []Value) Value {
		return NewList(slices.DeleteFunc(slices.Clone(a), func(v Value) bool { return v.kind == Missing })...)
	}},
	"concat": {group: listGroup, usage: "concat L M ... - one list of all; what is no list counts as a list of one", min: 1, max: -1, tolerant: true, f: func(s *scope, a []Value) Value {
		return s.filter(NewList(Flatten(nil, a)...), keepAll)
	}},
	"unique": {group: listGroup, usage: "unique L - without repetitions", min: 1, max: 1, f: func(s *scope, a []Value) Value {
		seen := make(map[string]bool)
		return s.filter(a[0], func(v Value) (Value, bool) {
			known := seen[v.String()]
			seen[v.String()] = true
			return v, !known
		})
	}},
	"sort": {group: listGroup, usage: "sort L - by text", min: 1, max: 1, f: func(s *scope, a []Value) Value {
		v := s.filter(a[0], keepAll)
		slices.SortStableFunc(v.Items(), func(a, b Value) int { return strings.Compare(a.String(), b.String()) })
		return v
	}},
	"reverse": {group: listGroup, usage: "reverse L - the last first", min: 1, max: 1, f: func(s *scope, a []Value) Value {
		v := s.filter(a[0], keepAll)
		slices.Reverse(v.Items())
		return v
	}},
	"without": {group: listGroup, usage: "without L X ... - without these values; an X that is a list stands for all its values", min: 2, max: -1, f: func(s *scope, a []Value) Value {
		drop := names(Flatten(nil, a[1:]))
		return s.filter(a[0], func(v Value) (Value, bool) { return v, !drop[v.String()] })
	}},
	"intersect": {group: listGroup, usage: "intersect L M - what stands in both", min: 2, max: 2, f: func(s *scope, a []Value) Value {
		keep := names(Flatten(nil, a[1:]))
		return s.filter(a[0], func(v Value) (Value, bool) { return v, keep[v.String()] })
	}},
	"join": {group: listGroup, usage: "join L SEP - one text, with SEP between the values", min: 2, max: 2, f: func(s *scope, a []Value) Value {
		if a[0].kind < List {
			return NewText(a[0].String())
		}
		return s.joined(mapped(a[0].Items(), Value.String), a[1].String())
	}},
	"series": {group: listGroup, usage: `series L [MAX] - "a", "a and b", "a, b, and c"; of more than MAX (3) "a, b, and 4 others"`, min: 1, max: 2, f: func(s *scope, a []Value) Value {
		limit := 3
		if len(a) == 2 {
			limit, _ = a[1].int()
		}
		items := mapped(a[0].Items(), Value.String)
		if a[0].kind < List {
			items = []string{a[0].String()}
		}
		return series(s, items, limit)
	}},
}

func keepAll(v Value) (Value, bool) { return v, true }

// filter makes a list of what f makes of each value of another.
func (s *scope) filter(l Value, f func(Value) (Value, bool)) Value {
	var kept []Value
	for _, v := range l.Items() {
		if !s.Spend(StepFuel) {
			return none
		}
		if v, ok := f(v); ok {
			kept = append(kept, v)
		}
	}
	return NewList(kept...)
}

// place is a place in a list or text of n things, counted from the end if i is below zero.
func place(i, n int) int {
	if i < 0 {
		i += n
	}
	return max(0, min(i, n))
}

// Flatten appends values to dst, and lists as their values.
func Flatten(dst []Value, vs []Value) []Value {
	for _, v := range vs {
		switch v.kind {
		case Missing:
		case List:
			dst = Flatten(dst, v.Items())
		default:
			dst = append(dst, v)
		}
	}
	return dst
}

func names(vs []Value) map[string]bool {
	set := make(map[string]bool, len(vs))
	for _, v := range vs {
		set[v.String()] = true
	}
	return set
}

func (s *scope) joined(parts []string, sep string) Value {
	size := 0
	for _, p := range parts {
		size += len(p) + len(sep)
	}
	if !s.Spend(size) {
		return none
	}
	return NewText(strings.Join(parts, sep))
}

// series joins names as people do in a sentence; the form is fedmsg's.
func series(s *scope, items []string, limit int) Value {
	if limit < 2 {
		limit = 2
	}
	switch n := len(items); {
	case n == 0:
		return none
	case n == 1:
		return NewText(items[0])
	case n == 2:
		return s.joined(items, " and ")
	case n > limit:
		items = append(slices.Clone(items[:limit-1]), fmt.Sprintf("and %d others", n-limit+1))
	default:
		items = append(slices.Clone(items[:n-1]), "and "+items[n-1])
	}
	return s.joined(items, ", ")
}

var worldHelpers = map[string]helper{
	"lookup": {group: worldGroup, usage: `lookup "TABLE" KEY [DEFAULT] - what a table of the file has for KEY`, min: 2, max: 3, tolerant: true,
		prepare: func(names Names, args []expr) (func(*scope, []Value) Value, error) {
			name, ok := args[0].(constant)
			if !ok || name.v.kind != Text {
				return nil, errors.New(`the table's name must be given in quotes`)
			}
			table, ok := names.Table(name.v.text)
			if !ok {
				return nil, fmt.Errorf("there is no table %q: write [tables.%s]", name.v.text, name.v.text)
			}
			return func(_ *scope, a []Value) Value {
				if found, ok := table[a[1].String()]; ok && a[1].kind != Missing {
					return NewText(found)
				}
				if len(a) == 3 {
					return a[2]
				}
				return none
			}, nil
		}},
	"setting": {group: worldGroup, usage: "setting NAME DEFAULT - a setting that the operator made for the rules", min: 2, max: 2, f: func(s *scope, a []Value) Value {
		if v, ok := s.World.Settings[a[0].String()]; ok {
			return NewText(v)
		}
		return a[1]
	}},
	"fetch": {group: worldGroup, usage: "fetch URL - a page, if the operator allows it and `fetch` of the file names its beginning", min: 1, max: 1, f: func(s *scope, a []Value) Value {
		if body, ok := s.Vars.Fetch(a[0].String()); ok {
			return NewText(string(body))
		}
		return none
	}},
	"fetchJSON": {group: worldGroup, usage: "fetchJSON URL - the same, read as JSON", min: 1, max: 1, f: func(s *scope, a []Value) Value {
		if body, ok := s.Vars.Fetch(a[0].String()); ok {
			return ReadJSON(body)
		}
		return none
	}},
}
