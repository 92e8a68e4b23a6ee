package poller

import (
	"context"
	"log/slog"

	"github.com/nats-io/nats.go"
)

// line runs the control channel over one connection at a time. A hint that
// comes between two is not missed: the first thing over the new one is to ask.
type line struct {
	ctx context.Context
	run func(context.Context, *nats.Conn) error
	log *slog.Logger

	end  context.CancelFunc
	done chan struct{}
}

// over begins anew over nc.
func (l *line) over(nc *nats.Conn) {
	l.stop()
	ctx, end := context.WithCancel(l.ctx)
	l.end, l.done = end, make(chan struct{})
	go func(done chan struct{}) {
		defer close(done)
		if err := l.run(ctx, nc); err != nil && ctx.Err() == nil {
			l.log.Error("the control channel ended", "error", err)
		}
	}(l.done)
}

// stop ends it and waits until it has.
func (l *line) stop() {
	if l.end == nil {
		return
	}
	l.end()
	<-l.done
}
