package consume

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/bus"
	"midplane/event"
	"midplane/fault"
	"midplane/primary/fold"
	"midplane/streams"
	"midplane/subject"
)

// A primary may ask a stream for single messages, of its leader, and may make
// consumers; it may not ask for the stream's info, which shows the capability.

// get asks the leader of a stream for one message.
func get(ctx context.Context, nc *nats.Conn, stream string, req streams.Get) (*nats.Msg, uint64, time.Time, error) {
	// Short: a stream that is being made, or has no leader, never answers, and
	// the caller tries again.
	ctx, cancel := context.WithTimeout(ctx, 1500*time.Millisecond)
	defer cancel()
	got, err := streams.GetMessage(ctx, nc, stream, req)
	var refused *jetstream.APIError
	switch {
	case errors.Is(err, streams.ErrNoMessage):
		return nil, 0, time.Time{}, err
	case errors.As(err, &refused) && refused.ErrorCode == streams.CodeNoStream:
		return nil, 0, time.Time{}, fault.New(fault.NotFound, "there is no stream %s", stream)
	case refused != nil:
		return nil, 0, time.Time{}, fault.Wrap(fault.Unavailable, refused, "ask %s", stream)
	case err != nil:
		return nil, 0, time.Time{}, fault.WithHint(fault.Wrap(fault.Unavailable, err, "%s does not answer", stream), "it may have no leader; see: midplane get streams")
	}
	return &nats.Msg{Subject: got.Subject, Header: got.Header, Data: got.Data}, got.Sequence, got.Time, nil
}

func isNoMessage(err error) bool { return errors.Is(err, streams.ErrNoMessage) }

// extent asks the leader what it keeps.
func extent(ctx context.Context, nc *nats.Conn, js jetstream.JetStream, stream string, incarnation uint64) (fold.Extent, error) {
	_, last, _, err := get(ctx, nc, stream, streams.Get{Last: ">"})
	if errors.Is(err, streams.ErrNoMessage) {
		last, err = emptyLast(ctx, js, stream)
	}
	if err != nil {
		return fold.Extent{}, err
	}
	// The first is asked for last: a message that is stored between the two
	// questions must not be taken for purged, or it would be passed over.
	_, first, _, err := get(ctx, nc, stream, streams.Get{Seq: 1, Next: ">"})
	if errors.Is(err, streams.ErrNoMessage) {
		first, err = last+1, nil
	}
	if err != nil {
		return fold.Extent{}, err
	}
	return fold.Extent{Incarnation: incarnation, First: first, Last: max(first-1, last)}, nil
}

// emptyLast finds the last sequence that an empty stream gave. A message
// cannot say, but a consumer of what is new starts right behind it.
func emptyLast(ctx context.Context, js jetstream.JetStream, stream string) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, 2500*time.Millisecond)
	defer cancel()
	c, err := js.CreateConsumer(ctx, stream, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverNewPolicy, AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1,
		InactiveThreshold: 5 * time.Second,
	})
	if err != nil {
		return 0, fault.Wrap(fault.Unavailable, err, "look at the end of %s", stream)
	}
	// The server removes an unused consumer by itself; a primary may not delete it.
	return c.CachedInfo().Delivered.Stream, nil
}

// parse makes a message for folding. What cannot be read becomes an alarm and
// is passed over: the stream behind it must not stand still.
func parse(m *nats.Msg, stream string, seq, incarnation uint64, stored time.Time) fold.Message {
	out := fold.Message{Incarnation: incarnation, Identity: identify(m, stored)}
	e, err := bus.Parse(m.Subject, m.Header, m.Data)
	switch {
	case err != nil:
		out.Unreadable = err.Error()
	case e.Kind.Stream() != stream:
		out.Unreadable = "its subject " + m.Subject + " does not belong there"
	default:
		out.Event = e
		if e.Kind == event.KindDead {
			// The subject was parsed a line above.
			st, _ := subject.ParseStored(m.Subject)
			out.DeadStream, out.DeadReason = st.DeadStream, st.DeadReason
		}
	}
	out.Stream, out.StreamSeq = stream, seq
	if out.Received.IsZero() {
		out.Received = stored
	}
	return out
}
