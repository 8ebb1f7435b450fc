package history_test

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest/naive"
	"github.com/fedora-infra/fedmsg-go/query"
)

const day = 24 * time.Hour

// counted is a rig whose archive holds what is counted by hand, too.
type counted struct {
	*rig
	entries []fedmsg.Entry
	queries []fedmsg.Query
}

func startCounted(t *testing.T, change func(*setup)) counted {
	t.Helper()
	c := counted{rig: start(t, change)}
	random := naive.NewRandom(6)
	c.entries = random.Entries(400)
	for i := range c.entries { // some weeks, instead of a day
		at := naive.Began.Add(time.Duration(i*i) * 7 * time.Minute)
		m, err := c.entries[i].Message.With(fedmsg.Member{Name: "timestamp", JSON: []byte(strconv.FormatInt(at.Unix(), 10))})
		if err != nil {
			t.Fatal(err)
		}
		c.entries[i].Message = m
	}
	c.deliver(t, c.entries)
	c.queries = []fedmsg.Query{{}}
	for len(c.queries) < 15 {
		q := random.Query()
		q = fedmsg.Query{Filter: q.Filter}
		if query.Check(q) == nil {
			c.queries = append(c.queries, q)
		}
	}
	return c
}

// times are parameters of a stretch of time in which there is something.
const times = "&since=2026-03-01T12:30&until=2026-04-08T07:00"

// within narrows a query to times, and to a filter.
func (c counted) within(q fedmsg.Query, since, until time.Time) []fedmsg.Entry {
	if q.Since.Before(since) {
		q.Since = since
	}
	if q.Until.IsZero() || q.Until.After(until) {
		q.Until = until
	}
	return naive.Answer(c.entries, q)
}

var (
	since = time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC)
	until = time.Date(2026, 4, 8, 7, 0, 0, 0, time.UTC)
)

// rows reads CSV.
func (r *rig) rows(t *testing.T, path string) [][]string {
	t.Helper()
	a := r.get(t, path+"&format=csv")
	rows, err := csv.NewReader(strings.NewReader(string(a.body))).ReadAll()
	if err != nil || a.StatusCode != 200 || a.Header.Get("Content-Type") != "text/csv; charset=utf-8" {
		t.Fatalf("GET %s = %s, %v", path, a, err)
	}
	return rows
}

func TestHistogram(t *testing.T) { eachArchive(t, testHistogram) }

func testHistogram(t *testing.T, change func(*setup)) {
	c := startCounted(t, change)
	for _, q := range c.queries {
		for _, by := range []string{"", "category", "user"} {
			for step, length := range map[string]time.Duration{"1h": time.Hour, "1d": day, "7d": 7 * day} {
				path := "/api/v1/histogram?" + line(q) + times + "&step=" + step + "&limit=100"
				if by != "" {
					path += "&by=" + by
				}
				var answer struct {
					Step   int64
					At     []time.Time
					Series []struct {
						Value string
						Other bool
						Total int64
						N     []int64
					}
					Complete bool
				}
				c.ask(t, path, &answer)
				want, _ := naive.Tally(c.within(q, since, until), fedmsg.Grouping{Step: length, Field: fedmsg.Field(by)})
				if !answer.Complete || answer.Step != int64(length/time.Second) {
					t.Fatalf("%s: %+v", path, answer)
				}
				for _, s := range answer.Series {
					var total int64
					for i, n := range s.N {
						if i > 0 && answer.At[i].Sub(answer.At[i-1]) != length || answer.At[i].Unix()%int64(length/time.Second) != 0 {
							t.Fatalf("%s: steps at %s", path, answer.At)
						}
						if g := (naive.Group{At: answer.At[i], Value: s.Value}); want[g] != n {
							t.Errorf("%s: %v = %d, want %d", path, g, n, want[g])
						} else {
							delete(want, g)
						}
						total += n
					}
					if total != s.Total {
						t.Errorf("%s: %q has %d in all and %d in parts", path, s.Value, s.Total, total)
					}
				}
				if len(want) > 0 {
					t.Errorf("%s: not counted: %v", path, want)
				}
			}
		}
	}
	var answer struct {
		Step int64
		At   []time.Time
	}
	c.ask(t, "/api/v1/stats/volume?since=2026-03-01&until=2026-03-08", &answer)
	if answer.Step != 7200 || len(answer.At) != 84 {
		t.Errorf("a week has %d steps of %d s, want 84 of 7200", len(answer.At), answer.Step)
	}
	rows := c.rows(t, "/api/v1/histogram?by=category&limit=1&step=1d&since=2026-03-01&until=2026-03-11")
	if len(rows) != 11 || len(rows[0]) != 3 || rows[0][0] != "at" || rows[0][2] != "other" || rows[1][0] != "2026-03-01T00:00:00Z" {
		t.Errorf("CSV of ten days: %q", rows)
	}
	empty := start(t, nil)
	if a := empty.get(t, "/api/v1/histogram?"); a.StatusCode != 200 || !strings.Contains(a.String(), `"series":[]`) {
		t.Errorf("histogram of nothing = %s", a)
	}
}

