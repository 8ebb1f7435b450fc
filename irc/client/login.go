package client

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// errSASL is that the network did not let us prove who we are.
var errSASL = errors.New("SASL")

// A login is how far we are in being let in.
type login struct {
	offered map[string]string // capabilities, with their values
	proving bool              // AUTHENTICATE is going on
	proven  bool
}

// wanted are the capabilities that help: to see a change of our host and of accounts
// without a PART and a JOIN.
var wanted = []string{"chghost"}

// greet begins.
func (s *session) greet() {
	cfg := s.c.cfg
	s.send("CAP", "LS", "302")
	if cfg.Password != "" {
		s.send("PASS", cfg.Password)
	}
	s.send("NICK", s.nick)
	s.send("USER", cfg.User, "0", "*", cfg.RealName)
}

// handleLogin handles what is about capabilities, SASL and the welcome.
func (s *session) handleLogin(m *Message) error {
	switch m.Command {
	case "CAP":
		return s.handleCap(m)
	case "AUTHENTICATE":
		if m.param(0) == "+" && s.login.proving {
			s.prove()
		}
	case "903", "907":
		s.login.proving, s.login.proven = false, true
		s.ready()
	case "901":
		s.login.proven = false
	case "902", "904", "905", "906", "908":
		if !s.login.proving {
			return nil
		}
		s.login.proving = false
		if s.welcomed.IsZero() {
			return fmt.Errorf("%w: %s %q", errSASL, m.Command, m.last())
		}
	case "001":
		if s.c.cfg.SASL != "" && !s.login.proven {
			return fmt.Errorf("%w: the server let us in without it", errSASL)
		}
		s.c.change(func() { s.nick = m.param(0) })
		s.welcomed = time.Now()
	}
	return nil
}

// ready ends the talk about capabilities, if it is not over.
func (s *session) ready() {
	if s.welcomed.IsZero() {
		s.send("CAP", "END")
	}
}

func (s *session) handleCap(m *Message) error {
	list := strings.Fields(m.last())
	switch m.param(1) {
	case "LS", "NEW":
		for _, c := range list {
			name, value, _ := strings.Cut(c, "=")
			s.login.offered[name] = value
		}
		if m.param(2) == "*" && len(m.Params) > 3 {
			return nil // there is more
		}
		return s.ask()
	case "ACK":
		if slices.Contains(list, "sasl") {
			s.login.proving = true
			s.send("AUTHENTICATE", strings.ToUpper(s.c.cfg.SASL))
			return nil
		}
		s.ready()
	case "NAK":
		if slices.Contains(list, "sasl") && s.welcomed.IsZero() {
			return fmt.Errorf("%w: the server does not grant it", errSASL)
		}
		s.ready()
	case "DEL":
		for _, name := range list {
			delete(s.login.offered, name)
		}
	}
	return nil
}

// ask asks for the capabilities that we want of those offered. Services that come back
// offer SASL anew, and then we prove ourselves again.
func (s *session) ask() error {
	var want []string
	for _, name := range wanted {
		if _, ok := s.login.offered[name]; ok {
			want = append(want, name)
		}
	}
	if s.c.cfg.SASL != "" && !s.login.proven {
		mechanisms, ok := s.login.offered["sasl"]
		has := ok && (mechanisms == "" || slices.Contains(strings.Split(mechanisms, ","), strings.ToUpper(s.c.cfg.SASL)))
		switch {
		case has:
			want = append(want, "sasl")
		case s.welcomed.IsZero():
			return fmt.Errorf("%w: the server does not offer %s now", errSASL, s.c.cfg.SASL)
		}
	}
	if len(want) == 0 {
		s.ready()
		return nil
	}
	s.send("CAP", "REQ", strings.Join(want, " "))
	return nil
}

// prove says who we are, in chunks of 400 bytes as SASL in IRC wants; one that is full
// is followed by another.
func (s *session) prove() {
	cfg := s.c.cfg
	proof := ""
	if cfg.SASL == SASLPlain {
		proof = base64.StdEncoding.EncodeToString([]byte(cfg.Account + "\x00" + cfg.Account + "\x00" + cfg.AccountPassword))
	}
	for {
		n := min(len(proof), 400)
		chunk := proof[:n]
		if chunk == "" {
			chunk = "+"
		}
		s.send("AUTHENTICATE", chunk)
		if proof = proof[n:]; n < 400 {
			return
		}
	}
}
