package parse

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxYAMLDepth is how deep a YAML file may nest; no key needs more than three.
const maxYAMLDepth = 32

// YAML reads a file's text, and only what means the same to every reader of YAML:
// no aliases, and no plain yes, no, on, off or numbers with a leading 0.
func YAML(file string, src []byte) (*Value, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(src, &doc); err != nil {
		return nil, yamlProblem(file, err)
	}
	if len(doc.Content) == 0 {
		return &Value{Kind: Table, Table: map[string]*Value{}, Origin: Origin{file, 1}}, nil
	}
	return fromYAML(file, doc.Content[0], "", 0)
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?line ([0-9]+): `)

func yamlProblem(file string, err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	origin := Origin{Name: file}
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		origin.Line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	if strings.Contains(text, "cannot start any token") || strings.Contains(text, "tab") {
		text += "; indent with blanks, not with a tab"
	}
	return Problem{Origin: origin, Text: text}
}

func fromYAML(file string, n *yaml.Node, key string, depth int) (*Value, error) {
	v := &Value{Origin: Origin{file, n.Line}}
	wrong := func(format string, args ...any) error {
		return Problem{Origin: v.Origin, Key: key, Text: fmt.Sprintf(format, args...)}
	}
	if depth > maxYAMLDepth {
		return nil, wrong("nests deeper than %d", maxYAMLDepth)
	}
	switch n.Kind {
	case yaml.AliasNode:
		return nil, wrong("aliases are not read; write it twice")
	case yaml.MappingNode:
		v.Kind, v.Table = Table, make(map[string]*Value, len(n.Content)/2)
		for i := 0; i < len(n.Content); i += 2 {
			name := n.Content[i].Value
			if _, known := v.Table[name]; known {
				return nil, Problem{Origin: Origin{file, n.Content[i].Line}, Key: name, Text: "is said twice in one file"}
			}
			member, err := fromYAML(file, n.Content[i+1], strings.TrimPrefix(key+"."+name, "."), depth+1)
			if err != nil {
				return nil, err
			}
			v.Table[name] = member
		}
	case yaml.SequenceNode:
		v.Kind = List
		for i, item := range n.Content {
			one, err := fromYAML(file, item, key+"["+strconv.Itoa(i)+"]", depth+1)
			if err != nil {
				return nil, err
			}
			v.List = append(v.List, one)
		}
	default:
		if err := v.scalar(n); err != nil {
			return nil, wrong("%v", err)
		}
	}
	return v, nil
}

// readersDiffer are plain words that YAML 1.1 takes for true or false, and 1.2 for texts.
var readersDiffer = []string{"y", "n", "yes", "no", "on", "off"}

// scalar reads a plain or quoted value.
func (v *Value) scalar(n *yaml.Node) error {
	v.Text = n.Value
	plain := n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
	if plain && slices.Contains(readersDiffer, strings.ToLower(n.Value)) {
		return fmt.Errorf("%s is a text to some readers of YAML, and true or false to others; write true or false, or %q with quotes", n.Value, n.Value)
	}
	switch n.ShortTag() {
	case "!!str":
		v.Kind = Text
	case "!!bool":
		v.Kind, v.Bool = Bool, strings.EqualFold(n.Value, "true")
	case "!!int":
		if digits := strings.TrimLeft(n.Value, "+-"); len(digits) > 1 && digits[0] == '0' || strings.Contains(n.Value, "_") {
			return fmt.Errorf("%s is not the same number to all readers of YAML; write a decimal number", n.Value)
		}
		i, err := strconv.ParseInt(n.Value, 10, 64)
		if err != nil {
			return fmt.Errorf("%s is too large", n.Value)
		}
		v.Kind, v.Number = Int, float64(i)
	case "!!float":
		f, err := strconv.ParseFloat(n.Value, 64)
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			return fmt.Errorf("%s is no number that a key takes", n.Value)
		}
		v.Kind, v.Number = Float, f
	case "!!null":
		return errors.New("says nothing; leave the key out")
	default:
		return fmt.Errorf("%s is not read", n.ShortTag())
	}
	return nil
}
