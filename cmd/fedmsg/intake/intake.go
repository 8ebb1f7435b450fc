// Package intake puts messages of the past into an archive: those of dumps, and those
// that another bus gives over HTTP. What was broken off goes on where it was.
package intake

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/bookmark"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/dumps"
)

// Archive is what messages are put into.
type Archive interface {
	fedmsg.Sink
	fedmsg.Finder
	fedmsg.Meter
}

// Progress tells people how far it is.
type Progress interface {
	// Whole says how much there is, in bytes or seconds, and how much of that is behind;
	// 0 is not known.
	Whole(whole, behind int64)
	// Reached says how much is behind now, with so many messages more.
	Reached(messages, behind int64)
	// Say tells something.
	Say(text string)
}

// Config says what is taken how. Archive and Progress are required.
type Config struct {
	Archive  Archive
	Progress Progress
	// Stdin is what the file "-" is.
	Stdin io.Reader
	// Verify judges signatures as of the times in messages. Default: nothing is judged.
	Verify func(context.Context, *fedmsg.Message) (stamp string, err error)
	// TrustStamps keeps what the export of another bus says of signatures.
	TrustStamps bool
	// Rejects gets what cannot be taken, as JSON lines. Default: it is told only.
	Rejects io.Writer
	// Files and URLs keep how far it is. Default: it begins anew each time.
	Files, URLs bookmark.File
}

// Outcome is what became of it.
type Outcome struct {
	Imported   int64   `json:"imported"`
	Duplicates int64   `json:"duplicates"`
	Conflicts  int64   `json:"conflicts"`
	Bad        int64   `json:"bad"`
	BadLines   []int   `json:"bad_lines"` // of files; the first thousand
	Seconds    float64 `json:"seconds"`
}

// An Importer puts one file after another into an archive. [New] makes one.
type Importer struct {
	cfg     Config
	state   resumption
	outcome Outcome
	told    int
	began   time.Time
	before  map[string]int64 // what the archive counted
}

// New makes an importer.
func New(cfg Config) *Importer {
	return &Importer{cfg: cfg, state: resumption{file: cfg.Files}, began: time.Now(), before: Samples(cfg.Archive)}
}

// Outcome returns what became of all that was imported until now.
func (im *Importer) Outcome() Outcome {
	after, o := Samples(im.cfg.Archive), im.outcome
	more := func(name string) int64 { return after[name] - im.before[name] }
	o.Seconds = time.Since(im.began).Seconds()
	o.Imported, o.Conflicts = more("archive_stored_total"), more("archive_conflicts_total")
	o.Duplicates = more("archive_duplicates_total") - o.Conflicts
	o.BadLines = append([]int{}, o.BadLines...) // never null in JSON
	return o
}

// Samples returns what an archive counts, by name.
func Samples(archive fedmsg.Meter) map[string]int64 {
	values := make(map[string]int64)
	for s := range archive.Samples() {
		values[s.Name] = int64(s.Value)
	}
	return values
}

// Bounds of what is given to an archive at once: messages, and bytes of them.
const (
	BatchCount = 1000
	BatchBytes = 8 << 20
)

// A batch is what is given to the archive at once.
type batch struct {
	entries []fedmsg.Entry
	lines   []int // of entries
	bad     []dumps.Record
	end     int64 // bytes of the unpacked file up to here
	taken   int64 // of the whole that progress knows
	from    string
	state   string    // of a harvest
	reached time.Time // by it
}

// File imports one file. Reading goes on while the archive writes.
func (im *Importer) File(ctx context.Context, name string) (err error) {
	d, err := dumps.Open(im.cfg.Stdin, name)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, d.Close()) }()
	from := im.state.begin(name, d)
	im.cfg.Progress.Whole(d.Size, 0)
	gather := func(ctx context.Context, batches chan<- batch) error { return im.gather(ctx, d, from, batches) }
	if err := im.transfer(ctx, gather, func(b batch) error { im.state.save(b.end); return nil }); err != nil {
		return err
	}
	im.state.finish()
	return context.Cause(ctx)
}

