package web

import (
	"context"
	"html/template"
	"strconv"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http/web/say"
	"github.com/fedora-infra/fedmsg-go/query"
)

// A row is one message in a list.
type row struct {
	ID, Sentence, Service, Who string
	Seq                        fedmsg.Seq
	Time                       time.Time
	Title                      string
	// Others are those that say the same of something else, folded away.
	Others []row
}

// maxSentence is the longest sentence that is shown, in characters.
const maxSentence = 400

// row puts an entry in words.
func (p *Pages) row(ctx context.Context, e fedmsg.Entry) row {
	w := p.cfg.Describer.Describe(ctx, e.Message)
	return row{ID: e.Message.ID, Seq: e.Seq, Time: e.Message.Time, Sentence: say.Clip(w.Subtitle, maxSentence), Service: say.Category(e.Message.Topic), Who: w.Agent, Title: w.Title}
}

// leastFold is from how many rows on that differ in their object alone all but the
// first are folded.
const leastFold = 4

// rows puts entries in words, and folds what one does many times in a row.
func (p *Pages) rows(ctx context.Context, entries []fedmsg.Entry) []row {
	var all []row
	for _, e := range entries {
		all = append(all, p.row(ctx, e))
	}
	var folded []row
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].Title == all[0].Title && all[n].Who == all[0].Who && say.SameDay(all[n].Time, all[0].Time) {
			n++
		}
		if n < leastFold {
			n = 1
		}
		first := all[0]
		first.Others = all[1:n]
		folded, all = append(folded, first), all[n:]
	}
	return folded
}

// timeTag writes a time that tells its exact value; kind is what a script makes of
// it later.
func timeTag(t time.Time, kind, text string) template.HTML {
	return template.HTML(`<time datetime="` + t.UTC().Format("2006-01-02T15:04:05.000Z") + `" class="` + kind + `" title="` +
		t.UTC().Format("2006-01-02 15:04:05") + ` UTC">` + template.HTMLEscapeString(text) + `</time>`)
}

// whole is a whole number of any of the types in templates.
func whole(n any) int64 {
	switch n := n.(type) {
	case int:
		return int64(n)
	case int64:
		return n
	}
	return 0
}

// functions are what templates may call.
func (p *Pages) functions() template.FuncMap {
	return template.FuncMap{
		"visible": say.Visible, "count": func(n any) string { return say.Count(whole(n)) },
		"plural": func(n any, one, many string) string { return say.Plural(whole(n), one, many) }, "hue": say.Hue, "about": say.About, "search": say.Search, "tail": say.Tail, "messageURL": messageURL,
		"clock": func(t time.Time) template.HTML { return timeTag(t, "clock", t.UTC().Format("15:04:05")) },
		"ago":   func(t, now time.Time) template.HTML { return timeTag(t, "ago", say.Ago(t, now)) },
		"exact": func(t time.Time) template.HTML {
			return timeTag(t, "exact", t.UTC().Format("Monday, 2 January 2006, 15:04:05")+" UTC")
		},
		"digits": func(s string) string {
			if n, err := strconv.ParseInt(s, 10, 64); err == nil && s[0] != '+' {
				return say.Count(n)
			}
			return s
		},
		"lasting":     say.Lasting,
		"serviceTerm": func(s string) string { return say.FieldTerm(fedmsg.CategoryField, s) },
		"agentTerm":   func(s string) string { return say.FieldTerm(fedmsg.AgentField, s) },
		"keys":        query.Keys,
		"ranges":      func() []span { return spans },
		"list":        func(v ...any) []any { return v },
		"narrow": func(line, term string) string {
			if term == "" {
				return line
			}
			return say.And(line, term, p.cfg.Now())
		},
	}
}

// A span is a choice of how far to look back.
type span struct{ Value, Text string }

var spans = []span{{"", "any time"}, {"1h", "last hour"}, {"1d", "last day"}, {"1w", "last 7 days"}, {"30d", "last 30 days"}, {"1y", "last year"}}
