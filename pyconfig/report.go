package pyconfig

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// An Error is a place that could not be read. It wraps [fedmsg.ErrInvalid].
type Error struct {
	Origin
	What string // what stands there, and why it cannot be read
	Do   string // what to do about it; may be empty
}

func (e *Error) Error() string {
	if e.Do == "" {
		return fmt.Sprintf("%s: %s", e.Origin, e.What)
	}
	return fmt.Sprintf("%s: %s; %s", e.Origin, e.What, e.Do)
}

// Unwrap returns [fedmsg.ErrInvalid].
func (*Error) Unwrap() error { return fedmsg.ErrInvalid }

// What a [Note] is about.
const (
	Taken       = "taken"        // a top-level key was read
	Skipped     = "skipped"      // a statement or file was left out
	NotImported = "not imported" // a key has no value here that could be known
	Guessed     = "guessed"      // the program asked something that only its host knows
	Secret      = "secret"       // a key holds a password or the like
	Warning     = "warning"      // a file is not what it should be
)

// Note is one thing to know about what was read. No note holds a value of the
// configuration but for what was guessed.
type Note struct {
	Origin
	About string `json:"about"`         // Taken, Skipped, ...
	What  string `json:"what"`          // the key, as in irc[0].password, or the statement
	Why   string `json:"why,omitempty"` // more about it
}

func (n Note) String() string {
	if n.Why == "" {
		return fmt.Sprintf("%s: %s: %s", n.Origin, n.About, n.What)
	}
	return fmt.Sprintf("%s: %s: %s (%s)", n.Origin, n.About, n.What, n.Why)
}

// Report tells what [Read] made of the files.
type Report struct {
	// Notes are in the order of files and lines, each once.
	Notes []Note `json:"notes"`
}

// About returns the notes about one thing.
func (r Report) About(about string) []Note {
	return slices.DeleteFunc(slices.Clone(r.Notes), func(n Note) bool { return n.About != about })
}

// String is one line a note.
func (r Report) String() string {
	var b strings.Builder
	for _, n := range r.Notes {
		fmt.Fprintln(&b, n)
	}
	return b.String()
}

func (r *Report) sort(order map[string]int) {
	slices.SortStableFunc(r.Notes, func(a, b Note) int {
		return cmp.Or(order[a.File]-order[b.File], a.Line-b.Line)
	})
	r.Notes = slices.Compact(r.Notes)
}

var (
	secretKey   = regexp.MustCompile(`(?i)(?:^|[._-])(?:pass|passwd|password|passphrase|secret|token|credentials?|api_?key|auth_?key|secret_?key|session_?key)$`)
	secretValue = regexp.MustCompile(`(?i)^[a-z][a-z0-9+.-]*://[^/@\s]*:[^/@\s]+@|-----BEGIN [A-Z ]*PRIVATE KEY-----`)
	lastKey     = regexp.MustCompile(`^(?:.*\.)?"?([^"]*?)"?(?:\[\d+\])*$`)
)

// secrets notes the keys that hold what nobody else should read.
func (r *Report) secrets(values Value) {
	values.walk("", func(path string, v Value) {
		if v.Kind != String || v.Text == "" {
			return
		}
		key := lastKey.FindStringSubmatch(path)
		switch {
		case key != nil && secretKey.MatchString(key[1]):
			r.Notes = append(r.Notes, Note{v.Origin, Secret, path, "keep it in a file that only the bus can read"})
		case secretValue.MatchString(v.Text):
			r.Notes = append(r.Notes, Note{v.Origin, Secret, path, "a password or private key is part of the value"})
		}
	})
}
