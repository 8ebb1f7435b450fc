package history_test

import (
	"encoding/json"
	nethttp "net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/fedora-infra/fedmsg-go/fedmsgtest/naive"
)

// fromOutside asks a handler from an address.
func fromOutside(h nethttp.Handler, path, addr string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", path, nil)
	r.RemoteAddr = addr
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// description is what the tests look at of an OpenAPI document.
type description struct {
	OpenAPI string
	Paths   map[string]map[string]struct {
		OperationID string
		Summary     string
		Parameters  []parameter
		Responses   map[string]struct {
			Content map[string]struct {
				Schema struct {
					Properties map[string]any
					Ref        string `json:"$ref"`
				}
			}
		}
	}
	Components struct{ Schemas map[string]any }
}

type parameter struct {
	Name, In, Description string
	Schema                struct {
		Type    string
		Enum    []string
		Default any
		Items   struct {
			Enum  []string
			AnyOf []any
		}
		Minimum, Maximum *int
	}
}

// value is one that the parameter takes.
func (p parameter) value() string {
	switch {
	case len(p.Schema.Enum) > 0:
		return p.Schema.Enum[len(p.Schema.Enum)-1]
	case len(p.Schema.Items.Enum) > 0:
		return p.Schema.Items.Enum[0]
	case p.Schema.Minimum != nil:
		return "2"
	case p.Name == "fields":
		return "seq"
	case strings.HasPrefix(strings.TrimPrefix(p.Name, "not_"), "topic"):
		return "bodhi.#"
	}
	switch p.Name {
	case "since":
		return "2026-03-01"
	case "until":
		return "2026-03-09"
	case "on":
		return "2026-03"
	case "after":
		return "2026-03-01"
	case "before":
		return "2026-03-09"
	case "order":
		return "newest"
	}
	return "x"
}

// The description has every route and parameter that is served, and no other; and
// what it tells of an answer is what comes.
func TestOpenAPIIsWhatIsServed(t *testing.T) {
	r := start(t, nil)
	entries := naive.NewRandom(9).Entries(50)
	r.deliver(t, entries)
	var d description
	r.ask(t, "/openapi.json", &d)
	if d.OpenAPI != "3.1.0" || len(d.Paths) < 18 {
		t.Fatalf("OpenAPI %s with %d paths", d.OpenAPI, len(d.Paths))
	}
	operations := make(map[string]string)
	for path, methods := range d.Paths {
		for method, op := range methods {
			if op.Summary == "" || op.OperationID == "" || operations[op.OperationID] != "" {
				t.Errorf("%s: summary %q, operation %q as %q has", path, op.Summary, op.OperationID, operations[op.OperationID])
			}
			operations[op.OperationID] = path
			if method != "get" {
				continue
			}
			at := r.url + strings.ReplaceAll(path, "{id}", entries[3].Message.ID)
			isSearch := path == "/api/v1/messages"
			var names []string
			for _, p := range op.Parameters {
				if p.In == "path" {
					continue
				}
				names = append(names, p.Name)
				values := url.Values{p.Name: {p.value()}}
				if isSearch && p.Name != "order" {
					values.Set("order", "newest") // else it may be the log that is asked
				}
				if path == "/api/v1/events" && p.Name == "after" {
					values.Set("after", "0") // a place, not a time
				}
				if status, body := head(t, at, values); p.Name != "cursor" && status != 200 || p.Name == "cursor" && !strings.Contains(body, `"none that`) && status != 400 {
					t.Errorf("%s?%s = %d %s, want 200", path, values.Encode(), status, body)
				}
				if p.Description == "" || p.Schema.Type == "" {
					t.Errorf("%s: parameter %s is described as %+v", path, p.Name, p)
				}
			}
			for _, unknown := range []string{"frobnicate", "callback", "rows_per_page", "q", "limit", "cursor", "since", "after", "format", "meta", "fields", "by", "step", "field"} {
				if !slices.Contains(names, unknown) {
					if status, body := head(t, at, url.Values{unknown: {"x"}}); status != 400 || !strings.Contains(body, unknown) {
						t.Errorf("%s?%s=x = %d %s, want 400: it is not described", path, unknown, status, body)
					}
				}
			}
			media, isJSON := op.Responses["200"].Content["application/json"]
			if !isJSON || len(media.Schema.Properties) == 0 || path == "/api/v1/events" {
				continue
			}
			var answer map[string]any
			query := ""
			if slices.Contains(names, "since") {
				query = "?since=2026-03-01&until=2026-03-09"
			}
			r.ask(t, at[len(r.url):]+query, &answer)
			for name := range answer {
				if media.Schema.Properties[name] == nil {
					t.Errorf("%s answers with %s, which is not described", path, name)
				}
			}
			for name := range media.Schema.Properties {
				if _, there := answer[name]; !there && name != "scanned_to" && name != "by" && !(isSearch && (name == "since" || name == "until")) {
					t.Errorf("%s answers without %s, which is described", path, name)
				}
			}
		}
	}
	// What the mux takes is described. It has no list of its own, so these are asked for.
	for _, path := range []string{"histogram", "facets", "topics", "terms", "stats/volume", "stats/active", "stats/top", "stats/calendar", "stats/compare",
		"stats/latest", "stats/cohorts", "export", "stream", "messages", "messages/{id}", "messages/{id}/neighbours", "events", "publish", "verify"} {
		if d.Paths["/api/v1/"+path] == nil {
			t.Errorf("/api/v1/%s is not described", path)
		}
	}
	for path := range d.Paths {
		a := r.get(t, strings.ReplaceAll(path, "{id}", entries[3].Message.ID)+"?frobnicate=1")
		if a.StatusCode != 400 && d.Paths[path]["get"].Summary != "" || !json.Valid(a.body) {
			t.Errorf("%s?frobnicate=1 = %s", path, a)
		}
	}
}

// head asks without reading an answer that may have no end.
func head(t *testing.T, at string, values url.Values) (status int, body string) {
	t.Helper()
	req, err := nethttp.NewRequestWithContext(t.Context(), "GET", at+"?"+values.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := nethttp.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		text := make([]byte, 2048)
		n, _ := resp.Body.Read(text)
		body = string(text[:n])
	}
	return resp.StatusCode, body
}
