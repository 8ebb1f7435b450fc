package grepper_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	nethttp "net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/http/grepper"
	"github.com/fedora-infra/fedmsg-go/mem"
	"github.com/fedora-infra/fedmsg-go/query"
)

// now is the clock of the tests, that of the bad inputs.
var now = fedmsgtest.BadInputClock()

// A wordy describer takes words from the body, as they are.
type wordy struct{}

func (wordy) Describe(_ context.Context, m *fedmsg.Message) fedmsg.Words {
	var body struct {
		Sentence, Link, Icon, Avatar, Agent string
		Users, Packages, Objects            []string
	}
	_ = json.Unmarshal(m.Body, &body) // what is of another type stays empty
	w := fedmsg.Words{Title: "exam.said", Subtitle: "Something happened.", Link: body.Link, Icon: body.Icon, SecondaryIcon: body.Avatar,
		Agent: body.Agent, Usernames: body.Users, Packages: body.Packages, Objects: body.Objects}
	if body.Sentence != "" {
		w.Subtitle = body.Sentence
	}
	w.LongForm = w.Subtitle + "\n\nAnd so on."
	if body.Avatar != "" {
		w.Avatars = map[string]string{body.Agent: body.Avatar}
	}
	return w
}

// A rig is an archive with the old interface in front of it.
type rig struct {
	*mem.Archive
	mux *nethttp.ServeMux
	n   int
}

func start(t testing.TB, change ...func(*grepper.Config)) *rig {
	t.Helper()
	r := &rig{mux: nethttp.NewServeMux()}
	r.Archive = mem.NewArchive(func(f fedmsg.Filter, e fedmsg.Entry) bool {
		return query.NewMatcher(f, wordy{}).Match(context.Background(), e)
	}, wordy{})
	cfg := grepper.Config{Archive: r.Archive, Counter: r.Archive, Describer: wordy{}, Version: "0.1", Rate: -1, Now: func() time.Time { return now }}
	for _, f := range change {
		f(&cfg)
	}
	g, err := grepper.New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	g.Routes(r.mux)
	return r
}

// keep archives a message that was sent some time before now.
func (r *rig) keep(t testing.TB, before time.Duration, topic, body string) *fedmsg.Message {
	t.Helper()
	m, err := fedmsg.Draft{Topic: fedmsg.Topic(topic), Body: json.RawMessage(body), ID: fedmsgtest.ID(r.n), Time: now.Add(-before), Counter: r.n + 1}.Message()
	if err != nil {
		t.Fatal(err)
	}
	r.deliver(t, m)
	return m
}

func (r *rig) deliver(t testing.TB, m *fedmsg.Message) {
	t.Helper()
	r.n++
	if _, err := r.Deliver(t.Context(), []fedmsg.Entry{{Seq: fedmsg.Seq(r.n), At: now, Verified: fedmsg.Unverified, Message: m}}); err != nil {
		t.Fatal(err)
	}
}

// get asks for a path; headers are names and values by turns.
func (r *rig) get(t testing.TB, path string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), "GET", path, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	r.mux.ServeHTTP(w, req)
	return w
}

// A reply is a search's answer.
type reply struct {
	Rows       []map[string]any `json:"raw_messages"`
	Total      int
	Pages      int
	Count      int
	Incomplete bool
	Arguments  map[string]any
}

func (r *rig) search(t testing.TB, path string) (a reply) {
	t.Helper()
	w := r.get(t, path)
	if w.Code != 200 || w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Access-Control-Allow-Origin") != "*" {
		t.Fatalf("GET %s = %d %v\n%s", path, w.Code, w.Header(), w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatalf("GET %s: %v\n%s", path, err, w.Body)
	}
	return a
}

// numbers says which messages a reply has, by the number in msg.
func (a reply) numbers() string {
	var found []string
	for _, row := range a.Rows {
		body, ok := row["msg"].(map[string]any)
		if !ok {
			body = row["body"].(map[string]any)
		}
		found = append(found, fmt.Sprint(body["n"]))
	}
	return strings.Join(found, " ")
}

// shape returns the names and the types of JSON, those of lists by their first
// value: float for a number with a point in it.
func shape(t testing.TB, text []byte) string {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(string(text)))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return shapeOf(v)
}

func shapeOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "bool"
	case string:
		return "text"
	case json.Number:
		if strings.Contains(v.String(), ".") {
			return "float"
		}
		return "int"
	case []any:
		if len(v) == 0 {
			return "[]"
		}
		return "[" + shapeOf(v[0]) + "]"
	}
	var members []string
	for name, value := range v.(map[string]any) {
		members = append(members, name+":"+shapeOf(value))
	}
	slices.Sort(members)
	return "{" + strings.Join(members, " ") + "}"
}

const some = `{"n":1,"sentence":"alice lent Dune","link":"https://library.example.org/7","icon":"https://e.org/i.png","avatar":"https://e.org/a.png",
	"agent":"alice","users":["alice","bob"],"packages":["dune"],"objects":["containers/web","packages/dune"]}`

// The shapes are those that datagrepper 1.1.0 had.
func TestShapes(t *testing.T) {
	r := start(t)
	m := r.keep(t, 90*time.Second, "org.fedoraproject.prod.library.lent", some)
	const (
		raw = "agent_name:text certificate:null crypto:null headers:{} i:int msg:{agent:text avatar:text icon:text link:text n:int objects:[text] packages:[text] sentence:text users:[text]}" +
			" %smsg_id:text packages:[text] signature:null source_name:text source_version:text timestamp:float topic:text username:text users:[text]"
		messaging = "body:{agent:text avatar:text icon:text link:text n:int objects:[text] packages:[text] sentence:text users:[text]} headers:{sent-at:text} id:text %spriority:int queue:null topic:text"
		open      = "arguments:{agents:[] categories:[] contains:[] delta:null end:null meta:%s not_agents:[] not_categories:[] not_packages:[] not_topics:[] not_users:[] order:text packages:[] page:int rows_per_page:int start:null topics:[] users:[]}" +
			" count:int pages:int raw_messages:[{%s}] total:int"
		allMeta   = "agent_avatar:text app_icon:text containers:[text] date:text flatpaks:[] modules:[] packages:[text] summary:text text:text url:text usernames:[text]"
		askedMeta = "meta=summary&meta=text&meta=url&meta=app_icon&meta=agent_avatar&meta=usernames&meta=packages&meta=containers&meta=modules&meta=flatpaks&meta=date"
	)
	sub := func(row, meta string) string {
		if meta != "" {
			meta = "meta:{" + meta + "} "
		}
		return fmt.Sprintf(row, meta)
	}
	tests := []struct{ path, want string }{
		{"/raw", fmt.Sprintf(open, "[]", sub(raw, ""))},
		{"/raw/", fmt.Sprintf(open, "[]", sub(raw, ""))},
		{"/v2/search", fmt.Sprintf(open, "[]", sub(messaging, ""))},
		{"/v2/search/?" + askedMeta, fmt.Sprintf(open, "[text]", sub(messaging, allMeta))},
		{"/id?id=" + m.ID, sub(raw, "")},
		{"/v2/id?id=" + m.ID, sub(messaging, "")},
		{"/v2/id/?id=" + m.ID + "&" + askedMeta, sub(messaging, allMeta)},
		{"/messagecount", "messagecount:int"},
	}
	for _, tt := range tests {
		w := r.get(t, tt.path)
		if got, want := shape(t, w.Body.Bytes()), "{"+tt.want+"}"; w.Code != 200 || !sameMembers(got, want) {
			t.Errorf("GET %s = %d\n got %s\nwant %s", tt.path, w.Code, got, want)
		}
	}
	a := r.search(t, "/raw?start=2026-11-22T11:00:00&"+strings.Replace(askedMeta, "text", "link", 1))
	want := map[string]any{"msg_id": m.ID, "topic": "org.fedoraproject.prod.library.lent", "timestamp": 1795348710.0, "agent_name": "alice", "username": "alice", "i": 1.0}
	for name, value := range want {
		if a.Rows[0][name] != value {
			t.Errorf("%s is %v, want %v", name, a.Rows[0][name], value)
		}
	}
	meta := a.Rows[0]["meta"].(map[string]any)
	for name, value := range map[string]any{"summary": "alice lent Dune", "link": "https://library.example.org/7", "url": "https://library.example.org/7", "date": "a minute ago", "agent_avatar": "https://e.org/a.png"} {
		if meta[name] != value {
			t.Errorf("meta %s is %v, want %v", name, meta[name], value)
		}
	}
	if got := fmt.Sprint(a.Arguments["start"], a.Arguments["delta"], a.Arguments["end"]); got != "1.7953452e+09 3600 1.7953488e+09" {
		t.Errorf("start, delta, end are %s", got)
	}
}

