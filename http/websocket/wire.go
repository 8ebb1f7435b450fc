package websocket

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	nethttp "net/http"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// maxFrame is the largest frame, and the largest message, that a client may send.
	maxFrame = 64 << 10
	// sendBuffer is how much the kernel may hold for a reader that does not read, in
	// bytes, so that it is noticed soon.
	sendBuffer = 128 << 10
	// holdBytes is how much of several texts goes out together.
	holdBytes = 16 << 10
	// drainTime is how long what a refused client goes on sending is read, so that it
	// reads why it is refused.
	drainTime = time.Second
)

var (
	errTooLarge = errors.New("a frame is too large")
	errTooFast  = errors.New("too many frames")
)

// An upgrade hands the library a connection that is looked after.
type upgrade struct {
	nethttp.ResponseWriter
	cfg  Config
	slow func()
	wire *wire
}

// Hijack takes the connection over. What the server has read of it already is read
// again.
func (u *upgrade) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, buffered, err := nethttp.NewResponseController(u.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	early, _ := buffered.Reader.Peek(buffered.Reader.Buffered()) // as many as there are
	u.wire = &wire{Conn: nc, early: early, cfg: u.cfg, slow: u.slow, frames: rate.NewLimiter(rate.Limit(u.cfg.Frames), u.cfg.Burst)}
	raw := nc
	if tls, ok := nc.(interface{ NetConn() net.Conn }); ok {
		raw = tls.NetConn()
	}
	if tcp, ok := raw.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(sendBuffer) // it is noticed later, then
	}
	return u.wire, bufio.NewReadWriter(bufio.NewReader(strings.NewReader("")), bufio.NewWriter(u.wire)), nil
}

// A wire is the connection to a client. It reads along, so that a frame that announces
// too much, or frames that come too fast, are refused before anything is done about
// them; and it notices when nobody reads.
type wire struct {
	net.Conn
	early  []byte // read before
	cfg    Config
	slow   func()
	frames *rate.Limiter

	head     []byte // of a frame, as far as it came
	left     int64  // of the frame's mask and payload
	failed   error
	draining bool

	mu      sync.Mutex // of what follows
	held    *[]byte    // what waits to be sent; nil if nothing has to wait
	set     time.Time  // when the write deadline was set
	failing error      // what writing failed with
}

// Read reads, and fails at the head of a frame that is refused.
func (w *wire) Read(b []byte) (int, error) {
	if w.failed != nil {
		return 0, w.drain()
	}
	n, err := copy(b, w.early), error(nil)
	w.early = w.early[n:]
	if n == 0 {
		n, err = w.Conn.Read(b)
	}
	if w.failed = w.follow(b[:n]); w.failed != nil {
		return 0, w.failed
	}
	return n, err
}

// follow reads along: heads of frames, and past what is in them.
func (w *wire) follow(b []byte) error {
	for len(b) > 0 {
		if w.left > 0 {
			n := min(int64(len(b)), w.left)
			b, w.left = b[n:], w.left-n
			continue
		}
		w.head = append(w.head, b[0])
		b = b[1:]
		size, whole := headSize(w.head)
		if !whole {
			continue
		}
		w.head = w.head[:0]
		if size > maxFrame {
			return errTooLarge
		}
		if !w.frames.Allow() {
			return errTooFast
		}
		w.left = int64(size)
	}
	return nil
}

// headSize returns how many bytes follow the head of a frame, its mask among them; whole
// is false while some of the head lacks. See RFC 6455, 5.2.
func headSize(head []byte) (size uint64, whole bool) {
	if len(head) < 2 {
		return 0, false
	}
	switch size = uint64(head[1] & 0x7f); size {
	case 126:
		if len(head) < 4 {
			return 0, false
		}
		size = uint64(binary.BigEndian.Uint16(head[2:]))
	case 127:
		if len(head) < 10 {
			return 0, false
		}
		size = binary.BigEndian.Uint64(head[2:])
	}
	if size > maxFrame {
		return size, true
	}
	if head[1]&0x80 != 0 {
		size += 4
	}
	return size, true
}

// drain reads what a refused client goes on sending, for a moment, and then says that
// there is nothing more.
func (w *wire) drain() error {
	if !w.draining {
		w.draining = true
		_ = w.Conn.SetReadDeadline(time.Now().Add(drainTime))
		_, _ = io.Copy(io.Discard, w.Conn) // until it ends, or there was time enough
	}
	return io.EOF
}

// Write writes all of b, or keeps it for [wire.release].
func (w *wire) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.held == nil || w.failing != nil {
		return len(b), w.send(b)
	}
	if len(*w.held)+len(b) > holdBytes {
		if err := w.flush(); err != nil {
			return 0, err
		}
	}
	if len(b) > holdBytes/2 { // not worth a copy
		return len(b), w.send(b)
	}
	*w.held = append(*w.held, b...)
	return len(b), nil
}

// holds are what texts are put together in.
var holds = sync.Pool{New: func() any { return new(make([]byte, 0, holdBytes)) }}

// hold has what is written wait, so that several texts go out together.
func (w *wire) hold() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held = holds.Get().(*[]byte)
}

// release sends what waits.
func (w *wire) release() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	err := w.flush()
	holds.Put(w.held)
	w.held = nil
	return err
}

// flush sends what waits. w.mu is held.
func (w *wire) flush() error {
	defer func() { *w.held = (*w.held)[:0] }()
	if len(*w.held) == 0 {
		return w.failing
	}
	return w.send(*w.held)
}

// send writes all of b to the connection. A reader that takes nothing for the time of a
// write is slow: it is told so if it reads again before its grace ends; TLS cannot go on
// after that. w.mu is held.
func (w *wire) send(b []byte) error {
	if w.failing != nil {
		return w.failing
	}
	if now := time.Now(); now.Sub(w.set) > w.cfg.WriteTimeout/4 { // not at each: it costs as much as a short write
		w.set = now
		_ = w.Conn.SetWriteDeadline(now.Add(w.cfg.WriteTimeout)) // it can, or writing tells
	}
	n, err := w.Conn.Write(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		w.slow()
		_ = w.Conn.SetWriteDeadline(time.Now().Add(w.cfg.Grace))
		_, err = w.Conn.Write(b[n:])
	}
	w.failing = err
	return err
}
