package dumps

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/internal/body"
)

// A Said is a message, and what its dump says of it beside.
type Said struct {
	Message  *fedmsg.Message
	Verified string    // the stamp, in what a bus wrote; empty in others
	At       time.Time // when a bus took it; else the present
}

// maxAhead is how far in the future a message may be dated.
const maxAhead = 24 * time.Hour

// Convert makes messages of an object in a dump, whatever wrote that:
//
//   - fedmsg: the message itself;
//   - datagrepper: a row of raw_messages, or a whole answer with all of its rows;
//   - fedora-messaging and datanommer-dump: an object with body, headers, id, topic;
//   - this bus: an element with seq, at, verified and message.
//
// A message without an ID gets one, which is always the same for what it says. The
// error is a refusal; of an answer of which a row is wrong the other rows come, too.
func Convert(text []byte, now time.Time) ([]Said, error) {
	all, err := fedmsg.DecodeHistory(text) // as loosely as its publisher's Python did
	if err != nil {
		return nil, err
	}
	o := members(all)
	if rows := o.get("raw_messages"); rows != nil {
		var all []Said
		var failed error
		for i, row := range body.Elements(rows) {
			some, err := Convert(row, now)
			if err != nil && failed == nil {
				failed = fmt.Errorf("row %d: %w", i+1, err)
			}
			all = append(all, some...)
		}
		return all, failed
	}
	one := Said{At: now}
	if inner := o.get("message"); inner != nil && o.get("topic") == nil {
		if one.Verified = o.text("verified"); one.Verified == "" {
			one.Verified = fedmsg.Unverified
		}
		if at, err := time.Parse(time.RFC3339Nano, o.text("at")); err == nil {
			one.At = at.UTC()
		}
		text = inner
	} else if o.get("body") != nil && o.get("msg") == nil {
		if text, err = o.fromRecord(); err != nil {
			return nil, err
		}
	} else {
		text = o.restored(text)
	}
	if one.Message, err = check(text, now); err != nil {
		return nil, err
	}
	return []Said{one}, nil
}

// check makes a message of what should be one.
func check(text []byte, now time.Time) (*fedmsg.Message, error) {
	m, err := fedmsg.DecodeHistory(text)
	if err != nil {
		return nil, err
	}
	if m.Topic == "" {
		return nil, fedmsg.RefuseField(fedmsg.MissingField, "topic", "every message has it")
	}
	if err := m.Topic.Validate(); err != nil {
		return nil, err
	}
	switch {
	case m.Time.IsZero():
		return nil, fedmsg.RefuseField(fedmsg.BadTimestamp, "timestamp", "must be a number of seconds since 1970")
	case m.Time.After(now.Add(maxAhead)):
		return nil, fedmsg.RefuseField(fedmsg.Future, "timestamp", "%s is in the future", m.Time.Format(time.RFC3339))
	case m.Body == nil:
		return nil, fedmsg.RefuseField(fedmsg.MissingField, "msg", "every message has it")
	}
	if at := halfCharacter(text); at >= 0 {
		return nil, fedmsg.Refuse(fedmsg.BadJSON, "byte %d: half of a character: \\ud800 to \\udfff come in pairs", at+1)
	}
	if m.ID != "" {
		return m, fedmsg.ValidateID(m.ID)
	}
	return withID(m)
}

// withID gives a message an ID that is always the same for what it says, as those of
// 2012 have none: the year, and a UUID (version 8) made of its digest.
func withID(m *fedmsg.Message) (*fedmsg.Message, error) {
	digest := m.Digest()
	sum := sha256.Sum256(append([]byte("fedmsg import\n"), digest[:]...))
	u := sum[:16]
	u[6] = u[6]&0x0F | 0x80
	u[8] = u[8]&0x3F | 0x80
	h := hex.EncodeToString(u)
	id := fmt.Sprintf("%04d-%s-%s-%s-%s-%s", m.Time.Year(), h[:8], h[8:12], h[12:16], h[16:20], h[20:])
	text := bytes.TrimSpace(m.Bytes())
	text = fmt.Appendf(bytes.Clone(text[:len(text)-1]), `,"msg_id":"%s"}`, id) // of equal names the last counts
	if text, err := fedmsg.AppendCanonical(nil, text); err == nil {
		return fedmsg.DecodeHistory(text)
	}
	return nil, fedmsg.Refuse(fedmsg.BadJSON, "the message has no ID, and cannot be spelled anew") // cannot be: it was read
}

// columns are what datanommer keeps of a message; all else in a row it adds.
var columns = []string{"certificate", "crypto", "headers", "i", "msg", "msg_id", "signature", "timestamp", "topic", "username"}

// others are the members by which the forms of dumps are told apart, and what is
// read of them.
var others = []string{"raw_messages", "message", "verified", "at", "body", "id", "source_name", "source_version", "agent_name"}

// object is the JSON texts of the members that are known, by name.
type object map[string][]byte