// sameMembers compares shapes by the words in them: nested names sort by their text.
func sameMembers(a, b string) bool {
	split := func(s string) []string {
		words := strings.Fields(strings.NewReplacer("{", " { ", "}", " } ").Replace(s))
		slices.Sort(words)
		return words
	}
	return slices.Equal(split(a), split(b))
}

// What a message has itself is kept, so that its signature can be verified.
func TestRowKeepsFields(t *testing.T) {
	r := start(t)
	m, err := fedmsg.DecodeHistory([]byte(`{"i":7,"msg":{"n":1.50,"x":NaN,"s":"NaN \" Infinity","y":[-Infinity,{"z":Infinity}]},"msg_id":"2012-a","topic":"org.fedoraproject.prod.x.y","timestamp":1353585600.25,` +
		`"username":"apache","crypto":"x509","signature":"QQ==\n","certificate":"QkI=\n","headers":{"priority":3,"a":null}}`))
	if err != nil {
		t.Fatal(err)
	}
	r.deliver(t, m)
	w := r.get(t, "/id?id=2012-a")
	want := `{"i":7,"msg_id":"2012-a","topic":"org.fedoraproject.prod.x.y","timestamp":1353585600.25,"certificate":"QkI=\n","signature":"QQ==\n",` +
		`"agent_name":null,"username":"apache","crypto":"x509","msg":{"n":1.50,"x":null,"s":"NaN \" Infinity","y":[null,{"z":null}]},"headers":{"priority":3,"a":null},` +
		`"source_name":"fedmsg","source_version":"0.1","users":[],"packages":[]}` + "\n"
	if w.Body.String() != want {
		t.Errorf("/id\n got %s\nwant %s", w.Body, want)
	}
	want = `"headers":{"priority":3,"a":null,"sent-at":"2012-11-22T12:00:00.250000+00:00"},"id":"2012-a","priority":3,"queue":null,"topic":"org.fedoraproject.prod.x.y"}` + "\n"
	if w := r.get(t, "/v2/id?id=2012-a"); !strings.HasSuffix(w.Body.String(), want) {
		t.Errorf("/v2/id\n got %s\nwant …%s", w.Body, want)
	}
}

// Which span a search looks at: datagrepper's table. n is the age of messages in
// minutes.
func TestWindow(t *testing.T) {
	at := func(minutes int) string { return fmt.Sprint(now.Add(-time.Duration(minutes) * time.Minute).Unix()) }
	iso := url.QueryEscape(now.Add(-20 * time.Minute).Format("2006-01-02T15:04:05"))
	tests := []struct {
		query      string
		otherwise  time.Duration
		want, span string
	}{
		{"", 0, "5 10 20 30 40", "nil nil nil"},
		{"", 15 * time.Minute, "5 10", "900 900 0"},
		{"delta=0", 15 * time.Minute, "5 10 20 30 40", "nil nil nil"},
		{"delta=600", 0, "5 10", "600 600 0"},
		{"delta=601.5", 15 * time.Minute, "5 10", "601.5 601.5 0"},
		{"start=" + at(20), 15 * time.Minute, "5 10 20", "1200 1200 0"},
		{"start=" + iso, 0, "5 10 20", "1200 1200 0"},
		{"start=" + at(30) + "&delta=600", 0, "20 30", "1800 600 1200"},
		{"end=" + at(20), 15 * time.Minute, "20 30", "2100 900 1200"},
		{"end=" + at(20), 0, "20 30 40", "1795348800 1795347600 1200"},
		{"end=" + at(20) + "&delta=600", 15 * time.Minute, "20 30", "1800 600 1200"},
		{"start=" + at(30) + "&end=" + at(10) + "&delta=1", 0, "10 20 30", "1800 1200 600"},
		{"start=" + at(10) + "&end=" + at(10), 0, "10", "600 0 600"},
		{"start=" + at(-10), 0, "", "-600 0 -600"},
	}
	for _, tt := range tests {
		r := start(t, func(c *grepper.Config) { c.DefaultDelta = tt.otherwise })
		for _, minutes := range []int{5, 10, 20, 30, 40} {
			r.keep(t, time.Duration(minutes)*time.Minute, "org.fedoraproject.prod.x.y", fmt.Sprintf(`{"n":%d}`, minutes))
		}
		a := r.search(t, "/raw?"+tt.query)
		say := func(name string, before bool) string {
			v, ok := a.Arguments[name].(float64)
			if !ok {
				return "nil"
			}
			if before {
				v = float64(now.Unix()) - v
			}
			return fmt.Sprint(json.Number(fmt.Sprintf("%.10g", v)))
		}
		if got := say("start", true) + " " + say("delta", false) + " " + say("end", true); a.numbers() != tt.want || got != tt.span {
			t.Errorf("%q, by default %s: %q of %s, want %q of %s", tt.query, tt.otherwise, a.numbers(), got, tt.want, tt.span)
		}
	}
}

