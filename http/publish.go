package http

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	nethttp "net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// A submission is a message that somebody wants to have published.
type submission struct {
	message *fedmsg.Message
	// identity is the publisher's, if the edge vouches for it; empty if the gate
	// is to look for itself.
	identity string
	// sign says that the server signs for the publisher.
	sign bool
	// named says that the message was made here under an ID that the publisher
	// knows. A retry was then made at another time, and is the same for all that.
	named bool
}

// receipt is the answer to a publish.
type receipt struct {
	ID    string       `json:"id"`
	Seq   fedmsg.Seq   `json:"seq"`
	Topic fedmsg.Topic `json:"topic"`
}

// publish takes a JSON object: a whole message, or what one is made of.
func (s *Server) publish(w nethttp.ResponseWriter, r *nethttp.Request) {
	s.take(w, r, func(c caller, body []byte, _ bool) (submission, error) {
		key, err := idempotencyKey(r, c)
		if err != nil {
			return submission{}, err
		}
		return s.fromObject(c, body, key)
	}, false)
}

// publishText takes any text, or a JSON object as body, for the topic in the path.
func (s *Server) publishText(w nethttp.ResponseWriter, r *nethttp.Request) {
	s.take(w, r, func(c caller, body []byte, isJSON bool) (submission, error) {
		key, err := idempotencyKey(r, c)
		if err != nil {
			return submission{}, err
		}
		if isJSON {
			if _, err := fedmsg.DecodeObject(body); err != nil {
				return submission{}, err
			}
		} else if body, err = logLine(body); err != nil {
			return submission{}, err
		}
		return s.build(c, parts{topic: s.topicOfPath(r.PathValue("topic")), body: body, id: key})
	}, true)
}

// take reads a request, publishes what is in it, and answers. text says that the
// body need not be JSON.
func (s *Server) take(w nethttp.ResponseWriter, r *nethttp.Request, read func(caller, []byte, bool) (submission, error), text bool) {
	s.received.Add(1, edge)
	var sub submission
	c, body, isJSON, err := s.accept(w, r, text)
	if err == nil {
		sub, err = read(c, body, isJSON)
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	stored, err := s.store(r.Context(), c, sub)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	w.Header().Set("Location", "/api/v1/messages/"+sub.message.ID)
	status := nethttp.StatusCreated
	if stored.Duplicate {
		status = nethttp.StatusOK
	}
	writeJSON(w, status, receipt{sub.message.ID, stored.Seq, sub.message.Topic})
}

// accept reads who sent a request that has no parameters, and its body. The error is a
// refusal, also if that one sends too much.
func (s *Server) accept(w nethttp.ResponseWriter, r *nethttp.Request, text bool) (c caller, body []byte, isJSON bool, err error) {
	if _, err = readQuery(r); err != nil {
		return c, nil, false, err
	}
	if c, err = s.identify(r); err != nil {
		return c, nil, false, err
	}
	if isJSON, err = mediaOf(r, text); err != nil {
		return c, nil, false, err
	}
	if err = s.throttle(w, c); err != nil {
		return c, nil, false, err
	}
	body, err = s.body(w, r)
	return c, body, isJSON, err
}

// mediaOf reports whether the body is JSON. What is neither JSON, nor text where
// that may be, is refused, and so is what is packed or not UTF-8.
func mediaOf(r *nethttp.Request, text bool) (isJSON bool, err error) {
	if packed := r.Header.Get("Content-Encoding"); packed != "" && !strings.EqualFold(packed, "identity") {
		return false, fedmsg.Refuse(mediaType, "Content-Encoding %q: send the body as it is", clip(packed))
	}
	given := r.Header.Get("Content-Type")
	if given == "" && text {
		return false, nil
	}
	media, params, err := mime.ParseMediaType(given)
	if err != nil && given != "" {
		return false, fedmsg.Refuse(mediaType, "Content-Type %q is malformed", clip(given))
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "utf8") {
		return false, fedmsg.Refuse(mediaType, "charset %q: send UTF-8", clip(charset))
	}
	if media != "application/json" && !text {
		return false, fedmsg.Refuse(mediaType, "Content-Type must be application/json, is %q; to publish plain text: POST /api/v1/publish/TOPIC", clip(given))
	}
	return media == "application/json", nil
}

// body reads a request's body, up to the limit.
func (s *Server) body(w nethttp.ResponseWriter, r *nethttp.Request) ([]byte, error) {
	limit := s.cfg.Limits.Body
	tooLarge := fedmsg.Refuse(fedmsg.TooLarge, "the body is larger than %d bytes", limit)
	if r.ContentLength > limit {
		return nil, tooLarge
	}
	a := w.(*answer)
	buf := bytes.NewBuffer(make([]byte, 0, bytes.MinRead+min(max(0, r.ContentLength), 16<<10)))
	_, err := buf.ReadFrom(nethttp.MaxBytesReader(a.ResponseWriter, r.Body, limit))
	if _, ok := errors.AsType[*nethttp.MaxBytesError](err); ok {
		return nil, tooLarge
	}
	if err != nil {
		return nil, fedmsg.Refuse(fedmsg.BadJSON, "the body did not come whole")
	}
	a.bodyRead = true
	_ = nethttp.NewResponseController(a).SetReadDeadline(time.Time{}) // the log may take its time
	return buf.Bytes(), nil
}

// idempotencyKey returns the ID that a message with the request's Idempotency-Key
// has, or "" if there is none. Nothing needs to be remembered for it, so it holds
// across restarts.
func idempotencyKey(r *nethttp.Request, c caller) (id string, err error) {
	keys := r.Header.Values("Idempotency-Key")
	if len(keys) == 0 {
		return "", nil
	}
	key := keys[0]
	if len(keys) > 1 || key == "" || len(key) > 256 || strings.ContainsFunc(key, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsPrint(r) }) {
		return "", fedmsg.RefuseField(fedmsg.BadField, "Idempotency-Key", "must be one key of 1 to 256 printable ASCII characters")
	}
	sum := sha256.Sum256([]byte("fedmsg idempotency key\x00" + c.identity + "\x00" + key))
	return "idem-" + hex.EncodeToString(sum[:16]), nil
}

