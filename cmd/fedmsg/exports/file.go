// Package exports writes what is found in an archive into files: in several formats,
// packed or not, and so that an export that was broken off goes on where it was.
package exports

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/bookmark"
)

// A Mark is how far an export is, kept beside the file: what is needed to go on.
type Mark struct {
	Format   string `json:"format"`
	Query    string `json:"query"` // with its times
	Cursor   string `json:"cursor"`
	Limit    int    `json:"limit,omitempty"` // what is left of it; 0 is none
	Messages int64  `json:"messages"`
	Bytes    int64  `json:"bytes"` // of the file up to here; what follows is cut
	// Bus, Dir and Archive say what is asked.
	Bus     string `json:"bus,omitempty"`
	Dir     string `json:"dir,omitempty"`
	Archive string `json:"archive,omitempty"`
}

// A File is an export that is written to FILE.part, and gets its name when it is whole.
type File struct {
	name   string
	f      *os.File
	packer *zstd.Encoder // nil if it is not packed
	marked bool          // there is a mark to go on from
}

func part(name string) string          { return name + ".part" }
func markOf(name string) bookmark.File { return bookmark.File(name + ".part.json") }

// Create begins a file anew. One that was broken off is forgotten.
func Create(name string) (*File, error) {
	if err := markOf(name).Remove(); err != nil {
		return nil, err
	}
	f, err := os.Create(part(name))
	if err != nil {
		return nil, err
	}
	return open(name, f)
}

// Resume opens a file that was broken off, and cuts what was written behind its mark.
// The error wraps [fedmsg.ErrInvalid] if it cannot go on.
func Resume(name string) (*File, Mark, error) {
	var m Mark
	found, err := markOf(name).Load(&m)
	if err != nil {
		return nil, m, err
	}
	if !found {
		err := fmt.Errorf("%s: there is no export to go on with, for there is no %s: %w", name, markOf(name), fedmsg.ErrInvalid)
		return nil, m, &fedmsg.HintError{Err: err, Hint: "an export that was written with -o FILE and broken off can go on, but not one of Parquet; begin anew with -o, perhaps in parts: after:2026-01 before:2026-02"}
	}
	f, err := os.OpenFile(part(name), os.O_WRONLY, 0)
	if err != nil {
		return nil, m, err
	}
	if info, err := f.Stat(); err != nil || info.Size() < m.Bytes {
		err = cmp.Or(err, error(&fedmsg.HintError{Err: fmt.Errorf("%s: it is shorter than it was: %w", part(name), fedmsg.ErrInvalid), Hint: "begin anew with -o"}))
		return nil, m, errors.Join(err, f.Close())
	}
	if _, err = f.Seek(m.Bytes, io.SeekStart); err == nil {
		err = f.Truncate(m.Bytes)
	}
	if err != nil {
		return nil, m, errors.Join(err, f.Close())
	}
	out, err := open(name, f)
	if err == nil {
		out.marked = true
	}
	return out, m, err
}

func open(name string, f *os.File) (*File, error) {
	out := &File{name: name, f: f}
	if strings.HasSuffix(name, ".zst") {
		var err error
		if out.packer, err = zstd.NewWriter(f); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return out, nil
}

// Write writes, packed if the name says so.
func (f *File) Write(b []byte) (int, error) {
	if f.packer != nil {
		return f.packer.Write(b)
	}
	return f.f.Write(b)
}

// Mark has all that was written on disk, and notes that it goes on from here. A packed
// file gets another frame then; a reader takes several as one.
func (f *File) Mark(m Mark) error {
	if f.packer != nil {
		if err := f.packer.Close(); err != nil {
			return err
		}
		f.packer.Reset(f.f)
	}
	if err := f.f.Sync(); err != nil {
		return err
	}
	at, err := f.f.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	m.Bytes = at
	if err = markOf(f.name).Save(m); err == nil {
		f.marked = true
	}
	return err
}

// Finish closes the file. One that is whole gets its name; one that is not stays with
// its mark, or is removed if there is none.
func (f *File) Finish(isWhole bool) error {
	var err error
	if f.packer != nil {
		err = f.packer.Close()
	}
	err = cmp.Or(err, f.f.Sync(), f.f.Close())
	switch {
	case isWhole && err == nil:
		if err = os.Rename(part(f.name), f.name); err != nil {
			return err
		}
		return markOf(f.name).Remove()
	case f.marked:
		return err
	}
	return cmp.Or(err, os.Remove(part(f.name)))
}

// IsMarked reports whether it can go on if it is broken off now.
func (f *File) IsMarked() bool { return f.marked }
