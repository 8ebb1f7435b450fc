package template_test

import (
	"crypto/md5"
	"crypto/sha256"
	"fmt"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/fedora-infra/fedmsg-go/meta/template"
)

func TestLogicHelpers(t *testing.T) {
	checkHelpers(t, []row{
		{`or .nope .empty .zero .text`, `"Some text"`},
		{`or .nope .empty`, `""`}, // no hole: an empty text can be printed
		{`or .empty .nope`, `""`},
		{`or .nope`, `(missing)`},
		{`or .no .none .nothing`, `{}`},
		{`or .spelled "x"`, `1.10`},
		{`and .yes .one .text`, `"Some text"`},
		{`and .yes .zero .text`, `0`},
		{`and .yes .nope .text`, `(missing)`},
		{`not .nope`, `true`},
		{`not .zero`, `true`},
		{`not .tiny`, `true`}, // no float64 is nearer to it than 0
		{`not .huge`, `false`},
		{`not .minus`, `false`},
		{`not .none`, `true`},
		{`not "false"`, `false`}, // a text

		{`eq .one 1.0`, `true`},
		{`eq .one "1"`, `true`}, // as spelled
		{`eq .spelled "1.1"`, `false`},
		{`eq .spelled 1.1`, `true`},
		{`eq .zero -0`, `true`},
		{`eq .long 12345678901234567890`, `true`},
		{`eq .long 12345678901234567891`, `false`}, // the same float64
		{`eq .long 12345678901234567890.0`, `true`},
		{`eq .huge .huge`, `true`},
		{`eq .huge 2`, `false`},
		{`eq .text "a" "Some text"`, `true`},
		{`eq .text "some text"`, `false`},
		{`eq .yes true`, `true`},
		{`eq .no false`, `true`},
		{`eq .nope .text`, `false`},
		{`eq .nope ""`, `false`},
		{`eq .nope .null`, `true`},
		{`eq .list .list`, `true`},
		{`eq .list (list "a" "b" "c")`, `true`},
		{`eq .list "[\"a\",\"b\",\"c\"]"`, `false`}, // its JSON is not the list
		{`eq .none .nothing`, `false`},
		{`ne .one 2`, `true`},
		{`ne .nope .null`, `false`},
		{`ne .nope "x"`, `true`},

		{`lt .two 10`, `true`},
		{`lt "2" "10"`, `true`}, // texts that are numbers, too
		{`lt "b" "10"`, `false`},
		{`lt "abc" "abd"`, `true`},
		{`le .two 2.0`, `true`},
		{`gt .two .minus`, `true`},
		{`ge .two 2`, `true`},
		{`lt .long 12345678901234567891`, `true`},
		{`lt "-12345678901234567891" "-12345678901234567890"`, `true`},
		{`gt .huge 2`, `true`},
		{`lt .nope 1`, `(missing)`},
		{`lt 1 .nope`, `(missing)`},

		{`has . "user" "name"`, `true`},
		{`has . "user" "nope"`, `false`},
		{`has . "null"`, `false`},
		{`has . "empty"`, `true`},
		{`has .list 2`, `true`},
		{`has .list 3`, `false`},
		{`has .nope "x"`, `false`},
		{`kind .text`, `"text"`}, {`kind .one`, `"number"`}, {`kind .no`, `"bool"`},
		{`kind .none`, `"list"`}, {`kind .nothing`, `"object"`}, {`kind .null`, `""`}, {`kind .nope`, `""`},
	})
}

