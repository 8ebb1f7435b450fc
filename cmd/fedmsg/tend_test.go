package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fedora-infra/fedmsg-go/client"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
)

// finds counts what a bus finds by a search line.
func finds(t *testing.T, addrs map[string]string, line string) int {
	t.Helper()
	resp, err := http.Get("http://" + addrs["http"] + "/api/v1/messages?q=" + url.QueryEscape(line))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var page struct{ Messages []json.RawMessage }
	if err := json.NewDecoder(resp.Body).Decode(&page); err != nil || resp.StatusCode != 200 {
		t.Fatalf("%s: %s, %v", line, resp.Status, err)
	}
	return len(page.Messages)
}

// A rule file that is changed while the bus runs, or while it does not, finds old messages;
// others are not looked at.
func TestRulesChange(t *testing.T) {
	dir, rules := t.TempDir(), t.TempDir()
	usernames := func(template string) {
		t.Helper()
		text := "service = \"library\"\nsubtitle = 'a book was lent'\nusernames = ['" + template + "']\n"
		if err := os.WriteFile(filepath.Join(rules, "library.toml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	usernames("{{.reader}}")
	addrs, told, stop := startServeLogged(t, dir, "--rules", rules)
	say(t, addrs, 3) // of another service
	b, err := client.Open(t.Context(), "http://"+addrs["http"])
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for range 5 {
		if _, err := b.Publish(t.Context(), "library", "lent", map[string]string{"reader": "erin", "lender": "frank", "witness": "grace"}); err != nil {
			t.Fatal(err)
		}
	}
	becomes := func(line string, count int) {
		t.Helper()
		fedmsgtest.Eventually(t, 30*time.Second, line+" finds so many; the bus says "+told.String(), func() bool { return finds(t, addrs, line) == count })
	}
	becomes("user:erin", 5)

	usernames("{{.lender}}, formerly")
	becomes(`user:"frank, formerly"`, 5)
	becomes("user:erin", 0)
	looked := metrics(t, addrs, "fedmsg_archive_redescribed_total")
	if stale := metrics(t, addrs, "fedmsg_archive_stale_messages"); looked != "5" || stale != "0" && stale != "1" {
		t.Errorf("it looked at %s messages, want the 5 of the service; %s are left", looked, stale)
	}
	stop()

	usernames("{{.witness}}")
	got := fedmsgWith(t, new(fakeBus), "", nil, "archive", "status", "--dir", dir, "--rules", rules)
	if got.status != 0 || !strings.Contains(got.stdout, "5 messages were found by others") {
		t.Errorf("status of the archive: %+v", got)
	}
	addrs, told, stop = startServeLogged(t, dir, "--rules", rules)
	becomes("user:grace", 5)
	fedmsgtest.Eventually(t, 10*time.Second, "the end is told", func() bool {
		return strings.Contains(told.String(), "finding them anew") && strings.Contains(told.String(), "are found by the rules that are in force")
	})
	stop()
}
