package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/fedora-infra/fedmsg-go/http"
)

// tokenLifetime is how long a token lives that nobody said anything about.
const tokenLifetime = 90 * 24 * time.Hour

func newToken(env environ) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make, list and revoke tokens for publishing over HTTP",
		Long: `Make, list and revoke bearer tokens. They are kept, as hashes, in tokens.json in
the bus's directory; a running bus notices a change within a second.

A scope says what a token is for: publish:PATTERN, read:PATTERN or admin, where * in
a pattern stands for one word of a topic and # for any number.`,
		Example: `  fedmsg token create ci-bot --scope 'publish:org.fedoraproject.prod.ci.#'
  curl -H "Authorization: Bearer $TOKEN" -d 'build 7 is green' http://127.0.0.1:8330/api/v1/publish/ci.build.done
  fedmsg token list
  fedmsg token revoke ci-bot`,
	}
	open := func() (*http.TokenFile, error) {
		at, err := stateDir(dir, env)
		if err != nil {
			return nil, err
		}
		return http.OpenTokens(filepath.Join(at, "tokens.json"))
	}
	cmd.PersistentFlags().StringVar(&dir, "dir", "", "directory of the bus (default as in fedmsg serve)")
	cmd.AddCommand(newTokenCreate(env, open), newTokenList(env, open), newTokenRevoke(open))
	return cmd
}

func newTokenCreate(env environ, open func() (*http.TokenFile, error)) *cobra.Command {
	var scopes []string
	var lives time.Duration
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a token and print it, this once",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			tokens, err := open()
			if err != nil {
				return err
			}
			secret, _, err := tokens.Create(args[0], scopes, lives)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(env.stdout, secret)
			return err
		},
	}
	cmd.Flags().StringArrayVar(&scopes, "scope", nil, "what it is for: publish:PATTERN, read:PATTERN or admin; may be given often")
	cmd.Flags().DurationVar(&lives, "expires", tokenLifetime, "how long it lives")
	_ = cmd.MarkFlagRequired("scope") // it exists
	return cmd
}

func newTokenList(env environ, open func() (*http.TokenFile, error)) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show the tokens there are, without their secrets",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			tokens, err := open()
			if err != nil {
				return err
			}
			list, err := tokens.List()
			if err != nil {
				return err
			}
			if asJSON {
				for _, t := range list {
					if err := json.NewEncoder(env.stdout).Encode(t); err != nil {
						return err
					}
				}
				return nil
			}
			w := tabwriter.NewWriter(env.stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "NAME\tSCOPES\tEXPIRES")
			for _, t := range list {
				fmt.Fprintf(w, "%s\t%s\t%s\n", t.Name, strings.Join(t.Scopes, " "), expiry(t.Expires, time.Now()))
			}
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return cmd
}

// expiry tells when a token ends, and says so if that is past.
func expiry(at, now time.Time) string {
	text := at.UTC().Format(time.DateOnly)
	if !now.Before(at) {
		text += " (expired)"
	}
	return text
}

func newTokenRevoke(open func() (*http.TokenFile, error)) *cobra.Command {
	return &cobra.Command{
		Use:   "revoke NAME",
		Short: "End a token now",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			tokens, err := open()
			if err != nil {
				return err
			}
			return tokens.Revoke(args[0])
		},
	}
}
