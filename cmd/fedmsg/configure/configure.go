// Package configure is the command fedmsg config: what is configured, whether it is
// right, and how old configurations become new ones.
package configure

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/config"
)

// Env is the world of the commands.
type Env struct {
	Stdout, Stderr io.Writer
	Environ        []string // as os.Environ has it
	// Usage and Config mark errors of the command line and of the configuration, and
	// Data those of what is to be imported.
	Usage, Config, Data func(error) error
	// Clean makes text safe to show to people.
	Clean func(string) string
}

// New makes the command.
func New(env Env) *cobra.Command {
	c := command{Env: env}
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show and check what is configured, and import old configurations",
		Long: `What is configured: files in ` + config.DefaultDir + ` in the order of their names, then
files named with --config, then variables FEDMSG_..., then flags; later ones win,
and tables are merged key by key. The variable FEDMSG_CONFIG names another place
than ` + config.DefaultDir + `. Neither the working directory nor your home is looked at.

Without a further word it prints everything as one JSON object, as fedmsg-config did.`,
		Example: `  # is everything right? all mistakes at once, each with file and line
  fedmsg config check

  # what is in force, and where was it said
  fedmsg config show --origin

  # one value, for a script
  fedmsg config --query topic_prefix

  # old Python files become one TOML file; nothing of them is run
  fedmsg config import /etc/fedmsg.d --hostname app01 -o fedmsg.toml`,
		Args: c.noArguments,
		RunE: func(*cobra.Command, []string) error { return c.print() },
	}
	f := cmd.PersistentFlags()
	f.StringArrayVar(&c.paths, "config", nil, "read FILE, or the files in DIR, too; may be given often")
	f.StringVar(&c.only, "config-filename", "", "read FILE alone")
	cmd.Flags().StringVar(&c.query, "query", "", "print what stands under KEY alone: a text as it is, a list line by line, else JSON")
	cmd.Flags().BoolVar(&c.noDefaults, "disable-defaults", false, "leave out what nobody said")
	cmd.AddCommand(c.newCheck(), c.newShow(), c.newImport(), c.newSchema(), c.newReference())
	return cmd
}

type command struct {
	Env
	paths      []string
	only       string
	query      string
	noDefaults bool
	json       bool
}

func (c *command) noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return c.Usage(fmt.Errorf("arguments: %q: %s takes none; %s --help lists its commands", args, cmd.CommandPath(), cmd.CommandPath()))
	}
	return nil
}

// load reads what is configured. What is wrong is returned beside what was understood.
func (c *command) load() (*config.Loaded, error) {
	from := config.PathsFor(c.Environ, c.paths)
	if c.only != "" {
		from.Paths, from.Lenient = []string{c.only}, false
	}
	return config.Load(from)
}

// print prints everything as JSON, or one value.
func (c *command) print() error {
	l, err := c.load()
	if err != nil {
		return c.Config(err)
	}
	values := l.Values(!c.noDefaults)
	if c.query == "" {
		return c.encode(values)
	}
	return c.printValue(values)
}

