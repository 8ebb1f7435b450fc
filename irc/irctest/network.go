// Package irctest is the other side of IRC for tests in fake time: a network in memory.
package irctest

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fedora-infra/fedmsg-go/irc/client"
)

// A Said is a line that reached a target.
type Said struct {
	At       time.Duration // since the network began
	Verb, To string
	Text     string
	Wire     string // as others in a channel get it
}

// A Network is an IRC server in memory, as far as a client notices.
type Network struct {
	t     *testing.T
	start time.Time

	mu       sync.Mutex        // of all that follows; see Do
	Down     bool              // nobody can connect
	TLS      *tls.Config       // if it speaks TLS
	Caps     string            // offered in CAP LS
	Password string            // what SASL PLAIN wants, account\0account\0password in base64
	Taken    map[string]bool   // nicks that others have
	Modes    map[string]string // of channels
	Keys     map[string]string // of channels
	Refuse   string            // the numeric with which joins are refused
	Host     string            // of clients, as others see it
	Mute     bool              // it says nothing, not even PONG
	Silent   map[string]bool   // 404 for all that is said there
	Dials    []time.Duration
	Lines    []string // from clients, in order
	said     []Said
	current  *link
}

// A link is one client.
type link struct {
	n           *Network
	conn        net.Conn
	nick        string
	user        string
	negotiating bool
	in          bool
	channels    []string
	auth        string
	out         chan string
}

// NewNetwork makes a network, in a bubble of testing/synctest.
func NewNetwork(t *testing.T) *Network {
	return &Network{t: t, start: time.Now(), Host: Host, Taken: map[string]bool{}, Modes: map[string]string{}, Keys: map[string]string{}, Silent: map[string]bool{}}
}

// Host is what others see of a client at first.
const Host = "bot.users.example.org"

// Dial connects a client, as a net.Dialer would.
func (n *Network) Dial(context.Context, string, string) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.Dials = append(n.Dials, time.Since(n.start))
	if n.Down {
		return nil, errors.New("connection refused")
	}
	ours, theirs := net.Pipe()
	if n.TLS != nil {
		theirs = tls.Server(theirs, n.TLS)
	}
	l := &link{n: n, conn: theirs, out: make(chan string, 10_000)}
	n.current = l
	go l.write(l.out)
	go l.serve()
	return ours, nil
}

// Do changes the network.
func (n *Network) Do(what func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	what()
}

// Says sends lines to the client that came last.
func (n *Network) Says(lines ...string) {
	n.mu.Lock()
	l := n.current
	n.mu.Unlock()
	for _, line := range lines {
		l.send(line)
	}
	synctest.Wait()
}

// Now is how long the network has been there.
func (n *Network) Now() time.Duration { return time.Since(n.start) }

// Rename gives the client that came last another nick.
func (n *Network) Rename(nick string) {
	var old string
	n.Do(func() { old, n.current.nick = n.current.prefix(), nick })
	n.Says(":" + old + " NICK " + nick)
}

// Kick throws the client that came last out of a channel.
func (n *Network) Kick(channel string) {
	var nick string
	n.Do(func() {
		nick = n.current.nick
		n.current.channels = slices.DeleteFunc(n.current.channels, func(ch string) bool { return ch == channel })
	})
	n.Says(":op!o@o KICK " + channel + " " + nick + " :out")
}

// Cut ends the connection of the client that came last.
func (n *Network) Cut() {
	n.mu.Lock()
	l := n.current
	n.mu.Unlock()
	l.conn.Close()
	synctest.Wait()
}

// Got returns the lines of clients that begin so.
func (n *Network) Got(prefix string) (found []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, line := range n.Lines {
		if strings.HasPrefix(line, prefix) {
			found = append(found, line)
		}
	}
	return found
}

// Texts returns what was said to a target.
func (n *Network) Texts(to string) (found []string) {
	for _, s := range n.All(to) {
		found = append(found, s.Text)
	}
	return found
}

// All returns what was said to a target, with all that is known of it.
func (n *Network) All(to string) (found []Said) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.said {
		if s.To == to {
			found = append(found, s)
		}
	}
	return found
}

// send queues a line, as a kernel would: who writes on a pipe waits for the reader.
func (l *link) send(line string) {
	l.n.Do(func() {
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
	l.n.Do(func() {
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
		m, err := client.ParseMessage(line)
		if err != nil {
			l.n.t.Errorf("the client sends %q: %v", line, err)
			return
		}
		l.n.mu.Lock()
		l.n.Lines = append(l.n.Lines, line)
		mute := l.n.Mute
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
func (l *link) answer(m client.Message) []string {
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
			return []string{":srv CAP * LS :" + n.Caps}
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
			if l.auth != n.Password {
				return []string{":srv 904 * :SASL authentication failed"}
			}
			l.auth = ""
			return []string{":srv 900 * * acct :You are now logged in", ":srv 903 * :SASL authentication successful"}
		}
	case "USER":
		l.user = p(0)
	case "NICK":
		if n.Taken[p(0)] {
			return []string{":srv 433 * " + p(0) + " :Nickname is already in use."}
		}
		old := l.nick
		l.nick = p(0)
		if l.in {
			return []string{":" + old + "!~u@" + n.Host + " NICK " + p(0)}
		}
	case "JOIN":
		if n.Refuse != "" {
			return []string{":srv " + n.Refuse + " " + l.nick + " " + p(0) + " :Cannot join channel"}
		}
		if n.Keys[p(0)] != p(1) {
			return []string{":srv 475 " + l.nick + " " + p(0) + " :Cannot join channel (+k)"}
		}
		l.channels = append(l.channels, p(0))
		return []string{":" + l.prefix() + " JOIN " + p(0), ":srv 353 " + l.nick + " = " + p(0) + " :@alice " + l.nick + " +bob!b@b"}
	case "MODE":
		return []string{":srv 324 " + l.nick + " " + p(0) + " " + n.Modes[p(0)]}
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

func (l *link) prefix() string { return l.nick + "!~u@" + l.n.Host }

func (l *link) talk(m client.Message) []string {
	n, to, text := l.n, m.Params[0], m.Params[1]
	if to == "NickServ" {
		if nick, ok := strings.CutPrefix(text, "GHOST "); ok {
			nick, _, _ = strings.Cut(nick, " ")
			delete(n.Taken, nick)
		}
		return nil
	}
	switch {
	case to[0] == '#' && !slices.Contains(l.channels, to), n.Silent[to]:
		return []string{":srv 404 " + l.nick + " " + to + " :Cannot send to channel"}
	case strings.Contains(n.Modes[to], "c") && strings.Contains(text, "\x03"):
		return []string{":srv 404 " + l.nick + " " + to + " :Can't send colors to channel (+c is set)"}
	}
	wire := ":" + l.prefix() + " " + m.Command + " " + to + " :" + text + "\r\n"
	if len(wire) > 512 {
		n.t.Errorf("others get a line of %d bytes", len(wire))
	}
	n.said = append(n.said, Said{time.Since(n.start), m.Command, to, text, wire})
	return nil
}

// PlainProof is what SASL PLAIN sends.
func PlainProof(account, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(account + "\x00" + account + "\x00" + password))
}

// Run runs something until the test ends it, within its bubble.
func Run(t *testing.T, what func(ctx context.Context) error) (stop func()) {
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

// Later lets time pass.
func Later(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
