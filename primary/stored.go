package primary

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/bus"
	"midplane/event"
	"midplane/fault"
	"midplane/primary/fold"
	"midplane/subject"
)

// A primary may ask a stream for single messages, of its leader, and may make
// consumers; it may not ask for the stream's info, which shows the capability.

// codeNoMessage is JetStream's for a message that is not there.
const (
	codeNoMessage = 10037
	codeNoStream  = 10059
)

var errNoMessage = errors.New("no such message")

// getRequest is the body of $JS.API.STREAM.MSG.GET.
type getRequest struct {
	Seq  uint64 `json:"seq,omitempty"`
	Next string `json:"next_by_subj,omitempty"`
	Last string `json:"last_by_subj,omitempty"`
}

// get asks the leader of a stream for one message.
func get(ctx context.Context, nc *nats.Conn, stream string, req getRequest) (*nats.Msg, uint64, time.Time, error) {
	// Short: a stream that is being made, or has no leader, never answers, and
	// whoever asks tries again.
	ctx, cancel := context.WithTimeout(ctx, 1500*time.Millisecond)
	defer cancel()
	body, err := json.Marshal(req)
	if err != nil {
		return nil, 0, time.Time{}, err
	}
	answer, err := nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+stream, body)
	if err != nil {
		return nil, 0, time.Time{}, fault.WithHint(fault.Wrap(fault.Unavailable, err, "%s does not answer", stream), "it may have no leader; see: midplane get streams")
	}
	var resp struct {
		Error   *jetstream.APIError `json:"error"`
		Message *struct {
			Subject string    `json:"subject"`
			Seq     uint64    `json:"seq"`
			Header  []byte    `json:"hdrs"`
			Data    []byte    `json:"data"`
			Time    time.Time `json:"time"`
		} `json:"message"`
	}
	if err := json.Unmarshal(answer.Data, &resp); err != nil {
		return nil, 0, time.Time{}, fault.Wrap(fault.Unavailable, err, "answer of %s", stream)
	}
	switch {
	case resp.Error != nil && resp.Error.ErrorCode == codeNoMessage:
		return nil, 0, time.Time{}, errNoMessage
	case resp.Error != nil && resp.Error.ErrorCode == codeNoStream:
		return nil, 0, time.Time{}, fault.New(fault.NotFound, "there is no stream %s", stream)
	case resp.Error != nil:
		return nil, 0, time.Time{}, fault.Wrap(fault.Unavailable, resp.Error, "ask %s", stream)
	case resp.Message == nil:
		return nil, 0, time.Time{}, fault.New(fault.Unavailable, "%s answered nothing", stream)
	}
	m := &nats.Msg{Subject: resp.Message.Subject, Data: resp.Message.Data}
	if len(resp.Message.Header) > 0 {
		if m.Header, err = nats.DecodeHeadersMsg(resp.Message.Header); err != nil {
			m.Header = nil // then it is unreadable, and says so when it is parsed
		}
	}
	return m, resp.Message.Seq, resp.Message.Time, nil
}

// extent asks the leader what it keeps.
func extent(ctx context.Context, nc *nats.Conn, js jetstream.JetStream, stream string, incarnation uint64) (fold.Extent, error) {
	_, last, _, err := get(ctx, nc, stream, getRequest{Last: ">"})
	if errors.Is(err, errNoMessage) {
		last, err = emptyLast(ctx, js, stream)
	}
	if err != nil {
		return fold.Extent{}, err
	}
	// The first is asked for last: what comes meanwhile must not be taken for
	// purged, or it would be passed over.
	_, first, _, err := get(ctx, nc, stream, getRequest{Seq: 1, Next: ">"})
	if errors.Is(err, errNoMessage) {
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
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	c, err := js.CreateConsumer(ctx, stream, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverNewPolicy, AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1,
		InactiveThreshold: 5 * time.Second,
	})
	if err != nil {
		return 0, fault.Wrap(fault.Unavailable, err, "look at the end of %s", stream)
	}
	// It goes by itself when nobody asks it: deleting is not open to a primary.
	return c.CachedInfo().Delivered.Stream, nil
}

// parse makes a message for folding. What cannot be read becomes an alarm and
// is passed over: the stream behind it must not stand still.
func parse(m *nats.Msg, stream string, seq, incarnation uint64, stored time.Time) fold.Message {
	out := fold.Message{Incarnation: incarnation}
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
