// Package mistake says what was probably meant by a rule file that is not as it
// should be.
package mistake

import (
	"bytes"
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/fedora-infra/fedmsg-go/internal/spell"
)

// The keys that may stand in the parts of a rule file.
var (
	fields    = []string{"subtitle", "link", "icon", "secondary_icon", "long_form", "agent", "usernames", "packages", "objects"}
	ruleKeys  = append([]string{"topic", "when", "vars"}, fields...)
	groupKeys = []string{"topic", "when", "by", "overlap", "subtitle", "link", "secondary_icon", "collect"}
	topKeys   = append([]string{"service", "prefix", "name", "about", "home", "people", "fetch", "tables", "rule", "group", "vars"}, fields...)
)

// IsOfRule reports whether a key may stand in a rule.
func IsOfRule(key string) bool { return slices.Contains(ruleKeys, key) }

// UnknownKey words that a key is none, and which was meant.
func UnknownKey(key []string) string {
	text := fmt.Sprintf("unknown key %q", strings.Join(key, "."))
	known, last := topKeys, key[len(key)-1]
	switch key[0] {
	case "rule":
		known = ruleKeys
	case "group":
		known = groupKeys
	default:
		if last = key[0]; len(key) > 1 { // as in [[rules]]
			text = fmt.Sprintf("unknown key %q", last)
		}
	}
	switch near := spell.Nearest(last, known); {
	case len(key) == 1 && (slices.Contains(ruleKeys, last) || slices.Contains(groupKeys, last)):
		return text + " here; it stands below [[rule]] or [[group]]"
	case near == "rule" || near == "group":
		return fmt.Sprintf("%s; did you mean [[%s]]?", text, near)
	case near != "":
		return fmt.Sprintf("%s; did you mean %q?", text, near)
	}
	return text + "; here may stand " + strings.Join(known, ", ")
}

var typeNames = map[string]string{
	"string": "text", "[]string": "a list of texts", "[]interface {}": "a list",
	"map[string]string": "a table of texts", "map[string]map[string]string": "a table of tables",
}

// WrongType words that a key has a value of another type than it must have.
func WrongType(key, want, got string) string {
	text := fmt.Sprintf("%s: must be %s, not %s", key, cmp.Or(typeNames[want], "a table"), got)
	isList := strings.HasPrefix(want, "[]string") || strings.HasPrefix(want, "[]interface")
	switch {
	case isList && got == "string":
		return fmt.Sprintf("%s; write %s = ['...']", text, key)
	}
	return text
}

// OneBracket makes [[rule]] of [rule], as of [group], and returns the lines where it
// has done so.
func OneBracket(src []byte) (better []byte, lines []int) {
	p := unstable.Parser{}
	p.Reset(src)
	for p.NextExpression() {
		e := p.Expression()
		if e.Kind != unstable.Table {
			continue
		}
		key := e.Key()
		if !key.Next() {
			continue
		}
		name, line := key.Node().Data, p.Shape(key.Node().Raw).Start.Line
		if word := string(name); !key.Next() && (word == "rule" || word == "group") {
			lines = append(lines, line)
		}
	}
	better = src
	for _, line := range lines {
		all := bytes.Split(better, []byte("\n"))
		header := bytes.Replace(all[line-1], []byte("["), []byte("[["), 1)
		all[line-1] = bytes.Replace(header, []byte("]"), []byte("]]"), 1)
		better = bytes.Join(all, []byte("\n"))
	}
	return better, lines
}

// assigned finds a key and what stands behind its sign of equality.
var assigned = regexp.MustCompile(`^\s*([\w.-]+)\s*=\s*(.*?)\s*$`)

// Syntax adds what probably is meant to what the reader of TOML says of a line.
func Syntax(src []byte, line int, text string) string {
	lines := bytes.Split(src, []byte("\n"))
	if line < 1 || line > len(lines) {
		return text
	}
	m := assigned.FindSubmatch(lines[line-1])
	if m == nil {
		return text
	}
	key, value := string(m[1]), string(m[2])
	if value == "" {
		return text
	}
	quote := value[:1]
	switch {
	case strings.HasPrefix(value, "{{") || !strings.ContainsAny(quote, `'"[{+-0123456789`):
		return fmt.Sprintf("%s: put the value in quotes: %s = '...'", key, key)
	case !strings.ContainsAny(quote, `'"`) || strings.HasPrefix(value, strings.Repeat(quote, 3)):
		return text
	case strings.Count(value, quote) == 1:
		return fmt.Sprintf("%s: the closing quote %s is missing", key, quote)
	case quote == `"` && strings.Contains(text, "escape"):
		return text + `; in '...' a \ is only a \`
	}
	return fmt.Sprintf("%s: the second %s ends the text; if there is one in the text, write '''...'''", key, quote)
}
