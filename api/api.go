// Package api holds the requests and answers of the services in the CONTROL
// account and of the tenants' control channel, with a thin typed client of each,
// and the rules by which a status lists what is wrong (Health).
//
// Services are NATS micro services. The name of the asking user is in the
// subject ("admin.<name>.<verb>", "control.<user>.<verb>"), where the server's
// permissions guard it, never in the body. Bodies are JSON; fields that are not
// known are passed over. A list is paged by Limit and After. An error travels in the headers of the
// micro protocol and, whole, in the body. It may import event, fault, subject
// and the NATS client, and it opens no connection itself.
package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"midplane/fault"
	"midplane/subject"
)

// MaxPage is the largest Limit of a list, DefaultPage the one that 0 stands for.
const (
	MaxPage     = 1000
	DefaultPage = 200
)

// Page is one page of a list. Next is the After of the following page, "" on the
// last. A page that was narrowed may have no items and still a Next: a list of
// interfaces or checks is looked through a part at a time. Total is how many
// devices the whole list has; other lists do not say.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
	Total int    `json:"total,omitempty"`
}

// problem is an error on the wire.
type problem struct {
	Error struct {
		Kind    fault.Kind `json:"kind"`
		Message string     `json:"message"`
		Hint    string     `json:"hint,omitempty"`
	} `json:"error"`
}

// Decode reads exactly one JSON value into v. It is for what programs send each
// other: fields that are not known, of a newer version, are passed over. The
// error is Invalid.
func Decode(data []byte, v any) error { return decode(data, v, false) }

// DecodeStrict is Decode for what people write: a field that is not known is a
// mistake of theirs. The error is Invalid.
func DecodeStrict(data []byte, v any) error { return decode(data, v, true) }

func decode(data []byte, v any, strict bool) error {
	d := json.NewDecoder(bytes.NewReader(data))
	if strict {
		d.DisallowUnknownFields()
	}
	if err := d.Decode(v); err != nil {
		return fault.Wrap(fault.Invalid, err, "request body")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fault.New(fault.Invalid, "request body: more than one JSON value")
	}
	return nil
}

// Call sends req to subj and decodes the answer into resp (nil: ignored). When
// no service listens, or none answers in time, the error is Unavailable; an
// error of the service keeps its class and hint.
func Call(ctx context.Context, nc *nats.Conn, subj string, req, resp any) error {
	body, err := json.Marshal(req)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "encode request to %s", subj)
	}
	msg, err := nc.RequestMsgWithContext(ctx, &nats.Msg{Subject: subj, Data: body})
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return fault.WithHint(fault.New(fault.Unavailable, "no service answers %s", verbOf(subj)), "%s", hintFor(subj))
	case errors.Is(err, context.Canceled):
		return err
	case err != nil:
		return fault.WithHint(fault.Wrap(fault.Unavailable, err, "no answer to %s", verbOf(subj)), "%s", hintFor(subj))
	}
	return Answer(msg, resp)
}

func hintFor(subj string) string {
	if subject.IsQuery(subj) {
		return "is a primary running? see: midplane status"
	}
	return "is the cluster running, and does it have a quorum? see: midplane status"
}

// verbOf returns a subject without the name of the asking user.
func verbOf(subj string) string {
	parts := strings.SplitN(subj, ".", 3)
	if len(parts) == 3 {
		return parts[0] + " " + parts[2]
	}
	return subj
}

// Answer decodes the answer of a service.
func Answer(msg *nats.Msg, resp any) error {
	if msg.Header.Get(micro.ErrorHeader) != "" {
		var p problem
		if json.Unmarshal(msg.Data, &p) == nil && p.Error.Kind != "" {
			return &fault.Error{Kind: p.Error.Kind, Message: p.Error.Message, Hint: p.Error.Hint}
		}
		return fault.New(fault.Other, "%s", msg.Header.Get(micro.ErrorHeader))
	}
	if resp == nil {
		return nil
	}
	if err := json.Unmarshal(msg.Data, resp); err != nil {
		return fault.Wrap(fault.Other, err, "decode the answer")
	}
	return nil
}

// MaxRequests is how many requests one endpoint handles at once; further ones
// wait. Long polls count.
const MaxRequests = 256

// Handler answers one request. subj is the whole subject. What it returns is
// the answer; nil answers {}.
type Handler func(ctx context.Context, subj string, body []byte) (any, error)

// Endpoint adapts h to a micro service. Each request has a goroutine of its
// own, bounded by MaxRequests and by timeout.
func Endpoint(ctx context.Context, timeout time.Duration, h Handler) micro.Handler {
	slots := make(chan struct{}, MaxRequests)
	return micro.HandlerFunc(func(r micro.Request) {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		go func() {
			defer func() { <-slots }()
			ctx, cancel := context.WithTimeout(ctx, timeout)
			defer cancel()
			respond(r, context.WithValue(ctx, replyKey{}, r.Reply()), h)
		}()
	})
}

type replyKey struct{}

// ReplyOf returns the reply subject of the request that a Handler works on.
func ReplyOf(ctx context.Context) string {
	reply, _ := ctx.Value(replyKey{}).(string)
	return reply
}

// done is the answer of a handler that returns nothing. It is never empty, and
// "{}" counts as empty to JetStream: the client that asks chooses the reply
// subject, and JetStream would obey an empty answer aimed at
// $JS.API.STREAM.PURGE….
type done struct {
	OK bool `json:"ok"`
}

func respond(r micro.Request, ctx context.Context, h Handler) {
	answer, err := h(ctx, r.Subject(), r.Data())
	if err != nil {
		var p problem
		p.Error.Kind, p.Error.Message, p.Error.Hint = fault.KindOf(err), err.Error(), fault.HintOf(err)
		body, _ := json.Marshal(p) // strings only
		message := strings.Join(strings.Fields(p.Error.Message), " ")
		refuse(r, p.Error.Kind, message, body)
		return
	}
	if answer == nil {
		answer = done{OK: true}
	}
	body, err := json.Marshal(answer)
	if err != nil {
		refuse(r, fault.Other, "encode the answer", []byte(`{"error":{"kind":"other"}}`))
		return
	}
	_ = r.Respond(body) // the client may be gone
}

// refuse answers as Request.Error does. That method also notes the error in the
// request for the service's statistics, which are read as soon as the handler
// has returned: from the goroutine of a request that would be a data race.
func refuse(r micro.Request, kind fault.Kind, message string, body []byte) {
	_ = r.Respond(body, micro.WithHeaders(micro.Headers{ // the client may be gone
		micro.ErrorHeader:     []string{message},
		micro.ErrorCodeHeader: []string{string(kind)},
	}))
}
