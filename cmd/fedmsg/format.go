package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/topics"
	"github.com/fedora-infra/fedmsg-go/internal/pyrepr"
)

// formats are the ways in which tail shows a message. Several may be asked for;
// the last in this order counts.
type formats struct {
	Pretty, ReallyPretty bool
	Query                string
	Terse, Cowsay, JSON  bool
	color                bool
	say                  func(ctx context.Context, text string) string // what cowsay makes of it
	describer            fedmsg.Describer
}

// mark tells what nobody vouches for; "" for a message that is verified.
func mark(e fedmsg.Entry) string {
	switch {
	case topics.IsVouchedFor(e):
		return ""
	case e.Message.Signature == "":
		return "unsigned"
	}
	return "unverified" // signed, and nobody looked
}

// show returns what to print for an entry, without the last newline; "" for
// nothing. What people read is clean; see [cleanLine].
func (f *formats) show(ctx context.Context, e fedmsg.Entry) (string, error) {
	if f.JSON {
		return encodeEntry(e)
	}
	message, err := pyrepr.Parse(e.Message.Bytes())
	if err != nil {
		return "", fmt.Errorf("entry %d: %w", e.Seq, err)
	}
	if f.Pretty {
		message = prettify(message, e.Message.Time)
	}
	note, before := "", "" // the mark, behind one line or before several
	if m := mark(e); m != "" {
		note, before = "  # "+m, "# "+m+"\n"
	}
	switch {
	case f.Cowsay:
		return cleanText(f.say(ctx, cleanLine(f.describer.Describe(ctx, e.Message).Subtitle+note))), nil
	case f.Terse:
		return shorten(f.describer.Describe(ctx, e.Message).String(), note), nil
	case f.Query != "":
		return cleanLine(message.Query(f.Query)), nil
	case f.ReallyPretty:
		return f.reallyPretty(before, e.Message)
	case f.Pretty:
		return cleanText(before + string(message.AppendPretty(nil))), nil
	}
	return shorten(string(message.AppendRepr(nil)), note), nil
}

// shorten cleans a line and keeps the note at its end in any case.
func shorten(line, note string) string {
	line = cleanLine(line)
	if len(line)+len(note) > maxLineLength && note != "" {
		if over := len([]rune(line)) + len(note) - maxLineLength; over > 0 {
			r := []rune(line)
			line = string(r[:len(r)-over-1]) + "…"
		}
	}
	return line + note
}

// encodeEntry returns an entry as one line of JSON, in ASCII.
func encodeEntry(e fedmsg.Entry) (string, error) {
	line, err := json.Marshal(struct {
		Seq      fedmsg.Seq `json:"seq"`
		At       time.Time  `json:"at"`
		Verified string     `json:"verified"`
		Message  string     `json:"message"`
	}{e.Seq, e.At, e.Verified, ""})
	if err != nil {
		return "", fmt.Errorf("entry %d: %w", e.Seq, err)
	}
	// The message goes in as it is: Marshal would spell parts of it anew.
	line = append(bytes.TrimSuffix(line, []byte(`""}`)), e.Message.Compact()...)
	return string(append(line, '}')), nil
}

// prettify makes a message what --pretty shows: without credentials, and with a
// timestamp that people can read, in local time.
func prettify(message pyrepr.Value, at time.Time) pyrepr.Value {
	if stamp, ok := message.Get("timestamp"); ok {
		if _, isNumber := stamp.Number(); isNumber {
			message = message.With("timestamp", pyrepr.String(at.Local().Format(time.ANSIC)))
		}
	}
	return message.Without("signature", "certificate")
}

// reallyPretty returns a message as indented JSON, without credentials.
func (f *formats) reallyPretty(before string, m *fedmsg.Message) (string, error) {
	text := m.Compact()
	if members, err := fedmsg.DecodeObject(text); err == nil { // history may hold what is no JSON
		bare := []byte{'{'}
		for _, member := range members {
			if member.Name == "signature" || member.Name == "certificate" {
				continue
			}
			if len(bare) > 1 {
				bare = append(bare, ',')
			}
			name, _ := json.Marshal(member.Name)
			bare = append(append(append(bare, name...), ':'), member.JSON...)
		}
		text = append(bare, '}')
	}
	pretty, err := fedmsg.AppendPretty(nil, text)
	if err != nil {
		return "", fmt.Errorf("message %s: %w", m.ID, err)
	}
	clean := cleanText(before + string(pretty))
	if f.color {
		return colorJSON(clean), nil
	}
	return clean, nil
}

// The colours of --really-pretty, as fedmsg-tail had them.
const (
	colorString = "\x1b[33m"
	colorWord   = "\x1b[34m"
	colorOff    = "\x1b[39;49;00m"
)

// colorJSON colours JSON that is laid out in lines: strings, numbers and the
// three words.
func colorJSON(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		end := i + 1
		switch c := text[i]; {
		case c == '"':
			for end < len(text) && text[end] != '"' && text[end] != '\n' {
				if text[end] == '\\' && end+1 < len(text) {
					end++
				}
				end++
			}
			end = min(end+1, len(text))
			b.WriteString(colorString + text[i:end] + colorOff)
		case c == '#': // the mark
			end = i + strings.IndexByte(text[i:]+"\n", '\n')
			b.WriteString(text[i:end])
		case c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z':
			for end < len(text) && strings.IndexByte(",\n]} ", text[end]) < 0 {
				end++
			}
			b.WriteString(colorWord + text[i:end] + colorOff)
		default:
			b.WriteByte(c)
		}
		i = end
	}
	return b.String()
}

// isTerminal reports whether w shows what it gets to a person.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// wantsColor decides what --color=auto means.
func wantsColor(flag string, env environ) (bool, error) {
	switch flag {
	case "always":
		return true, nil
	case "never":
		return false, nil
	case "auto":
		return env.getenv("NO_COLOR") == "" && env.getenv("TERM") != "dumb" && isTerminal(env.stdout), nil
	}
	return false, usageError{fmt.Errorf("--color: %q is not one of auto, always, never", flag)}
}

// cowsayTime is how long a cow may think.
const cowsayTime = 5 * time.Second

// newCowsay finds a cow. Without one, warn is called once and the text stands
// alone. The text goes to the program's standard input, past any shell.
func newCowsay(warn func(string)) func(context.Context, string) string {
	program, err := exec.LookPath("cowsay")
	if err != nil {
		warn("cowsay is not installed, so here are the words alone")
		return func(_ context.Context, text string) string { return text }
	}
	return func(ctx context.Context, text string) string {
		ctx, cancel := context.WithTimeout(ctx, cowsayTime)
		defer cancel()
		cmd := exec.CommandContext(ctx, program)
		cmd.Stdin = strings.NewReader(text + "\n")
		cmd.WaitDelay = time.Second
		said, err := cmd.Output()
		if err != nil {
			warn(fmt.Sprintf("cowsay: %v", err))
			return text
		}
		return strings.TrimRight(string(said[:min(len(said), math.MaxUint16)]), "\n")
	}
}
