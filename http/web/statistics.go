package web

import (
	"context"
	"errors"
	"html/template"
	nethttp "net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/fedora-infra/fedmsg-go/http/chart"
	"github.com/fedora-infra/fedmsg-go/http/web/figure"
)

// Widths of charts, in pixels: on a page, and on one for a small screen.
const (
	wideChart   = 880
	narrowChart = 340
)

// maxName is the longest name that statistics can be asked of, in bytes.
const maxName = 200

// statisticsPage is what the history adds up to.
type statisticsPage struct {
	figure.Subject
	Figures []shown
	Periods []period
	Total   int64 // messages in the period
	Failed  bool  // some figure could not be made
}

type period struct {
	Days    int
	Text    string
	Address string
	Chosen  bool
}

// A shown figure is one on a page.
type shown struct {
	figure.Figure
	Query string // the parameters of its address, after the ?
}

// shorts are what figures are called where there is little room.
var shorts = map[string]string{
	"volume": "messages over time", "weeks": "this week and the last", "contributors": "active people", "comings": "who came, who went", "cohorts": "who comes back",
	"services": "services", "users": "people", "packages": "packages", "topics": "topics", "tail": "the long tail", "silent": "silent services", "calendar": "day by day",
}

// Short is what the figure is called where there is little room.
func (f shown) Short() string { return shorts[f.Name] }

// Picture is the chart for a page.
func (f shown) Picture() template.HTML { return template.HTML(f.SVG(wideChart, true)) }

// Address is where the figure is, as a file with this suffix.
func (f shown) Address(suffix string) string {
	address := "/statistics/" + f.Name + suffix
	if f.Query != "" {
		address += "?" + f.Query
	}
	return address
}

// Narrow is the chart for a small screen, where the page has the title.
func (f shown) Narrow() string {
	and := "?"
	if f.Query != "" {
		and = "&"
	}
	return f.Address(".svg") + and + "title=no&width=" + strconv.Itoa(narrowChart)
}

// readSubject reads whose statistics are wanted; ok is false if that cannot be.
func readSubject(values url.Values) (s figure.Subject, ok bool) {
	s = figure.Subject{Days: 30, User: values.Get("user"), Package: values.Get("package")}
	if text := values.Get("days"); text != "" {
		s.Days, _ = strconv.Atoi(text) // 0 is none of them
	}
	known := slices.Contains(figure.Spans, s.Days) && len(s.User) <= maxName && len(s.Package) <= maxName
	return s, known && (s.User+s.Package == "" || s.Line() != "")
}

// parameters are a subject as parameters.
func parameters(s figure.Subject) string {
	values := url.Values{}
	if s.Days != 30 {
		values.Set("days", strconv.Itoa(s.Days))
	}
	if s.User != "" {
		values.Set("user", s.User)
	}
	if s.Package != "" {
		values.Set("package", s.Package)
	}
	return values.Encode()
}

var badSubject = problem{What: "There are no such statistics.", Hint: "The days are 7, 30, 90 or 365; user and package are names."}

func (p *Pages) statistics(w nethttp.ResponseWriter, r *nethttp.Request) {
	s, ok := readSubject(r.URL.Query())
	if !ok {
		p.fail(w, r, nethttp.StatusBadRequest, badSubject)
		return
	}
	page := statisticsPage{Subject: s}
	for _, days := range figure.Spans {
		other := s
		other.Days = days
		to := "/statistics"
		if q := parameters(other); q != "" {
			to += "?" + q
		}
		page.Periods = append(page.Periods, period{days, strings.TrimPrefix(other.Period(), "last "), to, days == s.Days})
	}
	names := []string{"volume", "weeks", "contributors", "comings", "cohorts", "services", "users", "packages", "topics", "tail", "silent"}
	if s.Line() != "" {
		names = []string{"calendar", "volume", "weeks", "services", "users", "packages", "topics"}
	}
	page.Figures = p.figures(r.Context(), names, s, &page.Failed)
	for _, f := range page.Figures {
		if f.Name == "volume" {
			for _, series := range f.Chart.Series {
				for _, v := range series.Values {
					page.Total += int64(v)
				}
			}
		}
	}
	p.show(w, r, nethttp.StatusOK, "statistics", view{Title: "Statistics" + s.Of(), Tab: "Statistics", Page: page})
}

// figures makes figures side by side; those that cannot be made are left out.
func (p *Pages) figures(ctx context.Context, names []string, s figure.Subject, failed *bool) []shown {
	ctx, cancel := context.WithTimeout(ctx, 5*countTime)
	defer cancel()
	made := make([]shown, len(names))
	var all sync.WaitGroup
	var broken atomic.Bool
	for i, name := range names {
		all.Go(func() {
			f, err := p.maker.Make(ctx, name, s, false)
			if err != nil {
				p.logger.WarnContext(ctx, "no figure", "route", name, "err", err)
				broken.Store(true)
				return
			}
			made[i] = shown{f, parameters(s)}
		})
	}
	all.Wait()
	done := slices.DeleteFunc(made, func(f shown) bool { return len(f.Rows) == 0 })
	*failed = broken.Load()
	return done
}

// chart answers with one figure, as a file.
func (p *Pages) chart(w nethttp.ResponseWriter, r *nethttp.Request) {
	file := r.PathValue("chart")
	suffix := path.Ext(file)
	values := r.URL.Query()
	s, ok := readSubject(values)
	width, err := strconv.Atoi(values.Get("width"))
	if values.Get("width") == "" {
		width, err = wideChart, nil
	}
	if !ok || err != nil || width < 200 || width > 2000 {
		p.fail(w, r, nethttp.StatusBadRequest, badSubject)
		return
	}
	if suffix != ".svg" && suffix != ".csv" {
		p.fail(w, r, nethttp.StatusNotFound, badSubject)
		return
	}
	f, err := p.maker.Make(r.Context(), strings.TrimSuffix(file, suffix), s, width < narrowChart+100)
	if errors.Is(err, figure.ErrNone) {
		p.fail(w, r, nethttp.StatusNotFound, badSubject)
		return
	} else if err != nil {
		p.broken(w, r, err)
		return
	}
	f.Untitled = values.Get("title") == "no"
	h := w.Header()
	h.Set("Cache-Control", "public, max-age=60")
	h.Set("Access-Control-Allow-Origin", "*")
	if suffix == ".csv" {
		h.Set("Content-Type", "text/csv; charset=utf-8")
		h.Set("Content-Disposition", `attachment; filename="`+f.Name+`.csv"`)
		_, _ = w.Write(f.CSV()) // if the peer is gone, nobody is left to tell
		return
	}
	h.Set("Content-Type", "image/svg+xml")
	h.Set("Content-Security-Policy", chart.Policy())
	_, _ = w.Write(f.SVG(width, false)) // see above
}
