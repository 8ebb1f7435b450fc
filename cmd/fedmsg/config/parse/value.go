// Package parse reads the languages of configuration files into values that know where
// they stand.
package parse

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A Value is something said in a file, a variable or a flag.
type Value struct {
	Kind   Kind
	Text   string  // of a Text; of a number as it was written
	Number float64 // of an Int or a Float
	Bool   bool
	List   []*Value
	Table  map[string]*Value
	Origin Origin
}

// A Kind is a kind of values.
type Kind int

// The kinds of values. A Loose value was said in the environment or by a flag: it is a
// text, and whatever kind its key has.
const (
	Text Kind = iota
	Int
	Float
	Bool
	List
	Table
	Loose
)

// String names a kind to people.
func (k Kind) String() string {
	return [...]string{"a text", "a whole number", "a number", "true or false", "a list", "a table", "a text"}[k]
}

// An Origin is where a value was said: a line of a file, a variable, a flag.
type Origin struct {
	Name string // of a file, FEDMSG_…, --…; empty for a default
	Line int    // of a file, from 1
}

// String is file:line, or the name.
func (o Origin) String() string {
	if o.Line == 0 {
		return cmp.Or(o.Name, "default")
	}
	return o.Name + ":" + strconv.Itoa(o.Line)
}

// A Problem is something wrong in what was said, or worth a warning.
type Problem struct {
	Origin Origin
	Key    string // as it is written; empty if it is no key's fault
	Text   string // what is wrong, and what to do
}

// String is what Error says.
func (p Problem) String() string { return p.Error() }

// Error is origin, key and text. The name of a flag or a variable says the key already.
func (p Problem) Error() string {
	switch {
	case p.Origin.Name == "" && p.Key == "":
		return p.Text
	case p.Origin.Name == "":
		return p.Key + ": " + p.Text
	case p.Key == "" || p.Origin.Line == 0 && p.Origin.Name[0] != '/':
		return fmt.Sprintf("%s: %s", p.Origin, p.Text)
	}
	return fmt.Sprintf("%s: %s: %s", p.Origin, p.Key, p.Text)
}

// Problems are all that is wrong.
type Problems []Problem

func (p Problems) Error() string {
	var text []byte
	for i, one := range p {
		if i > 0 {
			text = append(text, '\n')
		}
		text = append(text, one.Error()...)
	}
	return string(text)
}

// Sort puts problems in the order of places.
func (p Problems) Sort() {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Origin.Name, b.Origin.Name), cmp.Compare(a.Origin.Line, b.Origin.Line))
	})
}

// Merge says the same as over, where over says something, and else what v says.
func (v *Value) Merge(over *Value) *Value {
	if v == nil || v.Kind != Table || over.Kind != Table {
		return over
	}
	merged := &Value{Kind: Table, Table: maps.Clone(v.Table), Origin: over.Origin}
	for key, o := range over.Table {
		merged.Table[key] = merged.Table[key].Merge(o)
	}
	return merged
}

// Find finds what is said under a path of keys.
func (v *Value) Find(path []string) *Value {
	for _, key := range path {
		if v == nil || v.Kind != Table {
			return nil
		}
		v = v.Table[key]
	}
	return v
}

// Put says something under a path of keys.
func (v *Value) Put(path []string, said *Value) {
	for _, key := range path[:len(path)-1] {
		next := v.Table[key]
		if next == nil {
			next = &Value{Kind: Table, Table: map[string]*Value{}, Origin: said.Origin}
			v.Table[key] = next
		}
		v = next
	}
	v.Table[path[len(path)-1]] = said
}

// IsSecretName reports whether a text names something that must not be shown, so that
// a secret under a misspelt key is not shown either.
func IsSecretName(text string) bool {
	text = strings.ToLower(text)
	for _, part := range []string{"pass", "secret", "token", "session_key", "channel_key"} {
		if strings.Contains(text, part) && !strings.Contains(text, "_file") {
			return true
		}
	}
	return false
}

// Hidden is what is shown of a secret.
const Hidden = "***"

// Plain is a value without its places.
func (v *Value) Plain(name string) any {
	if IsSecretName(name) && (v.Kind == Text || v.Kind == Loose) {
		return Hidden
	}
	switch v.Kind {
	case Int:
		return json.Number(v.Text)
	case Float:
		return v.Number
	case Bool:
		return v.Bool
	case List:
		list := make([]any, len(v.List))
		for i, item := range v.List {
			list[i] = item.Plain(name)
		}
		return list
	case Table:
		table := make(map[string]any, len(v.Table))
		for key, member := range v.Table {
			table[key] = member.Plain(key)
		}
		return table
	}
	return v.Text
}