func TestListHelpers(t *testing.T) {
	checkHelpers(t, []row{
		{`get . "user" "e-mail"`, `"alice@example.org"`},
		{`get .user "deep" "er" 0 -1`, `2`},
		{`get .list 0`, `"a"`}, {`get .list -1`, `"c"`}, {`get .list 3`, `(missing)`}, {`get .list -4`, `(missing)`},
		{`get .list "x"`, `(missing)`},
		{`get .list 12345678901234567890`, `(missing)`}, {`get .list "-12345678901234567890"`, `(missing)`},
		{`get .text 0`, `(missing)`}, {`get .nope "a"`, `(missing)`}, {`get . .nope`, `(missing)`},
		{`first .list`, `"a"`}, {`first .none`, `(missing)`}, {`first .text`, `(missing)`}, {`first .nope`, `(missing)`},
		{`last .list`, `"c"`}, {`last .none`, `(missing)`}, {`last .user`, `(missing)`},
		{`at .list 1`, `"b"`}, {`at .list -3`, `"a"`}, {`at .list 9`, `(missing)`}, {`at .list "b"`, `(missing)`},
		{`slice .list 1`, `["b","c"]`}, {`slice .list 0 2`, `["a","b"]`}, {`slice .list -2`, `["b","c"]`},
		{`slice .list 0 -1`, `["a","b"]`}, {`slice .list 2 1`, `[]`}, {`slice .list 5 9`, `[]`}, {`slice .list -9 9`, `["a","b","c"]`},
		{`slice .text 0`, `[]`}, {`slice .nope 0`, `(missing)`},
		{`len .list`, `3`}, {`len .umlaut`, `13`}, {`len .nope`, `0`}, {`len .null`, `0`}, {`len .user`, `3`}, {`len .long`, `0`},
		{`keys .user`, `["name","e-mail","deep"]`}, {`keys .list`, `[]`}, {`keys .nothing`, `[]`}, {`keys .nope`, `(missing)`},
		{`values (get .user "deep")`, `[[[1,2],[3]]]`}, {`values .nope`, `(missing)`},
		{`items (first .items)`, `[{"key": "n","value": "foo"},{"key": "s","value": 1}]`}, {`items .list`, `[]`},
		{`pluck .items "n"`, `["foo","bar","baz"]`}, {`pluck .items "s"`, `[1,2,1.0,"1"]`}, {`pluck .text "n"`, `[]`}, {`pluck .nope "n"`, `(missing)`},
		{`pluck (list .user) "deep" "er" 1 0`, `[3]`},
		{`pluck (where .items "s" 1) "n"`, `["foo","baz"]`}, {`len (where .items "s" 1)`, `3`}, {`where .items "n" "nobody"`, `[]`},
		{`len (where .items "n" .nope)`, `1`}, // both missing
		{`list .one .nope .text .null`, `[1,"Some text"]`}, {`list`, `[]`}, {`list .list`, `[["a","b","c"]]`},
		{`concat .list .nope "d" .numbers`, `["a","b","c","d",3,10,2,10]`}, {`concat .nope`, `[]`}, {`concat .mixed`, `["x",1,{"k": "v"},"y",true]`},
		{`unique .numbers`, `[3,10,2]`}, {`unique (list 1 "1" 1.0)`, `[1,1.0]`}, {`unique .text`, `[]`},
		{`sort .numbers`, `[10,10,2,3]`}, {`sort (list "b" "a" "ä" "B")`, `["B","a","b","ä"]`}, {`sort .nope`, `(missing)`},
		{`reverse .list`, `["c","b","a"]`}, {`reverse .none`, `[]`},
		{`concat .list (reverse .list)`, `["a","b","c","c","b","a"]`}, // nothing is turned in place
		{`without .list "b" .nope`, `["a","c"]`}, {`without .list (list "a" "c") "x"`, `["b"]`}, {`without .nope "x"`, `(missing)`},
		{`intersect .list (list "c" "x" "a")`, `["a","c"]`}, {`intersect .list .nope`, `[]`}, {`intersect .list "a"`, `["a"]`},
		{`join .list ", "`, `"a, b, c"`}, {`join .numbers ""`, `"310210"`}, {`join .none ","`, `""`}, {`join .nope ","`, `(missing)`},
		{`series .list`, `"a, b, and c"`}, {`series (slice .list 1)`, `"b and c"`}, {`series (list "a")`, `"a"`}, {`series .none`, `(missing)`},
		{`series .numbers`, `"3, 10, and 2 others"`}, {`series .numbers 4`, `"3, 10, 2, and 10"`}, {`series .list 2`, `"a, and 2 others"`},
		{`series .numbers -5`, `"3, and 3 others"`}, {`series .text`, `"Some text"`}, {`series .nope`, `(missing)`},
		{`contains .list "b"`, `true`}, {`contains .list "B"`, `false`}, {`contains .numbers "10"`, `true`}, {`contains .user "name"`, `true`},
		{`contains .user "alice"`, `false`}, {`contains .text "text"`, `true`}, {`contains .text .nope`, `false`}, {`contains .nope "x"`, `(missing)`},
	})
}

