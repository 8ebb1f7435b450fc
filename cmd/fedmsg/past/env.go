package past

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/intake"
)

// Env is the world of the commands, and what they need of the program.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Terminal says that a person reads Stderr.
	Terminal bool
	Getenv   func(string) string

	// Clean makes text safe to show to people.
	Clean func(string) string
	// Usage and Config mark errors of the command line and of the configuration.
	Usage, Config func(error) error
	// Time reads a point in time, or how long ago it is.
	Time func(text string, now time.Time) (time.Time, error)

	// Dir finds the directory of a bus.
	Dir func(flag string) (string, error)
	// Open opens the archive in a directory, as the one that a log of this epoch feeds.
	Open func(ctx context.Context, dir, epoch string, words fedmsg.Describer) (Tended, error)
	// Shelf finds where an archive is, and Shown spells that for people to see.
	Shelf func(archive string) Shelf
	Shown func(archive string) string
	// Log opens the log in the directory of a bus.
	Log func(ctx context.Context, dir string) (Log, error)
	// Ask reaches the archive of a bus over HTTP.
	Ask func(url string) (Asked, error)
	// Harvest takes history from another bus over HTTP.
	Harvest func(intake.HarvestConfig) (intake.Harvest, error)
	// Words defines the flags that say how messages are put in words, and returns what
	// makes them so.
	Words func(f *pflag.FlagSet) func() (fedmsg.Describer, error)
	// Verifier makes what judges signatures, by the certificate of a CA and perhaps a
	// revocation list, as of the times in messages.
	Verifier func(ca, crl string) (func(context.Context, *fedmsg.Message) (stamp string, err error), error)
	// Backup copies the directories of a running bus into a file, and Restore brings
	// such a file back into a directory in which no bus runs.
	Backup  func(ctx context.Context, dir, archive, file string, progress func(string)) error
	Restore func(ctx context.Context, file, dir, archive string, progress func(string)) error
}

// Log is what is needed of the log of a bus.
type Log interface {
	shelf
	fedmsg.Cursors
	io.Closer
}

// A Shelf is where an archive is, open or not: a directory, or a schema of a database.
type Shelf interface {
	Exists(ctx context.Context) (bool, error)
	Remove(ctx context.Context) error
	Rename(ctx context.Context, to string) error
	// Beside returns where another archive would be.
	Beside(word string) string
}

// Asked is an archive that is searched.
type Asked interface {
	Search(ctx context.Context, q fedmsg.Query) (fedmsg.Page, error)
	Count(ctx context.Context, q fedmsg.Query, by fedmsg.Grouping) (fedmsg.Counts, error)
}

// A place is where the archive is that a command asks.
type place struct {
	Bus, Dir, Archive string
}

func (p *place) flags(f *pflag.FlagSet, both bool) {
	if both {
		f.StringVar(&p.Bus, "bus", "", "ask the bus at URL, http://HOST:PORT (default $FEDMSG_BUS, else http://127.0.0.1:8330)")
	}
	f.StringVar(&p.Dir, "dir", "", "open the archive of the bus in DIR, which must not be running")
	f.StringVar(&p.Archive, "archive", "", "open the archive in DIR, or at postgres://USER@HOST/DATABASE (default: archive in the directory of the bus)")
}

// files finds the directories of the bus and of its archive.
func (p *place) files(env Env) (dir, archive string, err error) {
	if p.Archive != "" && p.Dir == "" {
		return "", p.Archive, nil
	}
	if dir, err = env.Dir(p.Dir); err != nil {
		return "", "", err
	}
	if p.Archive != "" {
		return dir, p.Archive, nil
	}
	return dir, filepath.Join(dir, "archive"), nil
}

// ask opens what is to be asked.
func (p *place) ask(ctx context.Context, env Env) (asked Asked, done func() error, err error) {
	if p.Dir == "" && p.Archive == "" {
		url := p.Bus
		for _, otherwise := range []string{env.Getenv("FEDMSG_BUS"), "http://127.0.0.1:8330"} {
			if url == "" {
				url = otherwise
			}
		}
		if !strings.HasPrefix(url, "http") {
			return nil, nil, env.Usage(fmt.Errorf("--bus: %s has no past; ask a bus over http://", url))
		}
		asked, err = env.Ask(url)
		return asked, func() error { return nil }, err
	}
	if p.Bus != "" {
		return nil, nil, env.Usage(errors.New("--bus does not go with --dir and --archive"))
	}
	a, err := p.open(ctx, env, nil)
	if err != nil {
		return nil, nil, err
	}
	return a, a.Close, nil
}

// open opens an archive that is there.
func (p *place) open(ctx context.Context, env Env, words fedmsg.Describer) (Tended, error) {
	_, archive, err := p.files(env)
	if err != nil {
		return nil, err
	}
	switch found, err := env.Shelf(archive).Exists(ctx); {
	case err != nil:
		return nil, err
	case !found:
		return nil, &fedmsg.HintError{Err: &fs.PathError{Op: "open", Path: env.Shown(archive), Err: fs.ErrNotExist},
			Hint: "name the directory of a bus with --dir, or of an archive with --archive"}
	}
	return p.make(ctx, env, words)
}

// make opens the archive in its directory, and makes one if there is none.
func (p *place) make(ctx context.Context, env Env, words fedmsg.Describer) (Tended, error) {
	dir, archive, err := p.files(env)
	if err != nil {
		return nil, err
	}
	return env.Open(ctx, archive, epochOf(ctx, env, dir), words)
}

// epochOf returns the epoch of the log in a directory, so that places mean what they
// mean to the bus; "" if there is no log that can be opened now.
func epochOf(ctx context.Context, env Env, dir string) string {
	if dir == "" {
		return ""
	}
	log, err := env.Log(ctx, dir)
	if err != nil {
		return ""
	}
	defer log.Close()
	state, err := log.State(ctx)
	if err != nil {
		return ""
	}
	return state.Epoch
}

// each yields what a query finds, page after page; it ends with the first error of
// do.
func each(ctx context.Context, asked Asked, q fedmsg.Query, do func(fedmsg.Entry) error) (more string, err error) {
	left := q.Limit
	for {
		if q.Limit = pageSize; left > 0 {
			q.Limit = min(left, pageSize)
		}
		page, err := asked.Search(ctx, q)
		if err != nil {
			return "", err
		}
		for _, e := range page.Entries {
			if err := do(e); err != nil {
				return "", err
			}
		}
		if left > 0 {
			if left -= len(page.Entries); left == 0 {
				return page.Next, nil
			}
		}
		if page.Next == "" {
			return "", nil
		}
		q.Cursor = page.Next
	}
}

// pageSize is how many messages are asked for at once.
const pageSize = 1000
