// Package wal reads the write-ahead log of a SQLite database, its journal, as far as is
// needed to see what SQLite would not tell.
package wal

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
)

// Sizes and marks of SQLite's write-ahead log, from its file format (section
// 4.1 of sqlite.org/fileformat2.html).
const (
	headerSize  = 32
	frameHeader = 24
	magicWord   = 0x377F0682 // and the same + 1, for checksums of big-endian words
	maxPage     = 64 << 10
)

// Lost returns how many transactions end in a journal behind the first wrong checksum; 0
// if there is no such file.
//
// It must run before SQLite opens the file: closing a file drops the locks that the
// process has on it.
func Lost(file string) (transactions int, err error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return read(bufio.NewReaderSize(f, 1<<20))
}

// read returns how many transactions end behind the first wrong checksum.
func read(r io.Reader) (lost int, err error) {
	header := make([]byte, headerSize)
	if _, err := io.ReadFull(r, header); err != nil {
		return 0, ignoreEOF(err)
	}
	magic, size := binary.BigEndian.Uint32(header), binary.BigEndian.Uint32(header[8:])
	if magic&^1 != magicWord || size < 512 || size > maxPage {
		return 0, nil
	}
	sum := checksum{order: binary.LittleEndian}
	if magic&1 == 1 {
		sum.order = binary.BigEndian
	}
	sum.add(header[:24])
	if !sum.is(header[24:]) {
		return 0, nil
	}
	frame := make([]byte, frameHeader+size)
	for good := true; ; {
		if _, err := io.ReadFull(r, frame); err != nil {
			return lost, ignoreEOF(err)
		}
		current := string(frame[8:16]) == string(header[16:24]) // the two salts; else left over from before
		if good {
			sum.add(frame[:8])
			sum.add(frame[frameHeader:])
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

// A checksum is the checksum of a journal so far.
type checksum struct {
	order binary.ByteOrder
	a, b  uint32
}

func (s *checksum) add(p []byte) {
	for ; len(p) >= 8; p = p[8:] {
		s.a += s.order.Uint32(p) + s.b
		s.b += s.order.Uint32(p[4:]) + s.a
	}
}

func (s *checksum) is(p []byte) bool {
	return binary.BigEndian.Uint32(p) == s.a && binary.BigEndian.Uint32(p[4:]) == s.b
}
