package grepper_test

import (
	"context"
	"encoding/json"
	"io"
	nethttp "net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fedora-infra/fedmsg-go/bus"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/http"
	"github.com/fedora-infra/fedmsg-go/mem"
)

// A badCase is a line of http.jsonl.
type badCase struct {
	Name  string
	Input struct {
		Method  string
		Path    fedmsgtest.Text
		Headers map[string]fedmsgtest.Text
	}
	Must struct {
		Outcome, Code string
		Status        int
		StatusIn      []int             `json:"status_in"`
		ContentType   string            `json:"content_type"`
		Prefix        string            `json:"body_prefix"`
		Header        map[string]string `json:"header"`
		HeaderNot     string            `json:"header_must_not_contain"`
		Names         bool              `json:"detail_names_parameter"`
		MaxMs         int               `json:"max_ms"`
		Total         *int
	}
}

func (c badCase) concerns() bool {
	path := string(c.Input.Path)
	return slices.ContainsFunc([]string{"/raw", "/id", "/v2/", "/charts", "/messagecount", "/widget"}, func(p string) bool { return strings.HasPrefix(path, p) })
}

// serve puts the old interface behind a server as it is, and returns its address.
func serve(t *testing.T, r *rig) string {
	t.Helper()
	window, err := bus.NewWindow(t.Context(), bus.WindowConfig{}, mem.NewLog())
	if err != nil {
		t.Fatal(err)
	}
	gate, err := bus.NewGate(bus.GateConfig{}, window, nil)
	if err != nil {
		t.Fatal(err)
	}
	server, err := http.Listen(http.Config{Addr: "127.0.0.1:0", Routes: []func(*nethttp.ServeMux){func(m *nethttp.ServeMux) { m.Handle("/", r.mux) }}}, struct {
		*bus.Window
		*bus.Gate
	}{window, gate}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	t.Cleanup(func() {
		nethttp.DefaultClient.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	return "http://" + server.Addr()
}

func TestBadInputsGrepper(t *testing.T) {
	r := start(t)
	r.keep(t, time.Minute, "org.fedoraproject.prod.x.y", `{"s":"ten a_b % NEAR the word AND"}`)
	base := serve(t, r)
	cases := 0
	for _, c := range fedmsgtest.Rows[badCase](t, filepath.Join(fedmsgtest.BadInputDir(t), "http.jsonl")) {
		if !c.concerns() {
			continue
		}
		cases++
		t.Run(c.Name, func(t *testing.T) {
			req, err := nethttp.NewRequestWithContext(t.Context(), c.Input.Method, base+string(c.Input.Path), nil)
			if err != nil {
				t.Fatal(err)
			}
			for name, value := range c.Input.Headers {
				req.Header.Set(name, string(value))
			}
			began := time.Now()
			resp, err := nethttp.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); c.Must.MaxMs > 0 && took > time.Duration(c.Must.MaxMs)*time.Millisecond {
				t.Errorf("answered after %s, at most %d ms are allowed", took, c.Must.MaxMs)
			}
			c.check(t, resp, body)
		})
	}
	if cases < 25 {
		t.Errorf("only %d cases concern these paths", cases)
	}
}

func (c badCase) check(t *testing.T, resp *nethttp.Response, body []byte) {
	t.Helper()
	if c.Must.Status != 0 && resp.StatusCode != c.Must.Status || c.Must.StatusIn != nil && !slices.Contains(c.Must.StatusIn, resp.StatusCode) {
		t.Errorf("status %d: %.300s", resp.StatusCode, body)
	}
	var answer struct {
		Code, Detail, Field string
		Total               *int
	}
	isJSON := json.Unmarshal(body, &answer) == nil
	if resp.StatusCode >= 400 {
		if !isJSON || resp.Header.Get("Content-Type") != "application/problem+json" || c.Must.Code != "" && answer.Code != c.Must.Code {
			t.Errorf("problem %s as %s, want the code %q", body, resp.Header.Get("Content-Type"), c.Must.Code)
		}
		if c.Must.Names && (answer.Field == "" || !strings.Contains(c.parameters(), answer.Field) || !strings.Contains(answer.Detail, answer.Field)) {
			t.Errorf("the problem names %q in %q, which is not at fault", answer.Field, answer.Detail)
		}
	} else if c.Must.Total != nil && (answer.Total == nil || *answer.Total != *c.Must.Total) {
		t.Errorf("total is not %d: %s", *c.Must.Total, body)
	}
	if c.Must.ContentType != "" && resp.Header.Get("Content-Type") != c.Must.ContentType {
		t.Errorf("Content-Type %q, want %q", resp.Header.Get("Content-Type"), c.Must.ContentType)
	}
	if !strings.HasPrefix(string(body), c.Must.Prefix) {
		t.Errorf("the body begins %.40q, want %q", body, c.Must.Prefix)
	}
	for name, want := range c.Must.Header {
		if resp.Header.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, resp.Header.Get(name), want)
		}
	}
	for name, values := range resp.Header {
		if c.Must.HeaderNot != "" && strings.Contains(name+": "+strings.Join(values, " "), c.Must.HeaderNot) {
			t.Errorf("header %s: %q", name, values)
		}
	}
}

