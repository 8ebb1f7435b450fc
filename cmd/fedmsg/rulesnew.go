package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/meta"
	"github.com/fedora-infra/fedmsg-go/meta/example"
)

// maxDraft is how many messages a draft is made from, and maxOfTopic how many of
// one topic.
const (
	maxDraft   = 1000
	maxOfTopic = 2
)

func newRulesNew(env environ) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "new SERVICE [MESSAGES...]",
		Short: "Make a first rule file for a service, from messages of it",
		Long: `Make SERVICE.toml and SERVICE.jsonl from messages of the service, which are read from
files or standard input, as "fedmsg describe" does: a rule for each topic, with the
sentence that one would get without it, and what the messages hold as comments.
Nothing that exists is overwritten.`,
		Example: `  fedmsg tail --json --after 0 --until-now '*.*.*.library.#' | fedmsg rules new library`,
		Args:    named("service", "fedmsg rules new SERVICE [MESSAGES...]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return draftRules(cmd.Context(), env, dir, args[0], args[1:])
		},
	}
	cmd.Flags().StringVar(&dir, "dir", ".", "make the files in DIR")
	return cmd
}

// A draft is what is found in messages about one topic.
type draft struct {
	event   string
	samples []*fedmsg.Message
	read    int            // messages, of which samples are the first
	found   []string       // paths, and what stood there first
	has     map[string]int // how many messages have a path
}

// take notes what a message has.
func (d *draft) take(m *fedmsg.Message) {
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
func (d *draft) hole(path string) string {
	if d.has[path] < d.read {
		return "{{with " + path + "}}{{.}}{{end}}"
	}
	return "{{" + path + "}}"
}

func draftRules(ctx context.Context, env environ, dir, service string, files []string) error {
	if strings.Contains(service, ".") || fedmsg.Topic("org.example.prod."+service).Validate() != nil {
		return usageError{fmt.Errorf("%q: a service is the fourth word of its topics: org.example.prod.SERVICE.what.happened", service)}
	}
	drafts, others, err := readDrafts(ctx, env, service, files)
	if err != nil {
		return err
	}
	if len(drafts) == 0 {
		return &fedmsg.HintError{
			Err:  fmt.Errorf("no message of %s was read, and %d of others: %w", service, others, fedmsg.ErrInvalid),
			Hint: fmt.Sprintf("take some from a bus: fedmsg tail --json --after 0 --until-now '*.*.*.%s.#' | fedmsg rules new %[1]s", service),
		}
	}
	engine, err := meta.New(meta.Config{}, nil)
	if err != nil {
		return err
	}
	rules, examples := filepath.Join(dir, service+".toml"), filepath.Join(dir, service+".jsonl")
	if _, err := os.Lstat(examples); err == nil { // before half of it is made
		return createFile(examples, nil)
	}
	if err := createFile(rules, draftText(ctx, engine, service, drafts)); err != nil {
		return err
	}
	lines, err := draftExamples(ctx, dir, examples, drafts)
	if err != nil {
		return err
	}
	if err := createFile(examples, lines); err != nil {
		return err
	}
	_, err = fmt.Fprintf(output{env.stdout}, `made %s with %s, and %s with %s
now make the sentences better, and see what comes out:
  fedmsg rules test --update %[1]s
  fedmsg describe --rules %[5]s --text MESSAGES
`, rules, counted(len(drafts), "rule"), examples, counted(bytes.Count(lines, []byte("\n")), "example"), dir)
	return err
}

// readDrafts reads messages of a service, by topic in the order of their coming.
func readDrafts(ctx context.Context, env environ, service string, files []string) (drafts []*draft, others int, err error) {
	byEvent := make(map[string]*draft)
	read := 0
	for doc, err := range documents(ctx, env, files, true) {
		if err != nil {
			return nil, others, err
		}
		messages, err := readMessages(doc.text)
		if err != nil {
			return nil, others, fmt.Errorf("%s: %w", doc.place, err)
		}
		m := messages[0]
		words := strings.SplitN(string(m.Topic), ".", 5)
		if len(words) < 5 || words[3] != service {
			others++
			continue
		}
		if _, err := fedmsg.Decode(m.Compact()); err != nil { // history may be looser
			fmt.Fprintf(env.stderr, "fedmsg rules new: %s: cannot be an example: %s\n", cleanLine(doc.place), cleanLine(err.Error()))
			continue
		}
		d := byEvent[words[4]]
		if d == nil {
			d = &draft{event: words[4], has: make(map[string]int)}
			byEvent[words[4]] = d
			drafts = append(drafts, d)
		}
		d.take(m)
		if read++; read == maxDraft {
			break
		}
	}
	return drafts, others, nil
}

// draftText writes the rule file.
func draftText(ctx context.Context, engine *meta.Engine, service string, drafts []*draft) []byte {
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
			fmt.Fprintf(&b, "#   %s\n", cleanLine(line))
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
func (d *draft) sentence(sentence string) string {
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
func firstKeys(drafts []*draft, keys []string) string {
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

// draftExamples writes the examples, with what the new rules make of them.
func draftExamples(ctx context.Context, dir, file string, drafts []*draft) ([]byte, error) {
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

// createFile makes a file that must not exist yet.
func createFile(name string, text []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		if at, ok := errors.AsType[*fs.PathError](err); ok {
			at.Op = "create"
		}
		if errors.Is(err, os.ErrExist) {
			return &fedmsg.HintError{Err: err, Hint: "move it away first, or name another place with --dir"}
		}
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}
