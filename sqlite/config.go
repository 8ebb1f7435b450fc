package sqlite

import (
	"cmp"
	"errors"
	"fmt"
	"time"
)

// Config says where the log is and how much it keeps. Only Dir is required.
type Config struct {
	// Dir is the directory of the log; it is made if need be, for its owner
	// alone. No two processes can have the same one.
	Dir string `toml:"dir"`

	// RetentionAge is how long entries are kept, by [fedmsg.Entry.At]. Default
	// 30 days; -1 keeps them for ever.
	RetentionAge time.Duration `toml:"retention-age"`

	// RetentionBytes is how much room the entries may take on disk, in bytes;
	// beyond it the oldest go. Default 8 GiB; -1 is no limit.
	RetentionBytes int64 `toml:"retention-bytes"`

	// MinFree is the free-space floor, in bytes: with less left on the file
	// system nothing is published, and reading goes on. Default: 64 MiB, or a
	// twentieth of the file system if that is less.
	MinFree int64 `toml:"min-free"`

	// AppendTimeout is how long a publisher waits for the disk. Default 2.5s.
	AppendTimeout time.Duration `toml:"append-timeout"`

	// SyncLate answers publishers before the disk has what they published: what came
	// since the last checkpoint of the journal is lost when the power fails, though
	// not when the process dies.
	SyncLate bool `toml:"sync-late"`

	// Clock tells the time. Default: time.Now.
	Clock func() time.Time `toml:"-"`
}

func (c Config) withDefaults() Config {
	c.RetentionAge = cmp.Or(c.RetentionAge, 30*24*time.Hour)
	c.RetentionBytes = cmp.Or(c.RetentionBytes, 8<<30)
	c.AppendTimeout = cmp.Or(c.AppendTimeout, 2500*time.Millisecond)
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return c
}

// Validate reports everything that is wrong with c, joined, or nil.
func (c Config) Validate() error {
	var errs []error
	if c.Dir == "" {
		errs = append(errs, errors.New("dir: required"))
	}
	if c.RetentionAge != -1 && c.RetentionAge < 0 || c.RetentionAge > 0 && c.RetentionAge < time.Second {
		errs = append(errs, fmt.Errorf("retention-age: must be at least 1s, or -1 for ever, is %s", c.RetentionAge))
	}
	if c.RetentionBytes != -1 && c.RetentionBytes < 0 || c.RetentionBytes > 0 && c.RetentionBytes < 1<<20 {
		errs = append(errs, fmt.Errorf("retention-bytes: must be at least 1 MiB, or -1 for no limit, is %d", c.RetentionBytes))
	}
	if c.MinFree < 0 {
		errs = append(errs, fmt.Errorf("min-free: must not be negative, is %d", c.MinFree))
	}
	if c.AppendTimeout < 0 {
		errs = append(errs, fmt.Errorf("append-timeout: must not be negative, is %s", c.AppendTimeout))
	}
	return errors.Join(errs...)
}
