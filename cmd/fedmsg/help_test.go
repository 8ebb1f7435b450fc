package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// eachCommand calls do for all commands, those below others too.
func eachCommand(cmd *cobra.Command, do func(*cobra.Command)) {
	for _, sub := range cmd.Commands() {
		do(sub)
		eachCommand(sub, do)
	}
}

// Every command, and every command below one, says what it does in a line, how it
// is used with an example, and what each flag is for; and it says so when asked.
func TestHelpOfEveryCommand(t *testing.T) {
	names := make(map[string]bool)
	eachCommand(newRoot(environ{stdin: strings.NewReader(""), getenv: func(string) string { return "" }}, nil), func(cmd *cobra.Command) {
		path := cmd.CommandPath()
		names[path] = true
		if first := []rune(cmd.Short + " "); !unicode.IsUpper(first[0]) || strings.HasSuffix(cmd.Short, ".") || len(cmd.Short) > 72 {
			t.Errorf("%s: its line %q must begin with a capital, end without a full stop and have at most 72 characters", path, cmd.Short)
		}
		if cmd.Parent().Parent() == nil && cmd.GroupID == "" {
			t.Errorf("%s: the help does not say with which others it belongs; see groups", path)
		}
		if cmd.Long != "" && !strings.HasSuffix(cmd.Long, ".") {
			t.Errorf("%s: its description ends without a full stop: %q", path, cmd.Long)
		}
		for line := range strings.Lines(cmd.Long) {
			if len([]rune(line)) > 90 {
				t.Errorf("%s: a line of its description is longer than 90 characters: %q", path, line)
			}
		}
		if !strings.Contains(cmd.Example, path) && !strings.Contains(cmd.Parent().Example, path) {
			t.Errorf("%s: no example has it, neither its own nor that of %s", path, cmd.Parent().CommandPath())
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Hidden {
				return
			}
			if f.Usage == "" || unicode.IsUpper(rune(f.Usage[0])) && !unicode.IsUpper(rune(f.Usage[1])) || strings.HasSuffix(f.Usage, ".") {
				t.Errorf("%s --%s: %q must be there, begin small and end without a full stop", path, f.Name, f.Usage)
			}
		})
		got := fedmsgWith(t, new(fakeBus), "", nil, append(strings.Fields(path)[1:], "--help")...)
		if got.status != 0 || got.stderr != "" || !strings.Contains(got.stdout, path) {
			t.Errorf("%s --help: exit %d, %q on standard error, %q", path, got.status, got.stderr, got.stdout)
		}
	})
	for _, path := range []string{"fedmsg describe", "fedmsg rules", "fedmsg rules lint", "fedmsg rules test", "fedmsg rules new", "fedmsg rules explain", "fedmsg rules helpers"} {
		if !names[path] {
			t.Errorf("there is no command %s", path)
		}
	}
}

// docs/rule-helpers.md is what fedmsg rules helpers --markdown prints. make docs
// writes it: it sets UPDATE.
func TestDocsAreGenerated(t *testing.T) {
	for name, args := range map[string][]string{
		"rule-helpers.md": {"rules", "helpers", "--markdown"},
		"config.md":       {"config", "reference"},
	} {
		file := filepath.Join("..", "..", "docs", name)
		want := fedmsgWith(t, new(fakeBus), "", nil, args...).stdout
		if os.Getenv("UPDATE") != "" {
			if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(file)
		if err != nil || string(got) != want {
			t.Errorf("docs/%s is not what the program has to say (%v); renew it with: make docs", name, err)
		}
		columns := 0
		for line := range strings.Lines(want) {
			cells := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|")
			if cells == 0 {
				columns = 0
				continue
			}
			if columns == 0 {
				columns = cells
			}
			if cells != columns || strings.HasSuffix(line, "|  |\n") {
				t.Errorf("%s: a row of %d cells, or of which nothing is said: %s", name, cells-1, line)
			}
		}
	}
}
