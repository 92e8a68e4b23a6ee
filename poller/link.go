package poller

import (
	"context"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"midplane/bus"
	"midplane/bus/renew"
	"midplane/poller/channel"
	"midplane/poller/forward"
	"midplane/poller/outbox"
)

// link connects to the cluster, once there are credentials, and keeps
// forwarding and the control channel going over each connection that a renewal of
// the credentials brings.
func (p *Poller) link(ctx context.Context, out *outbox.Outbox) error {
	if err := channel.AwaitCredentials(ctx, p.cfg.CredsFile, p.tel.Log); err != nil {
		return err
	}
	var f *forward.Forwarder
	line := p.channel.Line(ctx, p.report)
	defer line.Stop()
	conn, err := renew.Open(bus.Config{
		Servers: p.cfg.Servers, User: p.cfg.User, Name: "poller " + p.cfg.User,
		CredsFile: p.cfg.CredsFile, CAFile: p.cfg.CAFile,
	}, p.tel, func(nc *nats.Conn) error {
		if f == nil {
			f = forward.New(nc, p.cfg.User, out, p.pace, p.tel)
			p.forward.Store(f)
		} else if err := f.Attach(nc); err != nil {
			return err
		}
		line.Over(nc)
		return nil
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return f.Run(ctx) })
	g.Go(func() error { return conn.Run(ctx) })
	return g.Wait()
}
