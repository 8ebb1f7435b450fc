package fedmsg

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"time"
)

// Message is what a publisher said. It is never changed once it is made.
//
// It keeps the bytes that came: the signature covers fields that this program
// does not know, and old readers verify what we forward.
type Message struct {
	// ID tells messages apart: YYYY-uuid from fedmsg itself; see [ValidateID].
	ID string
	// Topic is what the message is about, and what readers ask for.
	Topic Topic
	// Time is when the publisher says that it was sent, to the microsecond, in UTC.
	Time time.Time
	// User is the login name of the publishing process, by its own word; empty
	// if there is none.
	User string
	// Body is the field msg, as it was spelled.
	Body json.RawMessage
	// Signature is the field signature, base64 text; empty if unsigned.
	Signature string

	raw     []byte // as it came
	compact []byte // raw in one line of ASCII; the same slice if it was so
}

// Limits of single fields, in bytes.
const (
	// MaxIDLength holds the longest ID in use three times over.
	MaxIDLength = 128
	// MaxUserLength is where Linux, 32, and mail addresses, 254, end.
	MaxUserLength = 256
	// MaxSignatureLength holds the base64 text of an RSA signature of 32,768 bits.
	MaxSignatureLength = 8 << 10
	// MaxCertificateLength holds the base64 text of any sane certificate.
	MaxCertificateLength = 64 << 10
	// maxTimestamp, in seconds, lets milliseconds through, so that they are
	// refused as what they are: the future.
	maxTimestamp = 1e15
)

// ValidateID returns a [BadField] refusal unless id is 1 to [MaxIDLength]
// letters, digits, "-", "_" and ".", and starts with a letter or digit. So an ID
// can stand in a URL, a header, a line of a stream and a file name.
func ValidateID(id string) error {
	if id == "" {
		return RefuseField(BadField, "msg_id", "is empty")
	}
	if len(id) > MaxIDLength {
		return RefuseField(BadField, "msg_id", "has %d bytes, at most %d are allowed", len(id), MaxIDLength)
	}
	for i := range len(id) {
		if c := id[i]; !isWordByte(c) && c != '.' || i == 0 && (c == '-' || c == '_' || c == '.') {
			return RefuseField(BadField, "msg_id", "has a forbidden character at byte %d; letters, digits, - _ and . are allowed, the first a letter or digit", i+1)
		}
	}
	return nil
}

// Decode reads one message in the wire form of fedmsg 1.x: a JSON object with
// the fields topic, msg, msg_id, timestamp and, optionally, i, username, crypto,
// signature and certificate. Unknown fields are kept, since the signature covers
// them. Decode keeps no reference to b.
//
// It takes only what every reader will understand alike. The error is a
// [Refusal] that names reason, field and place.
func Decode(b []byte) (*Message, error) {
	if len(b) > MaxMessageSize {
		return nil, Refuse(TooLarge, "the message has %d bytes, at most %d are allowed", len(b), MaxMessageSize)
	}
	return decode(bytes.Clone(b), true)
}

// DecodeHistory reads a message as Python's fedmsg did: of equal keys the last
// counts, NaN is a number, any field may be missing or of any type (its Go field
// is then zero) and any size goes. It is for verifying and importing what was
// sent long ago; nothing that comes in over an edge may pass through it.
func DecodeHistory(b []byte) (*Message, error) { return decode(bytes.Clone(b), false) }

// DecodeStored reads a message that [Decode] took before and a log has kept since,
// quickly: it does not check again what lies inside of fields, and it keeps b,
// which must not be changed any more.
func DecodeStored(b []byte) (*Message, error) {
	return decodeParsed(&parser{src: b, plain: true, shallow: true}, false)
}

func decode(b []byte, strict bool) (*Message, error) {
	return decodeParsed(&parser{src: b, strict: strict, plain: true}, strict)
}

func decodeParsed(p *parser, strict bool) (*Message, error) {
	if err := p.run(); err != nil {
		return nil, err
	}
	b := p.src
	if p.node(0).kind != '{' {
		return nil, Refuse(NotObject, "a message is a JSON object")
	}
	m := &Message{raw: b, compact: b}
	if !p.plain && p.shallow {
		return decode(b, false)
	} else if !p.plain {
		m.compact = p.append(make([]byte, 0, len(b)), p.node(0), spelling{item: ",", name: ":", verbatim: true}, 0)
	}
	for _, read := range []func(*parser, bool) error{
		m.readTopic, m.readBody, m.readID, m.readTime, m.readUser, m.readCounter, m.readSignature,
	} {
		if err := read(p, strict); err != nil && strict {
			return nil, err
		}
	}
	return m, nil
}

// field returns a member of the envelope as text, checked to be a string.
func field(p *parser, name string, required bool) (string, bool, error) {
	n := p.lookup(0, name)
	switch {
	case n == nil && required:
		return "", false, RefuseField(MissingField, name, "every message has it")
	case n == nil:
		return "", false, nil
	case n.kind != '"':
		return "", true, RefuseField(BadField, name, "must be a string")
	}
	return string(p.text(n)), true, nil
}

