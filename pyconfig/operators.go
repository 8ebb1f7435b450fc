package pyconfig

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// identity is the right side of Python's "is None" and its like.
type identity struct{ starlark.Value }

// plain makes a number of a bool, which is one for Python's operators.
func plain(v starlark.Value) starlark.Value {
	if b, ok := v.(starlark.Bool); ok {
		if b {
			return starlark.MakeInt(1)
		}
		return starlark.MakeInt(0)
	}
	return v
}

func isNumber(v starlark.Value) bool {
	switch v.(type) {
	case starlark.Int, starlark.Float, starlark.Bool:
		return true
	}
	return false
}

// binary is x op y as Python has it.
func (r *run) binary(op syntax.Token, x, y starlark.Value) (starlark.Value, error) {
	if m := missingAmong(x, y); m != nil {
		return m, nil
	}
	if id, ok := y.(identity); ok {
		_, both := x.(starlark.Bool)
		_, none := x.(starlark.NoneType)
		return starlark.Bool((x == id.Value && (both || none)) == (op == syntax.EQL)), nil
	}
	switch op {
	case syntax.EQL, syntax.NEQ:
		same, err := r.equal(x, y)
		return starlark.Bool(same == (op == syntax.EQL)), err
	case syntax.LT, syntax.LE, syntax.GT, syntax.GE:
		return r.ordered(op, x, y)
	case syntax.IN, syntax.NOT_IN:
		found, err := r.contains(y, x)
		return starlark.Bool(found == (op == syntax.IN)), err
	case syntax.PERCENT:
		if format, ok := x.(starlark.String); ok {
			return r.percent(string(format), y)
		}
	case syntax.STAR:
		if n, isInt := plain(y).(starlark.Int); isInt && !isNumber(x) {
			return r.repeat(x, n)
		}
		if n, isInt := plain(x).(starlark.Int); isInt && !isNumber(y) {
			return r.repeat(y, n)
		}
	case syntax.PLUS:
		if err := r.growth(x, y); err != nil {
			return nil, err
		}
	}
	return r.arithmetic(op, x, y)
}

// growth accounts for what x and y make together.
func (r *run) growth(x, y starlark.Value) error {
	a, b := starlark.Len(x), starlark.Len(y)
	if a < 0 || b < 0 {
		return nil
	}
	if _, ok := x.(starlark.String); ok {
		return r.bytes(a + b)
	}
	return r.elements(a + b)
}

// arithmetic is what Starlark does as Python does, for numbers within bounds.
func (r *run) arithmetic(op syntax.Token, x, y starlark.Value) (starlark.Value, error) {
	_, bothBool := x.(starlark.Bool)
	if _, ok := y.(starlark.Bool); !ok || !bothBool || op != syntax.AMP && op != syntax.PIPE && op != syntax.CIRCUMFLEX {
		x, y = plain(x), plain(y)
	} else { // & | ^ of two bools is a bool
		v, err := starlark.Binary(op, plain(x), plain(y))
		if err != nil {
			return nil, err
		}
		return v.Truth(), nil
	}
	if err := r.growth(x, y); err != nil && (op == syntax.PIPE || op == syntax.AMP || op == syntax.MINUS || op == syntax.CIRCUMFLEX) {
		return nil, err
	}
	v, err := r.divided(op, x, y)
	if v == nil && err == nil {
		v, err = starlark.Binary(op, x, y)
	}
	if err != nil {
		return nil, err
	}
	switch n := v.(type) {
	case starlark.Int:
		return v, r.bits(n)
	case starlark.Float:
		if math.IsInf(float64(n), 0) || math.IsNaN(float64(n)) {
			return nil, errors.New("a number that is too large")
		}
	}
	return v, nil
}

// divided is x op y where Starlark rounds otherwise than Python; nil where it does not.
func (r *run) divided(op syntax.Token, x, y starlark.Value) (starlark.Value, error) {
	if !isNumber(x) || !isNumber(y) || op != syntax.SLASH && op != syntax.SLASHSLASH && op != syntax.PERCENT {
		return nil, nil
	}
	m, ok := x.(starlark.Int)
	n, both := y.(starlark.Int)
	if ok && both {
		if op != syntax.SLASH || m.Sign() == 0 || n.Sign() == 0 {
			return nil, nil // what is left of it Starlark has as Python
		}
		quotient, _ := new(big.Rat).SetFrac(m.BigInt(), n.BigInt()).Float64()
		return starlark.Float(quotient), nil
	}
	a, _ := starlark.AsFloat(x)
	b, _ := starlark.AsFloat(y)
	if op == syntax.SLASH || b == 0 {
		return nil, nil
	}
	rest := math.Mod(a, b)
	quotient := (a - rest) / b
	switch {
	case rest == 0:
		rest = math.Copysign(0, b)
	case (rest < 0) != (b < 0):
		rest += b
		quotient--
	}
	if op == syntax.PERCENT {
		return starlark.Float(rest), nil
	}
	if quotient == 0 {
		return starlark.Float(math.Copysign(0, a/b)), nil
	}
	floor := math.Floor(quotient)
	if quotient-floor > 0.5 {
		floor++
	}
	return starlark.Float(floor), nil
}

