package meta_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/meta"
)

const (
	maxFieldSize = 64 << 10 // bytes
	maxDescribe  = 2 * time.Second
)

// unfit says what of the words is not fit to be printed, whatever they say.
func unfit(w fedmsg.Words) []string {
	var wrong []string
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	for _, field := range append(slices.Concat(exactFields, sentenceFields), "") {
		var texts []string
		switch value := wordsField(w, field).(type) {
		case string:
			texts = []string{value}
			if blank := strings.TrimSpace(value) == ""; blank && (field == "title" || field == "subtitle") {
				say("the %s is blank", field)
			}
		case []string:
			texts = value
			if !slices.IsSorted(value) || len(slices.Compact(slices.Clone(value))) != len(value) {
				say("%s: %q is not sorted and unique", field, value)
			}
			if slices.Contains(value, "") {
				say("%s: %q has an empty element", field, value)
			}
		case map[string]string:
			texts = slices.Concat(slices.Collect(maps.Keys(value)), slices.Collect(maps.Values(value)))
		}
		size := 0
		for _, text := range texts {
			size += len(text)
			if !utf8.ValidString(text) {
				say("%s: %q is not UTF-8", field, text)
			}
			if at := strings.IndexFunc(text, func(r rune) bool { return isUnprintable(r, field == "long_form") }); at >= 0 {
				say("%s: %q has a control character at byte %d", field, text, at)
			}
		}
		if _, isText := wordsField(w, field).(string); size > maxFieldSize && (isText || size > fedmsg.MaxMessageSize) {
			say("%s has %d bytes", field, size)
		}
	}
	return wrong
}

// isUnprintable reports whether r moves the cursor, ends a line, or turns the
// direction of what follows.
func isUnprintable(r rune, paragraphs bool) bool {
	switch {
	case paragraphs && (r == '\n' || r == '\t'):
		return false
	case unicode.IsControl(r), r == '\u2028', r == '\u2029':
		return true
	}
	return unicode.Is(unicode.Bidi_Control, r)
}

func TestUnfit(t *testing.T) {
	good := fedmsg.Words{Title: "a.b", Subtitle: "größe", LongForm: "a\n\tb", Packages: []string{"a", "b"}}
	if wrong := unfit(good); wrong != nil {
		t.Errorf("unfit: %q", wrong)
	}
	for name, spoil := range map[string]func(w *fedmsg.Words){
		"blank title":    func(w *fedmsg.Words) { w.Title = " " },
		"blank subtitle": func(w *fedmsg.Words) { w.Subtitle = "" },
		"newline":        func(w *fedmsg.Words) { w.Link = "a\nb" },
		"bidi":           func(w *fedmsg.Words) { w.LongForm = "a\u202eb" },
		"not UTF-8":      func(w *fedmsg.Words) { w.Agent = "a\xff" },
		"doubled":        func(w *fedmsg.Words) { w.Objects = []string{"a", "a"} },
		"not sorted":     func(w *fedmsg.Words) { w.Usernames = []string{"b", "a"} },
		"empty element":  func(w *fedmsg.Words) { w.Packages = []string{"", "a"} },
		"large":          func(w *fedmsg.Words) { w.Link = strings.Repeat("x", maxFieldSize+1) },
	} {
		w := good
		spoil(&w)
		if len(unfit(w)) != 1 {
			t.Errorf("%s: unfit: %q, want one finding", name, unfit(w))
		}
	}
}

// prefixes are those that real services have.
var prefixes = []string{"org.fedoraproject.prod", "io.pagure.prod", "org.release-monitoring.prod", "org.centos.prod"}

// fuzzServices returns the services that have rules, and one that has none.
func fuzzServices(engine *meta.Engine) []string {
	services := []string{"unheard-of"}
	for _, rule := range engine.Rules() {
		services = append(services, rule.Service)
	}
	slices.Sort(services)
	return slices.Compact(services)
}

// A body may be anything: what is said about it is short, in time, and fit to be
// printed.
func FuzzDescribe(f *testing.F) {
	engine := newEngine(f, meta.Config{Accounts: accountsOf(nil)})
	services := fuzzServices(engine)
	seedExamples(f, services)
	f.Add(byte(0), "a.b", []byte(`{"user": {"name": "alice\u202e\u0000\ud800"}, "package": ["\n", 1e400, null, {}]}`))
	f.Add(byte(0), "", []byte(`{"agent": "`+strings.Repeat("a", 100_000)+`", "packages": [`+strings.Repeat(`"b",`, 10_000)+`"c"]}`))
	f.Add(byte(0), "\x00..\u202e", []byte(strings.Repeat(`{"a":`, 1000)+"1"+strings.Repeat("}", 1000)))
	f.Fuzz(func(t *testing.T, which byte, event string, body []byte) {
		topic := prefixes[int(which)/len(services)%len(prefixes)] + "." + services[int(which)%len(services)]
		if event != "" {
			topic += "." + event
		}
		text := []byte(`{"topic":` + compactJSON(topic) + `,"msg_id":"2026-1","timestamp":1767225600,"username":"alice","msg":`)
		m, err := fedmsg.DecodeHistory(append(append(text, body...), '}'))
		if err != nil || string(m.Topic) != strings.ToValidUTF8(topic, "\uFFFD") {
			t.Skip("no body")
		}
		start := time.Now()
		words := engine.Describe(context.Background(), m)
		groups := engine.Group(context.Background(), []*fedmsg.Message{m, m})
		if took := time.Since(start); took > maxDescribe {
			t.Errorf("%s: took %s, at most %s", topic, took, maxDescribe)
		}
		for _, wrong := range unfit(words) {
			t.Errorf("%s: %s", topic, wrong)
		}
		for _, g := range groups {
			line := g.Words
			line.Title = words.Title // a group of several has none
			for _, wrong := range unfit(line) {
				t.Errorf("%s: as a group: %s", topic, wrong)
			}
		}
	})
}

// seedExamples adds the messages of the examples, each under its own service.
func seedExamples(f *testing.F, services []string) {
	f.Helper()
	for _, m := range exampleMessages(f) {
		words := strings.SplitN(string(m.Topic), ".", 5)
		if len(words) < 5 {
			continue
		}
		service := slices.Index(services, words[3])
		prefix := max(0, slices.Index(prefixes, strings.Join(words[:3], ".")))
		if which := prefix*len(services) + service; service >= 0 && which < 256 {
			f.Add(byte(which), words[4], []byte(m.Body))
		}
	}
}