func (m *Message) readTopic(p *parser, _ bool) error {
	text, _, err := field(p, "topic", true)
	if err != nil {
		return err
	}
	m.Topic = Topic(text)
	return m.Topic.Validate()
}

func (m *Message) readBody(p *parser, _ bool) error {
	n := p.lookup(0, "msg")
	if n == nil {
		return RefuseField(MissingField, "msg", "every message has it")
	}
	m.Body = p.src[n.start:n.end:n.end]
	if n.kind != '{' {
		return RefuseField(BadField, "msg", "must be an object")
	}
	return nil
}

func (m *Message) readID(p *parser, _ bool) error {
	text, _, err := field(p, "msg_id", true)
	if err != nil {
		return err
	}
	m.ID = text
	return ValidateID(text)
}

func (m *Message) readTime(p *parser, _ bool) error {
	n := p.lookup(0, "timestamp")
	if n == nil {
		return RefuseField(MissingField, "timestamp", "every message has it")
	}
	if n.kind != 'i' && n.kind != 'f' {
		return RefuseField(BadTimestamp, "timestamp", "must be a number of seconds since 1970")
	}
	seconds, err := strconv.ParseFloat(string(p.src[n.start:n.end]), 64)
	if err != nil || seconds < 0 || seconds > maxTimestamp {
		return RefuseField(BadTimestamp, "timestamp", "must be a number of seconds since 1970")
	}
	// To the microsecond, which is what Python prints: .001 is no sum of halves.
	whole, part := math.Modf(seconds)
	m.Time = time.Unix(int64(whole), int64(math.Round(part*1e6))*1000).UTC()
	return nil
}

func (m *Message) readUser(p *parser, _ bool) error {
	n := p.lookup(0, "username")
	if n == nil || n.kind == 'n' {
		return nil // 64 of 1,476 real messages have null
	}
	text, _, err := field(p, "username", false)
	if err != nil {
		return err
	}
	m.User = text
	if len(text) > MaxUserLength {
		return RefuseField(BadField, "username", "has %d bytes, at most %d are allowed", len(text), MaxUserLength)
	}
	return nil
}

func (m *Message) readCounter(p *parser, _ bool) error {
	if n := p.lookup(0, "i"); n != nil && (n.kind != 'i' || p.src[n.start] == '-') {
		return RefuseField(BadField, "i", "must be a whole number, not negative")
	}
	return nil
}

func (m *Message) readSignature(p *parser, strict bool) error {
	if n := p.lookup(0, "crypto"); n != nil && n.kind != '"' && n.kind != 'n' {
		return RefuseField(BadField, "crypto", "must be a string")
	}
	signature, signed, err := field(p, "signature", false)
	if err != nil {
		return err
	}
	m.Signature = signature
	if !strict {
		return nil
	}
	if signed {
		digits, padding, err := validateBase64("signature", []byte(signature), MaxSignatureLength)
		if err != nil {
			return err
		}
		if padding > 2 || digits%4 == 1 || (digits+padding)%4 != 0 {
			return RefuseField(BadField, "signature", "is cut off or wrongly padded base64")
		}
	}
	if n := p.lookup(0, "certificate"); n != nil {
		if n.kind != '"' {
			return RefuseField(BadField, "certificate", "must be a string")
		}
		_, _, err = validateBase64("certificate", p.text(n), MaxCertificateLength)
	}
	return err
}

// validateBase64 lets the base64 alphabet and line breaks through, and counts.
// What is wrong with the bytes behind it is for the verifier to say.
func validateBase64(name string, text []byte, limit int) (digits, padding int, err error) {
	if len(text) == 0 {
		return 0, 0, RefuseField(BadField, name, "is empty")
	}
	if len(text) > limit {
		return 0, 0, RefuseField(BadField, name, "has %d bytes, at most %d are allowed", len(text), limit)
	}
	for i, c := range text {
		switch {
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '+' || c == '/':
			digits++
		case c == '=':
			padding++
		case c != '\n' && c != '\r':
			return 0, 0, RefuseField(BadField, name, "byte %d is not base64", i+1)
		}
	}
	return digits, padding, nil
}

// Bytes returns the message as it came, byte by byte. The caller must not
// change it.
func (m *Message) Bytes() []byte { return m.raw }

// Compact returns the message in one line of printable ASCII: as it came, but
// for white space between tokens and characters that JSON can escape. Fit for
// streams and terminals. The caller must not change it.
func (m *Message) Compact() []byte { return m.compact }

// LogValue keeps body and signature out of logs.
func (m *Message) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", m.ID), slog.String("topic", string(m.Topic)))
}

// String returns ID and topic.
func (m *Message) String() string { return fmt.Sprintf("%s %s", m.ID, m.Topic) }

