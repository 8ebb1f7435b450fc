package figure

import (
	"context"
	"strconv"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http/chart"
	"github.com/fedora-infra/fedmsg-go/http/web/say"
)

const (
	// maxTail is how many topics are told one by one.
	maxTail = 500
	// drawnTail is how many of them have room in a picture.
	drawnTail = 120
)

// tail is topics in the order of how many messages they have: a few have most, most have a
// few.
func (m *Maker) tail(ctx context.Context, s Subject) (Figure, error) {
	since := m.Now().Add(-time.Duration(s.Days) * 24 * time.Hour)
	counts, err := m.Counter.Count(ctx, fedmsg.Query{Filter: s.filter(), Since: since}, fedmsg.Grouping{Field: fedmsg.TopicField, Limit: maxTail})
	if err != nil {
		return Figure{}, err
	}
	total, half, soFar := int64(0), 0, int64(0)
	for _, c := range counts.Rows {
		total += c.N
	}
	f := Figure{Name: "tail", draw: chart.Bars, Head: []string{"topic", "rank", "messages", "share in %", "with those above in %"},
		Note:  "Each step of the scale is ten times the one below it.",
		Chart: chart.Chart{Unit: "messages", Height: 240, Log: true, Series: []chart.Series{{Name: "messages"}}}}
	percent := func(n int64) string { return strconv.FormatFloat(100*float64(n)/float64(total), 'f', 1, 64) }
	for _, c := range counts.Rows {
		if c.Value == "" {
			continue // all others together
		}
		if soFar += c.N; half == 0 && 2*soFar >= total {
			half = len(f.Rows) + 1
		}
		rank, name := len(f.Rows)+1, say.Visible(say.Tail(c.Value))
		link := say.Search(strings.TrimSpace(s.Line() + " " + say.FieldTerm(fedmsg.TopicField, c.Value) + " after:" + strconv.Itoa(s.Days) + "d"))
		f.Rows = append(f.Rows, []string{name, strconv.Itoa(rank), strconv.FormatInt(c.N, 10), percent(c.N), percent(soFar)})
		f.Links = append(f.Links, link)
		if rank <= drawnTail {
			f.Chart.Labels, f.Chart.Links = append(f.Chart.Labels, strconv.Itoa(rank)+" "+name), append(f.Chart.Links, link)
			f.Chart.Series[0].Values = append(f.Chart.Series[0].Values, float64(c.N))
		}
	}
	f.Title = "The long tail of topics, " + s.Period() + s.Of()
	if half > 0 {
		f.Title = say.Count(int64(half)) + " of " + say.Plural(int64(len(f.Rows)), "topic has", "topics have") + " half of all messages, " + s.Period() + s.Of()
	}
	return f, nil
}
