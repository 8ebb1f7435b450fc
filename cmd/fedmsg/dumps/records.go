// Package dumps reads what others wrote down of the past: files of JSON, packed or not,
// one object a line or all in one list, in the forms of fedmsg, datagrepper,
// fedora-messaging and this bus. Whatever is in a file, it takes little memory.
package dumps

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// maxRecord is the longest JSON object that is read from a dump, in bytes.
const maxRecord = 16 << 20

// maxWindow is how much memory the decompression of a file may take, in bytes.
const maxWindow = 64 << 20

// A Record is one JSON object of a dump.
type Record struct {
	Line int    // where it begins, from 1
	Text []byte // its own
	Err  error  // why it is none; Text may then be a part
	End  int64  // bytes of the unpacked file up to its end
}

// A File is read once, from its beginning. [Open] makes one.
type File struct {
	Name string // for people
	Size int64  // in bytes; 0 if it is not known

	r      io.Reader
	raw    *counting
	close  func() error
	packed string // gzip, zstd or nothing
}

// Open opens a file; "-" is stdin, which may be packed too. It must be closed. The
// error wraps [fedmsg.ErrInvalid] for a file that is not packed as its name says.
func Open(stdin io.Reader, name string) (*File, error) {
	d := &File{Name: name, close: func() error { return nil }}
	raw := stdin
	if name == "-" {
		d.Name = "standard input"
	} else {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			d.Size = info.Size()
		}
		raw, d.close = f, f.Close
	}
	d.raw = &counting{r: raw}
	buffered := bufio.NewReaderSize(d.raw, 256<<10)
	head, _ := buffered.Peek(4)
	d.r = buffered
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}) || strings.HasSuffix(name, ".gz"):
		d.packed = "gzip"
		r, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, errors.Join(d.broken(err), d.close())
		}
		d.r = r
	case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}) || strings.HasSuffix(name, ".zst"):
		d.packed = "zstd"
		r, err := zstd.NewReader(buffered, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, errors.Join(d.broken(err), d.close())
		}
		d.r = r
	}
	return d, nil
}

// Close closes the file.
func (d *File) Close() error { return d.close() }

// Taken returns how many bytes of the file were read, packed as they are.
func (d *File) Taken() int64 { return d.raw.n.Load() }

// broken says of an error in unpacking what it is. Others are returned as they are.
func (d *File) broken(err error) error {
	switch {
	case d.packed == "":
		return fmt.Errorf("%s: %w", d.Name, err)
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		return fmt.Errorf("%s: the %s file is truncated; what came before was imported: %w", d.Name, d.packed, fedmsg.ErrInvalid)
	}
	if _, isFile := errors.AsType[*os.PathError](err); isFile {
		return fmt.Errorf("%s: %w", d.Name, err)
	}
	return fmt.Errorf("%s: this is no %s file, or it is damaged: %w: %w", d.Name, d.packed, err, fedmsg.ErrInvalid)
}

type counting struct {
	r io.Reader
	n atomic.Int64
}

func (c *counting) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n.Add(int64(n))
	return n, err
}

// A splitter finds the JSON objects in a stream: one a line, or over several, or as
// elements of one list, which may be as long as it likes. A line that begins with
// "{" begins a new one, so that one that was cut off spoils no other. What is no
// object is told once a line.
type splitter struct {
	yield   func(Record) bool
	text    []byte
	line    int   // lines before the byte that comes
	at      int64 // bytes before it
	start   int   // the line in which the record begins; 0 outside of one
	depth   int
	quoted  bool
	escape  bool
	tooLong bool
	skip    bool // until the line ends
	idle    int  // bytes since the last record or line ended
}

// Records yields the records of the file, from a place on that a record before had as
// its End; 0 is the beginning. It ends with what yield says, with the end of the file or
// with an error, which wraps [fedmsg.ErrInvalid] if the file is damaged.
func (d *File) Records(ctx context.Context, from int64, yield func(Record) bool) error {
	if err := split(ctx, d.r, from, yield); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return d.broken(err)
	}
	return nil
}