func (r *run) bits(n starlark.Int) error {
	if bits := n.BigInt().BitLen(); bits > maxBits {
		return tooMuch("bits of a number", bits, maxBits)
	}
	return nil
}

// repeat is x * n for what is no number.
func (r *run) repeat(x starlark.Value, n starlark.Int) (starlark.Value, error) {
	size := max(0, starlark.Len(x))
	times, fits := n.Int64()
	if n.Sign() <= 0 {
		times, fits = 0, true
	}
	if size == 0 {
		times = min(times, 1)
	} else if !fits || times > maxText {
		return nil, tooMuch("repetitions", maxText+1, maxText)
	}
	account := r.elements
	if _, ok := x.(starlark.String); ok {
		account = r.bytes
	}
	if err := account(size * int(times)); err != nil {
		return nil, err
	}
	return starlark.Binary(syntax.STAR, x, starlark.MakeInt64(times))
}

// equal is Python's ==: numbers and bools by value, containers by content.
func (r *run) equal(x, y starlark.Value) (bool, error) {
	if err := r.visit(); err != nil {
		return false, err
	}
	if isNumber(x) && isNumber(y) {
		return starlark.Equal(plain(x), plain(y))
	}
	if m := missingAmong(x, y); m != nil {
		return false, m.depends()
	}
	switch a := x.(type) {
	case starlark.String, starlark.NoneType:
		return starlark.Equal(x, y)
	case *starlark.List, starlark.Tuple:
		if x.Type() != y.Type() {
			return false, nil
		}
		s, t := x.(starlark.Indexable), y.(starlark.Indexable)
		if s.Len() != t.Len() {
			return false, nil
		}
		for i := range s.Len() {
			if same, err := r.equal(s.Index(i), t.Index(i)); !same || err != nil {
				return false, err
			}
		}
		return true, nil
	case *starlark.Dict:
		b, ok := y.(*starlark.Dict)
		if !ok || a.Len() != b.Len() {
			return false, nil
		}
		for k, v := range a.Entries() {
			w, found, err := b.Get(k)
			if !found || err != nil {
				return false, err
			}
			if same, err := r.equal(v, w); !same || err != nil {
				return false, err
			}
		}
		return true, nil
	case *starlark.Set:
		b, ok := y.(*starlark.Set)
		if !ok {
			return false, nil
		}
		return starlark.Equal(a, b)
	}
	if x.Type() != y.Type() {
		return false, nil
	}
	return false, fmt.Errorf("%s and %s cannot be compared here", x.Type(), y.Type())
}

func (r *run) ordered(op syntax.Token, x, y starlark.Value) (starlark.Value, error) {
	n, err := r.compare(x, y)
	if err != nil {
		return nil, err
	}
	return starlark.Bool(op == syntax.LT && n < 0 || op == syntax.LE && n <= 0 || op == syntax.GT && n > 0 || op == syntax.GE && n >= 0), nil
}

// compare orders numbers, texts, and lists and tuples of them.
func (r *run) compare(x, y starlark.Value) (int, error) {
	if err := r.visit(); err != nil {
		return 0, err
	}
	if m := missingAmong(x, y); m != nil {
		return 0, m.depends()
	}
	if isNumber(x) && isNumber(y) {
		less, err := starlark.Compare(syntax.LT, plain(x), plain(y))
		if less || err != nil {
			return -1, err
		}
		more, err := starlark.Compare(syntax.GT, plain(x), plain(y))
		if more {
			return 1, err
		}
		return 0, err
	}
	if x.Type() == y.Type() {
		switch a := x.(type) {
		case starlark.String: // the order of UTF-8 is that of code points
			return strings.Compare(string(a), string(y.(starlark.String))), nil
		case *starlark.List, starlark.Tuple:
			s, t := x.(starlark.Indexable), y.(starlark.Indexable)
			for i := range min(s.Len(), t.Len()) {
				same, err := r.equal(s.Index(i), t.Index(i))
				if err != nil {
					return 0, err
				}
				if !same {
					return r.compare(s.Index(i), t.Index(i))
				}
			}
			return s.Len() - t.Len(), nil
		}
	}
	return 0, fmt.Errorf("%s and %s have no order", x.Type(), y.Type())
}

