package meta

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	toml "github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/fedora-infra/fedmsg-go/meta/mistake"
)

// maxFile is the largest rule file, in bytes.
const maxFile = 1 << 20

// A Problem is something wrong in a rule file.
type Problem struct {
	File string
	Line int // from 1; 0 if it is no line's fault
	Text string
}

func (p Problem) Error() string {
	if p.Line == 0 {
		return p.File + ": " + p.Text
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text)
}

// A document is a rule file as it is written.
type document struct {
	Service string                       `toml:"service"`
	Prefix  any                          `toml:"prefix"`
	Name    string                       `toml:"name"`
	About   string                       `toml:"about"`
	Home    string                       `toml:"home"`
	People  string                       `toml:"people"`
	Fetch   []string                     `toml:"fetch"`
	Tables  map[string]map[string]string `toml:"tables"`
	Rules   []ruleDocument               `toml:"rule"`
	Groups  []groupDocument              `toml:"group"`
	fieldsDocument
}

type fieldsDocument struct {
	Subtitle      *string           `toml:"subtitle"`
	Link          *string           `toml:"link"`
	Icon          *string           `toml:"icon"`
	SecondaryIcon *string           `toml:"secondary_icon"`
	LongForm      *string           `toml:"long_form"`
	Agent         *string           `toml:"agent"`
	Usernames     *[]any            `toml:"usernames"`
	Packages      *[]any            `toml:"packages"`
	Objects       *[]any            `toml:"objects"`
	Vars          map[string]string `toml:"vars"`
}

type ruleDocument struct {
	Topic any    `toml:"topic"`
	When  string `toml:"when"`
	fieldsDocument
}

type groupDocument struct {
	Topic         any               `toml:"topic"`
	When          string            `toml:"when"`
	By            []string          `toml:"by"`
	Overlap       string            `toml:"overlap"`
	Subtitle      string            `toml:"subtitle"`
	Link          string            `toml:"link"`
	SecondaryIcon string            `toml:"secondary_icon"`
	Collect       map[string]string `toml:"collect"`
}

// decodeFile reads a rule file and where each of its keys stands.
func decodeFile(name string, src []byte) (*document, lineTable, []Problem) {
	if len(src) > maxFile {
		return nil, nil, []Problem{{name, 0, fmt.Sprintf("the file has %d bytes; %d is the limit", len(src), maxFile)}}
	}
	var doc document
	var problems []Problem
	var wrong *toml.DecodeError
	src, single := mistake.OneBracket(src)
	for _, line := range single {
		problems = append(problems, Problem{name, line, "write [[rule]] or [[group]], in two brackets: there may be many"})
	}
	err := toml.NewDecoder(bytes.NewReader(src)).DisallowUnknownFields().Decode(&doc)
	for errors.As(err, &wrong) {
		line, _ := wrong.Position()
		m := wrongType.FindStringSubmatch(wrong.Error())
		if m == nil {
			break
		}
		key, from, to := partAt(src, line)
		problems = append(problems, Problem{name, line, mistake.WrongType(key, m[2], m[1])})
		if from == 0 || len(problems) > maxWrongTypes {
			return nil, nil, problems
		}
		src = withoutLines(src, from, to)
		doc = document{}
		err = toml.NewDecoder(bytes.NewReader(src)).DisallowUnknownFields().Decode(&doc)
	}
	var unknown *toml.StrictMissingError
	switch {
	case errors.As(err, &unknown):
		for _, e := range unknown.Errors {
			line, _ := e.Position()
			problems = append(problems, Problem{name, line, mistake.UnknownKey(e.Key())})
		}
		problems = firstOnly(problems)
	case errors.As(err, &wrong):
		line, _ := wrong.Position()
		return nil, nil, append(problems, Problem{name, line, mistake.Syntax(src, line, strings.TrimPrefix(wrong.Error(), "toml: "))})
	case err != nil:
		return nil, nil, append(problems, Problem{name, 0, strings.TrimPrefix(err.Error(), "toml: ")})
	}
	if doc.Service == "" {
		if slices.ContainsFunc(problems, func(p Problem) bool { return strings.HasPrefix(p.Text, "service: ") }) {
			return nil, nil, problems
		}
		return nil, nil, append(problems, Problem{name, 0, `no service: write service = "NAME", the fourth word of its topics`})
	}
	return &doc, readLines(src), problems
}

// firstOnly leaves out problems that say again, on the same line or below an unknown
// part, what was said.
func firstOnly(problems []Problem) []Problem {
	said := make(map[string]bool)
	return slices.DeleteFunc(problems, func(p Problem) bool {
		again := said[p.Text]
		said[p.Text] = true
		return again && strings.HasPrefix(p.Text, "unknown key")
	})
}

// ServiceOf returns the service of a rule file; "" if it cannot be read.
func ServiceOf(src []byte) string {
	doc, _, _ := decodeFile("", src)
	if doc == nil {
		return ""
	}
	return doc.Service
}

