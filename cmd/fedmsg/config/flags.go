package config

import (
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/config/parse"
)

// Flags are the flags that say what files may say too.
type Flags struct{ all []*flagValue }

// AddFlags defines the flags of all keys that have one, in the order of [Config],
// or only those that are named.
func AddFlags(to *pflag.FlagSet, only ...string) *Flags {
	flags := new(Flags)
	everyField(reflect.ValueOf(new(Config)).Elem(), nil, func(f *field) {
		name, inverse := strings.CutPrefix(f.flag, "!")
		if name == "" || len(only) > 0 && !slices.Contains(only, name) {
			return
		}
		v := &flagValue{field: f, name: name, inverse: inverse}
		usage := f.doc
		if inverse {
			usage = "do not: " + usage
		}
		if f.isList() || f.isMap() {
			usage += "; may be given often"
		}
		to.Var(v, name, usage)
		flag := to.Lookup(name)
		flag.DefValue = f.standard
		if f.value.Kind() == reflect.Bool {
			flag.NoOptDefVal = "true"
			if f.standard == "false" || inverse {
				flag.DefValue = "false"
			}
		}
		flags.all = append(flags.all, v)
	})
	return flags
}

// A flagValue is what a flag says.
type flagValue struct {
	field   *field
	name    string
	inverse bool
	texts   []string
	set     bool
}

// Set takes what one use of the flag says. It is decoded at once, so that the command
// line is what is wrong, and not the configuration.
func (v *flagValue) Set(text string) error {
	v.set = true
	if !v.field.isList() && !v.field.isMap() {
		v.texts = nil
	}
	if v.texts = append(v.texts, text); text == "" {
		return nil
	}
	to := reflect.New(v.field.value.Type()).Elem()
	var d decoder
	said := v.value()
	if v.field.isMap() && v.name == "endpoint" {
		return nil
	}
	if err := d.set(v.field, to, said, v.field.key()); err != nil {
		return err
	}
	if len(d.problems) > 0 {
		return errors.New(d.problems[0].Text)
	}
	return nil
}

func (v *flagValue) String() string { return strings.Join(v.texts, ",") }

// Type names the kind of value in the help.
func (v *flagValue) Type() string {
	switch t := v.field.value.Type(); {
	case t == durationType:
		return "duration"
	case t.Kind() == reflect.Int, t.Kind() == reflect.Int64:
		return "int"
	case t.Kind() == reflect.Bool:
		return "bool"
	case v.field.isList(), v.field.isMap():
		return "strings"
	}
	return "string"
}

// value is what the flag says, as a value. An endpoint on the command line has no name,
// and gets its number.
func (v *flagValue) value() *Value {
	origin := Origin{Name: "--" + v.name}
	text := strings.Join(v.texts, ",")
	if v.inverse {
		inverted, err := strconv.ParseBool(text)
		if err == nil {
			text = strconv.FormatBool(!inverted)
		}
	}
	if v.name != "endpoint" {
		return &Value{Kind: parse.Loose, Text: text, Origin: origin}
	}
	named := &Value{Kind: parse.Table, Table: map[string]*Value{}, Origin: origin}
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			named.Table["--endpoint "+strconv.Itoa(len(named.Table)+1)] = &Value{Kind: parse.Loose, Text: part, Origin: origin}
		}
	}
	return named
}

// said is what all flags say that were given.
func (f *Flags) said() *Value {
	said := &Value{Kind: parse.Table, Table: map[string]*Value{}}
	for _, v := range f.all {
		if v.set {
			said.Put(v.field.path, v.value())
		}
	}
	return said
}
