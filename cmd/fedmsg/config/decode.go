package config

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/config/parse"
	"github.com/fedora-infra/fedmsg-go/internal/spell"
)

// A decoder puts what was said into a struct.
type decoder struct {
	problems Problems
	origins  map[string]Origin // of the values of keys
}

func (d *decoder) wrong(v *Value, key, format string, args ...any) {
	d.problems = append(d.problems, Problem{Origin: v.Origin, Key: key, Text: fmt.Sprintf(format, args...)})
}

// table decodes a table into a struct: first the defaults, then what was said.
func (d *decoder) table(said *Value, fields []*field) {
	known := make(map[string]bool, len(fields))
	for _, f := range fields {
		known[f.name()] = true
		d.standard(f)
		v := take(said, f.name())
		switch {
		case f.isTable():
			if v == nil {
				v = &Value{Kind: parse.Table}
			}
			if v.Kind != parse.Table {
				d.wrong(v, f.key(), "must be a table, not %s", v.Kind)
				continue
			}
			d.table(v, fieldsOf(f.value, f.path))
		case v != nil:
			d.origins[f.key()] = v.Origin
			if err := d.set(f, f.value, v, f.key()); err != nil {
				d.wrong(v, f.key(), "%v", err)
			}
		}
	}
	for key, v := range said.Table {
		if !known[key] {
			d.unknown(v, key, fields)
		}
	}
}

// take finds a key that may be written as one with dots, or as tables in tables.
func take(said *Value, name string) *Value {
	if v := said.Table[name]; v != nil || !strings.Contains(name, ".") {
		return v
	}
	return said.Find(strings.Split(name, "."))
}

// unknown complains of a key that nothing reads.
func (d *decoder) unknown(v *Value, key string, fields []*field) {
	var names []string
	inside := false
	for _, f := range fields {
		names = append(names, f.key())
		inside = inside || strings.HasPrefix(f.name(), key+".")
	}
	if v.Kind == parse.Table && inside { // keys with dots that were written without quotes
		for below, member := range v.Table {
			if known := slices.ContainsFunc(fields, func(f *field) bool {
				return f.name() == key+"."+below || strings.HasPrefix(f.name(), key+"."+below+".")
			}); !known || member.Kind == parse.Table {
				d.unknown(member, key+"."+below, fields)
			}
		}
		return
	}
	full := key
	if len(fields) > 0 {
		full = strings.Join(append(slices.Clone(fields[0].path[:len(fields[0].path)-1]), key), ".")
	}
	if near := spell.Nearest(full, names); near != "" {
		d.wrong(v, full, "there is no such key; did you mean %s?", near)
		return
	}
	d.wrong(v, full, "there is no such key")
}

// standard sets a field to its default.
func (d *decoder) standard(f *field) {
	if f.standard == "" {
		return
	}
	if err := d.set(f, f.value, &Value{Kind: parse.Loose, Text: f.standard}, f.key()); err != nil {
		panic(fmt.Sprintf("config: default of %s: %v", f.key(), err)) // the tag is wrong
	}
}

// set sets a field, or a part of it, to what was said.
func (d *decoder) set(f *field, to reflect.Value, v *Value, key string) error {
	switch {
	case to.Kind() == reflect.Interface:
		return nil // nothing reads it
	case to.Type() == durationType:
		return setDuration(f, to, v)
	case to.Kind() == reflect.String:
		return setText(f, to, v)
	case to.Kind() == reflect.Bool:
		return setBool(to, v)
	case to.Kind() == reflect.Int || to.Kind() == reflect.Int64:
		return setInt(f, to, v)
	case to.Kind() == reflect.Slice:
		return d.setList(f, to, v, key)
	case to.Kind() == reflect.Map:
		return d.setMap(f, to, v, key)
	case to.Kind() == reflect.Struct:
		if v.Kind != parse.Table {
			return fmt.Errorf("must be a table, not %s", v.Kind)
		}
		d.table(v, fieldsOf(to, []string{key}))
		return nil
	}
	panic("config: no value can be put into a " + to.Type().String())
}

func setText(f *field, to reflect.Value, v *Value) error {
	if v.Kind != parse.Text && v.Kind != parse.Loose {
		return fmt.Errorf("must be a text, not %s", v.Kind)
	}
	if len(f.one) > 0 && !slices.Contains(f.one, v.Text) {
		return fmt.Errorf("%q is not one of %s", v.Text, strings.Join(f.one, ", "))
	}
	to.SetString(v.Text)
	return nil
}

func setBool(to reflect.Value, v *Value) error {
	switch {
	case v.Kind == parse.Bool:
		to.SetBool(v.Bool)
	case v.Kind == parse.Loose && (strings.EqualFold(v.Text, "true") || strings.EqualFold(v.Text, "false")):
		to.SetBool(strings.EqualFold(v.Text, "true"))
	case v.Kind == parse.Text || v.Kind == parse.Loose:
		return fmt.Errorf("must be true or false, not the text %q", v.Text)
	default:
		return fmt.Errorf("must be true or false, not %s", v.Kind)
	}
	return nil
}

func setInt(f *field, to reflect.Value, v *Value) error {
	n := v.Number
	switch {
	case v.Kind == parse.Int:
	case f.unit == "bytes" && (v.Kind == parse.Text || v.Kind == parse.Loose):
		size, err := parseSize(v.Text)
		if err != nil {
			return err
		}
		n = size
	case v.Kind == parse.Loose:
		i, err := strconv.ParseInt(v.Text, 10, 64)
		if err != nil {
			return fmt.Errorf("%q is no whole number", v.Text)
		}
		n = float64(i)
	case v.Kind == parse.Float:
		return fmt.Errorf("must be a whole number, not %s", v.Text)
	default:
		return fmt.Errorf("must be a whole number, not %s", v.Kind)
	}
	if err := f.inBounds(n); err != nil {
		return err
	}
	to.SetInt(int64(n))
	return nil
}

