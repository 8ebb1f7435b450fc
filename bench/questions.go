package main

import (
	"fmt"
	"net/url"
	"time"
)

// A questionRow is a question that is asked in variations. compat is how the original
// was asked, ours how one asks us; nil if one of them cannot be asked so.
type questionRow struct {
	name         string
	original     time.Duration // p50 of the original with a million messages, quoted; 0 if unknown
	compat, ours func(a *asker) string
	chart        bool
}

func (r questionRow) aim() string {
	if r.chart {
		return "25ms"
	}
	return "2ms, 20ms"
}

// moment is some time before the end of the traffic, of so many days.
func (a *asker) moment(days float64) time.Time {
	return a.end().Add(-time.Duration(a.rng.Float64() * days * 24 * float64(time.Hour))).Truncate(time.Millisecond)
}

func (a *asker) end() time.Time { return a.traffic.begin.AddDate(0, 0, trafficDays) }

// until is the end of a window that leaves out some of the last hour, so that no two
// requests are the same.
func (a *asker) until(ours bool) string {
	at := a.moment(1. / 24)
	if ours {
		return "&until=" + url.QueryEscape(at.Format(time.RFC3339Nano))
	}
	return "&end=" + seconds(at)
}

func seconds(t time.Time) string { return fmt.Sprintf("%.3f", float64(t.UnixMilli())/1000) }

// between is a window of so long that begins somewhere in the last days.
func (a *asker) between(ours bool, days float64, length time.Duration) string {
	from := a.moment(days).Add(-length)
	if ours {
		return "&since=" + url.QueryEscape(from.Format(time.RFC3339Nano)) + "&until=" + url.QueryEscape(from.Add(length).Format(time.RFC3339Nano))
	}
	return "&start=" + seconds(from) + "&end=" + seconds(from.Add(length))
}

// alike makes the two ways to ask the same: with parameters that both know, of which
// PLACE stands for something that varies.
func alike(parameters string, vary func(a *asker) string, window func(a *asker, ours bool) string) (compat, ours func(a *asker) string) {
	fill := func(a *asker) string {
		if vary == nil {
			return parameters
		}
		return fmt.Sprintf(parameters, vary(a))
	}
	return func(a *asker) string { return "/raw?rows_per_page=25" + fill(a) + window(a, false) },
		func(a *asker) string { return "/api/v1/messages?limit=25" + fill(a) + window(a, true) }
}

func untilNow(a *asker, ours bool) string { return a.until(ours) }

func row(name string, original time.Duration, parameters string, vary func(a *asker) string) questionRow {
	r := questionRow{name: name, original: original}
	r.compat, r.ours = alike(parameters, vary, untilNow)
	return r
}

func windowed(name string, original time.Duration, parameters string, days float64, length time.Duration) questionRow {
	r := questionRow{name: name, original: original}
	r.compat, r.ours = alike(parameters, nil, func(a *asker, ours bool) string { return a.between(ours, days, length) })
	return r
}

const day = 24 * time.Hour

