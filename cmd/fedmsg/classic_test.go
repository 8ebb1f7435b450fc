package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
)

// captured are the bodies that the original sent under a topic.
func captured(t *testing.T, file string, topic fedmsg.Topic) (bodies []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(fedmsgtest.VectorDir(t), "cli_capture", file))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var frames [2]string
		if err := json.Unmarshal([]byte(line), &frames); err != nil {
			t.Fatal(err)
		}
		if frames[0] != string(topic) {
			continue
		}
		m, err := fedmsg.Decode([]byte(frames[1]))
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, string(m.Body))
	}
	return bodies
}

// What is announced is what the original announced.
func TestVectorsAnnounce(t *testing.T) {
	wants := captured(t, "logger_announce_wire.txt", "org.fedoraproject.dev.announce.announcement")
	calls := []struct {
		args  []string
		stdin string
	}{
		{[]string{"announce", "--link", "https://fedoraproject.org/news"}, "Fedora Core 4 has been declared GOLD\n"},
		{[]string{"announce"}, "two\nlines  \n"},
	}
	if len(wants) != len(calls) {
		t.Fatalf("%d announcements were captured, want %d", len(wants), len(calls))
	}
	for i, c := range calls {
		b := new(fakeBus)
		got := fedmsgWith(t, b, c.stdin, nil, c.args...)
		if want := "announce.announcement " + wants[i]; got.status != 0 || got.stdout+got.stderr != "" || !slices.Equal(b.published, []string{want}) {
			t.Errorf("%q with %q: exit %d, %q, %q, published %q, want %q", c.args, c.stdin, got.status, got.stdout, got.stderr, b.published, want)
		}
	}
}

func TestAnnounceRefuses(t *testing.T) {
	for _, tt := range []struct {
		stdin, want string
		args        []string
		status      int
	}{
		{"b\xffd\n", "bad_utf8", nil, 65},
		{strings.Repeat("x", fedmsg.MaxMessageSize+1), "standard input", nil, 65},
		{strings.Repeat("xxxxxxx\n", fedmsg.MaxMessageSize/8+1), "too_large", nil, 65},
		{"", "arguments", []string{"text"}, 64},
		{"", "--cert and --key", []string{"--cert=x"}, 64},
	} {
		b := new(fakeBus)
		got := fedmsgWith(t, b, tt.stdin, nil, append([]string{"announce"}, tt.args...)...)
		if got.status != tt.status || len(b.published) > 0 || !strings.Contains(got.stderr, tt.want) {
			t.Errorf("announce %q: exit %d, %.200q, published %d, want %d and %q", tt.args, got.status, got.stderr, len(b.published), tt.status, tt.want)
		}
	}
	got := fedmsgWith(t, new(fakeBus), "", nil, "announce", "--print-config")
	if got.status != 0 || !strings.Contains(got.stdout, `"topic_prefix"`) {
		t.Errorf("announce --print-config: exit %d, %q", got.status, got.stdout)
	}
}

// A datagrepper that has four messages, three of them strange.
func datagrepper(t *testing.T) string {
	t.Helper()
	messages := map[string]string{
		"2014-2":  `{"certificate": null, "i": 2, "msg": {"log": "m2"}, "msg_id": "2014-2", "timestamp": 1400000002.0, "topic": "org.fedoraproject.prod.logger.log"}`,
		"short":   `{"topic": "org.fedoraproject.prod", "msg": {}}`,
		"four":    `{"topic": "org.fedoraproject.prod.logger", "msg": {"a": 1}}`,
		"lacking": `{"topic": "org.fedoraproject.prod.logger.log"}`,
		"list":    `[1]`,
		"number":  `{"topic": 7, "msg": {}}`,
		"html":    `<html>`,
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := messages[r.URL.Query().Get("id")]
		if r.URL.Path != "/datagrepper/id" || !ok {
			http.Error(w, "no", http.StatusNotFound)
			return
		}
		_, _ = w.Write([]byte(text)) // a client that left finds out by itself
	}))
	t.Cleanup(s.Close)
	return s.URL + "/datagrepper"
}

func TestVectorsReplayOfMessage(t *testing.T) {
	want := captured(t, "dg_replay_wire.txt", "org.fedoraproject.dev.logger.log")
	if len(want) != 1 {
		t.Fatalf("captured %q", want)
	}
	b := new(fakeBus)
	got := fedmsgWith(t, b, "", nil, "dg-replay", "--msg-id", "2014-2", "--datagrepper-url", datagrepper(t))
	if got != (ran{0, "Retrieving '2014-2'\nBroadcasting '2014-2'\nOK.\n", ""}) || !slices.Equal(b.published, []string{"logger.log " + want[0]}) {
		t.Errorf("dg-replay: %+v, published %q, want %q", got, b.published, want)
	}
}

func TestReplayOfMessage(t *testing.T) {
	url := datagrepper(t)
	for _, tt := range []struct {
		id, url   string
		status    int
		stderr    string
		published []string
	}{
		{"", url, 1, "--msg-id is required", nil},
		{"2014-1", url, 2, `datagrepper request of "2014-1" failed. Status: 404`, nil},
		{"2014-2", url + "/nowhere", 2, "Status: 404", nil},
		{"short", url, 65, "bad_topic", nil},
		{"number", url, 65, "bad_topic", nil},
		{"lacking", url, 65, "missing_field", nil},
		{"list", url, 65, "not_object", nil},
		{"html", url, 65, "bad_json", nil},
		{"four", url, 0, "", []string{`logger. {"a":1}`}},
		{"2014-2", "ftp://x", 64, "--datagrepper-url", nil},
		{"2014-2", "http://127.0.0.1:1", 69, "refused", nil},
	} {
		b := new(fakeBus)
		got := fedmsgWith(t, b, "", nil, "dg-replay", "--msg-id", tt.id, "--datagrepper-url", tt.url)
		if got.status != tt.status || !strings.Contains(got.stderr, tt.stderr) || !slices.Equal(b.published, tt.published) {
			t.Errorf("dg-replay of %q: exit %d, %q, published %q, want %d, %q, %q", tt.id, got.status, got.stderr, b.published, tt.status, tt.stderr, tt.published)
		}
	}
}
