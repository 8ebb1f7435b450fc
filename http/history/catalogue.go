package history

import (
	"slices"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http/route"
)

// Parameters that several routes have.
var (
	formatParam = route.Param{Name: "format", Kind: route.Choice, Of: []string{"json", "csv"}, Preset: "json", About: "how the answer is written"}
	metaParam   = route.Param{Name: "meta", Kind: route.Choices, Of: fedmsg.WordsFields, About: "words to add to each message"}
	fieldsParam = route.Param{Name: "fields", Kind: route.Columns, Of: slices.Concat(around, envelope),
		About: "which fields to tell of each message, instead of all; body.PATH and header.PATH are values at a path"}
	periodParam = route.Param{Name: "period", Kind: route.Choice, Of: periodNames(), Preset: "week", About: "what is counted together; weeks begin on Monday"}
)

func limitParam(preset string, high int, about string) route.Param {
	return route.Param{Name: "limit", Kind: route.Whole, Low: 1, High: high, Preset: preset, About: about}
}

func byParam(preset string, of ...string) route.Param {
	if of == nil {
		of = termFields
	}
	return route.Param{Name: "by", Kind: route.Choice, Of: of, Preset: preset, About: "the field to count by"}
}

func stepParam() route.Param {
	p := route.Param{Name: "step", Kind: route.Choice, Of: []string{"auto"}, Preset: "auto", About: "how long each part is, beginning at a multiple of it since 1970"}
	for _, s := range steps {
		p.Of = append(p.Of, s.name)
	}
	return p
}

// keep is how long counts are told again to who asks the same.
const keep = 5 * time.Second

// people are the fields that have people and what is like them.
var people = []string{string(fedmsg.AgentField), string(fedmsg.UserField), string(fedmsg.PackageField)}

// Parameters of package query that make no sense where nothing is in an order, or
// where there is no end.
var (
	unordered = []string{"order", "cursor", "limit"}
	endless   = []string{"order", "cursor", "limit", "until", "before", "on"}
	csvToo    = []string{"text/csv"}
)

