package http_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/http"
)

func openTokens(t *testing.T, path string) *http.TokenFile {
	t.Helper()
	f, err := http.OpenTokens(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// What one process does to the file another sees at once.
func TestTokens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.json")
	cli, server := openTokens(t, path), openTokens(t, path)
	secret, made, err := cli.Create("ci-bot", []string{"publish:org.fedoraproject.*.ci.#", "read:#"}, 0)
	if err != nil || !strings.HasPrefix(secret, "fmt_") || len(secret) < 40 {
		t.Fatalf("Create = %q, %v", secret, err)
	}
	if lifetime := made.Expires.Sub(made.Created); lifetime != 90*24*time.Hour {
		t.Errorf("the token is good for %s, want 90 days", lifetime)
	}
	got, err := server.Authenticate(secret)
	if err != nil || got.Name != "ci-bot" {
		t.Errorf("Authenticate = %+v, %v", got, err)
	}
	text, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(text), secret) || strings.Contains(string(text), strings.TrimPrefix(secret, "fmt_")) {
		t.Errorf("the file holds the secret: %s, %v", text, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has the mode %v, %v; want 0600", info.Mode(), err)
	}
	for _, bad := range []string{"", "fmt_", secret + "x", secret[:len(secret)-1]} {
		if _, err := server.Authenticate(bad); fedmsg.ReasonOf(err) != fedmsg.InvalidToken {
			t.Errorf("Authenticate(%q) = %v, want invalid_token", bad, err)
		}
	}
	if _, _, err := cli.Create("ci-bot", []string{"admin"}, 0); !errors.Is(err, fedmsg.ErrConflict) {
		t.Errorf("Create of a name that is taken = %v, want ErrConflict", err)
	}
	if err := cli.Revoke("ci-bot"); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Authenticate(secret); fedmsg.ReasonOf(err) != fedmsg.InvalidToken {
		t.Errorf("Authenticate of a revoked token = %v, want invalid_token", err)
	}
	if list, err := server.List(); err != nil || len(list) > 0 {
		t.Errorf("List after the revocation = %+v, %v; want none", list, err)
	}
	if err := cli.Revoke("nobody"); !errors.Is(err, fedmsg.ErrNotFound) {
		t.Errorf("Revoke(nobody) = %v, want ErrNotFound", err)
	}
	next, _, err := cli.Create("ci-bot", []string{"admin"}, time.Nanosecond) // the old one is revoked, so the name is free
	if err != nil {
		t.Fatal(err)
	}
	fedmsgtest.Eventually(t, 10*time.Second, "the token expires", func() bool {
		_, err := server.Authenticate(next)
		return fedmsg.ReasonOf(err) == fedmsg.TokenExpired && errors.Is(err, fedmsg.ErrNotAllowed)
	})
	list, err := server.List()
	if err != nil || len(list) != 1 || list[0].Scopes[0] != "admin" {
		t.Errorf("List = %+v, %v", list, err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestTokensRefuse(t *testing.T) {
	f := openTokens(t, filepath.Join(t.TempDir(), "tokens.json"))
	for _, tt := range []struct {
		name   string
		scopes []string
		life   time.Duration
	}{
		{"", []string{"admin"}, 0},
		{"a b", []string{"admin"}, 0},
		{"a\n", []string{"admin"}, 0},
		{strings.Repeat("a", 65), []string{"admin"}, 0},
		{"a", nil, 0},
		{"a", []string{"publish"}, 0},
		{"a", []string{"publish:a..b"}, 0},
		{"a", []string{"write:#"}, 0},
		{"a", []string{"admin"}, -time.Second},
	} {
		if _, _, err := f.Create(tt.name, tt.scopes, tt.life); !errors.Is(err, fedmsg.ErrInvalid) {
			t.Errorf("Create(%q, %q, %s) = %v, want ErrInvalid", tt.name, tt.scopes, tt.life, err)
		}
	}
}

// A file that cannot be trusted lets nobody in.
func TestTokensFailClosed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.json")
	f := openTokens(t, path)
	secret, _, err := f.Create("a", []string{"admin"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"rubbish": "{", "an unknown key": `{"token":[]}`, "no hash": `{"tokens":[{"name":"a","scopes":["admin"],"expires":"2099-01-01T00:00:00Z"}]}`,
		"no end": strings.Replace(string(good), `"expires"`, `"revoked"`, 1),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Authenticate(secret); err == nil || fedmsg.ReasonOf(err) == fedmsg.InvalidToken {
			t.Errorf("%s: Authenticate = %v, want an error of the file", name, err)
		}
		if _, err := http.OpenTokens(path); err == nil {
			t.Errorf("%s: OpenTokens takes it", name)
		}
	}
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := http.OpenTokens(path); fedmsg.Hint(err) == "" {
		t.Errorf("OpenTokens of a file that all may write = %v, want a hint", err)
	}
}

// Two processes that change the file at once both get their way.
func TestTokensTogether(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.json")
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			f, err := http.OpenTokens(path)
			if err == nil {
				_, _, err = f.Create("t"+string(rune('a'+i)), []string{"admin"}, 0)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if list, err := openTokens(t, path).List(); err != nil || len(list) != 6 {
		t.Errorf("List = %d tokens, %v; want 6", len(list), err)
	}
}
