// Package api is what the services of the CONTROL account and the control
// channel of the tenants say and understand: requests, answers, and a thin
// typed client of each.
//
// Services are NATS micro services. Who asks is in the subject
// ("admin.<name>.<verb>", "control.<user>.<verb>"), where the server's
// permissions guard it, never in the body. Bodies are JSON, decoded strictly.
// A list is paged by Limit and After. An error travels in the headers of the
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
)

// MaxPage is the largest Limit of a list, DefaultPage what 0 means.
const (
	MaxPage     = 1000
	DefaultPage = 200
)

// Page is one page of a list. Next is the After of the following page, "" on the last.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

// problem is an error on the wire.
type problem struct {
	Error struct {
		Kind    fault.Kind `json:"kind"`
		Message string     `json:"message"`
		Hint    string     `json:"hint,omitempty"`
	} `json:"error"`
}

// Decode reads exactly one JSON value into v and refuses unknown fields. The
// error is Invalid.
func Decode(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fault.Wrap(fault.Invalid, err, "request body")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fault.New(fault.Invalid, "request body: more than one JSON value")
	}
	return nil
}

// Call asks subject and decodes the answer into resp (nil: ignored). Nobody
// listening, or no answer in time, is Unavailable; an error of the service
// keeps its class and hint.
func Call(ctx context.Context, nc *nats.Conn, subj string, req, resp any) error {
	body, err := json.Marshal(req)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "encode request to %s", subj)
	}
	msg, err := nc.RequestMsgWithContext(ctx, &nats.Msg{Subject: subj, Data: body})
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return fault.WithHint(fault.New(fault.Unavailable, "nobody answers %s", verbOf(subj)), "%s", hintFor(subj))
	case errors.Is(err, context.Canceled):
		return err
	case err != nil:
		return fault.WithHint(fault.Wrap(fault.Unavailable, err, "no answer to %s", verbOf(subj)), "%s", hintFor(subj))
	}
	return Answer(msg, resp)
}

func hintFor(subj string) string {
	if strings.HasPrefix(subj, "query.") {
		return "is a primary running? see: midplane status"
	}
	return "is the cluster running, and does it have a quorum? see: midplane status"
}

// verbOf leaves out the name of who asks.
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

// MaxRequests is how many requests of one endpoint are worked on at once; more
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

// ReplyOf returns where the answer to the request that a Handler works on goes.
func ReplyOf(ctx context.Context) string {
	reply, _ := ctx.Value(replyKey{}).(string)
	return reply
}

// done is the answer where there is nothing to say. It is never empty, and "{}"
// counts as empty to JetStream: whoever asks chooses where the answer goes, and
// an empty one aimed at $JS.API.STREAM.PURGE… would be obeyed.
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
	_ = r.Respond(body) // the asker may be gone
}

// refuse answers as Request.Error does. That method also notes the error in the
// request for the service's statistics, which are read as soon as the handler
// has returned: from the goroutine of a request that would be a data race.
func refuse(r micro.Request, kind fault.Kind, message string, body []byte) {
	_ = r.Respond(body, micro.WithHeaders(micro.Headers{ // the asker may be gone
		micro.ErrorHeader:     []string{message},
		micro.ErrorCodeHeader: []string{string(kind)},
	}))
}
