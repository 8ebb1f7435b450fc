package grepper_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/http/grepper"
	"github.com/fedora-infra/fedmsg-go/x509"
)

// wild is an archive as those who asked datagrepper found it: a year of builds,
// composes, updates and commits.
func wild(t testing.TB, change ...func(*grepper.Config)) *rig {
	r := start(t, change...)
	const day = 24 * time.Hour
	for i := range 30 {
		age := time.Duration(i)*9*time.Hour + time.Minute
		r.keep(t, age, "org.fedoraproject.prod.buildsys.build.state.change", fmt.Sprintf(`{"n":%d,"sentence":"kernel built","link":"https://koji.example.org/%d","icon":"https://e.org/k.png","agent":"jforbes","users":["jforbes"],"packages":["kernel"]}`, i, i))
		r.keep(t, age+time.Minute, "org.fedoraproject.prod.buildsys.task.state.change", fmt.Sprintf(`{"n":%d,"packages":["kernel"]}`, i))
		r.keep(t, age+2*time.Minute, "org.fedoraproject.prod.bodhi.update.comment", fmt.Sprintf(`{"n":%d,"agent":"ralph","users":["ralph","bodhi"],"packages":["kernel"]}`, i))
		r.keep(t, time.Duration(i)*12*day+time.Minute, "org.fedoraproject.prod.git.receive", fmt.Sprintf(`{"n":%d,"agent":"ralph","users":["ralph"],"packages":["vim"]}`, i))
	}
	for i, arch := range []string{"", "x86_64", "aarch64"} {
		for hours := range 4 {
			r.keep(t, time.Duration(4*hours+i+1)*time.Hour, "org.fedoraproject.prod.compose.rawhide.start", fmt.Sprintf(`{"n":%d,"arch":%q,"branch":"rawhide","log":"start"}`, hours, arch))
			r.keep(t, time.Duration(4*hours+i+1)*time.Hour-30*time.Minute, "org.fedoraproject.prod.compose.rawhide.complete", fmt.Sprintf(`{"n":%d,"arch":%q,"branch":"rawhide","log":"done"}`, hours, arch))
		}
	}
	return r
}

// ask replays a request, by JSONP if it has a callback, and checks its envelope.
func (r *rig) ask(t *testing.T, path string, values url.Values) (a reply) {
	t.Helper()
	w := r.get(t, path+"?"+values.Encode(), "Accept", "*/*")
	body := w.Body.String()
	if cb := values.Get("callback"); cb != "" {
		var ok, ok2 bool
		body, ok = strings.CutPrefix(body, "/**/"+cb+"(")
		if body, ok2 = strings.CutSuffix(body, ");\n"); !ok || !ok2 {
			t.Fatalf("%s: no call of %s: %.80s", path, cb, w.Body)
		}
	}
	if err := json.Unmarshal([]byte(body), &a); w.Code != 200 || err != nil {
		t.Fatalf("%s?%s = %d, %v: %s", path, values.Encode(), w.Code, err, w.Body)
	}
	if a.Count != len(a.Rows) || a.Total < a.Count || a.Arguments["rows_per_page"] == nil {
		t.Errorf("%s: count %d of %d rows, total %d, arguments %v", path, a.Count, len(a.Rows), a.Total, a.Arguments)
	}
	for _, row := range a.Rows {
		if path == "/v2/search" {
			if sent := row["headers"].(map[string]any)["sent-at"]; sent == nil || row["id"] == "" || row["topic"] == "" || row["body"] == nil {
				t.Errorf("%s: a row without time, ID, topic or body: %v", path, row)
			}
		} else if _, ok := row["timestamp"].(float64); !ok || row["msg_id"] == "" || row["topic"] == "" || row["msg"] == nil {
			t.Errorf("%s: a row without time, ID, topic or body: %v", path, row)
		}
	}
	return a
}

