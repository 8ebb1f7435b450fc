package fedmsg_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// plain is a message as an old publisher sends it, unsigned.
const plain = `{"i":1,"msg":{"karma":1},"msg_id":"2026-1","timestamp":1767225600,"topic":"org.fedoraproject.prod.bodhi.update.comment","username":"ralph"}`

// edit returns plain with one field replaced by JSON text, or dropped if that
// is empty.
func edit(name, text string) string {
	i := strings.Index(plain, `"`+name+`":`)
	if i < 0 {
		return strings.Replace(plain, "{", `{"`+name+`":`+text+`,`, 1)
	}
	end := i + strings.IndexAny(plain[i:], ",}")
	if name == "msg" {
		end = strings.Index(plain, `,"msg_id"`)
	}
	if text != "" {
		return plain[:i] + `"` + name + `":` + text + plain[end:]
	}
	return strings.NewReplacer("{,", "{", ",,", ",", ",}", "}").Replace(plain[:i] + plain[end:])
}

func TestDecode(t *testing.T) {
	m, err := fedmsg.Decode([]byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	want := fedmsg.Message{
		ID: "2026-1", Topic: "org.fedoraproject.prod.bodhi.update.comment", User: "ralph",
		Time: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	if m.ID != want.ID || m.Topic != want.Topic || m.User != want.User || m.Time != want.Time || string(m.Body) != `{"karma":1}` || m.Signature != "" {
		t.Errorf("Decode(%s) = %+v", plain, m)
	}
	if got := m.String(); got != "2026-1 org.fedoraproject.prod.bodhi.update.comment" {
		t.Errorf("String() = %q", got)
	}
}

func TestDecodeTakes(t *testing.T) {
	nested := func(depth int) string { // a body that makes the whole message that deep
		return strings.Repeat(`{"a":`, depth-1) + "1" + strings.Repeat("}", depth-1)
	}
	tests := []struct{ name, in string }{
		{"white space", " \r\n\t" + strings.ReplaceAll(plain, ",", " ,\n\t") + "\n"},
		{"no username", edit("username", "")},
		{"username null", edit("username", "null")}, // as 64 of 1,476 real messages
		{"no counter", edit("i", "")},
		{"counter beyond 64 bits", edit("i", "99999999999999999999999")},
		{"fractional time", edit("timestamp", "1767225600.25")},
		{"time with exponent", edit("timestamp", "1.7672256e9")},
		{"milliseconds, for the gate to judge", edit("timestamp", "1767225600000")},
		{"time zero", edit("timestamp", "0")},
		{"empty body", edit("msg", "{}")},
		{"deepest body", edit("msg", nested(fedmsg.MaxDepth))},
		{"key in another case", edit("TOPIC", `"evil.topic"`)},
		{"unknown fields", edit("seq_id", `[1,{"x":null}]`)},
		{"crypto null", edit("crypto", "null")},
		{"crypto of another kind", edit("crypto", `"gpg"`)}, // for the verifier to judge
		{"wrapped base64", edit("signature", `"AAAA\nAAA=\n"`)},
		{"escaped names", strings.Replace(plain, `"topic"`, `"\u0074opic"`, 1)},
		{"raw UTF-8", edit("msg", `{"ü":"😀"}`)},
		{"NUL in the body", edit("msg", `{"a":"\u0000"}`)},
		{"long integer", edit("msg", `{"n":`+strings.Repeat("9", 4300)+`}`)},
		{"longest ID", edit("msg_id", `"`+strings.Repeat("a", fedmsg.MaxIDLength)+`"`)},
		{"longest name", edit("username", `"`+strings.Repeat("a", fedmsg.MaxUserLength)+`"`)},
		{"largest", plain + strings.Repeat(" ", fedmsg.MaxMessageSize-len(plain))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := fedmsg.Decode([]byte(tt.in))
			if err != nil {
				t.Fatalf("Decode(%.200q): %v", tt.in, err)
			}
			checkMessage(t, []byte(tt.in), m)
			if m.Topic != "org.fedoraproject.prod.bodhi.update.comment" {
				t.Errorf("Decode(%.200q) has topic %s", tt.in, m.Topic)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	const B = "Q" // one base64 character
	tests := []struct {
		name, in string
		reason   fedmsg.Reason
		field    string
	}{
		{"nothing", "", fedmsg.BadJSON, ""},
		{"blank", "  ", fedmsg.BadJSON, ""},
		{"cut off", plain[:len(plain)-1], fedmsg.BadJSON, ""},
		{"two objects", plain + plain, fedmsg.BadJSON, ""},
		{"trailing NUL", plain + "\x00", fedmsg.BadJSON, ""},
		{"byte order mark", "\xef\xbb\xbf" + plain, fedmsg.BadJSON, ""},
		{"Python", "{'topic': 'a.b'}", fedmsg.BadJSON, ""},
		{"trailing comma", strings.Replace(plain, "}", ",}", 1), fedmsg.BadJSON, ""},
		{"NaN", edit("msg", `{"x":NaN}`), fedmsg.BadJSON, ""},
		{"minus infinity", edit("msg", `{"x":-Infinity}`), fedmsg.BadJSON, ""},
		{"infinity by exponent", edit("msg", `{"x":1e400}`), fedmsg.BadJSON, ""},
		{"integer of 4,301 digits", edit("msg", `{"x":`+strings.Repeat("9", 4301)+`}`), fedmsg.BadJSON, ""},
		{"raw line break in a string", edit("msg", "{\"x\":\"\n\"}"), fedmsg.BadJSON, ""},
		{"not UTF-8", edit("msg", "{\"x\":\"\xff\"}"), fedmsg.BadUTF8, ""},
		{"overlong UTF-8", edit("msg", "{\"x\":\"\xc0\xaf\"}"), fedmsg.BadUTF8, ""},
		{"surrogate in UTF-8", edit("msg", "{\"x\":\"\xed\xa0\x80\"}"), fedmsg.BadUTF8, ""},
		{"half a pair", edit("msg", `{"x":"\ud800"}`), fedmsg.BadUTF8, ""},
		{"the other half", edit("msg", `{"x":"\udc00\ud800"}`), fedmsg.BadUTF8, ""},
		{"half a pair in a name", edit("msg", `{"\uD800":1}`), fedmsg.BadUTF8, ""},
		{"a list", "[" + plain + "]", fedmsg.NotObject, ""},
		{"null", "null", fedmsg.NotObject, ""},
		{"a text", `"{}"`, fedmsg.NotObject, ""},
		{"topic twice", strings.Replace(plain, "{", `{"topic":"a.b",`, 1), fedmsg.DupKey, ""},
		{"topic twice by escape", strings.Replace(plain, "{", `{"\u0074opic":"a.b",`, 1), fedmsg.DupKey, ""},
		{"twice in the body", edit("msg", `{"a":{"b":1,"c":2,"b":3}}`), fedmsg.DupKey, ""},
		{"twice among many", edit("msg", `{"a0":1,"a1":1,"a2":1,"a3":1,"a4":1,"a5":1,"a6":1,"a7":1,"a8":1,"a9":1,"b0":1,"b1":1,"b2":1,"a\u0031":1}`), fedmsg.DupKey, ""},
		{"unknown field twice", strings.Replace(plain, "{", `{"x":1,"x":1,`, 1), fedmsg.DupKey, ""},
		{"too deep", edit("msg", strings.Repeat(`{"a":`, fedmsg.MaxDepth)+"1"+strings.Repeat("}", fedmsg.MaxDepth)), fedmsg.TooDeep, ""},
		{"much too deep", edit("msg", strings.Repeat("[", 100_000)), fedmsg.TooDeep, ""},
		{"too large", plain + strings.Repeat(" ", fedmsg.MaxMessageSize-len(plain)+1), fedmsg.TooLarge, ""},

		{"no topic", edit("topic", ""), fedmsg.MissingField, "topic"},
		{"no body", edit("msg", ""), fedmsg.MissingField, "msg"},
		{"no ID", edit("msg_id", ""), fedmsg.MissingField, "msg_id"},
		{"no time", edit("timestamp", ""), fedmsg.MissingField, "timestamp"},
		{"topic in another case only", strings.Replace(plain, `"topic"`, `"Topic"`, 1), fedmsg.MissingField, "topic"},

		{"topic null", edit("topic", "null"), fedmsg.BadField, "topic"},
		{"topic list", edit("topic", `["a"]`), fedmsg.BadField, "topic"},
		{"topic wildcard", edit("topic", `"a.*"`), fedmsg.BadTopic, ""},
		{"topic empty", edit("topic", `""`), fedmsg.BadTopic, ""},
		{"topic with a line break", edit("topic", `"a.b\n"`), fedmsg.BadTopic, ""},
		{"body null", edit("msg", "null"), fedmsg.BadField, "msg"},
		{"body text", edit("msg", `"hi"`), fedmsg.BadField, "msg"},
		{"body list", edit("msg", "[]"), fedmsg.BadField, "msg"},
		{"ID number", edit("msg_id", "1"), fedmsg.BadField, "msg_id"},
		{"ID empty", edit("msg_id", `""`), fedmsg.BadField, "msg_id"},
		{"ID with a line break", edit("msg_id", `"a\nid: 7"`), fedmsg.BadField, "msg_id"},
		{"ID path", edit("msg_id", `"../../etc/passwd"`), fedmsg.BadField, "msg_id"},
		{"ID flag", edit("msg_id", `"-rf"`), fedmsg.BadField, "msg_id"},
		{"ID not ASCII", edit("msg_id", `"ü"`), fedmsg.BadField, "msg_id"},
		{"ID too long", edit("msg_id", `"`+strings.Repeat("a", fedmsg.MaxIDLength+1)+`"`), fedmsg.BadField, "msg_id"},
		{"time null", edit("timestamp", "null"), fedmsg.BadTimestamp, "timestamp"},
		{"time text", edit("timestamp", `"1767225600"`), fedmsg.BadTimestamp, "timestamp"},
		{"time negative", edit("timestamp", "-1"), fedmsg.BadTimestamp, "timestamp"},
		{"time huge", edit("timestamp", "1e300"), fedmsg.BadTimestamp, "timestamp"},
		{"time true", edit("timestamp", "true"), fedmsg.BadTimestamp, "timestamp"},
		{"user object", edit("username", "{}"), fedmsg.BadField, "username"},
		{"user too long", edit("username", `"`+strings.Repeat("a", fedmsg.MaxUserLength+1)+`"`), fedmsg.BadField, "username"},
		{"counter negative", edit("i", "-1"), fedmsg.BadField, "i"},
		{"counter fraction", edit("i", "1.0"), fedmsg.BadField, "i"},
		{"counter text", edit("i", `"1"`), fedmsg.BadField, "i"},
		{"crypto list", edit("crypto", `["x509"]`), fedmsg.BadField, "crypto"},
		{"signature null", edit("signature", "null"), fedmsg.BadField, "signature"},
		{"signature empty", edit("signature", `""`), fedmsg.BadField, "signature"},
		{"signature with junk", edit("signature", `"QQ*Q"`), fedmsg.BadField, "signature"},
		{"signature URL base64", edit("signature", `"QQ_-"`), fedmsg.BadField, "signature"},
		{"signature cut off", edit("signature", `"QQQQQ"`), fedmsg.BadField, "signature"},
		{"signature without padding", edit("signature", `"QQ"`), fedmsg.BadField, "signature"},
		{"signature too long", edit("signature", `"`+strings.Repeat(B, fedmsg.MaxSignatureLength+4)+`"`), fedmsg.BadField, "signature"},
		{"certificate number", edit("certificate", "1"), fedmsg.BadField, "certificate"},
		{"certificate URL", edit("certificate", `"https://evil.example/ca.crt"`), fedmsg.BadField, "certificate"},
		{"certificate too long", edit("certificate", `"`+strings.Repeat(B, fedmsg.MaxCertificateLength+4)+`"`), fedmsg.BadField, "certificate"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := fedmsg.Decode([]byte(tt.in))
			refusal, ok := errors.AsType[*fedmsg.Refusal](err)
			if !ok || refusal.Reason != tt.reason || refusal.Field != tt.field || !errors.Is(err, fedmsg.ErrInvalid) || m != nil {
				t.Fatalf("Decode(%.200q) = %v, %v, want %s %s", tt.in, m, err, tt.reason, tt.field)
			}
			checkPrintable(t, err.Error())
			if len(err.Error()) > 1000 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
}

// A refusal says where to look.
func TestDecodeTellsThePlace(t *testing.T) {
	_, err := fedmsg.Decode([]byte("{\n  \"ü\": 1,\n  \"ü\": 1, oops"))
	if want := "line 3 column 11: a name in double quotes should be here"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q in it", err, want)
	}
}

// checkMessage holds for whatever Decode takes.
func checkMessage(t *testing.T, in []byte, m *fedmsg.Message) {
	t.Helper()
	if !bytes.Equal(m.Bytes(), in) {
		t.Fatalf("Bytes() = %q, want what came: %q", m.Bytes(), in)
	}
	if err := errors.Join(m.Topic.Validate(), fedmsg.ValidateID(m.ID)); err != nil {
		t.Fatalf("Decode(%q) took topic or ID: %v", in, err)
	}
	if m.Time.Unix() < 0 || m.Time.Location() != time.UTC || len(m.Body) < 2 || m.Body[0] != '{' {
		t.Fatalf("Decode(%q) = %+v", in, m)
	}
	compact := m.Compact()
	if i := bytes.IndexFunc(compact, func(r rune) bool { return r < ' ' || r > '~' }); i >= 0 || !json.Valid(compact) {
		t.Fatalf("Compact() = %q, want one line of ASCII JSON; byte %d", compact, i+1)
	}
	canonical, err := fedmsg.AppendCanonical(nil, in)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := fedmsg.AppendCanonical(nil, compact); err != nil || !bytes.Equal(got, canonical) {
		t.Fatalf("canonical form of Compact() %q\n = %s, %v\nwant %s", compact, got, err, canonical)
	}
	signed := m.AppendSigned([]byte("x"))
	if got, err := fedmsg.AppendCanonical([]byte("x"), signed[1:]); err != nil || !bytes.Equal(got, signed) {
		t.Fatalf("AppendSigned() = %q is not canonical: %q, %v", signed, got, err)
	}
	if m.Fields("signature")[0] != nil && m.Signature == "" {
		t.Fatalf("Decode(%q) lost the signature", in)
	}

	relayed, err := fedmsg.AppendRelayed(nil, in)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"Bytes": in, "Compact": compact, "canonical": canonical, "relayed": relayed} {
		if len(text) > fedmsg.MaxMessageSize {
			continue // escapes are longer than what they stand for
		}
		again, err := fedmsg.Decode(text)
		if err != nil {
			t.Fatalf("Decode(%q), the %s form of what it took: %v", text, name, err)
		}
		if again.ID != m.ID || again.Topic != m.Topic || again.Time != m.Time || again.User != m.User || again.Signature != m.Signature || again.Digest() != m.Digest() {
			t.Fatalf("Decode of the %s form = %+v\nwant %+v", name, again, m)
		}
		if name == "Compact" && !bytes.Equal(again.Compact(), compact) {
			t.Fatalf("Compact() of %q = %q", compact, again.Compact())
		}
	}
	history, err := fedmsg.DecodeHistory(in)
	if err != nil || history.ID != m.ID || history.Topic != m.Topic || history.Digest() != m.Digest() {
		t.Fatalf("DecodeHistory(%q) = %v, %v, want %v", in, history, err, m)
	}
}

// FuzzDecode holds for any bytes: they are refused with a reason, or the message
// keeps them, and all its forms mean the same.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		plain, edit("username", "null"), edit("signature", `"QUJD"`), edit("msg", `{"\u00e9":[1.50,1E3,-0]}`), edit("timestamp", "1.5e9"),
		" " + plain + "\n", edit("msg", "{\"ü\":\"\x7f\"}"), edit("x", `{"y":[[]]}`), edit("topic", `"\u0061.b"`), "{}", "[]", "",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := fedmsg.Decode(in)
		if err == nil {
			checkMessage(t, in, m)
			return
		}
		switch reason := fedmsg.ReasonOf(err); reason {
		case fedmsg.BadJSON, fedmsg.BadUTF8, fedmsg.NotObject, fedmsg.DupKey, fedmsg.TooDeep, fedmsg.TooLarge,
			fedmsg.MissingField, fedmsg.BadField, fedmsg.BadTimestamp, fedmsg.BadTopic:
		default:
			t.Fatalf("Decode(%q): %v with reason %q", in, err, reason)
		}
		checkPrintable(t, err.Error())
		if m, err := fedmsg.DecodeHistory(in); err == nil {
			m.AppendSigned(nil)
			m.Digest()
			m.Compact()
		}
	})
}

// Decode must keep nothing of the slice it is given: edges use their buffers again.
func TestDecodeKeepsNoReference(t *testing.T) {
	in := []byte(plain)
	m, err := fedmsg.Decode(in)
	if err != nil {
		t.Fatal(err)
	}
	clear(in)
	if string(m.Bytes()) != plain || string(m.Body) != `{"karma":1}` || string(m.Compact()) != plain {
		t.Errorf("Decode kept a reference: Bytes() = %q, Body = %q", m.Bytes(), m.Body)
	}
}

func TestCompact(t *testing.T) {
	// Numbers keep their spelling, fields their order; what could end a line or
	// move a cursor is escaped.
	in := "{\"topic\": \"a.b\",\n\t\"msg\": {\"n\": 1.50, \"s\": \"\u2028\x7f\u009b31m😀\"},\r\n\"timestamp\": 1E3, \"msg_id\": \"1\"}"
	want := `{"topic":"a.b","msg":{"n":1.50,"s":"\u2028\u007f\u009b31m\ud83d\ude00"},"timestamp":1E3,"msg_id":"1"}`
	m, err := fedmsg.Decode([]byte(in))
	if err != nil || string(m.Compact()) != want {
		t.Errorf("Decode(%q).Compact()\n = %s, %v\nwant %s", in, m.Compact(), err, want)
	}
}

func TestDecodeHistory(t *testing.T) {
	tests := []struct{ name, in, topic, id string }{
		{"of 2012", `{"topic":"a.b","msg":{},"timestamp":1.5,"i":0}`, "a.b", ""},
		{"twice", `{"topic":"a.b","topic":"c.d","msg":{}}`, "c.d", ""},
		{"wrong types", `{"topic":["a"],"msg":"x","msg_id":1,"timestamp":null,"username":{}}`, "", ""},
		{"NaN", `{"topic":"a.b","msg":{"x":NaN}}`, "a.b", ""},
		{"bad topic", `{"topic":"a..b","msg":{}}`, "a..b", ""},
		{"half a pair", `{"topic":"a.b","msg":{"x":"\ud800"},"msg_id":"1"}`, "a.b", "1"},
	}
	for _, tt := range tests {
		m, err := fedmsg.DecodeHistory([]byte(tt.in))
		if err != nil || string(m.Topic) != tt.topic || m.ID != tt.id {
			t.Errorf("%s: DecodeHistory(%s) = %+v, %v", tt.name, tt.in, m, err)
			continue
		}
		want, err := fedmsg.AppendCanonical(nil, []byte(tt.in))
		if got := m.AppendSigned(nil); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: AppendSigned() = %s, want %s, %v", tt.name, got, want, err)
		}
	}
	for _, in := range []string{"", "[]", "{", "\xff"} {
		if m, err := fedmsg.DecodeHistory([]byte(in)); !errors.Is(err, fedmsg.ErrInvalid) {
			t.Errorf("DecodeHistory(%q) = %v, %v", in, m, err)
		}
	}
}

func TestAppendSigned(t *testing.T) {
	in := `{"topic":"a.b", "signature":"QUJD", "msg":{"signature":1,"b":2,"a":1.50}, "certificate":"QUJD", "crypto":"x509", "timestamp":1, "msg_id":"1", "extra":null}`
	want := `{"crypto":"x509","extra":null,"msg":{"a":1.5,"b":2,"signature":1},"msg_id":"1","timestamp":1,"topic":"a.b"}`
	m, err := fedmsg.Decode([]byte(in))
	if err != nil || string(m.AppendSigned(nil)) != want {
		t.Errorf("AppendSigned()\n = %s, %v\nwant %s", m.AppendSigned(nil), err, want)
	}
}

func TestDigest(t *testing.T) {
	base, err := fedmsg.Decode([]byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, in string
		same     bool
	}{
		{"as it is", plain, true},
		{"signed", edit("signature", `"QUJD"`), true},
		{"certified", edit("certificate", `"QUJD"`), true},
		{"crypto", edit("crypto", `"x509"`), true},
		{"blanks", strings.ReplaceAll(plain, ":", ": "), true},
		{"body", edit("msg", `{"karma":2}`), false},
		{"a number of another type", edit("msg", `{"karma":1.0}`), false},
		{"topic", edit("topic", `"a.b"`), false},
		{"time", edit("timestamp", "1767225601"), false},
		{"user", edit("username", `"other"`), false},
		{"field added", edit("x", "1"), false},
	}
	for _, tt := range tests {
		m, err := fedmsg.Decode([]byte(tt.in))
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if got := m.Digest() == base.Digest(); got != tt.same {
			t.Errorf("%s: Digest() is the same: %v, want %v", tt.name, got, tt.same)
		}
	}
}

func TestField(t *testing.T) {
	m, err := fedmsg.Decode([]byte(edit("seq_id", " 0x")))
	if err == nil {
		t.Fatalf("took %s", m.Bytes())
	}
	if m, err = fedmsg.Decode([]byte(edit("seq_id", " [1, 2.50] "))); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"seq_id": "[1, 2.50]", "msg": `{"karma":1}`, "karma": "", "": "", "Topic": ""} {
		if got := m.Fields(name)[0]; string(got) != want || (got != nil) != (want != "") {
			t.Errorf("Fields(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestWith(t *testing.T) {
	m, err := fedmsg.Decode([]byte(edit("extra", "1.50")))
	if err != nil {
		t.Fatal(err)
	}
	got, err := m.With(
		fedmsg.Member{Name: "crypto", JSON: json.RawMessage(`"x509"`)},
		fedmsg.Member{Name: "username", JSON: json.RawMessage(`"lmacken"`)})
	want := `{"crypto":"x509","extra":1.5,"i":1,"msg":{"karma":1},"msg_id":"2026-1","timestamp":1767225600,"topic":"org.fedoraproject.prod.bodhi.update.comment","username":"lmacken"}`
	if err != nil || string(got.Bytes()) != want || got.User != "lmacken" {
		t.Errorf("With()\n = %s, %v\nwant %s", got.Bytes(), err, want)
	}
	if m.User != "ralph" || string(m.Bytes()) != edit("extra", "1.50") {
		t.Errorf("With changed its receiver: %s", m.Bytes())
	}
	if same, err := m.With(); err != nil || same.Digest() != m.Digest() {
		t.Errorf("With() = %v, %v", same, err)
	}
}

func TestWithRefuses(t *testing.T) {
	m, err := fedmsg.Decode([]byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, text string }{
		{"topic", `"a..b"`},
		{"msg", `1`},
		{"x", ``},
		{"x", `{`},
		{"x", `NaN`},
		{"x", `1 }`},
		{"x", `1,"y":2`},                // one field must not bring another
		{"x", `1,"topic":"evil.topic"`}, // least of all in place of ours
		{"x", `1},{"y":2`},
	} {
		if got, err := m.With(fedmsg.Member{Name: tt.name, JSON: json.RawMessage(tt.text)}); !errors.Is(err, fedmsg.ErrInvalid) {
			t.Errorf("With(%s: %s) = %v, %v, want a refusal", tt.name, tt.text, got, err)
		}
	}
}

func TestDraft(t *testing.T) {
	when := time.Date(2026, 1, 1, 0, 0, 0, 999, time.UTC)
	got, err := fedmsg.Draft{
		Topic: "org.fedoraproject.prod.git.receive", Body: json.RawMessage(`{"z": 1.50, "a": "é"}`),
		ID: "2026-1", Time: when, User: `ral"ph`, Counter: 7,
	}.Message()
	want := `{"i":7,"msg":{"a":"\u00e9","z":1.5},"msg_id":"2026-1","timestamp":1767225600,"topic":"org.fedoraproject.prod.git.receive","username":"ral\"ph"}`
	if err != nil || string(got.Bytes()) != want || got.User != `ral"ph` || !bytes.Equal(got.Compact(), got.Bytes()) {
		t.Errorf("Draft.Message()\n = %s, %v\nwant %s", got.Bytes(), err, want)
	}
	for _, body := range []string{"", " ", "null", "false", `""`, "[]", "{}", "0", "0.0", "-0", "-0.0", " null\n"} {
		m, err := fedmsg.Draft{Topic: "a.b", Body: json.RawMessage(body), ID: "1", Time: when}.Message()
		if err != nil || string(m.Body) != "{}" {
			t.Errorf("Draft with body %q: %v, want the body {}", body, err)
		}
	}
}

func TestDraftRefuses(t *testing.T) {
	good := func(change func(*fedmsg.Draft)) fedmsg.Draft {
		d := fedmsg.Draft{Topic: "a.b", Body: json.RawMessage(`{}`), ID: "1", Time: time.Unix(1, 0), Counter: 1}
		change(&d)
		return d
	}
	body := func(text string) fedmsg.Draft {
		return good(func(d *fedmsg.Draft) { d.Body = json.RawMessage(text) })
	}
	tests := []struct {
		name   string
		draft  fedmsg.Draft
		reason fedmsg.Reason
	}{
		{"a body that opens another field", body(`{}, "topic": "evil.topic"`), fedmsg.BadJSON},
		{"a body that ends the message", body(`{}} {`), fedmsg.BadJSON},
		{"a body of two values", body(`{} {}`), fedmsg.BadJSON},
		{"a body that is no JSON", body(`hi`), fedmsg.BadJSON},
		{"a body with a key twice", body(`{"a":1,"a":2}`), fedmsg.DupKey},
		{"a body with NaN", body(`{"a":NaN}`), fedmsg.BadJSON},
		{"a body that is a list", body(`[1]`), fedmsg.BadField},
		{"a body that is a text", body(`"hi"`), fedmsg.BadField},
		{"a body that is too large", body(`{"a":"` + strings.Repeat("a", fedmsg.MaxMessageSize) + `"}`), fedmsg.TooLarge},
		{"a body that grows too large", body(`{"a":"` + strings.Repeat("é", fedmsg.MaxMessageSize/4) + `"}`), fedmsg.TooLarge},
		{"a body as deep as a message", body(strings.Repeat(`{"a":`, fedmsg.MaxDepth-1) + "{}" + strings.Repeat("}", fedmsg.MaxDepth-1)), fedmsg.TooDeep},
		{"no topic", good(func(d *fedmsg.Draft) { d.Topic = "" }), fedmsg.BadTopic},
		{"a topic with quotes", good(func(d *fedmsg.Draft) { d.Topic = `a","x":"` }), fedmsg.BadTopic},
		{"no ID", good(func(d *fedmsg.Draft) { d.ID = "" }), fedmsg.BadField},
		{"an ID with quotes", good(func(d *fedmsg.Draft) { d.ID = `1","x":"` }), fedmsg.BadField},
		{"no time", good(func(d *fedmsg.Draft) { d.Time = time.Time{} }), fedmsg.BadTimestamp},
		{"a negative counter", good(func(d *fedmsg.Draft) { d.Counter = -1 }), fedmsg.BadField},
		{"a long user", good(func(d *fedmsg.Draft) { d.User = strings.Repeat("a", fedmsg.MaxUserLength+1) }), fedmsg.BadField},
		{"a user that is not UTF-8", good(func(d *fedmsg.Draft) { d.User = "\xff" }), ""},
	}
	for _, tt := range tests {
		m, err := tt.draft.Message()
		if tt.reason == "" { // taken or refused, but never sent as it is
			if err == nil && !json.Valid(m.Bytes()) {
				t.Errorf("%s: %q", tt.name, m.Bytes())
			}
			continue
		}
		if fedmsg.ReasonOf(err) != tt.reason {
			t.Errorf("%s: Draft.Message() = %v, %v, want %s", tt.name, m, err, tt.reason)
		}
	}
}

func TestNewID(t *testing.T) {
	form := regexp.MustCompile(`^2026-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	seen := make(map[string]bool)
	for range 10_000 {
		id := fedmsg.NewID(time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC))
		if !form.MatchString(id) || fedmsg.ValidateID(id) != nil || seen[id] {
			t.Fatalf("NewID() = %q, seen before: %v", id, seen[id])
		}
		seen[id] = true
	}
}

func TestDecodeObject(t *testing.T) {
	got, err := fedmsg.DecodeObject([]byte(` {"b" : [1, 2] ,"\u0061":"x"} `))
	if err != nil || fmt.Sprintf("%s", got) != "[{b [1, 2]} {a \"x\"}]" {
		t.Errorf("DecodeObject = %s, %v", got, err)
	}
	for in, want := range map[string]fedmsg.Reason{
		`{"a":1,"\u0061":2}`: fedmsg.DupKey, `[]`: fedmsg.NotObject, `{`: fedmsg.BadJSON, `{"a":NaN}`: fedmsg.BadJSON, "{\"a\":\"\xff\"}": fedmsg.BadUTF8,
	} {
		if got, err := fedmsg.DecodeObject([]byte(in)); fedmsg.ReasonOf(err) != want {
			t.Errorf("DecodeObject(%q) = %v, %v, want %s", in, got, err, want)
		}
	}
	for in, want := range map[string]string{`"a\u00e9\n"`: "aé\n", `""`: "", `1`: "-", `"\ud800"`: "-", `"a" "b"`: "-"} {
		if got, ok := fedmsg.DecodeString([]byte(in)); ok != (want != "-") || ok && got != want {
			t.Errorf("DecodeString(%s) = %q, %v, want %q", in, got, ok, want)
		}
	}
}

// What was taken once is read again quickly, and is the same.
func TestDecodeStored(t *testing.T) {
	for _, text := range []string{
		string(kilobyte(t)),
		edit("msg", `{"a": [1, {"b": "x\"}]{"}], "é": "\u00e9"}`),
		edit("msg", `{"\"}":{"a":[[],{}]}}`),
		edit("extra", `[ "]" ]`),
	} {
		want, err := fedmsg.Decode([]byte(text))
		if err != nil {
			t.Fatalf("Decode(%s): %v", text, err)
		}
		got, err := fedmsg.DecodeStored([]byte(text))
		if err != nil {
			t.Fatalf("DecodeStored(%s): %v", text, err)
		}
		if !bytes.Equal(got.Bytes(), want.Bytes()) || !bytes.Equal(got.Compact(), want.Compact()) || got.ID != want.ID || got.Topic != want.Topic ||
			!got.Time.Equal(want.Time) || got.User != want.User || !bytes.Equal(got.Body, want.Body) || got.Signature != want.Signature || got.Digest() != want.Digest() {
			t.Errorf("DecodeStored(%s) = %+v, want %+v", text, got, want)
		}
	}
}
