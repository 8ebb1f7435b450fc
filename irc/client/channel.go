package client

import (
	"fmt"
	"strings"
	"time"
)

const (
	// rejoinMin and rejoinMax bound the wait before we try again to be in a channel; it
	// doubles. Who is kicked and comes back at once is banned.
	rejoinMin = 10 * time.Second
	rejoinMax = time.Hour
	// joinTimeout is how long a server may say nothing to our wish to join.
	joinTimeout = time.Minute
	// maxMembers is how many people of a channel are remembered.
	maxMembers = 20_000
)

// A channel is one that we want to be in. Client.mu guards it.
type channel struct {
	Channel
	joined  bool
	plain   bool // it takes no colours
	members map[string]bool
	wait    time.Duration // the next one before joining again
	since   time.Time     // when we came in
	timer   *time.Timer   // joins again
}

// channel finds one of our channels by its name; c.mu is held.
func (s *session) channel(name string) *channel {
	for _, ch := range s.c.channels {
		if s.fold(ch.Name) == s.fold(name) {
			return ch
		}
	}
	return nil
}

// join asks for a channel. The key goes with it.
func (s *session) join(ch *channel) {
	s.c.mu.Lock()
	if s.c.session != s || ch.joined {
		s.c.mu.Unlock()
		return
	}
	ch.timer.Stop()
	ch.timer = time.AfterFunc(joinTimeout, func() { s.outside(ch, "no answer") })
	s.c.mu.Unlock()
	params := []string{ch.Name}
	if ch.Key != "" {
		params = append(params, ch.Key)
	}
	s.send("JOIN", params...)
}

// outside notes that we are not in a channel, and tries again later.
func (s *session) outside(ch *channel, why string) {
	var wait time.Duration
	s.c.change(func() {
		if s.c.session != s {
			return
		}
		if ch.joined && time.Since(ch.since) > rejoinMax {
			ch.wait = 0
		}
		ch.joined, ch.members = false, nil
		wait = max(ch.wait, rejoinMin)
		ch.wait = min(2*wait, rejoinMax)
		ch.timer.Stop()
		ch.timer = time.AfterFunc(wait, func() { s.join(ch) })
	})
	if wait == 0 {
		return
	}
	s.c.logger.Warn("not in a channel, will join it again", "channel", ch.Name, "reason", why, "wait", wait)
}

// forget ends what belongs to a session; nobody is anywhere any more.
func (s *session) forget() {
	s.c.change(func() {
		if s.c.session == s {
			s.c.session = nil
		}
		for _, ch := range s.c.channels {
			ch.joined, ch.members, ch.plain = false, nil, false
			if ch.timer != nil {
				ch.timer.Stop()
				ch.timer = nil
			}
		}
	})
}

// handleChannel handles what is about channels and who is in them.
func (s *session) handleChannel(m *Message) {
	switch m.Command {
	case "JOIN":
		s.handleJoin(m)
	case "KICK":
		s.gone(m.param(0), m.param(1), fmt.Sprintf("kicked by %s: %s", m.Source.Name, m.param(2)))
	case "PART":
		s.gone(m.param(0), m.Source.Name, "parted")
	case "QUIT":
		s.each(func(ch *channel) { delete(ch.members, s.fold(m.Source.Name)) })
		s.regainIf(m.Source.Name)
	case "NICK":
		s.handleNick(m)
	case "INVITE":
		s.c.mu.Lock()
		ch := s.channel(m.param(1)) // of ours
		s.c.mu.Unlock()
		if ch != nil {
			s.join(ch)
		}
	case "353": // RPL_NAMREPLY: nick, kind, channel, names
		s.handleNames(m.param(2), m.last())
	case "324": // RPL_CHANNELMODEIS: nick, channel, modes
		s.handleMode(m.param(1), m.param(2))
	case "MODE":
		s.handleMode(m.param(0), m.param(1))
	case "471", "473", "474", "475", "403", "405", "437", "477", "489", "520": // cannot join
		s.c.mu.Lock()
		ch := s.channel(m.param(1))
		out := ch != nil && !ch.joined
		s.c.mu.Unlock()
		if out {
			s.outside(ch, m.last())
		}
	}
}

// each changes all channels.
func (s *session) each(what func(ch *channel)) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	for _, ch := range s.c.channels {
		what(ch)
	}
}

func (s *session) handleJoin(m *Message) {
	ours := false
	s.c.change(func() {
		ch := s.channel(m.param(0))
		if ch == nil || s.c.session != s {
			return
		}
		if ours = s.is(m.Source.Name); ours {
			s.nick, s.user, s.host = m.Source.Name, m.Source.User, m.Source.Host
			ch.joined, ch.plain, ch.since = true, false, time.Now()
			ch.members = make(map[string]bool)
			ch.timer.Stop()
		}
		ch.add(s.fold(m.Source.Name))
	})
	if ours {
		s.c.logger.Info("in a channel", "channel", m.param(0))
		s.send("MODE", m.param(0)) // whether it takes colours
	}
}

func (ch *channel) add(member string) {
	if ch.members != nil && len(ch.members) < maxMembers {
		ch.members[member] = true
	}
}

// gone notes that somebody left a channel; if it was us, we come back.
func (s *session) gone(name, nick, why string) {
	s.c.mu.Lock()
	ch := s.channel(name)
	if ch == nil || !ch.joined {
		s.c.mu.Unlock()
		return
	}
	delete(ch.members, s.fold(nick))
	ours := s.is(nick)
	s.c.mu.Unlock()
	if !ours {
		return
	}
	s.c.kicked.Add(1)
	s.refuse(name, "no longer in the channel")
	s.outside(ch, why)
}

// handleNames takes the list of who is in a channel, with their ranks before them.
func (s *session) handleNames(name, list string) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	ch := s.channel(name)
	if ch == nil {
		return
	}
	for nick := range strings.FieldsSeq(list) {
		nick, _, _ = strings.Cut(strings.TrimLeft(nick, "~&@%+!*"), "!")
		ch.add(s.fold(nick))
	}
}

// handleMode looks for +c and -c, with which a channel takes no colours.
func (s *session) handleMode(name, modes string) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	ch := s.channel(name)
	if ch == nil {
		return
	}
	on := true
	for _, letter := range modes {
		switch letter {
		case '+', '-':
			on = letter == '+'
		case 'c':
			ch.plain = on
		}
	}
}
