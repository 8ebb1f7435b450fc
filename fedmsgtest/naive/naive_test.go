package naive_test

import (
	"bytes"
	"reflect"
	"testing"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest/naive"
)

// A seed is worth something only if it means the same messages and queries again.
func TestRandomIsTheSameAgain(t *testing.T) {
	for seed := range uint64(20) {
		a, b := naive.NewRandom(seed), naive.NewRandom(seed)
		is, was := a.Entries(100), b.Entries(100)
		for i := range is {
			if !bytes.Equal(is[i].Message.Bytes(), was[i].Message.Bytes()) || is[i].Verified != was[i].Verified || is[i].Seq != was[i].Seq {
				t.Fatalf("seed %d: entry %d is %s, and was %s", seed, i, is[i].Message.Bytes(), was[i].Message.Bytes())
			}
		}
		for range 100 {
			if q, was := a.Query(), b.Query(); !reflect.DeepEqual(q, was) {
				t.Fatalf("seed %d: a query is %s, and was %s", seed, naive.Show(q), naive.Show(was))
			}
		}
	}
}

// Queries that find all or nothing tell little.
func TestRandomQueriesPart(t *testing.T) {
	random := naive.NewRandom(1)
	entries := random.Entries(60)
	parted := 0
	for range 300 {
		if n := len(naive.Answer(entries, random.Query())); n > 0 && n < len(entries) {
			parted++
		}
	}
	if parted < 130 {
		t.Errorf("%d of 300 queries find some and not all of 60 messages; want 130 or more", parted)
	}
}

func TestPasses(t *testing.T) {
	m, err := fedmsg.Decode([]byte(`{"topic":"org.fedoraproject.prod.bodhi.update.comment","msg_id":"2026-1","timestamp":1767225600,"headers":{"severity":20},
		"msg":{"update":{"alias":"FEDORA-2026-1","karma":-1},"builds":[{"id":1.0},{"id":[1234567,"x"]}],"a.b":{"c":true},"none":null,
		"text":"Caf\u00e9 cafe\u0301: it's 日本 \u0000nul deadbeefdeadbeef <b>","agent":"ralph"}}`))
	if err != nil {
		t.Fatal(err)
	}
	e := fedmsg.Entry{Verified: "x509:bodhi", Message: m}
	words := fedmsg.Words{Agent: "ralph", Usernames: []string{"kevin", "ralph"}, Packages: []string{"kernel"}}
	for _, tt := range []struct {
		test fedmsg.Test
		want bool
	}{
		{fedmsg.Test{Field: fedmsg.TopicField, Value: "bodhi.update.*"}, true},
		{fedmsg.Test{Field: fedmsg.TopicField, Value: "#.comment"}, true},
		{fedmsg.Test{Field: fedmsg.TopicField, Value: "update.comment"}, false},
		{fedmsg.Test{Field: fedmsg.CategoryField, Value: "bodhi"}, true},
		{fedmsg.Test{Field: fedmsg.UserField, Value: "kevin"}, true},
		{fedmsg.Test{Field: fedmsg.UserField, Value: "Kevin"}, false},
		{fedmsg.Test{Field: fedmsg.AgentField, Value: "kevin"}, false},
		{fedmsg.Test{Field: fedmsg.ObjectField, Value: ""}, false},
		{fedmsg.Test{Field: fedmsg.VerifiedField, Value: "x509"}, true},
		{fedmsg.Test{Field: fedmsg.VerifiedField, Value: "x509:bod"}, false},
		{fedmsg.Test{Field: fedmsg.TextField, Value: "CAFÉ Bodhi b 1234567"}, true},
		{fedmsg.Test{Field: fedmsg.TextField, Value: "cafe"}, false},            // with its mark it is another word
		{fedmsg.Test{Field: fedmsg.TextField, Value: "deadbeefdeadbeef"}, true}, // no word: nothing is asked for
		{fedmsg.Test{Field: fedmsg.TextField, Value: "alias"}, false},           // a key
		{fedmsg.Test{Field: fedmsg.TextField, Relation: fedmsg.Phrase, Value: "本 日 nul"}, false},
		{fedmsg.Test{Field: fedmsg.TextField, Relation: fedmsg.Phrase, Value: "日 本nul-deadbeefdeadbeef b"}, true},
		{fedmsg.Test{Field: fedmsg.TextField, Relation: fedmsg.Phrase, Value: "!"}, false},
		{fedmsg.Test{Field: fedmsg.BodyField, Path: "builds.id", Value: "1.0"}, true},
		{fedmsg.Test{Field: fedmsg.BodyField, Path: "builds.id", Value: "1"}, false},
		{fedmsg.Test{Field: fedmsg.BodyField, Path: "builds.id", Relation: fedmsg.AtMost, Value: "1"}, true},
		{fedmsg.Test{Field: fedmsg.BodyField, Path: "builds.1.id.1", Value: "x"}, true},
		{fedmsg.Test{Field: fedmsg.BodyField, Path: "builds.2.id", Value: "x"}, false},
		{fedmsg.Test{Field: fedmsg.BodyField, Path: "a.b.c", Value: "true"}, true},
		{fedmsg.Test{Field: fedmsg.BodyField, Path: "none", Relation: fedmsg.AtLeast, Value: ""}, false},
		{fedmsg.Test{Field: fedmsg.BodyField, Path: "update", Relation: fedmsg.AtLeast, Value: ""}, false},
		{fedmsg.Test{Field: fedmsg.HeaderField, Path: "severity", Relation: fedmsg.More, Value: "9"}, true},
		{fedmsg.Test{Field: fedmsg.IDField, Value: "2026-1"}, true},
	} {
		for _, f := range []fedmsg.Filter{
			{Op: fedmsg.Has, Test: tt.test},
			{Op: fedmsg.Any, Of: []fedmsg.Filter{{Op: fedmsg.Any}, {Op: fedmsg.Has, Test: tt.test}}},
			{Op: fedmsg.Not, Of: []fedmsg.Filter{{Op: fedmsg.Not, Of: []fedmsg.Filter{{Op: fedmsg.Has, Test: tt.test}}}}},
			{Of: []fedmsg.Filter{{Op: fedmsg.All}, {Op: fedmsg.Has, Test: tt.test}}},
		} {
			if got := naive.Passes(f, e, words); got != tt.want {
				t.Errorf("Passes(%s) = %v, want %v", naive.Show(fedmsg.Query{Filter: f}), got, tt.want)
			}
		}
	}
}
