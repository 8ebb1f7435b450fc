package packing

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
)

// AppendNumbers packs numbers, each in as many bytes as the largest takes, little-endian,
// after a byte that says how many these are; nothing more if all are 0. Varints would
// take as much room, and several times as long to read.
func AppendNumbers(dst []byte, numbers []uint32) []byte {
	width := 0
	for _, n := range numbers {
		width = max(width, (bits.Len32(n)+7)/8)
	}
	dst = append(dst, byte(width))
	for _, n := range numbers {
		var b [4]byte
		binary.LittleEndian.PutUint32(b[:], n)
		dst = append(dst, b[:width]...)
	}
	return dst
}

// UnpackNumbers is the reverse of [AppendNumbers]. It uses the room that dst has, and
// returns what follows in src.
func UnpackNumbers(dst []uint32, n int, src []byte) (numbers []uint32, rest []byte, err error) {
	if len(src) == 0 || src[0] > 4 || int(src[0])*n > len(src)-1 {
		return nil, nil, fmt.Errorf("a column of %d numbers in %d bytes: %w", n, len(src), ErrDamaged)
	}
	width := int(src[0])
	src, rest = src[1:1+width*n], src[1+width*n:]
	dst = slices.Grow(dst[:0], n)[:n]
	switch width {
	case 0:
		clear(dst)
	case 1:
		for i := range dst {
			dst[i] = uint32(src[i])
		}
	case 2:
		for i := range dst {
			dst[i] = uint32(binary.LittleEndian.Uint16(src[2*i:]))
		}
	case 3:
		for i := range dst {
			b := src[3*i : 3*i+3]
			dst[i] = uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
		}
	default:
		for i := range dst {
			dst[i] = binary.LittleEndian.Uint32(src[4*i:])
		}
	}
	return dst, rest, nil
}
