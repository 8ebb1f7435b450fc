package client

import (
	"errors"
	"fmt"
	"strings"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

const (
	// maxLine is the longest line, in bytes, with its end (RFC 2812, 2.3).
	maxLine = 512
	// maxTags is what IRCv3's message tags may have besides.
	maxTags = 8191
	// maxParams is RFC 2812's limit.
	maxParams = 15
)

// Source is who sent a message. Of a server only the name is known.
type Source struct {
	Name, User, Host string
}

// String returns the source as it stands in a message: name!user@host.
func (s Source) String() string {
	text := s.Name
	if s.User != "" {
		text += "!" + s.User
	}
	if s.Host != "" {
		text += "@" + s.Host
	}
	return text
}

// Message is one line of the protocol.
type Message struct {
	Tags    map[string]string
	Source  Source
	Command string // in upper case, or three digits
	Params  []string
}

// param returns the parameter with this index, "" if there is none.
func (m *Message) param(i int) string {
	if i >= len(m.Params) {
		return ""
	}
	return m.Params[i]
}

// last returns the last parameter, which is where servers put what is for people.
func (m *Message) last() string { return m.param(max(0, len(m.Params)-1)) }

// ParseMessage reads one line, with or without its end, in the grammar of RFC 2812,
// 2.3.1, with IRCv3's tags before it. It takes several blanks for one, as servers do.
// The error wraps [fedmsg.ErrInvalid].
func ParseMessage(line string) (Message, error) {
	var m Message
	rest := strings.TrimRight(line, "\r\n")
	switch {
	case len(rest) > maxTags+maxLine:
		return m, fmt.Errorf("irc: line of %d bytes: %w: too long", len(rest), fedmsg.ErrInvalid)
	case strings.ContainsAny(rest, "\r\n\x00"):
		return m, fmt.Errorf("irc: line %.40q: %w: it holds a line end or NUL", rest, fedmsg.ErrInvalid)
	}
	if tags, ok := strings.CutPrefix(rest, "@"); ok {
		tags, rest, _ = strings.Cut(tags, " ")
		m.Tags = parseTags(tags)
	}
	rest = strings.TrimLeft(rest, " ")
	if source, ok := strings.CutPrefix(rest, ":"); ok {
		source, rest, _ = strings.Cut(source, " ")
		source, m.Source.Host, _ = strings.Cut(source, "@")
		m.Source.Name, m.Source.User, _ = strings.Cut(source, "!")
	}
	m.Command, rest, _ = strings.Cut(strings.TrimLeft(rest, " "), " ")
	m.Command = strings.ToUpper(m.Command)
	if !isCommand(m.Command) {
		return m, fmt.Errorf("irc: line %.40q: %w: %q is no command", line, fedmsg.ErrInvalid, m.Command)
	}
	for rest = strings.TrimLeft(rest, " "); rest != ""; rest = strings.TrimLeft(rest, " ") {
		if text, ok := strings.CutPrefix(rest, ":"); ok || len(m.Params) == maxParams-1 {
			m.Params = append(m.Params, text)
			break
		}
		var param string
		param, rest, _ = strings.Cut(rest, " ")
		m.Params = append(m.Params, param)
	}
	return m, nil
}

// isCommand reports whether s is letters, or three digits.
func isCommand(s string) bool {
	letters, digits := 0, 0
	for i := range len(s) {
		switch {
		case s[i] >= 'A' && s[i] <= 'Z':
			letters++
		case s[i] >= '0' && s[i] <= '9':
			digits++
		}
	}
	return letters > 0 && letters == len(s) || digits == 3 && len(s) == 3
}

// parseTags reads what stands between "@" and the first blank. Of equal names the last
// counts, as the specification wants.
func parseTags(text string) map[string]string {
	tags := make(map[string]string)
	for tag := range strings.SplitSeq(text, ";") {
		if name, value, _ := strings.Cut(tag, "="); name != "" {
			tags[name] = unescapeTag(value)
		}
	}
	return tags
}

// unescapeTag undoes IRCv3's escapes. A backslash at the end, or before anything else,
// is dropped.
func unescapeTag(value string) string {
	var b strings.Builder
	for i := 0; i < len(value); i++ {
		c := value[i]
		if c == '\\' {
			if i++; i == len(value) {
				break
			}
			switch c = value[i]; c {
			case ':':
				c = ';'
			case 's':
				c = ' '
			case 'r':
				c = '\r'
			case 'n':
				c = '\n'
			}
		}
		b.WriteByte(c)
	}
	return b.String()
}

var errLine = errors.New("not a line")

// formatLine makes a line with its end. It refuses what would be another line, or
// another number of parameters: nobody's text becomes a command. The error holds none
// of the parameters, of which one may be a password.
func formatLine(command string, params ...string) (string, error) {
	if !isCommand(command) || len(params) > maxParams {
		return "", fmt.Errorf("irc: %q with %d parameters: %w", command, len(params), errLine)
	}
	var b strings.Builder
	b.WriteString(command)
	for i, p := range params {
		last := i == len(params)-1
		switch {
		case strings.ContainsAny(p, "\r\n\x00"):
			return "", fmt.Errorf("irc: %s: %w: parameter %d has a line end or NUL", command, errLine, i+1)
		case last && (p == "" || p[0] == ':' || strings.Contains(p, " ") || command == string(Privmsg) || command == string(Notice)):
			b.WriteString(" :" + p)
		case p == "" || p[0] == ':' || strings.Contains(p, " "):
			return "", fmt.Errorf("irc: %s: %w: parameter %d has a blank or is empty", command, errLine, i+1)
		default:
			b.WriteString(" " + p)
		}
	}
	b.WriteString("\r\n")
	if b.Len() > maxLine {
		return "", fmt.Errorf("irc: %s: %w: %d bytes, at most %d", command, errLine, b.Len(), maxLine)
	}
	return b.String(), nil
}

// Fold makes nicks and channels comparable, by the rule that the server announces as
// CASEMAPPING; without one it is rfc1459, where []\~ are the capitals of {}|^.
func Fold(mapping, name string) string {
	upper := byte('Z')
	switch mapping {
	case "ascii":
	case "strict-rfc1459", "rfc1459-strict":
		upper = ']'
	default:
		upper = '^'
	}
	folded := []byte(name)
	for i, c := range folded {
		if c >= 'A' && c <= upper {
			folded[i] = c + 'a' - 'A'
		}
	}
	return string(folded)
}

// IsChannel reports whether a name is that of a channel, not of a person.
func IsChannel(name string) bool { return name != "" && strings.IndexByte("#&+!", name[0]) >= 0 }