func split(ctx context.Context, r io.Reader, from int64, yield func(Record) bool) error {
	s := &splitter{yield: yield}
	piece := make([]byte, 64<<10)
	for {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		n, err := r.Read(piece)
		rest := piece[:n]
		for s.at < from && len(rest) > 0 { // these were read another time
			if rest[0] == '\n' {
				s.line++
			}
			s.at++
			rest = rest[1:]
		}
		if !s.take(rest) {
			return nil
		}
		if errors.Is(err, io.EOF) {
			if s.start > 0 {
				s.fail("is cut off at the end of the file")
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *splitter) take(piece []byte) bool {
	begin := 0 // of what belongs to the record in this piece
	for i, c := range piece {
		s.at++
		if c == '\n' {
			s.line++
			s.quoted = false // no string goes on in the next line
			s.skip, s.idle = false, 0
		}
		if s.skip {
			continue
		}
		if s.start == 0 {
			if s.idle++; s.idle > maxRecord { // blanks without an end
				s.skip = true
				if !s.yield(Record{Line: s.line + 1, Err: fedmsg.Refuse(fedmsg.TooLarge, "the line has more than %d bytes and no object", maxRecord), End: s.at}) {
					return false
				}
			} else if c == '{' {
				s.start, s.depth, begin = s.line+1, 1, i
			} else if !strings.ContainsRune(" \t\r\n,[]\x1e\ufeff", rune(c)) && c < 0x80 {
				s.skip = true
				if !s.yield(Record{Line: s.line + 1, Err: fedmsg.Refuse(fedmsg.NotObject, "a message is a JSON object"), End: s.at}) {
					return false
				}
			}
			continue
		}
		switch {
		case s.escape:
			s.escape = false
		case s.quoted:
			s.escape = c == '\\'
			s.quoted = c != '"'
		case c == '"':
			s.quoted = true
		case c == '{' || c == '[':
			if c == '{' && s.isFirst(piece, i) {
				s.keep(piece[begin:i])
				if !s.fail("is cut off: the next line begins another") {
					return false
				}
				s.start, s.depth, begin = s.line+1, 1, i
				continue
			}
			s.depth++
		case c == '}' || c == ']':
			if s.depth--; s.depth == 0 {
				s.keep(piece[begin : i+1])
				if !s.finish() {
					return false
				}
			}
		}
	}
	if s.start > 0 {
		s.keep(piece[begin:])
	}
	return true
}

// isFirst reports whether the byte at i is the first of its line.
func (s *splitter) isFirst(piece []byte, i int) bool {
	if i > 0 {
		return piece[i-1] == '\n'
	}
	return len(s.text) > 0 && s.text[len(s.text)-1] == '\n'
}

func (s *splitter) keep(part []byte) {
	if len(s.text)+len(part) > maxRecord {
		s.tooLong = true
		s.text = s.text[:0]
	}
	if !s.tooLong {
		s.text = append(s.text, part...)
	}
}

func (s *splitter) finish() bool {
	r := Record{Line: s.start, Text: bytes.Clone(s.text), End: s.at}
	if s.tooLong {
		r.Text, r.Err = nil, fedmsg.Refuse(fedmsg.TooLarge, "it has more than %d bytes", maxRecord)
	}
	s.reset()
	return s.yield(r)
}

// fail yields what was cut off.
func (s *splitter) fail(why string) bool {
	r := Record{Line: s.start, Text: bytes.Clone(s.text), Err: fedmsg.Refuse(fedmsg.BadJSON, "the object %s", why), End: s.at}
	s.reset()
	return s.yield(r)
}

func (s *splitter) reset() {
	if cap(s.text) > 4<<20 {
		s.text = nil
	}
	s.idle = 0
	s.text, s.start, s.depth, s.quoted, s.escape, s.tooLong = s.text[:0], 0, 0, false, false, false
}
