package react

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http"
	"github.com/fedora-infra/fedmsg-go/trigger"
)

// A letter is a line of a file of messages.
type letter struct {
	Seq      fedmsg.Seq      `json:"seq"`
	At       time.Time       `json:"at"`
	Verified string          `json:"verified"`
	Message  json.RawMessage `json:"message"`
}

// maxLine bounds a line: a message, all of whose characters are escaped, and what
// stands around it.
const maxLine = 6*fedmsg.MaxMessageSize + 64<<10

// openLetters opens the file of dead letters. What cannot be written there later would
// be lost, so it is opened before anything runs.
func (r *reaction) openLetters() (err error) {
	if r.DeadLetters == "" {
		return nil
	}
	r.letters, err = os.OpenFile(r.DeadLetters, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("--dead-letters: %w", err)
	}
	to, err := r.letters.Stat()
	if err != nil {
		return fmt.Errorf("--dead-letters: %w", err)
	}
	if from, err := os.Stat(r.From); r.From != "" && err == nil && os.SameFile(from, to) {
		return r.Usage(errors.New("--from and --dead-letters are the same file: what fails again would be read again, for ever"))
	}
	return nil
}

// keep writes messages that failed for good, with why, onto the disk.
func (r *reaction) keep(f trigger.Failure) error {
	why, err := json.Marshal(f.Err.Error())
	if err != nil {
		panic(err) // cannot be: a string
	}
	var text []byte
	for _, e := range f.Entries {
		text = http.AppendElement(text, e)
		text = append(text[:len(text)-1], `,"error":`...)
		text = append(append(text, why...), "}\n"...)
	}
	if _, err := r.letters.Write(text); err != nil {
		return fmt.Errorf("--dead-letters: %w", err)
	}
	if err := r.letters.Sync(); err != nil {
		return fmt.Errorf("--dead-letters: %w", err)
	}
	return nil
}

// open opens the bus, or the file that is read instead of one.
func (r *reaction) open(ctx context.Context) (*Bus, error) {
	bus, err := r.openBus(ctx, r.After, r.Since)
	if bus == nil || err != nil || r.From == "" {
		return bus, err
	}
	if r.After != "" || r.Since != "" {
		return nil, errors.Join(r.Usage(errors.New("--after and --since are places of a bus, and do not go with --from")), bus.Close())
	}
	in, file := r.Stdin(ctx), io.Closer(nil)
	if r.From != "-" {
		f, err := os.Open(r.From)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("--from: %w", err), bus.Close())
		}
		in, file = f, f
	}
	instead := *bus
	instead.Tail = func(context.Context, []fedmsg.Pattern) iter.Seq2[fedmsg.Entry, error] { return r.replay(in) }
	instead.Close = func() error {
		if file != nil {
			return errors.Join(bus.Close(), file.Close())
		}
		return bus.Close()
	}
	return &instead, nil
}

// replay yields the messages of a file.
func (r *reaction) replay(in io.Reader) iter.Seq2[fedmsg.Entry, error] {
	return func(yield func(fedmsg.Entry, error) bool) {
		lines := bufio.NewScanner(in)
		lines.Buffer(nil, maxLine)
		n := 0
		for lines.Scan() {
			n++
			e, err := readLetter(lines.Bytes())
			if err != nil {
				err = fmt.Errorf("--from: %s: line %d: %w", r.From, n, err)
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(fedmsg.Entry{}, fmt.Errorf("--from: %s: line %d: %w", r.From, n+1, err))
		}
	}
}

func readLetter(line []byte) (fedmsg.Entry, error) {
	var l letter
	if err := json.Unmarshal(line, &l); err != nil {
		return fedmsg.Entry{}, fmt.Errorf("%w: %w", err, fedmsg.ErrInvalid)
	}
	m, err := fedmsg.DecodeHistory(l.Message)
	if err != nil {
		return fedmsg.Entry{}, err
	}
	return fedmsg.Entry{Seq: l.Seq, At: l.At, Verified: l.Verified, Message: m}, nil
}
