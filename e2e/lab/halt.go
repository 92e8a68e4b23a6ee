package lab

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/event"
	"midplane/subject"
)

// Halt puts a message that the server can store in no replica into EVENTS, past the
// door: it says which message must be the last, and that is not so. The stream applies
// nothing from then on.
type Halt struct{}

// Do halts.
func (Halt) Do(ctx context.Context, w *World) error {
	return w.behind(ctx, func(nc *nats.Conn, secret subject.Capability) error { return halt(ctx, w, nc, secret) })
}

// behind does f with a connection that may do everything in the tenant's account.
func (w *World) behind(ctx context.Context, f func(*nats.Conn, subject.Capability) error) error {
	raw, err := w.sys.Raw(ctx, tenant)
	if err != nil {
		return err
	}
	w.account = raw.Account
	nc, err := w.sys.Connect(raw.Creds, raw.User)
	if err == nil {
		err = f(nc, raw.Capability)
		nc.Close()
	}
	return errors.Join(err, raw.Close(ctx))
}

func halt(ctx context.Context, w *World, nc *nats.Conn, secret subject.Capability) error {
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	in := subject.In{Producer: "stranger", Kind: event.KindEvent, Severity: event.Info, Entity: "stranger", Type: event.TypeReachabilityChanged}
	m := &nats.Msg{Subject: secret.Subject(in.StoredAs("_")), Header: nats.Header{"Nats-Expected-Last-Msg-Id": {"never stored"}}, Data: []byte("{}")}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err = js.PublishMsg(ctx, m)
	w.note("put a wrong Nats-Expected-Last-Msg-Id into %s: %v", event.StreamEvents, err)
	if err == nil {
		return errors.New("it was stored")
	}
	if errors.Is(err, nats.ErrNoResponders) {
		return fmt.Errorf("it did not reach the stream: %w", err)
	}
	return nil
}