// Fields returns the JSON texts of top-level fields, whether this package knows
// them or not; nil for one that is not there.
func (m *Message) Fields(names ...string) []json.RawMessage {
	texts := make([]json.RawMessage, len(names))
	p, err := parse(m.raw, false)
	if err != nil {
		return texts // cannot be: Decode parsed the same bytes
	}
	for i, name := range names {
		if n := p.lookup(0, name); n != nil {
			texts[i] = m.raw[n.start:n.end:n.end]
		}
	}
	return texts
}

// AppendSigned appends the text that an x509 signature covers: the canonical
// form of the whole message without the fields signature and certificate.
func (m *Message) AppendSigned(dst []byte) []byte {
	return m.appendWithout(dst, "signature", "certificate")
}

func (m *Message) appendWithout(dst []byte, names ...string) []byte {
	p, err := parse(m.raw, false)
	if err != nil {
		return dst // cannot be: Decode parsed the same bytes
	}
	return p.append(dst, p.node(0), spelling{item: ",", name: ":", sorted: true}, 0, names...)
}

// Digest identifies what was said, however it was spelled and whoever signed
// it: the SHA-256 of the canonical form without crypto, signature and
// certificate. A relay that spells a message anew does not change it.
func (m *Message) Digest() [sha256.Size]byte {
	return sha256.Sum256(m.appendWithout(make([]byte, 0, len(m.raw)), "crypto", "signature", "certificate"))
}

// With returns a message with fields added or replaced, in canonical form.
func (m *Message) With(fields ...Member) (*Message, error) {
	var names []string
	for _, f := range fields {
		if _, err := parse(f.JSON, true); err != nil {
			return nil, fmt.Errorf("field %q: %w", f.Name, err) // else it could close its field and open others
		}
		names = append(names, f.Name)
	}
	text := m.appendWithout(make([]byte, 0, len(m.raw)+1024), names...)
	text = text[:len(text)-1] // the closing brace
	for _, f := range fields {
		if len(text) > 1 {
			text = append(text, ',')
		}
		text = append(appendString(text, []byte(f.Name)), ':')
		text = append(text, f.JSON...)
	}
	canonical, err := AppendCanonical(nil, append(text, '}'))
	if err != nil {
		return nil, fmt.Errorf("fields %q: %w", names, err)
	}
	return Decode(canonical)
}

// Draft is a message that has yet to be made.
type Draft struct {
	Topic Topic
	// Body is the JSON text of an object. Empty, null and the other values that
	// are false in Python stand for {}, as they always did in fedmsg.
	Body json.RawMessage
	// ID is the message's own; [NewID] makes one.
	ID   string
	Time time.Time
	// User is the name of the login that publishes; empty leaves the field out.
	User string
	// Counter is the number of messages that this publisher has sent, from 1.
	Counter int
}

// Message makes the message, in canonical form. The error is a [Refusal].
func (d Draft) Message() (*Message, error) {
	body := d.Body
	if isFalse(body) {
		body = []byte("{}")
	}
	if _, err := parse(body, true); err != nil {
		return nil, err // and so it cannot close its field and open others
	}
	text := append([]byte(`{"i":`), strconv.Itoa(d.Counter)...)
	text = append(append(text, `,"msg":`...), body...)
	text = append(append(text, `,"msg_id":`...), quote([]byte(d.ID))...)
	text = append(append(text, `,"timestamp":`...), strconv.FormatInt(d.Time.Unix(), 10)...)
	text = append(append(text, `,"topic":`...), quote([]byte(d.Topic))...)
	if d.User != "" {
		text = append(append(text, `,"username":`...), quote([]byte(d.User))...)
	}
	canonical, err := AppendCanonical(make([]byte, 0, len(text)+1), append(text, '}'))
	if err != nil {
		return nil, err
	}
	if len(canonical) > MaxMessageSize {
		return nil, Refuse(TooLarge, "the message has %d bytes, at most %d are allowed", len(canonical), MaxMessageSize)
	}
	return decode(canonical, true)
}

// isFalse reports whether a body is what Python counts as false, which fedmsg
// replaces by an empty object.
func isFalse(body json.RawMessage) bool {
	if len(bytes.TrimSpace(body)) == 0 {
		return true
	}
	p, err := parse(body, true)
	if err != nil {
		return false
	}
	switch n := p.node(0); n.kind {
	case 'n', 'F':
		return true
	case '"':
		return n.end-n.start == 2
	case '{', '[':
		return n.first == 0
	case 'i', 'f':
		f, err := strconv.ParseFloat(string(body[n.start:n.end]), 64)
		return err == nil && f == 0
	}
	return false
}

// NewID returns a fresh message ID in fedmsg's form: the year of now, a dash,
// and a random (version 4) UUID.
func NewID(now time.Time) string {
	var u [16]byte
	rand.Read(u[:]) // never fails
	u[6] = u[6]&0x0F | 0x40
	u[8] = u[8]&0x3F | 0x80
	h := hex.EncodeToString(u[:])
	return fmt.Sprintf("%04d-%s-%s-%s-%s-%s", now.Year(), h[:8], h[8:12], h[12:16], h[16:20], h[20:])
}
