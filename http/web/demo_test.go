package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/meta"
)

// A world makes messages like those of a distribution at work.
type world struct {
	*rand.Rand
	counter, build int
}

func newWorld() *world { return &world{Rand: rand.New(rand.NewPCG(1, 2)), build: 2_400_000} }

var (
	people   = []string{"ralph", "alice", "bob", "carol", "dmitri", "erika", "farid", "grace", "hiro", "ines", "jonas", "kofi", "lena", "mateo", "nadia", "oskar", "priya", "quinn", "rosa", "sven", "tomas", "ulla", "vera", "wanda", "xenia", "yusuf", "zbigniew"}
	packages = []string{"kernel", "python3.14", "firefox", "rust-serde", "golang", "vim", "bash", "systemd", "glibc", "mesa", "gnome-shell", "NetworkManager", "podman", "curl", "openssl", "texlive", "qemu", "postgresql", "nodejs24", "perl-Moose", "R-ggplot2", "ghc-aeson", "php", "ruby", "kde-connect", "libreoffice"}
	titles   = []string{"Update to the new upstream release", "Fix FTBFS with GCC 16", "Rebuild for new Python", "Drop patch that is upstream", "Backport fix for CVE-2026-1234", "Enable LTO again"}
)

// pick takes one of a list, the first ones more often.
func (w *world) pick(list []string) string {
	return list[min(int(math.Abs(w.NormFloat64())*float64(len(list))/2.2), len(list)-1)]
}

type object = map[string]any

// message makes one of a moment. service is "" for any.
func (w *world) message(t testing.TB, at time.Time, service string) *fedmsg.Message {
	t.Helper()
	w.counter++
	who, pkg := w.pick(people), w.pick(packages)
	version := fmt.Sprintf("%d.%d", 1+w.IntN(9), w.IntN(20))
	nvr := pkg + "-" + version + "-1.fc44"
	if service == "" {
		service = w.service()
	}
	prefix, topic, body := "org.fedoraproject.prod", "", object{}
	switch service {
	case "buildsys":
		w.build++
		topic = "buildsys.build.state.change"
		body = object{"name": pkg, "version": version, "release": "1.fc44", "owner": who, "old": 0, "new": []int{0, 1, 1, 1, 3}[w.IntN(5)], "build_id": w.build, "task_id": w.build * 51, "instance": "primary", "attribute": "state"}
	case "tag":
		topic, service = "buildsys.tag", "buildsys"
		body = object{"name": pkg, "version": version, "release": "1.fc44", "tag": "f44-updates-testing", "tag_id": 501, "build_id": w.build, "user": "bodhi", "owner": who, "instance": "primary"}
	case "git":
		topic = "git.receive"
		rev := fmt.Sprintf("%08x%08x%08x%08x%08x", w.Uint32(), w.Uint32(), w.Uint32(), w.Uint32(), w.Uint32())
		summary := titles[w.IntN(len(titles))]
		body = object{"commit": object{"username": who, "name": who, "email": who + "@example.org", "repo": pkg, "namespace": "rpms", "branch": []string{"rawhide", "f44", "f43"}[w.IntN(3)], "rev": rev, "summary": summary, "message": summary + "\n\nResolves: rhbz#2345678", "stats": object{"files": object{pkg + ".spec": object{"additions": w.IntN(9), "deletions": w.IntN(9), "lines": 9}, "sources": object{"additions": 1, "deletions": 1, "lines": 2}}, "total": object{"files": 2, "lines": 11}}}}
	case "bodhi":
		event := []string{"request.testing", "request.stable", "comment", "complete.stable", "request.testing"}[w.IntN(5)]
		topic = "bodhi.update." + event
		update := object{"alias": fmt.Sprintf("FEDORA-2026-%010x", w.Uint64()>>24), "title": nvr, "builds": []any{object{"nvr": nvr, "type": "rpm"}}, "user": object{"name": who}, "release": object{"name": "F44", "long_name": "Fedora 44"}, "status": "testing", "request": "testing", "karma": w.IntN(4)}
		body = object{"agent": who, "update": update}
		if event == "comment" {
			other := w.pick(people)
			body = object{"agent": other, "comment": object{"author": other, "karma": 1, "text": "Works for me on two laptops, no regressions seen.", "update": update, "user": object{"name": other}}}
		}
	case "fedbadges":
		topic = "fedbadges.badge.award"
		body = object{"badge": object{"name": []string{"Early Bird", "Speak Up!", "Nuancier Voter", "Koji Success III"}[w.IntN(4)], "description": "You did well.", "badge_id": "early-bird"}, "user": object{"username": who, "badges_user_id": 5}}
	case "openqa":
		topic = "openqa.job.done"
		body = object{"id": 4_711_000 + w.counter, "BUILD": "Fedora-44-" + at.Format("20060102") + ".n.0", "TEST": []string{"install_default", "upgrade_desktop", "base_selinux"}[w.IntN(3)], "MACHINE": "64bit", "FLAVOR": "Server-dvd-iso", "ARCH": "x86_64", "ISO": "Fedora-Server-dvd-x86_64-44.iso", "remaining": w.IntN(40), "result": []string{"passed", "passed", "failed"}[w.IntN(3)]}
	case "copr":
		topic = "copr.build.start"
		body = object{"build": 9_000_000 + w.counter, "user": who, "copr": []string{"nightly", "games", "rust-backports"}[w.IntN(3)], "owner": who, "pid": 4242}
	case "anitya":
		prefix, topic = "org.release-monitoring.prod", "anitya.project.version.update"
		project := object{"backend": "GitHub", "homepage": "https://" + pkg + ".example.org", "id": w.IntN(90000), "name": pkg, "version": version}
		body = object{"project": project, "distro": nil, "message": object{"upstream_version": version, "old_version": "1.0", "packages": []any{object{"package_name": pkg, "distro": "Fedora"}}, "project": project}}
	case "discourse":
		topic = "discourse.post.post_created"
		body = object{"webhook_body": object{"post": object{"id": w.counter, "username": who, "name": who, "post_number": 3, "topic_id": 31, "topic_slug": "f44-change", "topic_title": "F44 change proposal: a faster installer", "category_slug": "project"}}, "webhook_headers": object{"X-Discourse-Instance": "https://discussion.fedoraproject.org", "X-Discourse-Event": "post_created"}}
	case "wiki":
		topic = "wiki.article.edit"
		body = object{"title": "Changes/FasterInstaller", "user": who, "minor_edit": 0, "summary": "typo", "url": "https://fedoraproject.org/w/index.php?title=Changes/FasterInstaller"}
	case "meetbot":
		topic = "meetbot.meeting.start"
		body = object{"meeting_topic": "Infrastructure weekly", "attendees": object{who: 4}, "chairs": object{who: true}, "url": "https://meetbot.fedoraproject.org/x", "owner": who, "channel": "#fedora-meeting"}
	case "pungi":
		topic = "pungi.compose.status.change"
		id := "Fedora-Rawhide-" + at.Format("20060102") + ".n.0"
		body = object{"compose_id": id, "location": "https://kojipkgs.fedoraproject.org/compose/rawhide/" + id + "/compose", "status": []string{"STARTED", "FINISHED"}[w.IntN(2)]}
	}
	return w.say(t, prefix+"."+topic, body, at, who)
}

