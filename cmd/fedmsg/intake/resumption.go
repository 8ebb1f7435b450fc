package intake

import (
	"os"
	"path/filepath"
	"time"

	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/bookmark"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/dumps"
)

// resumption remembers how far a file was imported when an import is broken off.
type resumption struct {
	file bookmark.File
	now  struct {
		Name  string    `json:"name"`
		Size  int64     `json:"size"`
		Time  time.Time `json:"time"`
		Bytes int64     `json:"bytes"` // of the unpacked file
	}
}

// begin returns where to begin with a dump.
func (s *resumption) begin(name string, d *dumps.File) int64 {
	before := s.now
	_, _ = s.file.Load(&before) // what cannot be read is not gone on with, which does no harm
	s.now.Name, s.now.Size, s.now.Bytes, s.now.Time = "", d.Size, 0, time.Time{}
	info, err := os.Stat(name)
	path, absErr := filepath.Abs(name)
	if err != nil || absErr != nil || d.Size == 0 {
		return 0
	}
	s.now.Name, s.now.Time = path, info.ModTime().UTC()
	if before.Name == path && before.Size == d.Size && before.Time.Equal(s.now.Time) {
		s.now.Bytes = before.Bytes
	}
	return s.now.Bytes
}

// save notes how far it is; what cannot be noted costs time only.
func (s *resumption) save(bytes int64) {
	if s.now.Name == "" {
		return
	}
	s.now.Bytes = bytes
	_ = s.file.Save(s.now)
}

// finish forgets a file that was read to its end.
func (s *resumption) finish() { _ = s.file.Remove() }
