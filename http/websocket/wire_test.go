package websocket

import (
	"errors"
	"testing"

	"golang.org/x/time/rate"
)

func limited(frames int) *wire { return &wire{frames: rate.NewLimiter(0, frames)} }

func TestHeadSize(t *testing.T) {
	for _, tt := range []struct {
		head  string
		size  uint64
		whole bool
	}{
		{"", 0, false}, {"\x81", 0, false},
		{"\x81\x05", 5, true},
		{"\x81\x85", 9, true}, // a mask has four bytes
		{"\x81\xfe\x01", 0, false},
		{"\x81\xfe\x01\x00", 260, true},
		{"\x81\xff\x00\x00\x00\x00\x00\x00\x01", 0, false},
		{"\x81\xff\x00\x00\x00\x00\x00\x01\x00\x00", 65540, true},
		{"\x81\xff\x00\x00\x00\x00\x00\x01\x00\x01", 65537, true},
		{"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff", 1<<64 - 1, true},
	} {
		if size, whole := headSize([]byte(tt.head)); size != tt.size || whole != tt.whole {
			t.Errorf("headSize(%x) = %d, %v, want %d, %v", tt.head, size, whole, tt.size, tt.whole)
		}
	}
}

// FuzzWire holds for any bytes: however they are cut, the verdict is the same, and what
// is kept of them is the head of one frame at most.
func FuzzWire(f *testing.F) {
	for _, seed := range []string{"\x81\x85\x00\x00\x00\x00hello\x89\x80", "\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff", "\x81\xfe\x00"} {
		f.Add([]byte(seed), 3)
	}
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		cut = max(1, cut)
		whole, pieces := limited(8), limited(8)
		want := whole.follow(b)
		var got error
		for rest := b; len(rest) > 0 && got == nil; {
			n := min(cut, len(rest))
			got = pieces.follow(rest[:n])
			rest = rest[n:]
		}
		if !errors.Is(got, want) && !errors.Is(want, got) {
			t.Errorf("in pieces of %d: %v, as a whole: %v", cut, got, want)
		}
		if got == nil && (whole.left != pieces.left || string(whole.head) != string(pieces.head)) {
			t.Errorf("in pieces of %d: %d left, head %x; as a whole: %d, %x", cut, pieces.left, pieces.head, whole.left, whole.head)
		}
		if len(whole.head) > 9 || whole.left > maxFrame+4 {
			t.Errorf("it keeps %d bytes, and waits for %d", len(whole.head), whole.left)
		}
	})
}
