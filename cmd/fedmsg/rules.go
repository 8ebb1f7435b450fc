package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/documents"
	"github.com/fedora-infra/fedmsg-go/meta"
	"github.com/fedora-infra/fedmsg-go/meta/example"
	"github.com/fedora-infra/fedmsg-go/meta/template"
)

func newRules(env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "Write the rules that tell in plain words what messages say",
		Long: `Write the rules that tell in plain words what the messages of a service say: a TOML
file for each service, and beside it a file of examples. docs/words.md shows how to
begin.`,
		Example: `  # a first draft, from what a service said
  fedmsg tail --json --after 0 --until-now '*.*.*.library.#' | fedmsg rules new library

  fedmsg rules lint library.toml
  fedmsg rules test library.toml`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			_ = cmd.Help()
			return usageError{&fedmsg.HintError{Err: errors.New("no command is given"), Hint: "the commands are lint, test, new, explain, helpers"}}
		},
	}
	cmd.AddCommand(newRulesLint(env), newRulesTest(env), newRulesNew(env), newRulesExplain(env), newRulesHelpers(env))
	for _, sub := range cmd.Commands() {
		sub.Flags().SortFlags = false
	}
	return cmd
}

// named wants something to be named on the command line.
func named(what, usage string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > 0 {
			return nil
		}
		return usageError{&fedmsg.HintError{Err: fmt.Errorf("no %s is named", what), Hint: "Usage: " + usage}}
	}
}

func newRulesLint(env environ) *cobra.Command {
	return &cobra.Command{
		Use:   "lint FILE...",
		Short: "Find what is wrong in rule files, or surely not meant",
		Long: `Find what is wrong in rule files: unknown keys and helpers, wrong templates and
patterns, tables that are not there, variables that need themselves. And what is
surely not meant: tables and variables that nothing uses, rules that never have a
say. A folder stands for the rule files in it. Exits with 65 if there is something.`,
		Example: `  fedmsg rules lint /etc/fedmsg/rules`,
		Args:    named("rule file", "fedmsg rules lint FILE..."),
		RunE: func(cmd *cobra.Command, names []string) error {
			files, err := ruleFiles(names)
			if err != nil {
				return err
			}
			found := 0
			for _, file := range files {
				src, err := os.ReadFile(file)
				if err != nil {
					return err
				}
				problems := meta.Lint(file, src)
				found += len(problems)
				if err := printProblems(output{env.stdout}, problems); err != nil {
					return err
				}
			}
			twins, err := printTwins(output{env.stdout}, files)
			if err != nil {
				return err
			}
			if found += twins; found > 0 {
				return invalidError{fmt.Sprintf("%s in %d %s", counted(found, "problem"), len(files), plural(len(files), "file", "files"))}
			}
			return nil
		},
	}
}

// An invalidError is a count of what is invalid; what that is was told before.
type invalidError struct{ text string }

func (e invalidError) Error() string { return e.text }
func (invalidError) Unwrap() error   { return fedmsg.ErrInvalid }

// printTwins tells of rule files that have the same messages as others beside them.
func printTwins(w io.Writer, files []string) (found int, err error) {
	var told []meta.Problem
	for _, file := range files {
		engine, err := meta.New(meta.Config{Dir: filepath.Dir(file)}, nil)
		if err != nil {
			return 0, err
		}
		for _, p := range engine.Notes() {
			if p.File == filepath.Clean(file) {
				told = append(told, p)
			}
		}
	}
	return len(told), printProblems(w, told)
}

func counted(n int, noun string) string { return fmt.Sprintf("%d %s", n, plural(n, noun, noun+"s")) }

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func printProblems(w io.Writer, problems []meta.Problem) error {
	for _, p := range problems {
		if _, err := fmt.Fprintln(w, cleanLine(p.Error())); err != nil {
			return err
		}
	}
	return nil
}