// Those who asked datagrepper, with what they asked, and what they read of the answer.
func TestWildQueries(t *testing.T) {
	r := wild(t)
	t.Run("fedora-packages", func(t *testing.T) { // the block "History" of a package
		a := r.ask(t, "/raw/", url.Values{"order": {"desc"}, "meta": {"subtitle", "link", "icon", "secondary_icon"}, "package": {"kernel"}, "grouped": {"true"},
			"not_topic":     {"org.fedoraproject.prod.buildsys.rpm.sign", "org.fedoraproject.prod.buildsys.tag", "org.fedoraproject.prod.buildsys.task.state.change", "org.fedoraproject.prod.buildsys.untag"},
			"rows_per_page": {"20"}, "callback": {"jQuery1102_1"}, "_": {"1412"}})
		if len(a.Rows) != 20 || a.Total != 60 || a.Pages != 3 {
			t.Fatalf("%d rows of %d on %d pages", len(a.Rows), a.Total, a.Pages)
		}
		for _, row := range a.Rows {
			meta := row["meta"].(map[string]any)
			if meta["subtitle"] == "" || len(meta) != 4 || row["topic"] == "org.fedoraproject.prod.buildsys.task.state.change" {
				t.Errorf("row %v", row)
			}
		}
	})
	t.Run("releng-dash", func(t *testing.T) { // what of a compose is newer: its start or its end?
		newest := make(map[string]float64)
		for _, what := range []string{"start", "complete"} {
			topic := "org.fedoraproject.prod.compose.rawhide." + what
			a := r.ask(t, "/raw", url.Values{"topic": {topic}, "delta": {"3600000"}, "rows_per_page": {"100"}, "order": {"desc"}, "callback": {"cb"}})
			if len(a.Rows) != 12 {
				t.Errorf("%d of %s, want 12", len(a.Rows), topic)
			}
			for _, row := range slices.Backward(a.Rows) {
				newest[what+fmt.Sprint(row["msg"].(map[string]any)["arch"])] = row["timestamp"].(float64)
			}
		}
		for _, arch := range []string{"", "x86_64", "aarch64"} {
			if newest["complete"+arch] <= newest["start"+arch] {
				t.Errorf("arch %q: done at %f, begun at %f", arch, newest["complete"+arch], newest["start"+arch])
			}
		}
	})
	t.Run("thisweekinfedora", func(t *testing.T) { // totals of this week and the one before
		week := func(back int) int {
			end := now.AddDate(0, 0, -7*back)
			a := r.ask(t, "/raw", url.Values{"topic": {"org.fedoraproject.prod.buildsys.build.state.change"}, "rows_per_page": {"1"},
				"start": {fmt.Sprint(end.AddDate(0, 0, -7).Unix())}, "end": {fmt.Sprint(end.Unix())}})
			return a.Total
		}
		if a, b := week(0), week(1); a != 19 || b != 11 {
			t.Errorf("%d this week, %d the week before, want 19 and 11", a, b)
		}
	})
	t.Run("fedora-active-user", func(t *testing.T) {
		a := r.ask(t, "/raw", url.Values{"user": {"ralph"}, "delta": {"31104000"}, "meta": {"subtitle"}, "rows_per_page": {"10"}, "order": {"desc"}})
		if len(a.Rows) != 10 || a.Rows[0]["meta"].(map[string]any)["subtitle"] == nil {
			t.Errorf("%d rows, the first %v", len(a.Rows), a.Rows[0])
		}
	})
	t.Run("FUAS", func(t *testing.T) { // is somebody active? at least 5 actions in 90 days
		a := r.ask(t, "/v2/search", url.Values{"user": {"jforbes"}, "category": {"buildsys"}, "delta": {fmt.Sprint(90 * 86400)}, "rows_per_page": {"1"}})
		if a.Total != 30 || a.Pages != 30 {
			t.Errorf("total %d on %d pages, want 30", a.Total, a.Pages)
		}
	})
	t.Run("fmn", func(t *testing.T) { // what a rule would have caught in the last hour
		a := r.ask(t, "/raw", url.Values{"rows_per_page": {"100"}, "page": {"1"}, "delta": {"3600"}})
		for _, row := range a.Rows {
			if row["timestamp"].(float64) < float64(now.Unix()-3600) {
				t.Errorf("a message of %v", row["timestamp"])
			}
		}
		if len(a.Rows) == 0 {
			t.Error("nothing in an hour")
		}
	})
	for _, loop := range []struct {
		name   string
		values url.Values
		want   int
	}{ // until a page is empty, or the last
		{"statscache", url.Values{"order": {"asc"}, "start": {fmt.Sprint(now.AddDate(0, 0, -5).Unix())}, "rows_per_page": {"100"}}, 43 + 24},
		{"fedmsg2gource", url.Values{"order": {"asc"}, "start": {fmt.Sprint(now.AddDate(0, 0, -400).Unix())}, "end": {fmt.Sprint(now.Unix())}, "rows_per_page": {"10"}, "category": {"bodhi", "git"}}, 60},
		{"fedora-stats-tools", url.Values{"topic": {"org.fedoraproject.prod.git.receive"}, "delta": {"86400000"}, "rows_per_page": {"7"}}, 30},
	} {
		t.Run(loop.name, func(t *testing.T) {
			seen := make(map[any]bool)
			for page := 1; ; page++ {
				loop.values.Set("page", fmt.Sprint(page))
				a := r.ask(t, "/raw", loop.values)
				for _, row := range a.Rows {
					seen[row["msg_id"]] = true
				}
				if len(a.Rows) == 0 {
					if page != a.Pages+1 {
						t.Errorf("page %d is empty, and there are %d", page, a.Pages)
					}
					break
				}
			}
			if len(seen) != loop.want {
				t.Errorf("%d messages, want %d", len(seen), loop.want)
			}
		})
	}
	t.Run("sync2jira", func(t *testing.T) {
		m := r.keep(t, time.Minute, "org.fedoraproject.prod.github.issue.opened", `{"issue":{"number":7}}`)
		w := r.get(t, "/id?id="+m.ID, "Accept", "*/*")
		var row struct {
			Topic string
			Msg   struct{ Issue struct{ Number int } }
		}
		if err := json.Unmarshal(w.Body.Bytes(), &row); err != nil || row.Topic != string(m.Topic) || row.Msg.Issue.Number != 7 {
			t.Errorf("/id = %s (%v)", w.Body, err)
		}
	})
}