// pageRows are the questions that the original was measured with.
var pageRows = []questionRow{
	row("latest page", 94*time.Millisecond, "", nil),
	{name: "latest page of 100", original: 133 * time.Millisecond,
		compat: func(a *asker) string { return "/raw?rows_per_page=100" + a.until(false) },
		ours:   func(a *asker) string { return "/api/v1/messages?limit=100" + a.until(true) }},
	{name: "with meta=subtitle,link,date", original: 140 * time.Millisecond,
		compat: func(a *asker) string {
			return "/raw?rows_per_page=25&meta=subtitle&meta=link&meta=date" + a.until(false)
		},
		ours: func(a *asker) string { return "/api/v1/messages?limit=25&meta=subtitle&meta=link" + a.until(true) }},
	windowed("last day", 32*time.Millisecond, "", .01, day),
	row("topic, 12% of all", 123*time.Millisecond, "&topic="+topicName(0), nil),
	row("topic, a rare one", 28*time.Millisecond, "&topic=%s", func(a *asker) string { return topicName(trafficTopics - 1 - a.rng.IntN(8)) }),
	row("category, 24%", 307*time.Millisecond, "&category="+categoryName(0), nil),
	row("user, 8%", 641*time.Millisecond, "&user="+userName(0), nil),
	row("user, a middling one", 57*time.Millisecond, "&user=%s", func(a *asker) string { return userName(uint64(300 + a.rng.IntN(1000))) }),
	row("package, the busiest", 178*time.Millisecond, "&package="+packageName(0), nil),
	windowed("an hour in the middle", 21*time.Millisecond, "", 25, time.Hour),
	row("user and category", 61*time.Millisecond, "&user="+userName(0)+"&category=%s", func(a *asker) string { return categoryName(1 + a.rng.IntN(trafficCategories)) }),
	{name: "neither a category nor a user", original: 467 * time.Millisecond,
		compat: func(a *asker) string {
			return "/raw?rows_per_page=25&not_category=" + categoryName(0) + "&not_user=" + userName(uint64(a.rng.IntN(10))) + a.until(false)
		},
		ours: func(a *asker) string {
			return "/api/v1/messages?limit=25&q=" + url.QueryEscape("-category:"+categoryName(0)+" -user:"+userName(uint64(a.rng.IntN(10)))) + a.until(true)
		}},
	{name: "a common word and a category, 7 days", original: 235 * time.Millisecond,
		compat: func(a *asker) string {
			return "/raw?rows_per_page=25&category=" + categoryName(0) + "&contains=" + a.word(20) + a.between(false, .01, 7*day)
		},
		ours: func(a *asker) string {
			return "/api/v1/messages?limit=25&category=" + categoryName(0) + "&q=" + a.word(20) + a.between(true, .01, 7*day)
		}},
	{name: "a word that does not occur and a category, 30 days", original: 2015 * time.Millisecond,
		compat: func(a *asker) string {
			return "/raw?rows_per_page=25&category=" + categoryName(0) + "&contains=" + a.noWord() + a.between(false, .01, 30*day)
		},
		ours: func(a *asker) string {
			return "/api/v1/messages?limit=25&category=" + categoryName(0) + "&q=" + a.noWord() + a.between(true, .01, 30*day)
		}},
	{name: "the last page", original: 530 * time.Millisecond,
		compat: func(a *asker) string {
			return fmt.Sprintf("/raw?rows_per_page=25&page=%d", a.traffic.made/25-a.rng.IntN(30))
		},
		ours: func(a *asker) string { return "/api/v1/messages?limit=25&order=asc" + a.until(true) }},
}

// word is one of the so many most frequent words.
func (a *asker) word(most int) string { return a.traffic.vocabulary[a.rng.IntN(most)] }

func (a *asker) noWord() string { return fmt.Sprintf("qx%dzzq", a.rng.IntN(1_000_000)) }

// counting makes a row of one of our paths.
func counting(name, path string) questionRow {
	return questionRow{name: name, chart: true, ours: func(a *asker) string { return path + a.between(true, .5, 29*day) }}
}

// countRows are charts, counts and facets: those that the original had, and ours.
var countRows = []questionRow{
	{name: "/charts/line, 1 series of 10 points", chart: true, original: 120 * time.Millisecond,
		compat: func(a *asker) string { return "/charts/line?N=10" + a.between(false, .5, 29*day) }},
	{name: "/charts/line, 5 series of 15 points", chart: true, original: 1780 * time.Millisecond,
		compat: func(a *asker) string {
			path := "/charts/line?N=15&split_on=categories"
			for n := range 5 {
				path += "&category=" + categoryName(n+1)
			}
			return path + a.between(false, .5, 29*day)
		}},
	{name: "/messagecount", original: 900 * time.Microsecond, compat: func(*asker) string { return "/messagecount" }},
	counting("all by hour", "/api/v1/histogram?step=1h"),
	counting("by hour and category", "/api/v1/histogram?step=1h&by=category"),
	counting("by hour and topic", "/api/v1/histogram?step=1h&by=topic"),
	counting("by day and package", "/api/v1/histogram?step=1d&by=package"),
	counting("a topic by hour", "/api/v1/histogram?step=1h&topic="+topicName(0)),
	counting("a user by hour", "/api/v1/histogram?step=1h&user="+userName(0)),
	counting("all but a category and a user, by hour", "/api/v1/histogram?step=1h&q="+url.QueryEscape("-category:"+categoryName(0)+" -user:"+userName(0))),
	{name: "a common word by day, 7 days", chart: true, ours: func(a *asker) string {
		return "/api/v1/histogram?step=1d&q=" + a.word(20) + a.between(true, .01, 7*day)
	}},
	counting("a rare word by day", "/api/v1/histogram?step=1d&q=package+20000"),
	counting("facets: four fields of everything", "/api/v1/facets?field=category&field=topic&field=user&field=package"),
	counting("facets: four fields of a user, 8%", "/api/v1/facets?field=category&field=topic&field=user&field=package&user="+userName(0)),
	counting("a user by topic", "/api/v1/stats/top?by=topic&user="+userName(0)),
	counting("top users", "/api/v1/stats/top?by=user"),
	counting("active users by week", "/api/v1/stats/active?by=user&period=week"),
	counting("calendar of a user", "/api/v1/stats/calendar?user="+userName(0)),
	{name: "topics, this week and the last", chart: true, ours: func(a *asker) string { return "/api/v1/stats/compare?by=topic" + a.between(true, 1, 7*day) }},
}