func TestTimes(t *testing.T) {
	r := start(t)
	const noon = "2026-11-22 12:00:00"
	for text, want := range map[string]float64{
		"1795348800": 1795348800, "1795348800.25": 1795348800.25, "0": 0, "2026": 2026, "1e3": 1000,
		noon: 1795348800, "2026-11-22": 1795305600, "2026-11-22T12:00:00Z": 1795348800, "2026-11-22T12:00:00.5+01:00": 1795345200.5,
		"2026-11-22T12:00:00 01:00": 1795345200, "2026-11-22 12:00:00+00:00": 1795348800, "20261122T120000": 1795348800, "2026-11-22 12:00:00 UTC": 1795348800,
		"Nov 22, 2026": 1795305600, "22 Nov 2026": 1795305600, "Sun, 22 Nov 2026 12:00:00 GMT": 1795348800, "11/22/2026": 1795305600,
	} {
		a := r.search(t, "/raw?"+url.Values{"start": {text}, "end": {"2100-01-01"}}.Encode())
		if a.Arguments["start"] != want {
			t.Errorf("start=%s is %v, want %v", text, a.Arguments["start"], want)
		}
	}
	for _, text := range []string{"", "NaN", "Inf", "-1", "1e300", "yesterday", "2026-13-01", "foo", "1795348800x", strings.Repeat("9", 400), "0001-01-01"} {
		if w := r.get(t, "/raw?"+url.Values{"end": {text}}.Encode()); w.Code != 400 || !strings.Contains(w.Body.String(), `"field":"end"`) {
			t.Errorf("end=%q = %d %s", text, w.Code, w.Body)
		}
	}
}

