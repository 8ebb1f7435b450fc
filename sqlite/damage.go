package sqlite

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// Sizes and marks of SQLite's write-ahead log, from its file format (section
// 4.1 of sqlite.org/fileformat2.html).
const (
	walHeader      = 32
	walFrameHeader = 24
	walMagic       = 0x377F0682 // and the same + 1, for checksums of big-endian words
	walMaxPage     = 64 << 10
)

// checkJournal looks for damage in the journal that SQLite would not report.
//
// When SQLite opens a journal it reads as far as checksums are right, and
// forgets the rest: that is how a transaction ends that was cut off by a loss of
// power. A flipped bit in the middle looks the same to it, and transactions that
// were on disk and acknowledged would vanish without a word. But the next
// transaction is begun only when the one before is on disk, so of those that were
// cut off there is one at most. Two or more ends of transactions behind a wrong
// checksum are damage.
//
// It cannot tell a flipped bit in the very last transaction, or in the header of
// the journal, from one that was cut off.
//
// It must run before SQLite opens the file: closing a file drops the locks that
// the process has on it.
func checkJournal(file string) (err error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	lost, err := readJournal(bufio.NewReaderSize(f, 1<<20))
	if err == nil && lost > 1 {
		err = &fedmsg.HintError{
			Err:  fmt.Errorf("%s: a checksum is wrong before the last %d transactions: %w", file, lost, ErrDamaged),
			Hint: "restore the log from a backup; or remove this file, to go on without the newest messages",
		}
	}
	return err
}

// readJournal returns how many transactions end behind the first wrong checksum.
func readJournal(r io.Reader) (lost int, err error) {
	header := make([]byte, walHeader)
	if _, err := io.ReadFull(r, header); err != nil {
		return 0, ignoreEOF(err)
	}
	magic, size := binary.BigEndian.Uint32(header), binary.BigEndian.Uint32(header[8:])
	if magic&^1 != walMagic || size < 512 || size > walMaxPage {
		return 0, nil
	}
	sum := walSum{order: binary.LittleEndian}
	if magic&1 == 1 {
		sum.order = binary.BigEndian
	}
	sum.add(header[:24])
	if !sum.is(header[24:]) {
		return 0, nil
	}
	frame := make([]byte, walFrameHeader+size)
	for good := true; ; {
		if _, err := io.ReadFull(r, frame); err != nil {
			return lost, ignoreEOF(err)
		}
		current := string(frame[8:16]) == string(header[16:24]) // the two salts; else left over from before
		if good {
			sum.add(frame[:8])
			sum.add(frame[walFrameHeader:])
			good = current && sum.is(frame[16:])
		}
		if end := binary.BigEndian.Uint32(frame[4:]) != 0; !good && current && end {
			lost++
		}
	}
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// A walSum is the checksum of a journal so far.
type walSum struct {
	order binary.ByteOrder
	a, b  uint32
}

func (s *walSum) add(p []byte) {
	for ; len(p) >= 8; p = p[8:] {
		s.a += s.order.Uint32(p) + s.b
		s.b += s.order.Uint32(p[4:]) + s.a
	}
}

func (s *walSum) is(p []byte) bool {
	return binary.BigEndian.Uint32(p) == s.a && binary.BigEndian.Uint32(p[4:]) == s.b
}
