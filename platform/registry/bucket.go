package registry

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/fault"
	"midplane/internal/jsonfields"
	"midplane/streams"
)

// bucket is one of the two buckets and this node's copy of it.
type bucket struct {
	kv     jetstream.KeyValue
	mirror *Mirror
}

// cas stores a key by compare-and-set; rev 0 is a new key. what names it in errors.
func (b bucket) cas(ctx context.Context, key string, v any, rev uint64, what string) (uint64, error) {
	// A newer version may have stored fields that this one does not know.
	data, err := jsonfields.Marshal(b.stored(ctx, key, rev), v)
	if err != nil {
		return 0, fault.Wrap(fault.Other, err, "encode %s", what)
	}
	return b.put(ctx, key, data, rev, what)
}

// replace is cas for a value that is about something else than the one before, of
// which nothing may stay.
func (b bucket) replace(ctx context.Context, key string, v any, rev uint64, what string) (uint64, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return 0, fault.Wrap(fault.Other, err, "encode %s", what)
	}
	return b.put(ctx, key, data, rev, what)
}

func (b bucket) put(ctx context.Context, key string, data []byte, rev uint64, what string) (next uint64, err error) {
	if rev == 0 {
		next, err = b.kv.Create(ctx, key, data)
	} else {
		next, err = b.kv.Update(ctx, key, data, rev)
	}
	if lost(err) {
		return 0, changed(what)
	}
	return next, fault.Wrap(fault.Unavailable, err, "store %s", what)
}

// stored returns what a key holds at a revision; nil when it holds something
// else, and then the compare-and-set fails.
func (b bucket) stored(ctx context.Context, key string, rev uint64) []byte {
	if rev == 0 {
		return nil
	}
	if e, ok := b.mirror.Get(key); ok && e.Revision == rev {
		return e.Value
	}
	// Not so long that nothing is left for the write itself.
	ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	e, err := b.kv.Get(ctx, key)
	if err != nil || e.Revision() != rev {
		return nil
	}
	return e.Value()
}

// drop deletes a key by compare-and-set.
func (b bucket) drop(ctx context.Context, key string, rev uint64, what string) error {
	err := b.kv.Delete(ctx, key, jetstream.LastRevision(rev))
	if lost(err) {
		return changed(what)
	}
	return fault.Wrap(fault.Unavailable, err, "delete %s", what)
}

// fresh waits until this node's copy is as new as the bucket was when asked.
func (b bucket) fresh(ctx context.Context) error {
	// Longer than it takes to notice that a watch has gone quiet.
	ctx, cancel := context.WithTimeout(ctx, 4*time.Second)
	defer cancel()
	status, err := b.kv.Status(ctx)
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "the registry does not answer")
	}
	info, ok := status.(*jetstream.KeyValueBucketStatus)
	if !ok {
		return fault.New(fault.Other, "the registry's state has type %T", status)
	}
	return b.mirror.Wait(ctx, info.StreamInfo().State.LastSeq)
}

func changed(what string) error {
	return fault.WithHint(fault.New(fault.Conflict, "%s was changed by another request in between", what), "look again, then repeat")
}

// lost reports whether a compare-and-set failed: the server says so in two ways.
func lost(err error) bool {
	if errors.Is(err, jetstream.ErrKeyExists) {
		return true
	}
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == streams.CodeWrongLast || api.ErrorCode == streams.CodeWrongLastAny)
}
