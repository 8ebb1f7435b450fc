package readers

import (
	"context"
	"errors"
	"io"
	nethttp "net/http"
	"slices"
	"strconv"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http"
	"github.com/fedora-infra/fedmsg-go/http/limit"
	"github.com/fedora-infra/fedmsg-go/http/route"
)

// Wish is what is wanted of a reader.
type Wish struct {
	// Topics are patterns, and Query a search line; both must fit. Default: everything.
	Topics []fedmsg.Pattern `json:"topics,omitempty"`
	Query  string           `json:"query,omitempty"`
	// From is where a reader begins that is not there yet: now, begin, a place, a time
	// such as 2026-11-24T10:00:00Z, or id: and the ID of the message behind which it
	// begins. Default: now.
	From string `json:"from,omitempty"`
}

// Ack says how far an instance is. One without a Seq keeps the lease.
type Ack struct {
	Instance string     `json:"instance"`
	Turn     string     `json:"turn"`
	Seq      fedmsg.Seq `json:"seq,omitempty"`
	// Release gives the reader back, so that another instance gets it at once.
	Release bool `json:"release,omitempty"`
}

// GiveUp says that an instance could not deal with a message.
type GiveUp struct {
	Instance string     `json:"instance"`
	Turn     string     `json:"turn"`
	Seq      fedmsg.Seq `json:"seq"`
	Reason   string     `json:"reason"`
	Tries    int        `json:"tries"`
}

// Reader tells how a reader is.
type Reader struct {
	Name   string           `json:"name"`
	Topics []fedmsg.Pattern `json:"topics"`
	Query  string           `json:"query"`
	Owner  string           `json:"owner"`
	At     fedmsg.Seq       `json:"at"`
	Lag    uint64           `json:"lag"`
	// Instance works for it until Until, if it is not heard of again.
	Instance string    `json:"instance"`
	Until    time.Time `json:"until,omitzero"`
	Made     time.Time `json:"made"`
	Seen     time.Time `json:"seen,omitzero"`
	// Away says that nobody worked for it for long.
	Away      bool   `json:"away"`
	Delivered uint64 `json:"delivered"`
	Gaps      uint64 `json:"gaps"`
	Dead      int    `json:"dead"`
}

const (
	listPath   = "/api/v1/readers"
	readerPath = listPath + "/{name}"
	deadPath   = readerPath + "/dead"
	letterPath = deadPath + "/{seq}"
)

// Fields of a reader, for the description.
const tells = "name topics query owner at lag instance until made seen away delivered gaps dead"

// Rates hold an address to some requests a second; who connects from this machine is
// not counted.
const (
	rate  = 50
	burst = 200
)

func (a *API) routes() *route.Set {
	instance := route.Param{Name: "instance", About: "which of the programs that may work for this reader asks: a name that no other has"}
	return &route.Set{Now: a.cfg.Now, Timeout: 12 * time.Second, Rates: limit.NewRates(rate, burst), Refusal: func(err error) error { return err }, Routes: []route.Route{
		{Path: listPath, About: "All readers that the asker may see, and how they are", Tells: "readers", Serve: a.list},
		{Path: readerPath, About: "How a reader is", Tells: tells, Serve: a.with(a.show)},
		{Path: readerPath, Method: "PUT", About: "Make a reader, or change what it wants; its place stays then", Tells: tells, Serve: a.put},
		{Path: readerPath, Method: "DELETE", About: "Forget a reader, and its dead letters", Serve: a.with(a.remove)},
		{Path: readerPath + "/next", About: "What comes next for a reader; the asker works for it from now on, if nobody else does", Tells: "turn at next lag messages retries gap lease", Serve: a.with(a.serveNext),
			Params: []route.Param{instance,
				{Name: "turn", About: "that of the answer before; without one all that was not acknowledged comes again"},
				{Name: "after", Kind: route.Whole, Low: 0, High: 1<<62 - 1, Preset: "0", About: "next of the answer before: what has not been given in this turn yet"},
				{Name: "limit", Kind: route.Whole, Low: 1, High: maxLimit, Preset: "100", About: "how many messages at most"},
				{Name: "wait", Kind: route.Whole, Low: 0, High: int(maxWait / time.Second), Preset: "0", About: "how long to wait for a message, in seconds"}}},
		{Path: readerPath + "/ack", Method: "POST", About: "Move the place of a reader behind what is done, in whole; or keep or give back the lease", Tells: "at lag", Serve: a.with(a.serveAck)},
		{Path: readerPath + "/seek", Method: "POST", About: "Put a reader somewhere else: now, begin, a place, a time, or id: and the ID of a message", Tells: tells, Serve: a.with(a.serveSeek)},
		{Path: deadPath, About: "Messages that a reader gave up, and why", Tells: "dead", Serve: a.with(a.listDead)},
		{Path: deadPath, Method: "POST", About: "Give a message up", Status: "204", Serve: a.with(a.serveGiveUp)},
		{Path: letterPath, Method: "POST", About: "Have a message tried again that was given up", Status: "204", Serve: a.with(a.serveRetry)},
		{Path: letterPath, Method: "DELETE", About: "Drop a message that was given up", Status: "204", Serve: a.with(a.serveDrop)},
	}}
}

