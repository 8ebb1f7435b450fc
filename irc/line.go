package irc

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/internal/pyrepr"
	"github.com/fedora-infra/fedmsg-go/irc/client"
)

// maxText is how many bytes of a message are said: about three lines.
const maxText = 1200

// A style is how one channel has its messages.
type style struct {
	cfg           Config
	pretty, terse bool
}

// line words a message: with words, if they are wanted, else as fedmsg spelled it.
func (st style) line(ctx context.Context, d fedmsg.Describer, e fedmsg.Entry) string {
	if !st.terse {
		text := fmt.Sprintf("%-30s %s", e.Message.Topic, rawLiteral(e.Message))
		return client.Clean(cut(text, maxText))
	}
	w := d.Describe(ctx, e.Message)
	if st.cfg.ValidateSignatures && e.Verified == fedmsg.Unverified {
		w.Subtitle, w.Link = "(unsigned)", ""
	}
	title, subtitle, link := client.Clean(w.Title), client.Clean(w.Subtitle), client.Clean(w.Link)
	if len(link) > maxText/2 {
		link = "" // nobody can follow the half of it
	}
	subtitle = cut(subtitle, max(0, maxText-len(title)-len(link)))
	if !st.pretty {
		return title + " -- " + subtitle + " " + link
	}
	category, _, _ := strings.Cut(title, ".")
	number, ok := colours[st.cfg.Colors[category]]
	if !ok {
		number = colours[st.cfg.DefaultColor]
	}
	text := coloured(number, title) + " -- " + subtitle + " "
	if link != "" {
		text += coloured(linkColour, link)
	}
	return text
}

// coloured puts a text between a colour and its end. One digit is enough, unless the
// text begins with another.
func coloured(number int, text string) string {
	digits := strconv.Itoa(number)
	if len(digits) == 1 && text != "" && text[0] >= '0' && text[0] <= '9' {
		digits = "0" + digits
	}
	return "\x03" + digits + text + "\x03"
}

// cut shortens a text to n bytes, between characters.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	const ellipsis = "…"
	return strings.ToValidUTF8(text[:max(0, n-len(ellipsis))], "") + ellipsis
}

// literal is the whole message as Python wrote it, in which filters look.
func literal(m *fedmsg.Message) string {
	v, err := pyrepr.Parse(m.Bytes())
	if err != nil { // what was decoded parses
		return string(m.Bytes())
	}
	return string(v.AppendRepr(nil))
}

// rawLiteral is what a channel without words has of a message: no topic, which stands
// before it, and a time that can be read.
func rawLiteral(m *fedmsg.Message) string {
	v, err := pyrepr.Parse(m.Bytes())
	if err != nil {
		return string(m.Bytes())
	}
	return string(v.With("timestamp", pyrepr.String(m.Time.UTC().Format(time.ANSIC))).Without("topic").AppendRepr(nil))
}