// ranked are the most frequent of some counts, and how many others there are.
func ranked(totals map[string]int64, limit int) (top []string, other int64) {
	names := slices.SortedFunc(maps.Keys(totals), func(a, b string) int {
		return cmp.Or(cmp.Compare(totals[b], totals[a]), strings.Compare(a, b))
	})
	for _, name := range names {
		if name == "" || len(top) == limit {
			other += totals[name]
		} else {
			top = append(top, fmt.Sprintf("%s %d", name, totals[name]))
		}
	}
	return top, other
}

func TestFacetsAndTop(t *testing.T) { eachArchive(t, testFacetsAndTop) }

func testFacetsAndTop(t *testing.T, change func(*setup)) {
	c := startCounted(t, change)
	for _, q := range c.queries {
		found := c.within(q, since, until)
		var answer struct {
			Total  int64
			Facets []struct {
				Field  string
				Values []struct {
					Value string
					N     int64
				}
				Other int64
			}
		}
		path := "/api/v1/facets?" + line(q) + times + "&field=topic,category,agent&field=user,package,object&limit=4"
		c.ask(t, path, &answer)
		if answer.Total != int64(len(found)) || len(answer.Facets) != 6 {
			t.Fatalf("%s: %+v, want %d", path, answer, len(found))
		}
		var rows []string
		for _, f := range answer.Facets {
			_, totals := naive.Tally(found, fedmsg.Grouping{Field: fedmsg.Field(f.Field)})
			want, other := ranked(totals, 4)
			var got []string
			for _, v := range f.Values {
				got = append(got, fmt.Sprintf("%s %d", v.Value, v.N))
				rows = append(rows, fmt.Sprint([]string{f.Field, v.Value, fmt.Sprint(v.N)}))
			}
			if !slices.Equal(got, want) || f.Other != other {
				t.Errorf("%s: %s = %q and %d, want %q and %d", path, f.Field, got, f.Other, want, other)
			}
			var top struct {
				Total, Other int64
				Values       []struct{ Value string }
			}
			if f.Field == "user" {
				c.ask(t, "/api/v1/stats/top?"+line(q)+times+"&by=user&limit=4", &top)
				if top.Total != answer.Total || top.Other != f.Other || len(top.Values) != len(f.Values) {
					t.Errorf("top of %s = %+v, want as facets %+v", query.String(q), top, f)
				}
			}
		}
		csvRows := c.rows(t, path)
		for i, row := range csvRows[1:] {
			if got := fmt.Sprint(row); got != rows[i] {
				t.Errorf("%s: row %d is %s, want %s", path, i, got, rows[i])
			}
		}
	}
}

func TestCalendarAndCompare(t *testing.T) { eachArchive(t, testCalendarAndCompare) }

