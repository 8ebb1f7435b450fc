package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

var (
	errLost    = errors.New("the connection ended")
	errColours = errors.New("the channel takes no colours")
)

// writeTimeout is how long the server may not take a line.
const writeTimeout = 30 * time.Second

// A session is one connection, from the greeting to its end. One goroutine reads, and
// alone changes what is not guarded otherwise; it also holds c.mu when it changes what
// others read: nick, user, host, mapping, and the channels.
type session struct {
	c    *Client
	conn net.Conn
	lost chan struct{} // closed when it has ended

	writing sync.Mutex // of lines

	nick, user, host string
	mapping          string // CASEMAPPING
	nicks            int    // that were refused
	welcomed         time.Time
	settled          bool // our commands after the welcome are sent
	login            login

	silence   *time.Timer // asks a server that says nothing
	regaining *time.Timer // tries to have our nick again
	asked     bool        // NickServ, for our nick

	awaiting sync.Mutex
	token    int
	await    *answer // to what is being said; nil if nothing is
}

// An answer is what the server makes of what is said to one target.
type answer struct {
	token   string
	to      string // folded
	refused string // why
	done    chan struct{}
}

func newSession(c *Client, conn net.Conn) *session {
	return &session{c: c, conn: conn, lost: make(chan struct{}), nick: c.cfg.Nick, login: login{offered: make(map[string]string)}}
}

// run greets, and handles what the server says until the connection ends.
func (s *session) run(ctx context.Context) error {
	timeout := s.c.cfg.Timeout
	s.silence = time.AfterFunc(timeout/2, func() { s.send("PING", "still-there") })
	s.regaining = time.AfterFunc(time.Hour, s.regain)
	s.regaining.Stop()
	greeting := time.AfterFunc(timeout, func() { _ = s.conn.Close() })
	leave := context.AfterFunc(ctx, s.leave)
	defer func() {
		s.silence.Stop()
		s.regaining.Stop()
		greeting.Stop()
		leave()
		_ = s.conn.Close()
		s.forget()
		close(s.lost)
	}()
	s.greet()
	lines := bufio.NewReaderSize(s.conn, maxTags+maxLine)
	for long := false; ; {
		if err := s.conn.SetReadDeadline(time.Now().Add(timeout)); err != nil {
			return fmt.Errorf("%w: %w", errLost, err)
		}
		line, err := lines.ReadSlice('\n')
		tooLong := errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !tooLong {
			return fmt.Errorf("%w: %w", errLost, err)
		}
		s.silence.Reset(timeout / 2)
		if m, err := ParseMessage(string(line)); err == nil && !tooLong && !long {
			if err := s.handle(&m); err != nil {
				return err
			}
		}
		long = tooLong // and what follows is the rest of it
		if s.settled {
			greeting.Stop()
		}
	}
}

// leave ends the session politely: the server closes the connection.
func (s *session) leave() {
	s.send("QUIT", "stopped")
	time.AfterFunc(2*time.Second, func() { _ = s.conn.Close() })
}

