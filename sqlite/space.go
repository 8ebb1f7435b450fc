package sqlite

import (
	"cmp"

	"github.com/fedora-infra/fedmsg-go/sqlite/disk"
)

// The journal is written back when it has about walShare of the file system, or
// maxWAL if that is less, in bytes.
const (
	maxWAL   = 16 << 20
	minWAL   = 1 << 20
	walShare = 32
)

// defaultMinFree is the free-space floor, in bytes; on a small file system it is
// a twentieth of it.
const defaultMinFree = 64 << 20

// A space watches the file system that the log is on.
type space struct {
	dir      string
	floor    int64
	walLimit int64
}

func newSpace(cfg Config) space {
	s := space{dir: cfg.Dir, floor: cmp.Or(cfg.MinFree, defaultMinFree), walLimit: maxWAL}
	if fs, known := disk.Free(cfg.Dir); known {
		if cfg.MinFree == 0 {
			s.floor = min(s.floor, fs.Total/20)
		}
		s.walLimit = min(maxWAL, max(minWAL, fs.Total/walShare))
	}
	return s
}