func testCalendarAndCompare(t *testing.T, change func(*setup)) {
	c := startCounted(t, change)
	for _, q := range c.queries {
		found := c.within(q, since, until)
		var calendar struct {
			Total int64
			Days  []struct {
				Day string
				N   int64
			}
		}
		c.ask(t, "/api/v1/stats/calendar?"+line(q)+times, &calendar)
		n := make(map[string]int64)
		for _, e := range found {
			n[e.Message.Time.UTC().Format(time.DateOnly)]++
		}
		for _, d := range calendar.Days {
			if d.N != n[d.Day] {
				t.Errorf("%s: %s = %d, want %d", query.String(q), d.Day, d.N, n[d.Day])
			}
			delete(n, d.Day)
		}
		if len(n) > 0 || calendar.Total != int64(len(found)) {
			t.Errorf("%s: %d in all, want %d; not told: %v", query.String(q), calendar.Total, len(found), n)
		}
		const weeks = "&since=2026-03-08&until=2026-03-15"
		middle := time.Date(2026, 3, 8, 0, 0, 0, 0, time.UTC)
		_, now := naive.Tally(c.within(q, middle, middle.Add(7*day)), fedmsg.Grouping{Field: fedmsg.UserField})
		_, before := naive.Tally(c.within(q, middle.Add(-7*day), middle), fedmsg.Grouping{Field: fedmsg.UserField})
		var compare struct {
			BeforeSince time.Time `json:"before_since"`
			Values      []struct {
				Value     string
				N, Before int64
				Change    *float64
			}
		}
		c.ask(t, "/api/v1/stats/compare?"+line(q)+weeks+"&by=user&limit=1000", &compare)
		for _, v := range compare.Values {
			if v.N != now[v.Value] || v.Before != before[v.Value] || (v.Change == nil) != (v.Before == 0) ||
				v.Change != nil && *v.Change != float64(v.N-v.Before)/float64(v.Before) {
				t.Errorf("%s: %+v, want %d and %d", query.String(q), v, now[v.Value], before[v.Value])
			}
			delete(now, v.Value)
			delete(before, v.Value)
		}
		delete(now, "")
		delete(before, "")
		if len(now)+len(before) > 0 || !compare.BeforeSince.Equal(middle.Add(-7*day)) {
			t.Errorf("%s since %s: not compared: %v %v", query.String(q), compare.BeforeSince, now, before)
		}
	}
}

// monday is when the week of a time began.
func monday(t time.Time) string {
	t = t.UTC()
	for t.Weekday() != time.Monday {
		t = t.Add(-day)
	}
	return t.Format(time.DateOnly)
}

func TestActiveAndCohorts(t *testing.T) { eachArchive(t, testActiveAndCohorts) }

func testActiveAndCohorts(t *testing.T, change func(*setup)) {
	c := startCounted(t, change)
	for _, q := range c.queries {
		for _, field := range []fedmsg.Field{fedmsg.AgentField, fedmsg.UserField} {
			there, first := make(map[string]map[string]bool), make(map[string]string) // by week
			ever := q
			ever.Since = time.Time{}
			for _, e := range c.within(ever, time.Time{}, until) {
				_, names := naive.Tally([]fedmsg.Entry{e}, fedmsg.Grouping{Field: field})
				for name := range names {
					week := monday(e.Message.Time)
					if name == "" {
						continue
					}
					if was, known := first[name]; !known || week < was {
						first[name] = week
					}
					if !e.Message.Time.Before(since) && query.Within(q, e.Message.Time) {
						if there[week] == nil {
							there[week] = make(map[string]bool)
						}
						there[week][name] = true
					}
				}
			}
			params := line(q) + times + "&period=week&by=" + string(field)
			var active struct {
				Periods []struct {
					From                   string
					Active, New, Returning int
				}
			}
			c.ask(t, "/api/v1/stats/active?"+params, &active)
			var cohorts struct {
				Cohorts []struct {
					From   string
					Size   int
					Active []int
				}
			}
			c.ask(t, "/api/v1/stats/cohorts?"+params, &cohorts)
			for i, p := range active.Periods {
				fresh := 0
				for name := range there[p.From] {
					if first[name] == p.From {
						fresh++
					}
				}
				if p.Active != len(there[p.From]) || p.New != fresh || p.Returning != p.Active-p.New {
					t.Errorf("%s by %s: %+v, want %d, %d of them new", query.String(q), field, p, len(there[p.From]), fresh)
				}
				cohort := cohorts.Cohorts[i]
				for j, n := range cohort.Active {
					want := 0
					for name := range there[active.Periods[i+j].From] {
						if first[name] == p.From && there[p.From][name] {
							want++
						}
					}
					if n != want || cohort.From != p.From || cohort.Size != fresh {
						t.Errorf("%s by %s: cohort of %s, after %d weeks %d of %d, want %d of %d", query.String(q), field, p.From, j, n, cohort.Size, want, fresh)
					}
				}
				delete(there, p.From)
			}
			for week := range there {
				t.Errorf("%s by %s: nobody counts the week of %s", query.String(q), field, week)
			}
		}
	}
}