// Mount adds the routes; it is for http.Config.Routes.
func (a *API) Mount(mux *nethttp.ServeMux) { a.set.Mount(mux) }

// Described returns the routes, to be described with those of others.
func (a *API) Described() []route.Route { return a.set.Routes }

// mayUse returns a refusal unless who asks may work for r.
func mayUse(c http.Caller, r *reader) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.Admin || r.Owner == "" || r.Owner == c.Identity {
		return nil
	}
	return fedmsg.Refuse(fedmsg.NotAuthorized, "reader %s belongs to %s", r.name, r.Owner)
}

// with finds the reader of a request, and who asks.
func (a *API) with(do func(nethttp.ResponseWriter, *route.Request, http.Caller, *reader) error) func(nethttp.ResponseWriter, *route.Request) error {
	return func(w nethttp.ResponseWriter, r *route.Request) error {
		c, err := caller(w, r)
		if err != nil {
			return err
		}
		found, err := a.find(r.PathValue("name"))
		if err != nil {
			return err
		}
		if err := mayUse(c, found); err != nil {
			return err
		}
		return do(w, r, c, found)
	}
}

// caller finds out who asks. Readers are nobody else's business, so no page of another
// site may read an answer.
func caller(w nethttp.ResponseWriter, r *route.Request) (http.Caller, error) {
	w.Header().Del("Access-Control-Allow-Origin")
	return http.CallerOf(r.Request)
}

// maxBody bounds what is sent here, in bytes.
const maxBody = 64 << 10

// read reads a body of JSON into v.
func read(r *route.Request, v any) error {
	body, err := io.ReadAll(nethttp.MaxBytesReader(nil, r.Body, maxBody))
	if _, long := errors.AsType[*nethttp.MaxBytesError](err); long {
		return fedmsg.Refuse(fedmsg.TooLarge, "the body has more than %d bytes", maxBody)
	}
	if err == nil {
		err = strict(body, v)
	}
	if err != nil {
		return fedmsg.RefuseField(fedmsg.BadField, "body", "is not the JSON that is wanted: %.200s", err.Error())
	}
	return nil
}

func write(w nethttp.ResponseWriter, status int, v any) error {
	body := append(route.JSON(v), '\n')
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // if the peer is gone, nobody is left to tell
	return nil
}

func done(w nethttp.ResponseWriter) error {
	w.WriteHeader(nethttp.StatusNoContent)
	return nil
}

// tell says how a reader is.
func (a *API) tell(r *reader) Reader {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := Reader{Name: r.name, Topics: r.Topics, Query: r.Query, Owner: r.Owner, At: r.At, Lag: a.lag(r), Made: r.Made, Seen: r.Seen,
		Away: a.isAway(r), Delivered: r.Delivered, Gaps: r.Gaps, Dead: len(r.dead)}
	if t.Topics == nil {
		t.Topics = []fedmsg.Pattern{}
	}
	if a.cfg.Now().Before(r.until) {
		t.Instance, t.Until = r.holder, r.until.UTC()
	}
	return t
}

func (a *API) list(w nethttp.ResponseWriter, r *route.Request) error {
	c, err := caller(w, r)
	if err != nil {
		return err
	}
	list := []Reader{}
	for _, found := range a.all() {
		if mayUse(c, found) == nil {
			list = append(list, a.tell(found))
		}
	}
	return write(w, nethttp.StatusOK, map[string]any{"readers": list})
}

func (a *API) show(w nethttp.ResponseWriter, _ *route.Request, _ http.Caller, found *reader) error {
	return write(w, nethttp.StatusOK, a.tell(found))
}

