package pyconfig

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// Kind says what a [Value] is.
type Kind int

// The kinds. Lists, tuples and sets are all Lists; a set is sorted by its JSON.
const (
	Null Kind = iota
	Bool
	Int
	Float
	String
	List
	Table
)

func (k Kind) String() string {
	return [...]string{"null", "bool", "int", "float", "string", "list", "table"}[k]
}

// Origin is a place in one of the files. Line 0 is the file as a whole.
type Origin struct {
	File string `json:"file"`
	Line int    `json:"line,omitzero"`
}

func (o Origin) String() string {
	if o.Line == 0 {
		return o.File
	}
	return fmt.Sprintf("%s:%d", o.File, o.Line)
}

// Value is one value of a configuration.
type Value struct {
	Kind Kind
	// Text is the text of a String, and the spelling of a Bool, Int or Float in JSON,
	// where Floats are spelled as Python spells them: 1e-05, 1.0.
	Text string
	// Items are the values of a List.
	Items []Value
	// Entries are the entries of a Table, in the order in which they were first set.
	Entries []Entry
	// Origin is where a value of a Table was set; the items of a List have their List's.
	Origin Origin
}

// Entry is a value under its key. Keys that are no text are spelled as Python's json
// module spells them.
type Entry struct {
	Key   string
	Value Value
}

// Get returns the value under a key of a Table.
func (v Value) Get(key string) (Value, bool) {
	i := slices.IndexFunc(v.Entries, func(e Entry) bool { return e.Key == key })
	if i < 0 {
		return Value{}, false
	}
	return v.Entries[i].Value, true
}

// MarshalJSON writes a value as Python's json module does, with the keys of a Table
// in their order.
func (v Value) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	switch v.Kind {
	case Bool, Int, Float:
		return []byte(v.Text), nil
	case String:
		return json.Marshal(v.Text)
	case List:
		b.WriteByte('[')
		for i, item := range v.Items {
			if i > 0 {
				b.WriteByte(',')
			}
			text, err := item.MarshalJSON()
			if err != nil {
				return nil, err
			}
			b.Write(text)
		}
		b.WriteByte(']')
	case Table:
		b.WriteByte('{')
		for i, e := range v.Entries {
			if i > 0 {
				b.WriteByte(',')
			}
			key, err := json.Marshal(e.Key)
			if err != nil {
				return nil, err
			}
			text, err := e.Value.MarshalJSON()
			if err != nil {
				return nil, err
			}
			b.Write(key)
			b.WriteByte(':')
			b.Write(text)
		}
		b.WriteByte('}')
	default:
		return []byte("null"), nil
	}
	return b.Bytes(), nil
}

// merge puts the entries of over into the table v, as the original does: tables are
// merged, everything else is replaced.
func (v *Value) merge(over Value) {
	at := make(map[string]int, len(v.Entries))
	for i, e := range v.Entries {
		at[e.Key] = i
	}
	for _, e := range over.Entries {
		i, known := at[e.Key]
		switch {
		case !known:
			v.Entries = append(v.Entries, e)
		case e.Value.Kind == Table && v.Entries[i].Value.Kind == Table:
			v.Entries[i].Value.merge(e.Value)
		default:
			v.Entries[i].Value = e.Value
		}
	}
}

// walk calls f for every value of a tree with its path, as in irc[0].port.
func (v Value) walk(path string, f func(path string, v Value)) {
	f(path, v)
	for i, item := range v.Items {
		item.walk(fmt.Sprintf("%s[%d]", path, i), f)
	}
	for _, e := range v.Entries {
		e.Value.walk(joinPath(path, e.Key), f)
	}
}