// fromObject reads a JSON object. A signature or certificate in it makes it a
// whole signed message, a timestamp a whole one that is not signed.
func (s *Server) fromObject(c caller, body []byte, key string) (submission, error) {
	members, err := fedmsg.DecodeObject(body)
	if err != nil {
		return submission{}, err
	}
	whole := false
	for _, m := range members {
		switch m.Name {
		case "signature", "certificate":
			return signedMessage(body)
		case "timestamp":
			whole = true
		}
	}
	if whole {
		return s.unsignedMessage(c, body)
	}
	p := parts{id: key}
	if err := s.readParts(members, &p); err != nil {
		return submission{}, err
	}
	return s.build(c, p)
}

// signedMessage reads a message for whose publisher its signature speaks. What
// lacks the fields that every signature covers, or has a signature that cannot
// be one, was never signed.
func signedMessage(body []byte) (submission, error) {
	m, err := fedmsg.Decode(body)
	if refusal, ok := errors.AsType[*fedmsg.Refusal](err); ok {
		ofSignature := refusal.Field == "signature" || refusal.Field == "certificate"
		if refusal.Reason == fedmsg.MissingField || refusal.Reason == fedmsg.BadField && ofSignature {
			return submission{}, fedmsg.RefuseField(fedmsg.BadSignature, refusal.Field, "%s; a signed message is sent whole, as it was signed", refusal.Detail)
		}
	}
	if err == nil && m.Signature == "" {
		err = fedmsg.RefuseField(fedmsg.BadSignature, "signature", "there is a certificate, and no signature")
	}
	return submission{message: m}, err
}

// unsignedMessage reads a whole message that is not signed. The server puts the
// name of a publisher that it knows into it, and signs for it.
func (s *Server) unsignedMessage(c caller, body []byte) (submission, error) {
	m, err := fedmsg.Decode(body)
	if err != nil {
		return submission{}, err
	}
	if err := s.mayPublish(c, m.Topic); err != nil {
		return submission{}, err
	}
	if c.identity != "" && m.User != c.name {
		name, err := json.Marshal(c.name)
		if err != nil {
			return submission{}, fmt.Errorf("user name: %w", err)
		}
		if m, err = m.With(fedmsg.Member{Name: "username", JSON: name}); err != nil {
			return submission{}, err
		}
	}
	return submission{message: m, identity: c.identity, sign: c.identity != ""}, nil
}

// parts are what a message is made of here.
type parts struct {
	topic fedmsg.Topic
	body  json.RawMessage
	id    string // "" has one made
	user  string
}

// readParts reads the members topic, modname, msg, msg_id and username, and
// refuses others.
func (s *Server) readParts(members []fedmsg.Member, p *parts) error {
	var topic, modname *string
	for _, m := range members {
		var text string
		if m.Name != "msg" {
			var ok bool
			if text, ok = fedmsg.DecodeString(m.JSON); !ok && (m.Name == "topic" || m.Name == "modname" || m.Name == "msg_id" || m.Name == "username") {
				return fedmsg.RefuseField(fedmsg.BadField, m.Name, "must be a string")
			}
		}
		switch m.Name {
		case "topic":
			topic = &text
		case "modname":
			modname = &text
		case "msg":
			p.body = m.JSON
		case "msg_id":
			if err := fedmsg.ValidateID(text); err != nil {
				return err
			}
			p.id = text
		case "username":
			p.user = text
		default:
			return fedmsg.RefuseField(fedmsg.UnknownField, clip(m.Name), "is not known here; known are topic, modname, msg, msg_id, username; names are case-sensitive")
		}
	}
	switch {
	case p.body == nil:
		return fedmsg.RefuseField(fedmsg.MissingField, "msg", "every message has it")
	case modname != nil && *modname == "":
		return fedmsg.RefuseField(fedmsg.BadField, "modname", "is empty")
	case modname != nil && topic == nil:
		p.topic = fedmsg.JoinTopic(s.cfg.TopicPrefix, s.cfg.Environment, *modname, "")
	case modname != nil:
		p.topic = fedmsg.JoinTopic(s.cfg.TopicPrefix, s.cfg.Environment, *modname, *topic)
	case topic == nil:
		return fedmsg.RefuseField(fedmsg.MissingField, "topic", "every message has it")
	default:
		p.topic = fedmsg.Topic(*topic)
	}
	return nil
}

