// Package service is how requests to a node are served: it decodes them, lists
// in pages, and lets through what an admin asks: recorded, on a fresh copy of the
// registry, and not from one that was revoked.
package service

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"midplane/api"
	"midplane/fault"
	"midplane/subject"
)

// answerWithin bounds one request, long polls included.
const answerWithin = api.FollowWait + 10*time.Second

// Doors are what is asked at each door, by verb.
type Doors map[string]map[string]api.Handler

// Serve answers on nc, a connection that never asks, as node. Any node answers:
// the server picks one; but for what is asked of all.
func Serve(ctx context.Context, nc *nats.Conn, node string, doors Doors) (stop func(), err error) {
	var services []micro.Service
	stop = func() {
		for _, s := range services {
			_ = s.Stop() // the connection closes next
		}
	}
	for door, verbs := range doors {
		svc, err := micro.AddService(nc, micro.Config{Name: "midplane-" + door, Version: "1.0.0", Description: "Midplane, node " + node})
		if err != nil {
			stop()
			return nil, fault.Wrap(fault.Other, err, "service %s", door)
		}
		services = append(services, svc)
		for verb, h := range verbs {
			opts := []micro.EndpointOpt{micro.WithEndpointSubject(subject.ServiceOf(door, verb))}
			if door == subject.DoorCore && api.AskedOfAll(verb) {
				opts = append(opts, micro.WithEndpointQueueGroupDisabled())
			}
			if err := svc.AddEndpoint(endpointName(verb), api.Endpoint(ctx, answerWithin, h), opts...); err != nil {
				stop()
				return nil, fault.Wrap(fault.Other, err, "service %s, verb %s", door, verb)
			}
		}
	}
	return stop, nil
}

func endpointName(verb string) string {
	b := []byte(verb)
	for i := range b {
		if b[i] == '.' {
			b[i] = '-'
		}
	}
	return string(b)
}

// Handle decodes the body and takes the asker's name from the subject.
func Handle[Req any](f func(ctx context.Context, who string, req Req) (any, error)) api.Handler {
	return func(ctx context.Context, subj string, body []byte) (any, error) {
		_, who, _, err := subject.ParseRequest(subj)
		if err != nil {
			return nil, err
		}
		var req Req
		if err := api.Decode(body, &req); err != nil {
			return nil, err
		}
		return f(ctx, who, req)
	}
}
