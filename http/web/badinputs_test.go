package web_test

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
)

// Hostile messages of the collection that pages are to bear.
func TestBadInputsPages(t *testing.T) {
	type badCase struct {
		Name  string
		Input struct {
			BusMessage struct{ Msg map[string]json.RawMessage } `json:"bus_message"`
		}
		Must struct {
			Has  string `json:"html_has"`
			Card int    `json:"max_card_chars"`
		}
	}
	site := func(msg map[string]json.RawMessage) (site, string) {
		d := told(t)
		kept := newArchive(d)
		m := newWorld().say(t, "org.fedoraproject.dev.exam.thing", msg, noon, "exam")
		if _, err := kept.Deliver(t.Context(), []fedmsg.Entry{{Message: m, Verified: fedmsg.Unverified}}); err != nil {
			t.Fatal(err)
		}
		return newSite(t, kept, d), m.ID
	}
	cases := 0
	for _, line := range fedmsgtest.Rows[json.RawMessage](t, filepath.Join(fedmsgtest.BadInputDir(t), "http.jsonl")) {
		var name struct{ Name string }
		if err := json.Unmarshal(line, &name); err != nil || !strings.HasPrefix(name.Name, "xss-") && !strings.HasPrefix(name.Name, "ui-") {
			continue
		}
		var c badCase
		if err := json.Unmarshal(line, &c); err != nil || len(c.Input.BusMessage.Msg) == 0 {
			continue // it is of another kind of answer
		}
		cases++
		t.Run(c.Name, func(t *testing.T) {
			harmless := make(map[string]json.RawMessage)
			for key, value := range c.Input.BusMessage.Msg {
				var repeat struct {
					Text string `json:"$repeat"`
					N    int
				}
				if json.Unmarshal(value, &repeat) == nil && repeat.N > 0 {
					c.Input.BusMessage.Msg[key], _ = json.Marshal(strings.Repeat(repeat.Text, repeat.N))
				}
				harmless[key] = json.RawMessage(`"harmless"`)
			}
			s, id := site(c.Input.BusMessage.Msg)
			twin, _ := site(harmless)
			for _, path := range []string{"/", "/history", "/topics", "/status", "/messages/" + id} {
				doc, other := s.get(path), twin.get(path)
				doc.safe(t, path)
				allowed := append(slices.Clone(other.elements), "a", "bdi", "p", "span")
				if i := slices.IndexFunc(doc.elements, func(e string) bool { return !slices.Contains(allowed, e) }); i >= 0 || doc.status != 200 {
					t.Errorf("GET %s = %d, with the element %v", path, doc.status, doc.elements[max(i, 0)])
				}
				for _, say := range regexp.MustCompile(`class="say"[^>]*><bdi>([^<]*)<`).FindAllStringSubmatch(doc.body, -1) {
					if n := utf8.RuneCountInString(say[1]); c.Must.Card > 0 && n > c.Must.Card {
						t.Errorf("GET %s has a row of %d characters", path, n)
					}
				}
				if c.Must.Has != "" && path != "/topics" && path != "/status" && !regexp.MustCompile(c.Must.Has).MatchString(doc.body) {
					t.Errorf("GET %s does not have %s", path, c.Must.Has)
				}
			}
		})
	}
	if cases < 8 {
		t.Errorf("only %d cases are about pages", cases)
	}
}
