package meta_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/meta"
)

// A groupRow is a run of messages, and the lines that a digest has for them.
type groupRow struct {
	ID, Service string
	Originals   []json.RawMessage
	Expected    []map[string]json.RawMessage
	Groups      [][]int // which of the originals are behind each
}

// groupField returns a field by the name that data files have for it.
func groupField(g meta.Group, field string) any {
	switch field {
	case "subtitle":
		return g.Words.Subtitle
	case "link":
		return g.Words.Link
	case "icon":
		return g.Words.Icon
	case "secondary_icon":
		return g.Words.SecondaryIcon
	case "usernames":
		return g.Words.Usernames
	case "packages":
		return g.Words.Packages
	case "topics":
		return g.Topics
	case "categories":
		return g.Categories
	case "start_time":
		return seconds(g.Start)
	case "end_time":
		return seconds(g.End)
	case "timestamp":
		return seconds(g.Mean)
	case "members":
		return g.Members
	}
	return fmt.Errorf("no field %q", field)
}

// seconds is a time as messages have it.
func seconds(t time.Time) float64 {
	return float64(t.Unix()) + float64(t.Nanosecond())/1e9
}

// Many messages become one line: which ones, and what it says. Nobody's nick is
// known here.
func TestCorpusGroups(t *testing.T) {
	services := make(map[string][]groupRow)
	for _, row := range fedmsgtest.Rows[groupRow](t, filepath.Join(fedmsgtest.CorpusDir(t), "conglomerate.jsonl")) {
		services[row.Service] = append(services[row.Service], row)
	}
	for _, service := range slices.Sorted(maps.Keys(services)) {
		t.Run(service, func(t *testing.T) {
			engine := newEngine(t, meta.Config{Accounts: accountsOf(nil)})
			for _, row := range services[service] {
				checkGroupRow(t, engine, &row)
			}
		})
	}
}

func checkGroupRow(t *testing.T, engine *meta.Engine, row *groupRow) {
	var messages []*fedmsg.Message
	for i, raw := range row.Originals {
		m, err := fedmsg.DecodeHistory(raw)
		if err != nil {
			t.Fatalf("%s: original %d: %v", row.ID, i, err)
		}
		messages = append(messages, m)
	}
	found := make(map[string]meta.Group)
	var lists []string
	for _, g := range engine.Group(context.Background(), messages) {
		lists = append(lists, fmt.Sprint(g.Members))
		found[fmt.Sprint(g.Members)] = g
	}
	var want []string
	for _, members := range row.Groups {
		want = append(want, fmt.Sprint(members))
	}
	if !slices.Equal(lists, want) {
		t.Errorf("%s: groups %s, want %s", row.ID, strings.Join(lists, " "), strings.Join(want, " "))
	}
	for i, members := range row.Groups {
		if g, ok := found[fmt.Sprint(members)]; ok {
			checkGroup(t, row, i, g)
		}
	}
}

func checkGroup(t *testing.T, row *groupRow, i int, g meta.Group) {
	expected := row.Expected[i]
	for _, field := range []string{"link", "icon", "secondary_icon", "usernames", "packages", "topics", "categories"} {
		raw, ok := expected[field]
		if !ok {
			continue
		}
		want, got := plain(decodeAny(raw)), plain(groupField(g, field))
		_, deviates := deviations[row.ID][field]
		if (got == want) == deviates {
			t.Errorf("%s %v: %s: got %q, want %q; named a deviation: %t", row.ID, g.Members, field, got, want, deviates)
		}
	}
	for _, field := range []string{"start_time", "end_time", "timestamp"} {
		want, err := strconv.ParseFloat(plain(decodeAny(expected[field])), 64)
		if err != nil {
			t.Fatalf("%s: %s: %v", row.ID, field, err)
		}
		if got := groupField(g, field).(float64); math.Abs(got-want) > 1e-3 {
			t.Errorf("%s %v: %s: got %f, want %f", row.ID, g.Members, field, got, want)
		}
	}
	var members []json.RawMessage
	for _, at := range g.Members {
		members = append(members, row.Originals[at])
	}
	want := plain(decodeAny(expected["subtitle"]))
	misses := append(sentenceMisses(messageValues(members...), want, g.Words.Subtitle), missingCounts(want, g.Words.Subtitle)...)
	if len(misses) > 0 {
		t.Errorf("%s %v: subtitle: %s\n\tgot  %q\n\twant %q", row.ID, g.Members, strings.Join(misses, "; "), g.Words.Subtitle, want)
	}
}

// A rule that is not there, since a service sends what nobody has foreseen, costs
// words. It must not cost the sentence, nor who did it and to what, where a
// message says so in a common way.
func TestCorpusRuleRemoved(t *testing.T) {
	c := readCorpus(t)
	for _, service := range slices.Sorted(maps.Keys(c.services)) {
		t.Run(service, func(t *testing.T) {
			rows := c.services[service]
			messages := make([]*fedmsg.Message, len(rows))
			for i := range rows {
				messages[i] = rows[i].message(t)
			}
			whole := newEngine(t, meta.Config{Accounts: accountsOf(c.accounts)})
			for _, rule := range whole.Rules() {
				if rule.Service != service {
					continue
				}
				engine := whole.Without(service, rule.Index)
				for i := range rows {
					words := engine.Describe(context.Background(), messages[i])
					for _, lost := range lostWords(&rows[i], words) {
						t.Errorf("without the rule for %q (%s:%d): %s %s: %s", rule.Patterns, rule.File, rule.Line, rows[i].ID, rows[i].Topic, lost)
					}
				}
			}
		})
	}
}

// lostWords says what words lack of what a body says in a common way and the row
// expects.
func lostWords(row *corpusRow, words fedmsg.Words) []string {
	var lost []string
	if strings.TrimSpace(words.Title) == "" {
		lost = append(lost, "the title is blank")
	}
	if strings.TrimSpace(words.Subtitle) == "" {
		lost = append(lost, "the subtitle is blank")
	}
	var envelope struct{ Msg json.RawMessage }
	if err := json.Unmarshal(row.Msg, &envelope); err != nil {
		return append(lost, err.Error())
	}
	body, _ := decodeAny(envelope.Msg).(map[string]any)
	if users := row.list("usernames"); len(users) == 1 && isSaid(body, users[0], "agent", "user", "username", "owner") {
		agent, tier := row.want("agent")
		if tier != "skipped" && (tier == "" || plain(agent) == users[0]) && words.Agent != users[0] {
			lost = append(lost, fmt.Sprintf("agent %q, want %q", words.Agent, users[0]))
		}
	}
	if packages := row.list("packages"); len(packages) == 1 && isSaid(body, packages[0], "package", "packages", "package_name", "component") {
		if !slices.Equal(words.Packages, packages) {
			lost = append(lost, fmt.Sprintf("packages %q, want %q", words.Packages, packages))
		}
	}
	return lost
}

// isSaid reports whether one of the keys of a body has a name as its value: as
// text, as an object's name or username, or as the only element of a list of such.
func isSaid(body map[string]any, name string, keys ...string) bool {
	for _, key := range keys {
		value := body[key]
		if list, ok := value.([]any); ok && len(list) == 1 {
			value = list[0]
		}
		if object, ok := value.(map[string]any); ok {
			if object["name"] == name || object["username"] == name {
				return true
			}
		} else if value == name {
			return true
		}
	}
	return false
}