// Lists go together by and, what is in one by or; not_ lists take away.
func TestFilters(t *testing.T) {
	r := start(t)
	for i, m := range []struct{ topic, body string }{
		{"org.fedoraproject.prod.git.receive", `{"n":0,"agent":"ralph","users":["ralph"],"packages":["kernel","bash"],"text":"fix the kernel-6.12 build"}`},
		{"org.fedoraproject.prod.git.branch", `{"n":1,"agent":"lmacken","users":["lmacken","ralph"],"packages":["bash"]}`},
		{"org.fedoraproject.prod.bodhi.update.comment", `{"n":2,"users":["bob"],"text":"the build, fix 100%"}`},
		{"org.fedoraproject.stg.wiki.article.edit", `{"n":3,"agent":"ralph","users":["ralph"],"text":"日本語 a_b"}`},
	} {
		r.keep(t, time.Duration(60-i)*time.Minute, m.topic, m.body)
	}
	tests := []struct{ query, want string }{
		{"user=ralph", "0 1 3"},
		{"user=ralph&user=bob", "0 1 2 3"},
		{"user=ralph&package=bash", "0 1"},
		{"user=ralph&user=bob&category=bodhi&category=wiki", "2 3"},
		{"package=kernel", "0"},
		{"topic=org.fedoraproject.prod.git.receive", "0"},
		{"topic=org.fedoraproject.prod.git", ""},
		{"topic=git.%23&topic=wiki.article.*", "0 1 3"}, // patterns: datagrepper found nothing
		{"topic=" + url.QueryEscape("x' OR '1'='1"), ""},
		{"category=git", "0 1"},
		{"category=git.receive", ""},
		{"agent=ralph", "0 3"},
		{"not_user=ralph", "2"},
		{"not_user=ralph&not_user=bob", ""},
		{"not_category=git&not_category=wiki", "2"},
		{"not_topic=org.fedoraproject.prod.git.receive", "1 2 3"},
		{"not_topic=no'topic", "0 1 2 3"},
		{"not_agent=ralph", "1 2"}, // who has no agent is not ralph
		{"not_package=kernel&user=ralph", "1 3"},
		{"contains=build", "0 2"},
		{"contains=BUILD", "0 2"},
		{"contains=kernel-6.12", "0"},
		{"contains=fix+the", "0"}, // a phrase
		{"contains=fix+100", "2"},
		{"contains=kernel-6.12&contains=100", "0 2"},
		{"contains=the+build&category=bodhi", "2"},
		{"contains=%25", ""},
		{"contains=___", ""},
		{"contains=%25&contains=build", "0 2"},
		{"contains=" + url.QueryEscape("日本"), "3"},
		{"category=git&category=git&category=wiki", "0 1 3"},
		{"topic=git.receive&topic=org.fedoraproject.prod.git.receive&topic=wiki.article.edit", "0 3"},
		{"agent=ralph&agent=lmacken&not_user=bob", "0 1 3"},
		{"not_category=git&not_user=ralph&not_package=bash&not_agent=x&not_topic=a.b", "2"},
		{"category=git&category=bodhi&not_category=git&not_category=wiki", "2"},
		{"frobnicate=1&grouped=true", "0 1 2 3"},
	}
	for _, tt := range tests {
		if got := r.search(t, "/raw?order=asc&"+tt.query); got.numbers() != tt.want || got.Total != len(strings.Fields(tt.want)) {
			t.Errorf("%s gives %q, %d in all, want %q", tt.query, got.numbers(), got.Total, tt.want)
		}
		if got := r.search(t, "/raw?rows_per_page=1&"+tt.query); tt.want != "" && got.Total != len(strings.Fields(tt.want)) {
			t.Errorf("%s counts %d, want %q", tt.query, got.Total, tt.want)
		}
		if got := r.search(t, "/v2/search?order=desc&"+tt.query); len(got.Rows) != len(strings.Fields(tt.want)) {
			t.Errorf("/v2/search?%s gives %d rows, want %q", tt.query, len(got.Rows), tt.want)
		}
	}
}

