package control

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"midplane/event"
	"midplane/fault"
	"midplane/platform/control/registry"
	"midplane/streams"
	"midplane/tenants"
)

// trimming keeps streams from filling with what everybody has read.
func (l *leader) trimming(ctx context.Context) {
	tick := time.NewTicker(l.cfg.Pace.Trim)
	defer tick.Stop()
	var aged seenAt
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		// What is trimmed cannot be had back: never on an old copy.
		if l.reg.Fresh(ctx) != nil {
			continue
		}
		var g errgroup.Group
		g.SetLimit(trimAtOnce)
		for _, t := range l.reg.View().Tenants {
			if !t.Open() || len(t.Account.Incarnations) == 0 || ctx.Err() != nil {
				continue
			}
			byAge := aged.due(string(t.ID), l.cfg.Pace.Age)
			g.Go(func() error {
				tctx, cancel := context.WithTimeout(ctx, trimWithin)
				defer cancel()
				if err := l.trimTenant(tctx, t, byAge); err != nil && ctx.Err() == nil {
					l.tel.Log.Warn("trimming", "tenant", t.ID, "error", err)
				}
				return nil
			})
		}
		_ = g.Wait() // returns nil
	}
}

// One tenant that does not answer must not keep the others' streams from being
// trimmed.
const (
	trimAtOnce = 4
	trimWithin = 20 * time.Second
)

func (l *leader) trimTenant(ctx context.Context, t *registry.Tenant, byAge bool) error {
	var errs []error
	for _, s := range l.cfg.Server.Streams(t.Account.Key) {
		k := event.KindOfStream(s.Name)
		full := s.MaxBytes > 0 && s.Bytes*100 > uint64(s.MaxBytes)*backlogLevels[len(backlogLevels)-1]
		if k == "" || s.Messages == 0 || !full && !byAge {
			continue
		}
		js, err := l.cfg.Dialer.JetStream(t)
		if err != nil {
			return err
		}
		if k == event.KindState {
			err = l.trimState(ctx, t, js)
		} else {
			err = l.trimStream(ctx, t, js, k)
		}
		if err != nil {
			errs = append(errs, fault.Wrap(fault.Other, err, "stream %s", s.Name))
		}
	}
	return errors.Join(errs...)
}

// trimStream measures one stream exactly, plans and purges.
func (l *leader) trimStream(ctx context.Context, t *registry.Tenant, js jetstream.JetStream, k event.Kind) error {
	s, err := js.Stream(ctx, k.Stream())
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "state")
	}
	info := s.CachedInfo()
	in := streams.Trim{Kind: k, First: info.State.FirstSeq, Last: info.State.LastSeq, Bytes: info.State.Bytes, MaxBytes: info.Config.MaxBytes}
	if in.Cursors, err = l.cursors(ctx, t, js, k.Stream()); err != nil {
		return err
	}
	now := time.Now()
	if keep := t.Spec.RetentionOf(k).Std(); keep > 0 {
		if in.AgeFloor, err = streams.FirstSince(ctx, js, k.Stream(), now.Add(-keep), in.Last); err != nil {
			return err
		}
	}
	if in.DupFloor, err = streams.FirstSince(ctx, js, k.Stream(), now.Add(-l.cfg.Pace.Duplicates), in.Last); err != nil {
		return err
	}
	d := in.Plan()
	l.tellBacklog(ctx, t, in, d)
	if d.PurgeTo == 0 {
		return nil
	}
	if err := streams.Purge(ctx, js, k.Stream(), d.PurgeTo); err != nil {
		return err
	}
	l.tel.Log.Info("trimmed", "tenant", t.ID, "stream", k.Stream(), "below", d.PurgeTo, "reason", d.Reason)
	for _, o := range d.Overtakes {
		id := fmt.Sprintf("overtaken/%s/%s/%d", k.Stream(), o.Owner, d.PurgeTo)
		l.alarm(ctx, t, id, event.Warning, event.Alarm{Alarm: "overtaken", Source: "trimmer", Stream: k.Stream(), From: o.Seq + 1, To: d.PurgeTo - 1,
			Message: fmt.Sprintf("%s had not read %d messages of %s that were dropped", o.Owner, d.PurgeTo-1-o.Seq, k.Stream()), Hint: "subscriptions with whenFull: hold are never overtaken"})
	}
	return nil
}

// cursors returns every registered reader of a stream: primaries, and the
// declared subscriptions by their ack floor.
func (l *leader) cursors(ctx context.Context, t *registry.Tenant, js jetstream.JetStream, stream string) ([]streams.Cursor, error) {
	out := l.primaryCursors(t, stream)
	for _, s := range t.Spec.Subscriptions {
		if s.Stream != stream {
			continue
		}
		name := streams.DurableName(s.Application, s.Name)
		c, err := js.Consumer(ctx, stream, name)
		if err != nil {
			return nil, fault.Wrap(fault.Unavailable, err, "subscription %s/%s", s.Application, s.Name)
		}
		info := c.CachedInfo()
		seq := info.AckFloor.Stream
		if info.NumPending == 0 && info.NumAckPending == 0 {
			// Nothing that matches its filter is left: it has dealt with all there is.
			seq = max(seq, info.Delivered.Stream)
			if st, err := js.Stream(ctx, stream); err == nil && st.CachedInfo().State.LastSeq >= seq {
				seq = l.settledSeq(ctx, c, st.CachedInfo().State.LastSeq, seq)
			}
		}
		out = append(out, streams.Cursor{Owner: "subscription " + s.Application + "/" + s.Name, Seq: seq, Hold: s.WhenFull == tenants.WhenFullHold})
	}
	return out, nil
}

// settledSeq asks once more after the stream's last sequence was read: if
// still nothing is pending, everything up to last is dealt with.
func (l *leader) settledSeq(ctx context.Context, c jetstream.Consumer, last, otherwise uint64) uint64 {
	info, err := c.Info(ctx)
	if err != nil || info.NumPending != 0 || info.NumAckPending != 0 {
		return otherwise
	}
	return last
}

// trimState lets go of everything about devices that are no longer declared,
// once every reader has seen the message that says so.
func (l *leader) trimState(ctx context.Context, t *registry.Tenant, js jetstream.JetStream) error {
	told, at := l.declared(t.ID)
	if len(told.Removed) == 0 {
		return nil
	}
	s, err := js.Stream(ctx, event.StreamState)
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "state")
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(">"))
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "subjects")
	}
	cursors, err := l.cursors(ctx, t, js, event.StreamState)
	if err != nil {
		return err
	}
	dup, err := streams.FirstSince(ctx, js, event.StreamState, time.Now().Add(-l.cfg.Pace.Duplicates), info.State.LastSeq)
	if err != nil {
		return err
	}
	var removed []streams.Removed
	for _, r := range told.Removed {
		removed = append(removed, streams.Removed{Site: r.Site, Device: r.Device, Seq: r.Seq})
	}
	steps := streams.TrimState(removed, slices.Collect(maps.Keys(info.State.Subjects)), cursors, dup)
	for _, step := range steps {
		if err := streams.PurgeSubject(ctx, js, event.StreamState, step); err != nil {
			return err
		}
	}
	if len(steps) == 0 {
		return nil
	}
	// Those whose removal every reader has passed are done with.
	floor, _, _ := streams.Floor(cursors)
	maps.DeleteFunc(told.Removed, func(_ string, r removal) bool { return r.Seq <= floor && r.Seq < dup })
	if err := l.putDeclared(ctx, t.ID, told, at); !fault.Is(err, fault.Conflict) {
		return err
	}
	return nil // declared anew meanwhile: at the next look
}
