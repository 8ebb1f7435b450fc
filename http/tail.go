package http

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	nethttp "net/http"
	"strconv"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// TailConfig says what to follow. The zero value follows everything from now on.
type TailConfig struct {
	// Topics are the patterns to ask for. Default: every topic.
	Topics []fedmsg.Pattern
	// After is the place after which to begin, 0 for the beginning of the log.
	// Default, nil: from now on.
	After *fedmsg.Seq
	// OnLost is called when the connection is lost, with the reason and the time
	// until the next attempt. It may be nil.
	OnLost func(err error, wait time.Duration)
	// OnReconnect is called when a lost connection is made again. It may be nil.
	OnReconnect func()
	// OnGap is called where messages may be missing. It may be nil.
	OnGap func(Gap)
}

// maxLine is the longest line of a stream, in bytes: a message all of whose
// characters were escaped, and what is around it.
const maxLine = 6*fedmsg.MaxMessageSize + 64<<10

var (
	// errSilence ends a connection that gave no sign of life.
	errSilence = errors.New("no sign of life from the server")
	// errBreak says that the caller has enough.
	errBreak = errors.New("break")
)

// Tail yields what is published, in order. A lost connection is made again, for
// ever, after pauses of 100 ms to 10 s, and goes on after the last entry; what
// cannot be had any more is told to OnGap. The iteration ends with the caller's
// break or with one error: the cause of ctx; that the server cannot be reached
// at all, from the start, for ClientConfig.Patience; or a refusal.
func (c *Client) Tail(ctx context.Context, cfg TailConfig) iter.Seq2[fedmsg.Entry, error] {
	return func(yield func(fedmsg.Entry, error) bool) {
		t := &tail{Client: c, cfg: cfg, yield: yield}
		if err := t.run(ctx); !errors.Is(err, errBreak) {
			yield(fedmsg.Entry{}, fmt.Errorf("tail: %w", err))
		}
	}
}

// A tail is one reader's way through several connections.
type tail struct {
	*Client
	cfg   TailConfig
	yield func(fedmsg.Entry, error) bool

	last  string        // the ID of the last event
	met   bool          // the server was there once
	hint  time.Duration // the pause that the server asks for
	pause time.Duration
}

func (t *tail) run(ctx context.Context) error {
	end := time.Now().Add(t.Client.cfg.Patience)
	t.pause = firstPause
	for {
		err := t.connect(ctx)
		if errors.Is(err, errBreak) {
			return err // the caller must not be asked again, whatever else happened
		}
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		if !errors.Is(err, io.EOF) {
			t.hint = 0 // it is for streams that the server ended
		}
		wait := max(jitter(t.pause), t.hint)
		if !errors.Is(err, fedmsg.ErrUnavailable) || !t.met && time.Now().Add(wait).After(end) {
			return err
		}
		if t.met && t.cfg.OnLost != nil {
			t.cfg.OnLost(err, wait)
		}
		if !sleep(ctx, wait) {
			return context.Cause(ctx)
		}
		t.pause, t.hint = min(2*t.pause, maxPause), 0
	}
}

// connect follows one connection to its end.
func (t *tail) connect(parent context.Context) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	query := topicQuery(t.cfg.Topics)
	if t.last == "" && t.cfg.After != nil {
		query.Set("after", strconv.FormatUint(uint64(*t.cfg.After), 10))
	}
	req, err := t.request(ctx, nethttp.MethodGet, "/api/v1/events", query, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "text/event-stream")
	if t.last != "" {
		req.Header.Set("Last-Event-ID", t.last)
	}
	resp, err := t.do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != nethttp.StatusOK {
		return problemError(resp)
	}
	if t.met && t.cfg.OnReconnect != nil {
		t.cfg.OnReconnect()
	}
	t.met = true
	silence := time.AfterFunc(t.Client.cfg.Silence, func() { cancel(errSilence) })
	defer silence.Stop()
	err = t.read(&alive{resp.Body, silence, t.Client.cfg.Silence})
	if errors.Is(context.Cause(ctx), errSilence) {
		err = fmt.Errorf("%w: %w", fedmsg.ErrUnavailable, errSilence)
	}
	return err
}

// alive puts off the end of a connection at every byte.
type alive struct {
	io.Reader
	timer *time.Timer
	after time.Duration
}

func (a *alive) Read(b []byte) (int, error) {
	a.timer.Reset(a.after) // also after the caller took its time
	return a.Reader.Read(b)
}

// An event is one event of a stream.
type event struct {
	id, name string
	data     []byte
}

// read passes on the events of one connection.
func (t *tail) read(body *alive) error {
	lines := bufio.NewReaderSize(body, 64<<10)
	var e event
	for {
		line, err := readLine(lines)
		if err != nil {
			return err
		}
		if len(line) > 0 {
			t.field(&e, line)
			continue
		}
		if len(e.data) > 0 {
			body.timer.Stop() // the caller may take its time
			if err := t.pass(e); err != nil {
				return err
			}
			t.pause = firstPause
			body.timer.Reset(body.after)
		}
		e = event{}
	}
}

// readLine reads a line without its end. The slice holds until the next call.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		long := bytes.Clone(line)
		for errors.Is(err, bufio.ErrBufferFull) {
			if len(long) > maxLine {
				return nil, fmt.Errorf("stream: a line has more than %d bytes: %w", maxLine, fedmsg.ErrInvalid)
			}
			line, err = r.ReadSlice('\n')
			long = append(long, line...)
		}
		line = long
	}
	if err != nil {
		return nil, fmt.Errorf("stream: %w: %w", fedmsg.ErrUnavailable, err)
	}
	return bytes.TrimRight(line, "\r\n"), nil
}

// field takes one line of an event.
func (t *tail) field(e *event, line []byte) {
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "":
		t.comment(string(value))
	case "id":
		e.id = string(value)
	case "event":
		e.name = string(value)
	case "data":
		if len(e.data) > 0 {
			e.data = append(e.data, '\n')
		}
		e.data = append(e.data, value...)
	case "retry":
		if ms, err := strconv.ParseUint(string(value), 10, 16); err == nil {
			t.hint = time.Duration(ms) * time.Millisecond
		}
	}
}

// comment learns from the first line of a stream where "now" was: a reader that
// began there and is cut before its first event misses nothing.
func (t *tail) comment(text string) {
	words := strings.Fields(text)
	if len(words) != 4 || words[0] != "epoch" || words[2] != "last" || t.last != "" || t.cfg.After != nil {
		return
	}
	if _, ok := parseEventID(words[1] + "-" + words[3]); ok {
		t.last = words[1] + "-" + words[3]
	}
}

// pass gives an event to the caller. An error ends the tail.
func (t *tail) pass(e event) error {
	if e.id != "" {
		t.last = e.id
	}
	switch e.name {
	case "gap":
		var g Gap
		if err := json.Unmarshal(e.data, &g); err != nil {
			return fmt.Errorf("gap: %w: %w", fedmsg.ErrInvalid, err)
		}
		if t.cfg.OnGap != nil {
			t.cfg.OnGap(g)
		}
	case "", "message":
		var el Element
		if err := json.Unmarshal(e.data, &el); err != nil {
			return fmt.Errorf("event %q: %w: %w", clip(e.id), fedmsg.ErrInvalid, err)
		}
		entry, err := el.Entry()
		if err != nil {
			return err
		}
		if !t.yield(entry, nil) {
			return errBreak
		}
	}
	return nil
}