// fedmsg's own consumers ask for what they missed, page by page, and check each
// signature after they took away what datagrepper adds. A row must survive that.
func TestBacklogReplay(t *testing.T) {
	r := start(t)
	var want []string
	for i := range 25 {
		m := fedmsgtest.Message(i)
		want = append(want, m.ID)
		r.deliver(t, m)
	}
	var got []string
	for page, pages := 1, 1; page <= pages; page++ {
		a := r.ask(t, "/raw", url.Values{"order": {"asc"}, "rows_per_page": {"10"}, "page": {fmt.Sprint(page)}, "start": {"1767225600"}, "end": {"1767225700"}})
		pages = a.Pages
		for _, row := range a.Rows {
			got = append(got, row["msg_id"].(string))
			for _, added := range []string{"agent_name", "users", "packages"} { // by datanommer 1.x, which fedmsg did not know
				delete(row, added)
			}
			for _, name := range []string{"certificate", "signature", "crypto"} {
				if row[name] == nil {
					delete(row, name)
				}
			}
			text, err := json.Marshal(row)
			if err != nil {
				t.Fatal(err)
			}
			m, err := fedmsg.DecodeHistory(text)
			if err != nil {
				t.Fatal(err)
			}
			fixed, err := x509.FixDatagrepper(m)
			if err != nil {
				t.Fatal(err)
			}
			original, err := r.Find(t.Context(), m.ID)
			if err != nil {
				t.Fatal(err)
			}
			if a, b := string(fixed.AppendSigned(nil)), string(original.Message.AppendSigned(nil)); a != b {
				t.Errorf("what is signed became\n%s, was\n%s", a, b)
			}
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d messages in the order %v", len(got), got)
	}
}
