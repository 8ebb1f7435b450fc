package fedmsg_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
)

// A jsonText is a JSON string whose text is kept even where it holds half of a
// surrogate pair, which encoding/json would replace.
type jsonText []byte

func (s *jsonText) UnmarshalJSON(b []byte) error {
	var text strings.Builder
	for i := 1; i < len(b)-1; i++ {
		if b[i] != '\\' {
			text.WriteByte(b[i])
			continue
		}
		if b[i+1] == 'u' {
			var one string
			n := 6
			if i+12 <= len(b) && bytes.HasPrefix(b[i+6:], []byte(`\u`)) && (b[i+2]|0x20) == 'd' && strings.ContainsRune("89abAB", rune(b[i+3])) {
				n = 12
			}
			if err := json.Unmarshal([]byte(`"`+string(b[i:i+n])+`"`), &one); err != nil {
				return err
			}
			if strings.ContainsRune(one, '\uFFFD') {
				return fmt.Errorf("a lone surrogate in the vector file itself: %q", b)
			}
			text.WriteString(one)
			i += n - 1
			continue
		}
		var one string
		if err := json.Unmarshal([]byte(`"`+string(b[i:i+2])+`"`), &one); err != nil {
			return err
		}
		text.WriteString(one)
		i++
	}
	*s = jsonText(text.String())
	return nil
}

func TestVectorsCanonical(t *testing.T) {
	for _, row := range fedmsgtest.Vectors[struct {
		ID      string
		In, Out jsonText
	}](t, "canonical.jsonl") {
		got, err := fedmsg.AppendCanonical(nil, row.In)
		if err != nil || !bytes.Equal(got, row.Out) {
			t.Errorf("%s: AppendCanonical(%.200s)\n = %.200s, %v\nwant %.200s", row.ID, row.In, got, err, row.Out)
		}
	}
}

func TestVectorsCanonicalReject(t *testing.T) {
	for _, row := range fedmsgtest.Vectors[struct {
		In       *string
		InRepeat *struct {
			Text  string
			Times int
		} `json:"in_repeat"`
	}](t, "canonical_reject.jsonl") {
		in := ""
		switch {
		case row.InRepeat != nil:
			in = strings.Repeat(row.InRepeat.Text, row.InRepeat.Times)
		case row.In != nil:
			in = *row.In
		}
		if got, err := fedmsg.AppendCanonical(nil, []byte(in)); err == nil {
			t.Errorf("AppendCanonical(%.80q) = %.80s, want an error", in, got)
		}
	}
}

func TestVectorsRecode(t *testing.T) {
	for _, row := range fedmsgtest.Vectors[struct {
		ID     string
		In     jsonText
		Relay  jsonText `json:"relay_out"`
		Pretty jsonText `json:"pretty_out"`
	}](t, "recode.jsonl") {
		if got, err := fedmsg.AppendRelayed(nil, row.In); err != nil || !bytes.Equal(got, row.Relay) {
			t.Errorf("%s: AppendRelayed(%.200s)\n = %.200s, %v\nwant %.200s", row.ID, row.In, got, err, row.Relay)
		}
		if got, err := fedmsg.AppendPretty(nil, row.In); err != nil || !bytes.Equal(got, row.Pretty) {
			t.Errorf("%s: AppendPretty(%.200s)\n = %.200s, %v\nwant %.200s", row.ID, row.In, got, err, row.Pretty)
		}
	}
}

func TestVectorsTopics(t *testing.T) {
	for i, row := range fedmsgtest.Vectors[struct {
		Prefix      any `json:"topic_prefix"`
		Environment any
		Modname     any
		Topic       any
		Msg         json.RawMessage
		FullTopic   jsonText        `json:"full_topic"`
		Frame0      string          `json:"frame0_hex"`
		BodyMsg     json.RawMessage `json:"body_msg"`
		Raises      string
	}](t, "topics.jsonl") {
		var parts []string
		for _, part := range []any{row.Prefix, row.Environment, row.Modname, row.Topic} {
			if s, ok := part.(string); ok || part == nil && len(parts) == 3 {
				parts = append(parts, s)
			}
		}
		if row.Raises != "" {
			// What raises a TypeError there has no spelling in a typed call here.
			if len(parts) == 4 {
				t.Errorf("row %d raises %s, but all its parts are strings", i+1, row.Raises)
			}
			continue
		}
		if len(parts) != 4 {
			t.Errorf("row %d: a part is not a string", i+1)
			continue
		}
		frame0, err := hex.DecodeString(row.Frame0)
		if err != nil {
			t.Fatal(err)
		}
		topic := fedmsg.JoinTopic(parts[0], parts[1], parts[2], parts[3])
		// encoding/json made U+FFFD of lone surrogates, the original "?".
		if got := strings.ReplaceAll(string(topic), "\uFFFD", "?"); got != string(frame0) {
			t.Errorf("row %d: JoinTopic%q = %q, want %q", i+1, parts, got, frame0)
		}
		m, err := fedmsg.Draft{Topic: topic, Body: row.Msg, ID: "2026-1", Counter: 1, Time: time.Unix(1393878838, 0)}.Message()
		if topic.Validate() != nil {
			if fedmsg.ReasonOf(err) != fedmsg.BadTopic {
				t.Errorf("row %d: Draft with topic %q: %v, want %s", i+1, topic, err, fedmsg.BadTopic)
			}
			continue // listed in docs/deviations.md: the original sends it
		}
		if err != nil {
			if row.BodyMsg[0] != '{' && fedmsg.ReasonOf(err) == fedmsg.BadField {
				continue // listed in docs/deviations.md: a body that is no object
			}
			t.Errorf("row %d: Draft: %v", i+1, err)
			continue
		}
		want, err := fedmsg.AppendCanonical(nil, row.BodyMsg)
		if err != nil || !bytes.Equal(m.Body, want) {
			t.Errorf("row %d: body %s, want %s, %v", i+1, m.Body, want, err)
		}
	}
}
