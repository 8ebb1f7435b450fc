// Package bookmark keeps how far something long is, so that it goes on where it was
// when it was broken off, whatever broke it off.
package bookmark

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// A File holds one bookmark, as JSON. It is replaced as a whole: whoever reads it
// finds the last one or the one before. The empty File keeps nothing.
type File string

// Load reads the bookmark into v; found is false if there is none. The error is one
// of the file system, or says that the file holds something else.
func (f File) Load(v any) (found bool, err error) {
	text, err := os.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(text, v); err != nil {
		return false, fmt.Errorf("%s: %w", f, err)
	}
	return true, nil
}

// Save replaces the bookmark.
func (f File) Save(v any) error {
	if f == "" {
		return nil
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("%s: %w", f, err)
	}
	if err := os.WriteFile(string(f)+".new", append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(string(f)+".new", string(f))
}

// Remove forgets the bookmark, if there is one.
func (f File) Remove() error {
	if err := os.Remove(string(f)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
