package past

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/dumps"
)

type importFlags struct {
	place
	Rejects     string
	CA, CRL     string
	TrustStamps bool
	JSON        bool
	describer   func() (fedmsg.Describer, error)
}

// NewImport makes the command import.
func NewImport(env Env) *cobra.Command {
	var i importFlags
	cmd := &cobra.Command{
		Use:   "import FILE...",
		Short: "Put dumps of the past into the archive",
		Long: `Read messages from files, or from standard input for "-", and put them into the
archive of a bus. A file holds JSON objects, one a line or as one list: messages of
fedmsg, rows or answers of datagrepper (raw_messages), records of fedora-messaging as
datanommer-dump writes them, or what fedmsg export wrote. Files packed with gzip or
zstd are unpacked.

It writes the archive itself, so it waits for no bus: a bus that is started meanwhile
goes on without history, and takes up what it missed when the import is done. To
import again does no harm: what is known is passed over. An import that was broken
off goes on where it was. A message without an ID gets one that is always the same.

What cannot be taken is told with its line, and the exit status is 65.`,
		Example: `  fedmsg import --dir /var/lib/fedmsg datanommer-2013.json.gz datanommer-2014.json.gz

  # what is wrong, to look at and to import again
  fedmsg import --dir /var/lib/fedmsg --rejects rejects.jsonl dump.jsonl.zst

  # signatures judged as of the time when they were made
  fedmsg import --dir /var/lib/fedmsg --ca ca.crt dump.jsonl

  # out of another's datagrepper
  curl 'https://apps.example.org/datagrepper/raw?rows_per_page=100' | fedmsg import --dir /var/lib/fedmsg -`,
		RunE: func(cmd *cobra.Command, files []string) error {
			if len(files) == 0 {
				return env.Usage(errors.New("name the files to import; - is standard input"))
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
	i.flags(f, false)
	i.describer = env.Words(f)
	return cmd
}

// An outcome is what became of an import.
type outcome struct {
	Imported   int64   `json:"imported"`
	Duplicates int64   `json:"duplicates"`
	Conflicts  int64   `json:"conflicts"`
	Bad        int64   `json:"bad"`
	BadLines   []int   `json:"bad_lines"` // the first thousand
	Seconds    float64 `json:"seconds"`
}

// An importer puts the messages of one file after another into an archive.
type importer struct {
	env      Env
	archive  Tended
	verify   func(context.Context, *fedmsg.Message) (string, error)
	trust    bool
	rejects  io.Writer
	progress *progress
	state    resumption
	outcome  outcome
	told     int
}

func (i *importFlags) run(ctx context.Context, env Env, files []string) (err error) {
	words, err := i.describer()
	if err != nil {
		return err
	}
	im := &importer{env: env, trust: i.TrustStamps, progress: newProgress(env, "fedmsg import", "messages")}
	if i.CA != "" {
		if im.verify, err = env.Verifier(i.CA, i.CRL); err != nil {
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
		im.rejects = f
	}
	_, dir, err := i.files(env)
	if err != nil {
		return err
	}
	if im.archive, err = i.make(ctx, env, words); err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, im.archive.Close()) }()
	im.state.file = filepath.Join(dir, "import.json")
	began, before := time.Now(), samplesOf(im.archive)
	for _, name := range files {
		if err = im.read(ctx, name); err != nil {
			break
		}
	}
	im.progress.end()
	after, o := samplesOf(im.archive), &im.outcome
	o.Seconds = time.Since(began).Seconds()
	o.Imported = after["archive_stored_total"] - before["archive_stored_total"]
	o.Conflicts = after["archive_conflicts_total"] - before["archive_conflicts_total"]
	o.Duplicates = after["archive_duplicates_total"] - before["archive_duplicates_total"] - o.Conflicts
	if shown := im.show(i.JSON); shown != nil || err != nil {
		return cmp.Or(err, shown)
	}
	var wrong []string
	if o.Bad > 0 {
		wrong = append(wrong, fmt.Sprintf("not taken: %d", o.Bad))
	}
	if o.Conflicts > 0 {
		wrong = append(wrong, fmt.Sprintf("with a known ID and other words, where what was there stays: %d", o.Conflicts))
	}
	if wrong != nil {
		return fmt.Errorf("%s: %w", strings.Join(wrong, "; "), fedmsg.ErrInvalid)
	}
	return nil
}

func (im *importer) show(asJSON bool) error {
	o := im.outcome
	if asJSON {
		o.BadLines = append([]int{}, o.BadLines...)
		return json.NewEncoder(im.env.Stdout).Encode(o)
	}
	_, err := fmt.Fprintf(im.env.Stdout, "%d imported, %d known already, %d in conflict, %d bad; %.1f s, %.0f a second\n",
		o.Imported, o.Duplicates, o.Conflicts, o.Bad, o.Seconds, float64(o.Imported+o.Duplicates)/max(o.Seconds, 0.001))
	return err
}

// samplesOf returns what an archive counts.
func samplesOf(archive fedmsg.Meter) map[string]int64 {
	values := make(map[string]int64)
	for s := range archive.Samples() {
		values[s.Name] = int64(s.Value)
	}
	return values
}

// Bounds of what is given to the archive at once.
const (
	batchCount = 1000
	batchBytes = 8 << 20
)

// A batch is what is given to the archive at once.
type batch struct {
	entries []fedmsg.Entry
	lines   []int // of entries
	bad     []dumps.Record
	end     int64 // bytes of the unpacked file up to here
	line    int
	taken   int64 // bytes of the file up to here
}

// read imports one file. Reading goes on while the archive writes.
func (im *importer) read(ctx context.Context, name string) (err error) {
	d, err := dumps.Open(im.env.Stdin, name)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, d.Close()) }()
	from := im.state.begin(name, d)
	im.progress.whole, im.progress.done = d.Size, 0
	reading, stop := context.WithCancel(ctx)
	defer stop()
	batches := make(chan batch, 2)
	var failed error // of reading
	go func() {
		defer close(batches)
		failed = im.gather(reading, d, from, batches)
	}()
	for b := range batches {
		if err := im.deliver(ctx, d.Name, b); err != nil {
			stop()
			for range batches { // until the reader has ended
			}
			return err
		}
		im.state.save(b.end)
	}
	if failed != nil {
		return failed
	}
	im.state.finish()
	return context.Cause(ctx)
}

