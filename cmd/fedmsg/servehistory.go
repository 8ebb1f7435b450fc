package main

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/bus"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/past"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/shelves"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/watch"
	"github.com/fedora-infra/fedmsg-go/http"
	"github.com/fedora-infra/fedmsg-go/http/feed"
	"github.com/fedora-infra/fedmsg-go/http/grepper"
	"github.com/fedora-infra/fedmsg-go/http/history"
	"github.com/fedora-infra/fedmsg-go/http/web"
)

// archivePump is the name under which the archive's cursor is kept.
const archivePump = "archive"

// buildArchive makes the archive and what feeds it. An archive that cannot be opened
// does not stop the bus, but one of a newer version does: it would be left behind
// for as long as this version runs.
func (p *parts) buildArchive(ctx context.Context) error {
	where := p.cfg.archive()
	if where == "" {
		return nil
	}
	opener := shelves.Opener{PasswordFile: p.cfg.Archive.PasswordFile, Logger: p.logger}
	p.archive = past.NewKeeper(ctx, func(ctx context.Context, epoch string) (past.Opened, error) {
		return opener.Open(ctx, where, epoch, p.words)
	}, p.window, p.logger)
	if err := p.archive.Problem(); isNewer(err) {
		return err
	}
	pump, err := bus.NewPump(bus.PumpConfig{Name: archivePump, RetryMax: time.Minute}, p.window, p.archive.Cursors(p.log), p.archive, p.logger)
	if err != nil {
		return errors.Join(err, p.archive.Close())
	}
	p.meters = append(p.meters, p.archive, pump)
	p.sinks = append(p.sinks, pump)
	return nil
}

// buildPages adds to the HTTP edge what shows history. Who adds a room makes it here,
// and adds its routes.
func (p *parts) buildPages(cfg *http.Config) error {
	if p.archive == nil {
		return nil
	}
	cfg.Older, cfg.Degraded = p.archive, p.archive.Degraded
	api, err := history.New(history.Config{Archive: p.archive, Log: p.reader(), Also: p.named.Described(), Describer: p.words}, p.logger)
	if err != nil {
		return err
	}
	old, err := grepper.New(grepper.Config{Archive: p.archive, Counter: p.archive, Describer: p.words, Version: readVersion().Version, History: "/history", Message: "/messages/"}, p.logger)
	if err != nil {
		return err
	}
	feeds, err := feed.New(feed.Config{Archive: p.archive, Describer: p.words, HistoryPath: "/history", MessagePath: "/messages/"}, p.logger)
	if err != nil {
		return err
	}
	status := watch.New(measured{p}, nil)
	pages, err := web.New(web.Config{Archive: p.archive, Counter: p.archive, Describer: p.words, Status: func(context.Context) (parts []web.Part) {
		for _, w := range status.Parts() {
			parts = append(parts, web.Part{Name: w.Name, Kind: web.Kind(w.Kind), State: web.State(w.State), Word: w.Word, Figure: w.Figure, Since: w.Since, Rate: w.Rate})
		}
		return parts
	}}, p.logger)
	if err != nil {
		return err
	}
	cfg.Search, cfg.Front = api.SearchHandler(), pages.Front()
	cfg.Routes = append(cfg.Routes, api.Routes, old.Routes, feeds.Routes, pages.Routes)
	return nil
}

// measured is all that is measured of a bus, its HTTP edge too.
type measured struct{ *parts }

func (m measured) Samples() iter.Seq[fedmsg.Sample] {
	if m.web == nil {
		return m.meters.Samples()
	}
	return append(slices.Clip(m.meters), m.web).Samples()
}

// A tiered log can be read from where the archive begins.
type tiered interface {
	fedmsg.Reader
	Page(ctx context.Context, after fedmsg.Seq, limit int, want ...fedmsg.Pattern) ([]fedmsg.Entry, fedmsg.Seq, error)
	State(ctx context.Context) (fedmsg.LogState, error)
}

// reader is what readers over HTTP follow.
func (p *parts) reader() tiered {
	if p.archive == nil {
		return p.window
	}
	return bus.NewTiered(p.window, p.archive)
}

// archiveStage is what runs until everything that delivers or asks has ended.
func (p *parts) archiveStage() bus.Stage {
	s := bus.Stage{Name: "archive", Grace: 20 * time.Second}
	if p.archive != nil {
		s.Runners = append(s.Runners, p.archive)
	}
	return s
}
