package meta

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/meta/template"
)

// A group says which messages become one line, and how it reads.
type group struct {
	line          int
	patterns      []fedmsg.Pattern
	when          *template.Template
	by            []*template.Template
	overlap       *template.Template
	subtitle      *template.Template
	link          *template.Template
	secondaryIcon *template.Template
	collect       map[string]*template.Template
}

func (b *builder) group(i int, doc groupDocument) {
	key := fmt.Sprintf("group.%d.", i)
	g := &group{line: b.lines.at(strings.TrimSuffix(key, ".")), collect: make(map[string]*template.Template)}
	var ok bool
	if g.patterns, ok = b.patterns(key+"topic", doc.Topic); !ok {
		return
	}
	if (len(doc.By) == 0) == (doc.Overlap == "") {
		b.p.problem(g.line, "a group needs either by, what is equal in all its members, or overlap")
		return
	}
	if doc.Subtitle == "" {
		b.p.problem(g.line, "a group needs a subtitle")
		return
	}
	ok = true
	compile := func(name, src string) *template.Template {
		if src == "" {
			return nil
		}
		t, good := b.template(key+name, src)
		ok = ok && good
		return t
	}
	g.when = compile("when", doc.When)
	for n, src := range doc.By {
		g.by = append(g.by, compile(fmt.Sprintf("by.%d", n), src))
	}
	g.overlap, g.subtitle = compile("overlap", doc.Overlap), compile("subtitle", doc.Subtitle)
	g.link, g.secondaryIcon = compile("link", doc.Link), compile("secondary_icon", doc.SecondaryIcon)
	for _, name := range slices.Sorted(maps.Keys(doc.Collect)) {
		g.collect[name] = compile("collect."+name, doc.Collect[name])
	}
	if ok {
		b.p.groups = append(b.p.groups, g)
	}
}

// Group is one line of a digest: one message, or several that belong together.
type Group struct {
	// Members are places in the messages that were given, in their order.
	Members []int
	// Words are those of all members together. In the words of several, Title,
	// LongForm, Agent, Objects, Emails and Avatars stay empty.
	Words fedmsg.Words
	// Start, End and Mean are the first, the last and the mean time of the members.
	Start, End, Mean time.Time
	// Age is how long ago the mean time is, in words.
	Age        string
	Topics     []string // sorted, as Categories
	Categories []string // the fourth words of the topics
	// Each are the words of each member.
	Each []fedmsg.Words
	// File and Line are where a rule file says how to word it; 0 for a single message.
	File string
	Line int
	// Why says why it is not worded so, if the sentence failed.
	Why string
}

// A member is a message on its way into a group.
type member struct {
	*description
	words fedmsg.Words
	taken bool
}

// Group makes one line of messages that belong together. Groups stand where their
// first member stood. A message that nothing else goes with is a group of its own.
//
// As in fedmsg, a group takes what matches its first member, and kinds of groups
// are tried in the order of the rule file.
func (e *Engine) Group(ctx context.Context, messages []*fedmsg.Message) []Group {
	all := make([]*member, len(messages))
	for i, m := range messages {
		all[i] = &member{description: e.newDescription(ctx, m)}
		all[i].words = all[i].description.words()
	}
	lead := make(map[int]Group)
	for _, g := range groupsOf(all) {
		byKey := g.index(all)
		for i, first := range all {
			if members := byKey.take(all, i); members != nil {
				lead[i] = g.together(all, members, g.run(first))
			}
		}
	}
	var groups []Group
	for i, m := range all {
		if g, ok := lead[i]; ok {
			groups = append(groups, g)
		} else if !m.taken {
			g := summed(all, []int{i})
			g.Words = m.words
			groups = append(groups, g)
		}
	}
	return groups
}

// A kindOfGroup is a group of one rule file.
type kindOfGroup struct {
	*group
	p *program
}

// groupsOf are the kinds of groups that any of the messages may be in, in order.
func groupsOf(all []*member) []kindOfGroup {
	var kinds []kindOfGroup
	seen := make(map[*program]bool)
	for _, m := range all {
		for _, r := range m.runs {
			if seen[r.p] {
				continue
			}
			seen[r.p] = true
			for _, g := range r.p.groups {
				kinds = append(kinds, kindOfGroup{g, r.p})
			}
		}
	}
	return kinds
}

// run returns the work on a message by the group's file, if the group may take it.
func (g kindOfGroup) run(m *member) *run {
	for _, r := range m.runs {
		if r.p == g.p && slices.Contains(r.plan.groups, g.group) && (g.when == nil || r.eval(g.when).IsTrue()) {
			return r
		}
	}
	return nil
}

// An index says which messages may be in a kind of group, by what they must have
// in common: comparing each with all others would take too long.
type index struct {
	keys   [][]string // of each message; nil if it cannot be in the group
	having map[string][]int
}

func (g kindOfGroup) index(all []*member) index {
	x := index{keys: make([][]string, len(all)), having: make(map[string][]int)}
	for i, m := range all {
		if m.taken {
			continue
		}
		r := g.run(m)
		if r == nil {
			continue
		}
		keys, ok := g.keys(r)
		if !ok {
			continue
		}
		x.keys[i] = keys
		for _, key := range keys {
			x.having[key] = append(x.having[key], i)
		}
	}
	return x
}