func members(m *fedmsg.Message) object {
	o := make(object)
	names := append(columns[:len(columns):len(columns)], others...)
	for i, value := range m.Fields(names...) {
		if value = bytes.TrimSpace(value); len(value) > 0 {
			o[names[i]] = value
		}
	}
	return o
}

// get returns a member; nil if there is none, or null.
func (o object) get(name string) []byte {
	if value := o[name]; string(value) != "null" {
		return value
	}
	return nil
}

func (o object) text(name string) string {
	s, _ := fedmsg.DecodeString(o.get(name))
	return s
}

// Object returns an object in canonical form.
func Object(members []fedmsg.Member) []byte {
	text := []byte{'{'}
	for _, m := range members {
		if len(text) > 1 {
			text = append(text, ',')
		}
		name, _ := fedmsg.AppendCanonical(nil, []byte(strconv.Quote(m.Name)))
		text = append(append(append(text, name...), ':'), m.JSON...)
	}
	canonical, err := fedmsg.AppendCanonical(nil, append(text, '}'))
	if err != nil {
		return append(text, '}') // and the reader will say what is wrong
	}
	return canonical
}

// restored returns a message as it was before datanommer kept it and datagrepper
// gave it away: without what they added, and with a timestamp that is an int again.
// Of a message of another origin it returns the text as it is. fedmsg itself did
// the same before it verified (fix_datagrepper_message in fedmsg.crypto.utils).
func (o object) restored(text []byte) []byte {
	if o.get("source_name") == nil || o.get("source_version") == nil {
		return text
	}
	signed := o.get("signature") != nil
	var kept []fedmsg.Member
	for _, name := range columns {
		value := o[name]
		switch {
		case len(value) == 0, name == "headers" && string(value) == "{}":
			continue
		case string(value) == "null" && (name != "username" || !signed): // a signed one has it as it was signed
			continue
		case name == "username" && !signed && bytes.Equal(value, o.get("agent_name")):
			continue // a copy
		case name == "timestamp":
			value = whole(value, signed)
		}
		kept = append(kept, fedmsg.Member{Name: name, JSON: value})
	}
	return Object(kept)
}

// whole spells a number of seconds without a fraction, if it has none, or in any
// case.
func whole(number []byte, always bool) []byte {
	seconds, err := strconv.ParseFloat(string(bytes.TrimSpace(number)), 64)
	if err != nil || seconds < 0 || seconds > 1e15 || !always && seconds != float64(int64(seconds)) {
		return number
	}
	return strconv.AppendInt(nil, int64(seconds), 10)
}

// fromRecord makes a message of a record of fedora-messaging. Its time is that of
// the header sent-at.
func (o object) fromRecord() ([]byte, error) {
	headers, err := fedmsg.DecodeObject(o.get("headers"))
	if err != nil {
		return nil, fedmsg.RefuseField(fedmsg.MissingField, "headers", "the time of a message is in its headers: sent-at")
	}
	sent := sentAt(headers)
	at, err := time.Parse(time.RFC3339Nano, sent)
	if err != nil {
		if at, err = time.Parse("2006-01-02T15:04:05.999999999", sent); err != nil { // then it is UTC
			return nil, fedmsg.RefuseField(fedmsg.BadTimestamp, "headers", "sent-at: %.60q is no time", sent)
		}
	}
	seconds := strconv.FormatFloat(float64(at.UnixMicro())/1e6, 'f', -1, 64)
	message := []fedmsg.Member{
		{Name: "headers", JSON: o.get("headers")}, {Name: "i", JSON: []byte("0")}, {Name: "msg", JSON: o.get("body")}, {Name: "timestamp", JSON: []byte(seconds)},
	}
	for name, from := range map[string]string{"msg_id": "id", "topic": "topic"} {
		if value := o.get(from); value != nil {
			message = append(message, fedmsg.Member{Name: name, JSON: value})
		}
	}
	return Object(message), nil
}

func sentAt(headers []fedmsg.Member) (text string) {
	for _, m := range headers {
		if m.Name == "sent-at" {
			text, _ = fedmsg.DecodeString(m.JSON)
		}
	}
	return text
}

// halfCharacter finds an escape of half a character without the other; -1 if there
// is none.
func halfCharacter(text []byte) int {
	half := func(i int) rune {
		if i+6 > len(text) || text[i] != '\\' || text[i+1] != 'u' {
			return 0
		}
		n, _ := strconv.ParseUint(string(text[i+2:i+6]), 16, 16)
		return rune(n)
	}
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		r := half(i)
		switch {
		case r >= 0xDC00 && r <= 0xDFFF:
			return i
		case r >= 0xD800 && r < 0xDC00:
			if low := half(i + 6); low < 0xDC00 || low > 0xDFFF {
				return i
			}
			i += 11
		default:
			i++ // what is escaped
		}
	}
	if !utf8.Valid(text) {
		return 0
	}
	return -1
}
