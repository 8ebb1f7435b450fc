// Package fedmsgtest is one test suite per interface of package fedmsg, and
// what tests of many rooms need: messages, inputs, peers, and watches with bounds.
// A room that claims to be a log calls [TestLog] from a test of its own, and so
// on: the suites are the contracts, in a form that can fail.
package fedmsgtest

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// began is the time of message number 0.
var began = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// said are the kinds of messages that Message makes in turn: a topic, the user,
// and a body in which %d is the number.
var said = []struct{ topic, user, body string }{
	{"org.fedoraproject.prod.bodhi.update.comment", "bodhi",
		`{"comment":{"author":"ralph","karma":1,"text":"Works for me, %d times.","update_title":"kernel-6.%[1]d.0-1.fc44"},"agent":"ralph"}`},
	{"org.fedoraproject.prod.git.receive", "apache",
		`{"commit":{"agent":"puiterwijk","branch":"rawhide","email":"puiterwijk@example.org","message":"Rebuild %d","rev":"%040[1]x","repo":"fedmsg","stats":{"files":{},"total":{"additions":%[1]d,"deletions":0,"files":1,"lines":%[1]d}}}}`},
	{"org.fedoraproject.prod.buildsys.build.state.change", "koji",
		`{"attribute":"state","build_id":%d,"instance":"primary","name":"rubygem-sinatra","new":1,"old":0,"owner":"vondruch","release":"1.fc44","version":"4.1.%[1]d"}`},
	{"org.fedoraproject.stg.fas.user.update", "fas",
		`{"agent":"admin","fields":["email","ssh_key"],"user":"toshio%d"}`},
	{"org.fedoraproject.prod.wiki.article.edit", "wiki",
		`{"minor_edit":false,"page_url":"https://fedoraproject.org/w/index.php?title=Test_Day_%d","title":"Test Day","user":"Jean-\u00c9ric"}`},
	{"org.fedoraproject.prod.logger.log", "root", `{"log":"hello %d"}`},
}

// Message makes message number i: always the same one for the same i, with an
// ID of its own, unsigned, valid in every way, and of the kinds that Fedora's
// services sent. Topics repeat every six messages; the time moves on by one
// second each.
func Message(i int) *fedmsg.Message {
	kind := said[i%len(said)]
	body := fmt.Sprintf(kind.body, i)
	return draft(fedmsg.Draft{Topic: fedmsg.Topic(kind.topic), Body: json.RawMessage(body), ID: ID(i),
		Time: began.Add(time.Duration(i) * time.Second), User: kind.user, Counter: i + 1})
}

// ID is the ID of message number i, in the form of [fedmsg.NewID].
func ID(i int) string {
	u := sha256.Sum256([]byte("fedmsgtest " + strconv.Itoa(i)))
	u[6] = u[6]&0x0F | 0x40
	u[8] = u[8]&0x3F | 0x80
	return fmt.Sprintf("2026-%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:16])
}

// MessageOf makes message number i with another topic and body.
func MessageOf(i int, topic fedmsg.Topic, body string) *fedmsg.Message {
	return draft(fedmsg.Draft{Topic: topic, Body: json.RawMessage(body), ID: ID(i),
		Time: began.Add(time.Duration(i) * time.Second), User: "tester", Counter: i + 1})
}

// MessageSized makes message number i with a text in its body that brings it to
// size bytes; the shortest has about 250.
func MessageSized(i, size int) *fedmsg.Message {
	const topic = "org.fedoraproject.prod.logger.log"
	bare := MessageOf(i, topic, `{"log":""}`)
	text := strings.Repeat("All work and no play makes a dull bus. ", 1+size/39)
	return MessageOf(i, topic, `{"log":"`+text[:max(0, size-len(bare.Bytes()))]+`"}`)
}

// draft makes a message of what this package wrote itself.
func draft(d fedmsg.Draft) *fedmsg.Message {
	m, err := d.Message()
	if err != nil {
		panic(fmt.Sprintf("fedmsgtest: message %s: %v", d.ID, err)) // the caller's topic or body is wrong
	}
	return m
}