// send sends a line. If that fails the connection is closed, and the reader finds out.
func (s *session) send(command string, params ...string) {
	line, err := formatLine(command, params...)
	if err != nil {
		s.c.logger.Error("a line that must not be sent", "err", err)
		return
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	err = s.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	if err == nil {
		_, err = s.conn.Write([]byte(line))
	}
	if err != nil {
		_ = s.conn.Close()
	}
}

func (s *session) fold(name string) string { return Fold(s.mapping, name) }

// handle handles one line. An error ends the session.
func (s *session) handle(m *Message) error {
	switch m.Command {
	case "PING":
		s.send("PONG", m.last())
	case "PONG":
		s.answered(m.last())
	case "ERROR":
		return fmt.Errorf("%w: the server says: %q", errLost, m.last())
	case "CAP", "AUTHENTICATE", "900", "901", "902", "903", "904", "905", "906", "907", "908", "001":
		return s.handleLogin(m)
	case "431", "432", "433", "436", "437":
		if s.welcomed.IsZero() || !IsChannel(m.param(1)) {
			return s.nickTaken(m)
		}
		s.handleChannel(m)
	case "464", "465": // wrong password, banned
		return fmt.Errorf("%w: %s %q", errLost, m.Command, m.last())
	case "005":
		s.handleSupport(m)
	case "376", "422": // the end of the message of the day, or that there is none
		s.settle()
	case "396": // RPL_HOSTHIDDEN: nick, host
		s.moveTo(s.user, m.param(1))
	case "CHGHOST":
		if s.is(m.Source.Name) {
			s.moveTo(m.param(0), m.param(1))
		}
	case "401", "404", "407", "408", "411", "412", "413", "482", "531", "716", "717":
		s.refuse(m.param(1), m.last())
	case "PRIVMSG", "NOTICE":
		s.hear(m)
	default:
		s.refuseIfChannel(m)
		s.handleChannel(m)
	}
	return nil
}

// refuseIfChannel takes numerics that refuse a channel both when joining it and when
// saying something there.
func (s *session) refuseIfChannel(m *Message) {
	if m.Command == "403" || m.Command == "477" {
		s.refuse(m.param(1), m.last())
	}
}

func (s *session) handleSupport(m *Message) {
	for _, word := range m.Params {
		if mapping, ok := strings.CutPrefix(word, "CASEMAPPING="); ok {
			s.c.change(func() { s.mapping = mapping })
		}
		if letter, ok := strings.CutPrefix(word, "BOT="); ok && len(letter) == 1 {
			s.send("MODE", s.nick, "+"+letter) // so that people and bots know
		}
	}
}

// moveTo notes how others see us now.
func (s *session) moveTo(user, host string) {
	s.c.change(func() { s.user, s.host = user, host })
}

// settle does what we came for.
func (s *session) settle() {
	if s.settled || s.welcomed.IsZero() {
		return
	}
	s.settled = true
	s.identify()
	s.regain()
	s.c.change(func() {
		s.c.session = s
		for i, ch := range s.c.channels { // the first at once, the others as fast as servers like it
			ch.timer = time.AfterFunc(time.Duration(max(0, i-3))*s.c.cfg.TotalRate, func() { s.join(ch) })
		}
	})
	s.c.logger.Info("connected to the network", "nick", s.nick)
}

func (s *session) hear(m *Message) {
	if s.c.cfg.Heard == nil {
		return
	}
	s.c.cfg.Heard(Heard{From: m.Source, To: m.param(0), Private: s.is(m.param(0)), Notice: m.Command == "NOTICE", Text: m.last()})
}

// say says a text and waits for the server to have worked it off.
func (s *session) say(ctx context.Context, verb Verb, to, text string) error {
	s.c.mu.Lock()
	if ch := s.channel(to); ch != nil && ch.plain {
		text = Plain(text)
	}
	room := s.room(verb, to)
	a := &answer{to: s.fold(to), done: make(chan struct{})}
	s.c.mu.Unlock()
	if room < 100 {
		return fmt.Errorf("%w: our name and the target leave %d bytes for the text", ErrRefused, room)
	}
	s.awaiting.Lock()
	s.token++
	a.token = "said-" + strconv.Itoa(s.token)
	s.await = a
	s.awaiting.Unlock()

	for i, piece := range Split(text, room) {
		if piece == "" {
			continue
		}
		if i > 0 {
			if err := wait(ctx, s.c.paceOf(to)); err != nil {
				return err
			}
		}
		if err := wait(ctx, s.c.pace); err != nil {
			return err
		}
		s.send(string(verb), to, piece)
	}
	s.send("PING", a.token)
	select {
	case <-a.done:
		return s.verdict(to, text, a.refused)
	case <-s.lost:
		return errLost
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// room is how many bytes of text a line to a target may have, so that what others get,
// with our name before it, is not longer than a line. c.mu is held.
func (s *session) room(verb Verb, to string) int {
	seen := Source{s.nick, s.user, s.host}
	if s.host == "" { // nobody told us yet: assume the longest that servers give
		seen.User, seen.Host = strings.Repeat("u", 12), strings.Repeat("h", 63)
	}
	return maxLine - len(":"+seen.String()+" "+string(verb)+" "+to+" :\r\n")
}

// answered takes a PONG: what was said before its PING is worked off.
func (s *session) answered(token string) {
	s.awaiting.Lock()
	defer s.awaiting.Unlock()
	if s.await != nil && s.await.token == token {
		close(s.await.done)
		s.await = nil
	}
}

// refuse notes that what is being said to a target did not reach it.
func (s *session) refuse(to, why string) {
	s.awaiting.Lock()
	defer s.awaiting.Unlock()
	if s.await != nil && s.await.to == s.fold(to) {
		s.await.refused = "refused: " + why
	}
}

// verdict judges an answer: a text with colours is said again without, once the
// channel is known to want that.
func (s *session) verdict(to, text, refused string) error {
	if refused == "" {
		return nil
	}
	s.c.mu.Lock()
	ch := s.channel(to)
	if ch != nil && !ch.joined { // kicked in the meantime; it waits until we are back
		s.c.mu.Unlock()
		return errLost
	}
	if ch != nil {
		ch.plain = ch.plain || Plain(text) != text
	}
	s.c.mu.Unlock()
	if Plain(text) != text {
		return errColours
	}
	return fmt.Errorf("%w: %q", ErrRefused, refused)
}