func TestLatest(t *testing.T) { eachArchive(t, testLatest) }

func testLatest(t *testing.T, change func(*setup)) {
	c := startCounted(t, change)
	for i, q := range c.queries {
		by := []fedmsg.Field{fedmsg.PackageField, fedmsg.TopicField}[i%2]
		newest, n := make(map[string]string), make(map[string]int64)
		for _, e := range naive.Answer(c.entries, q) {
			_, names := naive.Tally([]fedmsg.Entry{e}, fedmsg.Grouping{Field: by})
			for name := range names {
				if newest[name] == "" {
					newest[name] = e.Message.ID
				}
				n[name]++
			}
		}
		delete(newest, "")
		var answer struct {
			Values []struct {
				Value  string
				N      int64
				Last   time.Time
				Ago    int64 `json:"ago_seconds"`
				Latest element
			}
		}
		c.ask(t, "/api/v1/stats/latest?by="+string(by)+"&limit=500&"+line(q), &answer)
		for i, v := range answer.Values {
			if v.Latest.Message.ID != newest[v.Value] || v.N != n[v.Value] || i > 0 && v.Last.After(answer.Values[i-1].Last) ||
				v.Ago != max(0, int64(now.Sub(v.Last)/time.Second)) {
				t.Errorf("%s: %+v, want %s, %d", query.String(q), v, newest[v.Value], n[v.Value])
			}
			delete(newest, v.Value)
		}
		if len(newest) > 0 {
			t.Errorf("%s: not told: %v", query.String(q), newest)
		}
	}
}

func TestTopicsAndTerms(t *testing.T) { eachArchive(t, testTopicsAndTerms) }

func testTopicsAndTerms(t *testing.T, change func(*setup)) {
	c := startCounted(t, change)
	_, totals := naive.Tally(c.entries, fedmsg.Grouping{Field: fedmsg.TopicField})
	var topics struct {
		Topics []struct {
			Name        string
			N           int64
			First, Last time.Time
			Sample      *element
		}
	}
	c.ask(t, "/api/v1/topics?meta=title&limit=1000", &topics)
	for _, topic := range topics.Topics {
		if topic.N != totals[topic.Name] || topic.Sample == nil || topic.Sample.Message.Topic != topic.Name || topic.Sample.Meta == nil || topic.First.After(topic.Last) {
			t.Errorf("topic %+v, want %d and a sample", topic, totals[topic.Name])
		}
		delete(totals, topic.Name)
	}
	if len(totals) > 0 {
		t.Errorf("topics not told: %v", totals)
	}
	_, totals = naive.Tally(c.entries, fedmsg.Grouping{Field: fedmsg.UserField})
	for _, prefix := range []string{"", "a", "r", "no such"} {
		maps.DeleteFunc(totals, func(name string, _ int64) bool { return !strings.HasPrefix(name, prefix) })
		want, _ := ranked(totals, 3)
		var got []string
		for _, row := range c.rows(t, "/api/v1/terms?field=user&limit=3&prefix="+url.QueryEscape(prefix))[1:] {
			got = append(got, row[0]+" "+row[1])
		}
		if !slices.Equal(got, want) {
			t.Errorf("terms that begin with %q: %q, want %q", prefix, got, want)
		}
		_, totals = naive.Tally(c.entries, fedmsg.Grouping{Field: fedmsg.UserField})
	}
}