// ruleFiles are the rule files that names mean; a folder means those in it.
func ruleFiles(names []string) ([]string, error) {
	var files []string
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			files = append(files, name)
			continue
		}
		inside, err := filepath.Glob(filepath.Join(name, "*.toml"))
		if err != nil {
			return nil, err
		}
		if len(inside) == 0 {
			return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("no rule file, NAME.toml, is there")}
		}
		files = append(files, inside...)
	}
	return files, nil
}

func newRulesTest(env environ) *cobra.Command {
	var update bool
	cmd := &cobra.Command{
		Use:   "test FILE...",
		Short: "Try rule files on the examples beside them",
		Long: `Try rule files on the examples that stand beside them, SERVICE.jsonl beside
SERVICE.toml: a message and the words that are expected for it, one object a line.
Each rule must be shown by an example, and each group by one of several messages. A
folder stands for the rule files in it. Exits with 65 if something is otherwise.`,
		Example: `  fedmsg rules test library.toml

  # write down what the rules make of the examples now; then read it
  fedmsg rules test --update library.toml`,
		Args: named("rule file", "fedmsg rules test FILE..."),
		RunE: func(cmd *cobra.Command, names []string) error {
			files, err := ruleFiles(names)
			if err != nil {
				return err
			}
			var errs []error
			for _, file := range files {
				errs = append(errs, testRules(cmd.Context(), env, file, update))
			}
			return errors.Join(errs...)
		},
	}
	cmd.Flags().BoolVar(&update, "update", false, "write what the rules say now into the examples, where it is otherwise")
	return cmd
}

// testRules tries one rule file.
func testRules(ctx context.Context, env environ, file string, update bool) error {
	out := output{env.stdout}
	file = filepath.Clean(file) // as the engine has it
	src, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	wrong := meta.Lint(file, src)
	var now time.Time
	engine, err := meta.New(meta.Config{Dir: filepath.Dir(file), Now: func() time.Time { return now }}, nil)
	if err != nil {
		return err
	}
	if isLeftOut(engine, file) { // examples would show what others make of them
		if err := printProblems(out, wrong); err != nil {
			return err
		}
		return invalidError{fmt.Sprintf("%s: %s; the examples are not tried before that is mended", file, counted(len(wrong), "problem"))}
	}
	beside := strings.TrimSuffix(file, ".toml") + ".jsonl"
	text, err := os.ReadFile(beside)
	if err != nil {
		return &fedmsg.HintError{Err: err, Hint: exampleHint}
	}
	examples, problems := example.Read(beside, text)
	if other := serviceOfAll(examples); other != "" && other != meta.ServiceOf(src) {
		return &fedmsg.HintError{
			Err:  invalidError{fmt.Sprintf("%s: the messages in %s are all of service %q, the rules of %q", file, filepath.Base(beside), other, meta.ServiceOf(src))},
			Hint: "service is the fourth word of the topics",
		}
	}
	t := ruleTest{engine: engine, now: &now, file: file, beside: beside, lines: strings.Split(string(text), "\n"), wrong: append(wrong, problems...)}
	if err := t.try(ctx, examples, update); err != nil {
		return err
	}
	if t.changed > 0 {
		if err := writeFile(beside, []byte(strings.Join(t.lines, "\n"))); err != nil {
			return err
		}
		fmt.Fprintf(out, "%s: %s written anew; read what they say now\n", beside, counted(t.changed, "example"))
	}
	if err := printProblems(out, t.wrong); err != nil {
		return err
	}
	if len(t.wrong) > 0 {
		return invalidError{fmt.Sprintf("%s: %s", file, counted(len(t.wrong), "problem"))}
	}
	_, err = fmt.Fprintf(out, "%s: %s\n", file, counted(len(examples)+t.added, "example"))
	return err
}

// exampleHint says what examples are.
const exampleHint = `examples are messages, one a line: {"msg": {"topic": "org.example.prod.SERVICE.what.happened", "msg": {...}, "msg_id": "2026-1", "timestamp": 1764000180}}; "fedmsg rules test --update" adds what is expected`

