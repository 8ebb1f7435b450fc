package main

import (
	"context"

	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/watch"
	"github.com/fedora-infra/fedmsg-go/http/websocket"
)

// buildSockets makes what browsers of old read, and its port if it has one of its own.
func (p *parts) buildSockets(context.Context) error {
	p.sockets = websocket.New(websocket.Config{}, p.reader(), p.logger)
	p.meters = append(p.meters, p.sockets)
	addr := p.cfg.WebsocketAddr()
	if addr == "" {
		return nil
	}
	own, err := websocket.Listen(addr, p.sockets)
	if err != nil {
		return err
	}
	p.bound["websocket"] = own.Addr()
	p.sources = append(p.sources, own)
	return nil
}

// buildMonitoring makes the socket on which hubs reported on themselves.
func (p *parts) buildMonitoring(context.Context) error {
	if p.cfg.MonitoringSocket == "" {
		return nil
	}
	reporter, err := watch.NewReporter(watch.ReporterConfig{Addr: p.cfg.MonitoringSocket, Mode: p.cfg.MonitoringMode, Sources: p.ways()}, measured{p}, p.logger)
	if err != nil {
		return configError{err}
	}
	p.bound["monitoring"] = reporter.Addr()
	p.sinks = append(p.sinks, reporter)
	return nil
}

// ways are the ways in, as they count what they receive.
func (p *parts) ways() (names []string) {
	if p.bound["relay_inbound"] != nil {
		names = append(names, "zmq")
	}
	if p.web != nil {
		names = append(names, "http")
	}
	return names
}
