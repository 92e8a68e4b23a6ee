package channel

import (
	"context"
	"log/slog"

	"github.com/nats-io/nats.go"

	"midplane/api"
)

// Line runs the channel over one connection at a time, and moves it when the
// credentials were renewed. A hint that comes between two is not missed: the first
// thing over the new one is to ask.
type Line struct {
	ctx context.Context
	run func(context.Context, *nats.Conn) error
	log *slog.Logger

	end  context.CancelFunc
	done chan struct{}
}

// Line returns a line that has no connection yet. It ends with ctx, or by Stop.
func (c *Channel) Line(ctx context.Context, status func() api.PollerReport) *Line {
	return &Line{ctx: ctx, log: c.log, run: func(ctx context.Context, nc *nats.Conn) error { return c.Run(ctx, nc, status) }}
}

// Over ends the channel over the connection before, and begins it over nc.
func (l *Line) Over(nc *nats.Conn) {
	l.Stop()
	ctx, end := context.WithCancel(l.ctx)
	l.end, l.done = end, make(chan struct{})
	go func(done chan struct{}) {
		defer close(done)
		if err := l.run(ctx, nc); err != nil && ctx.Err() == nil {
			l.log.Error("the control channel ended", "error", err)
		}
	}(l.done)
}

// Stop ends it and waits until it has.
func (l *Line) Stop() {
	if l.end == nil {
		return
	}
	l.end()
	<-l.done
}