// serviceOfAll is the fourth word of the topics of all examples; "" if there are several.
func serviceOfAll(examples []*example.Example) string {
	found := ""
	for _, ex := range examples {
		for _, m := range ex.Messages {
			words := strings.Split(string(m.Topic), ".")
			if len(words) < 4 || found != "" && words[3] != found {
				return ""
			}
			found = words[3]
		}
	}
	return found
}

// A ruleTest tries the examples of one rule file.
type ruleTest struct {
	engine         *meta.Engine
	now            *time.Time // the clock of an example
	file, beside   string
	lines          []string // of beside
	wrong          []meta.Problem
	changed, added int // lines
}

func (t *ruleTest) try(ctx context.Context, examples []*example.Example, update bool) (err error) {
	var coverage example.Coverage
	for _, ex := range examples {
		*t.now = ex.Messages[0].Time
		coverage.Add(ctx, t.engine, ex)
		different := ex.Check(ctx, t.engine)
		if update && len(different) > 0 {
			if t.lines[ex.Line-1], err = ex.Updated(ctx, t.engine); err != nil {
				return fmt.Errorf("%s:%d: %w", t.beside, ex.Line, err)
			}
			t.changed++
			continue
		}
		for _, err := range different {
			t.wrong = append(t.wrong, meta.Problem{File: t.beside, Line: ex.Line, Text: err.Error()})
		}
	}
	if update {
		for _, ex := range coverage.Groups(ctx, t.engine, t.file, examples) {
			*t.now = ex.Messages[0].Time
			line, err := ex.Updated(ctx, t.engine)
			if err != nil {
				return fmt.Errorf("%s: a group: %w", t.beside, err)
			}
			coverage.Add(ctx, t.engine, ex)
			if last := len(t.lines) - 1; strings.TrimSpace(t.lines[last]) == "" {
				t.lines = t.lines[:last]
			}
			t.lines = append(t.lines, line, "")
			t.changed, t.added = t.changed+1, t.added+1
		}
	}
	t.wrong = append(t.wrong, coverage.Missing(t.engine, t.file)...)
	return nil
}

// isLeftOut reports whether rules of a file are not in force, as they are wrong.
func isLeftOut(engine *meta.Engine, file string) bool {
	return slices.ContainsFunc(engine.Problems(), func(p meta.Problem) bool { return p.File == file })
}

func newRulesExplain(env environ) *cobra.Command {
	var w wordsConfig
	cmd := &cobra.Command{
		Use:   "explain [MESSAGES...]",
		Short: "Tell which rule says what about messages, and why a field is empty",
		Long: `Read messages as "fedmsg describe" does, and tell of each which files and lines say
what about it, what the variables are, why a field is empty, and what groups them.`,
		Example: `  fedmsg rules explain --rules . message.json`,
		RunE: func(cmd *cobra.Command, files []string) (err error) {
			engine, err := w.engineFor(env)
			if err != nil {
				return err
			}
			out := bufio.NewWriter(output{env.stdout})
			defer func() { err = cmp.Or(err, out.Flush()) }()
			var all []*fedmsg.Message
			for doc, err := range documents.Read(cmd.Context(), env.stdin, files, true) {
				if err != nil {
					return err
				}
				messages, err := readMessages(doc.Text)
				if err != nil {
					return fmt.Errorf("%s: %w", doc.Place, err)
				}
				for _, m := range messages {
					printExplanation(out, m, engine.Explain(cmd.Context(), m))
				}
				all = append(all, messages...)
			}
			for _, g := range engine.Group(cmd.Context(), all) {
				printGroupOrigin(out, g, all)
			}
			return nil
		},
	}
	w.flags(cmd.Flags(), env)
	return cmd
}