// contains is Python's "x in in".
func (r *run) contains(in, x starlark.Value) (bool, error) {
	switch in := in.(type) {
	case starlark.String:
		part, ok := x.(starlark.String)
		if !ok {
			return false, fmt.Errorf("only a text can be in a text, not a %s", x.Type())
		}
		return strings.Contains(string(in), string(part)), nil
	case environment:
		name, ok := x.(starlark.String)
		if !ok {
			return false, errors.New("os.environ has texts only")
		}
		v, err := r.environ(string(name), starlark.None)
		return v != starlark.None, err
	case *starlark.Dict, *starlark.Set:
		key, err := r.key(x)
		if err != nil {
			return false, err
		}
		if set, ok := in.(*starlark.Set); ok {
			return set.Has(key)
		}
		_, found, err := in.(*starlark.Dict).Get(key)
		return found, err
	}
	all, err := r.list(in)
	if err != nil {
		return false, err
	}
	for _, item := range all {
		if same, err := r.equal(item, x); same || err != nil {
			return same, err
		}
	}
	return false, nil
}

// key lets only pass what Starlark and Python take for the same key, and cheaply.
func (r *run) key(k starlark.Value) (starlark.Value, error) {
	switch k := k.(type) {
	case starlark.String:
		if len(k) > maxKey {
			return nil, tooMuch("bytes of a key", len(k), maxKey)
		}
		return k, nil
	case starlark.Int, starlark.NoneType:
		return k, nil
	case *missing:
		return nil, k.depends()
	case starlark.Tuple:
		if len(k) > 16 {
			return nil, fmt.Errorf("a tuple of %d as a key", len(k))
		}
		for _, item := range k {
			switch item.(type) {
			case starlark.String, starlark.Int, starlark.NoneType:
			default:
				return nil, fmt.Errorf("a tuple with a %s as a key", item.Type())
			}
		}
		return k, nil
	}
	return nil, obstacle{What: "a " + k.Type() + " as a key", Do: "use texts"}
}

// augment is x op= y, which changes a list in place.
func (r *run) augment(op syntax.Token, x, y starlark.Value) (starlark.Value, error) {
	list, ok := x.(*starlark.List)
	if !ok || op != syntax.PLUS {
		return r.binary(op, x, y)
	}
	if m := missingAmong(y); m != nil {
		return m, nil
	}
	return list, r.extend(list, y)
}

func (r *run) extend(list *starlark.List, y starlark.Value) error {
	items, err := r.list(y)
	if err != nil {
		return err
	}
	if err := r.elements(list.Len() + len(items)); err != nil {
		return err
	}
	for _, item := range items {
		if err := list.Append(item); err != nil {
			return err
		}
	}
	return nil
}

// list is a copy of what one gets by iterating, texts letter by letter.
func (r *run) list(v starlark.Value) ([]starlark.Value, error) {
	v, err := r.iterable(v)
	if err != nil {
		return nil, err
	}
	it, ok := v.(starlark.Iterable)
	if !ok {
		return nil, fmt.Errorf("a %s has no elements", v.Type())
	}
	if err := r.elements(max(0, starlark.Len(v))); err != nil {
		return nil, err
	}
	all := make([]starlark.Value, 0, max(0, starlark.Len(v)))
	for item := range starlark.Elements(it) {
		all = append(all, item)
	}
	return all, nil
}

// iterable is v, or the letters of a text.
func (r *run) iterable(v starlark.Value) (starlark.Value, error) {
	switch v := v.(type) {
	case *missing:
		return nil, v.depends()
	case starlark.String:
		if err := r.elements(len(v)); err != nil {
			return nil, err
		}
		letters := make([]starlark.Value, 0, len(v))
		for _, c := range string(v) {
			letters = append(letters, starlark.String(string(c)))
		}
		return starlark.NewList(letters), nil
	}
	return v, nil
}

// indexed is x, if Starlark counts its elements as Python does.
func (r *run) indexed(x starlark.Value) (starlark.Value, error) {
	if s, ok := x.(starlark.String); ok && !isASCII(string(s)) {
		return nil, obstacle{What: "a letter or part of a text beyond ASCII", Do: "write it down"}
	}
	return x, nil
}

// index is what stands between brackets: a key, or a place.
func (r *run) index(k starlark.Value) (starlark.Value, error) {
	if b, ok := k.(starlark.Bool); ok {
		return plain(b), nil
	}
	return r.key(k)
}

func (r *run) sliced(x starlark.Value) (starlark.Value, error) {
	if _, ok := x.(starlark.String); !ok {
		if err := r.elements(max(0, starlark.Len(x))); err != nil {
			return nil, err
		}
	}
	return r.indexed(x)
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c > 127 })
}

// floatText is Python's repr of a float.
func floatText(f starlark.Float) string {
	switch v := float64(f); {
	case math.IsInf(v, 1):
		return "inf"
	case math.IsInf(v, -1):
		return "-inf"
	case math.IsNaN(v):
		return "nan"
	}
	spelled := strconv.FormatFloat(float64(f), 'e', -1, 64)
	canonical, err := fedmsg.AppendCanonical(nil, []byte(spelled))
	if err != nil { // cannot be: it is a JSON number
		return spelled
	}
	return string(canonical)
}
