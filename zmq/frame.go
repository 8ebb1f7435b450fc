package zmq

import (
	"encoding/binary"
	"errors"
	"io"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// The flags of a frame, ZMTP 3.0.
const (
	flagMore    = 1 << 0 // another frame of the same message follows
	flagLong    = 1 << 1 // the length has eight bytes instead of one
	flagCommand = 1 << 2
)

// ProtocolError is the reason for which a connection is closed whose peer does
// not speak ZMTP 3, or not with the sockets and the mechanism that we have.
const ProtocolError fedmsg.Reason = "protocol_error"

const (
	// maxFrames ends a message that goes on and on. Every message of fedmsg
	// has two frames; others are refused one by one up to here.
	maxFrames = 16

	// A buffer starts small, since many connections are silent, and grows
	// while a peer fills it. One that grew for a large message shrinks again.
	minBuffer    = 4 << 10
	usualBuffer  = 64 << 10
	shrinkBuffer = 256 << 10
)

// appendHead appends the head of a frame with n bytes.
func appendHead(dst []byte, flags byte, n int) []byte {
	if n > 255 {
		return binary.BigEndian.AppendUint64(append(dst, flags|flagLong), uint64(n))
	}
	return append(dst, flags, byte(n))
}

// appendCommand appends a command frame.
func appendCommand(dst []byte, name string, data ...byte) []byte {
	dst = appendHead(dst, flagCommand, 1+len(name)+len(data))
	dst = append(append(dst, byte(len(name))), name...)
	return append(dst, data...)
}

// splitCommand splits the body of a command frame.
func splitCommand(body []byte) (name string, data []byte, err error) {
	if len(body) == 0 || len(body) < 1+int(body[0]) || body[0] == 0 {
		return "", nil, fedmsg.Refuse(ProtocolError, "a command without a whole name")
	}
	n := 1 + int(body[0])
	return string(body[1:n]), body[n:], nil
}

// span is a place in a reader's buffer, counted from the first unread byte.
type span struct{ from, to int }

// reader takes a peer's bytes apart. What it returns lies in its buffer, and is
// valid until the next call.
type reader struct {
	src   io.Reader
	limit int // of a message or command with its framing, in bytes

	buf   []byte
	r, w  int  // buf[r:w] is unread
	eager bool // the last read filled the buffer: a larger one saves calls

	spans  []span
	frames [][]byte
}

func newReader(src io.Reader, limit int) *reader {
	return &reader{src: src, limit: limit}
}

// fill makes at least n unread bytes available.
func (r *reader) fill(n int) error {
	for r.w-r.r < n {
		r.makeRoom()
		got, err := r.src.Read(r.buf[r.w:])
		r.w += got
		r.eager = r.w == len(r.buf)
		if r.w-r.r < n && err != nil {
			if errors.Is(err, io.EOF) && r.w > r.r {
				return io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// makeRoom sees to it that a read has somewhere to go. The buffer at most
// doubles, and only when the peer has filled it.
func (r *reader) makeRoom() {
	unread := r.w - r.r
	size := len(r.buf)
	switch {
	case size == 0:
		size = minBuffer
	case unread == size:
		size *= 2
	case unread == 0 && size > shrinkBuffer:
		size = usualBuffer
	case unread == 0 && r.eager && size < usualBuffer:
		size *= 2
	case r.w < size && unread > 0:
		return
	}
	if size != len(r.buf) {
		buf := make([]byte, size)
		copy(buf, r.buf[r.r:r.w])
		r.buf = buf
	} else {
		copy(r.buf, r.buf[r.r:r.w])
	}
	r.r, r.w = 0, unread
}

// take returns the next n bytes, as they are.
func (r *reader) take(n int) ([]byte, error) {
	if err := r.fill(n); err != nil {
		return nil, err
	}
	b := r.buf[r.r : r.r+n]
	r.r += n
	return b, nil
}

// frame finds the frame that begins off bytes after the first unread byte.
func (r *reader) frame(off int) (flags byte, body span, err error) {
	if err := r.fill(off + 2); err != nil {
		return 0, span{}, err
	}
	flags = r.buf[r.r+off]
	head, size := 2, uint64(r.buf[r.r+off+1])
	switch {
	case flags&^(flagMore|flagLong|flagCommand) != 0 || flags&flagCommand != 0 && flags&flagMore != 0:
		return 0, span{}, fedmsg.Refuse(ProtocolError, "a frame with the flags %#02x", flags)
	case flags&flagLong != 0:
		head = 9
		if err := r.fill(off + head); err != nil {
			return 0, span{}, err
		}
		size = binary.BigEndian.Uint64(r.buf[r.r+off+1:])
	}
	if size > uint64(r.limit) || off+head+int(size) > r.limit {
		return 0, span{}, fedmsg.Refuse(fedmsg.TooLarge, "a frame of %d bytes, at most %d are allowed in a message", size, r.limit)
	}
	body = span{off + head, off + head + int(size)}
	return flags, body, r.fill(body.to)
}

// message returns the frames of the next message. Commands that come before it
// or between its frames (libzmq sends its heartbeats there) go to command.
func (r *reader) message(command func(body []byte) error) ([][]byte, error) {
	r.spans = r.spans[:0]
	for off := 0; ; {
		flags, body, err := r.frame(off)
		if err != nil {
			return nil, err
		}
		if flags&flagCommand != 0 {
			if err := command(r.buf[r.r+body.from : r.r+body.to]); err != nil {
				return nil, err
			}
			if len(r.spans) == 0 {
				r.r += body.to
			} else {
				off = body.to
			}
			continue
		}
		if len(r.spans) == maxFrames {
			return nil, fedmsg.Refuse(fedmsg.FrameCount, "a message of more than %d frames", maxFrames)
		}
		r.spans = append(r.spans, body)
		off = body.to
		if flags&flagMore == 0 {
			break
		}
	}
	r.frames = r.frames[:0]
	for _, s := range r.spans {
		r.frames = append(r.frames, r.buf[r.r+s.from:r.r+s.to:r.r+s.to])
	}
	r.r += r.spans[len(r.spans)-1].to
	return r.frames, nil
}
