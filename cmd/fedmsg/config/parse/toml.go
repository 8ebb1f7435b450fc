package parse

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	toml "github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// TOML reads a file's text. The library checks it whole; then it is walked once
// more for the lines on which things stand.
func TOML(file string, src []byte) (*Value, error) {
	var whole map[string]any
	if err := toml.Unmarshal(src, &whole); err != nil {
		if wrong, ok := errors.AsType[*toml.DecodeError](err); ok {
			line, _ := wrong.Position()
			text := strings.TrimPrefix(wrong.Error(), "toml: ")
			if key := wrong.Key(); len(key) > 0 {
				text = strings.Join(key, ".") + ": " + text
			}
			if shown := lineOf(src, line); shown != "" {
				text += fmt.Sprintf(", in: %s", shown)
			}
			return nil, Problem{Origin: Origin{file, line}, Text: text}
		}
		return nil, Problem{Origin: Origin{Name: file}, Text: strings.TrimPrefix(err.Error(), "toml: ")}
	}
	lines := make(map[string]int)
	p := unstable.Parser{}
	p.Reset(src)
	at, count := "", map[string]int{}
	for p.NextExpression() {
		e := p.Expression()
		if e.Kind != unstable.KeyValue {
			at = markHeader(&p, e, lines, count)
			continue
		}
		markLines(&p, e, at, lines)
	}
	return fromTOML(file, whole, "", lines, 1), nil
}

// mark is the place of a key below a place in lines.
func mark(at, key string) string { return at + "\x00" + key }

// markHeader notes the lines of [table] and [[table]].
func markHeader(p *unstable.Parser, e *unstable.Node, lines, count map[string]int) string {
	at, line := "", 0
	for keys, last := e.Key(), false; keys.Next(); {
		n := keys.Node()
		last = keys.IsLast()
		if line == 0 {
			line = p.Shape(n.Raw).Start.Line
		}
		at = mark(at, string(n.Data))
		if last && e.Kind == unstable.ArrayTable {
			count[at]++
		}
		if lines[at] == 0 {
			lines[at] = line
		}
		if n := count[at]; n > 0 {
			at = mark(at, strconv.Itoa(n-1))
			if last {
				lines[at] = line
			}
		}
	}
	return at
}

// markLines notes the lines of a key and all that is in its value.
func markLines(p *unstable.Parser, e *unstable.Node, at string, lines map[string]int) {
	line := 0
	for keys := e.Key(); keys.Next(); {
		n := keys.Node()
		line = p.Shape(n.Raw).Start.Line
		at = mark(at, string(n.Data))
		if lines[at] == 0 {
			lines[at] = line
		}
	}
	markValue(p, e.Value(), at, line, lines)
}

func markValue(p *unstable.Parser, v *unstable.Node, at string, line int, lines map[string]int) {
	lines[at] = line
	items := v.Children()
	switch v.Kind {
	case unstable.Array:
		for i := 0; items.Next(); i++ {
			n := items.Node()
			if n.Raw.Length > 0 {
				line = p.Shape(n.Raw).Start.Line
			}
			markValue(p, n, mark(at, strconv.Itoa(i)), line, lines)
		}
	case unstable.InlineTable:
		for items.Next() {
			markLines(p, items.Node(), at, lines)
		}
	}
}

// fromTOML gives what was read the lines where it stands.
func fromTOML(file string, read any, at string, lines map[string]int, line int) *Value {
	if l := lines[at]; l > 0 {
		line = l
	}
	v := &Value{Origin: Origin{file, line}}
	switch read := read.(type) {
	case map[string]any:
		v.Kind, v.Table = Table, make(map[string]*Value, len(read))
		for key, member := range read {
			v.Table[key] = fromTOML(file, member, mark(at, key), lines, line)
		}
	case []any:
		v.Kind = List
		for i, item := range read {
			v.List = append(v.List, fromTOML(file, item, mark(at, strconv.Itoa(i)), lines, line))
		}
	case string:
		v.Kind, v.Text = Text, read
	case bool:
		v.Kind, v.Bool = Bool, read
	case int64:
		v.Kind, v.Number, v.Text = Int, float64(read), strconv.FormatInt(read, 10)
	case float64:
		v.Kind, v.Number, v.Text = Float, read, strconv.FormatFloat(read, 'g', -1, 64)
	default: // a date or a time: no key wants one
		v.Kind, v.Text = Text, fmt.Sprint(read)
	}
	return v
}

// lineOf is a line of a text, for an error, unless it may hold a secret.
func lineOf(src []byte, line int) string {
	n := 0
	for l := range strings.Lines(string(src)) {
		if n++; n == line {
			if l = strings.TrimSpace(l); len(l) > 80 || IsSecretName(l) {
				return ""
			}
			return l
		}
	}
	return ""
}
