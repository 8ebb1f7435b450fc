package fedmsg_test

import (
	"errors"
	"testing"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
)

// What must be refused for its second frame alone is refused by Decode, with the
// reason wanted; what must be refused later, or taken, Decode takes.
func TestBadInputsDecode(t *testing.T) {
	cases := 0
	for _, c := range fedmsgtest.ZMQCases(t) {
		if len(c.Input.Frames) != 2 {
			continue
		}
		body := c.Input.Frames[1]
		cases++
		want := fedmsg.Reason("")
		switch c.Must.Reason {
		case fedmsg.BadUTF8, fedmsg.BadJSON, fedmsg.DupKey, fedmsg.TooDeep, fedmsg.TooLarge, fedmsg.NotObject,
			fedmsg.MissingField, fedmsg.BadField, fedmsg.BadTimestamp, fedmsg.BadTopic:
			want = c.Must.Reason
		}
		switch c.Name {
		case "topic-frame-not-utf8":
			want = "" // that is the first frame
		case "json-100k-keys":
			want = fedmsg.MissingField // unsigned as well, but that is not for Decode to say
		}
		m, err := fedmsg.Decode(body)
		refusal, _ := errors.AsType[*fedmsg.Refusal](err)
		if fedmsg.ReasonOf(err) != want || (err == nil) != (want == "") || c.Must.Field != "" && (refusal == nil || refusal.Field != c.Must.Field) {
			t.Errorf("%s: Decode = %v, %v, want %s %s", c.Name, m, err, want, c.Must.Field)
			continue
		}
		if err == nil {
			checkMessage(t, body, m)
		}
	}
	if cases < 100 {
		t.Errorf("only %d cases in zmq.jsonl", cases)
	}
}
