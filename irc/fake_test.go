package irc_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fedora-infra/fedmsg-go/irc"
)

// A said is a line that reached a target.
type said struct {
	at           time.Duration // since the network began
	verb, to     string
	text         string
	wire         string // as others in a channel get it
	from, client string
}

// A network is an IRC server in memory, as far as a client notices.
type network struct {
	t     *testing.T
	start time.Time

	mu       sync.Mutex
	down     bool              // nobody can connect
	caps     string            // offered in CAP LS
	password string            // what SASL PLAIN wants, account\0account\0password in base64
	taken    map[string]bool   // nicks that others have
	modes    map[string]string // of channels
	keys     map[string]string // of channels
	refuse   string            // the numeric with which joins are refused
	host     string            // of clients, as others see it
	mute     bool              // it says nothing, not even PONG
	silent   map[string]bool   // 404 for all that is said there
	dials    []time.Duration
	lines    []string // from clients, in order
	said     []said
	current  *link
}

// A link is one client.
type link struct {
	n           *network
	conn        net.Conn
	nick        string
	user        string
	negotiating bool
	in          bool
	channels    []string
	auth        string
	out         chan string
}

func newNetwork(t *testing.T) *network {
	return &network{t: t, start: time.Now(), host: host, taken: map[string]bool{}, modes: map[string]string{}, keys: map[string]string{}, silent: map[string]bool{}}
}

// host is what others see of a client at first.
const host = "bot.users.example.org"

func (n *network) dial(context.Context, string, string) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dials = append(n.dials, time.Since(n.start))
	if n.down {
		return nil, errors.New("connection refused")
	}
	ours, theirs := net.Pipe()
	l := &link{n: n, conn: theirs, out: make(chan string, 10_000)}
	n.current = l
	go l.write(l.out)
	go l.serve()
	return ours, nil
}

// do changes the network.
func (n *network) do(what func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	what()
}

// says sends lines to the client that came last.
func (n *network) says(lines ...string) {
	n.mu.Lock()
	l := n.current
	n.mu.Unlock()
	for _, line := range lines {
		l.send(line)
	}
	synctest.Wait()
}

// cut ends the connection of the client that came last.
func (n *network) cut() {
	n.mu.Lock()
	l := n.current
	n.mu.Unlock()
	l.conn.Close()
	synctest.Wait()
}

// got returns the lines of clients that begin so.
func (n *network) got(prefix string) (found []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, line := range n.lines {
		if strings.HasPrefix(line, prefix) {
			found = append(found, line)
		}
	}
	return found
}

// texts returns what was said to a target.
func (n *network) texts(to string) (found []string) {
	for _, s := range n.all(to) {
		found = append(found, s.text)
	}
	return found
}

func (n *network) all(to string) (found []said) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.said {
		if s.to == to {
			found = append(found, s)
		}
	}
	return found
}

// send queues a line, as a kernel would: who writes on a pipe waits for the reader.
func (l *link) send(line string) {
	l.n.do(func() {
		if l.out != nil {
			l.out <- line + "\r\n"
		}
	})
}

func (l *link) write(out <-chan string) {
	for line := range out {
		if _, err := l.conn.Write([]byte(line)); err != nil {
			return
		}
	}
}

// end closes the connection, and ends both goroutines of the link.
func (l *link) end() {
	l.conn.Close()
	l.n.do(func() {
		if l.out != nil {
			close(l.out)
			l.out = nil
		}
	})
}

func (l *link) serve() {
	defer l.end()
	lines := bufio.NewScanner(l.conn)
	for lines.Scan() {
		line := lines.Text()
		if len(line)+2 > 512 {
			l.n.t.Errorf("a line of %d bytes: %.80q", len(line)+2, line)
		}
		m, err := irc.ParseMessage(line)
		if err != nil {
			l.n.t.Errorf("the client sends %q: %v", line, err)
			return
		}
		l.n.mu.Lock()
		l.n.lines = append(l.n.lines, line)
		mute := l.n.mute
		answers := l.answer(m)
		l.n.mu.Unlock()
		if mute {
			continue
		}
		for _, a := range answers {
			l.send(a)
		}
		if m.Command == "QUIT" {
			return
		}
	}
}

