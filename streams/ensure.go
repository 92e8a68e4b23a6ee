package streams

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/fault"
	"midplane/internal/wait"
)

// requestTimeout is how long one request may take; a leader that hangs must not
// use up the caller's whole time.
const requestTimeout = 5 * time.Second

// The pauses between attempts double from the first to the last.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = time.Second
)

// Ensure makes the streams of want exist as configured: it reads the existing
// ones, plans, and carries the plan out. It returns the steps that were done.
// Doing it again changes nothing. After a temporary error (JetStream not yet
// enabled for a new account, no leader, no answer) it tries again while ctx
// lives; then the error is Unavailable. Nothing is ever deleted.
func Ensure(ctx context.Context, js jetstream.JetStream, want []jetstream.StreamConfig) ([]Step, error) {
	var done []Step
	err := retry(ctx, "streams", func(ctx context.Context) error {
		have, err := read(ctx, js, want)
		if err != nil {
			return err
		}
		for _, s := range Plan(want, have) {
			if err := applyStream(ctx, js, s); err != nil {
				return fmt.Errorf("%s %s: %w", s.Verb, s.What, err)
			}
			done = append(done, s)
		}
		return nil
	})
	return done, err
}

// read returns the configurations of those streams of want that exist.
func read(ctx context.Context, js jetstream.JetStream, want []jetstream.StreamConfig) ([]jetstream.StreamConfig, error) {
	var have []jetstream.StreamConfig
	for _, w := range want {
		rctx, cancel := context.WithTimeout(ctx, requestTimeout)
		s, err := js.Stream(rctx, w.Name)
		cancel()
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
		case err != nil:
			return nil, fmt.Errorf("read stream %s: %w", w.Name, err)
		default:
			have = append(have, s.CachedInfo().Config)
		}
	}
	return have, nil
}

func applyStream(ctx context.Context, js jetstream.JetStream, s Step) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var err error
	if s.Verb == Create {
		_, err = js.CreateStream(ctx, s.stream)
	} else {
		_, err = js.UpdateStream(ctx, s.stream)
	}
	return err
}

// retry runs pass until it succeeds, fails for good, or ctx ends. A pass begins
// by reading what exists, so that a step whose answer was lost is not done twice.
func retry(ctx context.Context, what string, pass func(context.Context) error) error {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := pass(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil && !temporary(err) {
			return classify(err, what)
		}
		if wait.For(ctx, pause) != nil {
			return fault.WithHint(fault.New(fault.Unavailable, "%s: gave up waiting: %w", what, err), "%s", lateHint(err))
		}
	}
}

func lateHint(err error) string {
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == CodeNoPeers {
		return "start the nodes that are down: a stream is made only when as many nodes are up as it has replicas"
	}
	return "is the cluster running, and does it have a quorum? see: midplane status"
}

// temporary reports whether another pass can succeed.
func temporary(err error) bool {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		if tooLarge(api) {
			return false
		}
		switch api.ErrorCode {
		case CodeNoPeers, CodeUnavailable, CodeNotEnabled, CodeNameInUse, CodeStreamOffline:
			return true
		}
		return api.Code == 503
	}
	return errors.Is(err, nats.ErrNoResponders) || errors.Is(err, nats.ErrTimeout) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrDisconnected) ||
		errors.Is(err, nats.ErrConnectionReconnecting) || errors.Is(err, nats.ErrReconnectBufExceeded) ||
		errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) || errors.Is(err, jetstream.ErrJetStreamNotEnabled)
}

// tooLarge reports whether all nodes are up and have less room than the stream
// may take: waiting does not help.
func tooLarge(api *jetstream.APIError) bool {
	return api.ErrorCode == CodeNoPeers && strings.Contains(api.Description, "insufficient storage") && !strings.Contains(api.Description, "offline")
}

func classify(err error, what string) error {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		if tooLarge(api) {
			return fault.WithHint(fault.Wrap(fault.Exhausted, err, "%s", what),
				"the nodes have less room for streams than the quotas of all tenants together: lower quota.storage, or give the nodes more disk and --max-store")
		}
		switch api.ErrorCode {
		case CodeStorageFull, CodeNoResources, CodeMaxStreams, CodeMaxConsumers:
			return fault.WithHint(fault.Wrap(fault.Exhausted, err, "%s", what),
				"raise the tenant's storage quota, or free disk on the nodes")
		}
		switch api.Code {
		case 400:
			return fault.Wrap(fault.Conflict, err, "%s", what)
		case 404:
			return fault.Wrap(fault.NotFound, err, "%s", what)
		}
	}
	return fault.Wrap(fault.Other, err, "%s", what)
}
