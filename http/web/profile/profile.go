// Package profile names searches that spare people what is loud: services that say more
// than others together, and programs. What is loud is found by counting, so that it is
// true of any bus; a profile is a search line and nothing else, which one can see, change
// and keep.
package profile

import (
	"context"
	"slices"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http/web/figure"
	"github.com/fedora-infra/fedmsg-go/http/web/say"
	"github.com/fedora-infra/fedmsg-go/query"
)

// A Profile is a search with a name.
type Profile struct {
	ID   string // in what a browser remembers
	Name string
	Line string // "" lets everything pass
}

const (
	// countDays is over how long it is counted who is loud.
	countDays = 28
	// life is how long profiles are kept: whoever turns pages sees the same ones.
	life = 10 * time.Minute
	// loudTimes its even share of all messages makes a service loud.
	loudTimes = 3
	// busyShare of what all do together, and busyTimes the even share, no person does.
	busyShare, busyTimes = .1, 3
	// maxNames is how many services or programs a profile names, maxValues how many are
	// looked at.
	maxNames, maxValues = 12, 200
)

// A Maker finds profiles by what a counter counts.
type Maker struct {
	Counter fedmsg.Counter
	Now     func() time.Time

	kept figure.Kept[[]Profile]
}

// Profiles returns the profiles of this bus; the first one, which is always there, lets everything pass. Those
// that would be the same are left out.
func (m *Maker) Profiles(ctx context.Context) ([]Profile, error) {
	now := m.Now()
	return m.kept.Get(now, life, func() ([]Profile, error) {
		since := fedmsg.Query{Since: now.AddDate(0, 0, -countDays)}
		services, err := m.Counter.Count(ctx, since, fedmsg.Grouping{Field: fedmsg.CategoryField, Limit: maxValues})
		if err != nil {
			return nil, err
		}
		agents, err := m.Counter.Count(ctx, since, fedmsg.Grouping{Field: fedmsg.AgentField, Limit: maxValues})
		if err != nil {
			return nil, err
		}
		list := []Profile{{ID: "everything", Name: "everything"}}
		add := func(id, name, sign string, f fedmsg.Field, values []string) {
			if line := condition(f, values); line != "" {
				list = append(list, Profile{id, name, sign + line})
			}
		}
		add("quiet", "without the noise", "-", fedmsg.CategoryField, loud(named(services)))
		add("people", "people only", "-", fedmsg.AgentField, append([]string{""}, programs(named(agents), named(services))...))
		add("packages", "builds and updates", "", fedmsg.CategoryField, building(named(services)))
		return list, nil
	})
}

// named are the counts of what has a name.
func named(counts fedmsg.Counts) []fedmsg.Count {
	return slices.DeleteFunc(slices.Clone(counts.Rows), func(c fedmsg.Count) bool { return c.Value == "" })
}

func total(counts []fedmsg.Count) (n int64) {
	for _, c := range counts {
		n += c.N
	}
	return n
}

// loud are the services with far more messages than they would have if all had as many.
func loud(services []fedmsg.Count) []string {
	var names []string
	all := total(services)
	for _, c := range services {
		if c.N*int64(len(services)) > loudTimes*all {
			names = append(names, c.Value)
		}
	}
	return names
}

// programs are the agents that are no people: they have the name of a service, or do
// more than a person can.
func programs(agents, services []fedmsg.Count) []string {
	var names []string
	all := total(agents)
	for _, c := range agents {
		isService := slices.ContainsFunc(services, func(s fedmsg.Count) bool { return s.Value == c.Value })
		isBusy := float64(c.N) > busyShare*float64(all) && c.N*int64(len(agents)) > busyTimes*all
		if isService || isBusy {
			names = append(names, c.Value)
		}
	}
	return names
}

// building are the services that build packages and bring them to people.
func building(services []fedmsg.Count) []string {
	var names []string
	for _, c := range services {
		if about := say.About(c.Value); about == "builds" || about == "updates" {
			names = append(names, c.Value)
		}
	}
	return names
}

// condition asks for any of some values; "" if there are none.
func condition(f fedmsg.Field, values []string) string {
	line := ""
	for _, v := range values[:min(len(values), maxNames)] {
		term := say.FieldTerm(f, v)
		if term == "" {
			continue // it cannot be asked for
		}
		if line == "" {
			line = term
		} else {
			line += "," + term[strings.IndexByte(term, ':')+1:]
		}
	}
	return line
}

// In reports whether a line asks for all that the profile does.
func (p Profile) In(line string, now time.Time) bool {
	chips, err := query.Chips(line, now)
	return err == nil && p.Line != "" && slices.ContainsFunc(chips, func(c query.Chip) bool { return c.Text == p.Line })
}

// Switch is a line with one profile instead of all others.
func Switch(line string, to Profile, all []Profile, now time.Time) string {
	chips, err := query.Chips(line, now)
	if err != nil {
		return to.Line
	}
	var rest []string
	for _, c := range chips {
		if !slices.ContainsFunc(all, func(p Profile) bool { return p.Line == c.Text }) {
			rest = append(rest, c.Text)
		}
	}
	line = strings.Join(rest, " ")
	if to.Line == "" {
		return line
	}
	return say.And(line, to.Line, now)
}
