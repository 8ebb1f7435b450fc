package web

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	nethttp "net/http"
	"net/url"
	"path"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http"
	"github.com/fedora-infra/fedmsg-go/http/chart"
	"github.com/fedora-infra/fedmsg-go/http/web/figure"
	"github.com/fedora-infra/fedmsg-go/http/web/profile"
)

//go:embed assets templates
var files embed.FS

// Config says what the pages show.
type Config struct {
	// Archive and Counter are the history: the same archive, as a rule.
	Archive fedmsg.Archive
	Counter fedmsg.Counter
	// Describer finds the words for messages.
	Describer fedmsg.Describer
	// Status tells how the parts of the bus are. Default: /status shows services
	// alone.
	Status func(context.Context) []Part
	// Name is what the bus is called. Default: "Message bus".
	Name string
	// URL is where the bus is reached, for what people copy: https://bus.example.org.
	// Default: as the request came.
	URL string
	// Now is the clock. Default: [time.Now].
	Now func() time.Time
}

// Pages answers requests for pages. [New] makes it.
type Pages struct {
	cfg       Config
	logger    *slog.Logger
	templates map[string]*template.Template
	assets    string // the path under which they are
	style     []byte
	pulses    figure.Kept[pulse]
	maker     *figure.Maker
	profiles  *profile.Maker
}

// New makes the pages. The error is of a Config in which something is missing.
func New(cfg Config, logger *slog.Logger) (*Pages, error) {
	if cfg.Archive == nil || cfg.Counter == nil || cfg.Describer == nil {
		return nil, errors.New("web: Archive, Counter and Describer are needed")
	}
	if cfg.URL != "" {
		if u, err := url.Parse(cfg.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, fmt.Errorf("web: url: %q is not http://HOST or https://HOST", cfg.URL)
		}
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Name = cmp.Or(cfg.Name, "Message bus")
	p := &Pages{cfg: cfg, logger: logger, templates: make(map[string]*template.Template),
		maker:    &figure.Maker{Archive: cfg.Archive, Counter: cfg.Counter, Now: cfg.Now},
		profiles: &profile.Maker{Counter: cfg.Counter, Now: cfg.Now}}
	style, err := files.ReadFile("assets/style.css")
	if err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	p.style = append([]byte(chart.Tokens()+chart.CSS()), style...)
	sum, err := checksum(files, "assets", p.style)
	if err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	p.assets = "/assets/" + sum + "/"
	for _, name := range []string{"live", "history", "message", "statistics", "topics", "status", "error"} {
		t, err := template.New("layout.html").Funcs(p.functions()).ParseFS(files, "templates/layout.html", "templates/parts.html", "templates/"+name+".html")
		if err != nil {
			return nil, fmt.Errorf("web: %w", err)
		}
		p.templates[name] = t
	}
	return p, nil
}

// checksum is of all files of a folder and of what is made of them.
func checksum(files fs.FS, dir string, made []byte) (string, error) {
	h := sha256.New()
	h.Write(made)
	err := fs.WalkDir(files, dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, name)
		fmt.Fprintf(h, "%s %d\n", name, len(text))
		h.Write(text)
		return err
	})
	return hex.EncodeToString(h.Sum(nil)[:6]), err
}

// Front answers GET /: what passes now.
func (p *Pages) Front() nethttp.Handler { return nethttp.HandlerFunc(p.live) }

// Routes adds all pages but the front page, which is [Pages.Front].
func (p *Pages) Routes(mux *nethttp.ServeMux) {
	for pattern, answer := range map[string]nethttp.HandlerFunc{
		"/history": p.history, "/messages/{id}": p.message, "/statistics": p.statistics, "/statistics/{chart}": p.chart, "/topics": p.topics,
		"/status": p.status, "/pulse": p.pulseJSON, p.assets + "{file}": p.asset,
	} {
		mux.HandleFunc("GET "+pattern, http.Packed(answer))
	}
	mux.HandleFunc("GET /favicon.ico", func(w nethttp.ResponseWriter, r *nethttp.Request) {
		nethttp.Redirect(w, r, p.assets+"icon.svg", nethttp.StatusFound)
	})
}

var mediaTypes = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

// asset answers with a file that never changes under its address.
func (p *Pages) asset(w nethttp.ResponseWriter, r *nethttp.Request) {
	name := r.PathValue("file")
	text, err := files.ReadFile("assets/" + name)
	if err != nil {
		p.fail(w, r, nethttp.StatusNotFound, problem{What: "There is no such file."})
		return
	}
	if name == "style.css" {
		text = p.style
	}
	w.Header().Set("Content-Type", mediaTypes[path.Ext(name)])
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(text) // if the peer is gone, nobody is left to tell
}

// A view is what every page is made of.
type view struct {
	Bus, Title, Tab string
	// Line is what stands in the search box.
	Line   string
	Range  string // of the choices beside it, on the page that has them
	Assets string
	Module string // a script beside the one of all pages
	Base   string // scheme and host
	Feed   string // the address of this page as a feed; empty if there is none
	Menu   *menu
	Listen []snippet
	Pulse  pulse
	Now    time.Time
	Page   any
}

// show answers with a page.
func (p *Pages) show(w nethttp.ResponseWriter, r *nethttp.Request, status int, name string, v view) {
	v.Bus, v.Assets, v.Now = p.cfg.Name, p.assets, p.cfg.Now()
	v.Base = p.base(r)
	v.Pulse = p.pulse(r.Context())
	var b bytes.Buffer
	if err := p.templates[name].ExecuteTemplate(&b, "layout.html", v); err != nil {
		p.logger.ErrorContext(r.Context(), "page not made", "route", r.Pattern, "err", err)
		nethttp.Error(w, "internal error", nethttp.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "private, no-cache")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // if the peer is gone, nobody is left to tell
}

// base is scheme and host for addresses that people copy.
func (p *Pages) base(r *nethttp.Request) string {
	if p.cfg.URL != "" {
		return strings.TrimSuffix(p.cfg.URL, "/")
	}
	scheme := "http"
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	if host := r.Host; host != "" && strings.Trim(host, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:[]") == "" {
		return scheme + "://" + host
	}
	return scheme + "://localhost" // others could end a quotation in what is copied
}

// A problem says what went wrong, and what to do.
type problem struct {
	What, Hint string
	// Line is what could not be read, in three parts: the fault is in the middle.
	Before, Fault, After string
}

// fail answers with a page that says what is wrong.
func (p *Pages) fail(w nethttp.ResponseWriter, r *nethttp.Request, status int, what problem) {
	p.show(w, r, status, "error", view{Title: nethttp.StatusText(status), Page: what})
}

// broken answers when the archive does not: the log has the reason.
func (p *Pages) broken(w nethttp.ResponseWriter, r *nethttp.Request, err error) {
	if r.Context().Err() != nil {
		return // nobody is there any more
	}
	p.logger.ErrorContext(r.Context(), "request failed", "route", r.Pattern, "err", err)
	w.Header().Set("Retry-After", "5")
	p.fail(w, r, nethttp.StatusServiceUnavailable, problem{What: "The archive does not answer right now.",
		Hint: "The bus goes on without it. Try again in a moment; the status page says more."})
}
