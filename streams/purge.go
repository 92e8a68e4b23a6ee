package streams

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/fault"
)

// Purge carries a decision out: it purges every message of the stream below
// sequence to. The sequence is absolute, so the same purge can be tried again
// when the answer is lost. Purge clamps it to 2 … last+1 of the stream as it is
// now: 0 would empty the stream, and a sequence beyond the end would move the
// next one.
func Purge(ctx context.Context, js jetstream.JetStream, stream string, to uint64) error {
	return purge(ctx, js, stream, "", to)
}

// PurgeSubject carries out one step of TrimState.
func PurgeSubject(ctx context.Context, js jetstream.JetStream, stream string, p SubjectPurge) error {
	if p.Subject == "" {
		return fault.New(fault.Invalid, "purge of %s without a subject", stream)
	}
	return purge(ctx, js, stream, p.Subject, p.Before)
}

func purge(ctx context.Context, js jetstream.JetStream, stream, subj string, to uint64) error {
	if to < 2 {
		return fault.New(fault.Invalid, "purge of %s to sequence %d, which would empty it", stream, to)
	}
	return retry(ctx, "purge of "+stream, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		s, err := js.Stream(ctx, stream)
		if err != nil {
			return err
		}
		to := min(to, s.CachedInfo().State.LastSeq+1)
		if to < 2 {
			return nil // nothing was ever stored
		}
		opts := []jetstream.StreamPurgeOpt{jetstream.WithPurgeSequence(to)}
		if subj != "" {
			opts = append(opts, jetstream.WithPurgeSubject(subj))
		}
		return s.Purge(ctx, opts...)
	})
}

// FirstSince returns the first sequence of a stream that was stored at or after
// t, and last+1 when there is none: a floor of Trim. last is the stream's last
// sequence, which the caller has read before; messages stored since do not count.
func FirstSince(ctx context.Context, js jetstream.JetStream, stream string, t time.Time, last uint64) (uint64, error) {
	since := t.UTC()
	var first *jetstream.RawStreamMsg
	err := retry(ctx, "first message of "+stream, func(ctx context.Context) (err error) {
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		first, err = GetMessage(ctx, js.Conn(), stream, Get{Next: ">", Since: &since, NoHeaders: true})
		if errors.Is(err, ErrNoMessage) {
			return nil
		}
		return err
	})
	switch {
	case err != nil:
		return 0, err
	case first == nil:
		return last + 1, nil
	}
	return min(first.Sequence, last+1), nil
}
