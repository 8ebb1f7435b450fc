package meta

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
	ruleKeys  = append([]string{"topic", "when", "vars"}, fieldNames[:]...)
	groupKeys = []string{"topic", "when", "by", "overlap", "subtitle", "link", "secondary_icon", "collect"}
	topKeys   = append([]string{"service", "prefix", "name", "about", "home", "people", "fetch", "tables", "rule", "group", "vars"}, fieldNames[:]...)
)

// unknownKey words that a key is none, and which was meant.
func unknownKey(key []string) string {
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

// wrongTypeText words that a key has a value of another type than it must have.
func wrongTypeText(key, want, got string) string {
	text := fmt.Sprintf("%s: must be %s, not %s", key, cmp.Or(typeNames[want], "a table"), got)
	isList := strings.HasPrefix(want, "[]string") || strings.HasPrefix(want, "[]interface")
	switch {
	case isList && got == "string":
		return fmt.Sprintf("%s; write %s = ['...']", text, key)
	}
	return text
}

// singleHeaders are the lines of [rule] and [group].
func singleHeaders(src []byte) (lines []int) {
	p := unstable.Parser{}
	p.Reset(src)
	for p.NextExpression() {
		e := p.Expression()
		if e.Kind != unstable.Table {
			continue
		}
		if words := keyWords(e.Key()); len(words) == 1 && (words[0] == "rule" || words[0] == "group") {
			lines = append(lines, keyLine(&p, e))
		}
	}
	return lines
}

// withTwoBrackets makes [[rule]] of the [rule] on a line.
func withTwoBrackets(src []byte, line int) []byte {
	lines := bytes.Split(src, []byte("\n"))
	header := bytes.Replace(lines[line-1], []byte("["), []byte("[["), 1)
	lines[line-1] = bytes.Replace(header, []byte("]"), []byte("]]"), 1)
	return bytes.Join(lines, []byte("\n"))
}

// assigned finds a key and what stands behind its sign of equality.
var assigned = regexp.MustCompile(`^\s*([\w.-]+)\s*=\s*(.*?)\s*$`)

// syntaxText adds what probably is meant to what the reader of TOML says of a line.
func syntaxText(src []byte, line int, text string) string {
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