func (a *API) put(w nethttp.ResponseWriter, r *route.Request) error {
	c, err := caller(w, r)
	if err != nil {
		return err
	}
	var wish Wish
	if err := read(r, &wish); err != nil {
		return err
	}
	found, isNew, err := a.make(r.Context(), r.PathValue("name"), c, wish)
	if err != nil {
		return err
	}
	status := nethttp.StatusOK
	if isNew {
		status = nethttp.StatusCreated
	}
	return write(w, status, a.tell(found))
}

func (a *API) remove(w nethttp.ResponseWriter, r *route.Request, _ http.Caller, found *reader) error {
	if err := a.forget(r.Context(), found); err != nil {
		return err
	}
	return done(w)
}

func (a *API) serveNext(w nethttp.ResponseWriter, r *route.Request, c http.Caller, found *reader) error {
	instance := r.Text("instance")
	if err := checkName("instance", instance); err != nil {
		return err
	}
	wait := time.Duration(r.Number("wait")) * time.Second
	_ = nethttp.NewResponseController(w).SetWriteDeadline(time.Now().Add(wait + 30*time.Second)) // it can
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	go func() {
		select {
		case <-http.Stopping(r.Request):
			cancel()
		case <-ctx.Done():
		}
	}()
	b, err := a.next(ctx, found, asked{instance: instance, turn: r.Text("turn"), after: fedmsg.Seq(r.Number("after")), limit: r.Number("limit"), wait: wait, may: c.Read})
	if err != nil {
		return err
	}
	return write(w, nethttp.StatusOK, b)
}

func (a *API) serveAck(w nethttp.ResponseWriter, r *route.Request, _ http.Caller, found *reader) error {
	var in Ack
	err := read(r, &in)
	if err == nil {
		err = checkName("instance", in.Instance)
	}
	if err == nil {
		err = a.ack(r.Context(), found, in)
	}
	if err != nil {
		return err
	}
	t := a.tell(found)
	return write(w, nethttp.StatusOK, map[string]any{"at": t.At, "lag": t.Lag})
}

func (a *API) serveSeek(w nethttp.ResponseWriter, r *route.Request, _ http.Caller, found *reader) error {
	var in struct {
		To string `json:"to"`
	}
	err := read(r, &in)
	if err == nil && in.To == "" {
		err = fedmsg.RefuseField(fedmsg.BadField, "to", "is missing")
	}
	if err == nil {
		err = a.seek(r.Context(), found, in.To)
	}
	if err != nil {
		return err
	}
	return write(w, nethttp.StatusOK, a.tell(found))
}

func (a *API) listDead(w nethttp.ResponseWriter, _ *route.Request, _ http.Caller, found *reader) error {
	found.mu.Lock()
	letters := slices.Clone(found.letters())
	found.mu.Unlock()
	if letters == nil {
		letters = []*Letter{}
	}
	return write(w, nethttp.StatusOK, map[string]any{"dead": letters})
}

func (a *API) serveGiveUp(w nethttp.ResponseWriter, r *route.Request, _ http.Caller, found *reader) error {
	var in GiveUp
	err := read(r, &in)
	if err == nil {
		err = checkName("instance", in.Instance)
	}
	if err == nil && (in.Tries < 1 || in.Tries > 1<<20) {
		err = fedmsg.RefuseField(fedmsg.BadField, "tries", "must be from 1 to %d, is %d", 1<<20, in.Tries)
	}
	if err == nil {
		err = a.giveUp(r.Context(), found, in)
	}
	if err != nil {
		return err
	}
	return done(w)
}

func (a *API) serveRetry(w nethttp.ResponseWriter, r *route.Request, _ http.Caller, found *reader) error {
	seq, err := strconv.ParseUint(r.PathValue("seq"), 10, 63)
	if err != nil {
		return fedmsg.ErrNotFound
	}
	if err := a.retry(r.Context(), found, fedmsg.Seq(seq)); err != nil {
		return err
	}
	return done(w)
}

func (a *API) serveDrop(w nethttp.ResponseWriter, r *route.Request, _ http.Caller, found *reader) error {
	seq, err := strconv.ParseUint(r.PathValue("seq"), 10, 63)
	if err != nil {
		return fedmsg.ErrNotFound
	}
	if err := a.drop(r.Context(), found, fedmsg.Seq(seq)); err != nil {
		return err
	}
	return done(w)
}