// transfer gives batches to the archive as they are gathered, and has it noted how far
// that is.
func (im *Importer) transfer(ctx context.Context, gather func(context.Context, chan<- batch) error, note func(batch) error) error {
	gathering, stop := context.WithCancel(ctx)
	defer stop()
	batches := make(chan batch, 2)
	var failed error // of gathering
	go func() {
		defer close(batches)
		failed = gather(gathering, batches)
	}()
	for b := range batches {
		err := im.deliver(ctx, b)
		if err == nil { // only now is it safe
			err = note(b)
		}
		if err != nil {
			stop()
			for range batches { // until the other has ended
			}
			return err
		}
	}
	return failed
}

// gather reads a dump and makes batches.
func (im *Importer) gather(ctx context.Context, d *dumps.File, from int64, batches chan<- batch) error {
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
		im.convert(ctx, &b, r, now)
		size += len(r.Text)
		b.end, b.from = r.End, d.Name
		return len(b.entries)+len(b.bad) < BatchCount && size < BatchBytes || send()
	})
	if b.end > 0 && !send() {
		return context.Cause(ctx)
	}
	return err
}

// convert adds to a batch what a record holds, or why that is nothing.
func (im *Importer) convert(ctx context.Context, b *batch, r dumps.Record, now time.Time) {
	some, err := []dumps.Said(nil), r.Err
	if err == nil {
		some, err = dumps.Convert(r.Text, now)
	}
	for _, one := range some {
		b.entries = append(b.entries, fedmsg.Entry{At: one.At, Verified: im.stamp(ctx, one), Message: one.Message})
		b.lines = append(b.lines, r.Line)
	}
	if err != nil {
		r.Err = err
		b.bad = append(b.bad, r)
	}
}

// stamp says what a message is checked against.
func (im *Importer) stamp(ctx context.Context, one dumps.Said) string {
	if im.cfg.Verify != nil && one.Message.Signature != "" {
		if stamp, err := im.cfg.Verify(ctx, one.Message); err == nil {
			return stamp
		}
	}
	if im.cfg.TrustStamps && one.Verified != "" {
		return one.Verified
	}
	return fedmsg.Unverified
}

// deliver gives a batch to the archive, and tells what was wrong in it.
func (im *Importer) deliver(ctx context.Context, b batch) error {
	file := b.from
	for _, r := range b.bad {
		if err := im.reject(file, r.Line, r.Err, r.Text); err != nil {
			return err
		}
		im.outcome.Bad++
		if b.state == "" && len(im.outcome.BadLines) < 1000 {
			im.outcome.BadLines = append(im.outcome.BadLines, r.Line)
		}
	}
	conflicts := Samples(im.cfg.Archive)["archive_conflicts_total"]
	for at := 0; at < len(b.entries); {
		n, err := im.cfg.Archive.Deliver(ctx, b.entries[at:])
		if at += n; err != nil {
			return err
		}
	}
	if Samples(im.cfg.Archive)["archive_conflicts_total"] > conflicts {
		for k, e := range b.entries {
			kept, err := im.cfg.Archive.Find(ctx, e.Message.ID)
			if err != nil || kept.Message.Digest() == e.Message.Digest() {
				continue
			}
			err = fedmsg.RefuseField(fedmsg.MsgIDConflict, "msg_id", "%s is known, and says something else", e.Message.ID)
			if err := im.reject(file, b.lines[k], err, e.Message.Bytes()); err != nil {
				return err
			}
		}
	}
	im.cfg.Progress.Reached(int64(len(b.entries)), b.taken)
	return nil
}

// maxTold is how many bad lines are told one by one.
const maxTold = 20

// reject tells of a text that was not taken, and keeps it for later.
func (im *Importer) reject(file string, line int, why error, text []byte) error {
	if im.told++; im.told <= maxTold {
		im.cfg.Progress.Say(fmt.Sprintf("%s: line %d: %v", file, line, why))
	} else if im.told == maxTold+1 {
		im.cfg.Progress.Say("there are more, which are not shown here; --rejects FILE has them all")
	}
	if im.cfg.Rejects == nil {
		return nil
	}
	out := bufio.NewWriter(im.cfg.Rejects)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	return cmp.Or(encoder.Encode(map[string]any{
		"file": file, "line": line, "reason": fedmsg.ReasonOf(why), "detail": why.Error(), "text": strings.ToValidUTF8(string(text), "\ufffd"),
	}), out.Flush())
}
