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
)

// One request may take this long; a wedged leader must not use up the caller's
// whole time.
const requestTimeout = 5 * time.Second

// Pauses between attempts: from the first to the last, doubling.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = time.Second
)

// Ensure makes the streams of want exist as they should: it reads what is
// there, plans, and carries the plan out. It returns the steps that were done.
// Doing it again changes nothing. What is temporary (JetStream not yet enabled
// for a new account, no leader, no answer) is tried again while ctx lives;
// then the error is Unavailable. Nothing is ever deleted.
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

// read returns the configurations of those of want that exist.
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

// retry runs one pass until it succeeds, fails for good, or ctx ends. A pass
// begins by reading what is there, so that one whose answer was lost is not
// done twice.
func retry(ctx context.Context, what string, pass func(context.Context) error) error {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := pass(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil && !temporary(err) {
			return classify(err, what)
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			return fault.WithHint(fault.New(fault.Unavailable, "%s: gave up waiting: %w", what, err), "%s", lateHint(err))
		case <-t.C:
		}
	}
}

func lateHint(err error) string {
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == codeNoPeers {
		return "start the nodes that are down: a stream is made only when as many nodes are up as it has replicas"
	}
	return "is the cluster running, and does it have a quorum? see: midplane status"
}

// Error codes of the server that decide what to do, whatever the HTTP-like
// code says.
const (
	codeNoPeers       = 10005 // no suitable peers: nodes are still coming up
	codeStorageFull   = 10002
	codeUnavailable   = 10008 // system temporarily unavailable
	codeNotEnabled    = 10039 // the account's JWT has not reached the node yet
	codeNoResources   = 10047
	codeNameInUse     = 10058 // somebody made it meanwhile: read again
	codeMaxStreams    = 10027
	codeMaxConsumers  = 10026
	codeStreamOffline = 10118
)

// temporary reports whether another pass can succeed.
func temporary(err error) bool {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		if tooLarge(api) {
			return false
		}
		switch int(api.ErrorCode) {
		case codeNoPeers, codeUnavailable, codeNotEnabled, codeNameInUse, codeStreamOffline:
			return true
		}
		return api.Code == 503
	}
	return errors.Is(err, nats.ErrNoResponders) || errors.Is(err, nats.ErrTimeout) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrDisconnected) ||
		errors.Is(err, nats.ErrConnectionReconnecting) || errors.Is(err, nats.ErrReconnectBufExceeded) ||
		errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) || errors.Is(err, jetstream.ErrJetStreamNotEnabled)
}

// tooLarge reports that the nodes are there, and have less room than the stream
// may take: waiting does not make more.
func tooLarge(api *jetstream.APIError) bool {
	return int(api.ErrorCode) == codeNoPeers && strings.Contains(api.Description, "insufficient storage") && !strings.Contains(api.Description, "offline")
}

func classify(err error, what string) error {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		if tooLarge(api) {
			return fault.WithHint(fault.Wrap(fault.Exhausted, err, "%s", what),
				"the nodes have less room for streams than the quotas of all tenants together: lower quota.storage, or give the nodes more disk and --max-store")
		}
		switch int(api.ErrorCode) {
		case codeStorageFull, codeNoResources, codeMaxStreams, codeMaxConsumers:
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