// Every page is what an offset would give, near or far, in either order.
func TestPaging(t *testing.T) {
	r := start(t)
	const n = 2345
	var batch []fedmsg.Entry
	for i := range n {
		m, err := fedmsg.Draft{Topic: "org.fedoraproject.prod.x.y", Body: json.RawMessage(fmt.Sprintf(`{"n":%d,"users":["u%d"]}`, i, i%2)), ID: fedmsgtest.ID(i),
			Time: now.Add(time.Duration(i*i%977-3000) * time.Minute)}.Message()
		if err != nil {
			t.Fatal(err)
		}
		batch = append(batch, fedmsg.Entry{Message: m})
	}
	if _, err := r.Deliver(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	whole := make(map[string][]string)
	for _, query := range []string{"order=asc", "order=desc", "order=desc&user=u1"} {
		for page := 1; ; page++ {
			a := r.search(t, fmt.Sprintf("/raw?%s&rows_per_page=100&page=%d", query, page))
			whole[query] = append(whole[query], strings.Fields(a.numbers())...)
			if a.Pages != (a.Total+99)/100 || a.Count != len(a.Rows) || a.Incomplete {
				t.Fatalf("page %d of %s: %d rows, count %d, total %d, pages %d", page, query, len(a.Rows), a.Count, a.Total, a.Pages)
			}
			if page == a.Pages {
				break
			}
		}
		seen := slices.Clone(whole[query])
		slices.Sort(seen)
		if want := n / (strings.Count(query, "user") + 1); len(slices.Compact(seen)) != want || len(whole[query]) != want {
			t.Errorf("%s gives %d messages, %d of them different, want %d", query, len(whole[query]), len(slices.Compact(seen)), want)
		}
	}
	desc := whole["order=desc"]
	if asc := whole["order=asc"]; strings.Join(asc[:5], " ") == strings.Join(desc[:5], " ") {
		t.Error("both orders are one")
	}
	for _, page := range []int{1, 2, 77, 200, 335, 336, 1000, 10_000_000} {
		a := r.search(t, fmt.Sprintf("/raw?rows_per_page=7&page=%d", page))
		from, to := min((page-1)*7, n), min(page*7, n)
		if want := strings.Join(desc[from:to], " "); a.numbers() != want || a.Total != n || a.Pages != 335 {
			t.Errorf("page %d: %q of %d on %d pages, want %q", page, a.numbers(), a.Total, a.Pages, want)
		}
	}
}

// An overwhelmed counter stops counting early.
type overwhelmed struct{ fedmsg.Counter }

func (o overwhelmed) Count(ctx context.Context, q fedmsg.Query, by fedmsg.Grouping) (fedmsg.Counts, error) {
	counts, err := o.Counter.Count(ctx, q, by)
	counts.Rows, counts.Estimate = counts.Rows[:min(1, len(counts.Rows))], true
	return counts, err
}

func TestPageOutOfReach(t *testing.T) {
	r := start(t, func(c *grepper.Config) { c.Counter = overwhelmed{c.Counter} })
	for i := range 3 {
		r.keep(t, time.Minute, "org.fedoraproject.prod.x.y", fmt.Sprintf(`{"n":%d}`, i))
	}
	if w := r.get(t, "/raw?page=500&rows_per_page=100"); w.Code != 400 || !strings.Contains(w.Body.String(), `"field":"page"`) {
		t.Errorf("page 500 = %d %s", w.Code, w.Body)
	}
	if a := r.search(t, "/raw?page=100&rows_per_page=100"); a.Count != 0 {
		t.Errorf("page 100 has %d rows", a.Count)
	}
}

// A slow archive gives a few messages at a time, as one that has spent its budget.
type slow struct {
	fedmsg.Archive
	pause time.Duration
}

func (s slow) Search(ctx context.Context, q fedmsg.Query) (fedmsg.Page, error) {
	time.Sleep(s.pause)
	q.Limit = 1
	return s.Archive.Search(ctx, q)
}

// A page is filled by as many searches as it takes; when time is up, it says so.
func TestSearchGoesOn(t *testing.T) {
	for _, pause := range []time.Duration{0, 100 * time.Millisecond} {
		r := start(t, func(c *grepper.Config) { c.Archive, c.Timeout = slow{c.Archive, pause}, 400*time.Millisecond })
		for i := range 30 {
			r.keep(t, time.Minute, "org.fedoraproject.prod.x.y", fmt.Sprintf(`{"n":%d}`, i))
		}
		a := r.search(t, "/raw")
		if complete := pause == 0; a.Incomplete == complete || complete != (len(a.Rows) == 25) || len(a.Rows) == 0 || a.Total != 30 {
			t.Errorf("with a pause of %s: %d rows of %d, incomplete %v", pause, len(a.Rows), a.Total, a.Incomplete)
		}
	}
}

func TestMessageCount(t *testing.T) {
	r := start(t)
	for range 3 {
		r.keep(t, time.Minute, "org.fedoraproject.prod.x.y", `{}`)
	}
	for _, path := range []string{"/messagecount", "/messagecount/", "/messagecount?callback=a"} {
		if w := r.get(t, path); w.Code != 200 || !strings.Contains(w.Body.String(), `{"messagecount":3}`) {
			t.Errorf("GET %s = %d %s", path, w.Code, w.Body)
		}
	}
	for _, path := range []string{"/messagecount", "/raw", "/id", "/v2/search"} {
		w := httptest.NewRecorder()
		r.mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "POST", path, nil))
		if w.Code != 405 {
			t.Errorf("POST %s = %d, want 405", path, w.Code)
		}
	}
}

func TestRate(t *testing.T) {
	r := start(t, func(c *grepper.Config) { c.Rate, c.Burst = 1, 2 })
	var codes []int
	for range 3 {
		codes = append(codes, r.get(t, "/messagecount").Code) // from 192.0.2.1
	}
	if fmt.Sprint(codes) != "[200 200 429]" {
		t.Errorf("three at once = %v", codes)
	}
}

func TestConfig(t *testing.T) {
	if _, err := grepper.New(grepper.Config{DefaultDelta: -1}, nil); err == nil || !strings.Contains(err.Error(), "archive") || !strings.Contains(err.Error(), "default_delta") {
		t.Errorf("New of a bad config = %v", err)
	}
}
