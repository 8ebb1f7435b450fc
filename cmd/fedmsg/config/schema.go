package config

import (
	"fmt"
	"io"
	"math"
	"reflect"
	"strconv"
	"strings"
)

// Schema is the JSON Schema (draft 2020-12) of a configuration, for editors.
func Schema() map[string]any {
	s := objectSchema(reflect.ValueOf(new(Config)).Elem())
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "fedmsg configuration"
	return s
}

func objectSchema(v reflect.Value) map[string]any {
	properties := make(map[string]any)
	for _, f := range fieldsOf(v, nil) {
		s := f.schema(f.value)
		s["description"] = f.doc
		if f.standard != "" && !f.isTable() {
			s["default"] = f.example()
		}
		if f.noEffect {
			s["deprecated"] = true
		}
		properties[f.name()] = s
	}
	return map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
}

// schema is what may stand under a key.
func (f *field) schema(v reflect.Value) map[string]any {
	t := v.Type()
	text := map[string]any{"type": "string"}
	if len(f.one) > 0 {
		text["enum"] = f.one
	}
	number := map[string]any{"type": "number"}
	if f.hasLeast {
		number["minimum"] = f.least
	}
	if f.hasMost {
		number["maximum"] = f.most
	}
	switch {
	case t.Kind() == reflect.Interface:
		return map[string]any{}
	case t == durationType, f.unit == "bytes":
		return map[string]any{"oneOf": []any{number, text}}
	case t.Kind() == reflect.String:
		return text
	case t.Kind() == reflect.Bool:
		return map[string]any{"type": "boolean"}
	case t.Kind() == reflect.Int, t.Kind() == reflect.Int64:
		number["type"] = "integer"
		return number
	case t.Kind() == reflect.Struct:
		return objectSchema(v)
	case t.Kind() == reflect.Slice:
		list := map[string]any{"type": "array", "items": f.schema(reflect.New(t.Elem()).Elem())}
		if t.Elem().Kind() == reflect.String && !f.strict {
			return map[string]any{"oneOf": []any{text, list}}
		}
		return list
	}
	return map[string]any{"type": "object", "additionalProperties": f.schema(reflect.New(t.Elem()).Elem())}
}

// example is the default as it would be written in a file.
func (f *field) example() any {
	if n, err := strconv.ParseFloat(f.standard, 64); err == nil && f.value.Kind() != reflect.String && !f.isList() {
		if n == math.Trunc(n) {
			return int64(n)
		}
		return n
	}
	switch {
	case f.value.Kind() == reflect.Bool:
		return f.standard == "true"
	case f.isList():
		return strings.Split(f.standard, ",")
	}
	return f.standard
}

const referenceHead = `# Configuration

Nothing needs to be configured to begin. What is said is read in this order, and later
ones win; tables are merged key by key, all else is replaced:

1. the files *.toml, *.yaml and *.yml in ` + "`" + DefaultDir + "`" + `, by name; or what the variable
   ` + "`FEDMSG_CONFIG`" + ` names instead: files or directories, with colons between;
2. files and directories named with ` + "`--config`" + `;
3. variables: ` + "`FEDMSG_`" + ` and the key in capitals, with ` + "`_`" + ` for dots, as in
   ` + "`FEDMSG_LOG_KEEP_FOR=90d`" + `; lists have commas. An unknown one is an error;
4. flags.

Neither the working directory nor anybody's home is looked at.

` + "```toml" + `
# /etc/fedmsg.d/10-bus.toml
topic_prefix = "org.example"
environment = "prod"
relay_inbound = "tcp://0.0.0.0:2003"
ca_cert_location = "/etc/pki/fedmsg/ca.crt"

[endpoints]
"bodhi.app01" = ["tcp://app01.example.org:3000", "tcp://app01.example.org:3001"]

[routing_policy]
"org.example.prod.bodhi.update.comment" = ["bodhi-app01.example.org"]

[log]
keep_for = "90d"
` + "```" + `

Keys with dots of their own are written in quotes or as tables. A key that does not
exist, or a value of another kind, is an error with file and line; all are told at once.

| command | what |
|---|---|
| ` + "`fedmsg config check`" + ` | looks for mistakes, in the files and in what they name; status 78 if there are any |
| ` + "`fedmsg config show --origin`" + ` | prints what is in force, and where it was said; secrets are not shown |
| ` + "`fedmsg config --query KEY`" + ` | prints one value, for scripts |
| ` + "`fedmsg config import DIR`" + ` | makes a file of the Python files of fedmsg 1.x, without running them |
| ` + "`fedmsg config schema`" + ` | prints a JSON Schema, for editors |

## Keys

`

// WriteReference writes docs/config.md: how to configure, and a table of all keys.
func WriteReference(w io.Writer) error {
	var out strings.Builder
	row := func(f *field, prefix string) {
		kind := f.kind()
		if f.isTable() {
			return
		}
		standard := ""
		if f.standard != "" {
			standard = "`" + inlineTOML(f.example()) + "`"
		}
		also := ""
		if f.flag != "" {
			also = "`--" + strings.TrimPrefix(f.flag, "!") + "`"
		}
		doc := f.doc
		if f.noEffect {
			doc = "*not needed*: " + doc
		}
		if f.later {
			doc = "*not used yet*: " + doc
		}
		fmt.Fprintf(&out, "| `%s%s` | %s | %s | %s | %s |\n", prefix, f.key(), kind, standard, also, doc)
	}
	out.WriteString(referenceHead)
	out.WriteString("| key | value | default | flag of `serve` | what |\n|---|---|---|---|---|\n")
	everyField(reflect.ValueOf(new(Config)).Elem(), nil, func(f *field) {
		row(f, "")
		if f.isList() && f.value.Type().Elem().Kind() == reflect.Struct {
			everyField(reflect.New(f.value.Type().Elem()).Elem(), nil, func(inner *field) { row(inner, f.key()+"[].") })
		}
	})
	_, err := io.WriteString(w, out.String())
	return err
}

// kind names what a key takes, to people.
func (f *field) kind() string {
	t := f.value.Type()
	switch {
	case f.unit == "s":
		return "seconds, or `\"1m30s\"`"
	case f.unit == "ms":
		return "milliseconds, or `\"1s\"`"
	case f.unit == "bytes":
		return "bytes, or `\"8GiB\"`"
	case len(f.one) > 0:
		return strings.Join(f.one, ", ")
	case t.Kind() == reflect.Interface:
		return "anything"
	case t.Kind() == reflect.Bool:
		return "true, false"
	case t.Kind() == reflect.Int, t.Kind() == reflect.Int64:
		return "number"
	case f.isList() && t.Elem().Kind() == reflect.Struct:
		return "tables"
	case f.isList() && f.strict, f.isMap() && f.strict:
		return "table of lists"
	case f.isList():
		return "text or list"
	case f.isMap():
		return "table"
	case t == secretType:
		return "secret"
	}
	return "text"
}
