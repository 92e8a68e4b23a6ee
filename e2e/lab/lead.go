package lab

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/event"
	"midplane/internal/wait"
	"midplane/streams"
	"midplane/subject"
)

// Lead makes a node the leader of the subscription's consumer: it is where its
// messages come from.
type Lead struct{ Who Who }

// Do moves the leadership. A node that has just started does not keep it before its
// replicas have been compared, so it is asked for again; the tenant's doors are open in
// between.
func (f Lead) Do(ctx context.Context, w *World) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	return w.each(ctx, f.Who, "let the subscription be led by", func(n string) error {
		return w.sys.Await(ctx, func(ctx context.Context) error {
			return w.behind(ctx, func(nc *nats.Conn, secret subject.Capability) error { return lead(ctx, nc, secret, n) })
		})
	})
}

// lead asks for a leader until there is one, and reports an error when it is another.
func lead(ctx context.Context, nc *nats.Conn, secret subject.Capability, node string) error {
	js, err := jetstream.NewWithAPIPrefix(nc, secret.API())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	name := streams.DurableName(application, subscribed)
	var leader string
	for range 5 {
		c, err := js.Consumer(ctx, event.StreamEvents, name)
		if err != nil {
			return err
		}
		if leader = c.CachedInfo().Cluster.Leader; leader == node {
			return nil
		}
		if _, err := nc.RequestWithContext(ctx, secret.API()+".CONSUMER.LEADER.STEPDOWN."+event.StreamEvents+"."+name, fmt.Appendf(nil, `{"placement":{"preferred":%q}}`, node)); err != nil {
			return err
		}
		if err := wait.For(ctx, 500*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("%s leads, not %s", leader, node)
}