func (c *command) encode(v any) error {
	enc := json.NewEncoder(c.Stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// printValue prints one value as fedmsg-config did.
func (c *command) printValue(values map[string]any) error {
	found := find(values, c.query)
	switch found := found.(type) {
	case nil:
		return fmt.Errorf("--query: %s: nobody said it, and it has no default", c.query)
	case string:
		_, err := fmt.Fprintln(c.Stdout, found)
		return err
	case []string:
		_, err := io.WriteString(c.Stdout, strings.Join(append(found, ""), "\n"))
		return err
	case []any:
		for _, item := range found {
			text, err := json.Marshal(item)
			if s, is := item.(string); is {
				text = []byte(s)
			}
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(c.Stdout, "%s\n", text); err != nil {
				return err
			}
		}
		return nil
	}
	return c.encode(found)
}

// find finds a key that may have dots itself, in tables too.
func find(values map[string]any, key string) any {
	if v, is := values[key]; is {
		return v
	}
	for at := range len(key) {
		if key[at] != '.' {
			continue
		}
		text, err := json.Marshal(values[key[:at]]) // tables are of several types
		var below map[string]any
		if err != nil || json.Unmarshal(text, &below) != nil {
			continue
		}
		if v := find(below, key[at+1:]); v != nil {
			return v
		}
	}
	return nil
}

func (c *command) newCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Look for mistakes: in the files, and in what they name",
		Long: `Reads everything, as "fedmsg serve" would, and looks at the files that it names. All
mistakes are told at once, each with its file and line, and the status is then 78.
Warnings do not change the status.`,
		Example: `  fedmsg config check
  fedmsg config check --config /etc/fedmsg.d --json`,
		Args: c.noArguments,
		RunE: func(*cobra.Command, []string) error {
			l, err := c.load()
			if err == nil {
				err = l.CheckBus()
			}
			if c.json {
				return c.tellJSON(l, err)
			}
			for _, w := range l.Warnings {
				fmt.Fprintf(c.Stderr, "warning: %s\n", c.Clean(w.Error()))
			}
			if err != nil {
				return c.Config(err)
			}
			_, err = fmt.Fprintf(c.Stdout, "%d files are well\n", len(l.Files))
			return err
		},
	}
	cmd.Flags().BoolVar(&c.json, "json", false, "print one JSON object of problems and warnings")
	return cmd
}

// tellJSON prints problems for other programs to read.
func (c *command) tellJSON(l *config.Loaded, failed error) error {
	type told struct {
		File string `json:"file,omitempty"`
		Line int    `json:"line,omitempty"`
		Key  string `json:"key,omitempty"`
		Text string `json:"text"`
	}
	list := func(problems config.Problems) []told {
		all := make([]told, len(problems))
		for i, p := range problems {
			all[i] = told{p.Origin.Name, p.Origin.Line, p.Key, p.Text}
		}
		return all
	}
	problems, _ := errors.AsType[config.Problems](failed)
	if err := c.encode(map[string]any{"files": l.Files, "problems": list(problems), "warnings": list(l.Warnings)}); err != nil {
		return err
	}
	if len(problems) > 0 {
		return c.Config(fmt.Errorf("%d problems", len(problems)))
	}
	return nil
}

func (c *command) newShow() *cobra.Command {
	var origin, diff bool
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print what is in force, as a file would say it",
		Long:  `Prints what is in force, as one file in TOML. Secrets are not shown.`,
		Example: `  fedmsg config show --origin
  fedmsg config show --diff-defaults --json`,
		Args: c.noArguments,
		RunE: func(*cobra.Command, []string) error {
			l, err := c.load()
			if err != nil {
				return c.Config(err)
			}
			if c.json {
				return c.encode(l.Values(!diff))
			}
			return l.WriteTOML(c.Stdout, !diff, origin)
		},
	}
	cmd.Flags().BoolVar(&origin, "origin", false, "tell of each value where it was said")
	cmd.Flags().BoolVar(&diff, "diff-defaults", false, "leave out what nobody said")
	cmd.Flags().BoolVar(&c.json, "json", false, "print one JSON object")
	return cmd
}

func (c *command) newSchema() *cobra.Command {
	return &cobra.Command{
		Use:     "schema",
		Short:   "Print the JSON Schema of configuration files, for editors",
		Example: `  fedmsg config schema > fedmsg.schema.json`,
		Args:    c.noArguments,
		RunE:    func(*cobra.Command, []string) error { return c.encode(config.Schema()) },
	}
}

func (c *command) newReference() *cobra.Command {
	return &cobra.Command{
		Use:     "reference",
		Short:   "Print the page about configuration, with all keys, in Markdown",
		Example: `  fedmsg config reference | less`,
		Args:    c.noArguments,
		RunE:    func(*cobra.Command, []string) error { return config.WriteReference(c.Stdout) },
	}
}
