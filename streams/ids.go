package streams

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"midplane/event"
	"midplane/fault"
)

// EachID calls each for the message ids of a stream from one sequence on, in order and
// without the payloads, until it returns false or the stream ends; a message without an
// id has "". The consumer delivers to the connection's inbox: the control plane, which
// reaches the API under a secret prefix, cannot fetch.
func EachID(ctx context.Context, js jetstream.JetStream, stream string, from uint64, each func(seq uint64, id string) bool) error {
	sub, err := js.Conn().SubscribeSync(js.Conn().NewInbox())
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "read the ids of %s", stream)
	}
	defer sub.Unsubscribe() // the connection may be gone
	name := event.SystemPrefix + "ids-" + nuid.Next()
	ask, cancel := context.WithTimeout(ctx, createWithin)
	defer cancel()
	_, err = js.CreatePushConsumer(ask, stream, jetstream.ConsumerConfig{
		Name: name, DeliverSubject: sub.Subject, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: max(from, 1),
		AckPolicy: jetstream.AckNonePolicy, HeadersOnly: true, MemoryStorage: true, Replicas: 1, InactiveThreshold: inactive,
	})
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "read the ids of %s", stream)
	}
	defer func() { // the server drops it anyway
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = js.DeleteConsumer(ctx, stream, name)
	}()
	for taken := uint64(1); ; taken++ {
		next, cancel := context.WithTimeout(ctx, 2*beat)
		m, err := sub.NextMsgWithContext(next)
		cancel()
		if err != nil {
			return fault.Wrap(fault.Unavailable, err, "read the ids of %s", stream)
		}
		meta, err := m.Metadata()
		if err != nil {
			return fault.Wrap(fault.Unavailable, err, "a message without its place")
		}
		if meta.Sequence.Consumer != taken { // the client drops what it has no room for
			return fault.New(fault.Unavailable, "message %d of the consumer came in place of %d", meta.Sequence.Consumer, taken)
		}
		if !each(meta.Sequence.Stream, m.Header.Get(event.HeaderMsgID)) || meta.NumPending == 0 {
			return nil
		}
	}
}
