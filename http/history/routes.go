package history

import (
	"context"
	"errors"
	nethttp "net/http"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http"
	"github.com/fedora-infra/fedmsg-go/http/limit"
	"github.com/fedora-infra/fedmsg-go/http/route"
)

// Routes adds all routes but the search, whose path has more than one meaning; see
// [API.Search].
func (a *API) Routes(mux *nethttp.ServeMux) { a.set.Mount(mux) }

// Search answers GET /api/v1/messages where it asks for history; it is for
// http.Config.Search.
func (a *API) Search(w nethttp.ResponseWriter, r *nethttp.Request) { a.set.Handler(searchPath)(w, r) }

// SearchHandler is [API.Search] as a handler.
func (a *API) SearchHandler() nethttp.Handler { return nethttp.HandlerFunc(a.Search) }

// describe answers with the description of the interface.
func (a *API) describe(context.Context, *route.Request) (*route.Answer, error) {
	return &route.Answer{Body: a.spec}, nil
}

// place takes a place for what lasts; leave gives it back.
func place(places *limit.Places, r *nethttp.Request) (leave func(), err error) {
	addr := limit.Peer(r)
	if addr.IsLoopback() {
		return func() {}, nil
	}
	return places.Take(addr)
}

// refusal says in the words of the interface what an archive means by an error.
func refusal(err error) error {
	r, isRefusal := errors.AsType[*fedmsg.Refusal](err)
	switch {
	case isRefusal && r.Field == "cursor":
		return &fedmsg.HintError{Err: fedmsg.RefuseField(http.BadQuery, "cursor", "parameter cursor: %s", r.Detail),
			Hint: "give it with the query of the answer that it comes from; so long ago is another time by now"}
	case isRefusal:
		return err
	case errors.Is(err, context.DeadlineExceeded):
		return fedmsg.Refuse(http.QueryTimeout, "the archive did not find the answer in time; ask for less time, or for less at once")
	case errors.Is(err, fedmsg.ErrUnavailable):
		return fedmsg.Refuse(fedmsg.LogUnavailable, "the archive cannot be asked now; try again")
	}
	return err
}