// gather reads a dump and makes batches.
func (im *importer) gather(ctx context.Context, d *dumps.File, from int64, batches chan<- batch) error {
	var b batch
	size := 0
	send := func() bool {
		b.taken = d.Taken()
		select {
		case batches <- b:
			b, size = batch{}, 0
			return true
		case <-ctx.Done():
			return false
		}
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	err := d.Records(ctx, from, func(r dumps.Record) bool {
		some, err := []dumps.Said(nil), r.Err
		if err == nil {
			some, err = dumps.Convert(r.Text, now)
		}
		for _, one := range some {
			b.entries = append(b.entries, fedmsg.Entry{At: one.At, Verified: im.stamp(ctx, one), Message: one.Message})
			b.lines = append(b.lines, r.Line)
		}
		if size += len(r.Text); err != nil {
			r.Err = err
			b.bad = append(b.bad, r)
		}
		b.end, b.line = r.End, r.Line
		return len(b.entries)+len(b.bad) < batchCount && size < batchBytes || send()
	})
	if b.end > 0 && !send() {
		return context.Cause(ctx)
	}
	return err
}

// stamp says what a message is checked against.
func (im *importer) stamp(ctx context.Context, one dumps.Said) string {
	if im.verify != nil && one.Message.Signature != "" {
		if stamp, err := im.verify(ctx, one.Message); err == nil {
			return stamp
		}
	}
	if im.trust && one.Verified != "" {
		return one.Verified
	}
	return fedmsg.Unverified
}

// deliver gives a batch to the archive, and tells what was wrong in it.
func (im *importer) deliver(ctx context.Context, file string, b batch) error {
	for _, r := range b.bad {
		if err := im.reject(file, r.Line, r.Err, r.Text); err != nil {
			return err
		}
		im.outcome.Bad++
		if len(im.outcome.BadLines) < 1000 {
			im.outcome.BadLines = append(im.outcome.BadLines, r.Line)
		}
	}
	conflicts := samplesOf(im.archive)["archive_conflicts_total"]
	for at := 0; at < len(b.entries); {
		n, err := im.archive.Deliver(ctx, b.entries[at:])
		if at += n; err != nil {
			return err
		}
	}
	if samplesOf(im.archive)["archive_conflicts_total"] > conflicts {
		for k, e := range b.entries {
			kept, err := im.archive.Find(ctx, e.Message.ID)
			if err != nil || kept.Message.Digest() == e.Message.Digest() {
				continue
			}
			err = fedmsg.RefuseField(fedmsg.MsgIDConflict, "msg_id", "%s is known, and says something else", e.Message.ID)
			if err := im.reject(file, b.lines[k], err, e.Message.Bytes()); err != nil {
				return err
			}
		}
	}
	im.progress.done = b.taken
	im.progress.add(int64(len(b.entries)), 0)
	return nil
}

// maxTold is how many bad lines are told one by one.
const maxTold = 20

// reject tells of a text that was not taken, and keeps it for later.
func (im *importer) reject(file string, line int, why error, text []byte) error {
	if im.told++; im.told <= maxTold {
		fmt.Fprintf(im.env.Stderr, "fedmsg import: %s: line %d: %s\n", im.env.Clean(file), line, im.env.Clean(why.Error()))
	} else if im.told == maxTold+1 {
		fmt.Fprintln(im.env.Stderr, "fedmsg import: there are more, which are not shown here; --rejects FILE has them all")
	}
	if im.rejects == nil {
		return nil
	}
	out := bufio.NewWriter(im.rejects)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	return cmp.Or(encoder.Encode(map[string]any{
		"file": file, "line": line, "reason": fedmsg.ReasonOf(why), "detail": why.Error(), "text": strings.ToValidUTF8(string(text), "\ufffd"),
	}), out.Flush())
}

// resumption remembers how far a file was imported when an import is broken off: in
// import.json in the directory of the archive.
type resumption struct {
	file string
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
	if text, err := os.ReadFile(s.file); err == nil {
		_ = json.Unmarshal(text, &before) // what cannot be read is not gone on with, which does no harm
	}
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
	if text, err := json.Marshal(s.now); err == nil && os.WriteFile(s.file+".part", text, 0o600) == nil {
		_ = os.Rename(s.file+".part", s.file)
	}
}

// finish forgets a file that was read to its end.
func (s *resumption) finish() { _ = os.Remove(s.file) }
