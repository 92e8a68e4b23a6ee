package control

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/platform/control/registry"
	"midplane/subject"
)

// answerWithin bounds one request, long polls included.
const answerWithin = api.FollowWait + 10*time.Second

// serve answers on nc, a connection that never asks. Any node answers: the
// server picks one.
func (c *Control) serve(ctx context.Context, nc *nats.Conn) (stop func(), err error) {
	var services []micro.Service
	stop = func() {
		for _, s := range services {
			_ = s.Stop() // the connection closes next
		}
	}
	for door, verbs := range map[string]map[string]api.Handler{
		subject.DoorAdmin: c.adminVerbs(), subject.DoorCore: c.coreVerbs(), "control": c.channelVerbs(), "enrol": {"redeem": c.redeem},
	} {
		svc, err := micro.AddService(nc, micro.Config{Name: "midplane-" + door, Version: "1.0.0", Description: "Midplane, node " + c.cfg.Node})
		if err != nil {
			stop()
			return nil, fault.Wrap(fault.Other, err, "service %s", door)
		}
		services = append(services, svc)
		for verb, h := range verbs {
			if door == subject.DoorAdmin {
				h = c.recorded(verb, c.fresh(verb, c.admitted(verb, h)))
			}
			subj := door + ".*." + verb
			switch door {
			case "control": // the account's key comes first
				subj = "control.*.*." + verb
			case "enrol": // there is one verb
				subj = subject.EnrolExport
			}
			if err := svc.AddEndpoint(endpointName(verb), api.Endpoint(ctx, answerWithin, h), micro.WithEndpointSubject(subj)); err != nil {
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

// fresh makes an admin request see what an earlier one stored through another
// node. What operators need when there is no quorum is answered all the same,
// but that something does not exist cannot be said from an old copy.
func (c *Control) fresh(verb string, h api.Handler) api.Handler {
	if verb == api.NodeStatus {
		return h
	}
	return func(ctx context.Context, subj string, body []byte) (any, error) {
		old := c.reg.Fresh(ctx)
		if old != nil {
			c.tel.Log.Warn("answering from this node's copy of the registry", "verb", verb, "error", old)
		}
		answer, err := h(ctx, subj, body)
		if old != nil && fault.Is(err, fault.NotFound) {
			return nil, old
		}
		return answer, err
	}
}

// handler decodes the body strictly and takes the asker's name from the subject.
func handler[Req any](f func(ctx context.Context, who string, req Req) (any, error)) api.Handler {
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

// tenant returns a declared tenant, NotFound otherwise.
func (c *Control) tenant(id string) (*registry.Tenant, error) {
	if t := c.reg.View().Tenants[event.Tenant(id)]; t != nil && t.Spec != nil {
		return t, nil
	}
	return nil, fault.WithHint(fault.New(fault.NotFound, "tenant %q does not exist", id), "see: midplane get tenants")
}

// waitList bounds how many requests of one account wait at once.
type waitList struct {
	mu sync.Mutex
	n  map[string]int
}

const maxWaiting = 8

func (w *waitList) enter(accountKey string) (leave func(), ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.n[accountKey] >= maxWaiting {
		return nil, false
	}
	if w.n == nil {
		w.n = map[string]int{}
	}
	w.n[accountKey]++
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.n[accountKey]--; w.n[accountKey] == 0 {
			delete(w.n, accountKey)
		}
	}, true
}

// seenAt bounds how often something is written, by key.
type seenAt struct {
	mu sync.Mutex
	at map[string]time.Time
}

// due reports whether key was not due for the last d, and notes that it is now.
func (s *seenAt) due(key string, d time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.at[key]) < d {
		return false
	}
	if s.at == nil {
		s.at = map[string]time.Time{}
	}
	s.at[key] = time.Now()
	return true
}

// forget makes key due again.
func (s *seenAt) forget(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.at, key)
}

func isNotFound(err error) bool {
	return errors.Is(err, jetstream.ErrStreamNotFound)
}