// parameters are what the case asks with.
func (c badCase) parameters() string {
	_, query, _ := strings.Cut(string(c.Input.Path), "?")
	return query
}

// Beside the list: what would be a fault of datagrepper's own, each refused by name,
// on each path that takes it.
func TestBadInputsParameters(t *testing.T) {
	r := start(t)
	for query, param := range map[string]string{
		"rows_per_page=101": "rows_per_page", "rows_per_page=": "rows_per_page", "rows_per_page=1e1": "rows_per_page", "rows_per_page=99999999999999999999": "rows_per_page",
		"page=10000001": "page", "page=1.0": "page", "order=ASC": "order", "meta=foo": "meta", "meta=subtitle,": "meta", "meta=": "meta",
		"delta=": "delta", "delta=abc": "delta", "delta=Inf": "delta", "user=": "user", "not_user=": "not_user", "user=%ff": "user", "contains=": "contains", "category=%00%ff": "category",
		"size=": "size", "chrome=": "chrome", "is_raw=2": "is_raw", "agent=" + strings.Repeat("a", 256): "agent",
	} {
		for _, path := range []string{"/raw", "/raw/", "/v2/search"} {
			w := r.get(t, path+"?"+query)
			if w.Code != 400 || !strings.Contains(w.Body.String(), `"code":"bad_query"`) || !strings.Contains(w.Body.String(), `"field":"`+param+`"`) {
				t.Errorf("%s?%s = %d %s, want a refusal of %s", path, query, w.Code, w.Body, param)
			}
		}
	}
	for query, status := range map[string]int{"": 400, "id=": 400, "id=x&chrome=maybe": 400, "id=x&size=9": 400, "id=x&meta=foo": 400, "id=x&is_raw=": 400,
		"id=%ff": 404, "id=../../etc": 404, "id=" + strings.Repeat("a", 10000): 404, "a=%zz": 400} {
		for _, path := range []string{"/id", "/v2/id"} {
			if w := r.get(t, path+"?"+query); w.Code != status || w.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s?%.40s = %d %s, want %d", path, query, w.Code, w.Body, status)
			}
		}
	}
}

// FuzzSearch: whatever is asked, the answer is JSON with a page, or a refusal.
func FuzzSearch(f *testing.F) {
	r := start(f)
	r.keep(f, time.Minute, "org.fedoraproject.prod.x.y", some)
	for _, seed := range []string{"user=a&page=2", "delta=1&start=2", "start=2026-11-22 12:00:00 01:00&contains=a-b", "end=1e9&rows_per_page=3&meta=date", "callback=a.b", "topic=*.#.>&not_topic=%00", "meta=usernames,packages&order=asc"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		for _, path := range []string{"/raw?", "/v2/search?", "/id?id=" + fedmsgtest.ID(0) + "&"} {
			req, err := nethttp.NewRequestWithContext(t.Context(), "GET", path+query, nil)
			if err != nil {
				return
			}
			w := &recorder{header: nethttp.Header{}, status: 200}
			r.mux.ServeHTTP(w, req)
			media := w.header.Get("Content-Type")
			switch {
			case w.status == 200 && media == "application/javascript" && strings.HasPrefix(string(w.body), "/**/"):
			case w.status == 200 && media == "application/json" && json.Valid(w.body):
			case w.status >= 400 && w.status < 500 && media == "application/problem+json" && json.Valid(w.body):
			default:
				t.Errorf("%s%q = %d %s %s", path, query, w.status, media, w.body)
			}
		}
	})
}

type recorder struct {
	header nethttp.Header
	status int
	body   []byte
}

func (r *recorder) Header() nethttp.Header { return r.header }
func (r *recorder) WriteHeader(status int) { r.status = status }
func (r *recorder) Write(b []byte) (int, error) {
	r.body = append(r.body, b...)
	return len(b), nil
}
