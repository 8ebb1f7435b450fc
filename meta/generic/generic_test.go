package generic_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/fedora-infra/fedmsg-go/meta/generic"
	"github.com/fedora-infra/fedmsg-go/meta/template"
)

// guess looks at a message by its title: the topic from the service on.
func guess(title, body string, schema *generic.Schema) *generic.Guess {
	service, event, _ := strings.Cut(title, ".")
	return generic.New(generic.Message{Body: template.ReadJSON([]byte(body)), Title: title, Service: service, Event: event}, schema)
}

// Who did it stands in many places, and what stands there is not always somebody.
func TestAgent(t *testing.T) {
	for _, tt := range []struct{ name, body, want string }{
		{"text", `{"agent":"alice"}`, "alice"},
		{"object with a name", `{"user":{"name":"alice","id":7}}`, "alice"},
		{"object with a username", `{"user":{"id":7,"username":"alice"}}`, "alice"},
		{"object with a login", `{"sender":{"login":"alice"}}`, "alice"},
		{"the account before the name", `{"user":{"name":"Alice","username":"alice"}}`, "alice"},
		{"a full name is none", `{"user":{"name":"Alice Archer","nick":"alice"}}`, "alice"},
		{"in an object", `{"comment":{"author":"alice","text":"hi"}}`, "alice"},
		{"in an object, an object", `{"update":{"user":{"name":"alice"}}}`, "alice"},
		{"not two objects deep", `{"a":{"b":{"user":"alice"}}}`, ""},
		{"the body before objects in it", `{"update":{"user":"bob"},"agent":"alice"}`, "alice"},
		{"the agent before the owner", `{"owner":"bob","agent":"alice"}`, "alice"},
		{"what nobody could list", `{"title":"x","escalated_by":"alice"}`, "alice"},
		{"known keys before it", `{"approved_by":"bob","user":"alice"}`, "alice"},
		{"beside empty ones", `{"agent":null,"user":"","owner":"alice"}`, "alice"},

		{"a sentence", `{"author":"Alice and Bob"}`, ""},
		{"a sentence, then one", `{"agent":"a cron job","user":"alice"}`, "alice"},
		{"a number", `{"user":42}`, ""},
		{"a number as text", `{"user":"42"}`, ""},
		{"a list", `{"user":["alice"]}`, ""},
		{"true", `{"user":true}`, ""},
		{"a path", `{"owner":"/usr/bin/cron"}`, ""},
		{"an address", `{"user":"https://example.org/alice"}`, ""},
		{"a mail address", `{"author":"alice@example.org"}`, ""},
		{"Python's None", `{"user":"None"}`, ""},
		{"very long", `{"user":"` + strings.Repeat("a", 65) + `"}`, ""},
		{"an object of none", `{"user":{"name":42,"login":["alice"]}}`, ""},
		{"an empty object", `{"user":{}}`, ""},
		{"an empty body", `{}`, ""},
		{"no object", `["alice"]`, ""},
		{"text", `"alice"`, ""},
		{"nothing", ``, ""},
	} {
		if got := guess("some.event", tt.body, nil).Agent; got != tt.want {
			t.Errorf("%s: %s: agent %q, want %q", tt.name, tt.body, got, tt.want)
		}
	}
}

// The event says which of several did it.
func TestAgentByEvent(t *testing.T) {
	for _, tt := range []struct{ title, body, want string }{
		{"mantis.bug.comment", `{"bug":{"reporter":"bob"},"comment":{"author":"alice"}}`, "alice"},
		{"mantis.bug.new", `{"comment":{"author":"alice"},"bug":{"reporter":"bob"}}`, "bob"},
		{"flarum.user.suspended", `{"user":"mallory","moderator":"alice"}`, "alice"},
		{"flarum.user.suspended", `{"user":"mallory","suspended_by":"alice"}`, "alice"},
		{"flarum.user.suspended", `{"user":"mallory"}`, "mallory"},
	} {
		if got := guess(tt.title, tt.body, nil).Agent; got != tt.want {
			t.Errorf("%s %s: agent %q, want %q", tt.title, tt.body, got, tt.want)
		}
	}
}

