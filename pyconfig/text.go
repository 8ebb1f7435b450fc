package pyconfig

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/fedora-infra/fedmsg-go/internal/pyrepr"
	"github.com/fedora-infra/fedmsg-go/pyconfig/pytext"
	"go.starlark.net/starlark"
)

// str is Python's str(v), or repr(v).
func (r *run) str(v starlark.Value, repr bool) (string, error) {
	if s, ok := v.(starlark.String); ok && !repr {
		return string(s), nil
	}
	var b strings.Builder
	if err := r.writeRepr(&b, v, 0); err != nil {
		return "", err
	}
	return b.String(), r.bytes(b.Len())
}

func (r *run) writeRepr(b *strings.Builder, v starlark.Value, depth int) error {
	if err := r.visit(); err != nil {
		return err
	}
	if b.Len() > maxText || depth > maxDepth {
		return errors.New("a value too large to be written")
	}
	open, end := "[", "]"
	switch v := v.(type) {
	case starlark.String:
		b.Write(pyrepr.String(string(v)).AppendRepr(nil))
		return nil
	case starlark.Float:
		b.WriteString(floatText(v))
		return nil
	case starlark.NoneType, starlark.Bool, starlark.Int:
		b.WriteString(v.String())
		return nil
	case *starlark.List:
	case starlark.Tuple:
		if open, end = "(", ")"; len(v) == 1 {
			end = ",)"
		}
	case *starlark.Dict:
		open, end = "{", "}"
	default:
		return fmt.Errorf("a %s cannot be written as a text here", v.Type())
	}
	items, err := r.list(v)
	if err != nil {
		return err
	}
	b.WriteString(open)
	for i, item := range items {
		if i > 0 {
			b.WriteString(", ")
		}
		if err := r.writeRepr(b, item, depth+1); err != nil {
			return err
		}
		if d, ok := v.(*starlark.Dict); ok {
			value, _, err := d.Get(item)
			b.WriteString(": ")
			if err := errors.Join(err, r.writeRepr(b, value, depth+1)); err != nil {
				return err
			}
		}
	}
	b.WriteString(end)
	return nil
}

// arguments are the arguments of a call, to be taken by position or name.
type arguments struct {
	args   starlark.Tuple
	kwargs []starlark.Tuple
}

// take returns the i-th argument, or that of a name, or nil. A name of "" cannot be
// used.
func (a arguments) take(i int, name string) starlark.Value {
	if i < len(a.args) {
		return a.args[i]
	}
	for _, kv := range a.kwargs {
		if name != "" && kv[0] == starlark.String(name) {
			return kv[1]
		}
	}
	return nil
}

// check fails if there are fewer or more arguments.
func (a arguments) check(least, most int) error {
	if n := len(a.args) + len(a.kwargs); n < least || n > most {
		return fmt.Errorf("%d arguments, want %d to %d", n, least, most)
	}
	return nil
}

// ordered gives the arguments of these names their places, for Starlark's functions,
// which have no names for them. What is left out before one that is given is None.
func (a arguments) ordered(names ...string) (starlark.Tuple, error) {
	args := slices.Clone(a.args)
	for i, name := range names {
		if v := a.take(1<<10, name); v != nil {
			for len(args) < i {
				args = append(args, starlark.None)
			}
			args = append(args, v)
		}
	}
	if len(args) < len(a.args)+len(a.kwargs) {
		return nil, errors.New("an argument of a name that is not known")
	}
	return args, nil
}

func (a arguments) text(i int, name string) (string, error) {
	s, ok := a.take(i, name).(starlark.String)
	if !ok {
		return "", fmt.Errorf("argument %d: want a text", i+1)
	}
	return string(s), nil
}

// A method is one of a text, list or dictionary.
type method[T any] struct {
	least, most int // arguments
	call        func(r *run, on T, a arguments) (starlark.Value, error)
}

// bySense are methods that Starlark has as Python does, for every text; byLetter those
// where it counts bytes, or knows other letters, and that are refused beyond ASCII. Both
// with the names of their arguments.
var (
	bySense = map[string][]string{
		"partition": nil, "rpartition": nil, "startswith": nil, "endswith": nil, "removeprefix": nil, "removesuffix": nil,
	}
	byLetter = map[string][]string{
		"capitalize": nil, "count": nil, "find": nil, "index": nil, "isalnum": nil, "isalpha": nil, "isdigit": nil,
		"islower": nil, "isspace": nil, "isupper": nil, "lower": nil, "lstrip": nil, "rfind": nil, "rindex": nil,
		"rsplit": {"sep", "maxsplit"}, "rstrip": nil, "split": {"sep", "maxsplit"}, "strip": nil, "title": nil, "upper": nil,
	}
)

// textMethod finds a method of a text.
func (r *run) textMethod(s, name string) (starlark.Value, error) {
	names, isNative := bySense[name]
	if !isNative {
		names, isNative = byLetter[name]
		// To split and strip by given characters means the same for all texts.
		isCut := strings.HasSuffix(name, "split") || strings.HasSuffix(name, "strip")
		if isNative && !isCut && !isPlain(s) {
			return nil, obstacle{What: "the method " + name + " of a text beyond ASCII", Do: "write down what it gives"}
		}
	}
	if !isNative {
		return bound(r, textMethods(), s, name, "text")
	}
	f, err := starlark.String(s).Attr(name)
	return r.builtin(name, func(a arguments) (starlark.Value, error) {
		args, err := a.ordered(names...)
		if err != nil {
			return nil, err
		}
		if m := missingAmong(args...); m != nil {
			return m, nil
		}
		if (len(args) == 0 || args[0] == starlark.None) && !isPlain(s) {
			return nil, obstacle{What: "the method " + name + " of a text beyond ASCII", Do: "say by which characters"}
		}
		if len(args) == 1 && args[0] == starlark.None {
			args = nil
		}
		if err := r.look(starlark.String(s)); err != nil {
			return nil, err
		}
		if strings.HasSuffix(name, "split") {
			if err := r.charge(16 * len(s)); err != nil {
				return nil, err
			}
		}
		v, err := starlark.Call(r.thread, f, args, nil)
		if l, ok := v.(*starlark.List); ok && err == nil {
			err = r.elements(l.Len())
		}
		return v, err
	}), err
}

