package harvest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	nethttp "net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// began is when the messages of peers begin.
var began = time.Date(2014, 5, 13, 10, 0, 0, 0, time.UTC)

// A said is a message of a peer.
type said struct {
	id string
	at time.Time
}

// A peer is a datagrepper that can be made to misbehave. Rows of equal times come in
// another order each time, as they do from a database.
type peer struct {
	all   []said
	fault func(p *peer, r *nethttp.Request, n int) *nethttp.Response // instead of an answer
	// What it does wrong in its answers.
	total      func(int) int
	most       int
	noPages    bool
	noTimes    bool
	noOrder    bool
	isWhole    bool // times have their fractions
	records    bool // in the shape of /v2/search
	extraBytes int  // in each row

	n       int // requests
	deepest int
	asked   []time.Time
	busy    atomic.Int32
	rng     *rand.Rand
}

func newPeer(count int) *peer {
	p := &peer{rng: rand.New(rand.NewPCG(7, uint64(count))), most: 100}
	at := began
	for i := range count {
		if i%7 != 0 { // some are sent in the same moment
			at = at.Add(time.Duration(p.rng.ExpFloat64() * float64(20*time.Second))).Truncate(time.Microsecond)
		}
		p.all = append(p.all, said{fmt.Sprintf("2014-%05d", i), at})
	}
	return p
}

// crowd adds messages of one moment.
func (p *peer) crowd(count int) *peer {
	at := p.all[len(p.all)/2].at
	for i := range count {
		p.all = append(p.all, said{fmt.Sprintf("2014-c%05d", i), at})
	}
	return p
}

func respond(status int, media, body string) *nethttp.Response {
	return &nethttp.Response{StatusCode: status, Status: fmt.Sprintf("%d %s", status, nethttp.StatusText(status)), Header: nethttp.Header{"Content-Type": {media}},
		Body: io.NopCloser(strings.NewReader(body)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
}

// RoundTrip answers a request.
func (p *peer) RoundTrip(r *nethttp.Request) (*nethttp.Response, error) {
	if p.busy.Add(1) > 1 {
		return nil, errors.New("several requests at once")
	}
	defer p.busy.Add(-1)
	p.n++
	p.asked = append(p.asked, time.Now())
	if p.fault != nil {
		if resp := p.fault(p, r, p.n); resp != nil {
			resp.Request = r
			return resp, nil
		}
	}
	resp := respond(200, "application/json; charset=utf-8", p.answer(r))
	resp.Request = r
	return resp, nil
}

func (p *peer) answer(r *nethttp.Request) string {
	number := func(name string) float64 { v, _ := strconv.ParseFloat(r.FormValue(name), 64); return v }
	seconds := func(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }
	page, rows := int(number("page")), min(int(number("rows_per_page")), p.most)
	p.deepest = max(p.deepest, page)
	if p.noPages {
		page = 1
	}
	var found []said
	order := p.rng.Perm(len(p.all))
	if p.noPages {
		slices.Sort(order)
	}
	for _, i := range order {
		if s := p.all[i]; p.noTimes || seconds(s.at) >= number("start") && seconds(s.at) <= number("end") {
			found = append(found, s)
		}
	}
	slices.SortStableFunc(found, func(a, b said) int { return a.at.Compare(b.at) })
	if r.FormValue("order") == "desc" || p.noOrder {
		slices.Reverse(found)
	}
	total := len(found)
	if p.total != nil {
		total = p.total(total)
	}
	found = found[min(len(found), (page-1)*rows):min(len(found), page*rows)]
	list := []map[string]any{}
	for _, s := range found {
		row := map[string]any{"msg_id": s.id, "topic": "org.example.a.b", "msg": map[string]any{"x": strings.Repeat("x", p.extraBytes)}, "timestamp": float64(s.at.Unix())}
		if p.isWhole {
			row["timestamp"] = seconds(s.at)
		}
		if p.records {
			row = map[string]any{"id": s.id, "topic": "org.example.a.b", "body": struct{}{}, "headers": map[string]any{"sent-at": s.at.Format("2006-01-02T15:04:05.000000+00:00")}}
		}
		list = append(list, row)
	}
	text, _ := json.Marshal(map[string]any{"raw_messages": list, "total": total, "count": len(list)})
	return string(text)
}

// A take notes what comes, and where to go on.
type take struct {
	t     *testing.T
	ids   map[string]int
	state string
	till  time.Time
	stop  func() error // breaks off
}

func (k *take) rows(_ string, rows [][]byte, state string, reached time.Time) error {
	if k.stop != nil {
		if err := k.stop(); err != nil {
			return err
		}
	}
	for _, text := range rows {
		var r struct {
			MsgID   string `json:"msg_id"`
			ID      string
			Message struct {
				MsgID string `json:"msg_id"`
			}
		}
		if err := json.Unmarshal(text, &r); err != nil {
			k.t.Fatalf("row %s: %v", text, err)
		}
		k.ids[cmp.Or(r.MsgID, r.ID, r.Message.MsgID)]++
	}
	if reached.Before(k.till) {
		k.t.Errorf("reached %s after %s", reached, k.till)
	}
	k.state, k.till = state, reached
	return nil
}

// harvest makes a harvest of what answers.
func harvest(t *testing.T, path string, from nethttp.RoundTripper, change func(*Config)) *Harvest {
	t.Helper()
	cfg := Config{URL: "http://peer.example" + path, Since: began.Add(-time.Hour), Until: began.Add(30 * 24 * time.Hour), Rate: 50}
	if change != nil {
		change(&cfg)
	}
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h.client.http.Transport = from
	return h
}

// through has a handler answer, in this process.
type through struct{ nethttp.Handler }

func (h through) RoundTrip(r *nethttp.Request) (*nethttp.Response, error) {
	w := &recorder{httptest.NewRecorder()}
	in := r.Clone(r.Context())
	in.RequestURI, in.RemoteAddr = r.URL.RequestURI(), "127.0.0.1:1"
	h.ServeHTTP(w, in)
	return w.Result(), nil
}

type recorder struct{ *httptest.ResponseRecorder }

func (recorder) SetWriteDeadline(time.Time) error { return nil }

// cut is a body that breaks off.
func cut(text string) io.ReadCloser {
	return io.NopCloser(io.MultiReader(bytes.NewReader([]byte(text[:len(text)/2])), broken{}))
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