func TestTextHelpers(t *testing.T) {
	checkHelpers(t, []row{
		{`lower "ÄB"`, `"äb"`}, {`upper "äb"`, `"ÄB"`}, {`lower .yes`, `"true"`}, {`lower .nope`, `(missing)`},
		{`capitalize "élan VITAL"`, `"Élan vital"`}, {`capitalize ""`, `""`}, {`upperFirst "élan VITAL"`, `"Élan VITAL"`}, {`upperFirst ""`, `""`},
		{`trim " \t a b \n"`, `"a b"`}, {`trimChars "--a-b--" "-"`, `"a-b"`}, {`trimChars "ßaß" "ß"`, `"a"`},
		{`trimPrefix "foo-bar" "foo-"`, `"bar"`}, {`trimPrefix "foo" "x"`, `"foo"`}, {`trimSuffix "a.git" ".git"`, `"a"`}, {`trimSuffix .text .nope`, `"Some text"`},
		{`replace "a.b.c" "." "/"`, `"a/b/c"`}, {`replace "abc" "" "x"`, `"abc"`}, {`replace .nope "a" "b"`, `(missing)`}, {`replace "aa" "a" .nope`, `""`},
		{`hasPrefix .text "Some"`, `true`}, {`hasPrefix .text ""`, `true`}, {`hasPrefix .text .nope`, `false`}, {`hasPrefix .nope "a"`, `(missing)`},
		{`hasSuffix .text "text"`, `true`}, {`hasSuffix .text "Some"`, `false`}, {`hasSuffix .text .nope`, `false`},
		{`part "a:b:c" ":" 1`, `"b"`}, {`part "a:b:c" ":" -1`, `"c"`}, {`part "a:b:c" ":" 3`, `(missing)`}, {`part "abc" ":" 0`, `"abc"`}, {`part .nope ":" 0`, `(missing)`},
		{`before "a.b.c" "."`, `"a"`}, {`after "a.b.c" "."`, `"b.c"`}, {`beforeLast "a.b.c" "."`, `"a.b"`}, {`afterLast "a.b.c" "."`, `"c"`},
		{`before "abc" "."`, `(missing)`}, {`after "abc" "."`, `(missing)`}, {`beforeLast "abc" "."`, `(missing)`}, {`afterLast "abc" "."`, `(missing)`},
		{`after "größe: 1" "ße: "`, `"1"`}, {`before .nope "."`, `(missing)`},
		{`prefix .umlaut 4`, `"Größ"`}, {`prefix .umlaut 99`, `"Größe ¼ 日本語 🎩"`}, {`prefix .umlaut 0`, `""`}, {`prefix .umlaut -2`, `"Größe ¼ 日本語"`}, {`prefix .nope 1`, `(missing)`},
		{`suffix .umlaut 1`, `"🎩"`}, {`suffix .umlaut 99`, `"Größe ¼ 日本語 🎩"`}, {`suffix .umlaut 0`, `""`},
		{`truncate .umlaut 3`, `"Grö..."`}, {`truncate .umlaut 13`, `"Größe ¼ 日本語 🎩"`}, {`truncate .umlaut 12 "…"`, `"Größe ¼ 日本語 …"`}, {`truncate .text -1`, `"Some text"`},
		{`split "a,b,,c" ","`, `["a","b","","c"]`}, {`split "äb" ""`, `["ä","b"]`}, {`split "" ","`, `[""]`}, {`split .nope ","`, `(missing)`},
		{`fields "  a\tb\n c "`, `["a","b","c"]`}, {`fields ""`, `[]`}, {`splitAny "a, b;;c" ", ;"`, `["a","b","c"]`}, {`splitAny "abc" ""`, `["abc"]`},
		{`lines .lines`, `["one","two","","four"]`}, {`lines "x"`, `["x"]`},
		{"match .text `t.x`", `"tex"`}, {"match .text `S(o)m`", `"o"`}, {"match .text `x(y)?t`", `""`}, {"match .text `q+`", `(missing)`}, {"match .nope `q`", `(missing)`},
		{"matches \"a1 b22\" `[0-9]+`", `["1","22"]`}, {"matches \"a=1 b=2\" `(\\w)=\\d`", `["a","b"]`}, {"matches .text `q`", `[]`}, {"matches .nope `q`", `(missing)`},
		{`digits "0123"`, `true`}, {`digits ""`, `false`}, {`digits "-1"`, `false`}, {`digits "٣"`, `false`}, {`digits .long`, `true`},
		{`pad 7 3`, `"007"`}, {`pad 1234 3`, `"1234"`}, {`pad 7 .nope`, `"7"`}, {`len (pad 7 1000000000000)`, `64`}, {`pad .nope 3`, `(missing)`}, {`pad 7 -1`, `"7"`},
		{`quote "a\"\\\n\u0001ä"`, `"` + `"a\"\\\n\u0001ä"` + `"`},
		{`print .one "-" .yes .list`, `"1-true["a","b","c"]"`}, {`print .one .nope`, `(missing)`}, {`print .nope`, `(missing)`},
		{`json (first .items)`, "\"{\n    \"n\": \"foo\",\n    \"s\": 1\n}\""}, {`json .none`, `"[]"`}, {`json .spelled`, `"1.10"`}, {`json .nope`, `(missing)`},
		{`plural .one "thing" "things"`, `"thing"`}, {`plural .zero "thing" "things"`, `"things"`}, {`plural "1" "thing" "things"`, `"thing"`},
		{`plural .text "thing" "things"`, `"things"`}, {`plural .nope "thing" "things"`, `(missing)`},
		{`urlquery "a b&ü/"`, `"a+b%26%C3%BC%2F"`}, {`urlpath "a b/c?"`, `"a%20b%2Fc%3F"`},
		{`query "a" 1 "b c" "d&e" "x" .nope`, `"a=1&b+c=d%26e"`}, {`query "a" .nope`, `""`}, {`query "a" 1 "odd"`, `"a=1"`},
		{`mentions "@alice and (@bob-x), mail@example.org @"`, `["alice","bob-x"]`}, {`mentions .nope`, `(missing)`},
		{`urls "see https://example.org/a?b=c, or <http://example.org/>. ftp://example.org"`, `["https://example.org/a?b=c","http://example.org/"]`},
		{`sha256 "abc"`, `"` + fmt.Sprintf("%x", sha256.Sum256([]byte("abc"))) + `"`},
	})
}