// services are those that speak, the number says how often. koschei has gone quiet.
var services = []struct {
	name string
	n    int
}{{"buildsys", 30}, {"tag", 12}, {"git", 18}, {"bodhi", 14}, {"openqa", 9}, {"fedbadges", 5}, {"copr", 5}, {"anitya", 3}, {"discourse", 2}, {"wiki", 1}, {"meetbot", 1}, {"pungi", 1}}

func (w *world) service() string {
	n := w.IntN(101)
	for _, s := range services {
		if n -= s.n; n < 0 {
			return s.name
		}
	}
	return "buildsys"
}

// say makes a message.
func (w *world) say(t testing.TB, topic string, body any, at time.Time, user string) *fedmsg.Message {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	id := fmt.Sprintf("2026-%08x-%04x-4000-8000-%012x", w.Uint32(), w.Uint32()&0xffff, w.Uint64()>>16)
	m, err := fedmsg.Draft{Topic: fedmsg.Topic(topic), Body: text, ID: id, Time: at, User: user, Counter: w.counter}.Message()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// past makes so many messages from so long ago until now, oldest first: more by day
// than by night, more on working days, and a rebuild of many packages.
func (w *world) past(t testing.TB, n int, long time.Duration, now time.Time) []fedmsg.Entry {
	t.Helper()
	var times []time.Time
	for len(times) < n {
		at := now.Add(-time.Duration(w.Float64() * float64(long)))
		likely := .35 + .65*math.Max(0, math.Sin(float64(at.UTC().Hour()-6)/14*math.Pi))
		if day := at.UTC().Weekday(); day == time.Saturday || day == time.Sunday {
			likely *= .45
		}
		if w.Float64() < likely {
			times = append(times, at)
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	var all []fedmsg.Entry
	for _, at := range times {
		m := w.message(t, at, "")
		all = append(all, fedmsg.Entry{Message: m, At: at.Add(40 * time.Millisecond), Verified: "x509:" + m.User + "-app01.example.org"})
	}
	for i := range all {
		all[i].Seq = fedmsg.Seq(i + 1)
	}
	return all
}

// A learned describer knows what it said of a message: an archive in memory asks for
// each message in each search.
type learned struct {
	fedmsg.Describer
	words *sync.Map // of messages
}

func (l learned) Describe(ctx context.Context, m *fedmsg.Message) fedmsg.Words {
	if w, ok := l.words.Load(m); ok {
		return w.(fedmsg.Words)
	}
	w := l.Describer.Describe(ctx, m)
	l.words.Store(m, w)
	return w
}

// rules are read once for all tests.
var rules = sync.OnceValues(func() (*meta.Engine, error) { return meta.New(meta.Config{}, nil) })

func engine(t testing.TB) fedmsg.Describer {
	t.Helper()
	e, err := rules()
	if err != nil {
		t.Fatal(err)
	}
	return learned{e, new(sync.Map)}
}

// told is [plain] words with those of the engine where a message has none.
func told(t testing.TB) fedmsg.Describer {
	t.Helper()
	return learned{plain{engine(t)}, new(sync.Map)}
}

// plain words take what is in the body's field "say"; for tests of what a describer
// may not clean.
type plain struct{ engine fedmsg.Describer }

func (p plain) Describe(ctx context.Context, m *fedmsg.Message) fedmsg.Words {
	var body struct {
		Say, Link, Agent *string
	}
	if json.Unmarshal(m.Body, &body) != nil || body.Say == nil {
		return p.engine.Describe(ctx, m)
	}
	w := fedmsg.Words{Title: "test", Subtitle: *body.Say, LongForm: *body.Say}
	if body.Link != nil {
		w.Link = *body.Link
	}
	if body.Agent != nil {
		w.Agent, w.Usernames = *body.Agent, []string{*body.Agent}
		w.Packages, w.Objects = w.Usernames, w.Usernames
	}
	return w
}
