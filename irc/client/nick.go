package client

import (
	"fmt"
	"strconv"
	"time"
)

const (
	// regainEvery is how often we try to have the nick that we want.
	regainEvery = time.Minute
	// servicesTake is how long NickServ is given to free it.
	servicesTake = 3 * time.Second
	// maxNicks is how many nicks are tried before a connection is given up.
	maxNicks = 6
)

// is reports whether a nick is ours; c.mu is held, or the caller is the reader, who
// alone changes it.
func (s *session) is(nick string) bool { return s.fold(nick) == s.fold(s.nick) }

// nickTaken answers a refused nick while we are not in yet: with another one.
func (s *session) nickTaken(m *Message) error {
	if !s.welcomed.IsZero() {
		return nil // we asked for the one that we want, and will again
	}
	if s.nicks++; s.nicks >= maxNicks || m.Command == "432" {
		return fmt.Errorf("no nick: %q: %s %s", m.param(1), m.Command, m.last())
	}
	nick := s.c.cfg.Nick
	if len(nick) > 9-1 && s.nicks > 2 {
		nick = nick[:8-1] // servers with the old limit cut what we added
	}
	suffix := "_"
	if s.nicks > 1 {
		suffix = strconv.Itoa(s.nicks)
	}
	s.nick = nick + suffix
	s.send("NICK", s.nick)
	return nil
}

// regain tries to have the nick that we want, and will again later.
func (s *session) regain() {
	s.c.mu.Lock()
	has, wanted := s.is(s.c.cfg.Nick), s.c.cfg.Nick
	s.c.mu.Unlock()
	if has {
		return
	}
	if s.c.cfg.Regain != "" && !s.asked {
		s.asked = true
		s.send("PRIVMSG", "NickServ", s.c.cfg.Regain+" "+wanted+" "+s.c.cfg.AccountPassword)
		s.regaining.Reset(servicesTake)
		return
	}
	s.asked = false
	s.send("NICK", wanted)
	s.regaining.Reset(regainEvery)
}

// regainIf takes the nick that we want when who had it leaves it.
func (s *session) regainIf(nick string) {
	if s.fold(nick) == s.fold(s.c.cfg.Nick) && !s.is(nick) {
		s.send("NICK", s.c.cfg.Nick)
	}
}

func (s *session) handleNick(m *Message) {
	to := m.param(0)
	ours := s.is(m.Source.Name)
	s.c.mu.Lock()
	for _, ch := range s.c.channels {
		if ch.members[s.fold(m.Source.Name)] {
			delete(ch.members, s.fold(m.Source.Name))
			ch.add(s.fold(to))
		}
	}
	if ours {
		s.nick = to
	}
	s.c.mu.Unlock()
	if !ours {
		s.regainIf(m.Source.Name)
		return
	}
	s.c.logger.Info("our nick is another", "nick", to)
	if !s.is(s.c.cfg.Nick) { // somebody, often NickServ, took it from us
		s.regaining.Reset(regainEvery)
	}
}

// identify tells NickServ who we are, where SASL did not.
func (s *session) identify() {
	if s.c.cfg.SASL == "" && s.c.cfg.AccountPassword != "" {
		s.send("PRIVMSG", "NickServ", "IDENTIFY "+s.c.cfg.Account+" "+s.c.cfg.AccountPassword)
	}
}