// routes are what the interface serves, and what its description tells.
func (a *API) routes() []route.Route {
	return []route.Route{
		{Path: searchPath, Tells: "messages next prev query complete scanned_to", About: "Messages that a query finds, a page at a time. With no parameters but after, limit, topic and meta: a part of the log, in its order",
			Asks: true, Params: []route.Param{fieldsParam, metaParam}, Answer: a.search, Mounted: true},
		{Path: "/api/v1/publish", Method: "POST", Status: "201", Tells: "id seq topic", About: "Publish a message"},
		{Path: "/api/v1/verify", Method: "POST", Tells: "id verified", About: "Judge the signature of a whole message, without publishing it; 403 with the reason if it is not good"},
		{Path: "/api/v1/monitoring", Tells: "consumers producers", About: "Readers and ways in, with what they counted since the bus started, as the monitoring socket of fedmsg 1.x had them"},
		{Path: "/api/v1/events", About: "Server-sent events: what the log has after a place, and then what comes", Gives: []string{"text/event-stream"},
			Params: []route.Param{{Name: "after", About: "the place after which to begin, or the ID of an event. Default: with what comes"},
				{Name: "topic", About: "a pattern; may be given several times"}, metaParam}},
		{Path: searchPath + "/{id}", About: "One message, by its ID", Params: []route.Param{metaParam}},
		{Path: searchPath + "/{id}/neighbours", Tells: "id groups", About: "What happened before and after a message: to the same objects, in its thread, by the same agent",
			Params: []route.Param{limitParam("5", 50, "how many on each side"), fieldsParam, metaParam}, Answer: a.neighbours},
		{Path: "/api/v1/histogram", Tells: "query since until complete step by at series", About: "How many messages a query finds, by time", Asks: true, Without: unordered, Gives: csvToo,
			Params: []route.Param{stepParam(), byParam(""), limitParam("12", 100, "how many values have numbers of their own"), formatParam}, Answer: a.histogram, Keep: keep},
		{Path: "/api/v1/facets", Tells: "query since until complete total facets", About: "The most frequent values of fields among what a query finds", Asks: true, Without: unordered, Gives: csvToo,
			Params: []route.Param{{Name: "field", Kind: route.Choices, Of: termFields, Preset: "category,topic,user,package", About: "the fields"},
				limitParam("10", 1000, "how many values of each"), formatParam}, Answer: a.facets, Keep: keep},
		{Path: "/api/v1/topics", Tells: "topics", About: "All topics, the most frequent first: how often, since when, and the newest message of each", Gives: csvToo,
			Params: []route.Param{{Name: "prefix", About: "what they begin with"}, limitParam("100", 100_000, "how many"),
				{Name: "sample", Kind: route.Choice, Of: []string{"yes", "no"}, Preset: "yes", About: "whether to tell the newest message of each"},
				fieldsParam, metaParam, formatParam}, Answer: a.topics, Keep: keep},
		{Path: "/api/v1/terms", Tells: "field terms", About: "Known values of a field, the most frequent first", Gives: csvToo,
			Params: []route.Param{{Name: "field", Kind: route.Choice, Of: termFields, Preset: "topic", About: "the field"}, {Name: "prefix", About: "what they begin with"},
				limitParam("10", 1000, "how many"), formatParam}, Answer: a.terms},
		{Path: "/api/v1/stats/volume", Tells: "query since until complete step by at series", About: "How many messages each service sent, by time", Asks: true, Without: unordered, Gives: csvToo,
			Params: []route.Param{stepParam(), byParam("category"), limitParam("12", 100, "how many values have numbers of their own"), formatParam}, Answer: a.histogram, Keep: keep},
		{Path: "/api/v1/stats/active", Tells: "query since until complete by period periods", About: "How many were active in each period: in all, new, and returning", Asks: true, Without: unordered, Gives: csvToo,
			Params: []route.Param{byParam("agent", people...), periodParam, formatParam}, Answer: a.active, Keep: keep},
		{Path: "/api/v1/stats/top", Tells: "query since until complete by total values other", About: "The most frequent values of a field; of a week, if no time is given", Asks: true, Without: unordered, Gives: csvToo,
			Params: []route.Param{byParam("topic"), limitParam("20", 1000, "how many"), formatParam}, Answer: a.top, Keep: keep},
		{Path: "/api/v1/stats/calendar", Tells: "query since until complete total days", About: "How many messages there were on each day; of a year, if no time is given", Asks: true, Without: unordered, Gives: csvToo,
			Params: []route.Param{formatParam}, Answer: a.calendar, Keep: keep},
		{Path: "/api/v1/stats/compare", Tells: "query since until complete before_since by total values", About: "How often each value of a field came, and how often in as much time before; this week and the last, if no time is given",
			Asks: true, Without: unordered, Gives: csvToo,
			Params: []route.Param{byParam("topic"), limitParam("20", 1000, "how many"), formatParam}, Answer: a.compare, Keep: keep},
		{Path: "/api/v1/stats/latest", Tells: "query since until complete by values", About: "The newest message of each value of a field: who was last heard when", Asks: true, Without: unordered, Gives: csvToo,
			Params: []route.Param{byParam("category"), limitParam("50", 500, "how many, the most frequent"), fieldsParam, metaParam, formatParam}, Answer: a.latest, Keep: keep},
		{Path: "/api/v1/stats/cohorts", Tells: "query since until complete by period cohorts", About: "Of those who were new in a period, how many were active in each one since", Asks: true, Without: unordered, Gives: csvToo,
			Params: []route.Param{byParam("agent", people...), {Name: "period", Kind: route.Choice, Of: periodNames(), Preset: "month", About: periodParam.About}, formatParam}, Answer: a.cohorts, Keep: keep},
		{Path: "/api/v1/export", About: "All messages that a query finds, written as they are found", Asks: true, Without: []string{"limit"},
			Gives: []string{"application/jsonl", "text/csv", "application/vnd.apache.parquet", "application/zstd"},
			Params: []route.Param{{Name: "format", Kind: route.Choice, Of: exportFormats, Preset: "jsonl", About: "lines of JSON, or a table; packed with zstd, too. Parquet is packed inside, and has no cursors"},
				limitParam("", maxExport, "how many at most"), fieldsParam, metaParam}, Serve: a.export},
		{Path: "/api/v1/stream", About: "Server-sent events: what a query finds since a time or an event, and then what comes", Asks: true, Without: endless,
			Gives: []string{"text/event-stream"},
			Params: []route.Param{{Name: "after", About: "where to begin: a time, or the ID of an event; the header Last-Event-ID does the same. Default: with what comes"},
				fieldsParam, metaParam}, Serve: a.stream},
		{Path: "/openapi.json", Tells: "openapi info paths components", About: "This description", Answer: a.describe},
	}
}
