package config

import (
	"encoding/json"
	"log/slog"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/config/parse"
)

// A Secret is a value that is not shown.
type Secret string

func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return parse.Hidden
}

// LogValue keeps the secret out of logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON keeps the secret out of what is printed.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// MarshalText keeps the secret out of what is printed.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// A field is a key, as the tags of a struct's field tell it.
type field struct {
	path              []string // of keys, from the top
	flag, env         string
	standard          string // default, as one writes it
	unit, check       string
	one               []string
	strict, noEffect  bool
	later             bool // nothing uses it yet
	least, most       float64
	hasLeast, hasMost bool
	doc               string
	value             reflect.Value
}

var (
	secretType   = reflect.TypeFor[Secret]()
	durationType = reflect.TypeFor[time.Duration]()
)

// key is the field's name to people: web.tls.cert, or "moksha.monitoring.socket".
func (f *field) key() string { return strings.Join(f.path, ".") }

// name is the last key.
func (f *field) name() string { return f.path[len(f.path)-1] }

// variable is the name in the environment; keys in tables have their table's before.
func (f *field) variable() string {
	name := f.env
	if name == "" {
		name = strings.Join(f.path, "_")
	}
	return "FEDMSG_" + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(name))
}

// isTable reports whether the field holds further keys.
func (f *field) isTable() bool { return f.value.Kind() == reflect.Struct }

func (f *field) isList() bool { return f.value.Kind() == reflect.Slice }

func (f *field) isMap() bool { return f.value.Kind() == reflect.Map }

// fieldsOf are the keys of a struct, in its order; those of embedded structs are its
// own. Members of tables are not among them.
func fieldsOf(v reflect.Value, path []string) (all []*field) {
	t := v.Type()
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		if t.Field(i).Anonymous {
			all = append(all, fieldsOf(v.Field(i), path)...)
			continue
		}
		f := &field{
			path: append(path[:len(path):len(path)], tag.Get("key")), flag: tag.Get("flag"), env: tag.Get("env"), standard: tag.Get("default"),
			unit: tag.Get("unit"), check: tag.Get("check"), one: strings.Fields(tag.Get("one")), strict: tag.Get("strict") != "",
			noEffect: tag.Get("effect") == "none", later: tag.Get("effect") == "later", doc: tag.Get("doc"), value: v.Field(i),
		}
		f.least, f.hasLeast = bound(tag, "min")
		f.most, f.hasMost = bound(tag, "max")
		all = append(all, f)
	}
	return all
}

func bound(tag reflect.StructTag, name string) (n float64, has bool) {
	text, has := tag.Lookup(name)
	n, _ = strconv.ParseFloat(text, 64)
	return n, has
}

// everyField calls do for all keys of a struct, those in its tables too.
func everyField(v reflect.Value, path []string, do func(f *field)) {
	for _, f := range fieldsOf(v, path) {
		do(f)
		if f.isTable() {
			everyField(f.value, f.path, do)
		}
	}
}
