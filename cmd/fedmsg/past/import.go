package past

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/bookmark"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/intake"
)

type importFlags struct {
	place
	selection   intake.Selection
	Rejects     string
	CA, CRL     string
	TrustStamps bool
	JSON        bool
	describer   func() (fedmsg.Describer, error)
}

// NewImport makes the command import.
func NewImport(env Env) *cobra.Command {
	i := importFlags{selection: intake.Selection{Open: env.Harvest, Time: env.Time, Usage: env.Usage, Pauses: env.Terminal}}
	cmd := &cobra.Command{
		Use:   "import FILE|URL...",
		Short: "Put dumps of the past, or what another bus has, into the archive",
		Long: `Read messages from files, from standard input for "-", or from another bus, and put
them into the archive of a bus. A file holds JSON objects, one a line or as one list:
messages of fedmsg, rows or answers of datagrepper (raw_messages), records of
fedora-messaging as datanommer-dump writes them, or what fedmsg export wrote. Files
packed with gzip or zstd are unpacked.

It writes the archive itself, so it waits for no bus: a bus that is started meanwhile
goes on without history, and takes up what it missed when the import is done. To
import again does no harm: what is known is passed over. An import that was broken
off goes on where it was. A message without an ID gets one that is always the same.

A URL is that of a datagrepper (its /raw or /v2/search), or of a bus of this kind. It is
asked one question at a time, about a short time each, and left alone when it asks for
that or fails; see --rate. The flags --since, --topic and so on, or parameters of the
URL, say what is taken; by default that is everything.

What cannot be taken is told with its line, and the exit status is 65.`,
		Example: `  fedmsg import --dir /var/lib/fedmsg datanommer-2013.json.gz datanommer-2014.json.gz

  # what is wrong, to look at and to import again
  fedmsg import --dir /var/lib/fedmsg --rejects rejects.jsonl dump.jsonl.zst

  # signatures judged as of the time when they were made
  fedmsg import --dir /var/lib/fedmsg --ca ca.crt dump.jsonl

  # out of another's datagrepper, and out of another bus
  fedmsg import --dir /var/lib/fedmsg --since 2020-01-01 --category bodhi https://apps.example.org/datagrepper/raw
  fedmsg import --dir /var/lib/fedmsg --since 30d https://bus.example.org`,
		RunE: func(cmd *cobra.Command, files []string) error {
			if len(files) == 0 {
				return env.Usage(errors.New("name the files or the URL to import; - is standard input"))
			}
			return i.run(cmd.Context(), env, files)
		},
	}
	f := cmd.Flags()
	f.StringVar(&i.Rejects, "rejects", "", "write what cannot be taken to FILE: JSON lines with file, line, reason and text")
	f.StringVar(&i.CA, "ca", "", "check signatures against the CA in FILE, as of the time in each message, and stamp those that are good")
	f.StringVar(&i.CRL, "crl", "", "together with --ca: the certificates that the list in FILE revokes are not good")
	f.BoolVar(&i.TrustStamps, "trust-stamps", false, "keep what the export of another bus says about signatures")
	f.BoolVar(&i.JSON, "json", false, "print the outcome as a JSON object")
	i.selection.Flags(f)
	i.flags(f, false)
	i.describer = env.Words(f)
	return cmd
}

func (i *importFlags) run(ctx context.Context, env Env, files []string) (err error) {
	if i.selection.IsGiven() && !slices.ContainsFunc(files, intake.IsURL) {
		return env.Usage(errors.New("--since, --until, --topic and so on are of a URL; there is none"))
	}
	words, err := i.describer()
	if err != nil {
		return err
	}
	bar := newProgress(env, "fedmsg import", "messages")
	cfg := intake.Config{Progress: bar, Stdin: env.Stdin, TrustStamps: i.TrustStamps}
	if i.CA != "" {
		if cfg.Verify, err = env.Verifier(i.CA, i.CRL); err != nil {
			return err
		}
	} else if i.CRL != "" {
		return env.Usage(errors.New("--crl means nothing without --ca"))
	}
	if i.Rejects != "" {
		f, err := os.OpenFile(i.Rejects, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
		if err != nil {
			return err
		}
		defer func() { err = cmp.Or(err, f.Close()) }()
		cfg.Rejects = f
	}
	dir, place, err := i.files(env)
	if err != nil {
		return err
	}
	archive, err := i.make(ctx, env, words)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, archive.Close()) }()
	cfg.Archive = archive
	if info, err := os.Stat(place); err == nil && info.IsDir() {
		dir = place
	}
	if dir != "" { // else the archive is a database, and nobody said where the bus is
		cfg.Files, cfg.URLs = bookmark.File(filepath.Join(dir, "import.json")), bookmark.File(filepath.Join(dir, "import-url.json"))
	}
	im := intake.New(cfg)
	for _, name := range files {
		if intake.IsURL(name) {
			err = im.URL(ctx, name, &i.selection)
		} else {
			err = im.File(ctx, name)
		}
		if err != nil {
			break
		}
	}
	bar.end()
	return i.show(env, im.Outcome(), err)
}

// show prints the outcome, and returns what is wrong with it.
func (i *importFlags) show(env Env, o intake.Outcome, failed error) (err error) {
	if i.JSON {
		err = json.NewEncoder(env.Stdout).Encode(o)
	} else {
		_, err = fmt.Fprintf(env.Stdout, "%d imported, %d known already, %d in conflict, %d bad; %.1f s, %.0f a second\n",
			o.Imported, o.Duplicates, o.Conflicts, o.Bad, o.Seconds, float64(o.Imported+o.Duplicates)/max(o.Seconds, 0.001))
	}
	var wrong []string
	if o.Bad > 0 {
		wrong = append(wrong, fmt.Sprintf("not taken: %d", o.Bad))
	}
	if o.Conflicts > 0 {
		wrong = append(wrong, fmt.Sprintf("with a known ID and other words, where what was there stays: %d", o.Conflicts))
	}
	if err = cmp.Or(failed, err); err == nil && wrong != nil {
		return fmt.Errorf("%s: %w", strings.Join(wrong, "; "), fedmsg.ErrInvalid)
	}
	return err
}

// What is given to an archive at once, and what it counts.
const batchCount, batchBytes = intake.BatchCount, intake.BatchBytes

func samplesOf(archive fedmsg.Meter) map[string]int64 { return intake.Samples(archive) }
