package generic_test

import (
	"strings"
	"testing"

	"github.com/fedora-infra/fedmsg-go/meta/generic"
	"github.com/fedora-infra/fedmsg-go/meta/template"
)

// Services that nobody wrote rules for. Each sentence is what a reader gets: it
// must be one, and not say what the message does not.
func TestSentenceOfServices(t *testing.T) {
	for _, tt := range []struct{ title, body, want string }{
		// A library.
		{"library.book.lend", `{"book":{"title":"Dune","isbn":"9780441013593"},"borrower":{"name":"alice"},"due":"2026-02-01"}`, "library: book Dune was lent"},
		{"library.book.returned", `{"book":{"title":"Dune"},"user":"alice"}`, "alice returned book Dune (library)"},
		{"library.catalogue.entry.added", `{"entry":"Dune","copies":3}`, "library: catalogue entry Dune was added"},
		// Continuous integration.
		{"builder.pipeline.finished", `{"pipeline":{"id":42,"name":"nightly"},"status":"failed","user":{"username":"alice"}}`, "alice's pipeline nightly finished (builder)"},
		{"builder.job.queued", `{"job":{"id":7,"name":"lint"},"queue":"x86"}`, "builder: job lint was queued"},
		{"builder.run.failed", `{"run":7,"reason":"timeout"}`, "builder: run 7 failed"},
		{"builder.worker.disconnect", `{"worker":"w1"}`, "builder: worker w1 disconnected"},
		// A mirror.
		{"mirror.sync.start", `{"host":"m.example.org","path":"/pub/fedora"}`, "mirror: sync /pub/fedora started"},
		{"mirror.sync.done", `{"host":"m.example.org","bytes":1234}`, "mirror: sync finished: m.example.org"},
		{"mirror.host.unreachable", `{"host":"m.example.org","since":1767225600}`, "mirror: host m.example.org is unreachable"},
		// A wiki.
		{"dokuwiki.page.edit", `{"page":"Start","user":"alice","page_url":"https://wiki.example.org/Start"}`, "alice edited page Start (dokuwiki)"},
		{"dokuwiki.page.moved", `{"from":"Start","to":"Home","user":{"name":"Alice A.","login":"alice"}}`, "alice moved page (dokuwiki): Start"},
		{"dokuwiki.page.revert", `{"title":"Start","editor":"alice","revision":12}`, "alice reverted page Start (dokuwiki)"},
		// A forum.
		{"flarum.discussion.created", `{"discussion":{"title":"How do I install?","id":9,"author":"carol"}}`, "carol created discussion How do I install? (flarum)"},
		{"flarum.post.liked", `{"post":{"id":12,"user":{"username":"bob"}},"user":{"username":"alice"}}`, "alice liked post 12 (flarum)"},
		{"flarum.user.suspended", `{"user":{"username":"mallory"},"moderator":"alice"}`, "alice suspended user mallory (flarum)"},
		// A service that builds packages.
		{"obs.package.build_success", `{"package":"bash","project":"devel","arch":"x86_64"}`, "obs: build of package bash succeeded"},
		{"obs.request.accept", `{"id":15,"author":"alice","state":"accepted"}`, "alice accepted request 15 (obs)"},
		{"obs.rpm.build.tag", `{"nvr":"bash-5.3-1.fc44","tag":"f44-updates","owner":"alice"}`, "alice tagged rpm build bash-5.3-1.fc44 (obs)"},
		// Sensors.
		{"weather.reading", `{"station":"roof","temperature":3.4}`, "weather reading: roof"},
		{"weather.alarm", `{"station":"cellar","level":"high","message":"Water in the cellar"}`, "weather alarm: Water in the cellar"},
		{"weather.battery.low", `{"device":"t-17"}`, "weather: battery is low: t-17"},
		// A bug tracker.
		{"mantis.bug.new", `{"bug":{"id":101,"summary":"It crashes","reporter":"alice"}}`, "alice created bug It crashes (mantis)"},
		{"mantis.bug.comment", `{"bug":{"id":101,"summary":"It crashes","reporter":"alice"},"comment":{"author":{"name":"bob"},"text":"Me too."}}`, "bob commented on bug It crashes (mantis)"},
		{"mantis.bug.state.change", `{"bug":101,"old":"NEW","new":"ASSIGNED","user":"bob"}`, "bob changed state of bug 101 (mantis)"},
		// A tool for releases.
		{"releaser.release.publish", `{"project":"bash","version":"5.3","user":"alice"}`, "alice published release bash 5.3 (releaser)"},
		{"releaser.artifact.upload", `{"file":"bash-5.3.tar.gz","size":123,"agent":"alice"}`, "alice uploaded artifact bash-5.3.tar.gz (releaser)"},
		{"releaser.notes.published", `{"release":{"name":"bash 5.3"}}`, "releaser: notes bash 5.3 were published"},
		// A bot.
		{"bot.karma", `{"agent":"alice","recipient":"bob","total":12}`, "bot karma: bob (alice)"},
		{"bot.message.sent", `{"channel":"#fedora","sender":"alice","text":"hello all"}`, "alice sent message (bot): hello all"},
		{"bot.join", `{"channel":"#fedora","nick":"alice"}`, "alice joined #fedora (bot)"},
		// Accounts.
		{"accounts.user.create", `{"user":"alice"}`, "accounts: user alice was created"},
		{"accounts.user.create", `{"user":"alice","agent":"bob"}`, "bob created user alice (accounts)"},
		{"accounts.group.member.remove", `{"group":"packager","member":"bob","agent":"alice"}`, "alice removed member bob from group packager (accounts)"},
		{"accounts.group.member.added", `{"group":"packager","member":"bob","agent":"alice"}`, "alice added member bob to group packager (accounts)"},
	} {
		if got := guess(tt.title, tt.body, nil).Sentence(); got != tt.want {
			t.Errorf("%s %s:\n\tgot  %q\n\twant %q", tt.title, tt.body, got, tt.want)
		}
	}
}