// topicOfPath makes a topic of the words in a path: a whole one if it is below
// the prefix, else the first word is the modname.
func (s *Server) topicOfPath(words string) fedmsg.Topic {
	topic := fedmsg.Topic(words)
	if s.isWhole(topic) || topic.Validate() != nil {
		return topic
	}
	modname, rest, _ := strings.Cut(words, ".")
	return fedmsg.JoinTopic(s.cfg.TopicPrefix, s.cfg.Environment, modname, rest)
}

// isWhole reports whether a topic has all its words.
func (s *Server) isWhole(t fedmsg.Topic) bool {
	prefix := fedmsg.Topic(s.cfg.TopicPrefix)
	return t.Under(prefix) && len(t) > len(prefix)
}

// logLine makes the body that fedmsg-logger makes of a line.
func logLine(text []byte) (json.RawMessage, error) {
	if !utf8.Valid(text) {
		return nil, fedmsg.Refuse(fedmsg.BadUTF8, "the text is not UTF-8")
	}
	return json.Marshal(map[string]string{"log": strings.TrimRight(string(text), "\r\n")})
}

// build makes a message for c.
func (s *Server) build(c caller, p parts) (submission, error) {
	if err := p.topic.Validate(); err != nil {
		return submission{}, err
	}
	if !s.isWhole(p.topic) {
		return submission{}, fedmsg.RefuseField(fedmsg.TopicPrefix, "topic", "%s is not below %s; give a modname to have that put before it", p.topic, s.cfg.TopicPrefix)
	}
	if err := s.mayPublish(c, p.topic); err != nil {
		return submission{}, err
	}
	now := s.cfg.Clock()
	d := fedmsg.Draft{Topic: p.topic, Body: p.body, ID: p.id, Time: now, User: c.name, Counter: int(s.sent.Add(1))}
	if d.ID == "" {
		d.ID = fedmsg.NewID(now)
	}
	if c.identity == "" {
		d.User = p.user
		if p.user == "" {
			d.User = s.cfg.User
		}
	}
	m, err := d.Message()
	// For a publisher that nobody knows the bus does not put its name down.
	return submission{message: m, identity: c.identity, sign: c.identity != "", named: p.id != ""}, err
}

// store publishes a submission and waits for the log. It does not end with the
// request: a publisher that hangs up early does not stop a commit.
func (s *Server) store(ctx context.Context, c caller, sub submission) (fedmsg.Receipt, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Limits.PublishTimeout)
	defer cancel()
	if sub.named {
		if r, err := s.earlier(ctx, sub.message); err != nil || r.Duplicate {
			return r, err
		}
	}
	m := sub.message
	if sub.sign && s.cfg.Signer != nil {
		var err error
		if m, err = s.cfg.Signer.Sign(ctx, m); err != nil {
			return fedmsg.Receipt{}, fmt.Errorf("sign: %w", err)
		}
	}
	start := time.Now()
	r := s.bus.Publish(c.origin(ctx, sub.identity), m)[0]
	s.took.Observe(time.Since(start))
	if r.Err == nil {
		return r, nil
	}
	if sub.named && errors.Is(r.Err, fedmsg.ErrConflict) { // two retries at once
		if first, err := s.earlier(ctx, m); err == nil && first.Duplicate {
			return first, nil
		}
	}
	return r, judged{r.Err}
}

// earlier looks for a message with m's ID. If it says the same as m it has m's
// receipt; if not the error is a refusal; if there is none, neither.
func (s *Server) earlier(ctx context.Context, m *fedmsg.Message) (fedmsg.Receipt, error) {
	e, err := s.bus.Find(ctx, m.ID)
	if err != nil {
		return fedmsg.Receipt{}, nil // not there, or the log will say so itself
	}
	if e.Message.Topic != m.Topic || e.Message.User != m.User || !sameBody(e.Message.Body, m.Body) {
		return fedmsg.Receipt{}, fedmsg.RefuseField(fedmsg.MsgIDConflict, "msg_id", "%s is the ID of another message", m.ID)
	}
	s.rejected.Add(1, edge, string(fedmsg.Duplicate))
	return fedmsg.Receipt{Seq: e.Seq, At: e.At, Duplicate: true}, nil
}

func sameBody(a, b json.RawMessage) bool {
	x, errX := fedmsg.AppendCanonical(nil, a)
	y, errY := fedmsg.AppendCanonical(nil, b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
