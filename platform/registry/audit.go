package registry

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/fault"
	"midplane/internal/wait"
	"midplane/subject"
)

// StreamAudit is the stream of administrative acts.
const StreamAudit = "AUDIT"

// AuditBytes is what the audit log may hold: some 500,000 records. When it is
// full the oldest go, so that a full log keeps no one from revoking a stolen
// credential; the status warns before that.
const (
	AuditBytes     = 256 << 20
	auditRecordMax = 16 << 10
	auditBatch     = 500
)

// auditConfig is the stream. Deletion and purge are denied, which the server
// never lets anyone take back, and there is neither age nor roll-up.
func auditConfig(replicas int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: StreamAudit, Description: "administrative acts, append-only", Subjects: []string{subject.AuditAll},
		Storage: jetstream.FileStorage, Replicas: replicas, MaxBytes: AuditBytes, MaxMsgSize: auditRecordMax,
		Discard: jetstream.DiscardOld, DenyDelete: true, DenyPurge: true, Duplicates: 2 * time.Minute,
	}
}

// Audit appends to and reads the audit log.
type Audit struct{ js jetstream.JetStream }

// OpenAudit makes the stream when it is not there, and retries until ctx ends.
func OpenAudit(ctx context.Context, js jetstream.JetStream, replicas int) (*Audit, error) {
	for {
		tctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		_, err := js.Stream(tctx, StreamAudit)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			_, err = js.CreateStream(tctx, auditConfig(replicas))
		}
		cancel()
		if err == nil {
			return &Audit{js: js}, nil
		}
		if wait.For(ctx, 100*time.Millisecond) != nil {
			return nil, fault.Wrap(fault.Unavailable, err, "stream %s", StreamAudit)
		}
	}
}

// Append stores one record. Stored twice it is there once: its id and its
// result are its message id.
func (a *Audit) Append(ctx context.Context, rec api.AuditRecord) error {
	rec.Seq = 0
	data, err := json.Marshal(rec)
	if err != nil {
		return fault.Wrap(fault.Other, err, "encode an audit record")
	}
	phase := "done"
	if rec.Result == api.AuditBegun {
		phase = rec.Result
	}
	_, err = a.js.PublishMsg(ctx, &nats.Msg{Subject: subject.Audit(rec.Who, rec.Verb), Data: data, Header: nats.Header{
		jetstream.MsgIDHeader: {rec.ID + "/" + phase}, jetstream.ExpectedStreamHeader: {StreamAudit},
	}})
	return fault.Wrap(fault.Unavailable, err, "store an audit record")
}

// Bounds returns the first and last sequence, and when the first was stored.
func (a *Audit) Bounds(ctx context.Context) (first, last uint64, since time.Time, err error) {
	s, err := a.js.Stream(ctx, StreamAudit)
	if err != nil {
		return 0, 0, since, fault.Wrap(fault.Unavailable, err, "audit log")
	}
	state := s.CachedInfo().State
	return state.FirstSeq, state.LastSeq, state.FirstTime, nil
}

// Read calls f for the records of sequences from to to, in order, until f
// returns false. It waits up to wait for ones that are not there yet.
func (a *Audit) Read(ctx context.Context, from, to uint64, wait time.Duration, f func(api.AuditRecord) bool) error {
	if from > to {
		return nil
	}
	c, err := a.js.CreateConsumer(ctx, StreamAudit, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: max(from, 1), AckPolicy: jetstream.AckNonePolicy,
		MemoryStorage: true, Replicas: 1, InactiveThreshold: time.Minute,
	})
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "read the audit log")
	}
	defer a.drop(ctx, c.CachedInfo().Name)
	for next := max(from, 1); next <= to; {
		n := int(min(to-next+1, auditBatch))
		batch, err := c.Fetch(n, jetstream.FetchMaxWait(wait))
		if err != nil {
			return fault.Wrap(fault.Unavailable, err, "read the audit log")
		}
		got := 0
		for msg := range batch.Messages() {
			got++
			meta, err := msg.Metadata()
			if err != nil || meta.Sequence.Stream > to {
				return nil // what was asked for has been dropped for room
			}
			next = meta.Sequence.Stream + 1
			var rec api.AuditRecord
			if json.Unmarshal(msg.Data(), &rec) != nil {
				continue // written by a newer version
			}
			rec.Seq = meta.Sequence.Stream
			if !f(rec) {
				return nil
			}
		}
		// Who asks for a consumer hears of it sooner than all nodes do.
		if err := batch.Error(); err != nil && !errors.Is(err, nats.ErrNoResponders) && !errors.Is(err, nats.ErrTimeout) {
			return fault.Wrap(fault.Unavailable, err, "read the audit log")
		} else if err == nil && got == 0 {
			return nil
		}
		if ctx.Err() != nil {
			return fault.Wrap(fault.Unavailable, ctx.Err(), "read the audit log")
		}
		if got == 0 {
			time.Sleep(20 * time.Millisecond) // until it is known everywhere
		}
	}
	return nil
}

func (a *Audit) drop(ctx context.Context, consumer string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = a.js.DeleteConsumer(ctx, StreamAudit, consumer) // it goes by itself in a minute
}