// joinPath writes the path of a key in a table; keys that hold more than letters,
// digits, _ and - are quoted.
func joinPath(path, key string) string {
	if key == "" || len(key) > 200 || bytes.ContainsFunc([]byte(key), func(r rune) bool {
		return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) {
		key = strconv.Quote(key[:min(len(key), 200)])
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// A Difference is a key whose value in the original's JSON is not ours.
type Difference struct {
	Path   string `json:"path"`             // irc[0].port
	Ours   string `json:"ours,omitempty"`   // as JSON; empty: we have no such key
	Theirs string `json:"theirs,omitempty"` // as JSON; empty: the original has no such key
	Origin Origin `json:"origin,omitzero"`  // where ours comes from
	// Default is set for what the original adds by itself: its built-in defaults and
	// the options of fedmsg-config, at their usual values. They are in no file.
	Default bool `json:"default,omitempty"`
}

func (d Difference) String() string {
	ours, theirs := cmp.Or(d.Ours, "nothing"), cmp.Or(d.Theirs, "nothing")
	if d.Origin.File != "" {
		return fmt.Sprintf("%s: %s has %s, fedmsg-config %s", d.Path, d.Origin, ours, theirs)
	}
	return fmt.Sprintf("%s: the files have %s, fedmsg-config %s", d.Path, ours, theirs)
}

// originalAdds is what stands in the output of fedmsg-config without being in a file.
var originalAdds = map[string]string{
	"active": "false", "topic_prefix": `"org.fedoraproject"`, "environment": `"dev"`, "io_threads": "1", "post_init_sleep": "0.5",
	"timeout": "2", "print_config": "false", "config_filename": "null", "high_water_mark": "0", "zmq_linger": "1000",
	"persistent_store": "null", "query": "null", "disable_defaults": "false", "name": "null", "mute": "false",
}

// Compare tells where values differ from what the original's fedmsg-config printed,
// in the order of ours, then of their keys. Numbers are compared by kind too: 1 is not
// 1.0. A single endpoint is equal to a list of it, which the original makes of it.
// What topic_prefix_re and logging get without being in a file counts as a default.
//
// The error wraps [fedmsg.ErrInvalid] if printed is no JSON object.
func Compare(values Value, printed []byte) ([]Difference, error) {
	theirs, err := parseJSON(printed)
	if err != nil || theirs.Kind != Table {
		return nil, &fedmsg.HintError{
			Err:  fmt.Errorf("compare: the output of fedmsg-config: %w: want one JSON object", cmp.Or(err, fedmsg.ErrInvalid)),
			Hint: "write it with: fedmsg-config > old.json",
		}
	}
	var all []Difference
	compare(&all, "", values, theirs)
	for i, d := range all {
		added := originalAdds[d.Path]
		all[i].Default = d.Ours == "" && (d.Path == "topic_prefix_re" || d.Path == "logging" || added != "" && added == d.Theirs)
	}
	return all, nil
}

func compare(all *[]Difference, path string, ours, theirs Value) {
	switch {
	case ours.Kind == Table && theirs.Kind == Table:
		for _, e := range ours.Entries {
			if other, ok := theirs.Get(e.Key); ok {
				compare(all, joinPath(path, e.Key), e.Value, other)
			} else {
				*all = append(*all, Difference{Path: joinPath(path, e.Key), Ours: e.Value.json(), Origin: e.Value.Origin})
			}
		}
		for _, e := range theirs.Entries {
			if _, ok := ours.Get(e.Key); !ok {
				*all = append(*all, Difference{Path: joinPath(path, e.Key), Theirs: e.Value.json()})
			}
		}
	case ours.Kind == List && theirs.Kind == List && len(ours.Items) == len(theirs.Items):
		for i := range ours.Items {
			compare(all, fmt.Sprintf("%s[%d]", path, i), ours.Items[i], theirs.Items[i])
		}
	case ours.Kind == theirs.Kind && ours.json() == theirs.json():
	case ours.Kind == String && theirs.Kind == List && len(theirs.Items) == 1 && theirs.Items[0].json() == ours.json() && isEndpoint(path):
	default:
		*all = append(*all, Difference{Path: path, Ours: ours.json(), Theirs: theirs.json(), Origin: ours.Origin})
	}
}

func isEndpoint(path string) bool { return len(path) > 10 && path[:10] == "endpoints." }

// json is a value as JSON in the spelling of Python, for people and for comparing.
func (v Value) json() string {
	text, err := v.MarshalJSON()
	if err == nil {
		text, err = fedmsg.AppendCanonical(nil, text)
	}
	if err != nil {
		return fmt.Sprintf("<%v>", err)
	}
	return string(text)
}

// parseJSON reads one JSON value, keeping the order of keys.
func parseJSON(src []byte) (Value, error) {
	canonical, err := fedmsg.AppendCanonical(nil, src)
	if err != nil {
		return Value{}, err
	}
	d := json.NewDecoder(bytes.NewReader(canonical))
	d.UseNumber()
	return decodeValue(d)
}

func decodeValue(d *json.Decoder) (Value, error) {
	t, err := d.Token()
	if err != nil {
		return Value{}, fmt.Errorf("%w: %w", fedmsg.ErrInvalid, err)
	}
	switch t := t.(type) {
	case bool:
		return Value{Kind: Bool, Text: strconv.FormatBool(t)}, nil
	case json.Number:
		return numberValue(t.String()), nil
	case string:
		return Value{Kind: String, Text: t}, nil
	case json.Delim:
		v := Value{Kind: List}
		if t == '{' {
			v.Kind = Table
		}
		for d.More() {
			var key string
			if v.Kind == Table {
				t, err := d.Token()
				if err != nil {
					return Value{}, fmt.Errorf("%w: %w", fedmsg.ErrInvalid, err)
				}
				key = t.(string)
			}
			item, err := decodeValue(d)
			if err != nil {
				return Value{}, err
			}
			if v.Kind == Table {
				v.Entries = append(v.Entries, Entry{key, item})
			} else {
				v.Items = append(v.Items, item)
			}
		}
		_, err := d.Token()
		return v, err
	}
	return Value{}, nil
}

func numberValue(text string) Value {
	if bytes.ContainsAny([]byte(text), ".eE") {
		return Value{Kind: Float, Text: text}
	}
	return Value{Kind: Int, Text: text}
}
