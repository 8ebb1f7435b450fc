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
	var agents, sources, changed int
	for _, service := range slices.Sorted(maps.Keys(c.services)) {
		t.Run(service, func(t *testing.T) {
			var rows []*removedRow
			for i := range c.services[service] {
				row := c.removedRow(t, &c.services[service][i])
				agents += min(1, len(row.agent))
				sources += min(1, len(row.source))
				rows = append(rows, row)
			}
			for _, rule := range rows[0].whole.Rules() {
				if rule.Service != service {
					continue
				}
				without := make(map[*meta.Engine]*meta.Engine)
				for _, row := range rows {
					if without[row.whole] == nil {
						without[row.whole] = row.whole.Without(service, rule.Index)
					}
					words := without[row.whole].Describe(context.Background(), row.message)
					if words.Subtitle != row.words.Subtitle {
						changed++
					}
					for _, lost := range row.lost(words) {
						t.Errorf("without the rule for %q (%s:%d): %s %s: %s", rule.Patterns, rule.File, rule.Line, row.ID, row.Topic, lost)
					}
				}
			}
		})
	}
	t.Logf("%d sentences were others; %d bodies name the agent, %d the package", changed, agents, sources)
	if !narrow() && (changed < 50 || agents < 50 || sources < 5) {
		t.Error("too few to say anything")
	}
}

// A removedRow is a row, and what words for it must not lack, whatever rule does.
type removedRow struct {
	*corpusRow
	whole         *meta.Engine
	message       *fedmsg.Message
	words         fedmsg.Words // by all rules
	agent, source string       // the only user and package, if the body says them in a common way
}

func (c *corpus) removedRow(t *testing.T, row *corpusRow) *removedRow {
	r := &removedRow{corpusRow: row, whole: c.engine(t, row), message: row.message(t)}
	r.words = r.whole.Describe(context.Background(), r.message)
	body, _ := decodeAny(r.message.Body).(map[string]any)
	if users := row.list("usernames"); len(users) == 1 && isSaid(body, users[0], "agent", "user", "username", "owner") {
		if agent, tier := row.want("agent"); tier != "skipped" && (tier == "" || plain(agent) == users[0]) {
			r.agent = users[0]
		}
	}
	if packages := row.list("packages"); len(packages) == 1 && isSaid(body, packages[0], "package", "packages", "package_name", "component") {
		r.source = packages[0]
	}
	return r
}

func (r *removedRow) lost(words fedmsg.Words) []string {
	var lost []string
	if strings.TrimSpace(words.Title) == "" {
		lost = append(lost, "the title is blank")
	}
	if strings.TrimSpace(words.Subtitle) == "" {
		lost = append(lost, "the subtitle is blank")
	}
	if r.agent != "" && words.Agent != r.agent {
		lost = append(lost, fmt.Sprintf("agent %q, want %q", words.Agent, r.agent))
	}
	if r.source != "" && !slices.Equal(words.Packages, []string{r.source}) {
		lost = append(lost, fmt.Sprintf("packages %q, want %q", words.Packages, r.source))
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
