package madeup

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/meta"
)

func TestPast(t *testing.T) {
	now := time.Date(2026, 11, 24, 14, 30, 0, 0, time.UTC)
	past := New(1).Past(now, 21)
	if !slices.IsSortedFunc(past, func(a, b Said) int { return a.At.Compare(b.At) }) {
		t.Error("not in order of time")
	}
	if first, last := past[0].At, past[len(past)-1].At; first.Before(now.AddDate(0, 0, -21)) || !last.Before(now) || now.Sub(last) > time.Minute {
		t.Errorf("from %s to %s, want three weeks until %s", first, last, now)
	}
	services, lately := make(map[string]int), make(map[string]int)
	for _, s := range past {
		service, _, _ := strings.Cut(s.Topic, ".")
		services[service]++
		if now.Sub(s.At) < 48*time.Hour {
			lately[service]++
		}
	}
	t.Logf("%d messages: %v", len(past), services)
	if len(past) < 5000 || len(past) > 20000 || len(services) < 15 {
		t.Errorf("%d messages of %d services", len(past), len(services))
	}
	for _, quiet := range []string{"mirrormanager", "nuancier"} {
		if services[quiet] == 0 || lately[quiet] > 0 {
			t.Errorf("%s spoke %d times, and %d times lately; it is to have fallen silent", quiet, services[quiet], lately[quiet])
		}
	}
	if again := New(1).Past(now, 21); len(again) != len(past) || string(again[77].Body) != string(past[77].Body) {
		t.Error("the same seed makes another world")
	}
}

// Everything that is made up has a sentence of its own, by the rules that real
// messages have theirs.
func TestSentences(t *testing.T) {
	engine, err := meta.New(meta.Config{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	w := New(2)
	said := w.Past(time.Date(2026, 11, 24, 14, 30, 0, 0, time.UTC), 21)
	for range 500 {
		said = append(said, w.Next())
	}
	for _, s := range said {
		if seen[s.Topic] {
			continue
		}
		seen[s.Topic] = true
		service, what, _ := strings.Cut(s.Topic, ".")
		m, err := fedmsg.Draft{Topic: fedmsg.JoinTopic("org.fedoraproject", "dev", service, what), Body: s.Body, ID: "2026-1", Time: time.Unix(1764000000, 0)}.Message()
		if err != nil {
			t.Fatal(err)
		}
		words := engine.Describe(context.Background(), m)
		t.Logf("%-34s %s", s.Topic, words.Subtitle)
		if strings.Contains(words.Subtitle, "<no value>") || strings.Contains(words.Subtitle, "{") {
			t.Errorf("%s: %s", s.Topic, words.Subtitle)
		}
	}
}
