// Package drafting makes a first rule file for a service, and its examples, from messages
// of the service.
package drafting

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/meta"
	"github.com/fedora-infra/fedmsg-go/meta/example"
)

// maxOfTopic is how many messages of one topic become examples.
const maxOfTopic = 2

// A Draft is what is found in messages about one topic.
type Draft struct {
	event   string
	samples []*fedmsg.Message
	read    int            // messages, of which samples are the first
	found   []string       // paths, and what stood there first
	has     map[string]int // how many messages have a path
}

// New begins a draft for the topics that end so, after the service.
func New(event string) *Draft { return &Draft{event: event, has: make(map[string]int)} }

// Take notes what a message has.
func (d *Draft) Take(m *fedmsg.Message) {
	d.read++
	for _, line := range paths(nil, "", m.Body, 0) {
		path, value, _ := strings.Cut(line, " ")
		if value == "null" {
			continue
		}
		if d.has[path]++; d.has[path] == 1 {
			d.found = append(d.found, line)
		}
	}
	if len(d.samples) < maxOfTopic {
		d.samples = append(d.samples, m)
	}
}

// hole is a template for what stands at a path; what is not always there says so.
func (d *Draft) hole(path string) string {
	if d.has[path] < d.read {
		return "{{with " + path + "}}{{.}}{{end}}"
	}
	return "{{" + path + "}}"
}

// Text is the rule file. Words are found by the engine; clean makes what messages hold
// safe to show.
func Text(ctx context.Context, engine *meta.Engine, service string, drafts []*Draft, clean func(string) string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `# What the messages of %s mean to people. docs/words.md tells how to go on.
service = "%s"
name    = "%s"

# Who it is about, and which packages, whatever happened. A name of the message
# that is not there is left out.
`, service, service, service)
	for _, guess := range []struct{ field, keys string }{
		{"usernames", "agent user username owner author"},
		{"packages", "package packages package_name component"},
	} {
		if found := firstKeys(drafts, strings.Fields(guess.keys)); found != "" {
			fmt.Fprintf(&b, "%-9s = [%s]\n", guess.field, found)
		} else {
			fmt.Fprintf(&b, "# %s: as long as nothing is said here, they are guessed\n", guess.field)
		}
	}
	for _, d := range drafts {
		words := engine.Describe(ctx, d.samples[0])
		b.WriteString("\n")
		for i, line := range d.found {
			if i == 0 {
				b.WriteString("# The message has:\n")
			}
			path, _, _ := strings.Cut(line, " ")
			if n := d.has[path]; n < d.read {
				line = fmt.Sprintf("%s   (in %d of %d: write {{with %s}}, {{.}}{{end}})", line, n, d.read, path)
			}
			fmt.Fprintf(&b, "#   %s\n", clean(line))
		}
		fmt.Fprintf(&b, "[[rule]]\ntopic    = %q\n", d.event)
		fmt.Fprintf(&b, "subtitle = '''%s'''\n", d.sentence(words.Subtitle))
		if words.Link != "" {
			if path := pathOf(d.samples[0].Body, words.Link); path != "" {
				fmt.Fprintf(&b, "link     = '{{%s}}'\n", path)
			}
		}
	}
	return b.Bytes()
}

// sentence is the sentence that one would get without a rule, with holes
// where it says something that the message holds.
func (d *Draft) sentence(sentence string) string {
	type hole struct{ path, value string }
	var holes []hole
	for _, line := range paths(nil, "", d.samples[0].Body, 0) {
		path, value, _ := strings.Cut(line, " ")
		if slices.Contains([]string{"null", "true", "false", aList}, value) {
			continue
		}
		if text, ok := fedmsg.DecodeString([]byte(value)); ok {
			value = text
		}
		if len(value) > 1 && !strings.ContainsAny(value, "{}'") {
			holes = append(holes, hole{path, value})
		}
	}
	slices.SortStableFunc(holes, func(a, b hole) int { return len(b.value) - len(a.value) })
	for i, h := range holes { // first marks, so that no value is looked for in a path
		whole := regexp.MustCompile(`(^|[^\pL\pN])` + regexp.QuoteMeta(h.value) + `($|[^\pL\pN])`)
		sentence = whole.ReplaceAllString(sentence, "${1}"+string(rune(0xE000+i))+"${2}")
	}
	sentence = strings.NewReplacer("{{", `{{"{{"}}`, "'''", `"`).Replace(sentence)
	for i, h := range holes {
		sentence = strings.ReplaceAll(sentence, string(rune(0xE000+i)), d.hole(h.path))
	}
	return sentence
}

// firstKeys are templates for those of keys that a message has at the top.
func firstKeys(drafts []*Draft, keys []string) string {
	for _, key := range keys {
		for _, d := range drafts {
			var body map[string]json.RawMessage
			if json.Unmarshal(d.samples[0].Body, &body) != nil || body[key] == nil || string(body[key]) == "null" {
				continue
			}
			if body[key][0] == '{' {
				return "'{{." + key + ".name}}'"
			}
			return "'{{." + key + "}}'"
		}
	}
	return ""
}

// aList stands for a list in paths.
const aList = "(a list)"

// paths lists what a body holds: a path, and what stands there.
func paths(found []string, prefix string, body json.RawMessage, depth int) []string {
	members, err := fedmsg.DecodeObject(body)
	if err != nil || depth > 3 || len(found) > 40 {
		return found
	}
	for _, m := range members {
		if !isIdentifier(m.Name) {
			continue
		}
		path := prefix + "." + m.Name
		switch m.JSON[0] {
		case '{':
			found = paths(found, path, m.JSON, depth+1)
		case '[':
			found = append(found, path+" "+aList)
		default:
			found = append(found, path+" "+clip(string(m.JSON), 60))
		}
	}
	return found
}

// pathOf finds where a text stands in a body.
func pathOf(body json.RawMessage, text string) string {
	for _, line := range paths(nil, "", body, 0) {
		if path, value, _ := strings.Cut(line, " "); value == clip(`"`+text+`"`, 60) {
			return path
		}
	}
	return ""
}

func isIdentifier(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == "" && (s[0] < '0' || s[0] > '9')
}

func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "..."
	}
	return s
}

// Examples are the lines of the file of examples, with what the rules in dir make of them.
func Examples(ctx context.Context, dir, file string, drafts []*Draft) ([]byte, error) {
	var b bytes.Buffer
	for _, d := range drafts {
		for _, m := range d.samples {
			b.WriteString(`{"msg": `)
			b.Write(m.Compact())
			b.WriteString("}\n")
		}
	}
	engine, err := meta.New(meta.Config{Dir: dir}, nil)
	if err != nil {
		return nil, err
	}
	examples, _ := example.Read(file, b.Bytes())
	lines := strings.Split(b.String(), "\n")
	for _, ex := range examples {
		if lines[ex.Line-1], err = ex.Updated(ctx, engine); err != nil {
			return nil, err
		}
	}
	return []byte(strings.Join(lines, "\n")), nil
}
