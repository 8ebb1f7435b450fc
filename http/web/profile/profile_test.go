package profile_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http/web/profile"
	"github.com/fedora-infra/fedmsg-go/query"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// A tally counts what it is told to.
type tally map[fedmsg.Field]map[string]int64

func (c tally) Count(_ context.Context, _ fedmsg.Query, by fedmsg.Grouping) (counts fedmsg.Counts, err error) {
	for name, n := range c[by.Field] {
		counts.Rows = append(counts.Rows, fedmsg.Count{Value: name, N: n})
	}
	slices.SortFunc(counts.Rows, func(a, b fedmsg.Count) int { return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Value, b.Value)) })
	return counts, nil
}

func (tally) Terms(context.Context, fedmsg.Field, string, int) ([]fedmsg.Term, error) {
	return nil, nil
}

// some are services, or people, who say little.
func some(what string, n int, each int64, others map[string]int64) map[string]int64 {
	all := map[string]int64{"": 500}
	for i := range n {
		all[fmt.Sprintf("%s%d", what, i)] = each
	}
	maps.Copy(all, others)
	return all
}

func TestProfiles(t *testing.T) {
	tests := []struct {
		name  string
		count tally
		want  map[string]string
	}{
		{"a bus of no distribution", tally{fedmsg.CategoryField: some("service", 10, 10, map[string]int64{"telemetry": 900}), fedmsg.AgentField: some("person", 30, 10, map[string]int64{"ci bot": 400, "service3": 1})},
			map[string]string{"everything": "", "quiet": "-category:telemetry", "people": `-agent:"","ci bot",service3`}},
		{"nobody is loud", tally{fedmsg.CategoryField: some("service", 10, 10, nil), fedmsg.AgentField: some("person", 3, 10, nil)},
			map[string]string{"everything": "", "people": `-agent:""`}},
		{"one that builds", tally{fedmsg.CategoryField: some("service", 3, 10, map[string]int64{"buildsys": 10})},
			map[string]string{"everything": "", "people": `-agent:""`, "packages": "category:buildsys"}},
		{"an empty bus", tally{}, map[string]string{"everything": "", "people": `-agent:""`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := &profile.Maker{Counter: tt.count, Now: func() time.Time { return noon }}
			got, err := m.Profiles(t.Context())
			if err != nil || len(got) != len(tt.want) || got[0].Line != "" {
				t.Errorf("the profiles are %v, %v, want %v", got, err, tt.want)
			}
			for _, p := range got {
				want, ok := tt.want[p.ID]
				if _, err := query.Parse(p.Line, noon); !ok || p.Line != want || err != nil {
					t.Errorf("profile %s is %q, %v, want %q", p.ID, p.Line, err, want)
				}
			}
		})
	}
}

func TestSwitch(t *testing.T) {
	everything, quiet, people := profile.Profile{ID: "everything"}, profile.Profile{ID: "quiet", Line: "-category:copr"}, profile.Profile{ID: "people", Line: `-agent:"",packit`}
	all := []profile.Profile{everything, quiet, people}
	tests := []struct {
		line string
		to   profile.Profile
		want string
	}{
		{"", quiet, "-category:copr"},
		{"-category:copr", people, `-agent:"",packit`},
		{"user:ralph -category:copr after:2d", people, `user:ralph after:2d -agent:"",packit`},
		{"user:ralph -category:copr", everything, "user:ralph"},
		{"-category:copr", everything, ""},
		{"-category:copr", quiet, "-category:copr"},
		{"a OR b", quiet, "(a OR b) -category:copr"},
		{"user:ralph (", quiet, "-category:copr"},
	}
	for _, tt := range tests {
		got := profile.Switch(tt.line, tt.to, all, noon)
		if got != tt.want || tt.to.Line != "" && !tt.to.In(got, noon) {
			t.Errorf("Switch(%q, %s) = %q, want %q", tt.line, tt.to.ID, got, tt.want)
		}
	}
	if everything.In("", noon) || quiet.In("-category:copr,git", noon) || quiet.In("category:copr", noon) {
		t.Error("a line has a profile that it has not")
	}
}
