package http

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// DefaultTokenLifetime is how long a token is good for if nothing else is said.
const DefaultTokenLifetime = 90 * 24 * time.Hour

// tokenPrefix begins every secret, so that a lost one is recognised.
const tokenPrefix = "fmt_"

// maxTokenName is the longest name of a token, in bytes.
const maxTokenName = 64

// Token says what the bearer of a secret may do.
type Token struct {
	// Name stands in messages as the user, and in [fedmsg.Entry.Verified].
	Name string `json:"name"`
	// Scopes are what it may do: publish:PATTERN, read:PATTERN or admin, where
	// PATTERN is a [fedmsg.Pattern].
	Scopes []string `json:"scopes"`
	// Created and Expires are when it was made and when it ends.
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
}

// A keptToken is a token as the file has it.
type keptToken struct {
	Token
	// SHA256 of the secret, in hexadecimal. The secret is not kept.
	SHA256 string `json:"sha256"`
	// Revoked is when it was ended early. Such a token stays in the file: a bus
	// that had tokens does not become one that asks for none.
	Revoked time.Time `json:"revoked,omitzero"`
}

// tokenDocument is the file.
type tokenDocument struct {
	Tokens []keptToken `json:"tokens"`
}

// TokenFile keeps tokens in a JSON file. Several processes may use one file: a
// change by one is seen by the others at their next use. It may be used by
// several goroutines at once.
type TokenFile struct {
	path string

	mu     sync.Mutex
	seen   fs.FileInfo // of the file as it was read; nil if there was none
	tokens []keptToken
}

// OpenTokens opens a token file, which need not be there yet. The error says
// what is wrong with one that is: the group or others may write it, or it is no
// token file.
func OpenTokens(path string) (*TokenFile, error) {
	f := &TokenFile{path: path}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f, f.refresh()
}

// refresh reads the file if it is not the one that was read last. f.mu is held.
func (f *TokenFile) refresh() error {
	info, err := os.Stat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		f.seen, f.tokens = nil, nil
		return nil
	}
	if err != nil {
		return fmt.Errorf("token file: %w", err)
	}
	if f.seen != nil && os.SameFile(f.seen, info) && info.ModTime().Equal(f.seen.ModTime()) && info.Size() == f.seen.Size() {
		return nil
	}
	if info.Mode().Perm()&0o022 != 0 {
		return &fedmsg.HintError{
			Err:  fmt.Errorf("token file: %s: others may write it", f.path),
			Hint: "chmod 600 " + f.path,
		}
	}
	text, err := os.ReadFile(f.path)
	if err != nil {
		return fmt.Errorf("token file: %w", err)
	}
	var doc tokenDocument
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&doc); err != nil {
		return fmt.Errorf("token file: %s: %w", f.path, err)
	}
	for _, t := range doc.Tokens {
		if err := t.validate(); err != nil {
			return fmt.Errorf("token file: %s: token %q: %w", f.path, t.Name, err)
		}
		if b, err := hex.DecodeString(t.SHA256); err != nil || len(b) != sha256.Size || t.Expires.IsZero() {
			return fmt.Errorf("token file: %s: token %q: sha256 or expires is missing or malformed", f.path, t.Name)
		}
	}
	f.seen, f.tokens = info, doc.Tokens
	return nil
}

// validate checks what a person chose of a token.
func (t Token) validate() error {
	if err := fedmsg.ValidateID(t.Name); err != nil || len(t.Name) > maxTokenName {
		return fmt.Errorf("name %q: 1 to %d letters, digits, - _ and . are allowed, the first a letter or digit: %w", t.Name, maxTokenName, fedmsg.ErrInvalid)
	}
	if len(t.Scopes) == 0 {
		return fmt.Errorf("scopes: at least one is needed: %w", fedmsg.ErrInvalid)
	}
	for _, scope := range t.Scopes {
		verb, pattern, found := strings.Cut(scope, ":")
		switch {
		case scope == "admin":
		case found && (verb == "publish" || verb == "read"):
			if err := fedmsg.Pattern(pattern).Validate(); err != nil {
				return fmt.Errorf("scope %q: %w", scope, err)
			}
		default:
			return fmt.Errorf("scope %q is not publish:PATTERN, read:PATTERN or admin: %w", scope, fedmsg.ErrInvalid)
		}
	}
	return nil
}