func TestNumberHelpers(t *testing.T) {
	checkHelpers(t, []row{
		{`add .one 2`, `3`}, {`add "4" " 5 "`, `9`}, {`add .half 1`, `1`}, {`add .text 1`, `(missing)`}, {`add .nope 1`, `(missing)`}, {`add 1 .nope`, `(missing)`},
		{`add 9223372036854775807 1`, `(missing)`}, {`add -9223372036854775808 -1`, `(missing)`}, {`add .one 0`, `1`}, {`add .huge 1`, `(missing)`}, {`add .long 1`, `(missing)`},
		{`sub 1 3`, `-2`}, {`sub -9223372036854775808 1`, `(missing)`}, {`sub 5 -5`, `10`}, {`sub 5 0`, `5`},
		{`mul .minus 4`, `-12`}, {`mul 4611686018427387904 2`, `(missing)`}, {`mul -1 -9223372036854775808`, `(missing)`}, {`mul 0 5`, `0`},
		{`div 7 2`, `3`}, {`div -7 2`, `-3`}, {`div 7 0`, `(missing)`}, {`div -9223372036854775808 -1`, `(missing)`},
		{`sum .numbers`, `25`}, {`sum .none`, `0`}, {`sum .mixed`, `1`}, {`sum .nope`, `(missing)`}, {`sum (list 9223372036854775807 1)`, `(missing)`},
		{`int "12"`, `12`}, {`int 3.9`, `3`}, {`int -3.9`, `-3`}, {`int "x"`, `(missing)`}, {`int "nan"`, `(missing)`}, {`int .huge`, `(missing)`}, {`int .yes`, `(missing)`}, {`int .list`, `(missing)`},

		{`until 1767229199`, `"in 59 minutes"`}, {`until 1767225600`, `"just now"`}, {`until .nope`, `(missing)`}, {`until "tomorrow"`, `(missing)`},
		{`ago "2025-12-29T00:00:00Z"`, `"3 days ago"`}, {`ago "2025-12-31T22:59:00"`, `"1 hour ago"`}, {`ago 1767225580.5`, `"19 seconds ago"`}, {`ago .list`, `(missing)`},
		{`ago "2025-11-20"`, `"1 month ago"`}, {`ago "2020-01-01"`, `"6 years ago"`}, {`until "Thu, 01 Jan 2026 00:01:30 +0000"`, `"in 1 minute"`},
		{`date 1767225600 "2006-01-02 15:04"`, `"2026-01-01 00:00"`}, {`date "2026-01-01 03:00:00.5+02:00" "15:04"`, `"01:00"`}, {`date "2026-01-01 03:00:00.5+02:00" "15:04 -07:00" "own"`, `"03:00 +02:00"`}, {`date 1767225600 "15:04Z07:00" "own"`, `"00:00Z"`}, {`date "2026-07-01T12:00:00Z" "15:04" "Europe/Prague"`, `"14:00"`}, {`date .huge "2006"`, `(missing)`}, {`date "nan" "2006"`, `(missing)`},
		{`epoch "2026-01-01"`, `"1767225600"`}, {`epoch -1`, `"-1"`}, {`epoch ""`, `(missing)`}, {`epoch 1767225600.9`, `"1767225600"`},
	})
}

