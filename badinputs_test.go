package fedmsg_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// A badInput is a line of badinputs/zmq.jsonl, as far as decoding goes.
type badInput struct {
	Name  string
	Input struct {
		Frames  [][]byte `json:"frames_b64"`
		Gzipped []string `json:"frames_gz_b64"`
	}
	Must struct{ Outcome, Reason, Field string }
}

func (b badInput) body(t *testing.T) []byte {
	t.Helper()
	if len(b.Input.Gzipped) == 2 {
		zipped, err := base64.StdEncoding.DecodeString(b.Input.Gzipped[1])
		if err != nil {
			t.Fatal(err)
		}
		unzip, err := gzip.NewReader(bytes.NewReader(zipped))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(unzip)
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	if len(b.Input.Frames) == 2 {
		return b.Input.Frames[1]
	}
	return nil
}

// What must be refused for its second frame alone is refused by Decode, with the
// reason wanted; what must be refused later, or taken, Decode takes.
func TestBadInputsDecode(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(cmp.Or(os.Getenv("FEDMSG_BADINPUTS"), "../shared/badinputs"), "zmq.jsonl"))
	if err != nil {
		t.Skipf("no bad inputs: set FEDMSG_BADINPUTS to their folder: %v", err)
	}
	cases := 0
	for line := range bytes.Lines(text) {
		var c badInput
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		body := c.body(t)
		if body == nil {
			continue
		}
		cases++
		want := fedmsg.Reason("")
		switch reason := fedmsg.Reason(c.Must.Reason); reason {
		case fedmsg.BadUTF8, fedmsg.BadJSON, fedmsg.DupKey, fedmsg.TooDeep, fedmsg.TooLarge, fedmsg.NotObject,
			fedmsg.MissingField, fedmsg.BadField, fedmsg.BadTimestamp, fedmsg.BadTopic:
			want = reason
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