// wrongType is how the decoder words that a value is of another type than its field.
var wrongType = regexp.MustCompile(`^toml: cannot decode TOML (\S+) into (?:a |struct field \S+ of type )?(.+)$`)

// maxWrongTypes is how many values of a wrong type one file may have and still be read.
const maxWrongTypes = 100

// partAt finds what to leave out, from line to line, if there is a value of a wrong
// type on a line: the rule or the group that it is in, else its key alone. from is
// 0 if that cannot be told.
func partAt(src []byte, line int) (key string, from, to int) {
	p := unstable.Parser{}
	p.Reset(src)
	part := "" // "rule" or "group", while we are in one
	for p.NextExpression() {
		e := p.Expression()
		words, at := keyWords(e.Key()), keyLine(&p, e)
		header := e.Kind == unstable.Table || e.Kind == unstable.ArrayTable
		ends := header && !(len(words) > 1 && words[0] == part) // the part before
		if at > line && (ends || part == "") {
			return key, from, at - 1
		}
		switch {
		case ends && slices.Contains([]string{"rule", "group"}, words[0]):
			part, from = words[0], at
		case ends || part == "":
			part, from = "", at
		}
		if at <= line {
			key = words[len(words)-1]
		}
	}
	return key, from, math.MaxInt
}

// withoutLines empties lines, counted from 1, so that all others keep their numbers.
func withoutLines(src []byte, from, to int) []byte {
	lines := bytes.Split(src, []byte("\n"))
	for i := from - 1; i < min(to, len(lines)); i++ {
		lines[i] = nil
	}
	return bytes.Join(lines, []byte("\n"))
}

// A lineTable says on which line, from 1, a key's text begins: keys are like
// "vars.user" or "rule.2.usernames.0".
type lineTable map[string]int

// at finds the line of a key, or of what it stands in.
func (l lineTable) at(key string) int {
	for {
		if line, ok := l[key]; ok {
			return line
		}
		dot := strings.LastIndexByte(key, '.')
		if dot < 0 {
			return 0
		}
		key = key[:dot]
	}
}

func readLines(src []byte) lineTable {
	lines := make(lineTable)
	count := make(map[string]int) // of arrays of tables
	p := unstable.Parser{}
	p.Reset(src)
	prefix := ""
	for p.NextExpression() {
		e := p.Expression()
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			words := keyWords(e.Key())
			line := keyLine(&p, e)
			prefix = ""
			for i, w := range words {
				prefix += w
				if e.Kind == unstable.ArrayTable && i == len(words)-1 {
					count[prefix]++
				}
				if n := count[prefix]; n > 0 {
					prefix += "." + strconv.Itoa(n-1)
				}
				if i == len(words)-1 {
					lines[prefix] = line
				}
				prefix += "."
			}
		case unstable.KeyValue:
			readValueLines(&p, lines, prefix+strings.Join(keyWords(e.Key()), "."), keyLine(&p, e), e.Value())
		}
	}
	return lines
}

func readValueLines(p *unstable.Parser, lines lineTable, key string, line int, v *unstable.Node) {
	lines[key] = line
	switch v.Kind {
	case unstable.String:
		raw := p.Raw(v.Raw)
		if bytes.HasPrefix(raw, []byte("'''\n")) || bytes.HasPrefix(raw, []byte("\"\"\"\n")) {
			lines[key] = line + 1 // a first line break does not count
		}
	case unstable.Array:
		items := v.Children()
		for i := 0; items.Next(); i++ {
			n := items.Node()
			at := line
			if n.Raw.Length > 0 {
				at = p.Shape(n.Raw).Start.Line
			}
			readValueLines(p, lines, key+"."+strconv.Itoa(i), at, n)
		}
	case unstable.InlineTable:
		members := v.Children()
		for members.Next() {
			n := members.Node()
			readValueLines(p, lines, key+"."+strings.Join(keyWords(n.Key()), "."), keyLine(p, n), n.Value())
		}
	}
}

func keyWords(it unstable.Iterator) (words []string) {
	for it.Next() {
		words = append(words, string(it.Node().Data))
	}
	return words
}

func keyLine(p *unstable.Parser, n *unstable.Node) int {
	it := n.Key()
	if !it.Next() {
		return 0
	}
	return p.Shape(it.Node().Raw).Start.Line
}

// textOrTexts reads a value that is a text or a list of texts.
func textOrTexts(v any) ([]string, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case string:
		return []string{v}, nil
	case []any:
		var all []string
		for _, item := range v {
			s, ok := item.(string)
			if !ok {
				return nil, errors.New("each must be text")
			}
			all = append(all, s)
		}
		return all, nil
	}
	return nil, errors.New("must be text, or a list of texts")
}

// validService reports whether a name can be a word of a topic.
func validService(name string) bool {
	return name != "" && !strings.ContainsAny(name, ".*#> /\\") && !slices.Contains([]string{"..", "."}, name)
}
