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
			if found > 0 {
				return fmt.Errorf("%s in %d %s: %w", counted(found, "problem"), len(files), plural(len(files), "file", "files"), fedmsg.ErrInvalid)
			}
			return nil
		},
	}
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
Each rule must be shown by an example. A folder stands for the rule files in it.
Exits with 65 if something is otherwise.`,
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
		return fmt.Errorf("%s: %s; the examples are not tried before that is mended: %w", file, counted(len(wrong), "problem"), fedmsg.ErrInvalid)
	}
	beside := strings.TrimSuffix(file, ".toml") + ".jsonl"
	text, err := os.ReadFile(beside)
	if err != nil {
		return &fedmsg.HintError{Err: err, Hint: `examples are messages, one a line: {"msg": {"topic": ..., "msg": {...}}}; "fedmsg rules test --update" adds what is expected`}
	}
	examples, problems := example.Read(beside, text)
	wrong = append(wrong, problems...)
	lines := strings.Split(string(text), "\n")
	changed := 0
	var coverage example.Coverage
	for _, ex := range examples {
		now = ex.Messages[0].Time // the clock of an example
		coverage.Add(ctx, engine, ex)
		different := ex.Check(ctx, engine)
		if update && len(different) > 0 {
			if lines[ex.Line-1], err = ex.Updated(ctx, engine); err != nil {
				return fmt.Errorf("%s:%d: %w", beside, ex.Line, err)
			}
			changed++
			continue
		}
		for _, err := range different {
			wrong = append(wrong, meta.Problem{File: beside, Line: ex.Line, Text: err.Error()})
		}
	}
	wrong = append(wrong, coverage.Missing(engine, file)...)
	if changed > 0 {
		if err := writeFile(beside, []byte(strings.Join(lines, "\n"))); err != nil {
			return err
		}
		fmt.Fprintf(out, "%s: %s written anew; read what they say now\n", beside, counted(changed, "example"))
	}
	if err := printProblems(out, wrong); err != nil {
		return err
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%s: %s: %w", file, counted(len(wrong), "problem"), fedmsg.ErrInvalid)
	}
	_, err = fmt.Fprintf(out, "%s: %s\n", file, counted(len(examples), "example"))
	return err
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
what about it, what the variables are, and why a field is empty.`,
		Example: `  fedmsg rules explain --rules . message.json`,
		RunE: func(cmd *cobra.Command, files []string) (err error) {
			engine, err := w.engineFor(env)
			if err != nil {
				return err
			}
			out := bufio.NewWriter(output{env.stdout})
			defer func() { err = cmp.Or(err, out.Flush()) }()
			for doc, err := range documents(cmd.Context(), env, files, true) {
				if err != nil {
					return err
				}
				m, err := readMessage(doc.text)
				if err != nil {
					return fmt.Errorf("%s: %w", doc.place, err)
				}
				printExplanation(out, m, engine.Explain(cmd.Context(), m))
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