func printExplanation(out io.Writer, m *fedmsg.Message, x meta.Explanation) {
	fmt.Fprintf(out, "%s %s\n", cleanLine(string(m.Topic)), cleanLine(m.ID))
	if len(x.Files) == 0 {
		fmt.Fprintln(out, "  no rule file is for this service")
	}
	for _, f := range x.Fields {
		fmt.Fprintf(out, "  %-14s %s\n", f.Field, cleanLine(cmp.Or(f.Value, "(empty)")))
		from := "not from a rule"
		if f.File != "" {
			from = fmt.Sprintf("%s:%d", f.File, f.Line)
		}
		if f.Why != "" {
			from += ": " + f.Why
		}
		fmt.Fprintf(out, "  %-14s   %s\n", "", cleanLine(from))
		if f.Field == "subtitle" && f.Value == "" {
			fmt.Fprintf(out, "  %-14s   instead: %s\n", "", cleanLine(x.Words.Subtitle))
		}
	}
	for _, v := range x.Vars {
		fmt.Fprintf(out, "  %-14s %s\n", "$"+v.Name, cleanLine(v.Value))
	}
	for _, g := range x.Groups {
		fmt.Fprintf(out, "  %-14s %s:%d\n", "group", cleanLine(g.File), g.Line)
		if g.Why != "" {
			fmt.Fprintf(out, "  %-14s   is in no group: %s\n", "", cleanLine(g.Why))
			continue
		}
		fmt.Fprintf(out, "  %-14s   goes with what has %s\n", "", cleanLine(strings.Join(g.Keys, " or ")))
		for _, c := range g.Collected {
			fmt.Fprintf(out, "  %-14s   $%s has %s\n", "", cleanLine(c.Name), cleanLine(cmp.Or(c.Value, "nothing")))
		}
	}
	fmt.Fprintln(out)
}

// printGroupOrigin tells of a group of several messages which rule words it.
func printGroupOrigin(out io.Writer, g meta.Group, all []*fedmsg.Message) {
	if g.Line == 0 {
		return
	}
	var ids []string
	for _, n := range g.Members {
		ids = append(ids, all[n].ID)
	}
	fmt.Fprintf(out, "group of %s\n  %-14s %s\n  %-14s   %s\n", cleanLine(strings.Join(ids, " ")), "subtitle", cleanLine(g.Words.Subtitle), "", cleanLine(fmt.Sprintf("%s:%d", g.File, g.Line)))
	if g.Why != "" {
		fmt.Fprintf(out, "  %-14s   not as the group says: %s\n", "", cleanLine(g.Why))
	}
	fmt.Fprintln(out)
}

func newRulesHelpers(env environ) *cobra.Command {
	var markdown bool
	cmd := &cobra.Command{
		Use:     "helpers",
		Short:   "List the helpers that rules may call",
		Long:    "List the helpers that rules may call: how, and what comes out.",
		Example: "  fedmsg rules helpers | grep -i mail",
		Args:    arguments(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			_, err := io.WriteString(output{env.stdout}, helperReference(markdown))
			return err
		},
	}
	cmd.Flags().BoolVar(&markdown, "markdown", false, "as a page of documentation")
	return cmd
}

// inCell keeps a text in one cell of a table in Markdown.
var inCell = strings.NewReplacer("|", `\|`, "\n", " ")

// helperReference lists all helpers.
func helperReference(markdown bool) string {
	var b strings.Builder
	if markdown {
		b.WriteString("# Helpers of rules\n\nWhat templates in rule files may call, beside `if`, `with` and `range`; see\n[words.md](words.md). Made by `fedmsg rules helpers --markdown`; `make docs` renews it.\n")
	}
	group := ""
	for _, r := range template.References() {
		usage, what, _ := strings.Cut(r.Usage, " - ")
		switch {
		case markdown && group != r.Group:
			fmt.Fprintf(&b, "\n## %s\n\n| helper | what comes out |\n|---|---|\n", r.Group)
		case group != r.Group:
			fmt.Fprintf(&b, "%s\n", r.Group)
		}
		group = r.Group
		if markdown {
			fmt.Fprintf(&b, "| `%s` | %s |\n", inCell.Replace(usage), inCell.Replace(strings.ReplaceAll(what, "<", `\<`)))
		} else {
			fmt.Fprintf(&b, "  %-28s %s\n", usage, what)
		}
	}
	return b.String()
}