func TestPackages(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		want       []string
	}{
		{"text", `{"package":"bash"}`, []string{"bash"}},
		{"another key", `{"package_name":"bash"}`, []string{"bash"}},
		{"object", `{"package":{"name":"bash","id":1}}`, []string{"bash"}},
		{"object of a package", `{"package_listing":{"package":{"name":"bash"}}}`, []string{"bash"}},
		{"list", `{"packages":["bash","zsh"]}`, []string{"bash", "zsh"}},
		{"list of objects", `{"packages":[{"name":"bash"},{"package":"zsh"},{"id":3}]}`, []string{"bash", "zsh"}},
		{"several keys", `{"package":"bash","packages":["zsh"]}`, []string{"bash", "zsh"}},
		{"in an object", `{"update":{"component":"bash"}}`, []string{"bash"}},
		{"the body before objects in it", `{"a":{"package":"zsh"},"package":"bash"}`, []string{"bash"}},
		{"with its namespace", `{"package":"rpms/bash"}`, []string{"bash"}},
		{"build", `{"nvr":"python-foo-1.2~rc1-3.fc44"}`, []string{"python-foo"}},
		{"builds", `{"builds":["bash-5.3-1.fc44",{"nvr":"zsh-5.9-2.fc44"}]}`, []string{"bash", "zsh"}},
		{"package before build", `{"nvr":"bash-5.3-1.fc44","package":"bash"}`, []string{"bash"}},

		{"no build", `{"build":"my-nightly-run","nvr":"bash"}`, nil},
		{"the number of a build", `{"build":42}`, nil},
		{"sentence", `{"package":"the whole lot"}`, nil},
		{"another namespace", `{"package":"container/bash"}`, nil},
		{"number", `{"packages":42}`, nil},
		{"number in a list", `{"packages":[42,"bash",null,""]}`, []string{"bash"}},
		{"list in a list", `{"packages":[["bash"]]}`, nil},
		{"object without a name", `{"package":{"id":1}}`, nil},
		{"empty", `{"package":"","packages":[]}`, nil},
		{"no object", `["bash"]`, nil},
	} {
		if got := template.Strings(guess("some.event", tt.body, nil).Packages); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %s: packages %q, want %q", tt.name, tt.body, got, tt.want)
		}
	}
}

func TestLink(t *testing.T) {
	for _, tt := range []struct{ name, body, want string }{
		{"url", `{"url":"https://example.org/1"}`, "https://example.org/1"},
		{"http", `{"link":"http://example.org/1"}`, "http://example.org/1"},
		{"for people before for programs", `{"url":"https://api.example.org/1","html_url":"https://example.org/1"}`, "https://example.org/1"},
		{"in an object", `{"issue":{"full_url":"https://example.org/1"}}`, "https://example.org/1"},
		{"what the event is about", `{"repo":{"url":"https://example.org/r"},"event":{"url":"https://example.org/e"}}`, "https://example.org/e"},
		{"people last", `{"user":{"url":"https://example.org/alice"},"build":{"url":"https://example.org/b"}}`, "https://example.org/b"},
		{"any key", `{"title":"x","minutes":"https://example.org/m"}`, "https://example.org/m"},
		{"no picture", `{"avatar_url":"https://example.org/a.png","site":"https://example.org/"}`, "https://example.org/"},

		{"another scheme", `{"url":"ftp://example.org/1"}`, ""},
		{"a script", `{"url":"javascript:alert(1)"}`, ""},
		{"a file", `{"url":"file:///etc/passwd"}`, ""},
		{"an empty one, then one", `{"url":"","href":"https://example.org/1"}`, "https://example.org/1"},
		{"a sentence", `{"url":"https://example.org/ is the place"}`, ""},
		{"a list", `{"url":["https://example.org/1"]}`, ""},
		{"an object", `{"url":{"a":"https://example.org/1"}}`, ""},
		{"no object", `"https://example.org/1"`, ""},
	} {
		if got := guess("some.event", tt.body, nil).Link(); got != tt.want {
			t.Errorf("%s: %s: link %q, want %q", tt.name, tt.body, got, tt.want)
		}
	}
}