// take finds the messages that go with the one at place first, if there are some.
func (x index) take(all []*member, first int) []int {
	if all[first].taken {
		return nil
	}
	var members []int
	for _, key := range x.keys[first] {
		for _, i := range x.having[key] {
			if i >= first && !all[i].taken {
				members = append(members, i)
			}
		}
	}
	slices.Sort(members)
	members = slices.Compact(members)
	if len(members) < 2 {
		return nil
	}
	for _, i := range members {
		all[i].taken = true
	}
	return members
}

// keys are what messages of a group have in common: one of them, for overlap, else
// the only one, which spells all that must be equal. ok is false if there is none.
func (g *group) keys(r *run) (keys []string, ok bool) {
	if g.overlap != nil {
		keys = template.Strings(template.Flatten(nil, []template.Value{r.eval(g.overlap)}))
		return keys, len(keys) > 0
	}
	for _, t := range g.by {
		v := r.eval(t)
		if v.IsBlank() {
			return nil, false
		}
		keys = append(keys, v.String())
	}
	return []string{fmt.Sprintf("%q", keys)}, true
}

// together words the members of a group.
func (g *group) together(all []*member, members []int, r *run) Group {
	made := summed(all, members)
	made.File, made.Line = r.p.file, g.line
	collected := make(map[string][]string)
	var bodies []template.Value
	for _, n := range members {
		bodies = append(bodies, all[n].body)
		for _, own := range all[n].runs {
			if own.p != r.p {
				continue
			}
			for name, t := range g.collect {
				for _, v := range template.Flatten(nil, []template.Value{own.eval(t)}) {
					if s := oneLine(v.String()); s != "" {
						collected[name] = append(collected[name], s)
					}
				}
			}
		}
	}
	r.extra = map[string]template.Value{
		"count": template.NewNumber(len(members)), "members": template.NewList(bodies...), "usernames": template.NewTexts(made.Words.Usernames...), "packages": template.NewTexts(made.Words.Packages...), "topics": template.NewTexts(made.Topics...),
	}
	for name := range g.collect {
		r.extra[name] = template.NewTexts(distinct(collected[name])...)
	}
	defer func() { r.extra = nil }()
	first := all[members[0]].words
	r.Forget()
	made.Words.Subtitle = oneLine(r.eval(g.subtitle).String())
	if made.Words.Subtitle == "" {
		made.Why = cmp.Or(r.Why(), "the sentence is empty")
		made.Words.Subtitle = fmt.Sprintf("%s (and %d more)", first.Subtitle, len(members)-1)
	}
	made.Words.Icon, made.Words.Link, made.Words.SecondaryIcon = first.Icon, first.Link, first.Icon
	if g.link != nil {
		made.Words.Link = address(r.eval(g.link).String())
	}
	if g.secondaryIcon != nil {
		made.Words.SecondaryIcon = address(r.eval(g.secondaryIcon).String())
	}
	return made
}

func distinct(s []string) []string {
	slices.Sort(s)
	return slices.Compact(s)
}

// summed is what a group has whatever its kind.
func summed(all []*member, members []int) Group {
	g := Group{Members: members}
	var sum, base float64
	for i, n := range members {
		m := all[n]
		t := m.msg.Time
		if i == 0 {
			g.Start, g.End, base = t, t, float64(t.Unix())
		}
		if t.Before(g.Start) {
			g.Start = t
		}
		if t.After(g.End) {
			g.End = t
		}
		sum += float64(t.Unix()) - base + float64(t.Nanosecond())/1e9
		g.Each = append(g.Each, m.words)
		g.Words.Usernames = append(g.Words.Usernames, m.words.Usernames...)
		g.Words.Packages = append(g.Words.Packages, m.words.Packages...)
		g.Topics = append(g.Topics, string(m.msg.Topic))
		if m.name != "" {
			g.Categories = append(g.Categories, m.name)
		}
	}
	mean := sum / float64(len(members))
	g.Mean = time.Unix(int64(base), 0).Add(time.Duration(mean * 1e9)).UTC()
	g.Words.Usernames, g.Words.Packages = distinct(g.Words.Usernames), distinct(g.Words.Packages)
	g.Topics, g.Categories = distinct(g.Topics), distinct(g.Categories)
	g.Age = template.Relative(g.Mean.Sub(all[members[0]].engine.cfg.Now()))
	return g
}

// Subjective words a sentence for one reader: who did it becomes "you".
func Subjective(sentence, subject string) string {
	if subject == "" {
		return sentence
	}
	if rest, ok := strings.CutPrefix(sentence, subject+"'s "); ok {
		return "Your " + rest
	}
	rest, ok := strings.CutPrefix(sentence, subject+" ")
	if !ok {
		return sentence
	}
	for _, is := range [][2]string{{"was ", "were "}, {"is ", "are "}, {"has ", "have "}} {
		if after, ok := strings.CutPrefix(rest, is[0]); ok {
			return "You " + is[1] + after
		}
	}
	return "You " + rest
}