func TestPeopleHelpers(t *testing.T) {
	const base, query = "https://seccdn.libravatar.org/avatar/", "?s=64&d=retro"
	picture := fmt.Sprintf(`"%s%x%s"`, base, sha256.Sum256([]byte("http://alice.id.example.org/")), query)
	checkHelpers(t, []row{
		{`avatar "alice"`, picture}, {`avatar .user.name`, picture}, {`avatar .nope`, `(missing)`},
		{`avatar "bodhi"`, `"https://apps.fedoraproject.org/img/icons/bodhi-64.png"`},
		{`avatarEmail "a@example.org"`, fmt.Sprintf(`"%s%x%s"`, base, md5.Sum([]byte("a@example.org")), query)},
		{`account "carol@example.org"`, `"carol"`}, {`account "bob|away"`, `"bob"`}, {`account "x@example.com"`, `"x@example.com"`}, {`account .nope`, `(missing)`},
		{`isAccount "alice"`, `true`}, {`isAccount "a@example.org"`, `false`}, {`isAccount ""`, `false`}, {`isAccount .nope`, `(missing)`},
		{`mailAddress "Alice A. <alice@example.org>"`, `"alice@example.org"`}, {`mailAddress "alice@example.org"`, `"alice@example.org"`}, {`mailAddress "A.B [x] <alice@example.org"`, `"alice@example.org"`},
		{`mailName "\"Alice, A.\" <alice@example.org>"`, `"Alice, A."`}, {`mailName "alice"`, `""`}, {`mailName "A.B [x] <alice@example.org"`, `"A.B [x]"`}, {`mailName .nope`, `(missing)`},
		{`nvr .build`, `"bash-completion"`}, {`nvr "bash-5"`, `(missing)`}, {`nvr "-1-2"`, `(missing)`}, {`nvr ""`, `(missing)`}, {`nvr .nope`, `(missing)`},
		{`nvrs "a-1-2, b-c-1-2\n x"`, `["a","b-c"]`}, {`nvrs (list .build "x" 1)`, `["bash-completion"]`}, {`nvrs .one`, `[]`}, {`nvrs .nope`, `(missing)`},
	})
}

func TestWorldHelpers(t *testing.T) {
	checkHelpers(t, []row{
		{`lookup "state" .one`, `"finished"`}, {`lookup "state" "0"`, `"started"`}, {`lookup "state" .yes`, `"yes"`}, {`lookup "state" 7`, `(missing)`},
		{`lookup "state" 7 "changed"`, `"changed"`}, {`lookup "state" .nope "changed"`, `"changed"`}, {`lookup "state" .nope`, `(missing)`}, {`lookup "state" 1.0`, `(missing)`},
		{`setting "namespace" "rpms"`, `"modules"`}, {`setting "color" "red"`, `"red"`}, {`setting "color" .nope`, `(missing)`},
		{`fetch "https://example.org/"`, `"hello"`}, {`fetch "https://example.org/nope"`, `(missing)`}, {`fetch .nope`, `(missing)`},
		{`fetchJSON "https://example.org/json"`, `{"a": [1.50]}`}, {`fetchJSON "https://example.org/html"`, `(missing)`}, {`fetchJSON .nope`, `(missing)`},
	})
}

// Each helper stands in a table above, and in the reference with a group and a
// usage that begins with its name.
func TestAllHelpersTested(t *testing.T) {
	src, err := os.ReadFile("calls_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var used []string
	for _, m := range regexp.MustCompile("{[`\"](?:\\w+ \\(|len \\()?(\\w+)").FindAllSubmatch(src, -1) {
		used = append(used, string(m[1]))
	}
	references := template.References()
	for _, ref := range references {
		if !slices.Contains(used, ref.Name) {
			t.Errorf("no test of %s", ref.Name)
		}
		if !regexp.MustCompile(`^`+ref.Name+`\b`).MatchString(ref.Usage) || ref.Group == "" {
			t.Errorf("reference of %s: group %q, usage %q", ref.Name, ref.Group, ref.Usage)
		}
	}
	if len(references) < 70 {
		t.Errorf("%d helpers in the reference", len(references))
	}
}