func (f *field) inBounds(n float64) error {
	switch {
	case f.hasLeast && n < f.least:
		return fmt.Errorf("must be at least %g, not %g", f.least, n)
	case f.hasMost && n > f.most:
		return fmt.Errorf("must be at most %g, not %g", f.most, n)
	}
	return nil
}

// sizes are units of bytes.
var sizes = []struct {
	suffix string
	bytes  float64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}, {"", 1}}

func parseSize(text string) (float64, error) {
	for _, unit := range sizes {
		digits, is := strings.CutSuffix(text, unit.suffix)
		if !is {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
		if err != nil || math.IsNaN(n) || n*unit.bytes > math.MaxInt64/2 {
			break
		}
		return n * unit.bytes, nil
	}
	return 0, fmt.Errorf("%q is no size; write a number of bytes, or 8GiB", text)
}

// setDuration takes a number in the field's unit, or a text with a unit. -1 is
// [time.Duration] -1, which the rooms take for no limit.
func setDuration(f *field, to reflect.Value, v *Value) error {
	step := time.Second
	if f.unit == "ms" {
		step = time.Millisecond
	}
	n := v.Number
	switch v.Kind {
	case parse.Int, parse.Float:
	case parse.Text, parse.Loose:
		number, err := strconv.ParseFloat(v.Text, 64)
		if err != nil || v.Kind == parse.Text {
			d, err := parseDuration(v.Text)
			if err != nil {
				return err
			}
			if number = float64(d) / float64(step); d == -1 {
				number = -1 // -1ns, as Go's own reader of durations wants it
			}
		}
		n = number
	default:
		return fmt.Errorf("must be a duration such as %q, not %s", "90s", v.Kind)
	}
	if err := f.inBounds(n); err != nil {
		return err
	}
	if n == -1 && f.hasLeast && f.least == -1 {
		to.SetInt(-1)
		return nil
	}
	if math.IsNaN(n) || math.Abs(n) > float64(math.MaxInt64/2)/float64(step) || n < 0 {
		return fmt.Errorf("%s is no duration that makes sense", v.Text)
	}
	to.SetInt(int64(math.Round(n * float64(step))))
	return nil
}

// parseDuration reads what time.ParseDuration does, and days.
func parseDuration(text string) (time.Duration, error) {
	if days, is := strings.CutSuffix(text, "d"); is {
		if n, err := strconv.ParseFloat(days, 64); err == nil && math.Abs(n) < 1e5 {
			return time.Duration(n * 24 * float64(time.Hour)), nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%q is no duration; write one as 90s, 1m30s, 720h or 30d", text)
	}
	return d, nil
}

// setList sets a list. One text is a list of one, as fedmsg has it, unless the key is
// strict; a loose one has commas between several.
func (d *decoder) setList(f *field, to reflect.Value, v *Value, key string) error {
	items := v.List
	switch {
	case v.Kind == parse.List:
	case v.Kind == parse.Loose:
		items = nil
		for part := range strings.SplitSeq(v.Text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				items = append(items, &Value{Kind: parse.Loose, Text: part, Origin: v.Origin})
			}
		}
	case f.strict:
		return fmt.Errorf("must be a list, not %s; write [%q]", v.Kind, v.Text)
	case v.Kind == parse.Text && to.Type().Elem().Kind() == reflect.String, v.Kind == parse.Table && to.Type().Elem().Kind() == reflect.Struct:
		items = []*Value{v}
	default:
		return fmt.Errorf("must be a list, not %s", v.Kind)
	}
	list := reflect.MakeSlice(to.Type(), len(items), len(items))
	for i, item := range items {
		name := key
		if len(items) > 1 {
			name = fmt.Sprintf("%s[%d]", key, i)
		}
		if err := d.set(f, list.Index(i), item, name); err != nil {
			d.wrong(item, name, "%v", err)
		}
	}
	to.Set(list)
	return nil
}

// setMap sets a table of names and values; a loose one is NAME=VALUE,NAME=VALUE.
func (d *decoder) setMap(f *field, to reflect.Value, v *Value, key string) error {
	if v.Kind == parse.Loose {
		pairs := &Value{Kind: parse.Table, Table: map[string]*Value{}, Origin: v.Origin}
		for pair := range strings.SplitSeq(v.Text, ",") {
			name, value, is := strings.Cut(pair, "=")
			if !is || name == "" {
				return fmt.Errorf("%q is not NAME=VALUE", pair)
			}
			pairs.Table[name] = &Value{Kind: parse.Loose, Text: value, Origin: v.Origin}
		}
		v = pairs
	}
	if v.Kind != parse.Table {
		return fmt.Errorf("must be a table, not %s", v.Kind)
	}
	made := reflect.MakeMapWithSize(to.Type(), len(v.Table))
	for name, member := range v.Table {
		value := reflect.New(to.Type().Elem()).Elem()
		if err := d.set(f, value, member, key+"."+name); err != nil {
			d.wrong(member, key+"."+name, "%v", err)
			continue
		}
		made.SetMapIndex(reflect.ValueOf(name), value)
	}
	to.Set(made)
	return nil
}
