package web

import (
	"context"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http/web/say"
	"github.com/fedora-infra/fedmsg-go/internal/spell"
	"github.com/fedora-infra/fedmsg-go/query"
)

const (
	// maxHints is how many ways on are shown.
	maxHints = 5
	// candidates is how many values of a field are compared with what was typed.
	candidates = 2000
)

// hints finds searches that are near to one which found nothing: with a name spelled
// as it is known, without one of its conditions, over more time.
func (p *Pages) hints(ctx context.Context, page historyPage, now time.Time) []hint {
	ctx, cancel := context.WithTimeout(ctx, countTime)
	defer cancel()
	chips, err := query.Chips(page.Line, now)
	if err != nil {
		return nil
	}
	var found []hint
	add := func(before, line string) {
		if len(found) == maxHints {
			return
		}
		q, err := query.Parse(line, now)
		if err != nil {
			return
		}
		if n, at := p.total(ctx, q); n > 0 {
			found = append(found, hint{Text: before, Address: say.Search(line), Tail: at})
		}
	}
	for i, c := range chips {
		if near := p.near(ctx, c, now); near != "" {
			var parts []string
			for j, other := range chips {
				if j == i {
					other.Text = near
				}
				parts = append(parts, other.Text)
			}
			add("Did you mean "+near+"?", strings.Join(parts, " "))
		}
	}
	bounded := false
	for _, c := range chips {
		bounded = bounded || say.IsBound(c.Key)
	}
	if bounded {
		add("At any time", say.Within(page.Line, "", now))
	}
	if len(chips) > 1 {
		for _, c := range chips {
			if !say.IsBound(c.Key) {
				add("Without "+say.Visible(c.Text), c.Without)
			}
		}
	}
	return found
}

// total counts what a query finds, in words.
func (p *Pages) total(ctx context.Context, q fedmsg.Query) (n int64, text string) {
	counts, err := p.cfg.Counter.Count(ctx, q, fedmsg.Grouping{})
	if err != nil {
		return 0, ""
	}
	for _, c := range counts.Rows {
		n += c.N
	}
	text = say.Plural(n, "message", "messages")
	if counts.Estimate {
		text = "at least " + text
	}
	return n, text
}

// near is a condition as a chip has it, with the value that was probably meant; ""
// if there is none.
func (p *Pages) near(ctx context.Context, c query.Chip, now time.Time) string {
	q, err := query.Parse(strings.TrimPrefix(c.Text, "-"), now)
	if err != nil || q.Filter.Op != fedmsg.Has {
		return ""
	}
	t := q.Filter.Test
	fields := []fedmsg.Field{t.Field}
	if t.Field == fedmsg.TextField && t.Relation == fedmsg.Equal { // a word alone may be a name
		fields = []fedmsg.Field{fedmsg.UserField, fedmsg.PackageField, fedmsg.CategoryField}
	}
	for _, f := range fields {
		var names []string
		terms, err := p.cfg.Counter.Terms(ctx, f, "", candidates)
		if err != nil {
			continue
		}
		for _, term := range terms {
			if f == fedmsg.TopicField {
				term.Name = say.Tail(term.Name)
			}
			if term.Name == t.Value && f == t.Field {
				return "" // it is known; the others are to blame
			}
			names = append(names, term.Name)
		}
		word := t.Value
		if len(word) < 3 || len(word) > 80 {
			continue
		}
		if near := spell.Nearest(word, names); near != "" {
			sign := ""
			if c.Not {
				sign = "-"
			}
			if made := say.FieldTerm(f, near); made != "" {
				return sign + made
			}
		}
	}
	return ""
}