func TestSentence(t *testing.T) {
	long := strings.Repeat("long ", 20)
	for _, tt := range []struct{ name, title, body, want string }{
		{"a regular verb", "x.item.rename", `{"item":"a","user":"alice"}`, "alice renamed item a (x)"},
		{"a verb in -fy", "x.item.verify", `{"item":"a"}`, "x: item a was verified"},
		{"an irregular verb", "x.item.drop", `{"item":"a","user":"alice"}`, "alice dropped item a (x)"},
		{"a past one nobody could list", "x.item.frobnicated", `{"item":"a","user":"alice"}`, "alice frobnicated item a (x)"},
		{"past, but not in -ed", "x.mail.sent", `{"user":"alice"}`, "alice sent mail (x)"},
		{"no past, but in -ed", "x.feed", `{"user":"alice"}`, "x feed (alice)"},
		{"no past, but in -eed", "x.item.speed", `{"item":"a"}`, "x item speed: a"},
		{"too short", "x.item.shed", `{"item":"a"}`, "x item shed: a"},
		{"a state in the middle", "x.low.water", `{"water":"a"}`, "x low water: a"},
		{"agreed", "x.motion.agreed", `{"motion":"a"}`, "x: motion a was agreed"},
		{"past in the middle", "x.created.item", `{"item":"a","user":"alice"}`, "alice created item a (x)"},
		{"a verb in the middle is a noun", "x.test.result", `{"result":"a"}`, "x test result: a"},
		{"snake case", "x.work_item_deleted", `{"work_item":"a","user":"alice"}`, "alice deleted work item (x): a"},
		{"kebab case", "x.pull-request.closed", `{"pull-request":{"id":5},"user":"alice"}`, "alice closed pull request 5 (x)"},
		{"camel case", "x.ItemDeleted", `{"item":"a","user":"alice"}`, "alice deleted item a (x)"},
		{"capitals", "x.Item.Created", `{"user":"alice"}`, "alice created Item (x)"},

		{"nouns only", "x.item.weather", `{"item":"a","user":"alice"}`, "x item weather: a (alice)"},
		{"no agent", "x.item.create", `{"item":"a"}`, "x: item a was created"},
		{"no agent, many", "x.items.create", `{}`, "x: items were created"},
		{"an s is not always many", "x.status.create", `{}`, "x: status was created"},
		{"named like the agent", "x.create", `{"name":"alice","user":"alice"}`, "alice created something (x)"},
		{"a word of the agent", "x.owner.change", `{"owner":"alice","agent":"alice"}`, "alice changed owner (x)"},
		{"no object", "x.item.create", `{"user":"alice"}`, "alice created item (x)"},
		{"nothing but a verb", "x.create", `{}`, "x: something was created"},
		{"nothing but a verb and who", "x.create", `{"user":"alice"}`, "alice created something (x)"},
		{"one that needs no object", "x.join", `{"user":"alice"}`, "alice joined x"},
		{"one that needs nobody", "x.start", `{}`, "x started"},
		{"a result", "x.failed", `{}`, "x failed"},
		{"a result of somebody's", "x.build.failed", `{"build":5,"user":"alice"}`, "alice's build 5 failed (x)"},
		{"a result of somebody", "x.failed", `{"user":"alice"}`, "x failed"},
		{"no event", "x", `{"user":"alice"}`, "x (alice)"},
		{"no event, a body that is text", "x", `"hello"`, "x: hello"},

		{"a long label", "x.item.create", `{"item":"` + long + `"}`, "x: item " + strings.TrimSpace(long[:60]) + "... was created"},
		{"a label of lines", "x.item.create", `{"item":"a\n  b\t"}`, "x: item a b was created"},
		{"a number", "x.item.create", `{"item":12345678901234567890}`, "x: item 12345678901234567890 was created"},
		{"an object without a name", "x.item.create", `{"item":{"size":1},"name":"a"}`, "x: item a was created"},
		{"a version beside", "x.item.create", `{"item":{"name":"a","version":1.10}}`, "x: item a 1.10 was created"},
		{"a version within", "x.item.create", `{"item":{"name":"a-5","version":5}}`, "x: item a-5 was created"},
		{"the same twice", "x.item.name.create", `{"item":"a","name":"a"}`, "x: name of item a was created"},
		{"what the topic said", "x.rawhide.done", `{"rawhide":"rawhide","name":"rawhide"}`, "x: rawhide finished"},

		{"an empty body", "x.item.weather", `{}`, "x item weather"},
		{"a body that is text", "x.item.create", `"hello"`, "x: item was created: hello"},
		{"a body that is a list", "x.item.create", `["a","b"]`, "x: item was created"},
		{"a body that is a number", "x.item.create", `5`, "x: item was created"},
		{"no body", "x.item.create", ``, "x: item was created"},
		{"secrets", "x.reading", `{"password":"pw","email":"a@example.org","mail":"m","token":"t"}`, "x reading"},
		{"what says nothing", "x.reading", `{"a":"https://example.org","b":"2026-01-01T00:00:00","c":"12","d":"550e8400-e29b-41d4-a716-446655440000","e":"none","f":"roof"}`, "x reading: roof"},
	} {
		if got := guess(tt.title, tt.body, nil).Sentence(); got != tt.want {
			t.Errorf("%s: %s %s:\n\tgot  %q\n\twant %q", tt.name, tt.title, tt.body, got, tt.want)
		}
	}
}

// Topics of fewer than four words have no service: all that they say is themselves.
func TestSentenceWithoutService(t *testing.T) {
	for _, tt := range []struct{ title, body, want string }{
		{".item.created", `{}`, ".item.created"},
		{"hello", `{}`, "hello"},
		{"org.fedoraproject.created", `{"agent":"alice","name":"bash"}`, "org.fedoraproject.created: bash (alice)"},
		{"", `{}`, "message"},
		{" \n", `{"user":"alice"}`, "message (alice)"},
	} {
		g := generic.New(generic.Message{Body: template.ReadJSON([]byte(tt.body)), Title: tt.title, Event: strings.TrimLeft(tt.title, ".")}, nil)
		if got := g.Sentence(); got != tt.want {
			t.Errorf("%q %s: %q, want %q", tt.title, tt.body, got, tt.want)
		}
	}
}