// Create makes a token and returns its secret, which is nowhere else. A lifetime
// of 0 is [DefaultTokenLifetime]. The error wraps [fedmsg.ErrConflict] if there
// is a token of that name which is good, and [fedmsg.ErrInvalid] if name, scopes
// or lifetime cannot be.
func (f *TokenFile) Create(name string, scopes []string, lifetime time.Duration) (secret string, t Token, err error) {
	now := time.Now().UTC().Truncate(time.Second)
	t = Token{Name: name, Scopes: slices.Clone(scopes), Created: now, Expires: now.Add(cmp.Or(lifetime, DefaultTokenLifetime))}
	if lifetime < 0 {
		return "", Token{}, fmt.Errorf("token %q: lifetime %s is negative: %w", name, lifetime, fedmsg.ErrInvalid)
	}
	if err := t.validate(); err != nil {
		return "", Token{}, fmt.Errorf("token: %w", err)
	}
	var random [32]byte
	rand.Read(random[:]) // never fails
	secret = tokenPrefix + base64.RawURLEncoding.EncodeToString(random[:])
	err = f.change(func(tokens []keptToken) ([]keptToken, error) {
		i := slices.IndexFunc(tokens, func(k keptToken) bool { return k.Name == name })
		kept := keptToken{Token: t, SHA256: digest(secret)}
		if i < 0 {
			return append(tokens, kept), nil
		}
		if tokens[i].judge(now) == nil {
			return nil, fmt.Errorf("token %q: there is one already; revoke it first, or take another name: %w", name, fedmsg.ErrConflict)
		}
		tokens[i] = kept
		return tokens, nil
	})
	if err != nil {
		return "", Token{}, err
	}
	return secret, t, nil
}

// List returns the tokens by name, expired ones too, revoked ones not.
func (f *TokenFile) List() ([]Token, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.refresh(); err != nil {
		return nil, err
	}
	var list []Token
	for _, k := range f.tokens {
		if k.Revoked.IsZero() {
			list = append(list, k.Token)
		}
	}
	slices.SortFunc(list, func(a, b Token) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}

// Revoke ends a token at once. The error wraps [fedmsg.ErrNotFound] if there is
// none of that name. Revoking twice is once.
func (f *TokenFile) Revoke(name string) error {
	return f.change(func(tokens []keptToken) ([]keptToken, error) {
		for i := range tokens {
			if tokens[i].Name == name {
				if tokens[i].Revoked.IsZero() {
					tokens[i].Revoked = time.Now().UTC().Truncate(time.Second)
				}
				return tokens, nil
			}
		}
		return nil, fmt.Errorf("token %q: %w", name, fedmsg.ErrNotFound)
	})
}

// Authenticate returns the token with this secret, or a refusal: InvalidToken or
// TokenExpired. Another error means that the file cannot be read, and then no
// token is good.
func (f *TokenFile) Authenticate(secret string) (Token, error) {
	return f.authenticate(secret, time.Now())
}

func (f *TokenFile) authenticate(secret string, now time.Time) (Token, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.refresh(); err != nil {
		return Token{}, err
	}
	given := []byte(digest(secret))
	found := -1
	for i, k := range f.tokens { // all of them, so that time tells nothing
		if subtle.ConstantTimeCompare(given, []byte(k.SHA256)) == 1 {
			found = i
		}
	}
	if found < 0 {
		return Token{}, fedmsg.Refuse(fedmsg.InvalidToken, "the token is not one of this bus")
	}
	if err := f.tokens[found].judge(now); err != nil {
		return Token{}, err
	}
	return f.tokens[found].Token, nil
}

// judge returns a refusal if t is no longer good.
func (t keptToken) judge(now time.Time) error {
	if !t.Revoked.IsZero() {
		return fedmsg.Refuse(fedmsg.InvalidToken, "token %q was revoked", t.Name)
	}
	if !now.Before(t.Expires) {
		return fedmsg.Refuse(fedmsg.TokenExpired, "token %q expired on %s", t.Name, t.Expires.Format(time.DateOnly))
	}
	return nil
}

// empty reports whether no token was ever made. A nil file is empty.
func (f *TokenFile) empty() (bool, error) {
	if f == nil {
		return true, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.refresh(); err != nil {
		return false, err
	}
	return len(f.tokens) == 0, nil
}

func digest(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// change reads the file, lets edit change the tokens, and replaces the file.
// Meanwhile no other process does.
func (f *TokenFile) change(edit func([]keptToken) ([]keptToken, error)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	unlock, err := lock(f.path + ".lock")
	if err != nil {
		return fmt.Errorf("token file: %w", err)
	}
	defer unlock()
	if err := f.refresh(); err != nil {
		return err
	}
	tokens, err := edit(slices.Clone(f.tokens))
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(tokenDocument{tokens}, "", "\t")
	if err != nil {
		return fmt.Errorf("token file: %w", err)
	}
	if err := replace(f.path, append(text, '\n')); err != nil {
		return fmt.Errorf("token file: %w", err)
	}
	return f.refresh()
}

// A lock older than this was left by a process that died.
const lockAge = 10 * time.Second

// lock makes a file that only one process can make at a time.
func lock(name string) (unlock func(), err error) {
	for range 2 * lockAge / (50 * time.Millisecond) {
		file, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err == nil {
			return func() { _ = os.Remove(name) }, file.Close()
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		if info, err := os.Stat(name); err == nil && time.Since(info.ModTime()) > lockAge {
			_ = os.Remove(name)
			continue
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil, fmt.Errorf("%s: another process holds it: %w", name, fedmsg.ErrUnavailable)
}

// replace writes a file so that after a crash there is the old one or the new.
func replace(name string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*") // with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), name); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
