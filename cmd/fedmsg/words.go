package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/pflag"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http/fetch"
	"github.com/fedora-infra/fedmsg-go/meta"
)

// wordsConfig says where the words for messages come from.
type wordsConfig struct {
	Rules    string            // folder of rule files
	Accounts string            // file
	Settings map[string]string // for rules
	Fetch    bool
}

func (c *wordsConfig) flags(f *pflag.FlagSet, env environ) {
	f.StringVar(&c.Rules, "rules", env.getenv("FEDMSG_RULES"), "words by the rule files in DIR too, before those built in (default $FEDMSG_RULES)")
	f.StringVar(&c.Accounts, "accounts", env.getenv("FEDMSG_ACCOUNTS"), "find accounts in FILE: a JSON object of nicks, or mail addresses, and accounts (default $FEDMSG_ACCOUNTS)")
	f.StringToStringVar(&c.Settings, "rule-setting", nil, "a setting for rules that ask for one: NAME=VALUE; may be given often")
	f.BoolVar(&c.Fetch, "fetch", false, "let rules fetch pages of the sites that they name, such as patches")
}

// engine loads the rules. Those that are wrong are told and left out.
func (c *wordsConfig) engine(logger *slog.Logger) (*meta.Engine, error) {
	cfg := meta.Config{Dir: c.Rules, Settings: c.Settings}
	if c.Accounts != "" {
		accounts, err := readAccounts(c.Accounts)
		if err != nil {
			return nil, err
		}
		cfg.Revision = fmt.Sprint(accounts)
		cfg.Accounts = func(nick string) string {
			if account, ok := accounts[nick]; ok {
				return account
			}
			return nick
		}
	}
	if c.Fetch {
		cfg.Fetch = fetch.New()
	}
	engine, err := meta.New(cfg, logger)
	if err != nil {
		return nil, &fedmsg.HintError{Err: configError{err}, Hint: "--rules names a folder of rule files"}
	}
	return engine, nil
}

// readAccounts reads a JSON object of names.
func readAccounts(file string) (map[string]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	var accounts map[string]string
	if err := json.Unmarshal(text, &accounts); err != nil {
		return nil, configError{&fedmsg.HintError{
			Err:  fmt.Errorf("accounts: %s: %w", file, err),
			Hint: `it is a JSON object of nicks, or mail addresses, and accounts: {"threebean": "ralph", "rbean@example.org": "ralph"}`,
		}}
	}
	return accounts, nil
}

// engineFor loads the rules for a command; what is wrong in them goes to
// standard error.
func (c *wordsConfig) engineFor(env environ) (*meta.Engine, error) {
	return c.engine(slog.New(&teller{w: env.stderr}))
}

// A teller is a [slog.Handler] that tells people what an engine has to say of rules.
type teller struct {
	w io.Writer

	mu   sync.Mutex
	last string // what was told of the problem before
}

func (*teller) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (t *teller) WithAttrs([]slog.Attr) slog.Handler             { return t }
func (t *teller) WithGroup(string) slog.Handler                  { return t }

// Handle writes what is wrong, after what becomes of it if that was not said before.
func (t *teller) Handle(_ context.Context, r slog.Record) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r.Message != t.last || r.Level == slog.LevelInfo {
		fmt.Fprintf(t.w, "fedmsg: rules: %s\n", cleanLine(r.Message))
	}
	t.last = r.Message
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "err" {
			fmt.Fprintf(t.w, "fedmsg: rules: %s\n", cleanLine(a.Value.String()))
		}
		return true
	})
	return nil
}

// mentions reports whether a comma list names somebody, or something, of found.
// An empty list asks for nothing in particular.
func mentions(list string, found []string) bool {
	return list == "" || slices.ContainsFunc(strings.Split(list, ","), func(name string) bool {
		return slices.Contains(found, strings.TrimSpace(name))
	})
}
