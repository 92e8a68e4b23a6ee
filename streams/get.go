package streams

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/subject"
)

// ErrNoMessage means that a stream's leader answered that it has no such message.
var ErrNoMessage = errors.New("no such message")

// Get says which message of a stream is wanted: the one with Seq; the last one
// of the subjects Last; or the next one of the subjects Next, from Seq or Since on.
type Get struct {
	Seq       uint64     `json:"seq,omitempty"`
	Next      string     `json:"next_by_subj,omitempty"`
	Last      string     `json:"last_by_subj,omitempty"`
	Since     *time.Time `json:"start_time,omitempty"`
	NoHeaders bool       `json:"no_hdr,omitempty"`
}

// GetMessage asks the leader of a stream for one message. Roles may be allowed
// this request and not the stream's info, which would show the capability. The
// error is ErrNoMessage, the server's *jetstream.APIError, or the connection's,
// unchanged: each caller classifies it. A header that cannot be decoded is left
// out, so that a reader finds the message unreadable.
func GetMessage(ctx context.Context, nc *nats.Conn, stream string, which Get) (*jetstream.RawStreamMsg, error) {
	body, err := json.Marshal(which)
	if err != nil {
		return nil, err
	}
	msg, err := nc.RequestWithContext(ctx, subject.MsgGet(stream), body)
	if err != nil {
		return nil, err
	}
	return readMessage(msg.Data)
}

// readMessage reads the answer. It is pure.
func readMessage(data []byte) (*jetstream.RawStreamMsg, error) {
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message *struct {
			Subject string    `json:"subject"`
			Seq     uint64    `json:"seq"`
			Header  []byte    `json:"hdrs"`
			Data    []byte    `json:"data"`
			Time    time.Time `json:"time"`
		} `json:"message"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	switch {
	case answer.Error != nil && answer.Error.ErrorCode == CodeNoMessage:
		return nil, ErrNoMessage
	case answer.Error != nil:
		return nil, answer.Error
	case answer.Message == nil:
		return nil, errors.New("the answer is empty")
	}
	m := answer.Message
	out := &jetstream.RawStreamMsg{Subject: m.Subject, Sequence: m.Seq, Data: m.Data, Time: m.Time}
	if len(m.Header) > 0 {
		if h, err := nats.DecodeHeadersMsg(m.Header); err == nil {
			out.Header = h
		}
	}
	return out, nil
}
