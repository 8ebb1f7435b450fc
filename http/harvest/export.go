package harvest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	nethttp "net/http"
	"net/url"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

const (
	// maxLine is the longest line of an export, in bytes: a message whose every
	// character is escaped.
	maxLine = 16 << 20
	// maxPart is how many bytes of lines are kept until a cursor comes.
	maxPart = 256 << 20
)

// export takes an export of a bus, from cursor to cursor.
func (h *Harvest) export(ctx context.Context, s state, take taker) error {
	p := new(patience)
	for {
		params := url.Values{"format": {"jsonl.zst"}, "order": {"oldest"}, "since": {h.cfg.Since.Format(time.RFC3339Nano)}, "until": {h.cfg.Until.Format(time.RFC3339Nano)}}
		u := h.at(params)
		if s.Cursor != "" {
			params.Set("cursor", s.Cursor)
			u = h.at(params)
			if s.Query != "" { // its times are those of the cursor
				u.RawQuery = url.Values{"format": params["format"], "cursor": params["cursor"], "q": {s.Query}}.Encode()
			}
		}
		before, whole := s.Cursor, false
		err := h.client.once(ctx, u, []string{"application/zstd"}, 0, func(resp *nethttp.Response) error {
			if line := resp.Header.Get("Fedmsg-Query"); !strings.Contains(line, "?") { // else it could not be told in a header
				s.Query = line
			}
			r := &export{harvest: h, state: &s, from: u.Redacted(), take: take}
			if err := r.read(resp.Body); err != nil {
				return err
			}
			if resp.Trailer.Get("Fedmsg-Complete") == "" {
				return fmt.Errorf("the export ends without saying that it is whole: %w", fedmsg.ErrUnavailable)
			}
			if next := resp.Trailer.Get("Fedmsg-Cursor"); next != "" {
				s.Cursor = next
				return r.hand()
			}
			whole = true
			s.Done = h.cfg.Until
			return r.hand()
		})
		if err == nil && whole {
			return nil
		}
		if s.Cursor != before {
			p.failed = 0
		} else if err == nil {
			err = fmt.Errorf("it does not go on behind a cursor: %w", fedmsg.ErrUnavailable)
		}
		if err != nil {
			if err = h.client.bear(ctx, p, u, err); err != nil {
				return err
			}
		}
	}
}

// An export is read line by line. Lines are handed on as soon as it is known where to
// go on after them.
type export struct {
	harvest *Harvest
	state   *state
	from    string
	take    taker
	rows    [][]byte
	size    int
	reached time.Time
}

func (x *export) read(in io.Reader) error {
	unpacked, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(64<<20))
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	defer unpacked.Close()
	lines := bufio.NewScanner(unpacked)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	for lines.Scan() {
		line := bytes.Clone(lines.Bytes())
		x.rows = append(x.rows, line)
		if x.size += len(line); x.size > maxPart {
			return final{fmt.Errorf("%d bytes came without a cursor: %w", x.size, fedmsg.ErrInvalid)}
		}
		if !bytes.HasSuffix(line, []byte(`"}`)) || !bytes.Contains(line[max(0, len(line)-300):], []byte(`,"cursor":"`)) {
			continue
		}
		object, err := fedmsg.DecodeHistory(line)
		if err != nil {
			return fmt.Errorf("a line of the export is no JSON: %w: %w", fedmsg.ErrUnavailable, err)
		}
		f := object.Fields("cursor", "message")
		cursor, ok := fedmsg.DecodeString(f[0])
		if !ok || cursor == "" {
			continue
		}
		if m := readRow(f[1]); m.at.After(x.reached) {
			x.reached = m.at
		}
		x.state.Cursor = cursor
		if err := x.hand(); err != nil {
			return err
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return final{fmt.Errorf("a line of the export has more than %d bytes: %w", maxLine, fedmsg.ErrInvalid)}
	}
	if lines.Err() != nil {
		return fmt.Errorf("the export is cut off: %w: %w", fedmsg.ErrUnavailable, lines.Err())
	}
	return nil
}

// hand hands on what came.
func (x *export) hand() error {
	rows := x.rows
	x.rows, x.size = nil, 0
	if !x.state.Done.Before(x.harvest.cfg.Until) {
		x.reached = x.harvest.cfg.Until
	}
	if err := x.take(x.from, rows, x.state.text(), x.reached); err != nil {
		return final{err}
	}
	return nil
}
