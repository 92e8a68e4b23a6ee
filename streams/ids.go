package streams

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"midplane/event"
	"midplane/fault"
)

const (
	idsBatch    = 1000
	idsWait     = 2 * time.Second
	idsInactive = 30 * time.Second // the server drops the consumer when its reader is gone
)

// EachID reads the message ids of a stream from one sequence on, in order, without the
// payloads, until each returns false or the stream ends. A message without an id has "".
func EachID(ctx context.Context, js jetstream.JetStream, stream string, from uint64, each func(seq uint64, id string) bool) error {
	name := event.SystemPrefix + "ids-" + nuid.Next()
	c, err := js.CreateConsumer(ctx, stream, jetstream.ConsumerConfig{Name: name, AckPolicy: jetstream.AckNonePolicy, HeadersOnly: true,
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: max(from, 1), InactiveThreshold: idsInactive, MemoryStorage: true, Replicas: 1})
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "read the ids of %s", stream)
	}
	defer func() { // the server drops it anyway
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = js.DeleteConsumer(ctx, stream, name)
	}()
	for ctx.Err() == nil {
		batch, err := c.Fetch(idsBatch, jetstream.FetchMaxWait(idsWait))
		if err != nil {
			return fault.Wrap(fault.Unavailable, err, "read the ids of %s", stream)
		}
		read := 0
		for m := range batch.Messages() {
			meta, err := m.Metadata()
			if err != nil {
				return fault.Wrap(fault.Unavailable, err, "a message without its place")
			}
			read++
			if !each(meta.Sequence.Stream, m.Headers().Get(event.HeaderMsgID)) {
				return nil
			}
			if meta.NumPending == 0 {
				return nil
			}
		}
		if err := batch.Error(); err != nil || read == 0 {
			return fault.Wrap(fault.Unavailable, err, "read the ids of %s", stream)
		}
	}
	return fault.Wrap(fault.Unavailable, ctx.Err(), "read the ids of %s", stream)
}
