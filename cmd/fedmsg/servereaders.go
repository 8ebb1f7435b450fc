package main

import (
	"context"
	"errors"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http"
	"github.com/fedora-infra/fedmsg-go/http/readers"
)

// buildReaders adds named readers to the HTTP edge. They are kept in the log's file.
func (p *parts) buildReaders(ctx context.Context, cfg *http.Config) (err error) {
	p.named, err = readers.New(ctx, readers.Config{Log: p.reader(), Last: p.window.Last, Find: found{p}, Notes: p.log, Describer: p.words}, p.logger)
	if err != nil {
		return err
	}
	cfg.Routes = append(cfg.Routes, p.named.Mount)
	p.meters = append(p.meters, p.named)
	p.sinks = append(p.sinks, p.named)
	return nil
}

// found finds messages in the log, and in the archive if they are older.
type found struct{ *parts }

func (f found) Find(ctx context.Context, id string) (fedmsg.Entry, error) {
	e, err := f.window.Find(ctx, id)
	if f.archive != nil && errors.Is(err, fedmsg.ErrNotFound) {
		return f.archive.Find(ctx, id)
	}
	return e, err
}
