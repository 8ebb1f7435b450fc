package grepper

import (
	"bytes"
	"context"
	"embed"
	"html/template"
	nethttp "net/http"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// cards are a list for people, and the frame around it, which chrome=false leaves
// out.
var cards = template.Must(template.New("").Parse(`{{define "cards"}}{{range .Cards}}<li class="message-card"><time datetime="{{.At}}" title="{{.At}}">{{.Ago}}</time> {{if .Link}}<a href="{{.Link}}">{{.Sentence}}</a>{{else}}{{.Sentence}}{{end}} <a href="{{.JSON}}">{{.Topic}}</a></li>
{{end}}{{end}}{{define "page"}}<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>Messages</title>
<ul>
{{template "cards" .}}</ul>
{{if not .Cards}}<p>There are no such messages.</p>{{end}}{{if .History}}<p><a href="{{.History}}">Search the history</a></p>{{end}}
</html>
{{end}}`))

// A card is one message for people.
type card struct {
	At, Ago, Sentence, Link, Topic, JSON string
}

// list answers with messages as HTML.
func (g *Grepper) list(ctx context.Context, r *request, entries []fedmsg.Entry, chrome bool) (*answer, error) {
	var view struct {
		Cards   []card
		History string
	}
	view.History = g.cfg.History
	id := "id?id="
	if strings.HasSuffix(r.URL.Path, "/") {
		id = "../" + id
	}
	for _, e := range entries {
		words := g.cfg.Describer.Describe(ctx, e.Message)
		c := card{At: e.Message.Time.UTC().Format(time.RFC3339), Ago: ago(r.now.Sub(e.Message.Time)), Sentence: words.Subtitle,
			Topic: string(e.Message.Topic), JSON: id + template.URLQueryEscaper(e.Message.ID)}
		if strings.HasPrefix(words.Link, "https://") || strings.HasPrefix(words.Link, "http://") {
			c.Link = words.Link
		}
		view.Cards = append(view.Cards, c)
	}
	name := "page"
	if !chrome {
		name = "cards"
	}
	var b bytes.Buffer
	if err := cards.ExecuteTemplate(&b, name, view); err != nil {
		return nil, err
	}
	return &answer{media: "text/html; charset=utf-8", body: b.Bytes()}, nil
}

//go:embed widget.js widget.css
var assets embed.FS

// asset serves one of the files for pages of other sites.
func (g *Grepper) asset(name, media string) nethttp.HandlerFunc {
	return g.handler(func(context.Context, *request) (*answer, error) {
		text, err := assets.ReadFile(name)
		return &answer{media: media, body: text, fresh: 3600}, err
	})
}