// isPlain reports whether a text has only characters that all libraries agree about.
func isPlain(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c > '~' || c < ' ' && !strings.ContainsRune("\t\n\v\f\r", c) })
}

func newTextMethods() map[string]method[string] {
	return map[string]method[string]{
		"join": {1, 1, join}, "replace": {2, 3, replace}, "splitlines": {0, 0, splitLines},
		"ljust": {1, 2, adjust('<')}, "rjust": {1, 2, adjust('>')}, "center": {1, 2, adjust('^')}, "zfill": {1, 1, zfill},
		"encode": {0, 1, recode}, "decode": {0, 1, recode},
		"format": {0, 1 << 10, func(r *run, s string, a arguments) (starlark.Value, error) { return r.strFormat(s, a) }},
	}
}

func splitLines(r *run, s string, _ arguments) (starlark.Value, error) {
	if !isPlain(s) || strings.ContainsAny(s, "\v\f") {
		return nil, errors.New("splitlines of a text beyond ASCII")
	}
	lines := strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s), "\n")
	if last := len(lines) - 1; lines[last] == "" {
		lines = lines[:last]
	}
	all := make([]starlark.Value, len(lines))
	for i, line := range lines {
		all[i] = starlark.String(line)
	}
	return starlark.NewList(all), r.elements(len(all))
}

func join(r *run, s string, a arguments) (starlark.Value, error) {
	items, err := r.list(a.take(0, ""))
	if err != nil {
		return nil, err
	}
	if m := missingAmong(items...); m != nil {
		return m, nil
	}
	parts, size := make([]string, len(items)), len(items)*len(s)
	for i, item := range items {
		part, ok := item.(starlark.String)
		if !ok {
			return nil, fmt.Errorf("join wants texts, not a %s", item.Type())
		}
		parts[i] = string(part)
		size += len(part)
	}
	if err := r.bytes(size); err != nil {
		return nil, err
	}
	return starlark.String(strings.Join(parts, s)), nil
}

func replace(r *run, s string, a arguments) (starlark.Value, error) {
	from, err := a.text(0, "")
	if err != nil {
		return nil, err
	}
	to, err := a.text(1, "")
	if err != nil {
		return nil, err
	}
	times := strings.Count(s, from)
	if v := a.take(2, "count"); v != nil {
		n, err := starlark.AsInt32(plain(v))
		if err != nil {
			return nil, err
		}
		if n >= 0 {
			times = min(times, n)
		}
	}
	if err := r.bytes(len(s) + times*len(to)); err != nil {
		return nil, err
	}
	return starlark.String(strings.Replace(s, from, to, times)), nil
}

// adjust is ljust, rjust and center.
func adjust(align byte) func(*run, string, arguments) (starlark.Value, error) {
	return func(r *run, s string, a arguments) (starlark.Value, error) {
		width, err := starlark.AsInt32(plain(a.args[0]))
		fill := " "
		if err == nil && len(a.args) > 1 {
			fill, err = a.text(1, "")
		}
		if err != nil || utf8.RuneCountInString(fill) != 1 || width > pytext.MaxWidth {
			return nil, errors.Join(err, fmt.Errorf("want a width of at most %d and one character to fill", pytext.MaxWidth))
		}
		missing := max(0, width-utf8.RuneCountInString(s))
		left := map[byte]int{'<': 0, '>': missing, '^': missing/2 + missing&width&1}[align]
		text := strings.Repeat(fill, left) + s + strings.Repeat(fill, missing-left)
		return starlark.String(text), r.bytes(len(text))
	}
}

func zfill(r *run, s string, a arguments) (starlark.Value, error) {
	width, err := starlark.AsInt32(plain(a.take(0, "width")))
	if err != nil || width > pytext.MaxWidth {
		return nil, errors.Join(err, fmt.Errorf("want a width of at most %d", pytext.MaxWidth))
	}
	sign := ""
	if strings.HasPrefix(s, "+") || strings.HasPrefix(s, "-") {
		sign, s = s[:1], s[1:]
	}
	zeros := max(0, width-len(sign)-utf8.RuneCountInString(s))
	text := sign + strings.Repeat("0", zeros) + s
	return starlark.String(text), r.bytes(len(text))
}

// recode is encode and decode: texts and their bytes are the same here.
func recode(_ *run, s string, a arguments) (starlark.Value, error) {
	if a.take(0, "encoding") != nil {
		name, err := a.text(0, "encoding")
		known := strings.EqualFold(name, "utf-8") || strings.EqualFold(name, "utf8") || strings.EqualFold(name, "ascii") && isASCII(s)
		if err != nil || !known {
			return nil, errors.Join(err, fmt.Errorf("the encoding %.20q", name))
		}
	}
	return starlark.String(s), nil
}
