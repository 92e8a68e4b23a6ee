package streams

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/fault"
)

// Purge carries a decision out: every message of the stream below sequence to
// goes. The sequence is absolute, so the same purge is tried again when the
// answer is lost. It is clamped to 2 … last+1 of the stream as it is now: 0
// would empty the stream, and beyond the end the next sequence would move.
func Purge(ctx context.Context, js jetstream.JetStream, stream string, to uint64) error {
	return purge(ctx, js, stream, "", to)
}

// PurgeSubject carries one step of TrimState out.
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

// codeNoMessage is the server's "no message found".
const codeNoMessage = 10037

// FirstSince returns the first sequence of a stream that was stored at or
// after t, and last+1 when there is none: what Trim calls a floor. last is the
// stream's last sequence, read before; messages stored since do not count.
func FirstSince(ctx context.Context, js jetstream.JetStream, stream string, t time.Time, last uint64) (uint64, error) {
	body, err := json.Marshal(struct {
		StartTime time.Time `json:"start_time"`
		NextFor   string    `json:"next_by_subj"`
		NoHeaders bool      `json:"no_hdr"`
	}{t.UTC(), ">", true})
	if err != nil {
		return 0, fault.Wrap(fault.Invalid, err, "time of %s", stream)
	}
	var answer struct {
		Message *struct {
			Seq uint64 `json:"seq"`
		} `json:"message"`
		Error *jetstream.APIError `json:"error"`
	}
	err = retry(ctx, "first message of "+stream, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		msg, err := js.Conn().RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+stream, body)
		if err != nil {
			return err
		}
		answer.Message, answer.Error = nil, nil
		if err := json.Unmarshal(msg.Data, &answer); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
		if answer.Error != nil && int(answer.Error.ErrorCode) != codeNoMessage {
			return answer.Error
		}
		return nil
	})
	switch {
	case err != nil:
		return 0, err
	case answer.Message == nil:
		return last + 1, nil
	}
	return min(answer.Message.Seq, last+1), nil
}
