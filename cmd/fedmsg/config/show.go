package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Values is all that is in force, or all that somebody said, under the names of the
// keys: what [encoding/json] makes texts, numbers, lists and objects of. Durations are
// numbers in the key's unit, as fedmsg has them. Secrets are not shown.
func (l *Loaded) Values(defaults bool) map[string]any {
	return l.valuesOf(reflect.ValueOf(&l.Config).Elem(), nil, defaults)
}

func (l *Loaded) valuesOf(v reflect.Value, path []string, defaults bool) map[string]any {
	values := make(map[string]any)
	for _, f := range fieldsOf(v, path) {
		switch {
		case f.isTable():
			if below := l.valuesOf(f.value, f.path, defaults); len(below) > 0 {
				values[f.name()] = below
			}
		case l.isShown(f, defaults):
			values[f.name()] = l.shown(f)
		}
	}
	return values
}

// isShown: what was said is shown, and defaults where they say something.
func (l *Loaded) isShown(f *field, defaults bool) bool {
	return l.IsSet(f.key()) || defaults && !f.noEffect && (f.standard != "" || !f.value.IsZero())
}

// shown is a value as it is shown.
func (l *Loaded) shown(f *field) any {
	switch held := f.value.Interface().(type) {
	case time.Duration:
		step := time.Second
		if f.unit == "ms" {
			step = time.Millisecond
		}
		if held == -1 {
			return -1
		}
		if held%step == 0 {
			return int64(held / step)
		}
		return float64(held) / float64(step)
	case []IRC:
		list := make([]any, len(held))
		for i := range held {
			some := Loaded{}
			list[i] = some.valuesOf(reflect.ValueOf(&held[i]).Elem(), nil, true)
		}
		return list
	case nil, map[string]any: // what nothing reads is shown as it was said, where it is not secret
		if v := l.said.Find(f.path); v != nil {
			return v.Plain(f.name())
		}
		return nil
	case []string:
		return slices.Concat([]string{}, held) // [], not null
	default:
		return held
	}
}

// WriteTOML writes what is said as a file that [Load] reads, each key with a comment
// that tells where it was said if origin is set.
func (l *Loaded) WriteTOML(w io.Writer, defaults, origin bool) error {
	var out bytes.Buffer
	l.writeTable(&out, reflect.ValueOf(&l.Config).Elem(), nil, defaults, origin)
	_, err := w.Write(out.Bytes())
	return err
}

func (l *Loaded) writeTable(out *bytes.Buffer, v reflect.Value, path []string, defaults, origin bool) {
	comment := func(key string) {
		if origin {
			fmt.Fprintf(out, "  # %s", l.origins[key])
		}
		out.WriteByte('\n')
	}
	var later []func()
	for _, f := range fieldsOf(v, path) {
		if !f.isTable() && !l.isShown(f, defaults) {
			continue
		}
		shown := any(nil)
		if !f.isTable() {
			shown = l.shown(f)
		}
		table, isTable := asTable(shown)
		list, isList := shown.([]any)
		switch {
		case f.isTable():
			later = append(later, func() {
				var below bytes.Buffer
				l.writeTable(&below, f.value, f.path, defaults, origin)
				if below.Len() > 0 {
					if !bytes.HasPrefix(below.Bytes(), []byte("\n[")) {
						fmt.Fprintf(out, "\n[%s]\n", keyPath(f.path))
					}
					out.Write(below.Bytes())
				}
			})
		case isTable && len(table) > 0:
			later = append(later, func() {
				fmt.Fprintf(out, "\n[%s]", keyPath(f.path))
				comment(f.key())
				for _, key := range slices.Sorted(maps.Keys(table)) {
					fmt.Fprintf(out, "%s = %s\n", tomlKey(key), inlineTOML(table[key]))
				}
			})
		case isList && len(list) > 0 && reflect.TypeOf(list[0]).Kind() == reflect.Map:
			later = append(later, func() {
				for _, item := range list {
					fmt.Fprintf(out, "\n[[%s]]", keyPath(f.path))
					comment(f.key())
					members, _ := asTable(item)
					for _, key := range slices.Sorted(maps.Keys(members)) {
						fmt.Fprintf(out, "%s = %s\n", tomlKey(key), inlineTOML(members[key]))
					}
				}
			})
		case shown != nil && !isTable:
			fmt.Fprintf(out, "%s = %s", tomlKey(f.name()), inlineTOML(shown))
			comment(f.key())
		}
	}
	for _, write := range later { // a key after a table would be the table's
		write()
	}
}

// asTable is a table of whatever kind.
func asTable(v any) (map[string]any, bool) {
	held := reflect.ValueOf(v)
	if !held.IsValid() || held.Kind() != reflect.Map {
		return nil, false
	}
	table := make(map[string]any, held.Len())
	for _, key := range held.MapKeys() {
		table[key.String()] = held.MapIndex(key).Interface()
	}
	return table, true
}

func keyPath(path []string) string {
	keys := make([]string, len(path))
	for i, key := range path {
		keys[i] = tomlKey(key)
	}
	return strings.Join(keys, ".")
}

// tomlKey is a key as TOML wants it.
func tomlKey(key string) string {
	if key != "" && strings.Trim(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") == "" {
		return key
	}
	return tomlText(key)
}

// tomlText is a basic string of TOML: JSON's escapes are among its own.
func tomlText(text string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(text) // a text can be written
	return strings.ReplaceAll(strings.TrimSuffix(b.String(), "\n"), "\x7f", `\u007f`)
}

// inlineTOML is a value on one line.
func inlineTOML(v any) string {
	switch v := v.(type) {
	case string:
		return tomlText(v)
	case Secret:
		return tomlText(v.String())
	case bool:
		return strconv.FormatBool(v)
	case float64:
		text := strconv.FormatFloat(v, 'f', -1, 64)
		if !strings.Contains(text, ".") {
			text += ".0"
		}
		return text
	}
	if table, is := asTable(v); is {
		var parts []string
		for _, key := range slices.Sorted(maps.Keys(table)) {
			parts = append(parts, tomlKey(key)+" = "+inlineTOML(table[key]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	if list := reflect.ValueOf(v); list.IsValid() && list.Kind() == reflect.Slice {
		var parts []string
		for i := range list.Len() {
			parts = append(parts, inlineTOML(list.Index(i).Interface()))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return fmt.Sprint(v)
}
