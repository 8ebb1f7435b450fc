package past

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// NewBackup makes the command backup.
func NewBackup(env Env) *cobra.Command {
	var p place
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy log and archive of a bus into one file, while it runs",
		Long: `Copy the log, the archive and the tokens of a bus into one file, a tar archive, while
the bus runs or not. Each database is copied as it is at one moment; the log last, so
that it has all that the archive has. FILE is written beside itself first, which takes
room for the largest month again, and appears when it is whole. What the bus tells in
between is not in it.`,
		Example: `  fedmsg backup --dir /var/lib/fedmsg /srv/backup/fedmsg-$(date +%F).tar

  # and back, into a directory of its own
  fedmsg restore --dir /var/lib/fedmsg.new /srv/backup/fedmsg-2026-11-24.tar`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return moved(env, &p, args, "copied", func(dir, archive, file string, tell func(string)) error {
				return env.Backup(cmd.Context(), dir, archive, file, tell)
			})
		},
	}
	p.flags(cmd.Flags(), false)
	return cmd
}

// NewRestore makes the command restore.
func NewRestore(env Env) *cobra.Command {
	var p place
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Bring back what fedmsg backup copied",
		Long: `Bring back a file that fedmsg backup wrote, into a directory that has neither log nor
archive. No bus may be running there. The archive takes up from the log what it lacks
when the bus is started. Readers that were further than the backup are told so.`,
		Example: `  fedmsg restore --dir /var/lib/fedmsg fedmsg-2026-11-24.tar`,
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return moved(env, &p, args, "restored", func(dir, archive, file string, tell func(string)) error {
				return env.Restore(cmd.Context(), file, dir, archive, tell)
			})
		},
	}
	p.flags(cmd.Flags(), false)
	return cmd
}

func moved(env Env, p *place, args []string, verb string, do func(dir, archive, file string, tell func(string)) error) error {
	if len(args) != 1 {
		return env.Usage(errors.New("name one file"))
	}
	dir, archive, err := p.files(env)
	if err != nil {
		return err
	}
	if dir == "" {
		return env.Usage(errors.New("--dir: name the directory of the bus, too"))
	}
	return do(dir, archive, args[0], func(name string) {
		if env.Terminal {
			fmt.Fprintf(env.Stderr, "%s %s\n", verb, env.Clean(name))
		}
	})
}
