package pyconfig

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/fedora-infra/fedmsg-go/pyconfig/pytext"
	"go.starlark.net/starlark"
)

// write puts the pieces of a format together; value finds and spells each value.
func (r *run) write(pieces []pytext.Piece, value func(p pytext.Piece) (string, *missing, error)) (starlark.Value, error) {
	var b strings.Builder
	for _, p := range pieces {
		b.WriteString(p.Text)
		if p.Value {
			text, m, err := value(p)
			if m != nil || err != nil {
				return m, err
			}
			b.WriteString(text)
		}
		if b.Len() > maxText {
			return nil, tooMuch("bytes of text", b.Len(), maxText)
		}
	}
	return starlark.String(b.String()), r.bytes(b.Len())
}

// percent is Python's format % args.
func (r *run) percent(format string, args starlark.Value) (starlark.Value, error) {
	pieces, err := pytext.ParsePercent(format)
	if err != nil {
		return nil, err
	}
	values, isTuple := args.(starlark.Tuple)
	if !isTuple {
		values = starlark.Tuple{args}
	}
	take := func() (v starlark.Value, err error) {
		if len(values) == 0 {
			return nil, errors.New("% has too few values")
		}
		v, values = values[0], values[1:]
		return v, nil
	}
	star := func(wanted bool) (*int, error) {
		if !wanted {
			return nil, nil
		}
		v, err := take()
		if err != nil {
			return nil, err
		}
		n, err := starlark.AsInt32(plain(v))
		return &n, err
	}
	text, err := r.write(pieces, func(p pytext.Piece) (text string, m *missing, err error) {
		var v starlark.Value
		width, err := star(p.Spec.WidthStar)
		if err != nil {
			return "", nil, err
		}
		precision, err := star(p.Spec.PrecisionStar)
		if err != nil {
			return "", nil, err
		}
		if p.Spec, err = p.Spec.Sized(width, precision); err != nil {
			return "", nil, err
		}
		if p.Named {
			table, ok := args.(*starlark.Dict)
			if !ok {
				return "", nil, errors.New("%(key) wants a dictionary")
			}
			found := false
			if v, found, err = table.Get(starlark.String(p.Name)); err == nil && !found {
				err = fmt.Errorf("key error: %q", p.Name)
			}
		} else {
			v, err = take()
		}
		if m = missingAmong(v); m != nil || err != nil {
			return "", m, err
		}
		text, err = r.convertPercent(p, v)
		return text, nil, err
	})
	if err != nil {
		return nil, err
	}
	switch args.(type) {
	case *starlark.Dict, *starlark.List: // may be ignored, says Python
	default:
		if len(values) > 0 && missingAmong(text) == nil {
			return nil, errors.New("% has too many values")
		}
	}
	return text, nil
}

// convertPercent writes one value as %'s conversions do.
func (r *run) convertPercent(p pytext.Piece, v starlark.Value) (string, error) {
	wrong := fmt.Errorf("%%%c does not fit a %s", p.Spec.Verb, v.Type())
	switch p.Spec.Verb {
	case 's', 'r', 'a':
		text, err := r.str(v, p.Repr)
		if err != nil || p.Spec.Verb == 'a' && !isASCII(text) {
			return "", errors.Join(err, wrong)
		}
		return p.Spec.String(text)
	case 'c':
		if text, ok := v.(starlark.String); ok && utf8.RuneCountInString(string(text)) == 1 {
			return p.Spec.String(string(text))
		}
		n, err := starlark.AsInt32(plain(v))
		if err != nil || !utf8.ValidRune(rune(n)) {
			return "", wrong
		}
		return p.Spec.Rune(rune(n)), nil
	case 'd', 'i', 'u':
		n, err := starlark.NumberToInt(plain(v))
		if err != nil {
			return "", wrong
		}
		return p.Spec.Int(n.BigInt())
	case 'o', 'x', 'X':
		n, ok := plain(v).(starlark.Int)
		if !ok {
			return "", wrong
		}
		return p.Spec.Int(n.BigInt())
	}
	f, ok := starlark.AsFloat(plain(v))
	if !ok {
		return "", wrong
	}
	return p.Spec.Float(f)
}

// strFormat is Python's str.format.
func (r *run) strFormat(format string, a arguments) (starlark.Value, error) {
	pieces, err := pytext.ParseFormat(format)
	if err != nil {
		return nil, err
	}
	return r.write(pieces, func(p pytext.Piece) (string, *missing, error) {
		v := a.take(1<<10, p.Name)
		if n, err := strconv.Atoi(p.Name); err == nil && n >= 0 {
			v = a.take(n, "")
		}
		if v == nil {
			return "", nil, fmt.Errorf("format has no argument %q", p.Name)
		}
		if m := missingAmong(v); m != nil {
			return "", m, nil
		}
		text, err := r.formatted(p, v)
		return text, nil, err
	})
}

// formatted writes one value by a format specification.
func (r *run) formatted(p pytext.Piece, v starlark.Value) (string, error) {
	if p.Repr || p.Spec.IsPlain() || p.Spec.Verb == 's' {
		text, err := r.str(v, p.Repr)
		_, isText := v.(starlark.String)
		if err != nil || p.Spec.IsPlain() {
			return text, err
		}
		if !isText && !p.Converted {
			return "", fmt.Errorf("format cannot write a %s as a text", v.Type())
		}
		return p.Spec.String(text)
	}
	switch n := v.(type) {
	case starlark.String:
		if p.Spec.Verb == 0 {
			return p.Spec.String(string(n))
		}
	case starlark.Int:
		if p.Spec.Precision < 0 || strings.IndexByte("eEfFgG", max(p.Spec.Verb, 1)) >= 0 {
			return p.Spec.Int(n.BigInt())
		}
	case starlark.Float:
		return p.Spec.Float(float64(n))
	}
	return "", fmt.Errorf("format cannot write a %s so", v.Type())
}