// answer is what the server answers; n.mu is held.
func (l *link) answer(m irc.Message) []string {
	n := l.n
	p := func(i int) string {
		if i < len(m.Params) {
			return m.Params[i]
		}
		return ""
	}
	switch m.Command {
	case "CAP":
		switch p(0) {
		case "LS":
			l.negotiating = true
			return []string{":srv CAP * LS :" + n.caps}
		case "REQ":
			return []string{":srv CAP * ACK :" + p(1)}
		case "END":
			l.negotiating = false
		}
	case "AUTHENTICATE":
		switch {
		case p(0) == "PLAIN" || p(0) == "EXTERNAL":
			return []string{"AUTHENTICATE +"}
		default:
			l.auth += strings.TrimPrefix(p(0), "+")
			if len(p(0)) == 400 {
				return nil
			}
			if l.auth != n.password {
				return []string{":srv 904 * :SASL authentication failed"}
			}
			return []string{":srv 900 * * acct :You are now logged in", ":srv 903 * :SASL authentication successful"}
		}
	case "USER":
		l.user = p(0)
	case "NICK":
		if n.taken[p(0)] {
			return []string{":srv 433 * " + p(0) + " :Nickname is already in use."}
		}
		old := l.nick
		l.nick = p(0)
		if l.in {
			return []string{":" + old + "!~u@" + n.host + " NICK " + p(0)}
		}
	case "JOIN":
		if n.refuse != "" {
			return []string{":srv " + n.refuse + " " + l.nick + " " + p(0) + " :Cannot join channel"}
		}
		if n.keys[p(0)] != p(1) {
			return []string{":srv 475 " + l.nick + " " + p(0) + " :Cannot join channel (+k)"}
		}
		l.channels = append(l.channels, p(0))
		return []string{":" + l.prefix() + " JOIN " + p(0), ":srv 353 " + l.nick + " = " + p(0) + " :@alice " + l.nick + " +bob!b@b"}
	case "MODE":
		return []string{":srv 324 " + l.nick + " " + p(0) + " " + n.modes[p(0)]}
	case "PING":
		return []string{":srv PONG srv :" + p(0)}
	case "QUIT":
		return []string{"ERROR :Closing link"}
	case "PRIVMSG", "NOTICE":
		return l.talk(m)
	}
	if !l.in && !l.negotiating && l.nick != "" && l.user != "" {
		l.in = true
		return []string{":srv 001 " + l.nick + " :Welcome", ":srv 005 " + l.nick + " CASEMAPPING=rfc1459 BOT=B :are supported", ":srv 422 " + l.nick + " :No message of the day"}
	}
	return nil
}

func (l *link) prefix() string { return l.nick + "!~u@" + l.n.host }

func (l *link) talk(m irc.Message) []string {
	n, to, text := l.n, m.Params[0], m.Params[1]
	if to == "NickServ" {
		if nick, ok := strings.CutPrefix(text, "GHOST "); ok {
			nick, _, _ = strings.Cut(nick, " ")
			delete(n.taken, nick)
		}
		return nil
	}
	switch {
	case to[0] == '#' && !slices.Contains(l.channels, to), n.silent[to]:
		return []string{":srv 404 " + l.nick + " " + to + " :Cannot send to channel"}
	case strings.Contains(n.modes[to], "c") && strings.Contains(text, "\x03"):
		return []string{":srv 404 " + l.nick + " " + to + " :Can't send colors to channel (+c is set)"}
	}
	wire := ":" + l.prefix() + " " + m.Command + " " + to + " :" + text + "\r\n"
	if len(wire) > 512 {
		n.t.Errorf("others get a line of %d bytes", len(wire))
	}
	n.said = append(n.said, said{time.Since(n.start), m.Command, to, text, wire, l.nick, l.user})
	return nil
}

// plainProof is what SASL PLAIN sends.
func plainProof(account, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(account + "\x00" + account + "\x00" + password))
}

// run runs something until the test ends it, within its bubble.
func run(t *testing.T, what func(ctx context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- what(ctx) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run after its context ended: %v, want nil", err)
		}
		synctest.Wait()
	}
}

// later lets time pass.
func later(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
